"""skills.*: what skills there are, what their audit says, and changing them. Nothing of one is run from here."""

from __future__ import annotations

import asyncio
import base64
import binascii
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.agent.skill import Skill, Skills
from openclaw.base.errors import InvalidRequest, NotSupported, Unavailable
from openclaw.base.secret import masked
from openclaw.ops.skill_desk import MAX_VOUCHED_MS, SkillDesk, Terms, said
from openclaw.policy.skill.audit import FILE_NAME, Report
from openclaw.policy.skill.finding import Row, shown
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

READS = Rate(30, 3)
Digest = Annotated[str, Meta(pattern="^([a-fA-F0-9]{64})?$")]
NotEmpty = Annotated[str, Meta(min_length=1, max_length=512)]


class SkillsStatusParams(Params, frozen=True):
    """Whose skills: those of the agent, or of the agent that a session belongs to; neither means the default agent."""

    agent_id: NotEmpty = ""
    session_key: NotEmpty = ""


class SkillsSearchParams(Params, frozen=True):
    """What to look for."""

    query: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class SkillsDetailParams(Params, frozen=True):
    """Names a skill of the public catalogue."""

    slug: NotEmpty


class SkillsLibraryListParams(Params, frozen=True):
    """Filters of an empty list."""

    session_key: NotEmpty = ""
    scope: Literal["mine", "team", "all"] = "all"


class SkillTerms(Params, frozen=True):
    """With `why` the caller vouches for the content: for `forMs` (0 = for good), and for rows that failed."""

    why: Annotated[str, Meta(max_length=500)] = ""
    accepts: Annotated[tuple[Row, ...], Meta(max_length=16)] = ()
    for_ms: Annotated[int, Meta(ge=0, le=MAX_VOUCHED_MS)] = 0


class SkillsInstallParams(SkillTerms, frozen=True):
    """What to install, in the words of either protocol. `url` is a repository's, with its commit."""

    name: str = ""
    install_id: str = ""
    source: str = ""
    slug: str = ""
    version: str = ""
    upload_id: str = ""
    url: Annotated[str, Meta(max_length=1024)] = ""
    sha256: str = ""
    force: bool = False
    dangerously_force_unsafe_install: bool = False
    accept_powers: bool = False
    agent_id: str = ""
    session_key: str = ""
    timeout_ms: Annotated[int, Meta(ge=0)] | UnsetType = UNSET


class SkillsAuditParams(Params, frozen=True):
    """Which skills of which agent; no name means all of them."""

    name: str = ""
    agent_id: NotEmpty = ""


class SkillsLockParams(SkillTerms, frozen=True, kw_only=True):
    """Names a skill that lies in an agent's workspace or in the managed folder."""

    name: NotEmpty
    agent_id: NotEmpty = ""


class SkillsSecurityVerdictsParams(Params, frozen=True):
    """Whose skills."""

    agent_id: NotEmpty = ""


class SkillsRemoveParams(Params, frozen=True):
    """Names a managed skill."""

    slug: NotEmpty


class SkillsUploadBeginParams(Params, frozen=True):
    """Announces an archive. `sha256` is hexadecimal."""

    kind: Literal["skill-archive"]
    slug: NotEmpty
    size_bytes: Annotated[int, Meta(ge=1)]
    sha256: Digest = ""
    force: bool = False
    idempotency_key: Annotated[str, Meta(max_length=2048)] = ""


class SkillsUploadChunkParams(Params, frozen=True):
    """The next piece of an archive."""

    upload_id: NotEmpty
    offset: Annotated[int, Meta(ge=0)]
    data_base64: Annotated[str, Meta(min_length=1, max_length=5_592_408)]


class SkillsUploadCommitParams(Params, frozen=True):
    """Says that an archive is whole."""

    upload_id: NotEmpty
    sha256: Digest = ""


class SkillsUpdateParams(Params, frozen=True):
    """What to change of a skill."""

    skill_key: str = ""
    enabled: bool | UnsetType = UNSET
    api_key: str | UnsetType = UNSET
    env: dict[str, str] | UnsetType = UNSET
    source: str = ""
    slug: str = ""
    all: bool = False
    force: bool = False
    agent_id: str = ""

    __repr__ = masked


