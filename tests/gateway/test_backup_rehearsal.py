"""The rehearsal: a gateway is backed up while it runs, restored elsewhere, and goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.gateway_process import wait_until

from .process import GatewayProcess, free_port, gateway

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SESSIONS = 12


async def cli(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run one command line with --json and return what it said; it must succeed."""
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "openclaw", "backup", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env=environ | {"OPENCLAW_STATE_DIR": str(folder)},
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (out + err).decode()
    found: dict[str, Any] = json.loads(out)
    return found


async def told(running: GatewayProcess) -> dict[str, Any]:
    """Return every session's transcript as clients see it."""
    async with await running.connect() as client:
        listed = await client.call("sessions.list", {"limit": 500})
        return {
            each["key"]: (await client.call("chat.history", {"sessionKey": each["key"]}))["messages"]
            for each in listed["sessions"]
        }


async def say(running: GatewayProcess, key: str, text: str) -> None:
    async with await running.connect() as client:
        await client.call("chat.send", {"sessionKey": key, "message": text, "idempotencyKey": f"{key}-{text}"})


def texts(sessions: dict[str, Any]) -> dict[str, list[str]]:
    return {key: [json.dumps(message.get("content")) for message in messages] for key, messages in sessions.items()}


async def settled(running: GatewayProcess, sessions: int, messages: int) -> dict[str, Any]:
    """Wait until that many sessions have that many messages each."""
    async with asyncio.timeout(20):
        while True:
            found = await told(running)
            if len(found) >= sessions and all(len(each) >= messages for each in found.values()):
                return found
            await asyncio.sleep(0.05)


async def test_create_restore_boot_same_sessions(tmp_path: Path) -> None:
    async with gateway(tmp_path / "first") as running:
        await asyncio.gather(*(say(running, f"s{number}", f"hello {number}") for number in range(SESSIONS)))
        before = texts(await settled(running, SESSIONS, 2))
        writing = asyncio.create_task(keep_talking(running))
        made = await cli(running.folder, "create")
        writing.cancel()
    assert made["warnings"]
    fresh = tmp_path / "second"
    await cli(tmp_path / "first", "restore", made["where"], "--to", str(fresh))
    port = free_port()
    config = fresh / "openclaw.json"
    config.write_text(config.read_text().replace(str(running.port), str(port)))
    again = await GatewayProcess.start(fresh, port)
    try:
        after = texts(await told(await again.ready()))
        assert {key: after[key] for key in before} == before
    finally:
        assert await again.stop() == 0


async def keep_talking(running: GatewayProcess) -> None:
    number = 0
    while True:
        await say(running, f"later{number % 5}", f"more {number}")
        number += 1


async def test_in_place_it_is_refused_while_it_runs_and_goes_back_and_forth_when_it_does_not(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        made = await cli(folder, "create")
        await say(running, "lost", "after")
        later = texts(await settled(running, 2, 2))
        with pytest.raises(AssertionError, match="STATE_LOCKED"):
            await cli(folder, "restore", made["where"], "--yes")
    for arguments, expected in ((("restore", made["where"], "--yes"), before), (("restore", "--undo"), later)):
        await cli(folder, *arguments)
        again = await (await GatewayProcess.start(folder, running.port)).ready()
        assert texts(await told(again)) == expected
        assert await again.stop() == 0


async def test_a_gateway_puts_back_what_a_restore_had_moved_when_the_power_failed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        made = await cli(folder, "create")
    cut = (
        "import os, sys\nfrom pathlib import Path\nfrom openclaw.ops.backup import swap\n"
        "from openclaw.ops.backup.restore import restore_in_place\n"
        "left = [3]\nmove = swap._move\n"
        "def cut(old, new):\n"
        "    left[0] -= 1\n"
        f"    os.kill(os.getpid(), {int(signal.SIGKILL)}) if left[0] < 0 else move(old, new)\n"
        "swap._move = cut\nrestore_in_place(Path(sys.argv[1]), Path(sys.argv[2]), None, now_ms=1)"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", cut, made["where"], str(folder))
    assert await process.wait() == -signal.SIGKILL
    assert (folder / ".restore-journal.json").exists()
    again = await (await GatewayProcess.start(folder, running.port)).ready()
    assert texts(await told(again)) == before
    assert await again.stop() == 0
    assert not (folder / ".restore-journal.json").exists()


async def test_a_running_gateway_makes_backups_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder, backup={"every": "1d", "destination": str(tmp_path / "kept")}) as running:
        await asyncio.to_thread(wait_until, lambda: "backup_made" in running.output())
    listed = await cli(folder, "list")
    assert len(listed["backups"]) == 1
    shown = await cli(folder, "schedule")
    assert [run["scheduled"] for run in shown["runs"]] == [True]
    assert (await cli(folder, "verify"))["own"] is True


async def test_a_restore_that_waits_is_put_in_place_by_the_next_start(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    async with gateway(folder) as running:
        await say(running, "kept", "before")
        before = texts(await settled(running, 1, 2))
        made = await cli(folder, "create")
        await say(running, "lost", "after")
        await settled(running, 2, 2)
        staged = await cli(folder, "restore", made["where"], "--at-start", "--yes")
        assert staged["waits"] is True
        assert len(await told(running)) == 2
    again = await (await GatewayProcess.start(folder, running.port)).ready()
    assert texts(await told(again)) == before
    assert await again.stop() == 0
    assert "restored" in again.output()
