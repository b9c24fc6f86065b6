"""Jobs for tests, and what came of them."""

from __future__ import annotations

import sys
from pathlib import Path

from openclaw.processes.sandbox.job import Command, Job, Limits, Redirect, Running, Sandbox, Stage, Walls

ENVIRONMENT = (("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin"))
PYTHON = str(Path(sys.executable).resolve())


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def command(workspace: Path, *argv: str, cwd: Path | None = None, to: tuple[Redirect, ...] = ()) -> Command:
    """Return a call of a program in /bin, or of this Python."""
    program = PYTHON if argv[0] == "python" else f"/bin/{argv[0]}"
    return Command(program=program, argv=argv, cwd=str(cwd or workspace), environment=ENVIRONMENT, redirections=to)


def job(workspace: Path, *stages: Stage, limits: Limits | None = None, takes_input: bool = False) -> Job:
    """Return a job of these stages."""
    return Job(stages=stages, workspace=str(workspace), limits=limits or Limits(), takes_input=takes_input)


def shell(workspace: Path, text: str, limits: Limits | None = None) -> Job:
    """Return a job that lets bash do what a text says: inside the walls it may."""
    return job(workspace, Stage(commands=(command(workspace, "bash", "-c", text),)), limits=limits)


def python(workspace: Path, text: str) -> Job:
    """Return a job that runs a piece of Python."""
    return job(workspace, Stage(commands=(command(workspace, "python", "-I", "-S", "-c", text),)))


async def outcome(running: Running) -> tuple[int, str]:
    """Return the status of a job and what it wrote."""
    written = await running.child.stdout.read()
    return await running.end(), written.decode("utf-8", "replace")


async def ran(box: Sandbox, what: Job, walls: Walls) -> tuple[int, str]:
    """Run a job to its end."""
    running = await box.start(what, walls)
    written = await running.child.stdout.read()
    await running.child.wait()  # as the jobs do: what has ended by itself is not ended by force
    return await running.end(), written.decode("utf-8", "replace")
