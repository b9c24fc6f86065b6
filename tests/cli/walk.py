"""Runs many command lines, each in a child of one process that has imported what nearly every command needs.

It reads a JSON list of argument lists from stdin and prints one JSON object per command line: how it ended, what it
wrote, and which modules it loaded beyond those. The environment is the caller's.
"""

from __future__ import annotations

import asyncio  # noqa: F401  # on the way of nearly every command, as msgspec is
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import click  # noqa: F401
import msgspec

import openclaw.cli.app

DEADLINE_S = 60
FELL = 99
PRELOADED = set(sys.modules)


class Walked(msgspec.Struct, frozen=True):
    """How one command line ended."""

    arguments: list[str]
    code: int
    out: str
    err: str
    loaded: list[str]


def walk(arguments: list[str], folder: Path) -> Walked:
    """Run one command line in a child process and wait for it."""
    files = [folder / name for name in ("out", "err", "loaded")]
    pid = os.fork()
    if not pid:
        _child(arguments, *files)
    _, status = os.waitpid(pid, 0)
    out, err, loaded = (file.read_text() for file in files)
    return Walked(arguments, os.waitstatus_to_exitcode(status), out, err, loaded.split())


def _child(arguments: list[str], out: Path, err: Path, loaded: Path) -> None:
    code = FELL
    try:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        signal.alarm(DEADLINE_S)
        code = openclaw.cli.app.run(arguments)
    except BaseException:  # noqa: BLE001  # whatever it is, the parent is to see it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        loaded.write_text("\n".join(sorted(set(sys.modules) - PRELOADED)))
        os._exit(code)


def main() -> None:
    """Run them all."""
    jobs = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[str]])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    with os.fdopen(os.dup(1), "wb") as answers, tempfile.TemporaryDirectory() as folder:
        for arguments in jobs:
            answers.write(msgspec.json.encode(walk(arguments, Path(folder))) + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
