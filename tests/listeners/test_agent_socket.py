"""The agent's own WebSocket while the key is still fetched that its caller's token is judged by."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import AuthConfig, OidcConfig, RateLimitConfig, RoleConfig
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.federated.federation import build_federation
from openclaw.identity.locality import Source
from openclaw.listeners.agent_socket import AgentSocket
from openclaw.listeners.ws_socket import Socket
from tests.listeners.fakes import FakeAgent
from tests.stand_ins.oidc import ISSUER, Keychain

pytestmark = pytest.mark.anyio


class Wire:
    """Stands for the socket: keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = False

    def send(self, frame: bytes) -> None:
        self.sent.append(json.loads(frame))

    def close(self, code: int, reason: str = "") -> None:
        self.closed = True

    def set_limit(self, limit: int) -> None:
        pass


class Waiting:
    """A client whose token waits for its key, which comes when the test lets it."""

    def __init__(self) -> None:
        clock = ManualClock()
        self.chain, self.asked, self.comes = Keychain(), 0, asyncio.Event()
        self.tasks = TaskSet("test")
        self.door = Authenticator("token", Secret("shared"), None, RateLimitConfig, clock)
        auth = AuthConfig(mode="oidc", oidc=OidcConfig(issuer=ISSUER, audience="openclaw"), token=Secret("shared"))
        federation = build_federation(auth, {"user": RoleConfig(users=("alice",))}, self._fetch, clock)
        self.door.renew("oidc", auth.token, None, (), federation)
        now_s = clock.now_ms() // 1000
        claims = {"iss": ISSUER, "aud": "openclaw", "sub": "alice", "iat": now_s, "exp": now_s + 600}
        self.frame = json.dumps({"type": "auth", "token": self.chain.token(claims)}).encode()
        self.wire = Wire()
        self.socket = AgentSocket(FakeAgent(), "main", self.door, Source("9.9.9.9", False), None, self.tasks)
        self.socket.opened(cast(Socket, self.wire))

    async def _fetch(self, url: str) -> bytes:
        self.asked += 1
        await self.comes.wait()
        return await self.chain.documents(url)

    async def key_comes(self) -> None:
        self.comes.set()
        while len(self.tasks):  # noqa: ASYNC110  # they end by themselves
            await asyncio.sleep(0)


async def test_however_often_a_client_signs_in_one_of_them_waits() -> None:
    client = Waiting()
    for _ in range(50):
        client.socket.text(client.frame)
    assert len(client.tasks) == 1
    await client.key_comes()
    assert client.wire.sent == [{"type": "ready"}]
    assert len(client.door.holders) == 1
    client.socket.lost()
    assert not client.door.holders


async def test_a_client_that_left_meanwhile_is_not_let_in() -> None:
    client = Waiting()
    client.socket.text(client.frame)
    client.socket.lost()
    await client.key_comes()
    assert client.asked
    assert not client.wire.sent
    assert not client.door.holders
