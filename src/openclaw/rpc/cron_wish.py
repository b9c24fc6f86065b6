"""What clients ask of a job, read into one: parts that this gateway does not offer are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.automation.job import AgentTurn, Delivery, Job, JobOwner, Missed, Payload, SystemEvent, WakeMode
from openclaw.automation.schedule import At, Cron, Every, Schedule
from openclaw.base.errors import InvalidRequest, NotSupported
from openclaw.protocol.validate import Params, convert

T = TypeVar("T")

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Key = Annotated[str, Meta(min_length=1, max_length=512)]
Target = Annotated[str, Meta(pattern="^(main|isolated|current|session:.+)$", max_length=512)]
Fields = dict[str, Any]


class JobFields(Params, frozen=True):
    """What a new job and a change of one have in common; what is UNSET stays as it is."""

    display_name: Name | UnsetType | None = UNSET
    agent_id: Key | UnsetType | None = UNSET
    session_key: Key | UnsetType | None = UNSET
    description: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    delete_after_run: bool | UnsetType = UNSET
    missed: Missed | UnsetType | None = UNSET
    delivery: Fields | UnsetType = UNSET
    pacing: Fields | UnsetType | None = UNSET
    trigger: Fields | UnsetType | None = UNSET
    failure_alert: Literal[False] | Fields | UnsetType | None = UNSET


class AddParams(JobFields, frozen=True, kw_only=True):
    """A new job. With a `declarationKey` the job of that key is brought to this, if there is one."""

    name: Name
    schedule: Fields
    session_target: Target
    payload: Fields
    wake_mode: WakeMode = "now"
    declaration_key: Name = ""
    owner: Fields | None = None


class Patch(JobFields, frozen=True):
    """What changes of a job. A payload or delivery of the same kind is merged, another one replaces it."""

    name: Name | UnsetType = UNSET
    schedule: Fields | UnsetType = UNSET
    session_target: Target | UnsetType = UNSET
    payload: Fields | UnsetType = UNSET
    wake_mode: WakeMode | UnsetType = UNSET


_SCHEDULES: Final[Mapping[str, type[Schedule]]] = {"every": Every, "cron": Cron, "at": At}
_PAYLOADS: Final[Mapping[str, type[Payload]]] = {"agentTurn": AgentTurn, "systemEvent": SystemEvent}
_IGNORED: Final = ("lightContext", "allowUnsafeExternalContent", "toolsAllowIsDefault")
"""Hints that loosen nothing when they are not taken."""


def schedule_of(given: Fields, method: str) -> Schedule:
    """Return the schedule asked for. Raises: NotSupported, InvalidRequest."""
    if given.get("kind") in ("on-exit", "stream"):
        raise _not_offered("schedules that start programs", "Use kind every, cron or at.")
    return _read(given, _SCHEDULES, "schedule", method)


def payload_of(given: Fields, method: str, old: Payload | None = None) -> Payload:
    """Return the payload asked for, upon the old one. Raises: NotSupported, InvalidRequest."""
    if given.get("kind") in ("command", "script"):
        raise _not_offered("jobs that run programs", "Give an agent the task as an agentTurn.")
    if given.get("toolsAllow") not in (None, ["*"]):
        raise _not_offered("a tool list per job", "Give the job an agent (agentId) that has only these tools.")
    if given.get("fallbacks"):
        raise _not_offered("fallback models per job", "The agent's own fallbacks apply.")
    wish = {name: value for name, value in given.items() if name not in (*_IGNORED, "toolsAllow", "fallbacks")}
    before = msgspec.to_builtins(old) if old is not None else {}
    if before.get("kind") == wish.get("kind"):
        wish = before | wish
    wish = {name: value for name, value in wish.items() if value is not None}
    return _read(wish, _PAYLOADS, "payload", method)


def delivery_of(given: Fields, method: str, old: Delivery | None = None) -> Delivery:
    """Return the delivery asked for, upon the old one. Raises: NotSupported, InvalidRequest."""
    wants_more = any(given.get(name) for name in ("failureDestination", "completionDestination"))
    if given.get("mode") == "webhook" or wants_more:
        raise _not_offered("delivery of a job's answer to an address", "Read the answers with cron.runs.")
    wish = (msgspec.to_builtins(old) if old is not None else {"mode": "none"}) | given
    wish = {name: value for name, value in wish.items() if value is not None}
    return convert(wish, Delivery, method)


def fresh_job(params: AddParams, owner: JobOwner, job_id: str, now_ms: int) -> Job:
    """Return the job that `cron.add` asks for. Raises: InvalidRequest, NotSupported."""
    schedule = schedule_of(params.schedule, "cron.add")
    payload = payload_of(params.payload, "cron.add")
    job = Job(
        id=job_id,
        name=params.name,
        owner=owner,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        schedule=schedule,
        payload=payload,
        session_target=_target(params.session_target, params.session_key),
        wake_mode=params.wake_mode,
        declaration_key=params.declaration_key,
        delete_after_run=isinstance(schedule, At),
        delivery=Delivery(mode="announce") if params.session_target == "isolated" else None,
    )
    return _with_fields(job, params, "cron.add")


def changed_job(job: Job, patch: Patch) -> Job:
    """Return a job as `cron.update` asks for it. Raises: InvalidRequest, NotSupported."""
    changes: dict[str, Any] = {}
    for name in ("name", "wake_mode"):
        value = getattr(patch, name)
        if value is not UNSET:
            changes[name] = value
    if patch.schedule is not UNSET:
        changes["schedule"] = schedule_of(patch.schedule, "cron.update")
    if patch.payload is not UNSET:
        changes["payload"] = payload_of(patch.payload, "cron.update", job.payload)
    if patch.session_target is not UNSET:
        changes["session_target"] = _target(patch.session_target, patch.session_key)
    return _with_fields(msgspec.structs.replace(job, **changes), patch, "cron.update")


def _with_fields(job: Job, given: JobFields, method: str) -> Job:
    for name in ("pacing", "trigger", "failure_alert"):
        if getattr(given, name):
            raise _not_offered(f"{name.replace('_', ' ')} of jobs", "Leave it out.")
    changes: dict[str, Any] = {}
    for name in ("display_name", "agent_id", "session_key", "description"):
        if getattr(given, name) is not UNSET:
            changes[name] = getattr(given, name) or ""
    for name in ("enabled", "delete_after_run", "missed"):
        if getattr(given, name) is not UNSET:
            changes[name] = getattr(given, name)
    if given.delivery is not UNSET:
        changes["delivery"] = delivery_of(given.delivery, method, job.delivery)
    return msgspec.structs.replace(job, **changes)


def _target(wanted: str, session_key: str | UnsetType | None) -> str:
    """Return where the job speaks; `current` is the session that came along, else the main one."""
    if wanted != "current":
        return wanted
    rest = session_key.split(":", 2)[2:] if isinstance(session_key, str) and session_key.startswith("agent:") else []
    return f"session:{rest[0]}" if rest else "main"


def _read(given: Fields, kinds: Mapping[str, type[T]], what: str, method: str) -> T:
    """Read one of several kinds; what is wrong is told of the kind that was meant, not of every one."""
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise InvalidRequest(f"invalid {method} params: at /{what}/kind: must be one of {', '.join(kinds)}")
    try:
        return msgspec.convert(given, kinds[kind])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"invalid {method} params: at /{what}: {error}") from None


def _not_offered(what: str, hint: str) -> NotSupported:
    return NotSupported(f"this gateway does not offer {what}", hint=hint)
