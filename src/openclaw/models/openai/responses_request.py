"""A ModelRequest as the body of a response.

Rules
1. Nothing is stored at the provider: every call carries the whole conversation.
2. A reasoning item goes back as it came, to the model that made it, and only when what it led to follows it.
3. Functions are not `strict`: that mode refuses most schemas that people write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest, ToolSpec
from openclaw.models.openai.request import effort, image_url
from openclaw.models.openai.responses_wire import reasoning_item

Json = dict[str, Any]


def body(
    request: ModelRequest, *, stream: bool, reasoning: bool, fixed_temperature: bool, efforts: Sequence[str] = ()
) -> Json:
    """Return the request body. Shape: `reasoning` models are asked for what their reasoning is sent back with."""
    out: Json = {"model": request.model, "store": False}
    if request.system:
        out["instructions"] = request.system
    out["input"] = items(request)
    if request.tools:
        out["tools"] = [_tool(spec) for spec in request.tools]
        if request.tool_choice:
            out["tool_choice"] = _choice(request.tool_choice)
    if request.max_tokens is not None:
        out["max_output_tokens"] = request.max_tokens
    if request.temperature is not None and not fixed_temperature:
        out["temperature"] = request.temperature
    if word := effort(request, efforts):
        out["reasoning"] = {"effort": word}
    if reasoning:
        out["include"] = ["reasoning.encrypted_content"]
    if stream:
        out["stream"] = True
    return out


def items(request: ModelRequest) -> list[Json]:
    """Return the conversation as input items in order."""
    out: list[Json] = []
    for message in request.messages:
        if message.role == "assistant":
            out.extend(_assistant(message, request.model))
        elif message.role == "tool":
            out.extend(
                {"type": "function_call_output", "call_id": part.call_id, "output": _output(part)}
                for part in message.parts
                if isinstance(part, ToolOutcome)
            )
        else:
            out.append({"type": "message", "role": message.role, "content": _content(message)})
    return out


def _assistant(message: Message, model: str) -> list[Json]:
    out: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart) and part.text:
            content = [{"type": "output_text", "text": part.text, "annotations": []}]
            out.append({"type": "message", "role": "assistant", "content": content})
        elif isinstance(part, ToolCall):
            out.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.arguments})
        elif isinstance(part, ThinkingPart) and (thought := reasoning_item(part, model)):
            out.append(thought)
    while out and out[-1]["type"] == "reasoning":
        out.pop()
    return out


def _content(message: Message) -> list[Json]:
    out: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            out.append({"type": "input_text", "text": part.text})
        elif isinstance(part, ImagePart):
            out.append(_image(part))
    return out


def _output(part: ToolOutcome) -> str | list[Json]:
    if not part.images:
        return part.text
    return [{"type": "input_text", "text": part.text}, *map(_image, part.images)]


def _image(part: ImagePart) -> Json:
    return {"type": "input_image", "image_url": image_url(part), "detail": "auto"}


def _choice(wanted: str) -> str | Json:
    return wanted if wanted in ("none", "required") else {"type": "function", "name": wanted}


def _tool(spec: ToolSpec) -> Json:
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        "strict": False,
    }
