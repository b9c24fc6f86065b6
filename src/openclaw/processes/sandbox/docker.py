"""Walls by Docker: one container for whoever shares it, and every command by `docker exec` in it.

1. A container has no network, no capabilities, no new privileges, a bounded number of processes and memory, and of the
   machine's files the workspace alone. Nothing that the configuration says takes one of these away.
2. It is known by a name made of everything that it was made with: other settings, another image, another container.
3. Names of programs are the image's. A plan is told to the image's shell with every word in quotes.
4. Ending a job ends its container: it is the only way to end all that a command has started.
5. Containers that nobody uses are removed, also those that an earlier gateway has left. What still runs in one of those
   ends with it: its gateway was killed, and `docker exec` ends nothing by itself. Other gateways' are let alone.
6. Whoever makes, takes or removes a container because nobody uses it has its name to himself meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import Unavailable
from openclaw.config.schema import SandboxConfig
from openclaw.processes.child import Child
from openclaw.processes.sandbox.job import Backend, Command, Job, Redirect, Running, Walls, check_workspace
from openclaw.processes.spawner import Completed, Spawner

LABEL: Final = "ai.openclaw.sandbox"
LIMITS: Final = "ai.openclaw.sandbox.limits"
"""Labels of a container: when it was made, Unix ms; hours of idleness and days of age after which it goes."""
OWNER: Final = "ai.openclaw.sandbox.owner"
SCOPE: Final = "ai.openclaw.sandbox.scope"
IMAGE: Final = "ai.openclaw.sandbox.image"
"""Whose it is, who shares it, and of which image it was made: its name and its id."""
OWN_PROCESSES: Final = 3
"""What runs in a container by itself: the first process, the shell that waits, its `sleep`."""
PREFIX: Final = "openclaw-sandbox-"
COMMAND_S: Final = 60.0
HINT: Final = "Start Docker and name an image that it has (agents.defaults.sandbox.docker.image), or use bubblewrap."
_ALLOW: Final = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR")
_SIGNS: Final = {"read": "<", "write": ">", "append": ">>"}
_LEFT_OUT: Final = frozenset(("PATH", "PWD"))
"""Variables of a plan that are the image's own business."""