async def skills_status(room: Room, peer: Peer, params: SkillsStatusParams) -> dict[str, Any]:
    """Read the folders of an agent in a thread and judge what is there."""
    named = params.agent_id
    if params.session_key:
        named = room.agent_of(room.session_key(peer.principal, params.session_key, named))
    agent_id = room.agent(peer.principal, named)
    workspace = _workspace(room, agent_id)
    skills = room.deps.skills
    found = [] if skills is None else await asyncio.to_thread(_rows, skills, workspace, agent_id)
    return {
        "workspaceDir": str(workspace),
        "managedSkillsDir": "" if skills is None else str(skills.managed),
        "agentId": agent_id,
        "skills": found,
    }


def _rows(skills: Skills, workspace: Path, agent_id: str) -> list[dict[str, Any]]:
    return [_row(skill, skills) for skill in skills.of(workspace, agent_id)]


def _row(skill: Skill, skills: Skills) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": skill.name,
        "description": skill.description,
        "source": skill.source,
        "bundled": False,
        "filePath": str(skill.folder / FILE_NAME),
        "baseDir": str(skill.folder),
        "skillKey": skill.key,
        "always": skill.always,
        "disabled": skill.standing.answer == "disabled",
        "blockedByAllowlist": not skill.listed,
        "eligible": skill.usable,
        "requirements": skill.needs,
        "missing": skill.missing,
        "configChecks": [{"path": path, "satisfied": skills.is_set(path)} for path in skill.needs.config],
        "install": skill.install,
        "standing": skill.standing.answer,
    }
    if skill.standing.why:
        row["blockedReason"] = skill.standing.why
    if entry := skill.standing.entry:
        row["audit"] = {"digest": entry.digest, "version": entry.version, "state": entry.state, "rows": entry.rows}
        if entry.origin:
            row["audit"]["origin"] = entry.origin
        if entry.vouched:
            row["vouched"] = entry.vouched
    optional = {"emoji": skill.emoji, "homepage": skill.homepage, "primaryEnv": skill.primary_env}
    return row | {name: value for name, value in optional.items() if value}


def skills_search(room: Room, peer: Peer, params: SkillsSearchParams) -> dict[str, Any]:
    """Return nothing: no catalogue of strangers' skills is asked."""
    return {"results": []}


def skills_detail(room: Room, peer: Peer, params: SkillsDetailParams) -> dict[str, Any]:
    """Return no skill, for the same reason."""
    return {"skill": None, "latestVersion": None, "metadata": None, "owner": None}


def skills_library_list(room: Room, peer: Peer, params: SkillsLibraryListParams) -> dict[str, Any]:
    """Return an empty library."""
    return {"skills": []}


def skills_upload_begin(room: Room, peer: Peer, params: SkillsUploadBeginParams) -> dict[str, Any]:
    """Keep room for an archive."""
    upload_id = _desk(room).begin(params.slug, params.size_bytes, params.sha256)
    return {"uploadId": upload_id, "receivedBytes": 0, "sizeBytes": params.size_bytes}


def skills_upload_chunk(room: Room, peer: Peer, params: SkillsUploadChunkParams) -> dict[str, Any]:
    """Add a piece."""
    try:
        data = base64.b64decode(params.data_base64, validate=True)
    except binascii.Error as error:
        raise InvalidRequest("dataBase64 is not base64") from error
    return {"uploadId": params.upload_id, "receivedBytes": _desk(room).add(params.upload_id, params.offset, data)}


async def skills_upload_commit(room: Room, peer: Peer, params: SkillsUploadCommitParams) -> dict[str, Any]:
    """Check the whole."""
    digest = await asyncio.to_thread(_desk(room).commit, params.upload_id, params.sha256)
    return {"uploadId": params.upload_id, "sha256": digest, "committed": True}


async def skills_install(room: Room, peer: Peer, params: SkillsInstallParams) -> dict[str, Any]:
    """Install an upload, or a commit's folder, that passes its door; refuse whatever else is meant."""
    if params.source not in ("upload", "git"):
        what = (
            "no catalogue of skills is connected" if params.source else "this gateway installs no programs for skills"
        )
        raise NotSupported(what, hint="`openclaw skills install FOLDER|ARCHIVE` installs a skill that you have.")
    desk = _desk(room)
    terms = Terms(
        replace=params.force, wider=params.accept_powers, why=params.why, accepts=params.accepts, for_ms=params.for_ms
    )
    if params.source == "git":
        change = await desk.fetch(peer.principal, params.url, terms)
    else:
        change = await desk.install(peer.principal, params.upload_id, params.slug, params.sha256, terms)
    slug = change.report.name
    done = "updated" if change.replaced else "installed"
    if change.confined:
        done += ", and confined: a conversation that reads it can only read"
    return {
        "ok": True,
        "message": f"{slug} is {done}",
        "stdout": "",
        "stderr": "",
        "code": 0,
        "slug": slug,
        "more": change.more,
        "less": change.less,
        "audit": _report(change.report),
    }


