"""Names of other years: what still means the same is read under the name of today, and the old one is told.

1. A setting moves only where its meaning is the same; what has no counterpart is put aside like any unknown key.
2. Where both names are used the name of today wins, and the old one is reported as without effect.
3. Nothing is rewritten in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.config.issue import Issue
from openclaw.config.keypath import KeyPath, format_path, section_of
from openclaw.config.reading.scan import Positions
from openclaw.config.reading.values import ABSENT, lookup, put, without
from openclaw.config.vouching import other_names

_CHANNELS: Final = ("telegram", "discord", "slack", "whatsapp", "signal", "imessage", "msteams", "webchat")

MOVES: Final[tuple[tuple[str, str], ...]] = (
    ("agent.*", "agents.defaults.*"),
    ("bot.name", "identity.name"),
    ("bot.avatar", "identity.avatar"),
    ("bot.model", "agents.defaults.model"),
    ("bot.systemPrompt", "agents.defaults.systemPrompt"),
    ("gateway.token", "gateway.auth.token"),
    ("gateway.password", "gateway.auth.password"),
    ("routing.allowFrom", "channels.whatsapp.allowFrom"),
    ("routing.bindings", "bindings"),
    ("routing.groupChat", "messages.groupChat"),
    ("routing.queue", "messages.queue"),
    *((name, f"channels.{name}") for name in _CHANNELS),
    ("network_policy.*", "networkPolicy.*"),
    ("networkPolicy.allow_egress", "networkPolicy.allowEgress"),
    ("networkPolicy.egress_allowlist", "networkPolicy.egressAllowlist"),
)
"""Old name → name of today; `*` moves every key of an object by itself."""
ROSTERS: Final[tuple[tuple[str, bool], ...]] = (("agents.entries", False), ("routing.agents", True))
"""Agents as an object by id, and whether that is an old name; in `agents.list` each says its id itself."""
_LIST: Final[KeyPath] = ("agents", "list")
_AUTH: Final[KeyPath] = ("gateway", "auth")
_POLICY: Final[KeyPath] = ("networkPolicy",)
_NARROW: Final = "egress_allowlist"
_NARROW_NOW: Final = "egressAllowlist"


class Renamed(Positions):
    """Positions of settings that the file writes under other names."""

    def __init__(self, inner: Positions, origin: Mapping[KeyPath, KeyPath]) -> None:
        super().__init__("")
        self._inner = inner
        self._origin = origin

    def _old(self, path: KeyPath) -> KeyPath:
        for length in range(len(path), 0, -1):
            if (found := self._origin.get(path[:length])) is not None:
                return (*found, *path[length:])
        return path

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Return the place of a setting under the name that the file uses."""
        return self._inner.at(self._old(path))

    def file(self, path: KeyPath) -> str:
        """Return the included file that sets it, "" for the main one."""
        return self._inner.file(self._old(path))

    def source(self, path: KeyPath) -> KeyPath | None:
        """Return what the short form calls it: writers use the names of today."""
        return self._inner.source(path)

    def written(self, path: KeyPath) -> str:
        """Return words for a setting that the file writes under another name."""
        old = self._old(path)
        return f" (written as {format_path(old)})" if old != path else self._inner.written(path)


