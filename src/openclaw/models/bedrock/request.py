"""A ModelRequest as the body of a Converse call.

Rules
1. A conversation begins with the user; roles alternate: messages of one role are merged, outcomes are the user's.
2. In a user message the tool results stand first, as many as the assistant's calls before it.
3. Blank text is refused: it is left out, and so is an assistant's message that is left with nothing but reasoning.
4. Calls and results are refused in a call that offers no tools: there they are told as text.
5. Reasoning goes back only with the signature that came with it.
6. Images go as bytes: Bedrock fetches nothing from the web, so an address is told as text.
7. Cache marks stand where the model's profile says that it takes them: behind the stable prefix, and behind the last
   message of a call that others follow with the same beginning.
8. Claude takes how much to think as its own API does. A model without a forced tool choice is told of it in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec

from openclaw.base.message import ImagePart, Message, Part, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest
from openclaw.base.thinking import thinks, with_thought
from openclaw.models.anthropic.thought import is_thinking, thought
from openclaw.models.bedrock.model_id import is_claude, takes_choice
from openclaw.models.bedrock.wire import REDACTED
from openclaw.models.tool_choice import choice_note, offered

Json = dict[str, Any]

ID_LIMIT_CHARS = 64
_GOES_ON = frozenset({"interactive", "tools"})
_NOTHING = "(nothing)"
_CACHE: Json = {"cachePoint": {"type": "default"}}
_FOREIGN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_FORMATS = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}


def body(
    request: ModelRequest,
    *,
    cache_marks: frozenset[str],
    fixed_temperature: bool,
    base: str = "",
    max_output_tokens: int = 0,
    adaptive: bool = False,
) -> Json:
    """Return the request body.

    Shape: temperature is capped at 1, the API's highest. `base` is the base model's id, where it is known;
    `max_output_tokens` its longest answer, thought included.
    """
    out = prompt(request, cache_marks=cache_marks, base=base)
    claude = is_claude(base)
    max_tokens = request.max_tokens
    if max_tokens is not None and claude:
        max_tokens = with_thought(max_tokens, request.thinking, max_output_tokens)
    elif claude and thinks(request.thinking):
        max_tokens = max_output_tokens  # the API's own default may be less than the thought alone
    fields = thought(request, max_tokens or max_output_tokens, adaptive=adaptive) if claude else {}
    if fields:
        out["additionalModelRequestFields"] = fields
    settings: Json = {}
    if max_tokens is not None:
        settings["maxTokens"] = max_tokens
    if request.temperature is not None and not fixed_temperature and not is_thinking(fields):
        settings["temperature"] = min(request.temperature, 1.0)
    if settings:
        out["inferenceConfig"] = settings
    return out


def prompt(request: ModelRequest, *, cache_marks: frozenset[str] = frozenset(), base: str = "") -> Json:
    """Return messages, system and tools: what CountTokens takes too."""
    offer = offered(request)
    forced = request.tool_choice not in ("", "none") and bool(offer)
    out: Json = {"messages": messages(request.messages, tools=bool(offer))}
    last = out["messages"][-1]
    if "messages" in cache_marks and request.purpose in _GOES_ON and last["role"] == "user":
        last["content"].append(_CACHE)
    system: list[Json] = []
    if request.system.strip():
        system.append({"text": request.system})
        if "system" in cache_marks:
            system.append(_CACHE)
    notes = (message.text for message in request.messages if message.role == "system")
    system.extend({"text": text} for text in notes if text.strip())
    if forced and not takes_choice(base):
        system.append({"text": choice_note(request)})
    if system:
        out["system"] = system
    if offer:
        tools: list[Json] = []
        for spec in offer:
            tool: Json = {"name": spec.name, "inputSchema": {"json": spec.parameters}}
            if spec.description.strip():
                tool["description"] = spec.description
            tools.append({"toolSpec": tool})
        if "tools" in cache_marks:
            tools.append(_CACHE)
        out["toolConfig"] = {"tools": tools}
        if forced and takes_choice(base):
            named = {"tool": {"name": request.tool_choice}}
            out["toolConfig"]["toolChoice"] = {"any": {}} if request.tool_choice == "required" else named
    return out


def has_reasoning(request: ModelRequest) -> bool:
    """Say whether a request asks for reasoning, or earlier reasoning goes back with it."""
    return bool(request.thinking) or any(
        isinstance(part, ThinkingPart) and _reasoning(part) for message in request.messages for part in message.parts
    )


def without_reasoning(request: ModelRequest) -> ModelRequest:
    """Return the request with no reasoning in it, and none asked for."""
    kept = tuple(
        Message(message.role, tuple(part for part in message.parts if not isinstance(part, ThinkingPart)))
        for message in request.messages
    )
    return msgspec.structs.replace(request, messages=kept, thinking="")


def messages(conversation: Iterable[Message], *, tools: bool) -> list[Json]:
    """Return the conversation with alternating roles, the user's first."""
    out: list[Json] = []
    for message in conversation:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts if (block := _block(part, tools)) is not None]
        if not blocks and message.role == "user":
            blocks.append({"text": _NOTHING})
        if all("reasoningContent" in block for block in blocks):
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"].extend(blocks)
        else:
            out.append({"role": role, "content": blocks})
    if not out or out[0]["role"] == "assistant":
        out.insert(0, {"role": "user", "content": [{"text": _NOTHING}]})
    for message_out in out:
        if message_out["role"] == "user":
            message_out["content"].sort(key=_results_first)
    return out


def _results_first(block: Json) -> bool:
    return "toolResult" not in block


def _block(part: Part, tools: bool) -> Json | None:
    match part:
        case TextPart(text=text):
            return {"text": text} if text.strip() else None
        case ToolCall():
            if not tools:
                return {"text": f"[called {part.name} with {part.arguments}]"}
            return {"toolUse": {"toolUseId": _id(part.id), "name": part.name, "input": _input(part.arguments)}}
        case ToolOutcome():
            if not tools:
                return {"text": f"[{part.name} {'failed' if part.is_error else 'answered'}: {part.text}]"}
            result: Json = {
                "toolUseId": _id(part.call_id),
                "content": [{"text": part.text if part.text.strip() else "(no output)"}, *map(_image, part.images)],
            }
            if part.is_error:
                result["status"] = "error"
            return {"toolResult": result}
        case ThinkingPart():
            return _reasoning(part)
        case ImagePart():
            return _image(part)


def _image(part: ImagePart) -> Json:
    kind = _FORMATS.get(part.media_type.lower())
    if part.data and kind:
        return {"image": {"format": kind, "source": {"bytes": part.data}}}
    return {"text": f"[an image that cannot be shown here: {part.url or part.media_type or 'of unknown type'}]"}


def _reasoning(part: ThinkingPart) -> Json | None:
    # A signature with spaces is what another wire packs its own things into.
    if not part.signature or " " in part.signature:
        return None
    if part.signature.startswith(REDACTED):
        return {"reasoningContent": {"redactedContent": part.signature.removeprefix(REDACTED)}}
    return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}


def _id(call_id: str) -> str:
    """Ids of other providers may be too long or hold characters that are refused; calls and results change alike."""
    clean = _FOREIGN_ID.sub("_", call_id) or "_"
    if len(clean) <= ID_LIMIT_CHARS:
        return clean
    return f"{clean[:40]}_{sha256(call_id.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def _input(arguments: str) -> Json:
    """The API takes an object only; what a model wrote wrongly is shown back to it as text."""
    try:
        found = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {"invalid_json": arguments}
    return found if isinstance(found, dict) else {"value": found}
