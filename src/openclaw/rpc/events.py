"""Runs as events: what the study does, told to clients while it happens.

1. Nobody listens, nothing is made: a batch then costs one comparison.
2. Text is told at once when the last telling is FLUSH_S ago, else together with what follows within that time.
3. Protocol 3 gets `chat` deltas, which repeat the whole text, at most every OLD_CHAT_S.
4. What was pending is told before a tool starts and before the run ends, so that deltas always add up to the text.
5. Each protocol counts `seq` over the events that it knows: clients take a gap for a loss.
6. A heartbeat's text is told in `chat` events only at its end, and not when it says that there is nothing to tell.
7. A run whose start nobody heard is told only by its end, which carries the whole text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from openclaw.agent.api import Run
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId, SessionKey, new_id
from openclaw.base.model import TextDelta, ThinkingDelta
from openclaw.base.run import Compacted, Reply, RunEnded, RunEvent, RunStarted, ToolFinished, ToolStarted
from openclaw.base.tasks import TaskSet
from openclaw.protocol.versions import OLDEST
from openclaw.rpc.hub import Hub
from openclaw.rpc.rows import arguments, stop_reason, text_message, usage_row
from openclaw.rpc.versions import NOT_SENT, event_payload

FLUSH_S: Final = 0.04
"""Twenty-five tellings a second look continuous to a person and keep cumulative texts from growing quadratic."""

OLD_CHAT_S: Final = 0.15
MAX_RUNS: Final = 4096
_ERROR_KINDS: Final = {
    "MODEL_TIMEOUT": "timeout",
    "MODEL_RATE_LIMITED": "rate_limit",
    "MODEL_CONTEXT_OVERFLOW": "context_length",
    "MODEL_CONTENT_FILTERED": "refusal",
}


class _Told:
    """What has been told of one run."""

    __slots__ = (
        "flushing",
        "item",
        "last_chat_s",
        "last_flush_s",
        "old_seq",
        "pending",
        "run",
        "seq",
        "session_id",
        "started_at_ms",
        "text",
        "thinking",
    )

    def __init__(self, run: Run) -> None:
        self.run = run
        self.seq = 0
        self.old_seq = 0
        self.text = ""
        self.pending: list[str] = []
        self.thinking = ""
        self.last_flush_s = float("-inf")
        self.last_chat_s = float("-inf")
        self.flushing = False
        self.item = 1
        self.started_at_ms = 0
        self.session_id = ""


class EventBridge:
    """A RunObserver that turns run events into `agent` and `chat` events of the hub."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        tasks: TaskSet,
        sessions_changed: Callable[[], None],
        is_silence: Callable[[AgentId, str], bool],
    ) -> None:
        self._is_silence = is_silence
        self._hub = hub
        self._clock = clock
        self._tasks = tasks
        self._sessions_changed = sessions_changed
        self._told: BoundedMap[str, _Told] = BoundedMap("rpc.told_runs", MAX_RUNS)

    def on_run_events(self, run: Run, events: Sequence[RunEvent]) -> None:
        """Tell a batch of events. Called on the loop by the study."""
        if not self._hub.readers and not len(self._told):
            return
        told = self._told.get(run.id)
        for event in events:
            if isinstance(event, TextDelta):
                if told is not None:
                    told.pending.append(event.text)
            elif isinstance(event, RunStarted):
                told = self._start(run, event)
            elif isinstance(event, RunEnded):
                self._end(run, told or _Told(run), event.reply)
                told = None
            elif told is not None:
                self._other(told, event)
        if told is not None and told.pending:
            self._flush_or_wait(told)

    def on_session_changed(self, key: SessionKey, reason: str) -> None:
        """Tell that a session was made, changed, reset or deleted."""
        self._sessions_changed()
        if self._hub.readers:
            payload = {"sessionKey": key, "agentId": _agent_of(key), "reason": reason, "ts": self._clock.now_ms()}
            self._hub.broadcast("sessions.changed", payload)

    def command_answer(self, run_id: str, key: SessionKey, text: str, owner: Any) -> None:
        """Tell the answer to a slash command: a `chat` final of a run that never was."""
        message = {**text_message(text, self._clock.now_ms()), "stopReason": "stop"}
        payload = {"runId": run_id, "sessionKey": key, "seq": 1, "state": "final", "message": message}
        self._hub.broadcast("chat", payload, owner=owner)

    def injected(self, message_id: str, key: SessionKey, owner: Any, message: dict[str, Any]) -> None:
        """Tell a message that came from outside any run."""
        payload = {"runId": f"inject-{message_id}", "sessionKey": key, "agentId": _agent_of(key), "seq": 0}
        self._hub.broadcast("chat", {**payload, "state": "final", "message": message}, owner=owner)
        row = {"sessionKey": key, "agentId": _agent_of(key), "messageId": message_id, "message": message}
        self._hub.broadcast("session.message", row, owner=owner, subscribers_only=True)

    def operation(self, operation_id: str, key: SessionKey, owner: Any, phase: dict[str, Any]) -> None:
        """Tell the start or the end of a compaction that somebody asked for."""
        head = {"operationId": operation_id, "operation": "compact", "sessionKey": key, "agentId": _agent_of(key)}
        self._hub.broadcast("session.operation", {**head, **phase, "ts": self._clock.now_ms()}, owner=owner)

    def _start(self, run: Run, event: RunStarted) -> _Told:
        told = _Told(run)
        told.started_at_ms = event.started_at_ms
        self._told.put(run.id, told)
        self._agent(told, "lifecycle", {"phase": "start", "startedAt": event.started_at_ms})
        self._message(run, run.inbound.message.role, [{"type": "text", "text": run.inbound.message.text}])
        self._agent(told, "run_status", {"phase": "starting_model"})
        self._chat(told, {"state": "status", "phase": "starting_model"})
        self._agent(told, "lifecycle", {"phase": "model", "provider": event.provider, "model": event.model})
        return told

    def _other(self, told: _Told, event: RunEvent) -> None:
        if isinstance(event, ThinkingDelta):
            if event.text:
                told.thinking += event.text
                self._agent(told, "thinking", {"text": told.thinking, "delta": event.text})
        elif isinstance(event, ToolStarted):
            self._flush(told)
            told.item += 1
            started = {"phase": "start", "name": event.name, "toolCallId": event.call_id}
            self._agent(told, "tool", {**started, "args": arguments(event.arguments)})
        elif isinstance(event, ToolFinished):
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

    def _flush_or_wait(self, told: _Told) -> None:
        wait_s = told.last_flush_s + FLUSH_S - self._clock.monotonic_s()
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
        if not told.pending:
            return
        delta = "".join(told.pending)
        told.pending.clear()
        told.text += delta
        now_s = told.last_flush_s = self._clock.monotonic_s()
        self._agent(told, "assistant", {"text": told.text, "delta": delta, "itemId": f"{told.run.id}:{told.item}"})
        if told.run.inbound.source == "heartbeat":
            return
        old_due = now_s - told.last_chat_s >= OLD_CHAT_S
        if old_due:
            told.last_chat_s = now_s
        message = text_message(told.text, self._clock.now_ms())
        self._chat(told, {"state": "delta", "deltaText": delta, "message": message}, old_too=old_due)

    def _end(self, run: Run, told: _Told, reply: Reply) -> None:
        self._told.pop(run.id)
        told.session_id = reply.session_id
        self._flush(told)
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
            if run.inbound.source == "heartbeat" and self._is_silence(reply.agent_id, reply.text):
                return
            self._chat(
                told, {"state": "final", "stopReason": stop_reason(reply.finish_reason), **_final_message(reply)}
            )
        if reply.text:
            more = {"usage": usage_row(reply.usage), "provider": reply.provider, "model": reply.model}
            self._message(run, "assistant", [{"type": "text", "text": reply.text}], more)

    def _lifecycle_end(self, told: _Told, reply: Reply, status: dict[str, Any]) -> None:
        data = {"phase": "end", **status, "startedAt": reply.started_at_ms, "endedAt": reply.ended_at_ms}
        self._agent(told, "lifecycle", data)

    def _agent(self, told: _Told, stream: str, data: dict[str, Any]) -> None:
        told.seq += 1
        inbound = told.run.inbound
        payload: dict[str, Any] = {
            "runId": told.run.id,
            "stream": stream,
            "data": data,
            "sessionKey": inbound.session_key,
            "agentId": inbound.agent_id,
            "seq": told.seq,
            "ts": self._clock.now_ms(),
            "isHeartbeat": inbound.source == "heartbeat",
        }
        if told.session_id:
            payload["sessionId"] = told.session_id
        old = event_payload("agent", payload, OLDEST)
        if old is not NOT_SENT:
            told.old_seq += 1
            old["seq"] = told.old_seq
        self._hub.broadcast("agent", lambda version: old if version == OLDEST else payload, owner=inbound.principal)

    def _chat(self, told: _Told, state: dict[str, Any], old_too: bool = True) -> None:
        inbound = told.run.inbound
        payload = {
            "runId": told.run.id,
            "sessionKey": inbound.session_key,
            "agentId": inbound.agent_id,
            "seq": told.seq,
            **state,
        }
        old = event_payload("chat", {**payload, "seq": told.old_seq}, OLDEST) if old_too else NOT_SENT
        self._hub.broadcast("chat", lambda version: old if version == OLDEST else payload, owner=inbound.principal)

    def _message(self, run: Run, role: str, content: list[dict[str, Any]], more: dict[str, Any] | None = None) -> None:
        inbound = run.inbound
        message = {"role": role, "content": content, "timestamp": self._clock.now_ms(), **(more or {})}
        payload = {
            "sessionKey": inbound.session_key,
            "agentId": inbound.agent_id,
            "messageId": new_id(),
            "message": message,
        }
        self._hub.broadcast("session.message", payload, owner=inbound.principal, subscribers_only=True)


def _final_message(reply: Reply) -> dict[str, Any]:
    return {"message": text_message(reply.text, reply.ended_at_ms)} if reply.text else {}


def _abort_reason(reply: Reply) -> str:
    details = (reply.error or {}).get("details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return str(reason or "rpc")


def _agent_of(key: str) -> str:
    parts = key.split(":", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "agent" else ""
