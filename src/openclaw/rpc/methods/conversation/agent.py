"""agent, agent.wait, agents.list, agent.identity.get: run an agent and wait for it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.base import own_names
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.base.ids import AgentId, SessionKey
from openclaw.base.run import Inbound, Reply
from openclaw.base.thinking import thinking_level
from openclaw.protocol.validate import NoParams, Params
from openclaw.protocol.wire_errors import from_dict
from openclaw.rpc.attachments import Attachment, user_message
from openclaw.rpc.method import Failed, MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import agents_for, default_for
from openclaw.rpc.room import Room
from openclaw.rpc.rows import stop_reason, usage_row

RUNS: Final = Rate(2000, 500)
"""Runs of one principal: far above any person, below what would drown the archive's writer."""

MAX_WAIT_MS: Final = 600_000
LONGEST_S: Final = 30 * 86_400
"""No run is given more time than this; whoever asks for more gets it, and a number past every float breaks nothing."""

POLL_S: Final = 0.1
ARCHIVE_EVERY: Final = 20
"""Looks at what goes and what ended lately, for each look into the archive: many may wait for what never comes."""

MAX_SEARCHED: Final = 1000
"""Sessions, the latest ones, among which one is looked for by its id."""

RunKey = Annotated[str, Meta(min_length=1, max_length=512)]


class AgentParams(Params, frozen=True):
    """`idempotencyKey` becomes the run's id. `sessionId` names a session when `sessionKey` does not. What concerns
    channels is accepted and has no meaning yet; what would change how the run is made, at its default only."""

    message: Annotated[str, Meta(min_length=1)]
    idempotency_key: RunKey
    agent_id: str = ""
    session_key: str = ""
    session_id: str = ""
    to: str = ""
    reply_to: str = ""
    provider: str = ""
    model: str = ""
    thinking: str = ""
    deliver: bool = False
    best_effort_deliver: bool = False
    attachments: tuple[Attachment, ...] = ()
    channel: str = ""
    reply_channel: str = ""
    account_id: str = ""
    reply_account_id: str = ""
    thread_id: str = ""
    group_id: str = ""
    group_channel: str = ""
    group_space: str = ""
    timeout: Annotated[int, Meta(ge=0)] = 0
    lane: str = ""
    extra_system_prompt: str = ""
    input_provenance: dict[str, Any] | UnsetType = UNSET
    spawned_by: str = ""
    cleanup_bundle_mcp_on_run_end: bool = False
    label: Annotated[str, Meta(min_length=1, max_length=512)] = ""
    expected_existing_session_id: str = ""
    voice_wake_trigger: str = ""
    source_reply_delivery_mode: Literal["automatic", "message_tool_only"] = "automatic"
    bootstrap_context_mode: Literal["full", "lightweight"] = "full"
    bootstrap_context_run_kind: Literal["default", "heartbeat", "cron"] = "default"
    prompt_mode: Literal["full"] = "full"
    session_effects: Literal["visible"] = "visible"
    disable_message_tool: bool = False
    force_code_mode_tools: bool = False
    force_restart_safe_tools: bool = False


class AgentWaitParams(Params, frozen=True):
    """An unknown run is waited for: it may be on its way."""

    run_id: RunKey
    timeout_ms: Annotated[int, Meta(ge=0)] = 30_000


class AgentIdentityParams(Params, frozen=True):
    """Names an agent, or a session of it; neither means the default agent."""

    agent_id: Annotated[str, Meta(min_length=1)] = ""
    session_key: str = ""