async def skills_update(room: Room, peer: Peer, params: SkillsUpdateParams) -> dict[str, Any]:
    """Switch a skill on or off; refuse whatever else is meant."""
    if params.source or not params.skill_key:
        raise NotSupported("no catalogue of skills is connected", hint="`openclaw skills update FOLDER|ARCHIVE`.")
    if params.api_key is not UNSET or params.env is not UNSET or params.enabled is UNSET:
        raise NotSupported(
            "this gateway gives skills no keys or variables of their own", hint="`enabled` is what can be changed."
        )
    workspace = _workspace(room, room.agent(peer.principal, params.agent_id))
    await _desk(room).switch(workspace, params.skill_key, enabled=params.enabled)
    return {"ok": True, "skillKey": params.skill_key, "config": {"enabled": params.enabled}}


async def skills_remove(room: Room, peer: Peer, params: SkillsRemoveParams) -> dict[str, Any]:
    """Remove a managed skill."""
    await _desk(room).remove(params.slug)
    return {"ok": True, "slug": params.slug}


async def skills_audit(room: Room, peer: Peer, params: SkillsAuditParams) -> dict[str, Any]:
    """Audit what lies there now."""
    workspace = _workspace(room, room.agent(peer.principal, params.agent_id))
    found = await asyncio.to_thread(_desk(room).audit, workspace, params.name)
    return {
        "skills": [
            {
                **_report(report),
                "baseDir": str(skill.folder),
                "standing": skill.standing.answer,
                "reason": skill.standing.why,
            }
            for skill, report in found
        ]
    }


async def skills_lock(room: Room, peer: Peer, params: SkillsLockParams) -> dict[str, Any]:
    """Audit a skill where it lies and bind it to its content."""
    workspace = _workspace(room, room.agent(peer.principal, params.agent_id))
    terms = Terms(why=params.why, accepts=params.accepts, for_ms=params.for_ms)
    found = await _desk(room).lock(peer.principal, workspace, params.name, terms)
    return {"ok": True, **_report(found.report), "baseDir": str(found.folder)}


async def skills_security_verdicts(room: Room, peer: Peer, params: SkillsSecurityVerdictsParams) -> dict[str, Any]:
    """Say of each skill what its lock says of its audit. No registry is asked."""
    agent_id = room.agent(peer.principal, params.agent_id)
    skills, workspace = room.deps.skills, _workspace(room, agent_id)
    found = [] if skills is None else await asyncio.to_thread(skills.of, workspace, agent_id)
    return {"schema": "openclaw.skills.security-verdicts.v1", "items": [_verdict(skill) for skill in found]}


def _verdict(skill: Skill) -> dict[str, Any]:
    standing = skill.standing
    entry = standing.entry if standing.answer not in ("changed", "unaudited") else None
    version = entry.version if entry else ""
    reasons = [standing.why] if standing.why else []
    if entry:
        reasons += [f"{row}: {state}" for row, state in entry.rows.items() if state != "pass"]
    return {
        "registry": "local",
        "ok": standing.loads,
        "decision": (entry.state if entry and standing.answer == "ready" else standing.answer),
        "reasons": reasons,
        "requestedSlug": shown(skill.name) or skill.folder.name,
        "requestedVersion": version or "none",
        "slug": entry.name if entry else None,
        "version": version or None,
        "displayName": entry.name if entry else None,
        "securityStatus": entry.state if entry else None,
        "securityPassed": entry.state != "fail" if entry else None,
    }


def _report(report: Report) -> dict[str, Any]:
    return {
        "name": report.name,
        "version": report.version,
        "digest": report.digest,
        "state": report.state,
        "rows": report.rows,
        "declared": report.declared,
        "observed": report.observed,
        "findings": [{"state": each.state, "text": said(each)} for each in report.findings],
    }


def _workspace(room: Room, agent_id: str) -> Path:
    return Path(next(agent.workspace for agent in room.deps.agent.agents() if agent.id == agent_id))


def _desk(room: Room) -> SkillDesk:
    if room.deps.skill_desk is None:
        raise Unavailable("this gateway keeps no skills")
    return room.deps.skill_desk


