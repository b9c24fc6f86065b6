"""Walls by bubblewrap: namespaces of its own, and of the machine's files only the workspace and the programs.

1. The system's programs are there, read-only; of /etc only what programs need to start. The workspace is the one place
   that can be written, beside a small /tmp that ends with the job.
2. What is hidden (state, configuration, secrets) is not there, also where it lies in the workspace.
3. No network, no other processes, no devices but the harmless ones, no capabilities, no way to get new ones.
4. A wall that cannot be put up is an error: nothing ever runs with fewer walls than asked for.
5. A gateway whose own service may make no namespaces has the walls put up by another service (entrance.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from openclaw.base.clock import Clock
from openclaw.base.errors import Unavailable
from openclaw.processes.sandbox.cage import ENTER, Cages
from openclaw.processes.sandbox.carried import CARRIER, PYTHON, started
from openclaw.processes.sandbox.job import Backend, Command, Job, Running, Stage, Walls, check_workspace
from openclaw.processes.spawner import Spawner

PROGRAM: Final = "bwrap"
HINT: Final = (
    "Install bubblewrap and let users make namespaces (see docs/sandbox.md), or set agents.defaults.sandbox.mode."
)
TMP_BYTES: Final = 256 << 20
PROBE_S: Final = 10.0
TRUST_S: Final = 300.0
"""How long an answer of the probe that says no is believed."""
ENTRANCE: Final = Path(__file__).with_name("entrance.py")
ENTRANCE_VARIABLE: Final = "OPENCLAW_COMMANDS_SOCKET"
"""Where the service listens that puts up the walls, for a gateway that may not."""
_INSIDE: Final = "/run/openclaw/carrier.py"
PROXY: Final = "/run/openclaw/proxy"
_SYSTEM: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC: Final = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "nsswitch.conf", "protocols",
    "services", "mime.types", "magic", "ssl/certs", "ca-certificates", "java-17-openjdk", "java-21-openjdk", "fonts",
)  # fmt: skip
_PROC_FILES: Final = ("kcore", "kallsyms", "keys", "key-users", "kmsg", "kpagecount", "kpageflags", "timer_list",
                      "sched_debug", "sysrq-trigger", "config.gz", "iomem", "ioports", "modules", "vmallocinfo",
                      "mdstat", "partitions", "diskstats", "swaps")  # fmt: skip
_PROC_FOLDERS: Final = ("acpi", "scsi", "asound", "driver", "fs", "bus", "irq")


class Bubblewrap:
    """Implements Sandbox."""

    backend: Backend = "bubblewrap"

    def __init__(self, spawner: Spawner, clock: Clock, entrance: str = "") -> None:
        self._spawner = spawner
        self._named = entrance
        self._clock = clock
        self._problem: str | None = None
        self._asked_s = 0.0
        self._asking = asyncio.Lock()
        self._cages = Cages()

    async def problem(self) -> str:
        """Say why there can be no walls here, or nothing. A yes is believed for good, a no for some minutes."""
        async with self._asking:
            now_s = self._clock.monotonic_s()
            if self._problem is None or (self._problem and now_s - self._asked_s > TRUST_S):
                self._problem, self._asked_s = await self._try(), now_s
            return self._problem

    async def start(self, job: Job, walls: Walls) -> Running:
        """See Sandbox."""
        check_workspace(walls)
        problem = await self.problem()
        if problem:
            raise Unavailable(f"commands cannot be shut in: {problem}", hint=HINT)
        return await self._start(job, walls)

    async def _start(self, job: Job, walls: Walls) -> Running:
        program = shutil.which(PROGRAM, path=os.defpath + ":/usr/local/bin")
        if program is None:
            raise FileNotFoundError(PROGRAM)
        argv = (program, *arguments(walls))
        entrance = self._named or self._spawner.variable(ENTRANCE_VARIABLE)
        # The service of an entrance gives every command a control group by itself.
        cage = None if entrance else self._cages.make(job.limits)
        after = partial(self._cages.remove, cage) if cage else None
        if cage:
            argv = (*ENTER, str(cage), *argv)
        if entrance:
            argv = (PYTHON, "-I", "-S", str(ENTRANCE), entrance, *argv)
        try:
            child = await self._spawner.spawn(argv, name="command", allow=(), cwd=Path("/"), stdin=True, stdout=True)
            return await started(child, job, alone=True, after=after, proxy=PROXY if walls.proxy else "")
        except BaseException:
            if after is not None:
                after()
            raise

    async def _try(self) -> str:
        """Put the walls up around a command that does nothing."""
        workspace = Path("/usr/share")
        true = Command(program="/bin/true", argv=("true",), cwd=str(workspace))
        job = Job(stages=(Stage(commands=(true,)),), workspace=str(workspace))
        try:
            running = await self._start(job, Walls(workspace=workspace, writable=False))
        except FileNotFoundError:
            return f"the program {PROGRAM} is not installed"
        except OSError as error:
            return f"{PROGRAM} cannot be started: {error.strerror}"
        try:
            async with asyncio.timeout(PROBE_S):
                status = await running.child.wait()
        except TimeoutError:
            return f"{PROGRAM} does not end"
        finally:
            await running.end()
        told = running.child.stderr_tail.rpartition("\n")[2]
        return "" if status == 0 else told or f"{PROGRAM} ended with status {status}"


def arguments(walls: Walls) -> list[str]:
    """Return what bubblewrap is told, up to the carrier's command line. Looks at the disk."""
    workspace = str(walls.workspace)
    python = os.path.realpath(sys.base_prefix)
    shown = ["/usr", *(f"/{name}" for name in _SYSTEM if Path(f"/{name}").is_dir())]
    shown += [str(path) for path in walls.shown]
    if not python.startswith("/usr/") and python != "/usr":
        shown.append(python)
    bind = "--bind" if walls.writable else "--ro-bind"
    return [
        *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"),
        *("--hostname", "sandbox"),
        *_programs(shown),
        *(word for name in _ETC for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")),
        *("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", *_masked_proc(), "--remount-ro", "/proc"),
        *("--dev", "/dev", "--size", str(TMP_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *("--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108
        *("--ro-bind", str(CARRIER), _INSIDE, *_proxy(walls.proxy), "--remount-ro", "/run"),
        *(bind, workspace, workspace),
        *_masks((*walls.hidden, *_sockets(walls.workspace)), [workspace, *shown]),
        *("--remount-ro", "/", "--chdir", workspace),
        *("--", PYTHON, "-I", "-S", _INSIDE),
    ]


def _programs(shown: Iterable[str]) -> Iterator[str]:
    for path in dict.fromkeys(shown):
        place = Path(path)
        if place.is_symlink() and place.parent == Path("/"):
            yield from ("--symlink", str(place.readlink()), path)
        else:
            yield from ("--ro-bind-try", path, path)


def _proxy(path: Path | None) -> Iterator[str]:
    if path is not None:
        yield from ("--ro-bind", str(path), PROXY)


def _masked_proc() -> Iterator[str]:
    for name in _PROC_FILES:
        if Path("/proc", name).exists():
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")
    for name in _PROC_FOLDERS:
        if Path("/proc", name).is_dir():
            yield from ("--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}")


def _sockets(workspace: Path) -> Iterator[Path]:
    """Yield sockets of the machine's own services that lie in a workspace: to one with a path no network is needed."""
    try:
        table = Path("/proc/net/unix").read_text("utf-8", "replace").splitlines()[1:]
    except OSError:
        return
    for line in table:
        bound = line.split(None, 7)[7:]
        if bound and not bound[0].startswith("@"):
            place = workspace / bound[0]  # one that was bound by a relative name was so, most likely, from here
            with contextlib.suppress(OSError):  # others' folders, which are no part of the workspace
                if place.is_socket():
                    yield place


def _masks(hidden: Iterable[Path], seen: list[str]) -> Iterator[str]:
    """Cover what is hidden and would be seen."""
    for path in hidden:
        place = os.path.realpath(path)
        if not any(place.startswith(f"{each.rstrip('/')}/") for each in seen) or not Path(place).exists():
            continue
        if Path(place).is_dir():
            yield from ("--tmpfs", place, "--remount-ro", place)
        else:
            yield from ("--ro-bind", "/dev/null", place)
