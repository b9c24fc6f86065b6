"""Runs the gateway in this process: plainly for `gateway run`, and with a first question and a chat for `up`."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import OpenClawError, StateLocked
from openclaw.cli import output
from openclaw.cli.conversation import converse
from openclaw.cli.desk import Desk, run
from openclaw.cli.reach import Reach
from openclaw.cli.turn import write

if TYPE_CHECKING:
    from openclaw.gateway.run import GatewayHandle, RunOptions

QUESTION = "What is the capital of Japan?"
JOIN_S = 5.0
STOP_S = 20.0
"""Longer than a gateway takes to let its runs end."""
STOP_POLL_S = 0.1


def serve(options: RunOptions, on_ready: Callable[[GatewayHandle], None] | None = None) -> int:
    """Run the gateway in this, the main, thread until it is told to stop; return its exit code."""
    from openclaw.gateway.run import run_gateway

    return run_gateway(options, on_ready)


def stop_running(desk: Desk) -> None:
    """Stop the gateway that holds this state directory, if there is one, and wait until it has let go.

    Raises: StateLocked when it does not stop in time or is somebody else's.
    """
    from openclaw.store.lock import StateLock

    lock = StateLock(desk.paths.state_dir)
    deadline_s = SYSTEM_CLOCK.monotonic_s() + STOP_S
    told = False
    while True:
        try:
            lock.acquire()
        except StateLocked as error:
            pid = error.details.get("pid")
            if not pid or SYSTEM_CLOCK.monotonic_s() > deadline_s:
                raise
            if not told:
                click.echo(f"Stopping the gateway that runs as process {pid} …", err=True)
                os.kill(pid, signal.SIGTERM)
                told = True
            run(SYSTEM_CLOCK.sleep(STOP_POLL_S))
        else:
            lock.release()
            return


class FirstHour:
    """What `up` does beside the gateway it runs: ask the first question, say where to go, then chat or wait."""

    def __init__(self, *, demo: bool, chat: bool) -> None:
        self._demo = demo
        self._chat = chat
        self._thread: threading.Thread | None = None
        self._interrupt: Callable[[], object] | None = None
        self.failed = False

    def ready(self, handle: GatewayHandle) -> None:
        """Begin, on the gateway's loop, once it listens."""
        # The gateway stops on Ctrl-C; while there is a chat, that key belongs to the chat.
        if self._chat:
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self._on_interrupt, handle)
        self._thread = threading.Thread(target=self._talk, args=(handle,), name="first-hour", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of what was begun, so that its last words are printed."""
        if self._thread is not None:
            self._thread.join(JOIN_S)

    def _on_interrupt(self, handle: GatewayHandle) -> None:
        if self._interrupt is None:
            handle.request_stop()
        else:
            self._interrupt()

    def _talk(self, handle: GatewayHandle) -> None:
        reach = Reach(port=handle.port, token=handle.token.reveal())
        try:
            self.failed = not introduce(reach)
            if self._demo:
                return
            print_directions(reach, works=not self.failed)
            if self._chat:
                asyncio.run(self._converse(reach))
        except OpenClawError as error:
            self.failed = True
            output.print_error(error)
        finally:
            if self._demo or self._chat:
                handle.request_stop()

    async def _converse(self, reach: Reach) -> None:
        loop = asyncio.get_running_loop()

        def take(interrupt: Callable[[], None]) -> None:
            self._interrupt = partial(loop.call_soon_threadsafe, interrupt)

        try:
            await converse(reach, session_key="main", on_interrupt=take)
        finally:
            self._interrupt = None


def introduce(reach: Reach) -> bool:
    """Ask the first question through the HTTP API, as any program would, and show the answer as it streams."""
    click.echo(f"\n{output.paint('you', 'cyan')}> {QUESTION}")
    shown = ""
    try:
        for piece in reach.stream_chat(QUESTION):
            write(piece)
            shown += piece
    except OpenClawError as error:
        click.echo()
        output.print_error(error)
        return False
    click.echo()
    return bool(shown.strip())


def program() -> str:
    """Return how to call openclaw from here: by name when it is on the path, else by its place."""
    if shutil.which("openclaw"):
        return "openclaw"
    place = Path(sys.argv[0]).absolute()
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


def print_directions(reach: Reach, *, works: bool = True) -> None:
    """Say where to go from here."""
    first = output.paint("It works.", "green", bold=True) if works else "The model did not answer; the gateway runs on."
    url, me = reach.target.http_url, program()
    click.echo(
        f"""
{first} The gateway listens at {url}
  chat in a terminal   {me} chat
  in a browser         {me} dashboard prints the address
  any OpenAI client    base URL {url}/v1, the key is what this prints: {me} gateway token show
  curl                 curl {url}/v1/chat/completions \\
                         -H "Authorization: Bearer $({me} gateway token show)" \\
                         -H 'Content-Type: application/json' \\
                         -d '{{"model": "openclaw", "messages": [{{"role": "user", "content": "Hello"}}]}}'
  a stronger model     ANTHROPIC_API_KEY=… make run     (or OPENAI_API_KEY)
                       {me} models list, then: {me} models set PROVIDER/MODEL
"""
    )
