"""Hosts that an agent has not used before, when it has read text from outside: its tools and its commands ask first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import PolicyDenied
from openclaw.config.schema import Config
from openclaw.net.egress import Place
from openclaw.net.way import ChildDoor, Way
from openclaw.policy.content_door import KIND, Wish, host_key, named
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict, refused
from openclaw.policy.known_hosts import KnownHosts
from openclaw.tools.api import Caller

MAX_REFUSED = 256
"""Hosts that one command is refused for good: nobody is asked about them twice."""


class NewHosts:
    """Asks about hosts. `config` returns the configuration of the moment."""

    def __init__(self, gate: Gatekeeper, hosts: KnownHosts, config: Callable[[], Config]) -> None:
        self._gate = gate
        self._hosts = hosts
        self._config = config

    async def used(self, caller: Caller, key: str) -> None:
        """Remember a host that an untainted turn has used."""
        await self._hosts.remember(caller.agent_id, key)

    async def admit(self, caller: Caller, action: str, key: str) -> None:
        """Let a tainted turn go to a host that it may use without asking. Raises: PolicyDenied, Unavailable.

        Nobody is asked within a tool's call, whose time is short: what was asked before it is known by now.
        """
        ask = self.ask(caller, action, key)
        verdict = await self._gate.admit(ask)
        if verdict.answer != "allow":
            raise refused(ask, verdict)

    async def consent(self, caller: Caller, action: str, key: str, detail: str) -> None:
        """Ask a person about a host, unless it is known. Raises: PolicyDenied, Unavailable."""
        await self._settled(caller, key, await self._gate.require(self.ask(caller, action, key, detail)))

    async def _settled(self, caller: Caller, key: str, verdict: Verdict) -> None:
        if verdict.rule_id == "approval.allow-always":
            await self._hosts.remember(caller.agent_id, key)
        else:
            self._hosts.lend(caller.run_id, key)

    def ask(self, caller: Caller, action: str, key: str, detail: str = "") -> Ask:
        """Return the question whether a turn may go to a host."""
        policy = self._config().network_policy
        by_name = named((*policy.egress_allowlist, *policy.classes.tools.allow), key)
        known = by_name or self._hosts.knows(caller.agent_id, caller.run_id, key)
        return content_ask(caller, action, "new-host", key, {"detail": detail, "known": known, "lasting": True})

    def child(self, caller: Caller, door: ChildDoor) -> ChildDoor:
        """Return the door of a command that a tainted turn has started: it asks about new hosts, once about each."""
        asking = asyncio.Lock()
        shut: BoundedMap[str, PolicyDenied] = BoundedMap("gateway.hosts_refused", MAX_REFUSED)

        async def asked(there: Place) -> Way:
            way = await door(there)  # what the door refuses, nobody is asked about
            key = host_key(there.host, there.port)
            async with asking:
                if (denied := shut.get(key)) is not None:
                    raise PolicyDenied(denied.message, details=denied.details)
                try:
                    await self.consent(caller, "tool exec", key, f"a command of this turn wants to reach {key}")
                except PolicyDenied as error:
                    shut.put(key, error)
                    raise
            return way

        return asked if caller.tainted else door


def content_ask(caller: Caller, action: str, wish: Wish, target: str, facts: Mapping[str, Any]) -> Ask:
    """Return what the content door is asked about a wish of a turn."""
    return Ask(
        kind=KIND,
        principal=caller.principal,
        action=action,
        target=target,
        facts={"wish": wish, "source": caller.tainted, **facts},
        written={"wish": wish, "source": caller.tainted},
        **whereabouts(caller),
    )


def whereabouts(caller: Caller) -> dict[str, Any]:
    """Return the fields of Ask that say for whom and where."""
    return {
        "agent": caller.agent_id,
        "session": caller.session_key,
        "run": caller.run_id,
        "tainted": bool(caller.tainted),
    }
