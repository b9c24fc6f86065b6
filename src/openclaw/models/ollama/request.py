"""A ModelRequest as the body of /api/chat.

Rules
1. Arguments of calls are objects; what a model wrote wrongly is shown back to it as text.
2. Images are base64 without a media type; the API fetches none, so one that is only an address becomes its address.
3. `num_ctx` is always said: the server's own default is small, and it cuts longer prompts without a word.
4. Thinking goes back with the calls that it led to, as the API's own example of a tool loop does, and nowhere else.
5. The API has no tool choice: what must be called is said in the system prompt.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolOutcome
from openclaw.base.model import ModelRequest, ToolSpec
from openclaw.base.thinking import nearest, thinks
from openclaw.models.tool_choice import choice_note, offered

Json = dict[str, Any]
_SECONDS = re.compile(r"-?\d+")


def body(request: ModelRequest, *, stream: bool, num_ctx: int, keep_alive: str) -> Json:
    """Return the request body. Shape: `keep_alive` is a duration such as 5m, a number of seconds, or "" for none."""
    options: Json = {"num_ctx": num_ctx}
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    if request.temperature is not None:
        options["temperature"] = request.temperature
    # Without `stream` the API streams.
    out: Json = {"model": request.model, "messages": messages(request), "stream": stream, "options": options}
    if tools := offered(request):
        out["tools"] = [_tool(spec) for spec in tools]
    if request.thinking:
        out["think"] = _think(request)
    if keep_alive:
        # As text a number without a unit is refused.
        out["keep_alive"] = int(keep_alive) if _SECONDS.fullmatch(keep_alive) else keep_alive
    return out


def messages(request: ModelRequest) -> list[Json]:
    """Return the system prompt and the conversation in order."""
    system = "\n\n".join(filter(None, (request.system, choice_note(request))))
    out: list[Json] = [{"role": "system", "content": system}] if system else []
    for message in request.messages:
        if message.role == "assistant":
            out.append(_assistant(message))
        elif message.role == "tool":
            results = [part for part in message.parts if isinstance(part, ToolOutcome)]
            out.extend(
                {"role": "tool", "content": part.text, "tool_name": part.name, "tool_call_id": part.call_id}
                for part in results
            )
            # Models' templates show the images of users only.
            if shown := tuple(image for part in results for image in part.images):
                out.append(_said(Message("user", shown)))
        else:
            out.append(_said(message))
    return out


def _think(request: ModelRequest) -> bool | str:
    """Levels are for gpt-oss alone, which cannot leave thinking; other models refuse them."""
    if "gpt-oss" in request.model:
        return nearest(request.thinking, ("low", "medium", "high"))
    return thinks(request.thinking)


def _assistant(message: Message) -> Json:
    out: Json = {"role": "assistant", "content": message.text}
    if calls := message.tool_calls:
        thoughts = [part.text for part in message.parts if isinstance(part, ThinkingPart) and not part.signature]
        if thoughts:
            out["thinking"] = "\n\n".join(thoughts)
        out["tool_calls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": _object(call.arguments)}} for call in calls
        ]
    return out


def _said(message: Message) -> Json:
    lines: list[str] = []
    images: list[str] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            lines.append(part.text)
        elif isinstance(part, ImagePart):
            if part.data:
                images.append(part.data)
            else:
                lines.append(f"\n[image: {part.url}]")
    out: Json = {"role": message.role, "content": "".join(lines)}
    if images:
        out["images"] = images
    return out


def _object(arguments: str) -> Json:
    try:
        found = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {"invalid_json": arguments}
    return found if isinstance(found, dict) else {"value": found}


def _tool(spec: ToolSpec) -> Json:
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.parameters},
    }
