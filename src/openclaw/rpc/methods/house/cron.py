"""cron.*: jobs, their runs and their scratch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.automation.book import MAX_JOBS, Scratch
from openclaw.automation.job import Job, JobOwner, RunEntry
from openclaw.automation.schedule import At, Cron, Every
from openclaw.automation.scheduler import Scheduler, no_job
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import new_id
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.cron_rows import entry_row, job_row, preview_row, undelivered
from openclaw.rpc.cron_wish import AddParams, Patch, changed_job, fresh_job
from openclaw.rpc.hub import sees
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.house.wake import automation_of
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

PAGE: Final = 50
MAX_PAGE: Final = 200
MAX_SCRATCH_BYTES: Final = 262_144

Id = Annotated[str, Meta(min_length=1, max_length=200)]
Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Offset = Annotated[int, Meta(ge=0)]
Query = Annotated[str, Meta(max_length=1_000)]
Outcome = Literal["ok", "error", "skipped"]
_KINDS: Final = {Every: "every", Cron: "cron", At: "at"}


class JobParams(Params, frozen=True):
    """Names a job by `id`, or by `jobId` as some clients do."""

    id: Id = ""
    job_id: Id = ""

    @property
    def job(self) -> str:
        """The id given. Raises: InvalidRequest when there is none."""
        if not (self.id or self.job_id):
            raise InvalidRequest("invalid cron params: must have required property 'id'")
        return self.id or self.job_id


class ListParams(Params, frozen=True):
    """Which jobs, in which order; without a limit all of them, as protocol 3 expects."""

    include_disabled: bool = False
    limit: Limit = MAX_JOBS
    offset: Offset = 0
    query: Query = ""
    enabled: Literal["", "all", "enabled", "disabled"] = ""
    schedule_kind: Literal["all", "at", "every", "cron", "on-exit", "stream"] = "all"
    last_run_status: Literal["all", "ok", "error", "skipped", "unknown"] = "all"
    trigger: Literal["all", "conditional", "unconditional"] = "all"
    sort_by: Literal["nextRunAtMs", "updatedAtMs", "name"] = "nextRunAtMs"
    sort_dir: Literal["asc", "desc"] = "asc"
    agent_id: str = ""
    compact: bool = False
    include_delivery_previews: bool = True


class UpdateParams(JobParams, frozen=True, kw_only=True):
    """A job and what changes of it."""

    patch: Patch


class RunParams(JobParams, frozen=True):
    """A job, and whether it runs in any case."""

    mode: Literal["due", "force", "if-enabled"] = "force"
    expected_process_instance_id: str = ""


class RunsParams(Params, frozen=True):
    """Which lines of the run log."""

    id: Id = ""
    job_id: Id = ""
    agent_id: str = ""
    scope: Literal["", "job", "all"] = ""
    run_id: str = ""
    limit: Limit = PAGE
    offset: Offset = 0
    statuses: tuple[Outcome, ...] = ()
    status: Literal["all", "ok", "error", "skipped"] = "all"
    delivery_statuses: tuple[str, ...] = ()
    delivery_status: str = ""
    query: Query = ""
    sort_dir: Literal["asc", "desc"] = "desc"


class SetScratchParams(JobParams, frozen=True, kw_only=True):
    """What a job notes for itself; null removes it."""

    content: Annotated[str, Meta(max_length=MAX_SCRATCH_BYTES)] | None
    expected_revision: Annotated[int, Meta(ge=0)] | None = None


def _jobs(room: Room) -> Scheduler:
    return automation_of(room).jobs


def _job(room: Room, peer: Peer, job_id: str) -> Job:
    """Return a job that the caller may see; another's looks as if it were not there. Raises: InvalidRequest."""
    job = _jobs(room).job(job_id)
    if not sees(peer.principal, job.owner):
        raise no_job(job_id)
    return job


