"""Opens the rooms where agents work: the study, its tools and skills, and what wakes it."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import NamedTuple

import msgspec

from openclaw import __version__
from openclaw.agent.directory import Directory, build_directory
from openclaw.agent.service import Study
from openclaw.agent.skill import Skills
from openclaw.automation.room import Automation
from openclaw.automation.system_event import SystemEvents
from openclaw.config.disk import make_private
from openclaw.config.paths import StatePaths
from openclaw.config.schema import Config, ModelsConfig
from openclaw.gateway.archive import Archive
from openclaw.gateway.calls import Purses, open_purses, open_workshop
from openclaw.gateway.commanding import Stopping, open_commands, way_out
from openclaw.gateway.desks import Desks
from openclaw.gateway.doors import Doors
from openclaw.gateway.entrance import Entrance
from openclaw.gateway.gates import Gates
from openclaw.gateway.new_hosts import NewHosts
from openclaw.gateway.present import Site
from openclaw.gateway.skill_room import SkillReading, open_skills
from openclaw.gateway.tooling import Tooling
from openclaw.models.calling.failover import Failover
from openclaw.policy.known_hosts import KnownHosts
from openclaw.policy.overlooking import Overlooking
from openclaw.processes.sandbox.choice import Sandboxes, owner_of
from openclaw.rpc.cron_rows import tell_beat, tell_job
from openclaw.tools.builtin.command.jobs import Jobs
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.registry import ToolRegistry


class Workrooms(NamedTuple):
    """The study and what it works with. `tools` are those of the configuration at the start."""

    study: Study
    failover: Failover
    purses: Purses
    skills: Skills
    mcp: McpRoom
    sandboxes: Sandboxes
    tooling: Tooling
    tools: ToolRegistry
    automation: Automation


async def open_workrooms(
    site: Site, archive: Archive, doors: Doors, gates: Gates, entrance: Entrance, desks: Desks
) -> Workrooms:
    """Open them. Raises: ConfigError, Unavailable."""
    stack, present, paths, clock = site
    store, hub, config = archive.store, entrance.hub, present.config
    events = SystemEvents(store.shelf, clock)
    await events.load()
    known_hosts = KnownHosts(store.shelf, clock)
    await known_hosts.load()
    skills = open_skills(site)

    def models_now() -> ModelsConfig:
        return present.config.models

    purses = open_purses(models_now, store, clock, hub)
    shop, failover = open_workshop(models_now, store, gates.models, gates.credentials, clock, purses, events)
    study = Study(directory=Directory.empty(), shop=msgspec.structs.replace(shop, skills=skills.prompt))
    study.overlooks = Overlooking(archive.ledger, clock).note
    mcp = McpRoom(config.mcp.servers, gates.spawner, clock, http=gates.http, cwd=paths.workspace, version=__version__)
    stack.push_async_callback(mcp.close)
    sandboxes, jobs = Sandboxes(gates.spawner, clock, owner=owner_of(paths.state_dir)), Jobs(clock)
    stack.push_async_callback(jobs.close)
    study.observe(Stopping(jobs))
    hosts = NewHosts(doors.gate, known_hosts, lambda: present.config)
    leads_out = partial(way_out, doors.egress, hosts, gates.carrier)
    tooling = Tooling(
        gate=doors.gate,
        egress=doors.egress,
        hosts=hosts,
        study=study,
        store=store,
        http=gates.http,
        clock=clock,
        mcp=mcp,
        commands=open_commands(
            doors.gate, desks.approvals, hub, sandboxes, jobs, paths, leads_out, lambda: present.effective
        ),
        config=lambda: present.config,
        effective=archive.widenings.effective,
        proposals=desks.proposals,
        skills=SkillReading(skills, doors.gate),
    )
    tools = tooling.registry(present.loaded)
    study.reload(agent_directory(config, tools, paths))
    automation = Automation(
        shelf=store.shelf,
        events=events,
        agent=study,
        clock=clock,
        config=lambda: present.config,
        tell_job=partial(tell_job, hub),
        tell_beat=partial(tell_beat, hub),
    )
    stack.push_async_callback(automation.close)
    return Workrooms(study, failover, purses, skills, mcp, sandboxes, tooling, tools, automation)


def agent_directory(config: Config, tools: ToolRegistry, paths: StatePaths) -> Directory:
    """Return the agents of a configuration; their workspaces are made when they are missing."""
    directory = build_directory(config, tools, workspace=paths.workspace, state_dir=paths.state_dir)
    for spec in directory.specs():
        with contextlib.suppress(OSError):  # an agent whose workspace cannot be made fails alone, at its first tool
            make_private(spec.workspace)
    return directory
