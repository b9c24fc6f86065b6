"""The composition root: every room made from a Config, wired, and closed in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from openclaw import __version__
from openclaw.agent.directory import Directory, build_directory
from openclaw.agent.service import Study
from openclaw.agent.skill import FOLDER as SKILLS_FOLDER
from openclaw.agent.skill import Skills
from openclaw.automation.room import Automation
from openclaw.automation.system_event import SystemEvents
from openclaw.base.clock import Clock, boot_id
from openclaw.base.errors import OpenClawError
from openclaw.config.disk import make_private
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths, tls_files
from openclaw.config.schema import Config
from openclaw.gateway.calls import Purses, open_credentials, open_purses, open_workshop
from openclaw.gateway.commanding import Stopping, open_commands
from openclaw.gateway.config_desk import ConfigDesk
from openclaw.gateway.config_rows import ConfigRows
from openclaw.gateway.federations import Federations
from openclaw.gateway.grace import Grace
from openclaw.gateway.proposals import Proposals
from openclaw.gateway.tooling import Tooling
from openclaw.gateway.upkeep import Upkeep
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.devices.book import Devices
from openclaw.identity.grace import grace_file
from openclaw.identity.rate_limit import Lockouts
from openclaw.listeners.tls import TlsDoor
from openclaw.models.calling.failover import Failover
from openclaw.models.embedded.factory import embedded_factory
from openclaw.models.refresh import FILE_NAME as CATALOG_FILE
from openclaw.models.registry import ModelRegistry
from openclaw.net.aws import across
from openclaw.net.certificate import Pair
from openclaw.net.http import HttpClient
from openclaw.ops.backup.desk import Backups
from openclaw.ops.disk import DiskWatch
from openclaw.ops.load import LoadWatch, given_memory_bytes
from openclaw.ops.skill_desk import SkillDesk
from openclaw.policy.approval import Approval, may_review
from openclaw.policy.approvals import Approvals
from openclaw.policy.consent import Consent
from openclaw.policy.content_door import KIND as CONTENT
from openclaw.policy.content_door import content_verdict
from openclaw.policy.dm_door import KIND as DM
from openclaw.policy.dm_door import dm_rule
from openclaw.policy.egress_door import KIND as EGRESS
from openclaw.policy.egress_door import RulesOfNow, egress_rule
from openclaw.policy.egress_way import EgressGate
from openclaw.policy.exec_door import KIND as EXEC
from openclaw.policy.exec_door import exec_rule
from openclaw.policy.files.door import KIND as FILE
from openclaw.policy.files.door import file_verdict
from openclaw.policy.gatekeeper import Gatekeeper
from openclaw.policy.known_hosts import KnownHosts
from openclaw.policy.ledger import Ledger
from openclaw.policy.node_door import KIND as NODE
from openclaw.policy.node_door import node_rule
from openclaw.policy.overlooking import Overlooking
from openclaw.policy.reception import Reception
from openclaw.policy.senders import Senders
from openclaw.policy.sign_ins import SignIns
from openclaw.policy.skill.gate import SkillGate
from openclaw.policy.tool_door import KIND as TOOL
from openclaw.policy.tool_door import tool_verdict
from openclaw.policy.widening import Widening, widening_rule
from openclaw.policy.widenings import Widenings
from openclaw.processes.environment import CurrentEnvironment
from openclaw.processes.sandbox.choice import Sandboxes
from openclaw.processes.spawner import Spawner
from openclaw.rpc.approval_rows import SCOPES
from openclaw.rpc.build import build_counter
from openclaw.rpc.counter import Counter
from openclaw.rpc.cron_rows import tell_beat, tell_job
from openclaw.rpc.deps import RpcDeps
from openclaw.rpc.device_events import DeviceEvents
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.tool_desk import ToolDesk
from openclaw.secrets.room import SecretRoom
from openclaw.store.lock import StateLock
from openclaw.store.sqlite import SqliteStore
from openclaw.telemetry.health import HealthBoard
from openclaw.telemetry.metrics import METRICS
from openclaw.telemetry.redact import REDACTOR
from openclaw.tools.builtin.command.jobs import Jobs
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.registry import ToolRegistry

_log = logging.getLogger("openclaw.gateway")


@dataclass
class Rooms:
    """The house while it is open. `loaded` and `tools` change with a reload; the rest stays."""

    loaded: Loaded
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
    def config(self) -> Config:
        """The configuration in use."""
        return self.loaded.config

    @property
    def effective(self) -> Config:
        """The same with what an administrator has opened for a time."""
        return self.widenings.effective(self.config)

    @property
    def tool_desk(self) -> ToolDesk:
        """Tools for people and programs, over the agents of the moment."""
        return ToolDesk(self.study.directory, self.study)

    def backups(self) -> Backups:
        """Return the backups of this gateway: from the threads they run in, they ask its own egress door."""
        door = across(self.egress.house, asyncio.get_running_loop())
        return Backups(self.paths, lambda: self.loaded, self.clock, __version__, door=door)

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
        health = HealthBoard(clock)
        store = await SqliteStore.open(paths.db_path, clock=clock, lock=lock)
        stack.push_async_callback(store.close)
        ledger = Ledger(store.audit, clock)
        widenings = Widenings(store.shelf, ledger, clock, paths.state_dir, boot_id())
        stack.push_async_callback(widenings.close)
        await widenings.open()
        senders = Senders(store.shelf, clock)
        await senders.open()
        egress_now, egress_wide = RulesOfNow(lambda: rooms.config), RulesOfNow(lambda: rooms.effective)
        rules = {
            TOOL: tool_verdict,
            FILE: file_verdict,
            CONTENT: content_verdict,
            EGRESS: widening_rule(egress_rule(egress_now), egress_rule(egress_wide), widenings.openings, EGRESS),
            DM: widening_rule(
                dm_rule(lambda: rooms.config, senders.is_paired),
                dm_rule(lambda: rooms.effective, senders.is_paired),
                widenings.openings,
                DM,
            ),
            NODE: node_rule(lambda: rooms.config.gateway.nodes),
            EXEC: exec_rule,
        }
        gate = Gatekeeper(rules, ledger, clock)
        egress = EgressGate(gate, egress_wide)
        http = HttpClient(door=egress.house, user_agent=f"openclaw/{__version__}")
        stack.push_async_callback(http.close)
        spawner = Spawner(CurrentEnvironment(lambda: rooms.loaded.env))
        stack.push_async_callback(spawner.close)
        credentials = open_credentials(paths, clock)
        models = ModelRegistry(
            loaded.config.models,
            env=loaded.env.get,
            http=http,
            embedded=embedded_factory(paths.cache_dir, http, spawner, clock),
            clock=clock,
            credentials=credentials.first,
            catalog_path=paths.state_dir / CATALOG_FILE,
        )
        stack.push_async_callback(models.close)
        opened: list[Rooms] = []

        def current() -> Config:
            return opened[0].config if opened else loaded.config

        hub = Hub(clock, __version__)
        devices = await Devices.open(store.shelf, clock, paths.identity)
        stack.push_async_callback(devices.close)
        auth = loaded.config.gateway.auth
        federations = Federations(http, clock)
        authenticator = Authenticator(
            auth.mode,
            auth.token,
            auth.password,
            lambda: current().gateway.auth.rate_limit,
            clock,
            devices,
            federation=federations.federation(loaded.config.gateway),
        )
        devices.observer = DeviceEvents(hub, authenticator.recheck)
        sign_ins = authenticator.sign_ins = SignIns(ledger, clock)
        stack.push_async_callback(sign_ins.close)
        lockouts = Lockouts(store.shelf, clock)
        stack.push_async_callback(lockouts.close)
        await lockouts.follow(authenticator.limiter)
        grace = Grace(grace_file(paths.state_dir), authenticator, hub, clock)
        stack.push_async_callback(grace.close)
        nodes = await Nodes.open(hub, gate, clock, store.shelf, partial(_paired_at_ms, devices))
        stack.push_async_callback(nodes.close)
        events = SystemEvents(store.shelf, clock)
        await events.load()
        approvals = Approvals(store.shelf, clock)
        await approvals.open()
        stack.push_async_callback(approvals.close)
        gate.consent = Consent(approvals, partial(_can_be_asked, hub))
        known_hosts = KnownHosts(store.shelf, clock)
        await known_hosts.load()
        purses = open_purses(lambda: rooms.config.models, store, clock, hub)
        folder = paths.state_dir / SKILLS_FOLDER
        skills = Skills(folder, lambda: rooms.loaded.env, lambda: rooms.loaded.parsed, SkillGate(paths.state_dir))
        shop, failover = open_workshop(lambda: rooms.config.models, store, models, credentials, clock, purses, events)
        study = Study(directory=Directory.empty(), shop=msgspec.structs.replace(shop, skills=skills.prompt))
        study.overlooks = Overlooking(ledger, clock).note
        secrets = secrets or SecretRoom(paths, clock, REDACTOR.add)
        rows = ConfigRows(store.shelf, clock)
        config_desk = ConfigDesk(paths, lambda: rooms.loaded, hub, clock, secrets, authenticator.stands, rows)
        stack.push_async_callback(config_desk.close)
        proposals = Proposals(config_desk, approvals, ledger)
        stack.push_async_callback(proposals.close)
        mcp = McpRoom(loaded.config.mcp.servers, spawner, clock, http=http, cwd=paths.workspace, version=__version__)
        stack.push_async_callback(mcp.close)
        sandboxes, jobs = Sandboxes(spawner, clock), Jobs(clock)
        stack.push_async_callback(jobs.close)
        study.observe(Stopping(jobs))
        commands = open_commands(gate, approvals, hub, sandboxes, jobs, paths, egress, lambda: rooms.effective)
        desk = Tooling(
            gate,
            egress,
            known_hosts,
            study,
            store,
            http,
            clock,
            mcp,
            commands,
            lambda: rooms.config,
            widenings.effective,
            proposals,
            skills,
        )
        tools = desk.registry(loaded)
        study.reload(agent_directory(loaded.config, tools, paths))
        automation = Automation(
            shelf=store.shelf,
            events=events,
            agent=study,
            clock=clock,
            config=lambda: rooms.config,
            tell_job=partial(tell_job, hub),
            tell_beat=partial(tell_beat, hub),
        )
        stack.push_async_callback(automation.close)
        disk = DiskWatch(paths.state_dir, lambda: rooms.config.storage, clock)
        health.add_check("disk", disk.problem)
        health.add_check("audit", ledger.problem)
        health.add_look("store", store.ping)
        load = LoadWatch(
            lambda: rooms.config.gateway.shed,
            health,
            resident_bytes=resident_bytes,
            queued=study.queued,
            given_bytes=given_memory_bytes(),
        )
        study.shed = lambda: disk.refusal() or load.refusal()
        rooms = Rooms(
            loaded,
            paths,
            clock,
            health,
            store,
            http,
            spawner,
            models,
            tools,
            study,
            failover,
            mcp,
            desk,
            hub,
            _NO_COUNTER,
            gate,
            ledger,
            purses,
            devices,
            federations,
            authenticator,
            grace,
            nodes,
            automation,
            config_desk,
            secrets,
            approvals,
            widenings,
            senders,
            Reception(gate, senders, lambda: rooms.config.dm_policy, clock),
            disk,
            skills,
            SkillDesk(skills),
            TlsDoor(lambda: Pair(*tls_files(rooms.config.gateway.tls, paths)), clock),
            egress,
            sandboxes,
            stack,
        )
        secrets.door = egress.house
        stack.callback(setattr, secrets, "door", None)  # it outlives the ledger
        opened.append(rooms)
        rooms.upkeep = Upkeep(rooms)
        widenings.observe(partial(_offer_anew, rooms))
        rooms.counter = build_counter(_rpc_deps(rooms))
        stack.push_async_callback(rooms.counter.close)
        _watch(rooms)
        rooms.stack = stack.pop_all()
        return rooms


_NO_COUNTER: Any = None
"""Stands in until the counter is built: it needs the rooms, and the rooms hold it."""


def _can_be_asked(hub: Hub, approval: Approval) -> bool:
    return hub.has_hearer(SCOPES[approval.kind], lambda peer: may_review(peer.principal, approval))


def _paired_at_ms(devices: Devices, device_id: str) -> int:
    device = devices.get(device_id)
    return device.created_at_ms if device is not None else 0


def agent_directory(config: Config, tools: ToolRegistry, paths: StatePaths) -> Directory:
    """Return the agents of a configuration; their workspaces are made when they are missing."""
    directory = build_directory(config, tools, workspace=paths.workspace, state_dir=paths.state_dir)
    for spec in directory.specs():
        with contextlib.suppress(OSError):  # an agent whose workspace cannot be made fails alone, at its first tool
            make_private(spec.workspace)
    return directory


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


GAUGES: tuple[tuple[str, str, Callable[[Rooms], float]], ...] = (
    ("openclaw_uptime_seconds", "Time since the start.", lambda rooms: rooms.health.uptime_ms() / 1000),
    ("openclaw_loop_lag_seconds", "Lag of the event loop.", lambda rooms: rooms.health.loop_lag_ms() / 1000),
    (
        "openclaw_loop_lag_p99_seconds",
        "99th percentile of the event loop's lag over the last half minute.",
        lambda rooms: rooms.health.p99_loop_lag_ms() / 1000,
    ),
    ("openclaw_runs_running", "Runs that are going.", lambda rooms: rooms.study.running()),
    ("openclaw_runs_queued", "Messages that wait in lanes.", lambda rooms: rooms.study.queued()),
    ("openclaw_ws_peers", "Connected clients of the Gateway protocol.", lambda rooms: len(rooms.hub)),
    ("openclaw_nodes", "Connected nodes.", lambda rooms: len(rooms.nodes.live)),
    (
        "openclaw_disk_free_bytes",
        "Free space for the state directory, -1 = unknown.",
        lambda rooms: rooms.disk.free,
    ),
    (
        "openclaw_tls_certificate_ends_seconds",
        "Unix time at which the gateway's own certificate expires, 0 = TLS is off.",
        lambda rooms: rooms.tls.ends_s,
    ),
    ("openclaw_tasks", "Tasks of the event loop.", lambda rooms: len(asyncio.all_tasks())),
    ("openclaw_children", "Child processes.", lambda rooms: rooms.spawner.children()),
    ("process_resident_memory_bytes", "Resident memory of the gateway.", lambda rooms: resident_bytes()),
)


def _watch(rooms: Rooms) -> None:
    """Register what the scraper reads."""
    for name, doc, read in GAUGES:
        METRICS.gauge(name, doc, partial(read, rooms))


def resident_bytes() -> float:
    """Return this process's resident memory, or 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * 4096
