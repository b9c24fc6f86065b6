"""A transcript is written whole, page by page, in three forms; what was begun anew meanwhile is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from openclaw.cli.transcript import FORMS, AsLines, export, fenced
from openclaw.client.errors import RpcError

pytestmark = pytest.mark.anyio

TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "what is in `a.txt`?", "timestamp": 0},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "look\nfirst"},
            {"type": "toolCall", "id": "c1", "name": "read_file", "arguments": {"path": "a.txt"}},
        ],
        "timestamp": 1_795_175_046_000,
    },
    {
        "role": "toolResult",
        "toolName": "read_file",
        "content": [{"type": "text", "text": "```\n# no heading\n```"}],
        "isError": True,
    },
    {"role": "assistant", "content": [{"type": "text", "text": "日本語"}, {"type": "image", "mimeType": "image/png"}]},
]


class Pages:
    """A gateway that has this talk, two messages a page, and is asked too often once."""

    timeout_s = 1.0

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Pages]:
        yield self

    async def call(self, method: str, params: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        assert method == "sessions.export"
        self.asked.append(dict(params))
        if len(self.asked) == 2:
            raise RpcError("UNAVAILABLE", "too often", retry_after_ms=0)
        after = params["after"]
        left = after + 2 < len(TALK)
        page = TALK[after : after + 2]
        return {"key": "agent:main:main", "sessionId": "s1", "messages": page, "next": after + 2 if left else None}


async def _written(form: str) -> str:
    pieces: list[str] = []
    assert await export(Pages(), "main", FORMS[form](), pieces.append) == len(TALK)  # type: ignore[arg-type]  # as Reach
    return "".join(pieces)


async def test_json_is_one_object_and_jsonl_a_message_a_line() -> None:
    whole = msgspec.json.decode(await _written("json"))
    assert whole == {"key": "agent:main:main", "sessionId": "s1", "messages": TALK}
    assert [msgspec.json.decode(line) for line in (await _written("jsonl")).splitlines()] == TALK


async def test_an_empty_transcript_is_json_too() -> None:
    form = FORMS["json"]()
    assert msgspec.json.decode(form.begin("k", "s") + form.end())["messages"] == []


async def test_markdown_names_who_said_what_when_and_no_result_can_forge_a_heading() -> None:
    text = await _written("markdown")
    assert text.startswith("# agent:main:main\n\nSession s1.\n")
    assert "\n## assistant · 2026-11-20 11:44:06 UTC\n\n> look\n> first\n\ncalls read_file\n\n```json\n" in text
    assert "\n## tool read_file · failed\n\n````\n```\n# no heading\n```\n````\n" in text
    assert text.endswith("日本語\n\n[image: image/png]\n")
    assert fenced("````") == "`````\n````\n`````"


async def test_pages_follow_each_other_and_being_told_to_wait_loses_none() -> None:
    gateway = Pages()
    await export(gateway, "main", AsLines(), lambda _: None)  # type: ignore[arg-type]  # as Reach
    assert [(each["after"], each.get("sessionId")) for each in gateway.asked] == [(0, None), (2, "s1"), (2, "s1")]
