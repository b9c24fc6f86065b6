"""The log's line of a run: who asked whom, through which door, what it took. Never what was said."""

from __future__ import annotations

import logging

from openclaw.base.run import Inbound, Reply

_log = logging.getLogger("openclaw.agent")


def log_ended(inbound: Inbound, reply: Reply) -> None:
    """Write one line for a run that ended. Shape: `duration_ms` from acceptance, `tokens` of all its model calls."""
    if not _log.isEnabledFor(logging.INFO):
        return
    fields: dict[str, object] = {
        "request_id": reply.run_id,
        "session": reply.session_key,
        "agent": reply.agent_id,
        "channel": inbound.source,
        "principal": inbound.principal.owner,
        "provider": reply.provider,
        "model": reply.model,
        "tokens": reply.usage.total_tokens,
        "duration_ms": max(0, reply.ended_at_ms - reply.accepted_at_ms) if reply.ended_at_ms else 0,
        "state": reply.state,
    }
    if reply.error is not None:
        fields["code"] = reply.error.get("code")
    _log.info("run_ended", extra={"fields": fields})
