"""sessions.groups.*: the names under which a person sorts sessions; sessions.patch says which is where.

Each owner has one record of groups on the shelf; a group that sessions name but no record does is shown behind the
others, so that none is ever out of sight.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import Principal
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.conversation.sessions import CHANGES
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.shelf import ABSENT, Change

KIND: Final = "session.groups"
MAX_GROUPS: Final = 200

Name = Annotated[str, Meta(min_length=1, max_length=512)]
Names = Annotated[tuple[Name, ...], Meta(max_length=MAX_GROUPS)]


class GroupsPutParams(Params, frozen=True):
    """All groups in order. `sectionOrder` is kept for clients as it is."""

    names: Names
    section_order: Names | None = None


class GroupRenameParams(Params, frozen=True):
    """The sessions of the group go with it."""

    name: Name
    to: Name


class GroupUpdateParams(Params, frozen=True):
    """What new sessions of a group begin with; kept for clients."""

    name: Name
    cwd: Annotated[str, Meta(min_length=1, max_length=4096)] | None
    worktree: bool


class GroupDeleteParams(Params, frozen=True):
    """The sessions of the group stay, in none."""

    name: Name


class Defaults(msgspec.Struct, frozen=True, omit_defaults=True):
    """What new sessions of a group begin with."""

    cwd: str = ""
    worktree: bool | None = None


class Groups(msgspec.Struct, frozen=True):
    """An owner's groups, as kept."""

    names: tuple[str, ...] = ()
    section_order: tuple[str, ...] = ()
    defaults: dict[str, Defaults] = {}


_decode = msgspec.json.Decoder(Groups).decode


async def _read(room: Room, principal: Principal) -> tuple[Groups, int]:
    record = await room.shelf().get(KIND, _id(principal))
    kept = Groups() if record is None else _decode(record.body)
    named = await room.deps.agent.register.grouped(principal)
    more = tuple(sorted(name for name in named if name not in kept.names))
    return msgspec.structs.replace(kept, names=kept.names + more), ABSENT if record is None else record.version


async def _write(room: Room, principal: Principal, groups: Groups, version: int) -> None:
    if len(groups.names) > MAX_GROUPS:
        raise InvalidRequest(f"there are at most {MAX_GROUPS} session groups")
    kept = {name: own for name, own in groups.defaults.items() if name in groups.names}
    body = msgspec.json.encode(msgspec.structs.replace(groups, defaults=kept))
    await room.shelf().apply([Change(KIND, _id(principal), body, version)], room.deps.clock.now_ms())


def _id(principal: Principal) -> str:
    return quote(principal.owner, safe="")


def _shown(groups: Groups) -> dict[str, Any]:
    listed = [{"name": name, "position": position} for position, name in enumerate(groups.names)]
    return {"groups": listed, "sectionOrder": list(groups.section_order)}


def _defaults(groups: Groups) -> dict[str, Any]:
    shown = []
    for name in groups.names:
        own = groups.defaults.get(name, Defaults())
        row: dict[str, Any] = {"name": name}
        if own.cwd:
            row["cwd"] = own.cwd
        if own.worktree is not None:
            row["worktree"] = own.worktree
        shown.append(row)
    return {"defaults": shown}


async def groups_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the groups in order."""
    return _shown((await _read(room, peer.principal))[0])


async def groups_defaults(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return what new sessions of each group begin with."""
    return _defaults((await _read(room, peer.principal))[0])


async def groups_put(room: Room, peer: Peer, params: GroupsPutParams) -> dict[str, Any]:
    """Set all groups; one that has sessions cannot go this way."""
    groups, version = await _read(room, peer.principal)
    names = tuple(dict.fromkeys(name.strip() for name in params.names if name.strip()))
    members = await room.deps.agent.register.grouped(peer.principal)
    lost = [f'"{name}" ({count})' for name, count in members.items() if name not in names]
    if lost:
        raise InvalidRequest(
            f"groups that have sessions cannot be left out: {', '.join(lost[:10])}", hint="sessions.groups.delete does."
        )
    order = groups.section_order if params.section_order is None else params.section_order
    groups = msgspec.structs.replace(groups, names=names, section_order=order)
    await _write(room, peer.principal, groups, version)
    return {"ok": True, **_shown(groups)}


