"""What a provider's cache holds: each request begins with the bytes of the one before."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.model import ModelRequest
from openclaw.models.fake.client import FakeClient

from .house import house

pytestmark = pytest.mark.anyio

TURNS = 50


def as_bytes(request: ModelRequest, messages: int) -> bytes:
    return msgspec.json.encode((request.system, request.tools, request.messages[:messages]))


async def test_fifty_turns_with_tools_notes_and_time_only_ever_append(tmp_path: Path) -> None:
    clock = ManualClock()
    client = FakeClient(clock=clock)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "MEMORY.md").write_text("- likes tea\n")
    (workspace / "AGENTS.md").write_text("Be brief.\n")
    notes = iter(range(1000))

    def note(_: str) -> str:
        folder = workspace / "memory"
        folder.mkdir(exist_ok=True)
        (folder / "2026-11-20.md").write_text(f"note {next(notes)}")
        return "noted"

    async with house(tmp_path, client, functions={"note": note, "look": lambda _: "seen"}, clock=clock) as here:
        for turn in range(TURNS):
            text = "/tool note {}\n/then\n/tool look {}" if turn % 3 == 0 else f"turn {turn}"
            assert (await (await here.say(text)).result()).state == "ok"
            clock.advance(3_600)
    requests = list(client.requests)
    assert len(requests) > TURNS
    for before, after in itertools.pairwise(requests):
        shown = len(before.messages)
        assert as_bytes(after, shown) == as_bytes(before, shown)
        assert len(after.messages) > shown
    assert "likes tea" in requests[0].system
