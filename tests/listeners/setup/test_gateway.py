"""The set-up page's requests to a real gateway: what is written, and what is not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.secret import Secret
from openclaw.ops.backup.unpack import verify
from openclaw.protocol.device_auth import DeviceKey
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.listeners.control_ui.test_browser import knock
from tests.listeners.fakes import http, raw_request

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PASSWORD = "setup-password-7"


@asynccontextmanager
async def gateway(folder: Path, **settings: Any) -> AsyncIterator[GatewayProcess]:
    """Run a gateway whose port comes from PORT and whose set-up is open.

    Its agent keeps its model: it is the server that the set-up is pointed at, and must not come to ask itself.
    """
    port = free_port()
    http_settings = {"endpoints": {"chatCompletions": {"enabled": True}}}
    agents = {"defaults": {"model": "fake/echo"}, "list": [{"id": "main", "model": "fake/echo"}]}
    write_config(folder, 1, agents=agents, gateway={"auth": {"token": TOKEN}, "http": http_settings, **settings})
    running = await GatewayProcess.start(folder, port, env={"SETUP_PASSWORD": PASSWORD, "PORT": str(port)})
    try:
        yield await running.ready()
    finally:
        await running.stop()


async def call(running: GatewayProcess, path: str, body: Any = None, **headers: Any) -> tuple[int, Any]:
    """POST with a body, else GET."""
    host, method = f"127.0.0.1:{running.port}", "GET" if body is None else "POST"
    raw = b"" if body is None else json.dumps(body).encode()
    headers |= {"Origin": f"http://{host}"}
    status, head, answer = await raw_request(running.port, http(method, path, raw, token=None, host=host, **headers))
    if "set-cookie" in head:
        return status, head["set-cookie"].partition(";")[0]
    return status, json.loads(answer) if answer[:1] == b"{" else answer


async def signed_in(running: GatewayProcess) -> dict[str, str]:
    status, cookie = await call(running, "/setup/login", {"password": PASSWORD})
    assert status == 200
    state = (await call(running, "/setup/state", Cookie=cookie))[1]
    assert state["model"] == "fake/echo"
    return {"Cookie": cookie, "X_OpenClaw_Setup": state["pageToken"]}


async def test_a_provider_that_refuses_leaves_no_trace_and_one_that_answers_is_kept_with_its_own_key(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        good = await signed_in(running)
        before = (folder / "openclaw.json").read_text()
        choice = {
            "provider": "custom",
            "baseUrl": f"{running.http_url}/v1",
            "model": "openclaw",
            "key": "wrong-key-12345",
        }
        status, answer = await call(running, "/setup/provider", choice, **good)
        assert status >= 400, answer
        assert (folder / "openclaw.json").read_text() == before
        assert not (folder / "secrets.json").exists()
        status, answer = await call(running, "/setup/provider", {**choice, "key": TOKEN}, **good)
        assert (status, answer["model"], answer["status"]) == (200, "custom/openclaw", "applied")
        assert TOKEN not in (folder / "openclaw.json").read_text().replace(f'"token": "{TOKEN}"', "")
        status, answer = await call(running, "/setup/provider", {**choice, "key": ""}, **good)
        assert (status, answer["status"]) == (200, "none")
        elsewhere = {**choice, "baseUrl": "http://127.0.0.1:9/v1", "key": ""}
        status, answer = await call(running, "/setup/provider", elsewhere, **good)
        assert (status, answer["error"]["message"]) == (400, "a new address needs its key")
        assert "wrong-key-12345" not in running.output()


async def test_a_device_from_afar_is_let_in(tmp_path: Path) -> None:
    async with gateway(tmp_path / "state", trustedProxies=["127.0.0.1"]) as running:
        good, key = await signed_in(running), DeviceKey.new()
        assert (await knock(running, key))["error"]["details"]["code"] == "PAIRING_REQUIRED"
        waiting = (await call(running, "/setup/state", **good))[1]["waiting"]
        assert [(one["deviceId"], one["address"]) for one in waiting] == [(key.device_id, "203.0.113.9")]
        assert (await call(running, "/setup/approve", {"requestId": waiting[0]["requestId"]}, **good))[0] == 200
        assert (await knock(running, key))["ok"] is True


async def test_the_backup_that_is_sent_is_whole_and_encrypted_when_that_is_asked(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        good = await signed_in(running)
        for name, passphrase in (("plain", ""), ("sealed", "a long passphrase")):
            status, body = await call(running, "/setup/export", {"passphrase": passphrase}, **good)
            assert status == 200
            archive, scratch = tmp_path / name, tmp_path / f"{name}-look"
            archive.write_bytes(body)
            scratch.mkdir()
            opened = verify(archive, scratch, Secret(passphrase) if passphrase else None)
            assert opened.encrypted == bool(passphrase)
            assert opened.manifest.created_at_ms <= SYSTEM_CLOCK.now_ms()
        assert list(folder.glob(".backup-*")) == []
