"""References in a gateway that runs: resolved before it listens, and read again when it is told to."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.process import TOKEN, GatewayProcess, free_port
from tests.stand_ins.vault import ROOT_TOKEN, VaultStandIn

pytestmark = pytest.mark.anyio

REFERENCE = {"source": "vault", "provider": "own", "id": "hook"}


@asynccontextmanager
async def running(folder: Path, vault: VaultStandIn, **more: Any) -> AsyncIterator[GatewayProcess]:
    """Run a gateway whose hooks' token is in Vault, and whose own token comes from a file."""
    port = free_port()
    private(folder / "own-token", TOKEN)
    provider = {"source": "vault", "address": vault.base_url, "token": ROOT_TOKEN, **more}
    write(
        folder,
        {
            "gateway": {"port": port, "auth": {"token": {"source": "file", "id": "own-token"}}},
            "agents": {"defaults": {"model": "fake/echo"}},
            "hooks": {"enabled": True, "token": REFERENCE},
            "secrets": {"providers": {"own": provider}},
        },
    )
    gateway = await GatewayProcess.start(folder, port)
    try:
        yield await gateway.ready()
    finally:
        assert await gateway.stop() == 0


def private(path: Path, text: str) -> None:
    """Write a file for its owner alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def write(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the configuration."""
    private(folder / "openclaw.json", json.dumps(values, indent=1))


def _wake(gateway: GatewayProcess, token: str) -> int:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{gateway.http_url}/hooks/wake", b'{"text": "hello"}', headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


async def opens(gateway: GatewayProcess, token: str) -> bool:
    """Whether a webhook with that token is taken in."""
    return await asyncio.to_thread(_wake, gateway, token) == 200


async def until_opens(gateway: GatewayProcess, token: str) -> None:
    """Wait until that token is taken."""
    async with asyncio.timeout(10):
        while not await opens(gateway, token):  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(0.05)


async def test_a_rotated_secret_counts_from_the_moment_somebody_says_so(tmp_path: Path) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="the-first-hook-token")
        async with running(tmp_path / "state", vault) as gateway:
            assert await opens(gateway, "the-first-hook-token")
            vault.put("hook", value="the-second-hook-token")
            assert await opens(gateway, "the-first-hook-token")
            async with await gateway.connect() as client:
                assert await client.call("secrets.reload", {}) == {"ok": True, "warningCount": 0}
                assert await opens(gateway, "the-second-hook-token")
                assert not await opens(gateway, "the-first-hook-token")
                vault.put("hook", value="the-third-hook-token")
                gateway.process.send_signal(signal.SIGHUP)
                await until_opens(gateway, "the-third-hook-token")
                vault.sealed = True
                assert await client.call("secrets.reload", {}) == {"ok": True, "warningCount": 1}
                assert await opens(gateway, "the-third-hook-token")
                vault.sealed = False
                before = len(vault.requests)
                assert await client.call("secrets.reload", {}) == {"ok": True, "warningCount": 0}
                assert len(vault.requests) == before + 1


async def test_clients_see_and_write_the_reference_and_never_what_it_names(tmp_path: Path) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="the-first-hook-token")
        vault.put("other", value="the-other-hook-token")
        async with running(tmp_path / "state", vault) as gateway, await gateway.connect() as client:
            shown = await client.call("config.get", {})
            assert shown["parsed"]["hooks"]["token"] == REFERENCE
            assert "the-first-hook-token" not in json.dumps(shown)
            assert ROOT_TOKEN not in json.dumps(shown)
            raw = json.dumps({"hooks": {"token": {**REFERENCE, "id": "other"}}})
            written = await client.call("config.patch", {"raw": raw, "baseHash": shown["hash"]})
            assert written["ok"]
            await until_opens(gateway, "the-other-hook-token")
            text = (tmp_path / "state" / "openclaw.json").read_text()
            assert json.loads(text)["hooks"]["token"] == {**REFERENCE, "id": "other"}
            assert "the-other-hook-token" not in text


async def test_a_source_that_is_down_at_the_start_costs_its_own_section_only(tmp_path: Path) -> None:
    async with VaultStandIn() as vault:
        vault.put("hook", value="the-first-hook-token")
        vault.sealed = True
        async with running(tmp_path / "state", vault) as gateway, await gateway.connect() as client:
            assert not await opens(gateway, "the-first-hook-token")
            issues = (await client.call("config.get", {}))["issues"]
            assert "hooks.token" in [issue["path"] for issue in issues]
            vault.sealed = False
            await client.call("secrets.reload", {})
            assert await opens(gateway, "the-first-hook-token")


async def test_a_gateway_beyond_this_machine_does_not_start_without_its_token(tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    auth = {"token": {"source": "env", "id": "NOT_THERE"}}
    write(folder, {"gateway": {"port": port, "bind": "lan", "auth": auth}})
    gateway = await GatewayProcess.start(folder, port)
    async with asyncio.timeout(15):
        assert await gateway.process.wait() == 78
    assert "env:NOT_THERE" in gateway.output()
