"""A ModelRequest as the body of a chat completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclaw.base.message import ImagePart, Message, TextPart, ToolOutcome
from openclaw.base.model import ModelRequest, ToolSpec
from openclaw.base.thinking import nearest

Json = dict[str, Any]


DEFAULT_EFFORTS = ("low", "medium", "high")
"""What every server with the field takes."""


def body(
    request: ModelRequest,
    *,
    stream: bool,
    official: bool,
    fixed_temperature: bool,
    efforts: Sequence[str] = (),
) -> Json:
    """Return the request body.

    Shape: `official` servers take `max_completion_tokens`; most compatible ones know only `max_tokens`. `efforts` are
    the words that the model takes for how much to think.
    """
    out: Json = {"model": request.model, "messages": messages(request)}
    if request.tools:
        out["tools"] = [tool(spec) for spec in request.tools]
        if request.tool_choice:
            out["tool_choice"] = choice(request.tool_choice)
    if word := effort(request, efforts):
        out["reasoning_effort"] = word
    if request.max_tokens is not None:
        out["max_completion_tokens" if official else "max_tokens"] = request.max_tokens
    if request.temperature is not None and not fixed_temperature:
        out["temperature"] = request.temperature
    if stream:
        out["stream"] = True
        out["stream_options"] = {"include_usage": True}
    return out


def effort(request: ModelRequest, known: Sequence[str]) -> str:
    """Return the model's word for how much to think, "" to say nothing: as for "off" where no word for it is known."""
    if request.thinking == "off" and not known:
        return ""
    return nearest(request.thinking, known or DEFAULT_EFFORTS)


def choice(wanted: str) -> str | Json:
    """Return a tool choice as the API takes it."""
    return wanted if wanted in ("none", "required") else {"type": "function", "function": {"name": wanted}}


def messages(request: ModelRequest) -> list[Json]:
    """Return the system prompt and the conversation in order."""
    out: list[Json] = [{"role": "system", "content": request.system}] if request.system else []
    for message in request.messages:
        if message.role == "assistant":
            out.append(_assistant(message))
        elif message.role == "tool":
            results = [part for part in message.parts if isinstance(part, ToolOutcome)]
            out.extend({"role": "tool", "tool_call_id": part.call_id, "content": part.text} for part in results)
            # A tool's message holds text only: its images follow as if the user had sent them.
            if shown := [image_part(image) for part in results for image in part.images]:
                out.append({"role": "user", "content": shown})
        else:
            out.append({"role": message.role, "content": _content(message)})
    return out


def tool(spec: ToolSpec) -> Json:
    """Return a tool's declaration."""
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.parameters},
    }


def _assistant(message: Message) -> Json:
    out: Json = {"role": "assistant", "content": message.text or None}
    if calls := message.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    elif not out["content"]:
        out["content"] = ""
    return out


def _content(message: Message) -> str | list[Json]:
    """Plain text as a string: some compatible servers take nothing else."""
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    out: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            out.append({"type": "text", "text": part.text})
        elif isinstance(part, ImagePart):
            out.append(image_part(part))
    return out


def image_part(part: ImagePart) -> Json:
    """Return an image as a piece of content."""
    return {"type": "image_url", "image_url": {"url": image_url(part)}}


def image_url(part: ImagePart) -> str:
    """Return an image's address, its data in it if it has no other."""
    return part.url or f"data:{part.media_type};base64,{part.data}"
