"""Jobs, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Refusals, Results, without


def _run(result: dict[str, Any]) -> dict[str, Any]:
    ran: dict[str, Any] = {"ok": result["ok"], "ran": result["enqueued"]}
    return ran | ({"reason": result["reason"]} if "reason" in result else {})


def _runs(result: dict[str, Any]) -> dict[str, Any]:
    drop = without("completionStatus", "runId", "deliveryStatus", "delivered", "deliveryError", "jobName")
    return {"entries": [drop(entry) for entry in result["entries"]]}


def _list(result: dict[str, Any]) -> dict[str, Any]:
    drop = without("effectiveAgentId")
    return {"jobs": [drop(job) for job in result["jobs"]]}


RESULTS: Final[Results] = {
    "cron.status": without("triggersEnabled", "storage", "sqlitePath"),
    "cron.list": _list,
    "cron.run": _run,
    "cron.runs": _runs,
}

REFUSALS: Final[Refusals] = {"cron.remove": {"CRON_JOB_NOT_FOUND": {"ok": True, "removed": False}}}
