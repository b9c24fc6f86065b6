"""A stand-in for OpenAI's two APIs. The official client attests its honesty (tests/models/test_oracle.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.stand_ins import responses
from tests.stand_ins.server import Answer, Failure, Raw, Request, StandIn, split_text

MODEL = "stand-in-1"
CREATED = 1_790_000_000


class OpenAIStandIn(StandIn):
    """`async with OpenAIStandIn([Answer(text="hi")]) as s: … s.base_url …`."""

    prefix = "/v1"

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """Put a reply into the provider's wire form."""
        path = request.path.partition("?")[0]
        if request.method == "GET" and path == "/v1/models":
            rows = [{"id": MODEL, "object": "model", "created": CREATED, "owned_by": "stand-in"}]
            return Raw((_json({"object": "list", "data": rows}),))
        if (request.method, path) == ("POST", "/v1/responses"):
            return _response(request, reply)
        if (request.method, path) != ("POST", "/v1/chat/completions"):
            return Raw((_json(_error(Failure(404, "unknown_url", f"Invalid URL ({request.method} {path})"))),), 404)
        if isinstance(reply, Failure):
            if reply.after is None:
                return Raw((_json(_error(reply)),), reply.status, headers=reply.headers)
            deltas = _deltas(Answer())[: reply.after]
            return _stream([*map(_chunk, deltas), _error(reply)], Answer(), done=False)
        if not request.json.get("stream"):
            return Raw((_json(_completion(reply)),), transport=reply.transport)
        chunks = [_chunk(delta) for delta in _deltas(reply)]
        if not reply.omit_finish:
            chunks.append(_chunk({}, _finish(reply)))
            wanted = (request.json.get("stream_options") or {}).get("include_usage")
            if wanted and not reply.omit_usage:
                chunks.append({**_chunk({}), "choices": [], "usage": _usage(reply)})
        return _stream(chunks, reply, done=not reply.omit_finish)


def _response(request: Request, reply: Answer | Failure) -> Raw:
    if isinstance(reply, Failure):
        if reply.after is None:
            return Raw((_json(_error(reply)),), reply.status, headers=reply.headers)
        return responses.broken(reply, MODEL)
    if request.json.get("stream"):
        return responses.stream(reply, MODEL)
    return Raw((_json(responses.whole(reply, MODEL)),), transport=reply.transport)


def _stream(chunks: list[dict[str, Any]], reply: Answer, *, done: bool) -> Raw:
    pieces = [b"data: " + _json(chunk) + b"\n\n" for chunk in chunks]
    if reply.cut_event:
        pieces = [*pieces[:-1], pieces[-1][: len(pieces[-1]) // 2]]
    elif done:
        pieces.append(b"data: [DONE]\n\n")
    return Raw(tuple(pieces), content_type="text/event-stream", transport=reply.transport, stream=True)


def _deltas(reply: Answer) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    out += [{"reasoning_content": piece} for piece in split_text(reply.thinking, 2)]
    out += [{"content": piece} for piece in split_text(reply.text, reply.pieces)]
    for index, call in enumerate(reply.calls):
        head = {"name": call.name, "arguments": ""}
        out.append({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": head}]})
        for piece in split_text(call.arguments, 3):
            out.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    return out


def _chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }


def _completion(reply: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.calls
        ]
    out: dict[str, Any] = {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": CREATED,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}],
    }
    if not reply.omit_usage:
        out["usage"] = _usage(reply)
    return out


def _finish(reply: Answer) -> str | None:
    if reply.omit_finish:
        return None
    return reply.finish or ("tool_calls" if reply.calls else "stop")


def _usage(reply: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.input_tokens,
        "completion_tokens": reply.output_tokens,
        "total_tokens": reply.input_tokens + reply.output_tokens,
        "prompt_tokens_details": {"cached_tokens": reply.cached_tokens},
    }


def _error(failure: Failure) -> dict[str, Any]:
    return {
        "error": {"message": failure.message, "type": "stand_in_error", "param": None, "code": failure.code or None}
    }


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
