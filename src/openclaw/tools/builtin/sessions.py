"""The session tools: an agent sees its caller's other conversations, and may write into one of them.

1. The port shows the principal's own sessions only. An administrator's agent acts as the owner too: what it reads may
   have been written by a stranger, and no text gets an administrator's view of everybody's sessions.
2. A transcript of another session is data here: whoever spoke there does not speak to this agent.
3. A message to the session itself is refused: the answer would wait for the run that waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
from msgspec import Meta

from openclaw.base import own_names
from openclaw.base.errors import CallerError, NotFound, ToolError
from openclaw.base.ids import AgentId, SessionKey
from openclaw.base.message import Message, ToolCall, ToolOutcome
from openclaw.base.principal import Principal
from openclaw.store.api import SessionRow, StepRow
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool
from openclaw.tools.call_key import call_key
from openclaw.tools.untrusted import fenced, visible

TEXT_CHARS = 2_000
"""Longest piece of one message that a history shows."""
MAX_WAIT_S = 300
MAX_HOPS = 5
"""Sessions that a message may pass on through: two that answer each other end."""


class Sent(NamedTuple):
    """What became of a message. `text` is the answer, or what went wrong; "" while the run goes on."""

    run_id: str
    state: str
    """`ok`, `error`, `aborted`, or `running` when the wait ended first."""
    text: str = ""


class SessionPort(Protocol):
    """What the study lets tools do with sessions; the principal is the run's own."""

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        """Return the key of what the principal calls so. Raises: InvalidRequest, NotFound for somebody else's."""
        ...

    async def sessions(
        self,
        principal: Principal,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        """Return the principal's sessions, latest first, and how many there are."""
        ...

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        """Return one of the principal's sessions, or None."""
        ...

    async def history(self, key: SessionKey, principal: Principal, limit: int = 200) -> list[StepRow]:
        """Return its last steps, oldest first."""
        ...

    async def send(
        self,
        key: SessionKey,
        text: str,
        principal: Principal,
        *,
        wait_s: float,
        run_key: str,
        tainted: str = "",
        depth: int = 0,
    ) -> Sent:
        """Give a message to a session as the principal and wait for the answer, at most `wait_s` seconds.

        `run_key` is the same for every try of one call: the run it makes is made once. `tainted` says by what way text
        from outside had a part in the message, `depth` how many agents stand above its run. Raises: NotFound, LaneBusy.
        """
        ...


def session_tools(port: SessionPort) -> tuple[Tool, ...]:
    """Return the session tools over a study."""

    @action
    async def sessions_list(
        context: Context,
        limit: Annotated[int, Meta(description="Most sessions to list.", ge=1, le=100)] = 20,
    ) -> dict[str, Any]:
        """List this user's conversations, the latest first; `current` marks the one you are in."""
        rows, count = await port.sessions(as_owner(context.principal), limit=limit)
        return {"count": count, "sessions": [_listed(row, context) for row in rows]}

    @action
    async def sessions_history(
        session: Annotated[str, Meta(description="The session's key, as sessions_list shows it.", max_length=500)],
        context: Context,
        limit: Annotated[int, Meta(description="How many of the last steps to show.", ge=1, le=200)] = 20,
        tools: Annotated[bool, Meta(description="Also show tool calls and their results.")] = False,
    ) -> str:
        """Read the end of another conversation of this user."""
        key = await _known(port, session, context)
        steps = await port.history(key, as_owner(context.principal), limit)
        said = [line for step in steps for message in step.messages for line in _said(message, tools)]
        return (
            fenced(f"the session {own_names.told_text(context.principal, key)}", "\n".join(said))
            if said
            else "The session is empty."
        )

    @action(writes=True, timeout_s=MAX_WAIT_S + 10)
    async def sessions_send(
        session: Annotated[str, Meta(description="The session's key, as sessions_list shows it.", max_length=500)],
        text: Annotated[str, Meta(description="The message.", min_length=1, max_length=50_000)],
        context: Context,
        wait_seconds: Annotated[
            int, Meta(description="How long to wait for the answer; 0 = do not wait.", ge=0, le=MAX_WAIT_S)
        ] = 60,
    ) -> str:
        """Send a message to another conversation of this user and return the answer that its agent gives."""
        key = await _known(port, session, context)
        if context.depth >= MAX_HOPS:
            raise ToolError(f"This message has come through {context.depth} sessions, which is the limit. Answer here.")
        if key == context.session_key:
            raise ToolError("This is the session you are in. Answer here instead of sending to it.")
        try:
            run_key = call_key(context.idempotency_key, key, text)
            sent = await port.send(
                key,
                text,
                as_owner(context.principal),
                wait_s=wait_seconds,
                run_key=run_key,
                tainted=context.tainted,
                depth=context.depth + 1,
            )
        except CallerError as error:
            raise ToolError(f"The session did not take the message: {error.message}") from None
        if sent.state == "running":
            return f"Sent; run {sent.run_id} goes on. sessions_history shows its answer later."
        if sent.state != "ok":
            raise ToolError(f"The run {sent.run_id} ended as {sent.state}: {sent.text[:TEXT_CHARS]}")
        return fenced(_name(key, context), sent.text or "(no text)")

    return tuple(map(build_tool, (sessions_list, sessions_history, sessions_send)))


def as_owner(principal: Principal) -> Principal:
    """Return the principal without what shows it everybody's sessions."""
    if principal.limits is not None and principal.limits.sessions == "all":
        principal = msgspec.structs.replace(principal, limits=msgspec.structs.replace(principal.limits, sessions="own"))
    if "operator.admin" not in principal.scopes:
        return principal
    scopes = (principal.scopes - {"operator.admin"}) | {"operator.read", "operator.write"}
    return msgspec.structs.replace(principal, scopes=scopes)


async def _known(port: SessionPort, raw: str, context: Context) -> SessionKey:
    missing = ToolError(f"There is no session {raw[:100]!r}. sessions_list shows which there are.")
    me = as_owner(context.principal)
    try:
        key = port.resolve_key(me, raw, context.agent_id)
    except NotFound:
        raise missing from None
    if await port.session(key, me) is None:
        raise missing
    return key


def _name(key: SessionKey, context: Context) -> str:
    return f"the session {own_names.told_text(context.principal, key)}"


def _listed(row: SessionRow, context: Context) -> dict[str, Any]:
    return {
        "key": own_names.told_text(context.principal, row.key),
        "agentId": row.agent_id,
        "label": visible(row.label),
        "updatedAt": datetime.fromtimestamp(row.updated_at_ms / 1000, UTC).isoformat(timespec="seconds"),
        "model": row.model,
        "totalTokens": row.input_tokens + row.output_tokens,
        "abortedLastRun": row.aborted_last_run,
        "current": row.key == context.session_key,
    }


def _said(message: Message, tools: bool) -> list[str]:
    lines = [f"{message.role}: {message.text[:TEXT_CHARS]}"] if message.text else []
    if tools:
        for part in message.parts:
            if isinstance(part, ToolCall):
                lines.append(f"{message.role} calls {part.name}({part.arguments[:200]})")
            elif isinstance(part, ToolOutcome):
                lines.append(f"{part.name} {'failed' if part.is_error else 'gave'}: {part.text[:500]}")
    return lines
