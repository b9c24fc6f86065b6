"""AWS' library over our client: the door is asked, the environment's proxies are not, and bodies stream."""

from __future__ import annotations

import asyncio

import pytest

from openclaw.base.errors import PolicyDenied, Unavailable
from openclaw.net.aws import across
from openclaw.net.http import HttpClient
from openclaw.net.target import Target
from openclaw.net.way import NamedWay, Purpose, Way
from openclaw.ops.backup.s3 import Bucket
from tests.net.test_egress import Canary

pytestmark = pytest.mark.anyio


class Keeper:
    """A door that notes who asks, in which loop; `shut` refuses hosts, `inner` refuses addresses."""

    def __init__(self, *, shut: bool = False, inner: bool = False) -> None:
        self.shut = shut
        self.inner = inner
        self.asked: list[tuple[str, int, Purpose]] = []
        self.refused: list[str] = []
        self.loops: set[asyncio.AbstractEventLoop] = set()

    async def door(self, where: Target, purpose: Purpose) -> Way:
        self.asked.append((where.host, where.port, purpose))
        self.loops.add(asyncio.get_running_loop())
        if self.shut:
            raise PolicyDenied("the list has no such host")
        return _Way(where.host, self) if self.inner else NamedWay(where.host)


class _Way(NamedWay):
    def __init__(self, host: str, keeper: Keeper) -> None:
        super().__init__(host)
        self._keeper = keeper

    def judge(self, address: str) -> str:
        return "loopback"

    async def refuse(self, address: str) -> None:
        self._keeper.refused.append(address)
        self._keeper.loops.add(asyncio.get_running_loop())
        raise PolicyDenied("no inner address")


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


async def test_a_bucket_asks_the_door_in_its_own_loop_and_heeds_no_proxy(signed_in: pytest.MonkeyPatch) -> None:
    async with Canary() as server, Canary() as proxy:
        signed_in.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
            signed_in.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for keeper, reached in ((Keeper(), True), (Keeper(shut=True), False), (Keeper(inner=True), False)):
            before = server.connections
            bucket = Bucket("s3://kept", door=across(keeper.door, asyncio.get_running_loop()))
            with pytest.raises(Unavailable if reached else PolicyDenied):
                await asyncio.to_thread(bucket.list)
            assert (server.connections > before) is reached
            assert set(keeper.asked) == {("127.0.0.1", server.port, "backup")}
            assert keeper.loops == {asyncio.get_running_loop()}
            assert keeper.refused == (["127.0.0.1"] if keeper.inner else [])
        assert proxy.connections == 0


async def test_a_metadata_address_is_no_bucket_though_a_name_stands_for_it(signed_in: pytest.MonkeyPatch) -> None:
    """What a name stands for is judged in botocore's requests too; there is no door here, as for a command."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["169.254.169.254"]

    signed_in.setenv("AWS_ENDPOINT_URL", "http://bucket.test")
    signed_in.setitem(HttpClient.__init__.__kwdefaults__ or {}, "resolve", resolve)
    with pytest.raises(PolicyDenied, match="metadata of a cloud"):
        await asyncio.to_thread(Bucket("s3://kept").list)
