"""Who is asking: the result of authentication, handed from door to door."""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw.base.ids import DEFAULT_TENANT, OPERATOR, OwnerId, TenantId

Scope = Literal[
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
    "operator.questions",
]
AuthMethod = Literal["token", "password", "device-token", "bootstrap-token", "local", "none", "hook"]

ALL_SCOPES: tuple[Scope, ...] = (
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
)


class Principal(msgspec.Struct, frozen=True):
    """An authenticated caller. `scopes` is what it may do now; `owner` is whose rows it makes."""

    owner: OwnerId = OPERATOR
    tenant: TenantId = DEFAULT_TENANT
    method: AuthMethod = "token"
    role: Literal["operator", "node"] = "operator"
    scopes: frozenset[str] = frozenset()
    device: str = ""
    """The id of the device that proved itself, or empty."""
    credential: str = ""
    """The fingerprint of the shared credential that it came by, or empty."""

    @property
    def rows_of(self) -> OwnerId | None:
        """Whose rows a query for this caller may return: its own; None, for an administrator, is everybody's."""
        return None if self.may("operator.admin") else self.owner

    def may(self, scope: str) -> bool:
        """Say whether a scope is held; admin implies read, write, approvals and pairing."""
        return scope in self.scopes or "operator.admin" in self.scopes


LOCAL_OPERATOR = Principal(method="local", scopes=frozenset(ALL_SCOPES))
"""The person at the gateway's own terminal (offline CLI, resume after a crash)."""
