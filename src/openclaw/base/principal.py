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
FederatedMethod = Literal["trusted-proxy", "oidc", "cognito", "alb"]
AuthMethod = Literal["token", "password", "device-token", "bootstrap-token", "local", "none", "hook"] | FederatedMethod

ALL_SCOPES: tuple[Scope, ...] = (
    "operator.read",
    "operator.write",
    "operator.admin",
    "operator.approvals",
    "operator.pairing",
)


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the roles of a caller keep it to, beyond scopes. None, and 0 USD, mean no limit."""

    agents: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    """`provider/model`, or `provider/*`."""
    sessions: Literal["own", "all"] = "own"
    """Whose sessions it may look at; it writes into its own alone."""
    usd_per_day: float = 0.0

    def allows_model(self, ref: str) -> bool:
        """Say whether a `provider/model` may be used."""
        provider = ref.partition("/")[0]
        return self.models is None or ref in self.models or f"{provider}/*" in self.models or "*" in self.models

    def allows_agent(self, agent_id: str) -> bool:
        """Say whether an agent may be talked to."""
        return self.agents is None or agent_id in self.agents or "*" in self.agents


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
    """The fingerprint of the shared credential that it came by, of its device's token, or of who vouches for it."""
    subject: str = ""
    """The name that an identity provider or a proxy gives it, or empty."""
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    limits: Limits | None = None
    expires_at_ms: int = 0
    """When what it came by ends, in Unix ms; 0 = it does not."""

    @property
    def rows_of(self) -> OwnerId | None:
        """Whose rows a query for this caller may return: its own; None, for an administrator, is everybody's."""
        return None if self.may("operator.admin") else self.owner

    @property
    def looks_at(self) -> OwnerId | None:
        """Whose sessions it may look at; as `rows_of`, but a role may open everybody's for reading."""
        return None if self.limits is not None and self.limits.sessions == "all" else self.rows_of

    def may_talk_to(self, agent_id: str) -> bool:
        """Say whether its roles let it talk to an agent; one that it may not talk to is not there for it."""
        return self.limits is None or self.limits.allows_agent(agent_id)

    def may_call(self, ref: str) -> bool:
        """Say whether its roles let it use a `provider/model`."""
        return self.limits is None or self.limits.allows_model(ref)

    def may(self, scope: str) -> bool:
        """Say whether a scope is held; admin implies read, write, approvals and pairing."""
        return scope in self.scopes or "operator.admin" in self.scopes


LOCAL_OPERATOR = Principal(method="local", scopes=frozenset(ALL_SCOPES))
"""The person at the gateway's own terminal (offline CLI, resume after a crash)."""