METHODS = (
    MethodSpec(
        "skills.status",
        SkillsStatusParams,
        "operator.read",
        skills_status,
        "Lists the skills of an agent, from its workspace and the managed folder, and what each of them lacks.",
        "`{workspaceDir, managedSkillsDir, agentId, skills: [{name, description, source, bundled, filePath, baseDir, "
        "skillKey, emoji?, homepage?, always, disabled, blockedByAllowlist, eligible, requirements{bins, anyBins, env, "
        "config, os}, missing{}, configChecks[], install[]}]}`",
        rate=READS,
    ),
    MethodSpec(
        "skills.search",
        SkillsSearchParams,
        "operator.read",
        skills_search,
        "Searches a public catalogue of skills: none is connected.",
        "`{results: []}`",
        since=4,
    ),
    MethodSpec(
        "skills.detail",
        SkillsDetailParams,
        "operator.read",
        skills_detail,
        "Describes a skill of a public catalogue: none is connected.",
        "`{skill: null, latestVersion: null, metadata: null, owner: null}`",
        since=4,
    ),
    MethodSpec(
        "skills.library.list",
        SkillsLibraryListParams,
        "operator.read",
        skills_library_list,
        "Lists skills that people keep in a shared library: there is none.",
        "`{skills: []}`",
        since=4,
    ),
    MethodSpec(
        "skills.audit",
        SkillsAuditParams,
        "operator.read",
        skills_audit,
        "Audits an agent's skills as they lie there, or one of them. Nothing of a skill is run.",
        "`{skills: [{name, version, digest, state, rows{}, declared{}, observed{}, findings[{state, text}], baseDir, "
        "standing, reason}]}`; states are `pass`, `warn` and `fail`.",
        announced=False,
        rate=READS,
    ),
    MethodSpec(
        "skills.lock",
        SkillsLockParams,
        "operator.admin",
        skills_lock,
        "Audits a skill where it lies and binds it to its content: from then on it is loaded while it stays so. With "
        "`why` the caller vouches for that content, until `forMs` is over; `accepts` names rows that fail.",
        "`{ok, name, version, digest, state, rows{}, declared{}, observed{}, findings[], baseDir}`, or POLICY_DENIED.",
        announced=False,
    ),
    MethodSpec(
        "skills.securityVerdicts",
        SkillsSecurityVerdictsParams,
        "operator.read",
        skills_security_verdicts,
        "Says of each skill of an agent whether it is loaded, and what its audit said. No registry is asked.",
        "`{schema, items: [{registry, ok, decision, reasons[], requestedSlug, requestedVersion, slug, version, "
        "displayName, securityStatus, securityPassed}]}`; the registry is `local`.",
        since=4,
        rate=READS,
    ),
    MethodSpec(
        "skills.remove",
        SkillsRemoveParams,
        "operator.admin",
        skills_remove,
        "Removes a managed skill and its place in the lock.",
        "`{ok, slug}`",
        announced=False,
    ),
    MethodSpec(
        "skills.upload.begin",
        SkillsUploadBeginParams,
        "operator.admin",
        skills_upload_begin,
        "Announces a skill's archive (.zip, .tar, .tar.gz; 16 MiB at most). It is kept in memory.",
        "`{uploadId, receivedBytes, sizeBytes}`",
        since=4,
    ),
    MethodSpec(
        "skills.upload.chunk",
        SkillsUploadChunkParams,
        "operator.admin",
        skills_upload_chunk,
        "Adds the next piece of an archive.",
        "`{uploadId, receivedBytes}`; CONFLICT for a gap.",
        since=4,
    ),
    MethodSpec(
        "skills.upload.commit",
        SkillsUploadCommitParams,
        "operator.admin",
        skills_upload_commit,
        "Checks size and SHA-256 of an archive.",
        "`{uploadId, sha256, committed}`",
        since=4,
    ),
    MethodSpec(
        "skills.install",
        SkillsInstallParams,
        "operator.admin",
        skills_install,
        'Installs a skill that passes its audit: an upload (`source: "upload"`), or a folder of a commit '
        '(`source: "git"`, `url: "git+https://HOST/REPOSITORY@COMMIT#FOLDER"`). `force` replaces one of that name, '
        "`acceptPowers` agrees to what it may do beyond that; `why`, `accepts` and `forMs` as for `skills.lock`. "
        "Catalogues and programs: NOT_SUPPORTED.",
        "`{ok, message, stdout, stderr, code, slug, more{}, less{}, audit{}}`; POLICY_DENIED with the findings.",
    ),
    MethodSpec(
        "skills.update",
        SkillsUpdateParams,
        "operator.admin",
        skills_update,
        "Switches an audited skill on or off. Keys and variables of skills: NOT_SUPPORTED.",
        "`{ok, skillKey, config{enabled}}`",
    ),
)
