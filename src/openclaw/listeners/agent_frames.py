"""A run in the words of the agent API: the same frames over server-sent events and WebSocket."""

from __future__ import annotations

from typing import Any

from openclaw.base.errors import InternalError, OpenClawError
from openclaw.base.model import TextDelta
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, ToolFinished, ToolStarted
from openclaw.protocol.wire_errors import from_dict


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
        return error_frame(failure(reply)) if failed(reply) else {"type": "final", **result(reply, session_id)}
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


def result(reply: Reply, session_id: str) -> dict[str, Any]:
    """Return a whole answer."""
    usage = reply.usage
    return {
        "id": reply.run_id,
        "agent": reply.agent_id,
        "session_id": session_id,
        "output": reply.text,
        "model": reply.model,
        "provider": reply.provider,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": usage.cache_read_tokens,
        },
        "actions": [
            {
                "id": action.id,
                "name": action.name,
                "arguments": action.arguments,
                "result": action.result,
                "is_error": action.is_error,
            }
            for action in reply.actions
        ],
        "finish_reason": reply.finish_reason,
    }