async def groups_rename(room: Room, peer: Peer, params: GroupRenameParams) -> dict[str, Any]:
    """Give a group another name, or put it into another that has it."""
    groups, version = await _read(room, peer.principal)
    _require(groups, params.name)
    to = params.to.strip() or params.name
    names = tuple(dict.fromkeys(to if name == params.name else name for name in groups.names))
    defaults = dict(groups.defaults)
    own = defaults.pop(params.name, None)
    if own is not None:
        defaults.setdefault(to, own)
    order = tuple(to if name == params.name else name for name in groups.section_order)
    groups = msgspec.structs.replace(groups, names=names, defaults=defaults, section_order=order)
    await _write(room, peer.principal, groups, version)
    moved = await room.deps.agent.register.regroup(peer.principal, params.name, to)
    return {"ok": True, **_shown(groups), "updatedSessions": moved}


async def groups_update(room: Room, peer: Peer, params: GroupUpdateParams) -> dict[str, Any]:
    """Set what new sessions of a group begin with."""
    groups, version = await _read(room, peer.principal)
    _require(groups, params.name)
    defaults = {**groups.defaults, params.name: Defaults(params.cwd or "", params.worktree)}
    groups = msgspec.structs.replace(groups, defaults=defaults)
    await _write(room, peer.principal, groups, version)
    return {"ok": True, **_defaults(groups)}


async def groups_delete(room: Room, peer: Peer, params: GroupDeleteParams) -> dict[str, Any]:
    """Take a group away; deleting one that is not there changes nothing."""
    groups, version = await _read(room, peer.principal)
    moved = 0
    if params.name in groups.names:
        names = tuple(name for name in groups.names if name != params.name)
        order = tuple(name for name in groups.section_order if name != params.name)
        groups = msgspec.structs.replace(groups, names=names, section_order=order)
        await _write(room, peer.principal, groups, version)
        moved = await room.deps.agent.register.regroup(peer.principal, params.name, None)
    return {"ok": True, **_shown(groups), "updatedSessions": moved}


def _require(groups: Groups, name: str) -> None:
    if name not in groups.names:
        raise InvalidRequest(f"unknown session group: {name[:128]}", hint="sessions.groups.list shows those there are.")


METHODS = (
    MethodSpec(
        "sessions.groups.list",
        NoParams,
        "operator.read",
        groups_list,
        "Lists one's own groups of sessions.",
        "`{groups: [{name, position}], sectionOrder[]}`",
        since=4,
    ),
    MethodSpec(
        "sessions.groups.defaults",
        NoParams,
        "operator.write",
        groups_defaults,
        "Lists what new sessions of each group begin with, as clients have set it.",
        "`{defaults: [{name, cwd?, worktree?}]}`",
        since=4,
    ),
    MethodSpec(
        "sessions.groups.put",
        GroupsPutParams,
        "operator.write",
        groups_put,
        "Sets one's own groups and their order.",
        "`{ok, groups[], sectionOrder[]}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "sessions.groups.rename",
        GroupRenameParams,
        "operator.write",
        groups_rename,
        "Renames a group, with its sessions.",
        "`{ok, groups[], sectionOrder[], updatedSessions}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "sessions.groups.update",
        GroupUpdateParams,
        "operator.write",
        groups_update,
        "Keeps what new sessions of a group begin with.",
        "`{ok, defaults[]}`",
        rate=CHANGES,
        since=4,
    ),
    MethodSpec(
        "sessions.groups.delete",
        GroupDeleteParams,
        "operator.write",
        groups_delete,
        "Takes a group away; its sessions stay.",
        "`{ok, groups[], sectionOrder[], updatedSessions}`",
        rate=CHANGES,
        since=4,
    ),
)