def cron_status(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return whether jobs run, how many there are, and when the next is due."""
    jobs, path = _jobs(room), room.state_path()
    return {
        "enabled": room.deps.config().config.cron.enabled,
        "triggersEnabled": False,
        "storePath": path,
        "storage": "sqlite",
        "sqlitePath": path,
        "jobs": sum(sees(peer.principal, job.owner) for job in jobs.jobs()),
        "nextWakeAtMs": jobs.next_wake_ms(),
    }


async def cron_list(room: Room, peer: Peer, params: ListParams) -> dict[str, Any]:
    """Return the caller's jobs, a page of them."""
    default = room.deps.agent.default_agent()
    found = [
        job
        for job in _jobs(room).jobs()
        if sees(peer.principal, job.owner) and _wanted(job, params, job.agent_id or default)
    ]
    found.sort(key=_ORDERS[params.sort_by], reverse=params.sort_dir == "desc")
    page = found[params.offset : params.offset + params.limit]
    await room.overlooked(peer, [job.owner for job in page], "job")
    jobs = [{**job_row(job), "effectiveAgentId": job.agent_id or default} for job in page]
    answer: dict[str, Any] = {"jobs": jobs, "snapshotRevision": _revision(found)}
    if params.include_delivery_previews and not params.compact:
        answer["deliveryPreviews"] = {job.id: preview_row(job) for job in page}
    return answer | _paging(len(found), params.offset, params.limit)


def _revision(found: Sequence[Job]) -> str:
    """Return a name of what was found, in its order: pages of one name belong together."""
    marks = "\n".join(f"{job.id} {job.updated_at_ms} {job.state.next_run_at_ms}" for job in found)
    return f"sha256:{sha256(marks.encode()).hexdigest()}"


_ORDERS: Final[dict[str, Callable[[Job], Any]]] = {
    "nextRunAtMs": lambda job: (job.state.next_run_at_ms is None, job.state.next_run_at_ms or 0, job.created_at_ms),
    "updatedAtMs": lambda job: (job.updated_at_ms, job.id),
    "name": lambda job: (job.name.casefold(), job.id),
}


def _wanted(job: Job, params: ListParams, agent_id: str) -> bool:
    which = params.enabled or ("all" if params.include_disabled else "enabled")
    text = f"{job.name}\n{job.description}\n{job.id}".casefold()
    return (
        which in ("all", "enabled" if job.enabled else "disabled")
        and params.schedule_kind in ("all", _KINDS[type(job.schedule)])
        and params.last_run_status in ("all", job.state.last_status or "unknown")
        and params.trigger != "conditional"
        and params.agent_id in ("", agent_id)
        and params.query.casefold() in text
    )


def _paging(total: int, offset: int, limit: int) -> dict[str, Any]:
    beyond = offset + limit
    more = beyond < total
    return {
        "total": total,
        "offset": offset,
        "limit": limit,
        "hasMore": more,
        "nextOffset": beyond if more else None,
    }


async def cron_get(room: Room, peer: Peer, params: JobParams) -> dict[str, Any]:
    """Return one job."""
    job = _job(room, peer, params.job)
    await room.overlooked(peer, (job.owner,), "job")
    return job_row(job)


async def cron_add(room: Room, peer: Peer, params: AddParams) -> dict[str, Any]:
    """Make a job, or bring the one of the same declaration key to this."""
    principal, jobs = peer.principal, _jobs(room)
    owner = JobOwner(principal.tenant, principal.owner, tuple(sorted(principal.scopes)))
    wish = fresh_job(params, owner, new_id(), room.deps.clock.now_ms())
    if not params.declaration_key:
        return job_row(await jobs.add(wish))
    old = next((job for job in jobs.jobs() if _declares(job, params.declaration_key, owner)), None)
    if old is None:
        return {"created": True, "job": job_row(await jobs.add(wish))}
    if _same_wish(old, wish):
        return {"created": False, "updated": False, "job": job_row(old)}
    new = await jobs.update(old.id, lambda now: _brought_to(now, wish))
    return {"created": False, "updated": True, "job": job_row(new)}


def _declares(job: Job, key: str, owner: JobOwner) -> bool:
    return job.declaration_key == key and (job.owner.tenant, job.owner.owner) == (owner.tenant, owner.owner)


def _brought_to(old: Job, wish: Job) -> Job:
    schedule = wish.schedule
    if isinstance(schedule, Every) and isinstance(old.schedule, Every) and schedule.anchor_ms is None:
        schedule = msgspec.structs.replace(schedule, anchor_ms=old.schedule.anchor_ms)
    return msgspec.structs.replace(
        wish, id=old.id, created_at_ms=old.created_at_ms, state=old.state, schedule=schedule, owner=old.owner
    )


def _same_wish(old: Job, wish: Job) -> bool:
    brought = _brought_to(old, wish)
    return msgspec.structs.replace(brought, updated_at_ms=old.updated_at_ms) == old


async def cron_update(room: Room, peer: Peer, params: UpdateParams) -> dict[str, Any]:
    """Change a job."""
    job = _job(room, peer, params.job)
    return job_row(await _jobs(room).update(job.id, lambda now: changed_job(now, params.patch)))


async def cron_remove(room: Room, peer: Peer, params: JobParams) -> dict[str, Any]:
    """Delete a job; a run that is going ends as it would."""
    await _jobs(room).remove(_job(room, peer, params.job).id)
    return {"ok": True, "removed": True}


async def cron_run(room: Room, peer: Peer, params: RunParams) -> dict[str, Any]:
    """Run a job now."""
    started = await _jobs(room).run(_job(room, peer, params.job).id, params.mode)
    if started.run_id:
        return {"ok": True, "enqueued": True, "runId": started.run_id}
    return {"ok": True, "enqueued": False, "reason": started.reason}


async def cron_runs(room: Room, peer: Peer, params: RunsParams) -> dict[str, Any]:
    """Return lines of the run log that are the caller's."""
    jobs = _jobs(room)
    job_id = params.id or params.job_id
    if params.scope == "job" and not job_id:
        raise InvalidRequest("invalid cron.runs params: must have required property 'id'")
    known = {job.id: job for job in jobs.jobs()}
    statuses = params.statuses or (() if params.status == "all" else (params.status,))
    default = room.deps.agent.default_agent()

    def wanted(entry: RunEntry) -> bool:
        job = known.get(entry.job_id)
        agent_id = (entry.session_key or "").split(":", 2)[1:2] or [(job.agent_id if job else "") or default]
        return (
            job_id in ("", entry.job_id)
            and (not statuses or entry.status in statuses)
            and params.run_id in ("", entry.run_id)
            and params.agent_id in ("", agent_id[0])
            and params.query.casefold() in f"{entry.job_name}\n{entry.summary}\n{entry.error}".casefold()
            and _may_see(peer, entry)
        )

    entries = [entry for entry in await jobs.runs() if wanted(entry)]
    await room.overlooked(peer, entries, "job")
    rows = [undelivered(known.get(entry.job_id), entry_row(entry)) for entry in entries]
    shown = {*params.delivery_statuses, *filter(None, (params.delivery_status,))}
    rows = [row for row in rows if not shown or row["deliveryStatus"] in shown]
    if params.sort_dir == "asc":
        rows.reverse()
    page = rows[params.offset : params.offset + params.limit]
    return {"entries": page, **_paging(len(rows), params.offset, params.limit)}


def _may_see(peer: Peer, entry: RunEntry) -> bool:
    viewer = peer.principal
    return viewer.tenant == entry.tenant and (viewer.owner == entry.owner or viewer.may("operator.admin"))


def _scratch_row(scratch: Scratch | None) -> dict[str, Any]:
    there = scratch is not None and scratch.content is not None
    return {
        "scratch": msgspec.to_builtins(scratch) if there else None,
        "currentRevision": scratch.revision if scratch else 0,
        "maxBytes": MAX_SCRATCH_BYTES,
    }


async def scratch_get(room: Room, peer: Peer, params: JobParams) -> dict[str, Any]:
    """Return a job's scratch."""
    return _scratch_row(await _jobs(room).scratch(_job(room, peer, params.job).id))


async def scratch_set(room: Room, peer: Peer, params: SetScratchParams) -> dict[str, Any]:
    """Write or remove a job's scratch."""
    if params.content is not None and len(params.content.encode("utf-8", "replace")) > MAX_SCRATCH_BYTES:
        raise InvalidRequest(f"the scratch is larger than {MAX_SCRATCH_BYTES} bytes")
    job = _job(room, peer, params.job)
    written, scratch = await _jobs(room).set_scratch(job.id, params.content, params.expected_revision)
    if not written:
        return {"ok": False, "reason": "revision-conflict", "currentRevision": scratch.revision}
    return {"ok": True, **_scratch_row(scratch)}


METHODS = (
    MethodSpec(
        "cron.list",
        ListParams,
        "operator.read",
        cron_list,
        "Lists the caller's jobs; an administrator's are everybody's. Jobs that are switched off only when asked for.",
        "`{jobs[], snapshotRevision, deliveryPreviews?, total, offset, limit, hasMore, nextOffset}`: pages of one "
        "`snapshotRevision` belong together; in protocol 3 `{jobs[]}`.",
    ),
    MethodSpec(
        "cron.status",
        NoParams,
        "operator.read",
        cron_status,
        "Says whether jobs run, how many there are, and when the next one is due.",
        "`{enabled, storePath, jobs, nextWakeAtMs}`; protocol 4 adds `triggersEnabled`, `storage`, `sqlitePath`.",
    ),
    MethodSpec(
        "cron.get", JobParams, "operator.read", cron_get, "Returns one job.", "The job, as in cron.list.", since=4
    ),
    MethodSpec(
        "cron.add",
        AddParams,
        "operator.admin",
        cron_add,
        "Makes a job. Its runs act as its maker, with the scopes read and write at most. With a `declarationKey` the "
        "job of that key is brought to what is asked for.",
        "The job; with a `declarationKey` `{created, updated?, job}`.",
    ),
    MethodSpec("cron.update", UpdateParams, "operator.admin", cron_update, "Changes a job.", "The job as it is now."),
    MethodSpec(
        "cron.remove",
        JobParams,
        "operator.admin",
        cron_remove,
        "Deletes a job. Its lines stay in the run log.",
        "`{ok: true, removed: true}`; an unknown job is an error, in protocol 3 `removed: false`.",
    ),
    MethodSpec(
        "cron.run",
        RunParams,
        "operator.admin",
        cron_run,
        "Runs a job now: in any case (`force`), if it is on (`if-enabled`) or if it is due (`due`).",
        "`{ok, enqueued: true, runId}`, or `{ok, enqueued: false, reason}`; in protocol 3 `{ok, ran, reason?}`.",
    ),
    MethodSpec(
        "cron.runs",
        RunsParams,
        "operator.read",
        cron_runs,
        "Returns the run log, the latest first: of one job, or of all.",
        "`{entries: [{ts, jobId, status, runAtMs, durationMs, summary?, error?, sessionKey?}], total, …}`.",
    ),
    MethodSpec(
        "cron.scratch.get",
        JobParams,
        "operator.admin",
        scratch_get,
        "Returns what a job has noted for itself.",
        "`{scratch: {content, revision, updatedAtMs} | null, currentRevision, maxBytes}`.",
        since=4,
    ),
    MethodSpec(
        "cron.scratch.set",
        SetScratchParams,
        "operator.admin",
        scratch_set,
        "Writes a job's scratch, if its revision is still the expected one; null removes it.",
        "`{ok: true, scratch, currentRevision, maxBytes}` or `{ok: false, reason, currentRevision}`.",
        since=4,
    ),
)
