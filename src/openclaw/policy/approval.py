"""One request to a person (may this run? what do you answer?), from asking to its end. Pure: the desk keeps and tells.

1. A request is pending until the first of: a person's decision, its time, the loss of those who could decide or wait.
2. What came first holds: a request that has ended never changes.
3. A person decides what the request offers; `deny` is always offered.
4. A decision is about this request alone: its owner, agent, session and the plan written in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeGuard, get_args

import msgspec

from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.base.ids import OwnerId, TenantId
from openclaw.base.principal import Principal

Kind = Literal["exec", "plugin", "system-agent", "question"]
Decision = Literal["allow-once", "allow-always", "deny"]
Status = Literal["pending", "allowed", "denied", "answered", "expired", "cancelled"]
Reason = Literal["", "user", "timeout", "no-route", "run-aborted", "gateway-restart"]
Answers = Mapping[str, tuple[str, ...]]

DECISIONS: Final[tuple[Decision, ...]] = get_args(Decision)


class Approval(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request and what became of it. Times are Unix ms; `request` is the JSON that approvers are shown.

    Shape: `reviewers`, when there are any, are the only devices that may see and decide it; `needs` is a scope that its
    decision takes besides. `follow` names what is done once it is allowed, with `kept`, which nobody is shown.
    """

    id: str
    kind: Kind
    tenant: TenantId
    owner: OwnerId
    request: Mapping[str, Any]
    created_at_ms: int
    expires_at_ms: int
    agent_id: str = ""
    session_key: str = ""
    offered: tuple[Decision, ...] = DECISIONS
    reviewers: tuple[str, ...] = ()
    needs: str = ""
    follow: str = ""
    kept: Mapping[str, str] = {}
    status: Status = "pending"
    reason: Reason = ""
    decision: Decision | None = None
    answers: Answers | None = None
    resolved_at_ms: int = 0
    resolved_by: str = ""

    @property
    def place(self) -> str:
        """The id of its record: requests in the order they were made."""
        return f"{self.created_at_ms:014d}.{self.id}"


def is_decision(text: str) -> TypeGuard[Decision]:
    """Say whether a text is one of the decisions there are."""
    return text in DECISIONS


def may_know(viewer: Principal, approval: Approval) -> bool:
    """Say whether somebody may learn how a request ended: it is theirs, or their role shows them everybody's sessions.

    A question is a part of a conversation: it is its owner's and administrators' alone.
    """
    whose = viewer.rows_of if approval.kind == "question" else viewer.looks_at
    return viewer.tenant == approval.tenant and whose in (None, approval.owner)


def may_review(viewer: Principal, approval: Approval) -> bool:
    """Say whether somebody may also decide it: with the scope and on one of the devices that it names, if it does."""
    if approval.needs and not viewer.may(approval.needs):
        return False
    return may_know(viewer, approval) and (not approval.reviewers or viewer.device in approval.reviewers)


def decided(approval: Approval, decision: Decision, by: str, now_ms: int) -> Approval:
    """Return the request with a person's decision.

    Raises: NotFound when its time is over, Conflict when it has ended otherwise, InvalidRequest when it is not offered.
    """
    _require_open(approval, now_ms)
    if decision != "deny" and decision not in approval.offered:
        raise InvalidRequest(
            f"{decision} is not offered for this approval",
            hint=f"Offered: {', '.join(approval.offered)}.",
            details={"reason": "APPROVAL_DECISION_UNAVAILABLE"},
        )
    status: Status = "denied" if decision == "deny" else "allowed"
    return _ended(approval, status, "user", by, now_ms, decision=decision)


def answered(approval: Approval, answers: Answers | None, by: str, now_ms: int) -> Approval:
    """Return a question with a person's answers; None: they would not answer. Raises: as `decided`."""
    _require_open(approval, now_ms)
    return _ended(approval, "cancelled" if answers is None else "answered", "user", by, now_ms, answers=answers)


def expired(approval: Approval, now_ms: int) -> Approval:
    """Return a pending request whose time is over."""
    return _ended(approval, "expired", "timeout", "", now_ms)


def unheard(approval: Approval, now_ms: int) -> Approval:
    """Return a request that nobody could be asked: denied."""
    return _ended(approval, "denied", "no-route", "", now_ms, decision="deny")


def cut_off(approval: Approval, reason: Literal["run-aborted", "gateway-restart"], now_ms: int) -> Approval:
    """Return a pending request that nobody waits for any more."""
    return _ended(approval, "cancelled", reason, "", now_ms)


def remaining_s(approval: Approval, now_ms: int) -> float:
    """Return the time left, in seconds, at least 0."""
    return max(approval.expires_at_ms - now_ms, 0) / 1000


def unknown(approval_id: str) -> NotFound:
    """Return the error for a request that is not there, is over, or is not the asker's to see."""
    return NotFound(
        "unknown or expired approval id",
        hint=f"Ask for a new approval: {approval_id[:64]!r} is not pending.",
        details={
            "reason": "APPROVAL_NOT_FOUND",
            "remediation": "Ask again for the action: what is pending ends with its time or with a restart.",
        },
    )


def already_ended() -> Conflict:
    """Return the error for a second decision."""
    return Conflict("approval already resolved", details={"reason": "APPROVAL_ALREADY_RESOLVED"})


def _require_open(approval: Approval, now_ms: int) -> None:
    if approval.status == "expired" or (approval.status == "pending" and now_ms >= approval.expires_at_ms):
        raise unknown(approval.id)
    if approval.status != "pending":
        raise already_ended()


def _ended(
    approval: Approval,
    status: Status,
    reason: Reason,
    by: str,
    now_ms: int,
    *,
    decision: Decision | None = None,
    answers: Answers | None = None,
) -> Approval:
    return msgspec.structs.replace(
        approval,
        status=status,
        reason=reason,
        resolved_by=by,
        resolved_at_ms=now_ms,
        decision=decision,
        answers=answers,
    )
