"""A chat in the terminal over one gateway connection: streams the answer, shows tool use, stops on Ctrl-C.

Rules
1. One turn at a time; the prompt comes back when the turn has ended. Lines typed meanwhile wait for that, but `/stop`
   acts at once.
2. The first Ctrl-C in a turn aborts it, a second one leaves. At the prompt the first one warns, the second leaves.
3. Text is shown once: events carry the answer so far, and only what is new is printed.
4. When the connection ends, the conversation ends with the reason.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from openclaw.base.bounded import BoundedQueue
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.base.tasks import TaskSet
from openclaw.cli import output
from openclaw.cli.keyboard import Keyboard
from openclaw.cli.reach import Reach

PROMPT = "you> "
LINES_HELD = 100
HISTORY_FILE = "chat-history"
RESULT_CHARS = 120
HELP = """\
  /stop          stop the answer (or press Ctrl-C while it streams)
  /reset         forget this conversation and start afresh
  /model [NAME]  show the models, or use one for this conversation (`provider/model`)
  /help          this list
  /quit          leave (or Ctrl-D)"""

T = TypeVar("T")


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


class Keys(Protocol):
    """Where lines come from."""

    async def ask(self, prompt: str) -> str | None:
        """Prompt for a line; None at the end of input."""
        ...

    async def listen(self) -> str | None:
        """Wait for a line while an answer streams; None at the end of input."""
        ...

    def typed(self) -> str:
        """Return what stands on the line that is being typed."""
        ...


class Conversation:
    """One person, one session, one connection."""

    def __init__(
        self, line: Line, keys: Keys, write: Callable[[str], None], *, session_key: str, agent_id: str = ""
    ) -> None:
        self._line = line
        self._keys = keys
        self._write = write
        self._session_key = session_key
        self._agent_id = agent_id
        self._turn: Turn | None = None
        self._warned = False
        self._held = BoundedQueue[str]("chat.held", LINES_HELD)
        self._input_ended = False
        self._first_model = ""
        """Chosen before the session began; its first message takes it along."""
        self._leaving = asyncio.Event()
        self._lost: OpenClawError | None = None
        self._tasks = TaskSet("chat", limit=8)

    async def run(self) -> int:
        """Talk until the person leaves (0) or the connection is lost (1)."""
        pump = self._tasks.spawn(self._pump(), "events")
        try:
            while not self._leaving.is_set():
                text = self._held.get() or await self._unless_leaving(self._next_line())
                self._warned = False
                if text is None:
                    break
                if text.strip():
                    await self._obey(text.strip())
        finally:
            pump.cancel()
            await self._tasks.close()
        if self._lost is not None:
            output.print_error(self._lost)
            return 1
        return 0

    def interrupt(self) -> None:
        """Take a Ctrl-C; call it on the conversation's loop."""
        if self._warned:
            self._leaving.set()
            return
        self._warned = True
        if self._turn is not None:
            self._write("\n  stopping … (Ctrl-C again leaves)\n")
            self._tasks.spawn(self._abort(), "abort")
        else:
            self._write(f"\n  Ctrl-C again, /quit or Ctrl-D leaves.\n{PROMPT}{self._keys.typed()}")

    def leave(self) -> None:
        """End the conversation; call it on the conversation's loop."""
        self._leaving.set()

    async def _next_line(self) -> str | None:
        return None if self._input_ended else await self._keys.ask(PROMPT)

    async def _unless_leaving(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the work's result, or None once the person leaves or the connection is lost."""
        working = self._tasks.spawn(work, "work")
        leaving = self._tasks.spawn(self._leaving.wait(), "leave")
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            working.cancel()
            leaving.cancel()

    async def _obey(self, text: str) -> None:
        try:
            if text.startswith("/"):
                await self._command(*_split(text))
            else:
                await self._say(text)
        except OpenClawError as error:
            self._write("\n".join(output.error_lines(error)) + "\n")

    async def _command(self, name: str, rest: str) -> None:
        if name in {"/quit", "/exit", "/q"}:
            self._leaving.set()
        elif name == "/help":
            self._write(HELP + "\n")
        elif name == "/stop":
            await self._abort()
        elif name in {"/reset", "/new"}:
            if await self._has_begun():
                await self._line.call("sessions.reset", {"key": self._session_key})
            self._write("  A new conversation; nothing of the old one is sent to the model.\n")
        elif name == "/model":
            await self._model(rest)
        else:
            self._write(f"  There is no command {name}.\n{HELP}\n")

    async def _model(self, wanted: str) -> None:
        if wanted:
            if await self._has_begun():
                await self._line.call("sessions.patch", {"key": self._session_key, "model": wanted})
            else:
                self._first_model = wanted
            self._write(f"  This conversation now uses {wanted}.\n")
            return
        found = await self._line.call("models.list", {})
        for model in found.get("models", []):
            self._write(f"  {model.get('provider')}/{model.get('id')}\n")

    async def _has_begun(self) -> bool:
        """Say whether the session is there: it begins with its first message."""
        history = await self._line.call("chat.history", {"sessionKey": self._session_key, "limit": 1})
        return bool(history.get("sessionId"))

    async def _say(self, text: str) -> None:
        turn = Turn(new_id(), self._write)
        self._turn = turn
        params: dict[str, Any] = {"sessionKey": self._session_key, "message": text, "idempotencyKey": turn.run_id}
        if self._agent_id:
            params["agentId"] = self._agent_id
        try:
            await self._send(params)
            listening = self._tasks.spawn(self._listen(), "listen")
            await self._unless_leaving(turn.ended.wait())
            listening.cancel()
        finally:
            self._turn = None
            self._warned = False
        turn.close()

    async def _send(self, params: dict[str, Any]) -> None:
        if not self._first_model:
            await self._line.call("chat.send", params)
            return
        model, self._first_model = self._first_model, ""
        await self._line.call("agent", {**params, "model": model})
        await self._line.call("sessions.patch", {"key": self._session_key, "model": model})

    async def _listen(self) -> None:
        """Take lines during a turn (rule 1)."""
        while len(self._held) < LINES_HELD and not self._input_ended:
            text = await self._keys.listen()
            if text is None:
                self._input_ended = True
            elif text.strip() == "/stop":
                await self._abort()
            elif text.strip():
                self._held.put(text)

    async def _abort(self) -> None:
        answer = await self._line.call("chat.abort", {"sessionKey": self._session_key})
        if not answer.get("aborted") and self._turn is None:
            self._write("  Nothing is running.\n")

    async def _pump(self) -> None:
        reason = "The gateway closed the connection."
        try:
            async for event in self._line.events():
                if self._turn is not None and isinstance(event.payload, dict):
                    self._turn.take(event.name, event.payload)
        except OpenClawError as error:
            reason = error.message
        self._lost = Unavailable(reason, hint="Look at `openclaw status`, then start `openclaw chat` again.")
        self._leaving.set()


async def converse(
    reach: Reach,
    *,
    session_key: str,
    agent_id: str = "",
    on_interrupt: Callable[[Callable[[], None]], None] | None = None,
) -> int:
    """Chat on the terminal until the person leaves. `on_interrupt` is told whom to call, on this loop, for a Ctrl-C;
    without it the running loop listens for the signal itself."""
    keys = Keyboard(reach.desk.paths.state_dir / HISTORY_FILE)
    try:
        async with reach.connect() as line:
            chat = Conversation(line, keys, write, session_key=session_key, agent_id=agent_id)
            write(f"Chatting in session {session_key}. /help lists what you can type.\n")
            if on_interrupt is not None:
                on_interrupt(chat.interrupt)
            else:
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, chat.interrupt)
            return await chat.run()
    finally:
        keys.close()


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
    """Put text on the terminal at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


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


def message_text(message: object) -> str:
    """Return the text parts of a wire message, joined."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")


def _short(value: object) -> str:
    import msgspec

    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = " ".join(text.split())
    return text if len(text) <= RESULT_CHARS else text[: RESULT_CHARS - 1] + "…"


def _split(text: str) -> tuple[str, str]:
    name, _, rest = text.partition(" ")
    return name.lower(), rest.strip()
