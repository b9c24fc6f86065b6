"""policy.*: what an administrator opens for a time, and closes again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta

from openclaw.base.errors import Unavailable
from openclaw.policy.widening import MAX_MS, MAX_VALUE, MIN_MS, Door, Widening
from openclaw.policy.widenings import Widenings
from openclaw.protocol.validate import Params
from openclaw.rpc.hub import Hub
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

CHANGES: Final = Rate(10, 0.2)
READS: Final = Rate(60, 5)


class PolicyWidenParams(Params, frozen=True):
    """`value` is one entry of the door's list; `forMs` is how long it stands there."""

    door: Door
    value: Annotated[str, Meta(min_length=1, max_length=MAX_VALUE)]
    for_ms: Annotated[int, Meta(ge=MIN_MS, le=MAX_MS)]
    ticket: Annotated[str, Meta(min_length=1, max_length=100)]
    why: Annotated[str, Meta(min_length=1, max_length=500)]


class PolicyWideningsParams(Params, frozen=True):
    """With `history` also those that are over."""

    history: bool = False
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class PolicyNarrowParams(Params, frozen=True):
    """Names a widening."""

    id: Annotated[str, Meta(min_length=1, max_length=32)]


async def policy_widen(room: Room, peer: Peer, params: PolicyWidenParams) -> dict[str, Any]:
    """Open something for a time."""
    desk = _desk(room)
    opened = await desk.start(
        peer.principal, params.door, params.value, params.for_ms, ticket=params.ticket, why=params.why
    )
    return {"widening": _row(opened)}


async def policy_widenings(room: Room, peer: Peer, params: PolicyWideningsParams) -> dict[str, Any]:
    """Return what is open, or what ever was."""
    desk = _desk(room)
    found = await desk.history(params.limit) if params.history else desk.openings()[-params.limit :]
    return {"widenings": [_row(each) for each in found]}


async def policy_narrow(room: Room, peer: Peer, params: PolicyNarrowParams) -> dict[str, Any]:
    """End one before its time."""
    return {"widening": _row(await _desk(room).narrow(peer.principal, params.id))}


def _desk(room: Room) -> Widenings:
    if room.deps.widenings is None:
        raise Unavailable("this gateway's policy cannot be widened")
    return room.deps.widenings


def _row(widening: Widening) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": widening.id,
        "door": widening.door,
        "value": widening.value,
        "ticket": widening.ticket,
        "why": widening.why,
        "by": widening.by,
        "startedAtMs": widening.started_at_ms,
        "endsAtMs": widening.ends_at_ms,
    }
    if widening.end:
        shown |= {"endedAtMs": widening.ended_at_ms, "end": widening.end, "endedBy": widening.ended_by}
    return shown


class WideningBridge:
    """Tells administrators what is opened and closed."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def __call__(self, widening: Widening) -> None:
        """Hear of a widening that started or has ended."""
        self._hub.broadcast("policy.narrowed" if widening.end else "policy.widened", _row(widening), "operator.admin")


_ROW: Final = "{id, door, value, ticket, why, by, startedAtMs, endsAtMs, endedAtMs?, end?, endedBy?}"

METHODS: tuple[MethodSpec, ...] = (
    MethodSpec(
        "policy.widen",
        PolicyWidenParams,
        "operator.admin",
        policy_widen,
        "Adds one entry to a door's list for a time; it ends by itself, also when the gateway is gone. Event "
        "`policy.widened` to administrators.",
        f"`{{widening: {_ROW}}}`",
        rate=CHANGES,
        announced=False,
    ),
    MethodSpec(
        "policy.widenings",
        PolicyWideningsParams,
        "operator.admin",
        policy_widenings,
        "Lists what is open for a time; with `history` also what was.",
        f"`{{widenings: [{_ROW}]}}`",
        rate=READS,
        announced=False,
    ),
    MethodSpec(
        "policy.narrow",
        PolicyNarrowParams,
        "operator.admin",
        policy_narrow,
        "Ends a widening before its time. Event `policy.narrowed` to administrators.",
        f"`{{widening: {_ROW}}}`",
        announced=False,
    ),
)
