"""Runs as events: what the study does, told to clients while it happens.

1. Nobody listens, nothing is made: a batch then costs one comparison.
2. Text is told at once when the last telling is FLUSH_S ago (longer ago for a long text), else together with what
   follows within that time.
3. Protocol 3 gets `chat` deltas, which repeat the whole text, at most every OLD_CHAT_S.
4. What was pending is told before a tool starts and before the run ends, so that deltas always add up to the text.
5. What tools do is told to clients that show it (capability `tool-events`); what one has to show while it runs at most
   every PROGRESS_S, the latest in place of what was not told yet.
6. Each kind of client counts a run's `seq` over the events that it hears: clients take a gap for a loss.
7. A heartbeat's text is told in `chat` events only at its end, and not when it says that there is nothing to tell.
8. A run whose beginning nobody heard is told only by its end, which carries the whole text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from openclaw.agent.api import Run
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId, SessionKey
from openclaw.base.model import TextDelta, ThinkingDelta, Usage
from openclaw.base.run import Compacted, Reply, RunEnded, RunEvent, RunStarted, ToolFinished, ToolProgress, ToolStarted
from openclaw.base.tasks import TaskSet
from openclaw.protocol.versions import CURRENT, OLDEST
from openclaw.rpc.hub import Audience, Hub, Kind, Owner
from openclaw.rpc.rows import arguments, stop_reason, text_message, usage_row
from openclaw.rpc.session_news import SessionNews, agent_of
from openclaw.rpc.versions import NOT_SENT, event_payload
from openclaw.store.api import SessionRow

FLUSH_S: Final = 0.04
"""Twenty-five tellings a second look continuous to a person."""

RETOLD_CHARS_PER_S: Final = 1_000_000
"""Every telling repeats the text so far: a long text is told in longer steps, else its cost grows with its square."""

OLD_CHAT_S: Final = 0.15
PROGRESS_S: Final = 0.25
MAX_RUNS: Final = 4096
_ERROR_KINDS: Final = {
    "MODEL_TIMEOUT": "timeout",
    "MODEL_RATE_LIMITED": "rate_limit",
    "MODEL_CONTEXT_OVERFLOW": "context_length",
    "MODEL_CONTENT_FILTERED": "refusal",
}


_KINDS: Final = tuple((protocol, tools) for protocol in (OLDEST, CURRENT) for tools in (False, True))


class _Told:
    """What has been told of one run. `seqs` counts its events for each kind of client."""

    __slots__ = (
        "flushing",
        "item",
        "last_chat_s",
        "last_flush_s",
        "last_progress_s",
        "pending",
        "progress",
        "run",
        "seqs",
        "session",
        "session_id",
        "text",
        "thinking",
        "thought",
    )

    def __init__(self, run: Run) -> None:
        self.run = run
        self.session: SessionRow | None = None
        self.seqs = dict.fromkeys(_KINDS, 0)
        self.text = ""
        self.pending: list[str] = []
        self.thinking = ""
        self.thought: list[str] = []
        self.last_flush_s = float("-inf")
        self.last_chat_s = float("-inf")
        self.last_progress_s = float("-inf")
        self.progress: ToolProgress | None = None
        """Waits to be told."""
        self.flushing = False
        self.item = 1
        self.session_id = ""


class EventBridge:
    """A RunObserver that turns run events into `agent` and `chat` events of the hub."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        tasks: TaskSet,
        news: SessionNews,
        sessions_changed: Callable[[], None],
        is_silence: Callable[[AgentId, str], bool],
    ) -> None:
        self._is_silence = is_silence
        self._hub = hub
        self._clock = clock
        self._tasks = tasks
        self._sessions_changed = sessions_changed
        self._told: BoundedMap[str, _Told] = BoundedMap("rpc.told_runs", MAX_RUNS)
        self.news = news
        news.is_active = self._is_active

    def _is_active(self, key: SessionKey) -> bool:
        return any(told.run.inbound.session_key == key for told in self._told.values())

    def on_run_accepted(self, run: Run, session: SessionRow) -> None:
        """Tell a message that waits for its run, or begins it."""
        self._sessions_changed()
        if not self._hub.readers:
            return
        told = self._told.get(run.id) or _Told(run)
        told.session, told.session_id = session, session.id
        self._told.put(run.id, told)
        self.news.accepted(run, session)
        if run.state == "queued":
            self._status(told, "preparing_context")

    def on_run_events(self, run: Run, events: Sequence[RunEvent]) -> None:
        """Tell a batch of events. Called on the loop by the study."""
        if not self._hub.readers and not len(self._told):
            return
        told = self._told.get(run.id)
        for event in events:
            if isinstance(event, TextDelta):
                if told is not None:
                    told.pending.append(event.text)
            elif isinstance(event, ThinkingDelta):
                if told is not None and event.text:
                    self._think(told, event.text)
            elif isinstance(event, RunStarted):
                told = self._start(run, event)
            elif isinstance(event, RunEnded):
                self._end(run, told or _Told(run), event.reply)
                told = None
            elif told is not None:
                self._other(told, event)
        if told is not None and (told.pending or told.thought):
            self._flush_or_wait(told)

    def on_session_changed(self, session: SessionRow, reason: str) -> None:
        """Tell that a session was changed, reset, deleted or written into."""
        self._sessions_changed()
        self.news.changed(session, reason)

    def command_answer(self, run_id: str, key: SessionKey, text: str, owner: Owner) -> None:
        """Tell the answer to a slash command: a `chat` final of a run that never was."""
        message = house_message(text, self._clock.now_ms())
        payload = {"runId": run_id, "sessionKey": key, "seq": 1, "state": "final", "message": message}
        self._hub.broadcast("chat", payload, owner=owner, key=key)

    def injected(self, message_id: str, key: SessionKey, owner: Owner, message: dict[str, Any]) -> None:
        """Tell a message that came from outside any run."""
        payload = {"runId": f"inject-{message_id}", "sessionKey": key, "agentId": agent_of(key), "seq": 0}
        self._hub.broadcast("chat", {**payload, "state": "final", "message": message}, owner=owner, key=key)
        self.news.message(key, owner, message_id, message)

    def _start(self, run: Run, event: RunStarted) -> _Told:
        told = self._told.get(run.id) or _Told(run)
        self._told.put(run.id, told)
        self._agent(told, "lifecycle", {"phase": "start", "startedAt": event.started_at_ms})
        self._status(told, "starting_model")
        self._agent(told, "lifecycle", {"phase": "model", "provider": event.provider, "model": event.model})
        if told.session is not None:
            self.news.changed(told.session, "", phase="start", runId=run.id)
        return told

    def _status(self, told: _Told, phase: str) -> None:
        self._agent(told, "run_status", {"phase": phase})
        self._chat(told, {"state": "status", "phase": phase})

    def _other(self, told: _Told, event: RunEvent) -> None:
        if isinstance(event, ToolStarted):
            self._flush(told)
            told.item += 1
            started = {"phase": "start", "name": event.name, "toolCallId": event.call_id}
            self._agent(told, "tool", {**started, "args": arguments(event.arguments)})
        elif isinstance(event, ToolProgress):
            self._progress(told, event)
        elif isinstance(event, ToolFinished):
            if told.progress is not None and told.progress.call_id == event.call_id:
                told.progress = None
            data: dict[str, Any] = {
                "phase": "result",
                "name": event.name,
                "toolCallId": event.call_id,
                "isError": event.is_error,
            }
            self._agent(told, "tool", {**data, "result": {"content": [{"type": "text", "text": event.result}]}})
        elif isinstance(event, Compacted):
            self._flush(told)
            done = {"phase": "end", "completed": True, "willRetry": False}
            self._agent(told, "compaction", {**done, "messages": event.messages, "summary": event.summary})

    def _progress(self, told: _Told, event: ToolProgress) -> None:
        waiting = told.progress is not None
        told.progress = event
        wait_s = told.last_progress_s + PROGRESS_S - self._clock.monotonic_s()
        if wait_s <= 0:
            self._tell_progress(told)
        elif not waiting:
            with contextlib.suppress(RuntimeError):  # closing: the result still tells everything
                self._tasks.spawn(self._progress_later(told, wait_s), "progress")

    async def _progress_later(self, told: _Told, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        self._tell_progress(told)

    def _tell_progress(self, told: _Told) -> None:
        event, told.progress = told.progress, None
        if event is None:
            return
        told.last_progress_s = self._clock.monotonic_s()
        data = {"phase": "update", "name": event.name, "toolCallId": event.call_id}
        partial = {"content": [{"type": "text", "text": event.text}]}
        self._agent(told, "tool", {**data, "partialResult": partial}, delta=f"{told.run.id}:{event.call_id}")

    def _think(self, told: _Told, text: str) -> None:
        if told.pending:  # what was said before a thought is told before it
            self._flush(told)
        told.thought.append(text)

    def _flush_or_wait(self, told: _Told) -> None:
        pause_s = max(FLUSH_S, (len(told.text) + len(told.thinking)) / RETOLD_CHARS_PER_S)
        wait_s = told.last_flush_s + pause_s - self._clock.monotonic_s()
        if wait_s <= 0:
            self._flush(told)
        elif not told.flushing:
            told.flushing = True
            with contextlib.suppress(RuntimeError):  # closing: the end of the run still tells everything
                self._tasks.spawn(self._flush_later(told, wait_s), "flush")

    async def _flush_later(self, told: _Told, wait_s: float) -> None:
        await self._clock.sleep(wait_s)
        told.flushing = False
        self._flush(told)

    def _flush(self, told: _Told) -> None:
        if not (told.pending or told.thought):
            return
        now_s = told.last_flush_s = self._clock.monotonic_s()
        if told.thought:
            delta = "".join(told.thought)
            told.thought.clear()
            told.thinking += delta
            self._agent(told, "thinking", {"text": told.thinking, "delta": delta}, delta=f"{told.run.id}:thinking")
        if told.pending:
            self._flush_text(told, now_s)

    def _flush_text(self, told: _Told, now_s: float) -> None:
        delta = "".join(told.pending)
        told.pending.clear()
        told.text += delta
        said = {"text": told.text, "delta": delta, "itemId": f"{told.run.id}:{told.item}"}
        self._agent(told, "assistant", said, delta=f"{told.run.id}:agent")
        if told.run.inbound.source == "heartbeat":
            return
        old_due = now_s - told.last_chat_s >= OLD_CHAT_S
        if old_due:
            told.last_chat_s = now_s
        message = text_message(told.text, self._clock.now_ms())
        self._delta(told, {"state": "delta", "deltaText": delta, "message": message}, old_due)

    def _end(self, run: Run, told: _Told, reply: Reply) -> None:
        self._told.pop(run.id)
        told.progress = None  # a call that was stopped has no result that would say so
        told.session_id = reply.session_id
        self._flush(told)
        silent = run.inbound.source == "heartbeat" and self._is_silence(reply.agent_id, reply.text)
        if reply.state == "aborted":
            self._chat(told, {"state": "aborted", "stopReason": _abort_reason(reply), **_final_message(reply)})
            status = {"status": "cancelled", "aborted": True, "stopReason": _abort_reason(reply)}
            self._lifecycle_end(told, reply, status)
        elif reply.state == "error":
            error = reply.error or {}
            text = str(error.get("message", "the run failed"))
            self._agent(told, "lifecycle", {"phase": "error", "error": text, "endedAt": reply.ended_at_ms})
            kind = _ERROR_KINDS.get(str(error.get("code")), "unknown")
            self._chat(told, {"state": "error", "errorMessage": text, "errorKind": kind, **_final_message(reply)})
        else:
            self._agent(told, "usage", {"outputTokens": reply.usage.output_tokens})
            self._lifecycle_end(told, reply, {})
            if not silent:
                reason = stop_reason(reply.finish_reason)
                self._chat(told, {"state": "final", "stopReason": reason, **_final_message(reply)})
        if not silent:
            self.news.answered(run, reply)
        self.news.ended(run, "end" if reply.state == "ok" else "error")

    def _lifecycle_end(self, told: _Told, reply: Reply, status: dict[str, Any]) -> None:
        data = {"phase": "end", **status, "startedAt": reply.started_at_ms, "endedAt": reply.ended_at_ms}
        self._agent(told, "lifecycle", data)

    def _agent(self, told: _Told, stream: str, data: dict[str, Any], delta: str = "") -> None:
        inbound = told.run.inbound
        payload: dict[str, Any] = {
            "runId": told.run.id,
            "stream": stream,
            "data": data,
            "sessionKey": inbound.session_key,
            "agentId": inbound.agent_id,
            "seq": 0,
            "ts": self._clock.now_ms(),
            "isHeartbeat": inbound.source == "heartbeat",
        }
        if told.session_id:
            payload["sessionId"] = told.session_id
        shapes = {CURRENT: payload, OLDEST: event_payload("agent", payload, OLDEST)}
        heard = [kind for kind in _KINDS if shapes[kind[0]] is not NOT_SENT and (kind[1] or stream != "tool")]
        for kind in heard:
            told.seqs[kind] += 1

        def shaped(kind: Kind) -> Any:
            reader = (kind.protocol, kind.tools)
            return {**shapes[kind.protocol], "seq": told.seqs[reader]} if reader in heard else NOT_SENT

        audience: Audience = "tools" if stream == "tool" else "all"
        self._hub.broadcast(
            "agent", shaped, owner=inbound.principal, audience=audience, key=inbound.session_key, delta=delta
        )
        if stream == "tool":
            self.news.tool(told.run, {**payload, "seq": told.seqs[CURRENT, True]})

    def _chat(self, told: _Told, state: dict[str, Any]) -> None:
        inbound = told.run.inbound
        self._hub.broadcast(
            "chat", lambda kind: _chat_payload(told, kind, state), owner=inbound.principal, key=inbound.session_key
        )

    def _delta(self, told: _Told, state: dict[str, Any], old_due: bool) -> None:
        """Tell a piece of text, or all of it to a client that missed one."""

        def shaped(kind: Kind) -> Any:
            if kind.protocol == OLDEST and not (old_due or kind.whole):
                return NOT_SENT
            anew = {"deltaText": told.text, "replace": True} if kind.whole else {}
            return _chat_payload(told, kind, {**state, **anew})

        inbound = told.run.inbound
        self._hub.broadcast(
            "chat", shaped, owner=inbound.principal, key=inbound.session_key, delta=f"{told.run.id}:chat"
        )


def _chat_payload(told: _Told, kind: Kind, state: dict[str, Any]) -> Any:
    inbound = told.run.inbound
    payload = {
        "runId": told.run.id,
        "sessionKey": inbound.session_key,
        "agentId": inbound.agent_id,
        "seq": told.seqs[kind.protocol, kind.tools],
        **state,
    }
    return event_payload("chat", payload, kind.protocol)


def house_message(text: str, at_ms: int) -> dict[str, Any]:
    """Return a message of the assistant's side that no model wrote, as clients tell them apart."""
    made = {"stopReason": "stop", "usage": usage_row(Usage()), "provider": "openclaw", "model": "gateway-injected"}
    return {**text_message(text, at_ms), **made}


def _final_message(reply: Reply) -> dict[str, Any]:
    return {"message": text_message(reply.text, reply.ended_at_ms)} if reply.text else {}


def _abort_reason(reply: Reply) -> str:
    details = (reply.error or {}).get("details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return str(reason or "rpc")
