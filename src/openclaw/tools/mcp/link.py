"""One MCP server: connected, kept connected, its tools known.

Rules
1. A link never makes anyone wait: while it is down its tools stay listed, so that prompts keep their bytes, and a call
   of them fails at once, saying so.
2. It connects again by itself, with a pause that doubles up to a minute and starts small after a steady time.
3. A tool that is the same after a reconnect is the same object: no toolbox is built again for it.
4. What a server says is untrusted: cleaned and bounded before a model, a person or the log gets it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from openclaw.base.errors import ConfigError, OpenClawError, ToolError
from openclaw.config.schema import McpServerConfig
from openclaw.net.error import NetError
from openclaw.tools.api import ToolContext
from openclaw.tools.mcp.api import Connect, ServerStatus, Session, Signal, State, Surroundings, leaf
from openclaw.tools.mcp.name import clean
from openclaw.tools.mcp.tool import McpTool, take
from openclaw.tools.result import result_text
from openclaw.tools.untrusted import fenced, visible

_log = logging.getLogger("openclaw.tools")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
STEADY_S = 60.0
"""A connection that lasted this long was a good one: the next pause is short again."""
SETUP_S = 30.0
"""Longest that connecting, or asking for the tools, may take."""
SETTLE_S = (2.0, 10.0)
"""The tools are listed again so long after connecting: over HTTP a change in the first moments may go unheard."""
REFRESH_PAUSE_S = 0.5
"""A server that says `changed` without end is asked no more often."""
MAX_TEXT = 300

Load = Callable[[], Awaitable[Connect]]
"""Returns what connects; loads the library on its first call. Raises: ConfigError when it is not installed."""


class Link:
    """Keeps one server connected; `run` is its life, in one task."""

    def __init__(
        self, name: str, config: McpServerConfig, around: Surroundings, load: Load, on_change: Callable[[], None]
    ) -> None:
        self.name = name
        self.config = config
        self.tried = asyncio.Event()
        """Set once the first attempt has ended, well or badly."""
        self._timeout_s = config.request_timeout_ms / 1000
        self._around = around
        self._load = load
        self._on_change = on_change
        self._session: Session | None = None
        self._tools: tuple[McpTool, ...] = ()
        self._state: State = "connecting"
        self._problem = ""
        self._left_out = ""
        self._server = self._protocol = ""
        self._ready_at: float | None = None

    def tools(self) -> tuple[McpTool, ...]:
        """The tools that the server had when it was last asked, sorted by name."""
        return self._tools

    def status(self) -> ServerStatus:
        """Return how it stands."""
        return ServerStatus(
            name=self.name,
            transport="http" if self.config.url else "stdio",
            state=self._state,
            server=self._server,
            protocol=self._protocol,
            tools=tuple(tool.spec.name for tool in self._tools),
            problem=self._problem or self._left_out,
        )

    async def run(self) -> None:
        """Connect, serve, and connect again, until cancelled or until it is clear that it never can work."""
        clock = self._around.clock
        pause = FIRST_PAUSE_S
        while True:
            self._ready_at = None
            try:
                self._down("down", await self._live() or "the connection ended")
            except ConfigError as error:
                self._down("off", f"{error.message} {error.hint}")
                return
            except Exception as error:  # the link's supervisor: whatever broke, it tries again
                if _is_over():
                    raise asyncio.CancelledError from error
                self._down("down", reason(error))
            if self._was_steady():
                pause = FIRST_PAUSE_S
            await clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def call(self, tool: str, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Call one of the server's tools and return its text; images go to `context.show`. Raises: ToolError."""
        session = self._session
        if session is None:
            raise ToolError(
                f"The MCP server {self.name} is not connected.",
                hint="It is tried again all the time: go on without it, or call again later.",
            )
        deadline = asyncio.timeout(self._timeout_s)
        try:
            async with deadline:
                answer = await session.call(tool, arguments, context.progress)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise ToolError(f"The MCP server {self.name} did not answer within {self._timeout_s:g} s.") from None
        text = result_text(answer.text)
        if answer.is_error:
            raise ToolError(visible(text) or "The tool failed and did not say why.")
        text = fenced(f"the MCP server {self.name}", text) if text else "done (no result)"
        if context.show is not None:
            for image in answer.images:
                context.show(image)
        elif answer.images:
            text = f"{text}\n[images left out: {len(answer.images)}]"
        return text

    async def _live(self) -> str:
        """Live one connection from its start to its end; return how it ended, where that is known."""
        connect = await self._load()
        signal = Signal()
        async with asyncio.timeout(SETUP_S) as setup, connect(self.name, self.config, self._around, signal) as session:
            await self._refresh(session)
            setup.reschedule(None)
            self._up(session)
            settling = iter(SETTLE_S)
            try:
                while await _told(signal, next(settling, None)):
                    async with asyncio.timeout(SETUP_S):
                        await self._refresh(session)
                    await self._around.clock.sleep(REFRESH_PAUSE_S)
            finally:
                self._session = None
        return signal.why

    def _was_steady(self) -> bool:
        return self._ready_at is not None and self._around.clock.monotonic_s() - self._ready_at >= STEADY_S

    async def _refresh(self, session: Session) -> None:
        found = await session.tools()
        tools, self._left_out = take(self.name, found, self.config.allow, self.call, self._timeout_s, self._tools)
        if tools != self._tools:
            self._tools = tools
            self._on_change()

    def _up(self, session: Session) -> None:
        self._session = session
        self._state, self._problem = "ready", ""
        self._server, self._protocol = clean(session.server, MAX_TEXT), clean(session.protocol, MAX_TEXT)
        self._ready_at = self._around.clock.monotonic_s()
        self.tried.set()
        _log.info("mcp_ready", extra={"fields": {"server": self.name, "tools": len(self._tools)}})

    def _down(self, state: State, why: str) -> None:
        why = clean(why.strip(), MAX_TEXT)
        level = logging.DEBUG if why == self._problem else logging.WARNING  # once is enough
        self._state, self._problem = state, why
        self.tried.set()
        _log.log(level, "mcp_down", extra={"fields": {"server": self.name, "why": why}})


def _is_over() -> bool:
    """Whether this task was cancelled: the library may put a failure of its own in the cancellation's place."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _told(signal: Signal, settling_s: float | None) -> bool:
    """Wait for word from the server, or until it is time to look again. False: the connection is over."""
    try:
        async with asyncio.timeout(settling_s):
            return await signal.wait()
    except TimeoutError:
        return True


def reason(error: BaseException) -> str:
    """Return what went wrong in one line; of a group, the first that says something."""
    error = leaf(error)
    if isinstance(error, OpenClawError):
        return error.message
    if isinstance(error, TimeoutError):
        return f"no answer within {SETUP_S:g} s"
    detail = str(error).strip()
    return detail if detail and isinstance(error, NetError) else f"{type(error).__name__}: {detail}".rstrip(": ")
