"""Scopes: which exist, what implies what, and how a request is cut down to what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from openclaw.base.errors import Forbidden
from openclaw.base.principal import ALL_SCOPES, Principal

READ: Final = "operator.read"
WRITE: Final = "operator.write"
ADMIN: Final = "operator.admin"

KNOWN: Final = frozenset((*ALL_SCOPES, "operator.questions", "operator.talk", "operator.talk.secrets"))
"""Protocol 4 clients also name the last three; they are accepted and open nothing yet."""

OPERATOR_ALLOWED: Final = KNOWN
"""What the holder of the shared credential may have."""


def granted(requested: Iterable[str], allowed: frozenset[str]) -> frozenset[str]:
    """Return requested ∩ allowed ∩ known. Admin in `allowed` allows whatever it implies, never the reverse."""
    reach = allowed | OPERATOR_ALLOWED if ADMIN in allowed else allowed
    return frozenset(scope for scope in requested if scope in reach and scope in KNOWN)


def require(principal: Principal, scope: str) -> None:
    """Raises: Forbidden, naming the scope that is missing."""
    if not principal.may(scope):
        raise Forbidden(
            f"missing scope: {scope}",
            details={"code": "MISSING_SCOPE", "missingScope": scope, "requiredScopes": [scope]},
        )