class OldNames:
    """One reading: `values` under the names of today, `positions` of them, and what there is to say."""

    def __init__(self, values: dict[str, Any], positions: Positions) -> None:
        self.values = values
        self.issues: list[Issue] = []
        self._places = positions
        self._origin: dict[KeyPath, KeyPath] = {}
        for old, new in MOVES:
            if old.endswith(".*"):
                self._move_all(_path(old[:-2]), _path(new[:-2]))
            else:
                self._move(_path(old), _path(new))
        self._name_providers()
        self._respell_policies()
        self._gather_agents()
        self.positions: Positions = Renamed(positions, self._origin) if self._origin else positions

    @property
    def moves(self) -> list[tuple[KeyPath, KeyPath]]:
        """Settings that are read under another name: (old, new), the agents' list excepted."""
        return [(old, new) for new, old in self._origin.items() if new[: len(_LIST)] != _LIST]

    def _move_all(self, old: KeyPath, new: KeyPath) -> None:
        body = lookup(self.values, old)
        if isinstance(body, dict):
            for key in body:
                self._move((*old, key), (*new, key))

    def _move(self, old: KeyPath, new: KeyPath) -> None:
        value = lookup(self.values, old)
        if value is ABSENT:
            return
        if lookup(self.values, new) is not ABSENT or not self._has_room(new):
            message = f"this is called {format_path(new)} now, which the file sets as well: this has no effect"
            self._take_out(old, message, "Remove it.")
            return
        self._take_out(old, f"this is called {format_path(new)} now, and is read as that", "Use the new name.")
        self.values = put(self.values, new, value)
        self._origin[new] = old

    def _name_providers(self) -> None:
        auth = lookup(self.values, _AUTH)
        for old, new in list(other_names(auth)) if isinstance(auth, dict) else ():
            self._move((*_AUTH, *old), (*_AUTH, *new))

    def _respell_policies(self) -> None:
        """Read narrower egress lists in either spelling: one that is overlooked would leave its agent wide open."""
        places: list[KeyPath] = [_POLICY]
        for roster in (_LIST, *(_path(name) for name, _ in ROSTERS)):
            held = lookup(self.values, roster)
            keys = range(len(held)) if isinstance(held, list) else held if isinstance(held, dict) else ()
            for key in keys:
                self._move((*roster, key, "network_policy"), (*roster, key, "networkPolicy"))
                self._move((*roster, key, *_POLICY, _NARROW), (*roster, key, *_POLICY, _NARROW_NOW))
                places.append((*roster, key, *_POLICY))
        for place in places:
            actions = lookup(self.values, (*place, "actions"))
            for name in actions if isinstance(actions, dict) else ():
                self._move((*place, "actions", name, _NARROW), (*place, "actions", name, _NARROW_NOW))

    def _gather_agents(self) -> None:
        """Make one list of the agents; those by id come first, as whoever is first answers where none is named."""
        held = lookup(self.values, _LIST)
        if not (held is ABSENT or isinstance(held, list)) or not self._has_room(_LIST):
            return
        listed: list[Any] = held if isinstance(held, list) else []
        taken = {str(entry.get("id")) for entry in listed if isinstance(entry, dict)}
        by_id: list[tuple[Any, KeyPath]] = []
        for roster, is_old in ROSTERS:
            old = _path(roster)
            body = lookup(self.values, old)
            if not isinstance(body, dict):
                continue
            fresh = {name: entry for name, entry in body.items() if name not in taken}
            by_id += [({"id": k, **v} if isinstance(v, dict) else v, (*old, k)) for k, v in fresh.items()]
            taken.update(fresh)
            if is_old:
                self._take_out(old, "this is called agents.list now, and is read as that", "Use the new name.")
            else:
                self.values = without(self.values, old)
        if not by_id:
            return
        for index, (_, source) in enumerate(by_id):
            self._origin[*_LIST, index] = self._origin[*_LIST, index, "id"] = source
        for index in range(len(listed)):
            self._origin[*_LIST, len(by_id) + index] = (*_LIST, index)
        self.values = put(self.values, _LIST, [*(entry for entry, _ in by_id), *listed])

    def _has_room(self, path: KeyPath) -> bool:
        parents = (lookup(self.values, path[:end]) for end in range(1, len(path)))
        kinds = (list if isinstance(key, int) else dict for key in path[1:])
        return all(parent is ABSENT or isinstance(parent, kind) for parent, kind in zip(parents, kinds, strict=True))

    def _take_out(self, path: KeyPath, message: str, hint: str) -> None:
        line, column = self._places.at(path)
        place, section, file = format_path(path), section_of(path), self._places.file(path)
        self.issues.append(Issue("old-name", place, message, line, column, "warning", hint, section, file))
        self.values = without(self.values, path)
        if len(path) > 1 and lookup(self.values, path[:-1]) == {}:
            self.values = without(self.values, path[:-1])


def _path(text: str) -> KeyPath:
    return tuple(text.split("."))
