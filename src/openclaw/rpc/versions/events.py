"""Events: which protocol has which, and what they look like in protocol 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.rpc.versions import approvals
from openclaw.rpc.versions.nodes import old_pairing
from openclaw.rpc.versions.shaping import NOT_SENT, Adapt

_BOTH: Final = (
    "connect.challenge",
    "agent",
    "chat",
    "presence",
    "tick",
    "shutdown",
    "health",
    "heartbeat",
    "cron",
    "device.pair.requested",
    "device.pair.resolved",
    "node.pair.requested",
    "node.pair.resolved",
    "node.invoke.request",
    "talk.mode",
    "voicewake.changed",
    "exec.approval.requested",
    "exec.approval.resolved",
)
_SINCE_4: Final = (
    "session.message",
    "session.operation",
    "session.tool",
    "sessions.changed",
    "usage.notice",
    "users.prefs.changed",
    "device.pair.changed",
    "device.pair.setup.completed",
    "node.presence",
    "node.invoke.cancel",
    "chat.metadata.changed",
    "config.changed",
    "plugin.approval.requested",
    "plugin.approval.resolved",
    "question.requested",
    "question.resolved",
    "policy.widened",
    "policy.narrowed",
)
EVENTS: Final[Mapping[int, tuple[str, ...]]] = {3: _BOTH, 4: (*_BOTH, *_SINCE_4)}
"""Events we send, by protocol, as announced in hello."""

_OLD_STREAMS: Final = frozenset(("lifecycle", "assistant", "tool", "thinking", "compaction", "error"))


_CHAT_ONLY_4: Final = ("agentId", "deltaText", "replace", "errorKind")


def _agent(payload: dict[str, Any]) -> Any:
    if payload["stream"] not in _OLD_STREAMS or payload["data"].get("phase") == "model":
        return NOT_SENT
    data = payload["data"]
    if payload["stream"] == "assistant":
        data = {"text": data["text"], "delta": data["delta"]}
    elif data.get("phase") == "end" and "startedAt" in data:
        data = {key: value for key, value in data.items() if key != "startedAt"}
    return {
        "runId": payload["runId"],
        "stream": payload["stream"],
        "data": data,
        "sessionKey": payload["sessionKey"],
        "seq": payload["seq"],
        "ts": payload["ts"],
    }


def _chat(payload: dict[str, Any]) -> Any:
    if payload["state"] == "status":
        return NOT_SENT
    dropped = _CHAT_ONLY_4 if payload["state"] != "final" else (*_CHAT_ONLY_4, "stopReason")
    return {key: value for key, value in payload.items() if key not in dropped}


def _cron(payload: dict[str, Any]) -> Any:
    old = {key: value for key, value in payload.items() if key != "job"}
    due_ms = payload["job"]["state"].get("nextRunAtMs")
    if payload["action"] in ("added", "updated", "finished") and due_ms is not None:
        old["nextRunAtMs"] = due_ms
    return old


_ADAPT: Final[Mapping[str, Adapt]] = {
    "agent": _agent,
    "chat": _chat,
    "cron": _cron,
    "node.pair.requested": old_pairing,
    **approvals.EVENTS,
}


def event_payload(event: str, payload: Any, protocol: int) -> Any:
    """Return an event's payload in the shape of a protocol, or NOT_SENT."""
    if protocol >= 4:
        return payload
    adapt = _ADAPT.get(event)
    return payload if adapt is None else adapt(payload)
