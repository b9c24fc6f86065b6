"""Scopes: which exist, what implies what, and how a request is cut down to what is allowed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, Literal

from openclaw.base.errors import Forbidden
from openclaw.base.principal import ALL_SCOPES, Principal

Role = Literal["operator", "node"]
"""What a connection is for."""

READ: Final = "operator.read"
WRITE: Final = "operator.write"
ADMIN: Final = "operator.admin"

KNOWN: Final = frozenset((*ALL_SCOPES, "operator.questions", "operator.talk", "operator.talk.secrets"))
"""Protocol 4 clients also name the last three; of these only `operator.questions` opens something."""

OPERATOR_ALLOWED: Final = KNOWN
"""What the holder of the shared credential may have."""


def granted(requested: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """Return requested ∩ allowed ∩ known. Admin in `allowed` allows whatever it implies, never the reverse."""
    return frozenset(scope for scope in requested if scope in KNOWN and covers(allowed, (scope,)))


def covers(held: Collection[str], scopes: Collection[str]) -> bool:
    """Say whether every scope is held: admin holds all, and who may write may read."""
    return missing_scope(held, scopes) is None


def missing_scope(held: Collection[str], scopes: Collection[str]) -> str | None:
    """Return the first scope that is not held, or None."""
    if ADMIN in held:
        return None
    return next((one for one in scopes if one not in held and not (one == READ and WRITE in held)), None)


def lacking_scope(missing: str, required: Iterable[str] = ()) -> Forbidden:
    """Return the refusal of a caller that lacks a scope, in the words and details that clients read."""
    details = {"code": "MISSING_SCOPE", "missingScope": missing, "requiredScopes": list(required) or [missing]}
    return Forbidden(f"missing scope: {missing}", details=details)


def require(principal: Principal, scope: str) -> None:
    """Raises: Forbidden, naming the scope that is missing."""
    if not covers(principal.scopes, (scope,)):
        raise lacking_scope(scope)
