"""Reads lines from a person (or a pipe) in a thread of its own, so that the loop never waits for a key."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

HISTORY_LINES = 1000
LINE_BYTES = 4096


class Keyboard:
    """One reader for one loop. Waiting for a line may take for ever; leaving the process does not wait for it."""

    def __init__(self, history: Path | None = None) -> None:
        self._wanted: queue.SimpleQueue[tuple[str, Callable[[str | None], None]]] = queue.SimpleQueue()
        self._coming: asyncio.Future[str | None] | None = None
        self._history = history
        self._terminal = sys.stdin.isatty()
        self._saved_mode = _terminal_mode() if self._terminal else None
        self._readline: Any = _load_readline(history) if self._terminal else None
        threading.Thread(target=self._read, name="keyboard", daemon=True).start()

    async def ask(self, prompt: str) -> str | None:
        """Show the prompt and return the next line without its end, or None at the end of input.

        Cancels: at once; the line then goes to the next one who asks.
        """
        if self._coming is None:
            self._coming = self._request(prompt)
        line = await asyncio.shield(self._coming)
        self._coming = None
        return line

    async def listen(self) -> str | None:
        """Return a line that is typed without a prompt, while an answer streams; None at the end of input.

        Cancels: at once; what was typed of the line so far stays for the next prompt.
        """
        if not self._terminal:
            return await self.ask("")
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str | None] = loop.create_future()

        def ready() -> None:
            # Without readline the terminal hands over whole lines only, so this never waits.
            data = os.read(0, LINE_BYTES)
            if not line.done():
                line.set_result(data.decode("utf-8", "replace").rstrip("\r\n") if data else None)

        loop.add_reader(0, ready)
        try:
            return await asyncio.shield(line)
        except asyncio.CancelledError:
            self._coming = line if line.done() else None
            raise
        finally:
            loop.remove_reader(0)

    def typed(self) -> str:
        """Return what stands on the line that is being typed."""
        return str(self._readline.get_line_buffer()) if self._readline else ""

    def close(self) -> None:
        """Give the terminal back as it was, even when a read is still going on."""
        if self._saved_mode is not None:
            import termios

            termios.tcsetattr(0, termios.TCSADRAIN, self._saved_mode)

    def _request(self, prompt: str) -> asyncio.Future[str | None]:
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str | None] = loop.create_future()

        def deliver(text: str | None) -> None:
            loop.call_soon_threadsafe(line.set_result, text)

        self._wanted.put((prompt, deliver))
        return line

    def _read(self) -> None:
        # A pipe is read unbuffered: a daemon thread that holds stdin's buffer lock would break the interpreter's exit.
        raw = None if self._terminal else open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115  # a descriptor
        while True:
            prompt, deliver = self._wanted.get()
            line: str | None
            if raw is None:
                try:
                    line = input(prompt)
                except EOFError:
                    line = None
                self._remember(line)
            else:
                data = raw.readline()
                line = data.decode("utf-8", "replace").rstrip("\r\n") if data else None
            try:
                deliver(line)
            except RuntimeError:  # the loop is closed: nobody waits for this line any more
                return

    def _remember(self, line: str | None) -> None:
        if self._readline is None or self._history is None or not line or not line.strip():
            return
        try:
            self._history.touch(mode=0o600)
            self._readline.set_history_length(HISTORY_LINES)
            self._readline.write_history_file(str(self._history))
        except OSError:
            self._history = None


def _terminal_mode() -> list[Any] | None:
    try:
        import termios

        return termios.tcgetattr(0)
    except (ImportError, OSError):
        return None


def _load_readline(history: Path | None) -> Any:
    try:
        import readline
    except ImportError:
        return None
    if history is not None and history.exists():
        try:
            readline.read_history_file(str(history))
        except OSError:
            return readline
    return readline
