"""Roles: groups of people → what they may do. Five are there from the start; `gateway.roles` says who has them.

1. Nobody has a role that the configuration does not give: a group is not a role because it is named like one.
2. Who has several roles may do what any of them allows, each limit taken at its widest.
3. A role that names neither scopes nor a built-in role opens nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from openclaw.base.principal import Limits
from openclaw.config.schema import RoleConfig
from openclaw.identity.scopes import ADMIN, KNOWN

BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "viewer": ("operator.read",),
    "user": ("operator.read", "operator.write"),
    "approver": ("operator.read", "operator.approvals", "operator.questions"),
    "operator": (*("operator.read", "operator.write", "operator.approvals", "operator.pairing", "operator.questions"),),
    "admin": (ADMIN,),
}
EVERYBODY: Final = "*"


class Granted(NamedTuple):
    """What somebody's roles come to."""

    roles: tuple[str, ...]
    scopes: frozenset[str]
    limits: Limits | None


NOTHING: Final = Granted((), frozenset(), None)


class Roles:
    """The roles of one configuration."""

    def __init__(self, config: Mapping[str, RoleConfig]) -> None:
        self._config = dict(config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roles) and self._config == other._config

    def __hash__(self) -> int:
        return hash(tuple(sorted(self._config)))

    def of(self, subject: str, groups: tuple[str, ...]) -> Granted:
        """Return what a person may do; NOTHING for one without a role."""
        held = {
            name: role
            for name, role in self._config.items()
            if EVERYBODY in role.groups or subject in role.users or not set(groups).isdisjoint(role.groups)
        }
        if not held:
            return NOTHING
        scopes = frozenset(scope for name, role in held.items() for scope in _scopes(name, role))
        return Granted(tuple(sorted(held)), scopes, _limits(tuple(held.values())))


def _scopes(name: str, role: RoleConfig) -> tuple[str, ...]:
    named = BUILT_IN.get(name, ()) if role.scopes is None else role.scopes
    return tuple(scope for scope in named if scope in KNOWN)


def _limits(held: tuple[RoleConfig, ...]) -> Limits | None:
    """Return the widest of each limit, None when there is none at all."""
    caps = [role.usd_per_day for role in held]
    every: Literal["own", "all"] = "all" if any(role.sessions == "all" for role in held) else "own"
    found = Limits(
        agents=_union([role.agents for role in held]),
        models=_union([role.models for role in held]),
        sessions=every,
        usd_per_day=0.0 if 0 in caps else max(caps),
    )
    return found if found != Limits() else None


def _union(each: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    if None in each:
        return None
    return tuple(sorted({name for names in each if names is not None for name in names}))
