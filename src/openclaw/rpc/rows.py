"""Rows of the archive as the wire shows them: transcript messages and sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from openclaw.base.message import ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import Usage
from openclaw.store.api import SessionRow, StepRow

MAX_HISTORY_CHARS: Final = 6_000_000
"""Characters in one history answer: a quarter of the largest frame; older messages are left out beyond it."""

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
        for message in step.messages:
            yield from _rows(message, step)


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
        row["__openclaw"] = {"kind": "compaction", "id": f"{step.session_id}-{step.seq}"}
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


def session_row(row: SessionRow, default_model: str, context_tokens: int) -> dict[str, Any]:
    """Return a session as listed. `model` on the wire has no provider; that stands beside it."""
    provider, model = split_ref(row.model or default_model)
    rest = row.key.split(":", 2)[-1]
    shown: dict[str, Any] = {
        "key": row.key,
        "kind": "group" if ":group:" in row.key else "direct",
        "displayName": row.label or rest,
        "chatType": "group" if ":group:" in row.key else "direct",
        "agentId": row.agent_id,
        "isMain": rest == "main",
        "createdAt": row.created_at_ms,
        "updatedAt": row.updated_at_ms,
        "sessionId": row.id,
        "systemSent": True,
        "abortedLastRun": row.aborted_last_run,
        "inputTokens": row.input_tokens,
        "outputTokens": row.output_tokens,
        "totalTokens": row.input_tokens + row.output_tokens,
        "modelProvider": provider,
        "model": model,
        "contextTokens": context_tokens,
    }
    if row.label:
        shown["label"] = row.label
    if row.thinking:
        shown["thinkingLevel"] = row.thinking
    return shown


def split_ref(ref: str) -> tuple[str, str]:
    """Return provider and model of `provider/model`; a model id may hold slashes of its own."""
    provider, _, model = ref.partition("/")
    return (provider, model) if model else ("", provider)
