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

import click  # noqa: F401
import msgspec

import openclaw.cli.app

DEADLINE_S = 20
PRELOADED = set(sys.modules)


class Walked(msgspec.Struct, frozen=True):
    """How one command line ended."""

    arguments: list[str]
    code: int
    out: str
    err: str
    loaded: list[str]


def walk(arguments: list[str], folder: str) -> Walked:
    """Run one command line in a child process and wait for it."""
    out, err, loaded = (os.path.join(folder, name) for name in ("out", "err", "loaded"))
    pid = os.fork()
    if not pid:
        _child(arguments, out, err, loaded)
    _, status = os.waitpid(pid, 0)
    told = []
    for path in (out, err, loaded):
        with open(path, encoding="utf-8") as file:
            told.append(file.read())
    return Walked(arguments, os.waitstatus_to_exitcode(status), told[0], told[1], told[2].split())


def _child(arguments: list[str], out: str, err: str, loaded: str) -> None:
    code = 99
    try:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        signal.alarm(DEADLINE_S)
        code = openclaw.cli.app.run(arguments)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 98
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        with open(loaded, "w", encoding="utf-8") as file:
            file.write("\n".join(sorted(set(sys.modules) - PRELOADED)))
        os._exit(code)


def main() -> None:
    """Run them all."""
    jobs = msgspec.json.decode(sys.stdin.buffer.read(), type=list[list[str]])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    answers = os.fdopen(os.dup(1), "wb")
    with tempfile.TemporaryDirectory() as folder:
        for arguments in jobs:
            answers.write(msgspec.json.encode(walk(arguments, folder)) + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
