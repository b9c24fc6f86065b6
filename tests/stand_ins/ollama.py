"""A stand-in for Ollama's native API. The official client attests its honesty (tests/models/test_oracle.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.stand_ins.server import Answer, Call, Failure, Raw, Request, StandIn, split_text

MODEL = "stand-in:latest"
CAPABILITIES = ["completion", "tools", "vision", "thinking"]
CONTEXT_TOKENS = 12_288


class OllamaStandIn(StandIn):
    """`async with OllamaStandIn([Answer(text="hi")]) as s: … s.base_url …`.

    Calls come one per line of the stream, as the server sends them when its parser finds them.
    """

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """Put a reply into the provider's wire form."""
        if (request.method, request.path) == ("GET", "/api/tags"):
            return Raw((_json({"models": [_row()]}),))
        if isinstance(reply, Failure) and reply.after is None:
            return Raw((_json(_error(reply)),), reply.status, headers=reply.headers)
        if (request.method, request.path) == ("POST", "/api/show"):
            return self._shown(request)
        if (request.method, request.path) != ("POST", "/api/chat"):
            return Raw((b"404 page not found",), 404, "text/plain")
        if isinstance(reply, Failure):
            return _stream([*_lines(Answer())[: reply.after], _error(reply)], Answer())
        if request.json.get("stream") is False:
            return Raw(
                (_json(_whole(reply)),), content_type="application/json; charset=utf-8", transport=reply.transport
            )
        return _stream(_lines(reply) if reply.omit_finish else [*_lines(reply), _end(reply)], reply)

    def _shown(self, request: Request) -> Raw:
        if request.json["model"] != MODEL:
            return Raw((_json({"error": f"model '{request.json['model']}' not found"}),), 404)
        info = {"general.architecture": "llama", "llama.context_length": CONTEXT_TOKENS, "llama.block_count": 16}
        shown = {"license": "", "modelfile": "", "template": "", "details": _row()["details"], "model_info": info}
        return Raw((_json({**shown, "capabilities": CAPABILITIES, "modified_at": "2026-01-01T00:00:00Z"}),))


def _stream(lines: list[dict[str, Any]], reply: Answer) -> Raw:
    pieces = [_json(line) + b"\n" for line in lines]
    if reply.cut_event:
        pieces = [*pieces[:-1], pieces[-1][: len(pieces[-1]) // 2]]
    return Raw(tuple(pieces), content_type="application/x-ndjson", transport=reply.transport, stream=True)


def _lines(reply: Answer) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [{"content": "", "thinking": piece} for piece in split_text(reply.thinking, 2)]
    messages += [{"content": piece} for piece in split_text(reply.text, reply.pieces)]
    messages += [{"content": "", "tool_calls": [_call(index, call)]} for index, call in enumerate(reply.calls)]
    return [_line({"role": "assistant", **message}) for message in messages]


def _whole(reply: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.thinking:
        message["thinking"] = reply.thinking
    if reply.calls:
        message["tool_calls"] = [_call(index, call) for index, call in enumerate(reply.calls)]
    return {**_end(reply), "message": message, "done": not reply.omit_finish}


def _end(reply: Answer) -> dict[str, Any]:
    counts = {"prompt_eval_count": reply.input_tokens, "eval_count": reply.output_tokens}
    return {
        **_line({"role": "assistant", "content": ""}),
        "done": True,
        "done_reason": reply.finish or "stop",
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        **({} if reply.omit_usage else counts),
        "eval_duration": 2_000_000,
    }


def _line(message: dict[str, Any]) -> dict[str, Any]:
    return {"model": MODEL, "created_at": "2026-01-01T00:00:00Z", "message": message, "done": False}


def _call(index: int, call: Call) -> dict[str, Any]:
    arguments = msgspec.json.decode(call.arguments)
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}


def _row() -> dict[str, Any]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "1B",
        "quantization_level": "Q4_K_M",
    }
    return {
        "name": MODEL,
        "model": MODEL,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 1_000_000,
        "digest": "0" * 64,
        "details": details,
    }


def _error(failure: Failure) -> dict[str, Any]:
    return {"error": failure.message}


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
