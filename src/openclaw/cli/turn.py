"""One run as the terminal shows it: text once, tools on lines of their own, the end said."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol

from openclaw.base.tasks import TaskSet
from openclaw.cli.layout import spelled_out
from openclaw.cli.terminal import is_terminal
from openclaw.client.text import message_text

RESULT_CHARS = 120


class Event(Protocol):
    """Something the gateway told."""

    @property
    def name(self) -> str: ...

    @property
    def payload(self) -> Any: ...


class Line(Protocol):
    """What a conversation needs of a gateway connection (client.ws.GatewayClient)."""

    async def call(self, method: str, params: dict[str, Any] | None = None) -> Any:
        """Call a method. Raises: OpenClawError as the gateway answered it."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield events until the connection ends."""
        ...


class Turn:
    """Prints the events of one run as they come."""

    def __init__(self, run_id: str, write: Callable[[str], None]) -> None:
        self.run_id = run_id
        self.ended = asyncio.Event()
        self._write = write
        self._shown = ""
        self._at_line_start = True

    def take(self, name: str, payload: Mapping[str, Any]) -> None:
        """Show one event if it is of this run."""
        if payload.get("runId") != self.run_id or self.ended.is_set():
            return
        if name == "agent":
            self._agent(str(payload.get("stream", "")), payload.get("data") or {})
        elif name == "chat":
            self._chat(payload)

    def finish(self, text: str) -> None:
        """Show what is still missing of the whole answer, and end its line."""
        self._text(text)
        self.close()

    def remark(self, text: str) -> None:
        """Show something that is not of the answer, on a line of its own."""
        self._own_line(f"  {text}\n")

    def close(self) -> None:
        """End the line that the answer stands on."""
        if not self._at_line_start:
            self._put("\n")

    def _agent(self, stream: str, data: Mapping[str, Any]) -> None:
        if stream == "assistant":
            self._text(str(data.get("text", "")))
        elif stream == "tool":
            self._tool(data)

    def _chat(self, payload: Mapping[str, Any]) -> None:
        state = payload.get("state")
        if state in {"delta", "final", "aborted"}:
            self._text(message_text(payload.get("message")))
        if state == "aborted":
            self._own_line("  stopped.\n")
        elif state == "error":
            self._own_line(f"  The run failed: {payload.get('errorMessage', 'no reason given')}\n")
        if state in {"final", "aborted", "error"}:
            self.ended.set()

    def _tool(self, data: Mapping[str, Any]) -> None:
        name = data.get("name", "tool")
        if data.get("phase") == "start":
            self._own_line(f"  → {name} {_short(data.get('args', data.get('arguments', '')))}\n")
        elif data.get("phase") in {"result", "end"}:
            word = "failed" if data.get("isError") else "done"
            self._own_line(f"  ← {name} {word}: {_short(message_text(data.get('result')) or data.get('result', ''))}\n")

    def _text(self, so_far: str) -> None:
        if len(so_far) > len(self._shown) and so_far.startswith(self._shown):
            self._put(so_far[len(self._shown) :])
            self._shown = so_far

    def _own_line(self, text: str) -> None:
        self.close()
        self._put(text)

    def _put(self, text: str) -> None:
        self._write(text)
        self._at_line_start = text.endswith("\n")


def _short(value: object) -> str:
    import msgspec

    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= RESULT_CHARS else text[: RESULT_CHARS - 1] + "…"


async def shown(line: Line, run_id: str, asking: Coroutine[Any, Any, Any], text_of: Callable[[Any], str]) -> Any:
    """Print a run's events until its answer is there, then what of the answer they did not bring."""
    turn = Turn(run_id, write)

    async def follow() -> None:
        async for event in line.events():
            if isinstance(event.payload, dict):
                turn.take(event.name, event.payload)

    tasks = TaskSet("agent.stream", limit=1)
    tasks.spawn(follow(), "events")
    try:
        answer = await asking
    finally:
        await tasks.close()
    turn.finish(text_of(answer))
    return answer


def write(text: str) -> None:
    """Put text on the terminal at once; what is no text in it is spelled out."""
    sys.stdout.write(spelled_out(text) if is_terminal(sys.stdout) else text)
    sys.stdout.flush()
