"""`openclaw sandbox`: the walls around commands of agents, and the containers that there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click

from openclaw.base.errors import InvalidRequest, NotFound, Unavailable
from openclaw.cli import output
from openclaw.cli.desk import Desk
from openclaw.cli.desk import run as run_work
from openclaw.cli.reach import Reach

if TYPE_CHECKING:
    from openclaw.base.ids import AgentId
    from openclaw.config.schema import Config
    from openclaw.ops.doctor.scene import Scene
    from openclaw.processes.sandbox.docker import Container, Docker

NONE = "There are no containers."
HOUR_MS = 3_600_000


@click.group()
def sandbox() -> None:
    """See the walls around commands of agents, and the containers that there are.

    \b
    Examples:
      openclaw sandbox explain --agent work
      openclaw sandbox list
      openclaw sandbox recreate --all
    """


@sandbox.command(name="list")
@output.json_option
def list_(as_json: bool) -> None:
    """List this gateway's containers, the oldest first.

    \b
    Example:
      openclaw sandbox list --json
    """

    async def work() -> list[dict[str, Any]]:
        async with _docker() as docker:
            found = await _containers(docker)
            ids = await _ids(docker, found)
            return [_row(each, ids) for each in found]

    rows = run_work(work())
    if as_json:
        output.emit_json({"containers": rows})
        return
    from openclaw.base.clock import SYSTEM_CLOCK

    now_ms = SYSTEM_CLOCK.now_ms()
    shown = [
        (row["name"], row["state"], row["scope"], row["image"], "yes" if row["current"] else "no",
         output.ago(row["createdAtMs"], now_ms))
        for row in rows
    ]  # fmt: skip
    output.table(["name", "state", "shared by", "image", "current", "made"], shown, NONE)


@sandbox.command()
@click.option("--all", "every", is_flag=True, help="Every container of this gateway.")
@click.option("--session", help="The container of this session.")
@click.option("--agent", help="The containers of this agent.")
@click.option("--force", is_flag=True, help="Do not ask.")
@output.json_option
def recreate(every: bool, session: str | None, agent: str | None, force: bool, as_json: bool) -> None:
    """Remove containers, with what runs in them; the next command gets a new one, of today's settings and image.

    \b
    Examples:
      openclaw sandbox recreate --all
      openclaw sandbox recreate --agent work --force
    """
    if [every, bool(session), bool(agent)].count(True) != 1:
        raise click.UsageError("name --all, --session KEY or --agent ID, and one of them only")

    async def work() -> list[str]:
        async with _docker() as docker:
            names = [each.name for each in await _containers(docker) if every or _is_of(each.scope, session, agent)]
            if names and not force and not click.confirm(f"Remove {len(names)} containers?", err=True):
                raise InvalidRequest("nothing was removed", hint="--force does not ask.")
            for name in names:
                await docker.remove(name)
            return names

    _tell(run_work(work()), as_json=as_json)


@sandbox.command()
@output.json_option
def prune(as_json: bool) -> None:
    """Remove containers in which nothing runs and whose time is up (sandbox.prune). The gateway does so by itself.

    \b
    Example:
      openclaw sandbox prune
    """

    async def work() -> list[str]:
        from openclaw.base.clock import SYSTEM_CLOCK

        now_ms = SYSTEM_CLOCK.now_ms()
        async with _docker() as docker:
            over = [
                each.name
                for each in await _containers(docker)
                if now_ms - each.made_ms >= min(each.idle_hours, 24 * each.max_age_days) * HOUR_MS
            ]
            idle = [name for name in over if not await docker.is_busy(name)]
            for name in idle:
                await docker.remove(name)
            return idle

    _tell(run_work(work()), as_json=as_json)


@sandbox.command()
@click.option("--agent", help="Whose commands; default: the default agent's.")
@click.option("--session", help="In which session; default: the agent's main one.")
@output.json_option
def explain(agent: str | None, session: str | None, as_json: bool) -> None:
    """Say what would hold a command of an agent here, and which settings make it so.

    \b
    Examples:
      openclaw sandbox explain
      openclaw sandbox explain --agent work --session agent:work:main
    """
    from openclaw.cli import doctoring

    scene = doctoring.look(Reach(), models=False)
    if scene.broken is not None:
        raise scene.broken
    told = _explained(scene, agent, session)
    if as_json:
        output.emit_json(told)
        return
    output.fields(told)


def _explained(scene: Scene, agent: str | None, session: str | None) -> dict[str, Any]:
    from openclaw.agent.session_key import main_key, parse_key
    from openclaw.ops.doctor.checks.sandbox import is_docker, walls_problem
    from openclaw.policy.exec.rules import exec_config

    config = scene.loaded.config
    agent_id = _agent(config, agent)
    agent_id, key = parse_key(session, agent_id) if session else (agent_id, main_key(agent_id))
    own = next((each.sandbox for each in config.agents.list if each.id == agent_id), None)
    walls, where = (
        (own, "agents.list[].sandbox") if own else (config.agents.defaults.sandbox, "agents.defaults.sandbox")
    )
    rules = exec_config(config, agent_id)
    problem = walls_problem(walls, scene)
    bare = walls.mode == "off" or (walls.mode == "non-main" and key == main_key(agent_id))
    held = "none" if bare else "docker" if is_docker(walls) else "bubblewrap"
    if problem and not bare:
        asked = held == "bubblewrap" and walls.backend == "auto"
        held = "none, and every command is asked about" if asked else f"{held}, which cannot be had: no command runs"
    return {
        "agent": agent_id,
        "session": key,
        "commands": f"security {rules.security}, ask {rules.ask} (tools.exec)",
        "walls": held,
        **({"problem": problem} if problem and not bare else {}),
        "mode": f"{walls.mode} ({where}.mode)",
        "backend": f"{walls.backend} ({where}.backend)",
        "workspace": f"{walls.workspace_access} ({where}.workspaceAccess)",
        "network": f"{walls.network} ({where}.network)",
        "image": f"{walls.docker.image or 'none'} ({where}.docker.image)",
        "scope": f"{walls.scope} ({where}.scope)",
        "memory": f"{rules.max_memory_mb} MiB (tools.exec.maxMemoryMb)",
        "processes": f"{rules.max_processes} (tools.exec.maxProcesses)",
    }


def _agent(config: Config, name: str | None) -> AgentId:
    from openclaw.agent.directory import MAIN_AGENT
    from openclaw.base.ids import AgentId

    known = [each.id for each in config.agents.list] or [str(MAIN_AGENT)]
    if name in (None, "", "default"):
        name = next((each.id for each in config.agents.list if each.default), known[0])
    if name not in known:
        raise NotFound(f"there is no agent {name!r}", hint=f"There are: {', '.join(known[:20])}")
    return AgentId(name)


@asynccontextmanager
async def _docker() -> AsyncIterator[Docker]:
    """Offer Docker, as the gateway of this state directory uses it."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.processes.sandbox.choice import owner_of
    from openclaw.processes.sandbox.docker import Docker
    from openclaw.processes.spawner import Spawner

    desk = Desk()
    spawner = Spawner(desk.env)
    try:
        yield Docker(spawner, SYSTEM_CLOCK, owner=owner_of(desk.paths.state_dir))
    finally:
        await spawner.close()


