"""Rows of the archive as the wire shows them: transcript messages and sessions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from openclaw.base.message import ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import Usage
from openclaw.store.api import SessionMarks, SessionRow, StepRow

MAX_HISTORY_CHARS: Final = 6_000_000
"""Characters in one history answer: a quarter of the largest frame; older messages are left out beyond it."""

_MESSAGE_ID: Final = re.compile(r"(.+)-([0-9]{1,15})(?:\.([0-9]{1,5}))?", re.DOTALL)
_STOP_REASONS: Final = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "toolUse",
    "content_filter": "error",
    "aborted": "aborted",
    "error": "error",
}


def stop_reason(finish_reason: str) -> str:
    """Return the wire's word for why an answer ended."""
    return _STOP_REASONS.get(finish_reason, finish_reason or "stop")


def usage_row(usage: Usage) -> dict[str, Any]:
    """Return token counts; `input` is what was not cached, as clients expect."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input": max(0, usage.input_tokens - cached),
        "output": usage.output_tokens,
        "cacheRead": usage.cache_read_tokens,
        "cacheWrite": usage.cache_write_tokens,
        "totalTokens": usage.total_tokens,
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0},
    }


def text_message(text: str, at_ms: int) -> dict[str, Any]:
    """Return an assistant message of one text part, as chat events carry it."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}], "timestamp": at_ms}


def message_rows(steps: Iterable[StepRow]) -> Iterator[dict[str, Any]]:
    """Yield the messages of a transcript, oldest first. A tool message becomes one row per outcome."""
    for step in steps:
        for index, row in enumerate(row for message in step.messages for row in _rows(message, step)):
            own = row.setdefault("__openclaw", {})
            own |= {"id": message_id(step, index), "seq": step.seq}
            if step.kind == "inbound" and step.run_id:  # by this a client knows its own message again
                row["idempotencyKey"] = own["idempotencyKey"] = input_id(step.run_id)
            yield row


def input_id(run_id: str) -> str:
    """Return the id of what a run was asked."""
    return f"{run_id}:user"


def answer_id(run_id: str) -> str:
    """Return the id of what a run answered."""
    return f"{run_id}:assistant"


def find_step(steps: Sequence[StepRow], event_id: str) -> StepRow | None:
    """Return the step of what a run was asked or answered, by that message's id."""
    run_id, _, side = event_id.rpartition(":")
    kind = {"user": "inbound", "assistant": "model"}.get(side)
    return next((step for step in reversed(steps) if step.run_id == run_id and step.kind == kind), None)


def message_id(step: StepRow, index: int = 0) -> str:
    """Return the id of the row at a place among those of its step: the one under which events told it, if they did."""
    if index == 0 and step.run_id:
        if step.kind == "inbound":
            return input_id(step.run_id)
        if step.kind == "model" and len(step.messages) == 1:  # it called no tools, so it is what the run answered
            return answer_id(step.run_id)
    first = f"{step.session_id}-{step.seq}"
    return f"{first}.{index}" if index else first


def parse_message_id(text: str) -> tuple[str, int, int]:
    """Return session id, seq and place of an id that names them; seq 0 (which no step has) for any other text."""
    found = _MESSAGE_ID.fullmatch(text)
    return (found[1], int(found[2]), int(found[3] or 0)) if found else ("", 0, 0)


def preview_items(steps: Iterable[StepRow], max_chars: int) -> list[dict[str, str]]:
    """Return role and text of each message that has a text, cut to `max_chars`."""
    items = []
    for row in message_rows(steps):
        text = "".join(part.get("text", "") for part in row["content"] if part["type"] == "text")
        if text:
            role = "tool" if row["role"] == "toolResult" else row["role"]
            items.append({"role": role, "text": text if len(text) <= max_chars else text[: max_chars - 3] + "..."})
    return items


def fitting(rows: list[dict[str, Any]], max_chars: int = MAX_HISTORY_CHARS) -> list[dict[str, Any]]:
    """Cut long texts and leave out the oldest messages until the answer fits in a frame."""
    kept: list[dict[str, Any]] = []
    room_left = MAX_HISTORY_CHARS
    for row in reversed(rows):
        for part in row["content"]:
            for name in ("text", "thinking"):
                if len(part.get(name, "")) > max_chars:
                    part[name] = part[name][:max_chars] + "…"
        room_left -= sum(_size(part) for part in row["content"])
        if room_left < 0 and kept:
            break
        kept.append(row)
    kept.reverse()
    return kept


def newest(rows: list[dict[str, Any]], max_bytes: int) -> list[dict[str, Any]]:
    """Return the last messages that fit into some bytes of JSON, one at least."""
    left, start = max_bytes, len(rows)
    while start > 0:
        left -= len(msgspec.json.encode(rows[start - 1]))
        if left < 0 and start < len(rows):
            break
        start -= 1
    return rows[start:]


