"""A running process, its group and what it says."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import deque
from collections.abc import Callable

from openclaw.telemetry.redact import REDACTOR

MAX_LINE_BYTES = 64 * 1024
TAIL_LINES = 20
"""Lines of stderr kept for error messages."""
_log = logging.getLogger("openclaw.processes")


class Child:
    """A running process and its group. stderr goes to our log line by line; `stderr_tail` keeps the last lines.

    Without `log_stderr` its words, which may be secret, are thrown away.
    """

    def __init__(self, name: str, process: asyncio.subprocess.Process, *, log_stderr: bool = True) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._logs = log_stderr
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._ended = asyncio.Event()

    @property
    def returncode(self) -> int | None:
        """The exit status; minus the signal's number when a signal ended it; None while it runs."""
        return self._process.returncode

    @property
    def stdout(self) -> asyncio.StreamReader:
        """What it writes; only for a child spawned with `stdout=True`."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def stderr_tail(self) -> str:
        """The last lines it wrote to stderr, without a secret that we know."""
        return REDACTOR.clean("\n".join(self._tail))

    async def write(self, data: bytes) -> None:
        """Send to its stdin. Raises: ConnectionError when it is gone."""
        assert self._process.stdin is not None
        if self._process.stdin.is_closing():  # uvloop raises RuntimeError for a write to what is closed
            raise BrokenPipeError(f"{self.name} reads no more")
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    def feed(self, data: bytes) -> None:
        """Give it all of its input; what it does not read is lost."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(data)
            self._process.stdin.close()

    def close_stdin(self) -> None:
        """Tell it that no more input comes."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def wait(self) -> int:
        """Wait until it and its whole group have ended; return the exit status."""
        await self._ended.wait()
        return self._process.returncode or 0

    async def terminate(self, grace_s: float = 5.0) -> int:
        """Ask the group to end (SIGTERM), after `grace_s` seconds make it (SIGKILL). Return the exit status."""
        if not self._ended.is_set():
            self.signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(grace_s):
                    await self._ended.wait()
            except TimeoutError:
                _log.warning("child_killed", extra={"fields": {"child": self.name, "pid": self.pid}})
        return await self.kill()

    async def kill(self) -> int:
        """End the group at once."""
        self.signal(signal.SIGKILL)
        return await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when it has ended."""
        if self._ended.is_set():
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    async def follow(self, on_end: Callable[[Child], None]) -> None:
        """Log what it says and reap it; ends when the whole group has. The spawner runs this for every child."""
        try:
            await asyncio.gather(self._log_stderr(), self._reap())
        finally:
            on_end(self)
            self._ended.set()
            _log.debug("child_ended", extra={"fields": {"child": self.name, "status": self.returncode}})

    async def _reap(self) -> None:
        await self._process.wait()
        self.signal(signal.SIGKILL)

    async def _log_stderr(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        while True:
            try:
                line = await stream.readuntil()
            except asyncio.IncompleteReadError as error:
                line = error.partial
                if not line:
                    return
            except asyncio.LimitOverrunError as error:
                line = await stream.read(error.consumed or MAX_LINE_BYTES)
            text = line.decode("utf-8", "replace").rstrip()
            if text and self._logs:
                self._tail.append(text)
                _log.info("child_stderr", extra={"fields": {"child": self.name, "line": text}})