async def _containers(docker: Docker) -> list[Container]:
    """Return this gateway's containers. Where no agent has any, Docker need not be there.

    Raises: Unavailable when containers are configured and Docker does not answer.
    """
    from openclaw.ops.doctor.checks.sandbox import is_docker

    try:
        return await docker.containers()
    except Unavailable as error:
        agents = Desk().loaded.config.agents
        if any(is_docker(each) for each in (agents.defaults.sandbox, *(one.sandbox for one in agents.list)) if each):
            raise
        click.echo(f"Note: no agent uses containers, and {error}", err=True)
        return []


async def _ids(docker: Docker, found: list[Container]) -> dict[str, str]:
    """Return the ids that the containers' images have today, "" for those that are gone."""
    names = {each.image.partition(" ")[0] for each in found}
    return {name: await docker.image_id(name) for name in names}


def _row(each: Container, ids: dict[str, str]) -> dict[str, Any]:
    image, _, made_of = each.image.partition(" ")
    return {
        "name": each.name,
        "state": each.state,
        "scope": each.scope,
        "image": image,
        "current": bool(made_of) and ids[image] == made_of,
        "createdAtMs": each.made_ms,
        "idleHours": each.idle_hours,
        "maxAgeDays": each.max_age_days,
    }


def _is_of(scope: str, session: str | None, agent: str | None) -> bool:
    if session:
        return scope == session or scope.endswith(f":{session}")
    return scope == f"agent:{agent}" or scope.startswith(f"agent:{agent}:")


def _tell(names: list[str], *, as_json: bool) -> None:
    if as_json:
        output.emit_json({"ok": True, "removed": names})
        return
    for name in names:
        click.echo(f"Removed {name}")
    if not names:
        click.echo("Nothing to remove.")
