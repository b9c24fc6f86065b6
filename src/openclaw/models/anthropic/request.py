"""A ModelRequest as the body of a Messages call.

Rules
1. Roles alternate: consecutive messages of one role are merged; tool outcomes are the user's.
2. In a user message the tool results stand first: the API refuses text before them.
3. Blank text blocks are refused: they are left out, and so is an answer left with nothing but thinking. A question
   left with nothing gets a placeholder: the conversation begins and ends with the user.
4. Thinking goes back only with the signature the API gave it.
5. The stable prefix (tools, system) carries cache marks; system messages within the conversation come after it. One
   more is on the last block of a conversation that will go on, so that the next call reads all of this one from there.
6. A forced call and thinking exclude each other: the call wins. While it thinks, a model takes no temperature.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from openclaw.base.message import ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest
from openclaw.models.anthropic.thought import is_thinking, thought

Json = dict[str, Any]

REDACTED = "redacted_thinking:"
"""Marks the signature of a ThinkingPart that the API gave us encrypted, to be sent back as such."""
_CACHE: Json = {"type": "ephemeral"}
_GOES_ON = ("interactive", "tools")
"""Purposes of calls that others follow with the same beginning; writing to the cache costs more than it saves else."""
_THOUGHTS = ("thinking", "redacted_thinking")
_NOTHING: Json = {"type": "text", "text": "(empty)"}
_CHOICES: dict[str, Json] = {"none": {"type": "none"}, "required": {"type": "any"}}
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")


def body(
    request: ModelRequest, *, stream: bool, max_tokens: int, fixed_temperature: bool, adaptive: bool = False
) -> Json:
    """Return the request body. Shape: temperature is capped at 1, the API's highest."""
    out: Json = {"model": request.model, "max_tokens": max_tokens, **prompt(request)}
    out.update(thought(request, max_tokens, adaptive=adaptive))
    if request.temperature is not None and not fixed_temperature and not is_thinking(out):
        out["temperature"] = min(request.temperature, 1.0)
    if request.tool_choice and request.tools:
        out["tool_choice"] = _CHOICES.get(request.tool_choice) or {"type": "tool", "name": request.tool_choice}
    if stream:
        out["stream"] = True
    return out


def prompt(request: ModelRequest) -> Json:
    """Return tools, system and messages: what count_tokens takes too."""
    out: Json = {}
    if request.tools:
        tools: list[Json] = [
            {"name": spec.name, "description": spec.description, "input_schema": spec.parameters}
            for spec in request.tools
        ]
        tools[-1]["cache_control"] = _CACHE
        out["tools"] = tools
    system: list[Json] = []
    if request.system.strip():
        system.append({"type": "text", "text": request.system, "cache_control": _CACHE})
    notes = (message.text for message in request.messages if message.role == "system")
    system.extend({"type": "text", "text": text} for text in notes if text.strip())
    if system:
        out["system"] = system
    out["messages"] = messages(request.messages)
    if request.purpose in _GOES_ON and out["messages"] and out["messages"][-1]["role"] == "user":
        out["messages"][-1]["content"][-1]["cache_control"] = _CACHE
    return out


def has_thinking(request: ModelRequest) -> bool:
    """Say whether a request asks for thought, or earlier thinking goes back with it."""
    return bool(request.thinking) or any(
        isinstance(part, ThinkingPart) and _thinking(part) for message in request.messages for part in message.parts
    )


def without_thinking(request: ModelRequest) -> ModelRequest:
    """Return the request with no thinking in it, and none asked for."""
    kept = tuple(
        Message(message.role, tuple(part for part in message.parts if not isinstance(part, ThinkingPart)))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=kept, thinking="")


def messages(conversation: Iterable[Message]) -> list[Json]:
    """Return the conversation with alternating roles."""
    out: list[Json] = []
    for message in conversation:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts if (block := _block(part)) is not None]
        if not blocks and message.role == "user":
            blocks.append(dict(_NOTHING))
        if all(block["type"] in _THOUGHTS for block in blocks):
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"].extend(blocks)
        else:
            if not out and role == "assistant":
                out.append({"role": "user", "content": [dict(_NOTHING)]})
            out.append({"role": role, "content": blocks})
    for message_out in out:
        if message_out["role"] == "user":
            message_out["content"].sort(key=_results_first)
    return out


def _results_first(block: Json) -> bool:
    return bool(block["type"] != "tool_result")


def _block(part: Part) -> Json | None:
    match part:
        case TextPart(text=text):
            return {"type": "text", "text": text} if text.strip() else None
        case ToolCall():
            return {"type": "tool_use", "id": _id(part.id), "name": part.name, "input": _input(part.arguments)}
        case ToolOutcome():
            return _result(part)
        case ThinkingPart():
            return _thinking(part)
        case ImagePart():
            return _image(part)


def _result(part: ToolOutcome) -> Json:
    out: Json = {"type": "tool_result", "tool_use_id": _id(part.call_id)}
    if part.images:
        text = [{"type": "text", "text": part.text}] if part.text.strip() else []
        out["content"] = [*text, *map(_image, part.images)]
    elif part.text.strip():
        out["content"] = part.text
    if part.is_error:
        out["is_error"] = True
    return out


def _image(part: ImagePart) -> Json:
    if part.url:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": part.data}}


def _thinking(part: ThinkingPart) -> Json | None:
    # This API's signatures are base64. One with spaces is what another wire packs its own things into.
    if not part.signature or " " in part.signature:
        return None
    if part.signature.startswith(REDACTED):
        return {"type": "redacted_thinking", "data": part.signature.removeprefix(REDACTED)}
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _id(call_id: str) -> str:
    """Ids of other providers may hold characters that this API refuses; calls and outcomes change alike.

    The checksum keeps apart what would become the same.
    """
    clean = _FOREIGN_ID.sub("_", call_id)
    return clean if clean == call_id and clean else f"{clean}_{zlib.crc32(call_id.encode('utf-8', 'replace')):08x}"


def _input(arguments: str) -> Json:
    """The API takes an object only; what a model wrote wrongly is shown back to it as text."""
    try:
        found = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {"invalid_json": arguments}
    return found if isinstance(found, dict) else {"value": found}
