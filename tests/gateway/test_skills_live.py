"""Skills in a whole house with the fake model: whose words they are, on whose lists, and what confining means."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.ops.skill_desk import Terms
from tests.gateway.opened import MAIN, Opened, opened, tool
from tests.ops.test_skill_desk import zipped
from tests.policy.skill.corpus import BENIGN, Case, shell
from tests.rpc.support import FakePeer

pytestmark = pytest.mark.anyio

FAILING = Case("x", "", shell("ffmpeg -i a b"))
READ = tool("read_skill", name="tidy-notes")
YEAR_MS = 365 * 86_400_000


async def put(house: Opened, case: Case, **terms: Any) -> None:
    desk, data = house.rooms.skill_desk, zipped(dict(case.tree.contents))
    upload = desk.begin(case.name, len(data))
    desk.add(upload, 0, data)
    desk.commit(upload)
    await desk.install(LOCAL_OPERATOR, upload, case.name, "", Terms(**terms))


async def allowed(house: Opened, *lines: str) -> tuple[bool, str]:
    """Make the calls while a person allows whatever is asked; return the last outcome."""
    peer = FakePeer()
    house.rooms.hub.join(peer)
    running = asyncio.ensure_future(house.calls(*lines))
    while not running.done():
        for told in peer.events("exec.approval.requested"):
            await house.rooms.approvals.decide(peer.principal, told["id"], "allow-once")
        peer.raw.clear()
        await asyncio.sleep(0.01)
    house.rooms.hub.leave(peer)
    record = (await running)[-1]
    return record.is_error, record.result


async def test_a_conversation_that_holds_a_confined_skill_only_reads(tmp_path: Path) -> None:
    egress = {"allowEgress": True}
    tools = {"exec": {"safeBins": ["*"]}}
    async with opened(tmp_path, skills={"onFailure": "confine"}, networkPolicy=egress, tools=tools) as house:
        await put(house, FAILING)
        assert "tidy-notes: [its audit failed" in await house.rooms.skills.prompt(MAIN, house.workspace)
        (house.workspace / "notes.txt").write_text("hello")
        refused = (
            tool("write_file", path="a", content="x"),
            tool("edit_file", path="notes.txt", old_text="hello", new_text="x"),
            tool("web_fetch", url="https://example.org/"),
            tool("memory_write", text="x"),
            tool("sessions_send", session="agent:main:other", text="x"),
            tool("run_agent", task="x"),
            tool("process", action="write", sessionId="x", data="x"),
            tool("exec", command="cat", stdin=True),
        )
        for call in refused:
            is_error, text = (lambda made: (made.is_error, made.result))((await house.calls(READ, call))[-1])
            assert is_error
            assert "skill.confined-use" in text, call
        assert (await house.calls(tool("read_file", path="notes.txt")))[-1].result == "hello"
        assert (await house.calls(tool("exec", command="cat notes.txt")))[-1].result.strip() == "hello"
        assert not (await house.calls(tool("write_file", path="a", content="x"), key="agent:main:new"))[-1].is_error
        rows = [(row.entry.action, row.entry.answer, row.entry.rule) for row in await house.rows("skill")]
    assert rows[:3] == [
        ("skill.lock", "allow", "skill.confined"),
        ("skill.read", "allow", "skill.confined"),
        ("tool write_file", "deny", "skill.confined-use"),
    ]
    async with opened(tmp_path) as house:  # the mark is in the transcript
        assert "skill.confined-use" in (await house.calls(tool("write_file", path="a", content="x")))[-1].result


@pytest.mark.skipif(not shutil.which("bwrap"), reason="needs bubblewrap")
async def test_its_commands_have_walls_no_network_and_nothing_to_write_to_whatever_is_approved(tmp_path: Path) -> None:
    canary = socket.create_server(("127.0.0.1", 0))
    canary.setblocking(False)
    port = canary.getsockname()[1]
    sections = {
        "skills": {"onFailure": "confine"},
        "tools": {"exec": {"security": "full"}},
        "agents": {"defaults": {"model": "fake/echo", "sandbox": {"mode": "off"}}},
    }
    async with opened(tmp_path, **sections) as house:
        await put(house, FAILING)
        (house.workspace / "kept.txt").write_text("kept")
        say = (
            f"touch made; rm kept.txt; echo x > kept.txt; (echo > /dev/tcp/127.0.0.1/{port}) && echo out; ls {tmp_path}"
        )
        free = await allowed(house, tool("exec", command=f"(echo > /dev/tcp/127.0.0.1/{port}) && echo out"))
        assert "out" in free[1]
        canary.accept()[0].close()
        _, text = await allowed(house, READ, tool("exec", command=f"bash -c '{say}'"))
        assert "Read-only file system" in text
        assert "out" not in text.split()
        assert "openclaw.json" not in text
        assert (house.workspace / "kept.txt").read_text() == "kept"
        assert not (house.workspace / "made").exists()
    with pytest.raises(BlockingIOError):
        canary.accept()
    canary.close()


async def test_what_a_skill_says_is_text_from_outside_until_an_operator_vouches_for_that_very_content(
    tmp_path: Path,
) -> None:
    asks = tool("sessions_send", session="agent:main:other", text="hello")

    async def is_tainted(house: Opened, key: str) -> bool:
        return "needs an approval" in (await house.calls(READ, asks, key=key))[-1].result

    async with opened(tmp_path) as house:
        await house.turn("hello", key="agent:main:other")
        await put(house, BENIGN[0])
        assert await is_tainted(house, "agent:main:one")
        desk = house.rooms.skill_desk
        await desk.lock(LOCAL_OPERATOR, house.workspace, "tidy-notes", Terms(why="read line by line"))
        assert not await is_tainted(house, "agent:main:two")
        await put(house, BENIGN[0]._replace(body="# Use\nRead them all.\n"), replace=True)
        assert await is_tainted(house, "agent:main:three")
        await put(house, FAILING, replace=True, wider=True, why="our own tool", accepts=("processes",), for_ms=YEAR_MS)
        assert await is_tainted(house, "agent:main:four")
        facts = [row.entry.facts for row in await house.rows("skill") if row.entry.rule == "skill.accepted"]
    assert [(each["accepts"], each["why"]) for each in facts] == [("processes", "our own tool")]


async def test_an_agents_list_narrows_what_it_is_told_of_and_may_read(tmp_path: Path) -> None:
    agents = {"defaults": {"model": "fake/echo", "skills": ["tidy-notes", "b-notes"]}, "list": [{"id": "main"}]}
    async with opened(tmp_path, agents=agents) as house:
        for name in ("tidy-notes", "b-notes", "c-notes"):
            await put(house, BENIGN[0]._replace(name=name))
        told = await house.rooms.skills.prompt(MAIN, house.workspace)
        assert [name for name in ("tidy-notes", "b-notes", "c-notes") if name in told] == ["tidy-notes", "b-notes"]
        refused = (await house.calls(tool("read_skill", name="c-notes")))[-1]
        assert refused.is_error
        assert "not on this agent's list" in refused.result
