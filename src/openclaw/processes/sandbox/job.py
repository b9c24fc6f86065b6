"""What is to run, within which walls, and the words in which a carrier is told."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from openclaw.base.errors import Unavailable
from openclaw.processes.child import Child

Backend = Literal["none", "bubblewrap", "docker"]
MAX_FRAME: Final = 16 << 20
"""Longest message to a carrier, in bytes: a job with every word that a kernel would take."""


class Redirect(msgspec.Struct, frozen=True, array_like=True):
    """`target` is a path seen from the command's directory, or for `dup` the number of a descriptor."""

    fd: int
    mode: Literal["read", "write", "append", "dup"]
    target: str


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One program: `execve(program, argv, environment)` in `cwd`. An empty `program` could not be found."""

    program: str
    argv: tuple[str, ...]
    cwd: str
    environment: tuple[tuple[str, str], ...] = ()
    redirections: tuple[Redirect, ...] = ()


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline, and whether it runs after the status of the one before."""

    commands: tuple[Command, ...]
    join: Literal["always", "and", "or"] = "always"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a job may use. Memory and processes hold for all of its processes together, the rest for each."""

    cpu_s: int = 600
    memory_bytes: int = 2 << 30
    processes: int = 256
    file_bytes: int = 1 << 30
    open_files: int = 1024


class Pin(msgspec.Struct, frozen=True, array_like=True):
    """What a path named when the command was judged: the real path, and the SHA-256 of its bytes if it was a file."""

    path: str
    real: str
    sha256: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run. Shape: absolute real paths; `takes_input`: somebody may write to its standard input.

    `pins` are paths in the workspace: nothing starts when one of them is not what it was.
    """

    stages: tuple[Stage, ...]
    workspace: str
    limits: Limits = Limits()
    takes_input: bool = False
    pins: tuple[Pin, ...] = ()


class Walls(msgspec.Struct, frozen=True, kw_only=True):
    """What a job may see of the machine.

    Shape: real paths. `hidden` is never seen, also where it lies in the workspace; `shown` is read-only. `scope` names
    whose jobs may share one container. `proxy` is a Unix socket, the one way to a network, where there is any.
    """

    workspace: Path
    writable: bool = True
    hidden: tuple[Path, ...] = ()
    shown: tuple[Path, ...] = ()
    scope: str = "shared"
    proxy: Path | None = None


class Sandbox(Protocol):
    """One kind of walls."""

    @property
    def backend(self) -> Backend: ...

    async def start(self, job: Job, walls: Walls) -> Running:
        """Start a job. Raises: Unavailable when these walls cannot be put up, with what to do about it."""
        ...


class Running(Protocol):
    """A job that was started."""

    @property
    def child(self) -> Child: ...

    async def give(self, data: bytes) -> None:
        """Write to its standard input. Raises: ConnectionError when it is gone."""
        ...

    async def end_input(self) -> None:
        """Close its standard input. Raises: ConnectionError when it is gone."""
        ...

    async def end(self) -> int:
        """End it with everything that it has started, and return its status."""
        ...


_SYSTEM: Final = tuple(
    map(
        Path,
        ("/usr", "/etc", "/proc", "/sys", "/dev", "/run", "/var", "/boot", "/bin", "/sbin", "/lib", "/root", "/home"),
    )
)


def check_workspace(walls: Walls) -> None:
    """Raises: Unavailable when the workspace itself is what no command may see: secrets, or a part of the system."""
    workspace = walls.workspace
    if workspace in map(Path.resolve, walls.hidden):
        raise Unavailable(f"the workspace {workspace} is where secrets lie: no command can be shut in there")
    if workspace in _SYSTEM or any(workspace in place.parents for place in _SYSTEM):
        raise Unavailable(
            f"the workspace {workspace} is a part of the system: no command can be shut in there",
            hint="Give the agent a folder of its own (agents.*.workspace).",
        )


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """Return one message to a carrier."""
    return kind + struct.pack(">I", len(payload)) + payload