async def agent(room: Room, peer: Peer, params: AgentParams) -> AsyncIterator[dict[str, Any] | Failed]:
    """Answer twice: when the message is durable, and when the run has ended."""
    service = room.deps.agent
    agent_id = _agent_id(room, params.agent_id)
    key = await _session_key(room, peer, params, agent_id)
    of_key = room.agent_of(key)
    if agent_id is not None and agent_id != of_key:
        raise InvalidRequest(f'invalid agent params: agent "{agent_id}" does not match session key "{key}"')
    inbound = Inbound(
        run_id=own_names.kept_run(peer.principal, params.idempotency_key),
        session_key=key,
        agent_id=of_key,
        message=user_message(params.message, params.attachments, "agent"),
        principal=peer.principal,
        system=params.extra_system_prompt,
        model=_model_ref(params),
        thinking=thinking_level(params.thinking),
        timeout_s=float(min(params.timeout, LONGEST_S)) or None,
    )
    run = await service.submit(inbound)
    if run.state in ("queued", "running"):
        yield {
            "runId": run.id,
            "sessionKey": run.inbound.session_key,
            "agentId": run.inbound.agent_id,
            "status": "accepted",
            "acceptedAt": run.accepted_at_ms,
        }
    yield _final(await run.result())


async def _session_key(room: Room, peer: Peer, params: AgentParams, agent_id: AgentId | None) -> SessionKey:
    """Return the session meant, by key or by id; an id that nobody has yet names a new session.

    Raises: InvalidRequest, Conflict when it is another one by now.
    """
    service = room.deps.agent
    if params.session_id and not params.session_key:
        rows, _ = await service.sessions(peer.principal, agent_id=agent_id, include_ephemeral=True, limit=MAX_SEARCHED)
        found = next((row.key for row in rows if row.id == params.session_id), None)
        return found or room.session_key(peer.principal, f"explicit:{params.session_id}", agent_id or "")
    key = room.session_key(peer.principal, params.session_key or "main", agent_id or "")
    if params.expected_existing_session_id:
        await room.expect_session(peer, key, params.expected_existing_session_id)
    return key


def _model_ref(params: AgentParams) -> str | None:
    if params.provider and params.model and "/" not in params.model:
        return f"{params.provider}/{params.model}"
    return params.model or None


def _agent_id(room: Room, name: str) -> AgentId | None:
    if not name:
        return None
    try:
        return room.deps.agent.resolve_agent(name)
    except NotFound:
        raise InvalidRequest(f'invalid agent params: unknown agent id "{name[:128]}"') from None


def _final(reply: Reply) -> dict[str, Any] | Failed:
    if reply.state == "error":
        error = from_dict(dict(reply.error or {}))
        return Failed({"runId": reply.run_id, "status": "error", "summary": error.message}, error)
    aborted = reply.state == "aborted"
    answer: dict[str, Any] = {
        "runId": reply.run_id,
        "status": "timeout" if aborted else "ok",
        "summary": "aborted" if aborted else "completed",
        "result": {
            "payloads": [{"text": reply.text, "mediaUrl": None}] if reply.text else [],
            "meta": {
                "durationMs": max(0, reply.ended_at_ms - reply.started_at_ms),
                "agentMeta": {
                    "sessionId": reply.session_id,
                    "provider": reply.provider,
                    "model": reply.model,
                    "usage": _usage(reply),
                },
                "aborted": aborted,
                "stopReason": stop_reason(reply.finish_reason),
            },
        },
    }
    if aborted:
        answer |= {"stopReason": "rpc", "endedAt": reply.ended_at_ms}
    return answer


def _usage(reply: Reply) -> dict[str, int]:
    row = usage_row(reply.usage)
    counts = {name: row[name] for name in ("input", "output", "cacheRead", "cacheWrite")}
    return {**counts, "total": reply.usage.total_tokens}


