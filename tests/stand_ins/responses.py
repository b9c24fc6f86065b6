"""The Responses API's part of the OpenAI stand-in."""

from __future__ import annotations

from typing import Any

import msgspec

from tests.stand_ins.server import Answer, Failure, Raw, split_text

Json = dict[str, Any]
_FINISHED = {
    "length": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "content_filter": "content_filter",
}


def whole(reply: Answer, model: str) -> Json:
    """Return a response that is not streamed."""
    status = _status(reply)
    output: list[Json] = [] if reply.omit_finish and not reply.text else _items(reply)
    reason = _FINISHED.get(reply.finish)
    return {
        "id": "resp_stand_in",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None if reply.omit_usage else _usage(reply),
    }


def stream(reply: Answer, model: str) -> Raw:
    """Return a streamed response."""
    events = deltas(reply, model)
    if not reply.omit_finish:
        kind = "response.incomplete" if reply.finish in _FINISHED else "response.completed"
        events.append({"type": kind, "response": whole(reply, model)})
    return framed(events, reply)


def broken(failure: Failure, model: str) -> Raw:
    """Return a stream that fails after some events: with `response.failed` if the failure has a code we know there."""
    events = deltas(Answer(), model)[: 3 + (failure.after or 0)]
    error = {"code": failure.code or "server_error", "message": failure.message}
    if failure.code in ("server_error", "rate_limit_exceeded"):
        failed = {**whole(Answer(), model), "status": "failed", "error": error, "output": []}
        events.append({"type": "response.failed", "response": failed})
    else:
        events.append({"type": "error", "param": None, **error})
    return framed(events, Answer())


def framed(events: list[Json], reply: Answer) -> Raw:
    """Number the events and put them on the wire."""
    pieces = [
        f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode({**event, "sequence_number": number}) + b"\n\n"
        for number, event in enumerate(events)
    ]
    if reply.cut_event:
        pieces = [*pieces[:-1], pieces[-1][: len(pieces[-1]) // 2]]
    return Raw(tuple(pieces), content_type="text/event-stream; charset=utf-8", transport=reply.transport, stream=True)


def deltas(reply: Answer, model: str) -> list[Json]:
    """Return all events but the last."""
    begun = {**whole(reply, model), "status": "in_progress", "output": [], "usage": None}
    out: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for index, item in enumerate(_items(reply)):
        at = {"output_index": index, "item_id": item["id"]}
        empty: Json = {"content": []} if item["type"] == "message" else {"arguments": ""}
        if item["type"] == "reasoning":
            empty = {"summary": []}
        started = {**item, **empty, "status": "in_progress"}
        started.pop("encrypted_content", None)
        out.append({"type": "response.output_item.added", "output_index": index, "item": started})
        out += {"reasoning": _thought, "message": _text, "function_call": _call}[item["type"]](item, at, reply)
        out.append({"type": "response.output_item.done", "output_index": index, "item": item})
    return out


def _thought(item: Json, at: Json, reply: Answer) -> list[Json]:
    place = {**at, "summary_index": 0}
    part = {"type": "summary_text", "text": reply.thinking}
    kind = "response.reasoning_summary_"
    return [
        {"type": f"{kind}part.added", **place, "part": {**part, "text": ""}},
        *({"type": f"{kind}text.delta", **place, "delta": piece} for piece in split_text(reply.thinking, 2)),
        {"type": f"{kind}text.done", **place, "text": reply.thinking},
        {"type": f"{kind}part.done", **place, "part": part},
    ]


def _text(item: Json, at: Json, reply: Answer) -> list[Json]:
    place = {**at, "content_index": 0}
    part = item["content"][0]
    pieces = split_text(reply.text, reply.pieces)
    return [
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []} for piece in pieces),
        {"type": "response.output_text.done", **place, "text": reply.text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
    ]


def _call(item: Json, at: Json, reply: Answer) -> list[Json]:
    kind = "response.function_call_arguments"
    return [
        *({"type": f"{kind}.delta", **at, "delta": piece} for piece in split_text(item["arguments"], 3)),
        {"type": f"{kind}.done", **at, "name": item["name"], "arguments": item["arguments"]},
    ]


def _items(reply: Answer) -> list[Json]:
    out: list[Json] = []
    if reply.thinking:
        summary = [{"type": "summary_text", "text": reply.thinking}]
        thought: Json = {"type": "reasoning", "id": "rs_stand_in", "summary": summary}
        if reply.signature:
            thought["encrypted_content"] = reply.signature
        out.append(thought)
    if reply.text:
        content = [{"type": "output_text", "text": reply.text, "annotations": []}]
        out.append(
            {"type": "message", "id": "msg_stand_in", "role": "assistant", "status": "completed", "content": content}
        )
    out.extend(
        {
            "type": "function_call",
            "id": f"fc_{index}",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
            "status": "completed",
        }
        for index, call in enumerate(reply.calls)
    )
    return out


def _status(reply: Answer) -> str:
    if reply.omit_finish:
        return "in_progress"
    return "incomplete" if reply.finish in _FINISHED else "completed"


def _usage(reply: Answer) -> Json:
    return {
        "input_tokens": reply.input_tokens,
        "input_tokens_details": {"cached_tokens": reply.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": reply.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.input_tokens + reply.output_tokens,
    }
