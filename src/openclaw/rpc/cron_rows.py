"""Jobs, runs and heartbeats as the wire shows them, and told to those who may hear."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from openclaw.automation.job import Job, JobChange, RunEntry
from openclaw.automation.pulse import Beat
from openclaw.base.principal import Scope
from openclaw.rpc.hub import Hub
from openclaw.rpc.snapshot import of_operator

_NO_CHANNEL: Final = "no channel is configured; the answer is in the job's session"


def job_row(job: Job) -> dict[str, Any]:
    """Return a job; whose it is stays here."""
    row: dict[str, Any] = {
        "id": job.id,
        "name": job.name,
        "enabled": job.enabled,
        "createdAtMs": job.created_at_ms,
        "updatedAtMs": job.updated_at_ms,
        "schedule": msgspec.to_builtins(job.schedule),
        "sessionTarget": job.session_target,
        "wakeMode": job.wake_mode,
        "payload": msgspec.to_builtins(job.payload),
        "state": msgspec.to_builtins(job.state),
    }
    if job.state.last_status is not None:
        row["state"]["lastRunStatus"] = job.state.last_status
    if job.delivery is not None:
        row["delivery"] = msgspec.to_builtins(job.delivery)
    optional = {
        "description": job.description,
        "displayName": job.display_name,
        "declarationKey": job.declaration_key,
        "agentId": job.agent_id,
        "sessionKey": job.session_key,
        "deleteAfterRun": job.delete_after_run,
        "missed": job.missed,
    }
    return row | {name: value for name, value in optional.items() if value}


def entry_row(entry: RunEntry) -> dict[str, Any]:
    """Return a line of the run log."""
    row: dict[str, Any] = msgspec.to_builtins(entry)
    for own in ("tenant", "owner"):
        row.pop(own, None)
    row |= {"action": "finished", "deliveryStatus": "not-requested"}
    if entry.status != "skipped":
        row["completionStatus"] = "succeeded" if entry.status == "ok" else "failed"
    return row


def preview_row(job: Job) -> dict[str, Any]:
    """Return where the answers of a job will be told, in words."""
    if job.delivery is None or job.delivery.mode == "none":
        return {"label": "not requested", "detail": "not requested"}
    return {"label": f"announce -> {job.delivery.channel or 'last'}", "detail": _NO_CHANNEL}


def undelivered(job: Job | None, row: dict[str, Any]) -> dict[str, Any]:
    """Return a line saying so when its job asked for its answer to be announced: there is nowhere to."""
    if job is None or job.delivery is None or job.delivery.mode != "announce":
        return row
    return {**row, "delivered": False, "deliveryStatus": "not-delivered", "deliveryError": _NO_CHANNEL}


def tell_job(hub: Hub, change: JobChange) -> None:
    """Tell what happened to a job to its owner and to administrators."""
    payload: dict[str, Any] = {"jobId": change.job.id, "action": change.action, "job": job_row(change.job)}
    if change.run_at_ms:
        payload["runAtMs"] = change.run_at_ms
    if change.entry is not None:
        line = undelivered(change.job, entry_row(change.entry))
        names = ("status", "error", "summary", "runId", "sessionId", "sessionKey", "durationMs", "deliveryStatus")
        payload |= {name: line[name] for name in names if name in line}
    hub.broadcast("cron", payload, owner=change.job.owner)


def beat_row(beat: Beat) -> dict[str, Any]:
    """Return a heartbeat's outcome."""
    row: dict[str, Any] = {"ts": beat.ts, "status": beat.status, "durationMs": beat.duration_ms}
    if beat.status != "skipped":
        row["hasMedia"] = False
    if beat.preview:
        row["preview"] = beat.preview
    if beat.reason:
        row["reason"] = beat.reason
    return row


def tell_beat(hub: Hub, beat: Beat) -> None:
    """Tell a heartbeat's outcome. Its preview is of an operator's session: administrators hear it."""
    scope: Scope = "operator.admin" if beat.preview else "operator.read"
    hub.broadcast("heartbeat", beat_row(beat), scope, only=lambda peer: of_operator(peer.principal))