class _Known:
    """What is known of containers. `used`: when a command was last started in one, Unix ms, by its name."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self._clients: dict[str, list[Child]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, name: str) -> asyncio.Lock:
        """Return the lock of a name; it is gone when nobody holds it."""
        return self._locks.setdefault(name, asyncio.Lock())

    def enter(self, name: str, client: Child) -> None:
        """Note a command that was started in a container."""
        self._clients[name] = [*self._at_work(name), client]

    def is_at_work(self, name: str) -> bool:
        """Say whether a command of ours runs in a container."""
        return bool(self._at_work(name))

    def forget(self, name: str) -> None:
        """Forget a container."""
        self.used.pop(name, None)
        self._clients.pop(name, None)

    def _at_work(self, name: str) -> list[Child]:
        return [client for client in self._clients.get(name, ()) if client.returncode is None]


class Docker:
    """Implements Sandbox, with the settings it was given; what is known of containers is shared by all of them."""

    backend: Backend = "docker"

    def __init__(
        self,
        spawner: Spawner,
        clock: Clock,
        config: SandboxConfig | None = None,
        *,
        owner: str = "",
        known: _Known | None = None,
    ) -> None:
        self._spawner = spawner
        self._clock = clock
        self._config = config or SandboxConfig()
        self._owner = owner
        self._since_ms = clock.now_ms()
        self._known = known or _Known()

    def with_settings(self, config: SandboxConfig) -> Docker:
        """Return the same with an agent's settings."""
        return Docker(self._spawner, self._clock, config, owner=self._owner, known=self._known)

    async def problem(self) -> str:
        """Say why there can be no container, or nothing."""
        try:
            await self.image()
        except Unavailable as error:
            return error.message
        return ""

    async def start(self, job: Job, walls: Walls) -> Running:
        """See Sandbox."""
        image = await self.image()
        options = container_options(self._config, walls)
        labels = {OWNER: self._owner, SCOPE: walls.scope, IMAGE: f"{self._config.docker.image} {image}"}
        options += [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
        name = PREFIX + sha256(msgspec.json.encode((image, options, walls.scope))).hexdigest()[:24]
        argv = ["exec", *(("-i",) if job.takes_input else ()), "-w", job.workspace, name, "/bin/sh", "-c", text(job)]
        async with self._known.lock(name):
            await self._ensure(name, image, options)
            self._known.used[name] = self._clock.now_ms()
            try:
                child = await self._spawner.spawn(
                    ("docker", *argv),
                    name="command",
                    allow=_ALLOW,
                    stdin=job.takes_input,
                    stdout=True,
                    log_stderr=False,
                )
            except BaseException:
                await asyncio.shield(self.remove(name))  # what it has begun in there is not ended with it
                raise
            self._known.enter(name, child)
        return Contained(child, self, name)

    async def remove(self, name: str) -> None:
        """Remove a container with all that runs in it."""
        self._known.forget(name)
        await self._docker("rm", "-f", "-v", name)

    async def containers(self) -> list[Container]:
        """Return this gateway's containers, the oldest first. Raises: Unavailable."""
        names = (LABEL, LIMITS, SCOPE, IMAGE)
        shown = "\t".join(("{{.Names}}", "{{.State}}", *(f'{{{{.Label "{name}"}}}}' for name in names)))
        mine = ("--filter", f"label={LABEL}", "--filter", f"label={OWNER}={self._owner}")
        found = await self._docker("ps", "-a", *mine, "--format", shown)
        if found.returncode:
            raise Unavailable(f"Docker does not list containers: {_last(found)}", hint=HINT)
        lines = found.stdout.decode("utf-8", "replace").splitlines()
        return sorted(map(_container, lines), key=lambda each: each.made_ms)

    async def prune(self) -> int:
        """Remove containers that are idle or old, once no command of ours runs there. Return how many.

        Harmless without Docker.
        """
        now_ms = self._clock.now_ms()
        gone = 0
        for each in await self._found():
            async with self._known.lock(each.name):
                idle_ms = now_ms - self._known.used.get(each.name, max(each.made_ms, self._since_ms))
                over = idle_ms >= each.idle_hours * 3_600_000
                over = over or now_ms - each.made_ms >= each.max_age_days * 86_400_000
                if over and not self._known.is_at_work(each.name):
                    await self.remove(each.name)
                    gone += 1
        return gone

    async def sweep(self) -> int:
        """End what a gateway that was killed has left running. Return in how many containers there was something."""
        gone = 0
        for each in await self._found():
            async with self._known.lock(each.name):
                if each.name not in self._known.used and await self.is_busy(each.name):
                    await self.remove(each.name)
                    gone += 1
        return gone

    async def is_busy(self, name: str) -> bool:
        """Say whether a command runs in a container."""
        said = await self._docker("top", name, "-eo", "pid")
        return said.returncode == 0 and len(said.stdout.splitlines()) - 1 > OWN_PROCESSES

    async def _found(self) -> list[Container]:
        if shutil.which("docker") is None:
            return []
        try:
            return await self.containers()
        except Unavailable:
            return []

    async def image(self) -> str:
        """Return the id of the configured image: its name may come to mean another. Raises: Unavailable."""
        wanted = self._config.docker.image
        if not wanted:
            raise Unavailable("no image is named for containers", hint=HINT)
        done = await self._inspect_image(wanted)
        if done.returncode:
            raise Unavailable(f"Docker has no image {wanted}: {_last(done)}", hint=HINT)
        return done.stdout.decode().strip()

    async def image_id(self, name: str) -> str:
        """Return the id that an image's name means now, "" for none. Raises: Unavailable."""
        done = await self._inspect_image(name)
        return "" if done.returncode else done.stdout.decode().strip()

    async def _inspect_image(self, name: str) -> Completed:
        return await self._docker("image", "inspect", "--format", "{{.Id}}", "--", name)

    async def _ensure(self, name: str, image: str, options: list[str]) -> None:
        state = await self._docker("inspect", "--format", "{{.State.Running}}", "--", name)
        if state.returncode == 0 and state.stdout.strip() == b"true":
            return
        if state.returncode == 0:
            await self.remove(name)
        label = f"{LABEL}={self._clock.now_ms()}"
        sleep = ("/bin/sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait $!; done")
        done = await self._docker(
            "run", "-d", "--pull", "never", "--name", name, "--label", label, *options, image, *sleep
        )
        if done.returncode:
            await self.remove(name)
            raise Unavailable(f"the container cannot be started: {_last(done)}", hint=HINT)

    async def _docker(self, *argv: str) -> Completed:
        try:
            return await self._spawner.run(
                ("docker", *argv), name="docker", allow=_ALLOW, timeout_s=COMMAND_S, log_stderr=True
            )
        except FileNotFoundError:
            raise Unavailable("the program docker is not installed", hint=HINT) from None
        except TimeoutError:
            raise Unavailable("Docker does not answer", hint=HINT) from None


class Contained:
    """Implements Running."""

    def __init__(self, child: Child, docker: Docker, name: str) -> None:
        self.child = child
        self._docker = docker
        self._name = name

    async def give(self, data: bytes) -> None:
        """See Running."""
        await self.child.write(data)

    async def end_input(self) -> None:
        """See Running."""
        self.child.close_stdin()

    async def end(self) -> int:
        """See Running. A job that has ended by itself leaves the container to those who share it.

        Raises: Unavailable when the engine does not answer; what the job has started may go on then.
        """
        try:
            if self.child.returncode is None:
                await self._docker.remove(self._name)
        finally:  # an engine that does not answer must not have us wait for its client, too
            await self.child.kill()
        return self.child.returncode or 0


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """A container. Shape: `image` is a name and an id; `made_ms` Unix ms; limits that cannot be read are 0."""

    name: str
    state: str
    scope: str
    image: str
    made_ms: int
    idle_hours: int
    max_age_days: int


def _container(line: str) -> Container:
    name, state, made, limits, scope, image = (line.split("\t") + [""] * 6)[:6]
    hours, _, days = limits.partition("/")
    made_ms, idle_hours, max_age_days = (int(each) if each.isdigit() else 0 for each in (made, hours, days))
    return Container(
        name=name, state=state, scope=scope, image=image,
        made_ms=made_ms, idle_hours=idle_hours, max_age_days=max_age_days,
    )  # fmt: skip


def container_options(config: SandboxConfig, walls: Walls) -> list[str]:
    """Return the options of `docker run`. Raises: Unavailable for folders that may not be given."""
    docker = config.docker
    workspace = str(walls.workspace)
    user = docker.user or f"{os.getuid()}:{os.getgid()}"
    check_workspace(walls)
    covers = [place for place in map(os.path.realpath, walls.hidden) if place.startswith(f"{workspace}/")]
    options = [
        *("--network", docker.network, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--init"),
        *("--user", user, "--pids-limit", str(docker.pids_limit), "--memory", docker.memory),
        *("--memory-swap", docker.memory, "--cpus", str(docker.cpus), "--hostname", "sandbox", "--ipc", "private"),
        *("--ulimit", "core=0", "--ulimit", "nofile=1024:1024", "--tmpfs", "/tmp:rw,nosuid,nodev,size=256m"),  # noqa: S108
        *("--label", f"{LIMITS}={config.prune.idle_hours}/{config.prune.max_age_days}"),
        *(("--read-only",) if docker.read_only_root else ()),
        *(word for name in docker.cap_drop for word in ("--cap-drop", name)),
    ]
    own = (workspace, workspace, "" if walls.writable else ",readonly")
    mounts = [word for each in (own, *_binds(docker.binds, walls)) for word in _mount(*each)]
    return [*options, *mounts, *(word for place in covers for word in _cover(place))]


def _mount(source: str, target: str, mode: str) -> tuple[str, str]:
    return "--mount", f"type=bind,src={_plain(source)},dst={_plain(target)}{mode}"


def _cover(place: str) -> Iterator[str]:
    """Hide a folder or file that lies in the workspace."""
    if Path(place).is_dir():
        yield from ("--mount", f"type=tmpfs,dst={_plain(place)},tmpfs-size=4096,tmpfs-mode=0500")
    elif Path(place).exists():
        yield from ("--mount", f"type=bind,src=/dev/null,dst={_plain(place)},readonly")


def _binds(binds: tuple[str, ...], walls: Walls) -> Iterator[tuple[str, str, str]]:
    """Return further mounts, all read-only, all below the workspace. Raises: Unavailable for any other."""
    for bind in binds:
        source, _, rest = bind.partition(":")
        target = rest.removesuffix(":ro")
        real = os.path.realpath(source)
        inside = real.startswith(f"{walls.workspace}/") and Path(real).is_dir()
        if not inside or not target.startswith("/") or ".." in target.split("/") or ":" in target:
            raise Unavailable(
                f"the folder {bind!r} is not given to containers: only folders below the workspace are, as "
                "SOURCE:TARGET:ro",
                hint="Correct agents.defaults.sandbox.docker.binds.",
            )
        yield real, target, ",readonly"


def _plain(path: str) -> str:
    if "," in path or '"' in path or "\n" in path:
        raise Unavailable(f"the path {path!r} has characters that Docker's mounts cannot hold")
    return path


def text(job: Job) -> str:
    """Return a plan as the image's shell is told it: every word in quotes, so that none means anything to it."""
    joins = {"always": "\n", "and": " && ", "or": " || "}
    lines = "".join(joins[stage.join] + " | ".join(map(_command, stage.commands)) for stage in job.stages)
    return f"exec 2>&1{'' if job.takes_input else ' </dev/null'}{lines}\n"


def _command(command: Command) -> str:
    environment = [
        f"{name}={quoted(value)}"
        for name, value in command.environment
        if name not in _LEFT_OUT and name.isidentifier()
    ]
    words = [quoted(word) for word in command.argv]
    redirections = [_redirection(each) for each in command.redirections]
    return f"( cd {quoted(command.cwd)} && {' '.join((*environment, *words, *redirections))} )"


def _redirection(each: Redirect) -> str:
    if each.mode == "dup":
        return f"{each.fd}>&{int(each.target)}"
    return f"{each.fd}{_SIGNS[each.mode]}{quoted(each.target)}"


def quoted(word: str) -> str:
    """Return a word as any shell reads it literally."""
    return "'" + word.replace("'", "'\\''") + "'"


def _last(done: Completed) -> str:
    return done.stderr_tail.rpartition("\n")[2][:300] or f"status {done.returncode}"
