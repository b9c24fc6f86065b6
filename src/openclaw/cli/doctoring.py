"""The doctor's view of this machine: everything that its checks look at, gathered from the other rooms."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from openclaw import __version__
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ConfigError, ModelError, OpenClawError
from openclaw.cli.desk import Desk
from openclaw.cli.reach import Reach

if TYPE_CHECKING:
    from openclaw.config.env import Environment
    from openclaw.config.load import Loaded
    from openclaw.config.paths import StatePaths
    from openclaw.config.schema import Config
    from openclaw.models.registry import ModelRegistry
    from openclaw.ops.doctor.scene import Installed, Scene
    from openclaw.ops.service.plan import Scope

DEEP_TIMEOUT_S: Final = 15.0
_EXTRA_OF_API: Final = {"embedded": ("xllamacpp", "xllamacpp"), "bedrock-converse": ("botocore", "botocore")}


def usable(paths: StatePaths, env: Environment) -> tuple[Loaded, OpenClawError | None]:
    """Return the configuration, or the defaults and why it cannot be used at all."""
    from openclaw.config.load import load, load_text

    try:
        return load(paths, env), None
    except ConfigError as error:
        return load_text("{}", paths, env, "defaults"), error


def look(reach: Reach, *, deep: bool = False, models: bool = True, walls: bool = True) -> Scene:
    """Gather the scene anew. Without `models` the providers are not asked for, without `walls` none are put up."""
    from openclaw.cli.service_desk import installed_services
    from openclaw.models.local.shelf import model_path
    from openclaw.ops.doctor.scene import Scene
    from openclaw.ops.token.units import unit_folders

    desk = reach.desk
    desk.forget()
    loaded, broken = usable(desk.paths, desk.env)
    if broken is None:
        loaded = desk.whole(loaded)
    desk.__dict__["loaded"] = loaded  # a broken file must not end the command that is to diagnose it
    reach.__dict__.pop("target", None)
    ref, problem, problems = reach.run(_models(desk)) if models else ("", "", {})
    services = reach.run(installed_services(desk))
    problem_of_bubblewrap, problems_of_docker = (
        reach.run(_wall_problems(desk, loaded.config, services)) if walls else ("", {})
    )
    return Scene(
        paths=desk.paths,
        loaded=loaded,
        broken=broken,
        default_model=ref,
        model_problem=problem,
        provider_problems=problems,
        embedded_model=partial(model_path, desk.paths.cache_dir),
        probe=reach.health,
        env=desk.env,
        now_ms=SYSTEM_CLOCK.now_ms(),
        uid=os.getuid(),
        cwd=Path.cwd(),
        version=__version__,
        units=unit_folders(Path(desk.env.get("HOME") or Path.home())),
        services=services,
        missing_extras=tuple(_missing(loaded.config)),
        deep=Network(desk) if deep else None,
        wall_problem=problem_of_bubblewrap,
        docker_problems=problems_of_docker,
    )


async def _wall_problems(desk: Desk, config: Config, services: Iterable[Installed]) -> tuple[str, dict[str, str]]:
    """Put walls up around nothing; return why bubblewrap's cannot be, or "", and why which image's cannot be."""
    from openclaw.ops.doctor.checks.sandbox import images, needs_bubblewrap
    from openclaw.processes.sandbox.bubblewrap import Bubblewrap
    from openclaw.processes.sandbox.docker import Docker
    from openclaw.processes.spawner import Spawner

    spawner = Spawner(desk.env)
    try:
        entrance = next((_entrance(one.scope) for one in services if one.state and one.state.active == "active"), "")
        bubblewrap = await Bubblewrap(spawner, SYSTEM_CLOCK, entrance).problem() if needs_bubblewrap(config) else ""
        docker = {each.docker.image: await Docker(spawner, SYSTEM_CLOCK, each).problem() for each in images(config)}
        return bubblewrap, docker
    finally:
        await spawner.close()


def _entrance(scope: Scope) -> str:
    """Return where the service of a running gateway has commands started."""
    from openclaw.ops.service.systemd import ENTRANCE

    return ENTRANCE.replace("%t", "/run" if scope == "system" else f"/run/user/{os.getuid()}")


async def _models(desk: Desk) -> tuple[str, str, Mapping[str, str]]:
    """Return the default model, why it cannot be called, or "", and what is wrong with configured providers."""
    async with desk.registry() as registry:
        ref = desk.default_model(registry)
        problems = registry.problems()
        try:
            registry.resolve(ref)
        except ModelError as error:
            return ref, error.message, problems
        return ref, "", problems


def _missing(config: Config) -> list[tuple[str, str]]:
    wanted = [
        (f"models.providers.{name}", *_EXTRA_OF_API[one.api])
        for name, one in config.models.providers.items()
        if one.api in _EXTRA_OF_API
    ]
    if config.mcp.servers:
        wanted.append(("mcp.servers", "mcp", "mcp"))
    return [(setting, package) for setting, module, package in wanted if find_spec(module) is None]


class Network:
    """What `--deep` asks of others: each configured provider whether it takes its credential, and one for the time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def providers(self) -> Mapping[str, str]:
        """List the models of every provider that is in use, which costs nothing; say what went wrong with each."""
        from openclaw.cli.desk import run

        return run(self._ask_all())

    async def _ask_all(self) -> dict[str, str]:
        found: dict[str, str] = {}
        async with self._desk.registry() as registry:
            refs = [info.provider + "/" + info.id for info in registry.models() if info.available]
            first = {ref.partition("/")[0]: ref for ref in reversed(refs)}
            for name, ref in first.items():
                if name not in ("embedded", "fake"):
                    found[name] = await self._ask(registry, ref)
        return found

    async def _ask(self, registry: ModelRegistry, ref: str) -> str:
        import asyncio

        try:
            async with asyncio.timeout(DEEP_TIMEOUT_S):
                await registry.resolve(ref).client.list_models()
        except TimeoutError:
            return f"no answer within {DEEP_TIMEOUT_S:.0f} s"
        except OpenClawError as error:
            return error.message
        return ""

    def clock_skew_s(self) -> tuple[str, float] | None:
        """Compare this clock with the Date header of the first provider that answers."""
        from openclaw.client.inspect import clock_skew_s

        for name, url in self._addresses():
            if (skew := clock_skew_s(url)) is not None:
                return name, skew
        return None

    def _addresses(self) -> list[tuple[str, str]]:
        from openclaw.cli.desk import run

        async def all_of_them() -> list[tuple[str, str]]:
            async with self._desk.registry() as registry:
                return [(one.id, one.config.base_url) for one in registry.providers() if not one.problem]

        return [(name, url) for name, url in run(all_of_them()) if url.startswith("http")]
