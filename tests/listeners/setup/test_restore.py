"""A backup brought into a real gateway by the set-up's requests: what is refused, what comes back, what is undone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.store.sqlite import SqliteStore
from tests.cli.gateway_process import wait_until
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.gateway.test_backup_rehearsal import say, settled, texts, told
from tests.listeners.fakes import raw_request, read_answer
from tests.listeners.setup.test_gateway import PASSWORD, call, signed_in
from tests.ops.backup.house import Forge

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@asynccontextmanager
async def gateway(folder: Path, model: str = "fake/echo") -> AsyncIterator[GatewayProcess]:
    """Run a gateway whose set-up is open; it must live to the end, whatever is brought into it."""
    port = free_port()
    write_config(folder, port, model)
    running = await GatewayProcess.start(folder, port, env=environment(port))
    try:
        yield await running.ready()
        assert running.process.returncode is None
    finally:
        await running.stop()


def environment(port: int) -> dict[str, str]:
    return {"SETUP_PASSWORD": PASSWORD, "PORT": str(port)}


def request(running: GatewayProcess, length: int, **headers: str) -> bytes:
    """Return the head of an import."""
    own = {"Origin": running.http_url, "Content_Length": str(length), "Host": f"127.0.0.1:{running.port}"}
    lines = (f"{name.replace('_', '-')}: {value}" for name, value in (own | headers).items())
    return "\r\n".join(("POST /setup/import HTTP/1.1", *lines, "", "")).encode()


async def bring(running: GatewayProcess, archive: bytes, **headers: str) -> tuple[int, Any]:
    status, _, answer = await raw_request(running.port, request(running, len(archive), **headers) + archive)
    return status, json.loads(answer)


async def exported(running: GatewayProcess, good: dict[str, str], passphrase: str = "") -> bytes:
    status, body = await call(running, "/setup/export", {"passphrase": passphrase}, **good)
    assert status == 200
    archive: bytes = body
    return archive


def traces(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.glob(".restore*"))


async def back_again(running: GatewayProcess, starts: int) -> dict[str, str]:
    """Wait for that many starts in all; return the headers of a new session."""
    await asyncio.to_thread(wait_until, lambda: running.output().count("gateway_ready") == starts)
    status, cookie = await call(running, "/setup/login", {"password": PASSWORD})
    assert status == 200
    state = (await call(running, "/setup/state", Cookie=cookie))[1]
    return {"Cookie": cookie, "X_OpenClaw_Setup": state["pageToken"]}


async def forged(tmp_path: Path, config: str) -> Forge:
    """Return an archive of an empty store and a configuration."""
    place = tmp_path / "forge"
    store = await SqliteStore.open(place / "openclaw.db", clock=ManualClock())
    await store.close()
    forge = Forge((place / "openclaw.db").read_bytes())
    forge.files[1] = ("config", "openclaw.json", config.encode())
    return forge


async def test_what_is_refused_leaves_no_trace_and_the_gateway_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        good = await signed_in(running)
        sealed, plain = await exported(running, good, "a long passphrase"), await exported(running, good)
        newer = await forged(tmp_path, "{}")
        newer.fields["schema"] = 999
        lost = (await forged(tmp_path, "{gateway: {port: 1, bind: 'custom', customBindHost: '127.9.9.9'}}")).bytes()
        broken = (await forged(tmp_path, "{gateway: ")).bytes()
        for archive, headers, status, why in (
            (b"", {}, 400, "it ends too early"),
            (b"no archive at all", {}, 400, "it is no gzip file, or was changed"),
            (plain[: len(plain) // 2], {}, 400, "it ends too early"),
            (plain + b"more", {}, 400, "something follows its end"),
            (sealed, {}, 400, "the backup is encrypted"),
            (sealed, {"X_OpenClaw_Passphrase": "another%20one"}, 400, "does not open the backup"),
            (newer.bytes(), {}, 400, "schema 999"),
            (lost, {}, 409, "listen elsewhere: bind custom, not loopback; customBindHost 127.9.9.9"),
            (broken, {}, 409, "cannot be used"),
        ):
            found, answer = await bring(running, archive, **headers, **good)
            assert found == status, answer
            assert why in answer["error"]["message"]
            assert traces(folder) == []
        assert texts(await told(running)) == before
        assert not (folder / "pre-restore").exists()
        assert running.output().count("gateway_ready") == 1


async def test_one_comes_in_at_a_time_and_one_that_breaks_off_makes_room(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        good = await signed_in(running)
        archive = await exported(running, good)
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request(running, len(archive), **good) + archive[:1000])
        await writer.drain()
        await asyncio.to_thread(wait_until, lambda: traces(folder) != [])
        status, answer = await bring(running, archive, **good)
        assert (status, answer["error"]["message"]) == (409, "a backup is being restored already")
        writer.close()
        await asyncio.to_thread(wait_until, lambda: traces(folder) == [])
        await say(running, "lost", "after")
        await settled(running, 2, 2)

        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request(running, len(archive), **good) + archive[:1000])
        await writer.drain()
        await asyncio.to_thread(wait_until, lambda: traces(folder) != [])
        writer.write(archive[1000:])
        assert (await read_answer(reader))[0] == 200
        writer.close()
        good = await back_again(running, 2)
        assert texts(await told(running)) == before
        state = (await call(running, "/setup/state", **good))[1]
        assert state["lastRestore"]["why"] == ""
        assert traces(folder) == [".restore-outcome.json"]


async def test_a_turn_that_runs_is_left_behind_with_the_state_that_it_belongs_to(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder, "fake/fake-n120-d10") as running:
        good = await back_again(running, 1)
        archive = await exported(running, good)
        await say(running, "busy", "count")
        await settled(running, 1, 1)
        assert (await bring(running, archive, **good))[0] == 200
        await back_again(running, 2)
        assert await told(running) == {}
        assert (folder / "pre-restore").is_dir()


async def test_what_the_gateway_cannot_start_with_is_put_back_and_the_page_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        good = await signed_in(running)
        serves_secrets = await forged(tmp_path, f"{{gateway: {{port: {running.port}, controlUi: {{root: '.'}}}}}}")
        status, answer = await bring(running, serves_secrets.bytes(), **good)
        assert (status, answer["host"], answer["files"]) == (200, "there", 3)
        assert answer["notes"] == ["Another gateway made this backup: its keys, token and paired devices come with it."]
        good = await back_again(running, 2)
        assert texts(await told(running)) == before
        last = (await call(running, "/setup/state", **good))[1]["lastRestore"]
        assert "could not start with it: gateway.controlUi.root" in last["why"]
        assert TOKEN in (folder / "openclaw.json").read_text()


async def test_what_a_killed_gateway_had_taken_in_is_thrown_away_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as first:
        good = await signed_in(first)
        _, writer = await asyncio.open_connection("127.0.0.1", first.port)
        writer.write(request(first, 1000, **good) + b"half")
        await writer.drain()
        await asyncio.to_thread(wait_until, lambda: traces(folder) != [])
        await first.kill()
        writer.close()
        assert traces(folder) != []
        again = await GatewayProcess.start(folder, first.port, env=environment(first.port))
        first.process = again.process
        await again.ready()
        assert traces(folder) == []
