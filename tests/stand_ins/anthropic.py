"""A stand-in for the Messages API. Oracle for its honesty: the official client (tests/models/test_oracle.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.stand_ins.server import Answer, Failure, Raw, Request, StandIn, split_text

MODEL = "claude-stand-in"
ROW = {
    "type": "model",
    "id": MODEL,
    "display_name": "Stand-in",
    "created_at": "2026-01-01T00:00:00Z",
    "lifecycle": "active",
    "max_input_tokens": 300_000,
    "max_tokens": 9_000,
}


class AnthropicStandIn(StandIn):
    """`async with AnthropicStandIn([Answer(text="hi")]) as s: … s.base_url …`."""

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """Put a reply into the provider's wire form."""
        path = request.path.partition("?")[0]
        if request.method == "GET" and path == "/v1/models":
            return Raw((_json({"data": [ROW], "has_more": False, "first_id": MODEL, "last_id": MODEL}),))
        if request.method == "GET" and path == f"/v1/models/{MODEL}":
            return Raw((_json(ROW),))
        if isinstance(reply, Failure) and reply.after is None:
            return Raw((_json(_error(reply)),), reply.status, headers=reply.headers)
        if path == "/v1/messages/count_tokens":
            return Raw((_json({"input_tokens": 77}),))
        if (request.method, path) != ("POST", "/v1/messages"):
            return Raw((_json(_error(Failure(404, "not_found_error", "Not found"))),), 404)
        if isinstance(reply, Failure):
            return _stream([*_events(Answer())[: 2 + (reply.after or 0)], _error(reply)], Answer())
        if not request.json.get("stream"):
            return Raw((_json(_message(reply)),), transport=reply.transport)
        events = _events(reply)
        if not reply.omit_finish:
            stop = {"stop_reason": _stop(reply), "stop_sequence": None}
            events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": reply.output_tokens}})
            events.append({"type": "message_stop"})
        return _stream(events, reply)


def _stream(events: list[dict[str, Any]], reply: Answer) -> Raw:
    pieces = [f"event: {event['type']}\ndata: ".encode() + _json(event) + b"\n\n" for event in events]
    if reply.cut_event:
        pieces = [*pieces[:-1], pieces[-1][: len(pieces[-1]) // 2]]
    return Raw(tuple(pieces), content_type="text/event-stream; charset=utf-8", transport=reply.transport, stream=True)


def _events(reply: Answer) -> list[dict[str, Any]]:
    usage = {**_usage(reply), "output_tokens": 1}
    message = {**_message(reply), "content": [], "stop_reason": None, "usage": usage}
    out: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    index = -1
    if reply.thinking:
        index += 1
        out.append(_start(index, {"type": "thinking", "thinking": "", "signature": ""}))
        for piece in split_text(reply.thinking, 2):
            out.append(_delta(index, {"type": "thinking_delta", "thinking": piece}))
        out.append(_delta(index, {"type": "signature_delta", "signature": reply.signature}))
        out.append({"type": "content_block_stop", "index": index})
    if reply.text:
        index += 1
        out.append(_start(index, {"type": "text", "text": ""}))
        out.append({"type": "ping"})
        for piece in split_text(reply.text, reply.pieces):
            out.append(_delta(index, {"type": "text_delta", "text": piece}))
        out.append({"type": "content_block_stop", "index": index})
    for call in reply.calls:
        index += 1
        out.append(_start(index, {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}))
        out.append(_delta(index, {"type": "input_json_delta", "partial_json": ""}))
        for piece in split_text(call.arguments, 3):
            out.append(_delta(index, {"type": "input_json_delta", "partial_json": piece}))
        out.append({"type": "content_block_stop", "index": index})
    return out


def _start(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _message(reply: Answer) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.thinking:
        content.append({"type": "thinking", "thinking": reply.thinking, "signature": reply.signature})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for call in reply.calls:
        content.append(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": msgspec.json.decode(call.arguments)}
        )
    return {
        "id": "msg_stand_in",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": content,
        "stop_reason": _stop(reply),
        "stop_sequence": None,
        "usage": _usage(reply),
    }


def _stop(reply: Answer) -> str | None:
    if reply.omit_finish:
        return None
    return reply.finish or ("tool_use" if reply.calls else "end_turn")


def _usage(reply: Answer) -> dict[str, Any]:
    return {
        "input_tokens": reply.input_tokens - reply.cached_tokens,
        "output_tokens": reply.output_tokens,
        "cache_read_input_tokens": reply.cached_tokens,
        "cache_creation_input_tokens": 0,
    }


def _error(failure: Failure) -> dict[str, Any]:
    kind = failure.code or "api_error"
    return {"type": "error", "error": {"type": kind, "message": failure.message}, "request_id": "req_stand_in"}


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)
