"""A command of a turn that has read text from outside: every new host is a person's to open, once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import PolicyDenied
from openclaw.config.schema import Config, NetworkPolicyConfig
from openclaw.gateway.new_hosts import NewHosts
from openclaw.net.egress import Place, place
from openclaw.net.way import PublicWay, Way
from openclaw.policy.content_door import KIND, content_verdict
from openclaw.policy.gatekeeper import Ask, Verdict
from openclaw.policy.known_hosts import KnownHosts
from openclaw.testing import make_context
from openclaw.tools.api import ToolContext
from tests.fakes.doors import gatekeeper
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio

NEW, NAMED, SHUT = (place(f"https://{name}.example/") for name in ("new", "named", "shut"))


class World:
    """New hosts over a real gatekeeper, with a person who answers `rule`."""

    def __init__(self, rule: str) -> None:
        shelf: Any = MemoryShelf()
        self.asked: list[str] = []
        self._rule = rule
        gate = gatekeeper({KIND: content_verdict})
        gate.consent = self._consent
        config = Config(network_policy=NetworkPolicyConfig(egress_allowlist=("named.example", "*.example")))
        self.known = KnownHosts(shelf, ManualClock())
        self.hosts = NewHosts(gate, self.known, lambda: config)

    async def _consent(self, ask: Ask, verdict: Verdict) -> Verdict:
        self.asked.append(ask.target)
        await asyncio.sleep(0)
        return Verdict("allow" if self._rule.startswith("approval.") else "deny", self._rule, "said so")

    async def reach(self, context: ToolContext, *there: Place) -> list[bool]:
        """Return for each place whether a command of this turn gets there, all at once."""

        async def door(one: Place) -> Way:
            if one == SHUT:
                raise PolicyDenied("not on the list")
            return PublicWay()

        child = self.hosts.child(context, door)
        found = await asyncio.gather(*(child(one) for one in there), return_exceptions=True)
        assert all(isinstance(one, PublicWay | PolicyDenied) for one in found)
        return [isinstance(one, PublicWay) for one in found]


def turn(folder: Path, tainted: str) -> ToolContext:
    return msgspec.structs.replace(make_context(folder), tainted=tainted)


async def test_without_taint_the_list_alone_decides(tmp_path: Path) -> None:
    world = World("content.new-host")
    assert await world.reach(turn(tmp_path, ""), NEW, NAMED, SHUT) == [True, True, False]
    assert world.asked == []


@pytest.mark.parametrize(("rule", "opened"), [("content.new-host", False), ("approval.allow-once", True)])
async def test_a_tainted_command_asks_once_about_each_new_host(tmp_path: Path, rule: str, opened: bool) -> None:
    world = World(rule)
    context = turn(tmp_path, "web_fetch")
    assert await world.reach(context, NEW, NEW, NAMED, SHUT, NEW) == [opened, opened, True, False, opened]
    assert world.asked == ["new.example:443"]
    later = msgspec.structs.replace(context, run_id="another")
    await world.reach(later, NEW)
    assert world.asked == ["new.example:443"] * 2


async def test_a_host_that_is_opened_for_good_is_asked_about_once(tmp_path: Path) -> None:
    world = World("approval.allow-always")
    assert await world.reach(turn(tmp_path, "web_fetch"), NEW) == [True]
    assert await world.reach(msgspec.structs.replace(turn(tmp_path, "web_fetch"), run_id="another"), NEW) == [True]
    assert world.asked == ["new.example:443"]
