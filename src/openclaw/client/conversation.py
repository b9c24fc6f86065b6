"""A conversation over a link: send a message, read the answer as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from openclaw.base.errors import OpenClawError
from openclaw.base.ids import new_id
from openclaw.client.errors import from_wire
from openclaw.client.link import GatewayLink, Up
from openclaw.client.text import message_text
from openclaw.client.ws import Event


class ChatUpdate(msgspec.Struct, frozen=True):
    """Some of an answer. `text` is the whole of it so far; the last update has another state than `delta`."""

    run_id: str
    state: Literal["delta", "final", "aborted", "error"]
    text: str
    error: OpenClawError | None = None


async def chat(
    link: GatewayLink, message: str, *, session_key: str = "main", thinking: str = ""
) -> AsyncIterator[ChatUpdate]:
    """Send a message and yield its answer. A loss on the way is bridged: the end is then read from the history.

    Raises: RpcError when the gateway does not take the message.
    """
    run_id = new_id()
    params: dict[str, Any] = {"sessionKey": session_key, "message": message, "idempotencyKey": run_id}
    if thinking:
        params["thinking"] = thinking
    async with link.listen() as told:
        await link.call("chat.send", params)
        fresh = True
        async for each in told:
            if isinstance(each, Up):
                if not fresh and (last := await _asked(link, run_id, session_key)):
                    yield last
                    return
                fresh = False
            elif isinstance(each, Event) and each.name == "chat" and _of(each.payload, run_id):
                fresh = False
                update = _update(run_id, each.payload)
                if update is not None:
                    yield update
                    if update.state != "delta":
                        return
    if link.ended is not None:
        raise link.ended


async def _asked(link: GatewayLink, run_id: str, session_key: str) -> ChatUpdate | None:
    """After a loss: return the end of the run, when it ended while nobody listened."""
    state = await link.call("agent.wait", {"runId": run_id, "timeoutMs": 0})
    if state.get("status") == "timeout" and "endedAt" not in state:
        return None
    history = await link.call("chat.history", {"sessionKey": session_key, "limit": 1})
    last = (history.get("messages") or [{}])[-1]
    text = message_text(last) if last.get("role") == "assistant" else ""
    if state.get("status") == "error":
        return ChatUpdate(run_id, "error", text, from_wire({"message": state.get("error")}))
    return ChatUpdate(run_id, "final" if state.get("status") == "ok" else "aborted", text)


def _of(payload: Any, run_id: str) -> bool:
    return isinstance(payload, dict) and payload.get("runId") == run_id


def _update(run_id: str, payload: dict[str, Any]) -> ChatUpdate | None:
    state = payload.get("state")
    if state not in ("delta", "final", "aborted", "error"):
        return None
    error = from_wire({"message": payload.get("errorMessage")}) if state == "error" else None
    return ChatUpdate(run_id, state, message_text(payload.get("message")), error)
