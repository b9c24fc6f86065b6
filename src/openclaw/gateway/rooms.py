"""The composition root: every room made from a Config, wired, and closed in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from openclaw import __version__
from openclaw.agent.service import Study
from openclaw.agent.skill import Skills
from openclaw.automation.room import Automation
from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths, tls_files
from openclaw.config.schema import Config
from openclaw.gateway.archive import open_archive
from openclaw.gateway.calls import Purses
from openclaw.gateway.config_desk import ConfigDesk
from openclaw.gateway.desks import open_desks
from openclaw.gateway.doors import open_doors
from openclaw.gateway.entrance import open_entrance
from openclaw.gateway.federations import Federations
from openclaw.gateway.gates import open_gates
from openclaw.gateway.gauges import resident_bytes, watch
from openclaw.gateway.grace import Grace
from openclaw.gateway.present import Present, Site
from openclaw.gateway.skill_room import open_skill_desk
from openclaw.gateway.tooling import Tooling
from openclaw.gateway.upkeep import Upkeep
from openclaw.gateway.workrooms import agent_directory, open_workrooms
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.devices.book import Devices
from openclaw.listeners.tls import TlsDoor
from openclaw.models.calling.failover import Failover
from openclaw.models.registry import ModelRegistry
from openclaw.net.aws import across
from openclaw.net.certificate import Pair
from openclaw.net.http import HttpClient
from openclaw.ops.backup.desk import Backups
from openclaw.ops.disk import DiskWatch
from openclaw.ops.load import LoadWatch, given_memory_bytes
from openclaw.ops.skill_desk import SkillDesk
from openclaw.policy.approvals import Approvals
from openclaw.policy.egress.door import KIND as EGRESS
from openclaw.policy.egress.way import EgressGate
from openclaw.policy.gatekeeper import Gatekeeper
from openclaw.policy.ledger import Ledger
from openclaw.policy.reception import Reception
from openclaw.policy.senders import Senders
from openclaw.policy.widening import Widening
from openclaw.policy.widenings import Widenings
from openclaw.processes.sandbox.choice import Sandboxes
from openclaw.processes.spawner import Spawner
from openclaw.rpc.build import build_counter
from openclaw.rpc.counter import Counter
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.tool_desk import ToolDesk
from openclaw.secrets.room import SecretRoom
from openclaw.store.lock import StateLock
from openclaw.store.sqlite import SqliteStore
from openclaw.telemetry.health import HealthBoard
from openclaw.telemetry.redact import REDACTOR
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.registry import ToolRegistry

_log = logging.getLogger("openclaw.gateway")


@dataclass
class Rooms:
    """The house while it is open. `present` and `tools` change with a reload; the rest stays."""

    present: Present
    paths: StatePaths
    clock: Clock
    health: HealthBoard
    store: SqliteStore
    http: HttpClient
    spawner: Spawner
    models: ModelRegistry
    tools: ToolRegistry
    study: Study
    failover: Failover
    mcp: McpRoom
    tooling: Tooling
    hub: Hub
    counter: Counter
    gate: Gatekeeper
    ledger: Ledger
    purses: Purses
    devices: Devices
    federations: Federations
    authenticator: Authenticator
    grace: Grace
    nodes: Nodes
    automation: Automation
    config_desk: ConfigDesk
    secrets: SecretRoom
    approvals: Approvals
    widenings: Widenings
    senders: Senders
    reception: Reception
    disk: DiskWatch
    skills: Skills
    skill_desk: SkillDesk
    tls: TlsDoor
    egress: EgressGate
    sandboxes: Sandboxes
    stack: contextlib.AsyncExitStack = field(repr=False)
    upkeep: Upkeep = field(init=False, repr=False)

    @property
    def loaded(self) -> Loaded:
        """What was read."""
        return self.present.loaded

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self.present.config

    @property
    def tool_desk(self) -> ToolDesk:
        """Tools for people and programs, over the agents of the moment."""
        return ToolDesk(self.study.directory, self.study)

    def backups(self) -> Backups:
        """Return the backups of this gateway: from the threads they run in, they ask its own egress door."""
        door = across(self.egress.house, asyncio.get_running_loop())
        return Backups(self.paths, lambda: self.loaded, self.clock, __version__, door=door, carrier=self.http.carrier)

    async def close(self) -> None:
        """Close every room, the last opened first."""
        await self.stack.aclose()


async def open_rooms(
    loaded: Loaded, paths: StatePaths, clock: Clock, lock: StateLock, secrets: SecretRoom | None = None
) -> Rooms:
    """Open every room below the listeners. On failure whatever was opened is closed again.

    Raises: ConfigError, StateLocked, Unavailable.
    """
    async with contextlib.AsyncExitStack() as stack:
        archive = await open_archive(stack, paths, clock, lock)
        present = Present(loaded, archive.widenings.effective)
        site = Site(stack, present, paths, clock)
        doors = open_doors(site, archive)
        gates = open_gates(site, doors)
        entrance = await open_entrance(site, archive, doors, gates.http)
        secrets = secrets or SecretRoom(paths, clock, REDACTOR.add)
        desks = await open_desks(site, archive, doors, entrance, secrets)
        work = await open_workrooms(site, archive, doors, gates, entrance, desks)
        skill_desk = await open_skill_desk(site, work.skills, doors, gates.http)
        secrets.door, secrets.carrier = doors.egress.house, gates.carrier
        stack.callback(setattr, secrets, "door", None)  # it outlives the ledger
        rooms = Rooms(
            present=present,
            paths=paths,
            clock=clock,
            health=HealthBoard(clock),
            store=archive.store,
            ledger=archive.ledger,
            widenings=archive.widenings,
            senders=archive.senders,
            gate=doors.gate,
            egress=doors.egress,
            http=gates.http,
            spawner=gates.spawner,
            models=gates.models,
            hub=entrance.hub,
            devices=entrance.devices,
            federations=entrance.federations,
            authenticator=entrance.authenticator,
            grace=entrance.grace,
            nodes=entrance.nodes,
            reception=Reception(doors.gate, archive.senders, lambda: present.config.dm_policy, clock),
            secrets=secrets,
            approvals=desks.approvals,
            config_desk=desks.config_desk,
            study=work.study,
            failover=work.failover,
            purses=work.purses,
            skills=work.skills,
            skill_desk=skill_desk,
            mcp=work.mcp,
            sandboxes=work.sandboxes,
            tooling=work.tooling,
            tools=work.tools,
            automation=work.automation,
            counter=_NO_COUNTER,
            disk=DiskWatch(paths.state_dir, lambda: present.config.storage, clock),
            tls=TlsDoor(lambda: Pair(*tls_files(present.config.gateway.tls, paths)), clock),
            stack=stack,
        )
        _look_after(rooms)
        rooms.upkeep = Upkeep(rooms)
        archive.widenings.observe(partial(_offer_anew, rooms))
        rooms.counter = build_counter(_rpc_deps(rooms))
        stack.push_async_callback(rooms.counter.close)
        watch(rooms)
        rooms.stack = stack.pop_all()
        return rooms


def _look_after(rooms: Rooms) -> None:
    """Have the health board ask what may be wrong, and the study take nothing in while there is no room for it."""
    rooms.health.add_check("disk", rooms.disk.problem)
    rooms.health.add_check("audit", rooms.ledger.problem)
    rooms.health.add_look("store", rooms.store.ping)
    load = LoadWatch(
        lambda: rooms.config.gateway.shed,
        rooms.health,
        resident_bytes=resident_bytes,
        queued=rooms.study.queued,
        given_bytes=given_memory_bytes(),
    )
    rooms.study.shed = lambda: rooms.disk.refusal() or load.refusal()


_NO_COUNTER: Any = None
"""Stands in until the counter is built: it needs the rooms, and the rooms hold it."""


def _offer_anew(rooms: Rooms, widening: Widening) -> None:
    """Offer the tools that a widening makes useful, and take them away with it."""
    if widening.door != EGRESS:
        return
    try:
        rooms.tools = rooms.tooling.registry(rooms.loaded)
        rooms.study.reload(agent_directory(rooms.config, rooms.tools, rooms.paths))
    except OpenClawError as error:
        _log.error("tools_not_offered", extra={"fields": {"why": error.message}})


def _rpc_deps(rooms: Rooms) -> RpcDeps:
    return RpcDeps(
        agent=rooms.study,
        hub=rooms.hub,
        config=lambda: rooms.loaded,
        models=rooms.models,
        health=rooms.health,
        logs_dir=rooms.paths.logs_dir,
        clock=rooms.clock,
        version=__version__,
        state_dir=rooms.paths.state_dir,
        usage=rooms.store,
        audit=rooms.store.audit,
        ledger=rooms.ledger,
        tools=rooms.tool_desk,
        devices=rooms.devices,
        nodes=rooms.nodes,
        automation=rooms.automation,
        config_desk=rooms.config_desk,
        upkeep=rooms.upkeep,
        shelf=rooms.store.shelf,
        approvals=rooms.approvals,
        widenings=rooms.widenings,
        senders=rooms.senders,
        skills=rooms.skills,
        skill_desk=rooms.skill_desk,
        memories=rooms.store,
    )
