"""The way out that the egress door grants: it judges each address, and has a refused one written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.net.egress import Place, refusal
from openclaw.net.target import Target
from openclaw.net.way import ChildDoor, Purpose, Way
from openclaw.policy.egress.door import CLASS_OF, EgressRules, Errand, egress_ask
from openclaw.policy.gatekeeper import Gatekeeper

HOUSE: Final = Principal(owner=OwnerId("gateway"), method="none")
"""Who asks for what the gateway fetches by itself. It holds no scope: no method takes it for anybody."""


class Asker(NamedTuple):
    """The run on whose behalf a model is asked."""

    principal: Principal
    agent: str
    session: str
    run: str


_asker: ContextVar[Asker | None] = ContextVar("openclaw.policy.asker", default=None)


@contextmanager
def on_behalf(inbound: Inbound) -> Iterator[None]:
    """Have what is asked of models within written down as this run's asking."""
    token = _asker.set(Asker(inbound.principal, inbound.agent_id, inbound.session_key, inbound.run_id))
    try:
        yield
    finally:
        _asker.reset(token)


class EgressWay:
    """One request's leave to go to a host and port (`net.way.Way`)."""

    def __init__(
        self,
        gate: Gatekeeper,
        rules: EgressRules,
        principal: Principal,
        errand: Errand,
        host: str,
        port: int,
        **where: Any,
    ) -> None:
        self._gate = gate
        self._rules = rules
        self._ask = (principal, errand, host, port)
        self._where = where

    def judge(self, address: str) -> str:
        """See Way. The rules are those by which the host was allowed."""
        _, errand, host, port = self._ask
        allowed = self._rules.address(errand, host, port, address).answer == "allow"
        return "" if allowed else refusal(address)

    async def refuse(self, address: str) -> None:
        """See Way."""
        principal, errand, host, port = self._ask
        await self._gate.require(egress_ask(principal, errand, host, port, address, **self._where))


class EgressGate:
    """Asks the gatekeeper before each request, and gives it its way."""

    def __init__(self, gate: Gatekeeper, rules: Callable[[], EgressRules]) -> None:
        self._gate = gate
        self._rules = rules

    async def leave(
        self, principal: Principal, errand: Errand, host: str, port: int, *, once: bool = False, **where: Any
    ) -> EgressWay:
        """Let a request out. `where` are fields of Ask (session, run …). Raises: PolicyDenied, Unavailable."""
        await self._gate.require(egress_ask(principal, errand, host, port, **where), once=once)
        return EgressWay(self._gate, self._rules(), principal, errand, host, port, **where)

    def child(self, principal: Principal, errand: Errand, **where: Any) -> ChildDoor:
        """Return the door of a child process: every host that it asks for is its run's doing (`net.child_proxy`).

        `where` are fields of Ask (session, run …).
        """

        async def door(there: Place) -> Way:
            return await self.leave(principal, errand, there.host, there.port, **where)

        return door

    async def house(self, where: Target, purpose: Purpose) -> EgressWay:
        """Let out what a setting asks for (`net.way.Door`); the same host is written down once an hour.

        A model is asked on behalf of the run that is going on. All else is the gateway's: a task that a run has left
        behind would name it long after.
        """
        by = _asker.get() if purpose == "inference" else None
        errand = Errand(CLASS_OF[purpose], purpose, by.agent if by else "", configured=purpose != "tools")
        if by is None:
            return await self.leave(HOUSE, errand, where.host, where.port, once=True)
        return await self.leave(by.principal, errand, where.host, where.port, once=True, session=by.session, run=by.run)
