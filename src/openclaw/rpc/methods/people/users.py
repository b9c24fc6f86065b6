"""users.*: what clients keep for a person, and who there is.

A person is an owner of sessions; profiles with names and pictures there are none. What is kept is one record on the
shelf per owner and key, and is told to that owner's clients as `users.prefs.changed`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Meta

from openclaw.base.errors import Conflict, Forbidden, InvalidRequest, TooLarge
from openclaw.base.principal import Principal
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.store.shelf import ABSENT, Change, Record

KIND: Final = "user.pref"
MAX_KEYS_A_CALL: Final = 32
MAX_KEYS: Final = 256
MAX_VALUE_BYTES: Final = 4096
"""Of one value as JSON: with MAX_KEYS, what one owner keeps stays near a megabyte."""

PrefKey = Annotated[str, Meta(min_length=1, max_length=256)]
Entries = dict[PrefKey, Any]


class PrefsGetParams(Params, frozen=True):
    """Which keys are wanted; without it, all."""

    keys: Annotated[tuple[PrefKey, ...], Meta(max_length=MAX_KEYS_A_CALL)] | None = None


class PrefsSetParams(Params, frozen=True):
    """Values by key; null takes one away. With `expectedEntries` nothing is set unless those are so; null
    means not there."""

    entries: Entries
    expected_entries: Entries | None = None


async def prefs_get(room: Room, peer: Peer, params: PrefsGetParams) -> dict[str, Any]:
    """Return what is kept."""
    kept = await _kept(room, peer.principal)
    entries = {key: msgspec.json.decode(record.body) for key, record in kept.items()}
    if params.keys is not None:
        entries = {key: value for key, value in entries.items() if key in params.keys}
    return {"status": "ok", "entries": entries}


async def prefs_set(room: Room, peer: Peer, params: PrefsSetParams) -> dict[str, Any]:
    """Keep values, all or none."""
    principal, expected = peer.principal, params.expected_entries or {}
    if len(params.entries) > MAX_KEYS_A_CALL or len(expected) > MAX_KEYS_A_CALL:
        raise InvalidRequest(f"users.prefs.set takes at most {MAX_KEYS_A_CALL} keys at once")
    kept = await _kept(room, principal)
    if any(_value(kept.get(key)) != value for key, value in expected.items()):
        return {"status": "conflict"}
    count = len(kept.keys() | {key for key, value in params.entries.items() if value is not None})
    if count > MAX_KEYS:
        limit = {"code": "USER_PREFS_LIMIT_EXCEEDED", "limit": MAX_KEYS, "currentCount": len(kept)}
        raise InvalidRequest(f"users.prefs.set: at most {MAX_KEYS} keys are kept for one person", details=limit)
    changes = [
        _change(principal, key, value, kept.get(key) if key in expected else None, checked=key in expected)
        for key, value in params.entries.items()
    ]
    try:
        await room.shelf().apply(changes, room.deps.clock.now_ms())
    except Conflict:
        return {"status": "conflict"}
    if changes:
        payload = {"profileId": str(principal.owner)[:128], "keys": list(params.entries)}
        room.deps.hub.broadcast("users.prefs.changed", payload, owner=principal)
    return {"status": "ok"}


async def _kept(room: Room, principal: Principal) -> dict[str, Record]:
    prefix = _id(principal, "")
    records = await room.shelf().list(KIND, prefix=prefix, limit=MAX_KEYS)
    return {record.id.removeprefix(prefix): record for record in records}


def _id(principal: Principal, key: str) -> str:
    return f"{quote(principal.owner, safe='')}/{key}"


def _value(record: Record | None) -> Any:
    return None if record is None else msgspec.json.decode(record.body)


def _change(principal: Principal, key: str, value: Any, record: Record | None, *, checked: bool) -> Change:
    body = None if value is None else msgspec.json.encode(value)
    if body is not None and len(body) > MAX_VALUE_BYTES:
        raise TooLarge(f"users.prefs.set: {key[:64]!r} is larger than {MAX_VALUE_BYTES} bytes")
    version = record.version if record is not None else ABSENT
    return Change(KIND, _id(principal, key), body, version if checked else None)


def users_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return no profiles."""
    return {"profiles": []}


def users_self(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Refuse: nobody has a profile. Raises: Forbidden, as clients expect of a gateway without users."""
    raise Forbidden("users.self requires an authenticated user", hint="This gateway has owners, not user profiles.")


METHODS = (
    MethodSpec(
        "users.prefs.get",
        PrefsGetParams,
        "operator.read",
        prefs_get,
        "Returns what clients keep for oneself: settings of user interfaces.",
        '`{status: "ok", entries}`',
        since=4,
    ),
    MethodSpec(
        "users.prefs.set",
        PrefsSetParams,
        "operator.write",
        prefs_set,
        f"Keeps values for oneself, each of at most {MAX_VALUE_BYTES} bytes, {MAX_KEYS} in all; other clients of the "
        "same person are told the keys.",
        '`{status: "ok" | "conflict"}`',
        rate=Rate(60, 5),
        since=4,
    ),
    MethodSpec(
        "users.list",
        NoParams,
        "operator.read",
        users_list,
        "Lists user profiles: there are none.",
        "`{profiles: []}`",
        since=4,
    ),
    MethodSpec(
        "users.self",
        NoParams,
        "operator.write",
        users_self,
        "Refused (FORBIDDEN): nobody has a profile.",
        "An error.",
        since=4,
    ),
)
