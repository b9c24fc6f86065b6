"""InvokeModel for imported and custom models, whose bodies are those of a chat completion.

Source: "Invoke your imported model" in Bedrock's user guide; models imported since November 2025 take this form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.base.model import ModelRequest, ModelResult, Usage
from openclaw.models.assemble import Assembler
from openclaw.models.bedrock.failure import AwsFailures
from openclaw.models.openai import request as chat
from openclaw.models.openai.parser import ChatParser

Json = dict[str, Any]

_INPUT_HEADER = "X-Amzn-Bedrock-Input-Token-Count"
_OUTPUT_HEADER = "X-Amzn-Bedrock-Output-Token-Count"


def body(request: ModelRequest, *, stream: bool, fixed_temperature: bool) -> Json:
    """Return the request body; the address names the model."""
    out = chat.body(request, stream=stream, official=False, fixed_temperature=fixed_temperature)
    del out["model"]
    return out


def result(model: str, failures: AwsFailures, answer: Json, headers: Mapping[str, str]) -> ModelResult:
    """Return a whole answer, read as a stream of one event would be. Raises: ModelError."""
    parser = ChatParser(model, failures.plain)
    assembler = Assembler()
    for event in _events(answer):
        assembler.feed(parser.feed([event]))
    assembler.feed([parser.finish()])
    found = assembler.result()
    if found.usage.total_tokens:
        return found
    return msgspec.structs.replace(found, usage=Usage(_count(headers, _INPUT_HEADER), _count(headers, _OUTPUT_HEADER)))


def _events(answer: Json) -> list[bytes]:
    """The message of a whole answer is what a stream brings in pieces: reasoning first, then the rest."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    if not isinstance(message, dict):
        return [msgspec.json.encode(answer)]
    thought = {name: message[name] for name in ("reasoning_content", "reasoning") if name in message}
    first = {"choices": [{"delta": thought}]}
    rest = {**answer, "choices": [{**choice, "delta": {**message, **dict.fromkeys(thought)}}]}
    return [msgspec.json.encode(first), msgspec.json.encode(rest)]


def _count(headers: Mapping[str, str], name: str) -> int:
    value = headers.get(name) or ""
    return int(value) if value.isdecimal() and len(value) < 10 else 0