def _size(part: dict[str, Any]) -> int:
    return sum(len(str(value)) for value in part.values())


def _rows(message: Message, step: StepRow) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolOutcome):
                yield {
                    "role": "toolResult",
                    "toolCallId": part.call_id,
                    "toolName": part.name,
                    "content": [{"type": "text", "text": part.text}],
                    "isError": part.is_error,
                    "timestamp": step.at_ms,
                }
        return
    row: dict[str, Any] = {
        "role": message.role,
        "content": [_content(part) for part in message.parts],
        "timestamp": step.at_ms,
    }
    if step.kind == "summary":
        row["role"] = "system"
        row["__openclaw"] = {"kind": "compaction"}
    if message.role == "assistant" and step.kind == "model":
        row["provider"] = step.provider
        row["model"] = step.model
        row["usage"] = usage_row(step.usage)
        row["stopReason"] = stop_reason(step.finish_reason)
    yield row


def _content(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, ThinkingPart):
        shown = {"type": "thinking", "thinking": part.text}
        return {**shown, "thinkingSignature": part.signature} if part.signature else shown
    if isinstance(part, ToolCall):
        return {"type": "toolCall", "id": part.id, "name": part.name, "arguments": arguments(part.arguments)}
    if isinstance(part, ImagePart):
        if part.url:
            return {"type": "image", "url": part.url}
        return {"type": "image", "mimeType": part.media_type, "data": part.data}
    return {"type": "text", "text": part.text}


def arguments(text: str) -> Any:
    """Return a call's arguments as JSON; what a model wrote wrongly stays text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def session_row(
    row: SessionRow, default_model: str, context_tokens: int, runs: Sequence[str] = (), now_ms: int = 0
) -> dict[str, Any]:
    """Return a session as listed. `model` on the wire has no provider; that stands beside it.

    Shape: `runs` are those that go or wait in it; a note that has run out at `now_ms` is not shown.
    """
    provider, model = split_ref(row.model or default_model)
    rest = row.key.split(":", 2)[-1]
    group = ":group:" in row.key
    shown: dict[str, Any] = {
        "key": row.key,
        "kind": "group" if group else "direct",
        "displayName": row.label or rest,
        "chatType": "group" if group else "direct",
        "classification": _classification(rest),
        "agentId": row.agent_id,
        "isMain": rest == "main",
        "isBackground": rest.startswith("cron:"),
        "visibility": "shared",
        "permissionModePending": False,
        "createdAt": row.created_at_ms,
        "updatedAt": row.updated_at_ms,
        "sessionId": row.id,
        "lifecycleRevision": row.id,
        "systemSent": True,
        "abortedLastRun": row.aborted_last_run,
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "totalTokens": row.prompt_tokens,
        "totalTokensFresh": bool(row.prompt_tokens) or not row.input_tokens,
        "modelProvider": provider,
        "model": model,
        "modelOverrideSource": "user" if row.model else None,
        "hasActiveRun": bool(runs),
        "activeRunIds": list(runs),
        "archived": bool(row.marks.archived_at_ms),
        "pinned": bool(row.marks.pinned_at_ms),
        "unread": bool(row.marks.unread_at_ms),
        **marks_row(row.marks, now_ms),
    }
    if context_tokens:
        shown["contextTokens"] = context_tokens
    if runs:
        shown |= {"status": "running", "lastRunId": runs[0]}
    if row.label:
        shown["label"] = row.label
    if row.thinking:
        shown["thinkingLevel"] = row.thinking
    return shown


def _classification(rest: str) -> str:
    """Return what kind of session a key is of: by the first part of its name where that says so."""
    head = rest.partition(":")[0]
    return head if head in ("main", "cron", "dashboard", "subagent") else "direct"


def marks_row(marks: SessionMarks, now_ms: int) -> dict[str, Any]:
    """Return what people put on a session, without what is not there."""
    named = {
        "archivedAt": marks.archived_at_ms,
        "pinnedAt": marks.pinned_at_ms,
        "markedUnreadAt": marks.unread_at_ms,
        "lastReadAt": marks.read_at_ms,
        "category": marks.category,
        "icon": marks.icon,
        "color": marks.color,
        "boardFace": marks.board_face,
        "parentSessionKey": marks.parent,
        "forkedFromParent": marks.forked,
    }
    shown = {name: value for name, value in named.items() if value}
    if (marks.note or marks.attention) and (not marks.note_until_ms or marks.note_until_ms > now_ms):
        status = {"note": marks.note, "attention": marks.attention, "expiresAt": marks.note_until_ms}
        shown["agentStatus"] = {name: value for name, value in status.items() if value}
    return shown


def split_ref(ref: str) -> tuple[str, str]:
    """Return provider and model of `provider/model`; a model id may hold slashes of its own."""
    provider, _, model = ref.partition("/")
    return (provider, model) if model else ("", provider)
