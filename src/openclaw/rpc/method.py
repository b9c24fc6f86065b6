"""What a method is: one row of the table that dispatch, hello, scopes, rate limits and docs/rpc.md all read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from openclaw.base.principal import Principal, Scope
from openclaw.protocol.validate import Params

if TYPE_CHECKING:
    from openclaw.base.errors import OpenClawError
    from openclaw.rpc.peer import Peer
    from openclaw.rpc.room import Room


class Rate(NamedTuple):
    """A token bucket per principal: `burst` calls at once, then `per_s` a second."""

    burst: int
    per_s: float


class Failed(NamedTuple):
    """An answer that is both: ok:false with an error, and a payload that says which run it was."""

    payload: dict[str, Any]
    error: OpenClawError


Result: TypeAlias = Any
"""What a handler returns: JSON in the shape of protocol 4, or `bytes` that are already the encoded answer."""

Handler: TypeAlias = "Callable[[Room, Peer, Any], Result | Awaitable[Result] | AsyncIterator[Result | Failed]]"
"""A plain function answers at once; a coroutine function later; an async generator answers once per yield."""


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One method. `summary` and `result` are sentences for docs/rpc.md.

    Shape: `scope` None = any connected peer; `since` and `until` are the first and the last protocol that have it;
    `role` says which kind of peer may call it; a method that is not `announced` works but is not listed in hello.
    A `passing` one changes nothing and ends with its connection: it waits for something, or its answer is large and
    takes a turn (rpc.turns).
    """

    name: str
    params: type[Params]
    scope: Scope | None
    handler: Handler
    summary: str
    result: str
    rate: Rate | None = None
    since: int = 3
    until: int = 4
    role: Literal["operator", "node", "any"] = "operator"
    announced: bool = True
    passing: Literal["", "waits", "large"] = ""


def holds(principal: Principal, scope: str | None) -> bool:
    """Say whether a principal may use what needs `scope`: writing implies reading, admin everything."""
    if scope is None or principal.may(scope):
        return True
    return scope == "operator.read" and "operator.write" in principal.scopes
