"""A disk that is really full: what needs a row in the ledger is not done, nothing is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from openclaw.client.errors import RpcError
from openclaw.store.audit import Wanted, in_file, query, verify

from .process import TOKEN, GatewayProcess, free_port, write_config

pytestmark = pytest.mark.anyio
CHAT = {"model": "openclaw", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 8 MB for the block."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("a disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path) -> Path:
    """Take what is left of a disk, to the last byte."""
    path = folder / "filling"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return path


@asynccontextmanager
async def gateway_on(disk: Path, elsewhere: Path) -> AsyncIterator[GatewayProcess]:
    """Run a gateway whose store is on that disk; its configuration and workspace have room."""
    workspace = elsewhere / "workspace"
    workspace.mkdir(mode=0o700)
    port = free_port()
    storage = {"minFreeBytes": 0, "warnFreeBytes": 0}
    path = write_config(elsewhere, port, storage=storage, networkPolicy={"egressAllowlist": ["example.com"]})
    config = json.loads(path.read_text())
    config["agents"]["defaults"]["workspace"] = str(workspace)
    path.write_text(json.dumps(config))
    logs = disk / "logs"
    logs.symlink_to(elsewhere)
    running = await GatewayProcess.start(disk, port, env={"OPENCLAW_CONFIG_PATH": str(path)})
    try:
        yield await running.ready()
    finally:
        await running.stop()


async def ready(http: aiohttp.ClientSession, running: GatewayProcess) -> dict[str, Any]:
    async with http.get(f"{running.http_url}/ready") as answer:
        return dict(await answer.json(), status=answer.status)


async def post(http: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    async with http.post(url, json=body) as answer:
        return answer.status, await answer.json()


async def test_a_full_disk_stops_what_the_ledger_must_know_and_loses_nothing(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with small_disk(tmp_path / "disk") as disk:
        async with (
            gateway_on(disk, elsewhere) as running,
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as http,
            await running.connect() as client,
        ):
            write = {"tool": "write_file", "args": {"path": "a.txt", "content": "x"}}
            assert (await post(http, f"{running.http_url}/tools/invoke", write))[0] == 200
            assert (await post(http, f"{running.http_url}/v1/chat/completions", CHAT))[0] == 200
            before = await client.call("audit.verify")

            filling = fill(disk)
            write["args"] = {"path": "b.txt", "content": "x"}
            status, told = await post(http, f"{running.http_url}/tools/invoke", write)
            assert (status, "ledger cannot be written" in told["error"]["message"]) == (400, True), told
            assert not (elsewhere / "workspace" / "b.txt").exists()
            fetch = {"tool": "web_fetch", "args": {"url": "https://example.com/"}}
            _, told = await post(http, f"{running.http_url}/tools/invoke", fetch)
            assert "ledger cannot be written" in told["error"]["message"]
            assert (await post(http, f"{running.http_url}/v1/chat/completions", CHAT))[0] == 503
            with pytest.raises(RpcError, match="ledger cannot be written"):
                await client.call(
                    "config.patch", {"raw": "{logging: {level: 'debug'}}", "baseHash": await _hash(client)}
                )
            assert "debug" not in (elsewhere / "openclaw.json").read_text()
            with pytest.raises(RpcError, match="ledger cannot be written"):
                await client.call("exec.approval.resolve", {"id": "none", "decision": "allow-once"})
            config = elsewhere / "openclaw.json"
            edited = config.read_text().replace("fake/echo", "fake/fake-n3")
            config.write_text(edited)
            await until(lambda: _logged(elsewhere, "config_not_reloaded"))
            assert await _has_model(client, "fake/echo")
            state = await ready(http, running)
            assert state["status"] == 503
            assert "audit" in state["failing"]

            filling.unlink()
            await until(lambda: _is_ready(http, running))
            assert (await post(http, f"{running.http_url}/tools/invoke", write))[0] == 200
            assert (elsewhere / "workspace" / "b.txt").exists()
            assert (await post(http, f"{running.http_url}/v1/chat/completions", CHAT))[0] == 200
            await until(lambda: _has_model(client, "fake/fake-n3"))
            after = await client.call("audit.verify")
            assert after["ok"]
            assert after["head"]["seq"] > before["head"]["seq"]
        path = disk / "openclaw.db"
        assert in_file(path, verify).problem == ""
        resumed = in_file(path, lambda db: query(db, Wanted(kinds=("ledger",))))
        assert [row.entry.action for row in resumed] == ["resumed"]
        edits = in_file(path, lambda db: query(db, Wanted(kinds=("config",), last_first=False)))
        assert [row.entry.action for row in edits] == ["file edit", "file edit"]
        assert edits[1].entry.facts["settings"] == "agents.defaults.model"


async def _hash(client: Any) -> str:
    return str((await client.call("config.get"))["hash"])


async def _has_model(client: Any, model: str) -> bool:
    return bool((await client.call("config.get"))["runtimeConfig"]["agents"]["defaults"]["model"] == model)


async def _is_ready(http: aiohttp.ClientSession, running: GatewayProcess) -> bool:
    return bool((await ready(http, running))["status"] == 200)


async def _logged(folder: Path, event: str) -> bool:
    return event in (folder / "openclaw.log").read_text()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds of the gateway."""
    async with asyncio.timeout(20):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.05)