async def agent_wait(room: Room, peer: Peer, params: AgentWaitParams) -> dict[str, Any]:
    """Wait for a run's end, at most ten minutes."""
    run_id = params.run_id
    try:
        async with asyncio.timeout(min(params.timeout_ms, MAX_WAIT_MS) / 1000):
            reply = await _reply(room, peer, run_id)
    except TimeoutError:
        return {"runId": run_id, "status": "timeout"}
    answer: dict[str, Any] = {
        "runId": run_id,
        "status": "error" if reply.state == "error" else "timeout" if reply.state == "aborted" else "ok",
        "startedAt": reply.started_at_ms or reply.accepted_at_ms,
        "endedAt": reply.ended_at_ms,
        "stopReason": "rpc" if reply.state == "aborted" else stop_reason(reply.finish_reason),
    }
    if reply.error:
        answer["error"] = str(reply.error.get("message", "the run failed"))
    return answer


async def _reply(room: Room, peer: Peer, named: str) -> Reply:
    meant = own_names.runs_meant(peer.principal, named)
    for look in itertools.count():
        for run_id in meant:
            run = room.deps.agent.live_run(run_id)
            if run is not None and room.may_see(peer.principal, run.inbound.principal):
                return await run.result()
            if look % ARCHIVE_EVERY == 0:
                row = await room.deps.agent.past_run(run_id, peer.principal.rows_of)
                if row is not None and row.reply is not None:
                    return row.reply
        await asyncio.sleep(POLL_S)
    raise AssertionError("counting has no end")


def agents_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return every agent that the caller may talk to, the default first."""
    agents = agents_for(peer.principal, room.deps.agent)
    return {
        "defaultId": default_for(peer.principal, room.deps.agent),
        "ownership": "sole" if len(agents) == 1 else "explicit",
        "selectionRequired": False,
        "mainKey": "main",
        "scope": "per-sender",
        "agents": [_agent_row(info.id, info.name, info.workspace, info.model) for info in agents],
    }


def _agent_row(agent_id: str, name: str, workspace: str, model: str) -> dict[str, Any]:
    row: dict[str, Any] = {"id": agent_id}
    if name:
        row["name"] = name
    if workspace:
        row["workspace"] = workspace
    if model:
        row["model"] = {"primary": model}
    return row


def agent_identity(room: Room, peer: Peer, params: AgentIdentityParams) -> dict[str, Any]:
    """Return the name and picture that clients show for an agent."""
    service = room.deps.agent
    named = params.agent_id
    if params.session_key and not named:
        named = room.agent_of(room.session_key(peer.principal, params.session_key))
    agent_id = room.agent(peer.principal, named)
    identity = room.deps.config().config.identity
    named = next((info.name for info in service.agents() if info.id == agent_id and info.name != info.id), "")
    name = named or identity.name
    source = "agent" if named else "default" if name == "Assistant" else "config"
    return {"agentId": agent_id, "name": name, "nameSource": source, "avatar": identity.avatar or name[:1].upper()}


METHODS = (
    MethodSpec(
        "agents.list",
        NoParams,
        "operator.read",
        agents_list,
        "Lists the agents that the caller may talk to.",
        "`{defaultId, mainKey, scope, agents: [{id, name?, workspace, model{primary}}]}`; "
        "protocol 4 adds `ownership`, `selectionRequired`.",
    ),
    MethodSpec(
        "agent",
        AgentParams,
        "operator.write",
        agent,
        "Runs an agent on a message and answers twice on one id: when the message is durable, and at the end.",
        'First `{runId, status: "accepted", acceptedAt}`, then `{runId, status: "ok"|"error"|"timeout", summary, '
        "result{payloads[{text}], meta{durationMs, agentMeta}}}`.",
        rate=RUNS,
    ),
    MethodSpec(
        "agent.wait",
        AgentWaitParams,
        "operator.write",
        agent_wait,
        "Waits for a run's end.",
        '`{runId, status: "ok"|"timeout"|"error", startedAt?, endedAt?, error?}`; an unknown run is waited for.',
        passing="waits",
    ),
    MethodSpec(
        "agent.identity.get",
        AgentIdentityParams,
        "operator.read",
        agent_identity,
        "Returns the name and picture of an agent.",
        "`{agentId, name, avatar}`; protocol 4 adds `nameSource`.",
    ),
)
