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
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from openclaw.base.bounded import BoundedQueue
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.base.tasks import TaskSet
from openclaw.cli import output
from openclaw.cli.keyboard import Keyboard
from openclaw.cli.reach import Reach
from openclaw.cli.turn import Line, Turn, write

PROMPT = "you> "
LINES_HELD = 100
HISTORY_FILE = "chat-history"
HELP = """\
  /stop          stop the answer (or press Ctrl-C while it streams)
  /reset         forget this conversation and start afresh
  /model [NAME]  show the models, or use one for this conversation (`provider/model`)
  /think [LEVEL] show how much the model thinks, or change it: off, minimal, low, medium, high
  /allowance     what is left of the budgets that apply to you
  /help          this list
  /quit          leave (or Ctrl-D)"""

T = TypeVar("T")


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
        elif name in {"/allowance", "/think"}:
            await self._say(f"{name} {rest}".strip())  # the gateway answers it, as it does for every chat client
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

    def _notice(self, text: str) -> None:
        """Show a word of the gateway on a line of its own; a line that is being typed is shown again."""
        if self._turn is not None:
            self._turn.remark(text)
        else:
            self._write(f"\n  {text}\n{PROMPT}{self._keys.typed()}")

    async def _pump(self) -> None:
        reason = "The gateway closed the connection."
        try:
            async for event in self._line.events():
                if event.name == "usage.notice" and isinstance(event.payload, dict):
                    self._notice(str(event.payload.get("text", "")))
                elif self._turn is not None and isinstance(event.payload, dict):
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


def _split(text: str) -> tuple[str, str]:
    name, _, rest = text.partition(" ")
    return name.lower(), rest.strip()
