"""wake, system-event, last-heartbeat, set-heartbeats: what makes an agent act without a message, and how it went."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from openclaw.automation.room import Automation
from openclaw.base.errors import NotFound, Unavailable
from openclaw.base.ids import DEFAULT_TENANT, SessionKey
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.cron_rows import beat_row
from openclaw.rpc.hub import sees
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.snapshot import of_operator

Line = Annotated[str, Meta(min_length=1, max_length=20_000)]
RATE = Rate(burst=30, per_s=1.0)


class WakeParams(Params, frozen=True, forbid_unknown_fields=False):
    """A line for a session, and whether its agent looks at once. Unknown properties are let pass, as clients expect."""

    mode: Literal["now", "next-heartbeat"]
    text: Line
    session_key: str = ""
    agent_id: str = ""


class SystemEventParams(Params, frozen=True, forbid_unknown_fields=False):
    """A line for a session. Clients add facts about their machine; only the text is used."""

    text: Line
    session_key: str = ""
    agent_id: str = ""


class SetHeartbeatsParams(Params, frozen=True):
    """Whether heartbeats may come."""

    enabled: bool


def automation_of(room: Room) -> Automation:
    """Return the room that acts on its own. Raises: Unavailable."""
    if room.deps.automation is None:
        raise Unavailable("this gateway keeps no jobs")
    return room.deps.automation


async def _queue(room: Room, peer: Peer, params: WakeParams | SystemEventParams) -> SessionKey:
    key = room.session_key(peer.principal, params.session_key or "main", params.agent_id)
    room.agent(peer.principal, room.agent_of(key))
    principal = peer.principal
    session = await room.deps.agent.session(key, LOCAL_OPERATOR)
    if session is not None and not sees(principal, session):
        raise NotFound(f"no session {key!r}")
    await automation_of(room).events.queue(key, params.text, principal.tenant, principal.owner)
    return key


async def wake(room: Room, peer: Peer, params: WakeParams) -> dict[str, Any]:
    """Queue a line, and let the agent look at it."""
    key = await _queue(room, peer, params)
    if params.mode == "now":
        automation_of(room).heartbeats.wake(room.agent_of(key), key)
    return {"ok": True}


async def system_event(room: Room, peer: Peer, params: SystemEventParams) -> dict[str, Any]:
    """Queue a line, and show it in the presence list, which is one for the whole gateway."""
    await _queue(room, peer, params)
    if peer.principal.tenant == DEFAULT_TENANT:
        room.deps.hub.show_line(params.text)
    return {"ok": True}


def last_heartbeat(room: Room, peer: Peer, params: NoParams) -> dict[str, Any] | None:
    """Return the last heartbeat's outcome, or null."""
    last = room.deps.automation.heartbeats.last if room.deps.automation else None
    if last is None or not of_operator(peer.principal):
        return None
    row = beat_row(last)
    if not room.is_admin(peer):
        row.pop("preview", None)
    return row


def set_heartbeats(room: Room, peer: Peer, params: SetHeartbeatsParams) -> dict[str, Any]:
    """Turn heartbeats off, or back to what the configuration says."""
    automation_of(room).heartbeats.set_enabled(params.enabled)
    room.deps.hub.tell_health()
    return {"ok": True, "enabled": params.enabled}


METHODS = (
    MethodSpec(
        "wake",
        WakeParams,
        "operator.write",
        wake,
        "Queues a line for a session (default: the main one). With mode `now` its agent takes a turn as soon as the "
        "session is free; else the line stands before the next message or heartbeat.",
        "`{ok: true}`: the line is durable.",
        rate=RATE,
    ),
    MethodSpec(
        "system-event",
        SystemEventParams,
        "operator.admin",
        system_event,
        "Queues a line that stands before the session's next message; the presence list shows how it begins.",
        "`{ok: true}`: the line is durable.",
        rate=RATE,
    ),
    MethodSpec(
        "last-heartbeat",
        NoParams,
        "operator.read",
        last_heartbeat,
        "Returns the outcome of the last heartbeat since the start; `null` to users, whose it was not.",
        '`{ts, status: "sent"|"ok-token"|"skipped"|"failed", durationMs, reason?, preview?}` or `null`.',
    ),
    MethodSpec(
        "set-heartbeats",
        SetHeartbeatsParams,
        "operator.admin",
        set_heartbeats,
        "Turns all heartbeats off until the next start, or back to what the configuration says.",
        "`{ok: true, enabled}`.",
    ),
)
