"""A run in the words of the agent API: the same frames over server-sent events and WebSocket."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.errors import InternalError, OpenClawError
from openclaw.base.model import FinishReason, TextDelta
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, ToolFinished, ToolRecord, ToolStarted
from openclaw.protocol.wire_errors import from_dict


class AnswerUsage(msgspec.Struct, frozen=True):
    """Tokens of an answer. The input includes the cached ones."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int


class AgentAnswer(msgspec.Struct, frozen=True):
    """A whole answer. `session_id` continues the conversation; `actions` are the tools that were used."""

    id: str
    agent: str
    session_id: str
    output: str
    model: str
    provider: str
    usage: AnswerUsage
    actions: list[ToolRecord]
    finish_reason: FinishReason


def start_frame(inbound: Inbound, session_id: str) -> dict[str, Any]:
    """The first frame of a run."""
    return {"type": "start", "id": inbound.run_id, "agent": inbound.agent_id, "session_id": session_id}


def event_frame(event: RunEvent, session_id: str) -> dict[str, Any] | None:
    """Return the frame of an event, or None for what clients are not told."""
    if isinstance(event, TextDelta):
        return {"type": "delta", "text": event.text}
    if isinstance(event, ToolStarted):
        return {
            "type": "tool",
            "phase": "start",
            "call_id": event.call_id,
            "name": event.name,
            "arguments": event.arguments,
        }
    if isinstance(event, ToolFinished):
        return {
            "type": "tool",
            "phase": "end",
            "call_id": event.call_id,
            "name": event.name,
            "result": event.result,
            "is_error": event.is_error,
        }
    if isinstance(event, RunEnded):
        reply = event.reply
        return (
            error_frame(failure(reply))
            if failed(reply)
            else {"type": "final", **msgspec.structs.asdict(result(reply, session_id))}
        )
    return None


def failed(reply: Reply) -> bool:
    """Whether there is nothing to show but an error."""
    return reply.state == "error" or (reply.state == "aborted" and not reply.text)


def failure(reply: Reply) -> OpenClawError:
    """Return the error that ended a run."""
    return from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")


def error_frame(error: OpenClawError) -> dict[str, Any]:
    """Return the frame of an error."""
    return {"type": "error", "error": error.as_dict()}


def result(reply: Reply, session_id: str) -> AgentAnswer:
    """Return a whole answer."""
    usage = reply.usage
    return AgentAnswer(
        reply.run_id,
        reply.agent_id,
        session_id,
        reply.text,
        reply.model,
        reply.provider,
        AnswerUsage(usage.input_tokens, usage.output_tokens, usage.total_tokens, usage.cache_read_tokens),
        list(reply.actions),
        reply.finish_reason,
    )
