"""A job: what runs when, for whom, and how it went. Plain data; the shelf and the wire hold the same shape."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from openclaw.automation.schedule import Every, Form, Schedule
from openclaw.base import own_names
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId, OwnerId, SessionKey, TenantId
from openclaw.base.principal import Principal
from openclaw.base.thinking import Thinking

Status: TypeAlias = Literal["ok", "error", "skipped"]
Missed: TypeAlias = Literal["once", "skip"]
"""What becomes of times that passed while the gateway was down: one run for all of them, or none."""
WakeMode: TypeAlias = Literal["now", "next-heartbeat"]

MAX_TEXT_CHARS: Final = 20_000
"""A list of all jobs fits in one frame."""
MAX_ERROR_CHARS: Final = 500
RUN_SCOPES: Final = frozenset(("operator.read", "operator.write"))
"""What a job's runs may do at most: never what changes the gateway, whoever made the job."""


class AgentTurn(Form, frozen=True, tag_field="kind", tag="agentTurn"):
    """A message for an agent."""

    message: str
    model: str | None = None
    thinking: Thinking = ""
    timeout_seconds: float | None = None


class SystemEvent(Form, frozen=True, tag_field="kind", tag="systemEvent"):
    """A line that stands before the main session's next message."""

    text: str


Payload: TypeAlias = AgentTurn | SystemEvent


class Delivery(Form, frozen=True):
    """Where the answer is to be told besides its session."""

    mode: Literal["none", "announce"]
    channel: str | None = None
    account_id: str | None = None
    thread_id: str | int | None = None
    to: str | None = None
    best_effort: bool | None = None


class JobOwner(msgspec.Struct, frozen=True):
    """Whose job it is, and what its maker could do."""

    tenant: TenantId
    owner: OwnerId
    scopes: tuple[str, ...] = ()


class JobState(Form, frozen=True):
    """How it went so far, and when it is due. Times are Unix ms."""

    next_run_at_ms: int | None = None
    running_at_ms: int | None = None
    last_run_at_ms: int | None = None
    last_status: Status | None = None
    last_error: str | None = None
    last_duration_ms: int | None = None
    consecutive_errors: int | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One job. `agent_id` empty is the default agent; `session_target` is main, isolated or session:<name>."""

    id: str
    name: str
    owner: JobOwner
    created_at_ms: int
    updated_at_ms: int
    schedule: Schedule
    payload: Payload
    session_target: str
    wake_mode: WakeMode = "now"
    enabled: bool = True
    delete_after_run: bool = False
    missed: Missed | None = None
    """None: as the configuration says."""
    description: str = ""
    display_name: str = ""
    declaration_key: str = ""
    agent_id: str = ""
    session_key: str = ""
    delivery: Delivery | None = None
    state: JobState = JobState()

    def with_state(self, **changes: Any) -> Job:
        """Return the job with other facts in its state."""
        return msgspec.structs.replace(self, state=msgspec.structs.replace(self.state, **changes))


class RunEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One line of the run log. `ts` is when it ended; `tenant` and `owner` are the job's."""

    ts: int
    job_id: str
    job_name: str
    status: Status
    run_at_ms: int
    run_id: str = ""
    error: str | None = None
    summary: str | None = None
    duration_ms: int | None = None
    next_run_at_ms: int | None = None
    session_id: str | None = None
    session_key: str | None = None
    model: str | None = None
    provider: str | None = None
    tenant: str = ""
    owner: str = ""


def principal_of(owner: JobOwner) -> Principal:
    """Return who a job's runs act as: its owner, with what a run needs of what its maker had."""
    had = RUN_SCOPES if "operator.admin" in owner.scopes else RUN_SCOPES & frozenset(owner.scopes)
    return Principal(owner=owner.owner, tenant=owner.tenant, method="none", scopes=had)


def session_of(job: Job, agent_id: AgentId, run_at_ms: int) -> SessionKey:
    """Return the session that a run of the job speaks in: a fresh one each time for `isolated`."""
    name = job.session_key or "main"
    if job.session_target == "isolated":
        name = f"cron:{job.id}:run:{run_at_ms}"
    elif job.session_target.startswith("session:"):
        name = job.session_target.removeprefix("session:")
    key = SessionKey(name if name.startswith("agent:") else f"agent:{agent_id}:{name}")
    return own_names.kept_key(principal_of(job.owner), key)


def check_job(job: Job) -> None:
    """Refuse a combination that could never run. Raises: InvalidRequest."""
    payload = job.payload
    text = payload.message if isinstance(payload, AgentTurn) else payload.text
    if not text.strip():
        raise InvalidRequest("the job's message is empty")
    if len(text) > MAX_TEXT_CHARS:
        raise InvalidRequest(f"the job's message is longer than {MAX_TEXT_CHARS} characters")
    if isinstance(payload, SystemEvent) and job.session_target == "isolated":
        raise InvalidRequest(
            "a systemEvent goes to the main session; an isolated job needs an agentTurn",
            hint='Use sessionTarget "main", or payload {kind: "agentTurn", message}.',
        )
    if isinstance(payload, AgentTurn) and payload.timeout_seconds is not None and payload.timeout_seconds < 0:
        raise InvalidRequest("timeoutSeconds must be at least 0")


def anchored(schedule: Schedule, now_ms: int) -> Schedule:
    """Return the schedule with its anchor: an interval counts from the moment it was made."""
    if isinstance(schedule, Every) and schedule.anchor_ms is None:
        return msgspec.structs.replace(schedule, anchor_ms=now_ms)
    return schedule


class JobChange(msgspec.Struct, frozen=True):
    """Something happened to a job: what listeners are told."""

    action: Literal["added", "updated", "removed", "started", "finished"]
    job: Job
    run_at_ms: int = 0
    entry: RunEntry | None = None
