"""Runs and chat, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Results, without


def _chat_send(result: dict[str, Any]) -> dict[str, Any]:
    if result.get("status") == "timeout":
        return {"runId": result["runId"], "status": "ok"}
    return result


def _agent(result: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in result.items() if key not in ("sessionKey", "agentId")}
    if kept.get("summary") == "aborted":
        kept = {key: value for key, value in kept.items() if key not in ("stopReason", "endedAt")}
        kept["status"] = "ok"
    return kept


RESULTS: Final[Results] = {
    "chat.send": _chat_send,
    "agent": _agent,
    "agent.wait": without("stopReason", "livenessState"),
}
