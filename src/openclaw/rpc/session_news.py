"""What happens to sessions, told to those who follow them: `sessions.changed`, `session.message`, `session.tool`.

1. `sessions.changed` carries the session as it is listed, so that a client need not ask for the list again.
2. At a run's end the session is read back from the archive first: its counts have changed.
3. Who belongs to a session's owner hears of it, and nobody else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from openclaw.agent.api import Run
from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import SessionKey
from openclaw.base.message import ImagePart, Message
from openclaw.base.principal import Principal
from openclaw.base.run import Reply
from openclaw.base.tasks import TaskSet
from openclaw.rpc.hub import Hub, Owner
from openclaw.rpc.rows import text_message, usage_row
from openclaw.store.api import SessionRow

SETTLED: Final = "agent.input.settled"
"""The reason told when nothing more comes of a message."""

Latest = Callable[[SessionKey, Principal], Awaitable[SessionRow | None]]


class SessionNews:
    """Tells the hub. `view` makes a session's row as it is listed; `latest` reads it from the archive."""

    def __init__(
        self, hub: Hub, clock: Clock, tasks: TaskSet, view: Callable[[SessionRow], dict[str, Any]], latest: Latest
    ) -> None:
        self._hub = hub
        self._clock = clock
        self._tasks = tasks
        self._view = view
        self._latest = latest
        self.is_active: Callable[[SessionKey], bool] = lambda _: False
        """Says whether a run of the session is going."""

    def changed(self, session: SessionRow, reason: str, **more: Any) -> None:
        """Tell that a session is not what it was. `more` goes into the event; a `phase` stands in for the reason."""
        if not self._hub.subscribers:
            return
        payload: dict[str, Any] = {"sessionKey": session.key, "agentId": session.agent_id, "ts": self._clock.now_ms()}
        if reason:
            payload["reason"] = reason
        if reason == "delete":
            payload["sessionId"] = session.id
        else:
            payload["session"] = {"hasActiveRun": self.is_active(session.key), **self._view(session)}
        if reason == "patch":
            payload["catalogChanged"] = True
        self._hub.broadcast("sessions.changed", {**payload, **more}, owner=session, audience="sessions")

    def accepted(self, run: Run, session: SessionRow) -> None:
        """Tell a message that has been accepted, and the session that was made for it."""
        if session.created_at_ms == run.accepted_at_ms:
            self.changed(session, "create")
        self.changed(session, "send")
        key = f"{run.id}:user"
        message = {
            "role": "user",
            "content": _content(run.inbound.message),
            "timestamp": run.accepted_at_ms,
            "idempotencyKey": key,
            "__openclaw": {"id": key, "idempotencyKey": key},
        }
        self.message(session.key, session, key, message, senderIsOwner=True)

    def answered(self, run: Run, reply: Reply) -> None:
        """Tell what the assistant said."""
        if reply.text:
            message_id = f"{run.id}:assistant"
            message = {
                **text_message(reply.text, reply.ended_at_ms),
                "usage": usage_row(reply.usage),
                "provider": reply.provider,
                "model": reply.model,
                "__openclaw": {"id": message_id},
            }
            self.message(reply.session_key, run.inbound.principal, message_id, message)

    def ended(self, run: Run, phase: str) -> None:
        """Tell that a run has ended and that its session is at rest."""
        if self._hub.subscribers:
            with contextlib.suppress(RuntimeError):  # closing: clients read the list when they are back
                self._tasks.spawn(self._tell_end(run, phase), "session-end")

    async def _tell_end(self, run: Run, phase: str) -> None:
        inbound = run.inbound
        with contextlib.suppress(OpenClawError):  # the archive is unwell, and says so elsewhere
            session = await self._latest(inbound.session_key, inbound.principal)
            if session is not None:
                self.changed(session, "", phase=phase, runId=run.id)
                self.changed(session, SETTLED)

    def message(self, key: SessionKey, owner: Owner, message_id: str, message: dict[str, Any], **more: Any) -> None:
        """Tell a message of a transcript."""
        payload = {"sessionKey": key, "agentId": agent_of(key), **more, "messageId": message_id, "message": message}
        self._hub.broadcast("session.message", payload, owner=owner, audience="session", key=key)

    def tool(self, run: Run, payload: dict[str, Any]) -> None:
        """Tell what a tool does: as in the `agent` event, but to all who follow the session."""
        inbound = run.inbound
        self._hub.broadcast(
            "session.tool", payload, owner=inbound.principal, audience="session", key=inbound.session_key
        )

    def operation(self, operation_id: str, key: SessionKey, owner: Owner, phase: dict[str, Any]) -> None:
        """Tell the start or the end of a compaction that somebody asked for."""
        head = {"operationId": operation_id, "operation": "compact", "sessionKey": key, "agentId": agent_of(key)}
        self._hub.broadcast("session.operation", {**head, **phase, "ts": self._clock.now_ms()}, owner=owner)


def agent_of(key: str) -> str:
    """Return the agent of a session key, or nothing for a key of another form."""
    parts = key.split(":", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "agent" else ""


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return a message's content for an event: images are only named, for they may be megabytes each."""
    images = [part for part in message.parts if isinstance(part, ImagePart)]
    if not images:
        return message.text
    text = [{"type": "text", "text": message.text}] if message.text else []
    return text + [{"type": "image", "mimeType": image.media_type, "omitted": True} for image in images]
