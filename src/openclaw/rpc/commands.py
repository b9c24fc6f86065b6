"""Slash commands inside chat.send: what a person types to steer the session instead of talking to the agent.

Each command needs the scope of the method it stands for: text is no way around the counter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from openclaw.base.errors import NotFound, OpenClawError
from openclaw.base.ids import SessionKey
from openclaw.base.money import dollars
from openclaw.base.principal import Principal, Scope
from openclaw.base.thinking import LEVELS, thinking_level
from openclaw.identity.scopes import lacking_scope
from openclaw.rpc.allowance import allowance, allowance_lines
from openclaw.rpc.compaction import compact, told
from openclaw.rpc.method import holds
from openclaw.rpc.room import Room

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Command:
    """One slash command."""

    scope: Scope
    help: str
    run: Callable[[Room, SessionKey, Principal, str], Awaitable[str]]
    category: Literal["session", "options", "status"] = "status"
    argument: str = ""
    """Name of what may follow it, as clients show it."""
    slow: bool = False
    """It may ask a model: its sender is answered before it is done."""


def parse(text: str) -> tuple[str, str] | None:
    """Return (command, argument) when a text is one of our commands, else None: it goes to the agent."""
    if not text.startswith("/"):
        return None
    word, _, argument = text[1:].strip().partition(" ")
    name = word.lower()
    return (name, argument.strip()) if name in COMMANDS or name == "stop" else None


async def answer(room: Room, key: SessionKey, principal: Principal, name: str, argument: str) -> str:
    """Run a command and return what to tell; its failures are told, not raised. Raises: Forbidden."""
    check(principal, name)
    try:
        return await COMMANDS[name].run(room, key, principal, argument)
    except NotFound:
        return "This session has not begun yet: send a message first."
    except OpenClawError as error:
        return f"{error.message.rstrip('.')}. {error.hint}".strip()


def check(principal: Principal, name: str) -> None:
    """Refuse a command to who lacks its scope. Raises: Forbidden."""
    command = COMMANDS[name]
    if not holds(principal, command.scope):
        raise lacking_scope(command.scope)


async def _reset(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    await room.deps.agent.reset_session(key, principal)
    return "Session reset. What comes next starts a new conversation."


async def _model(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    if not argument or argument in ("list", "status"):
        row = await room.deps.agent.session(key, principal)
        current = (row.model if row else "") or room.default_model()[0] or "none"
        usable = [each.ref for each in room.deps.models.models() if each.available and principal.may_call(each.ref)]
        known = ", ".join(usable) or "none"
        return f"Model: {current}. Available: {known}. Change it with /model provider/model; /model default undoes it."
    if argument == "default":
        await room.deps.agent.patch_session(key, principal, model="")
        return "Model set to the agent's own again."
    row = await room.deps.agent.patch_session(key, principal, model=argument)
    return f"Model set to {row.model or argument} for this session only; the configuration is unchanged."


async def _think(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    if not argument or argument == "status":
        level = room.thinking(key, await room.deps.agent.session(key, principal))
        return f"Thinking: {level}. Change it with /think {'|'.join(LEVELS)}; /think default undoes it."
    level = thinking_level(argument)
    await room.deps.agent.patch_session(key, principal, thinking=level)
    if not level:
        return "Thinking set to the agent's own again."
    return f"Thinking set to {level} for this session; models that cannot think ignore it."


async def _status(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    deps = room.deps
    row = await deps.agent.session(key, principal)
    model = (row.model if row else "") or room.default_model()[0] or "none"
    running, queued = deps.agent.load(principal)
    tokens = f"{row.input_tokens} in / {row.output_tokens} out" if row else "0 in / 0 out"
    return (
        f"openclaw {deps.version}\nSession: {key}\nModel: {model}\nTokens: {tokens}\n"
        f"Runs: {running} going, {queued} waiting"
    )


async def _allowance(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    found = await allowance(room, principal, room.agent_of(key))
    return "\n".join(allowance_lines(found)) if found else "No budget applies to your calls."


async def _compact(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    return told(await compact(room, key, principal))


async def _usage(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    row = await room.deps.agent.session(key, principal)
    lines = [f"This session: {row.input_tokens if row else 0} tokens in, {row.output_tokens if row else 0} out"]
    if room.deps.usage is not None:
        since_ms = room.deps.clock.now_ms() // DAY_MS * DAY_MS
        days = await room.deps.usage.usage_totals(["day"], since_ms=since_ms, owner=principal.owner)
        calls, used = sum(day.calls for day in days), sum(day.usage.total_tokens for day in days)
        cost, unpriced = sum(day.usd_micros for day in days), sum(day.unpriced for day in days)
        lines.append(f"Your calls today (UTC): {calls}, {used} tokens, {dollars(cost)}")
        if unpriced:
            lines[-1] += f" and {unpriced} calls of unknown price"
    return "\n".join(lines)


async def _help(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    return "\n".join(f"/{name}  {command.help}" for name, command in (("stop", STOP), *COMMANDS.items()))


async def _never(room: Room, key: SessionKey, principal: Principal, argument: str) -> str:
    raise NotImplementedError


STOP: Final = Command("operator.write", "stop what runs", _never, "session")
"""As listed; chat.send answers it itself, in the shape of chat.abort."""

COMMANDS: Final[Mapping[str, Command]] = {
    "reset": Command("operator.admin", "start the conversation afresh", _reset, "session"),
    "new": Command("operator.admin", "the same as /reset", _reset, "session"),
    "compact": Command("operator.write", "summarise everything but the last exchange", _compact, "session", slow=True),
    "model": Command(
        "operator.write", "show or change this session's model: /model provider/model", _model, "options", "model"
    ),
    "think": Command(
        "operator.write", "show or change how much models think: /think LEVEL", _think, "options", "level"
    ),
    "status": Command("operator.read", "session, model, tokens, runs", _status),
    "allowance": Command("operator.read", "what is left of each budget that applies to you", _allowance),
    "usage": Command("operator.read", "tokens of this session, and your calls of today", _usage),
    "help": Command("operator.read", "this list", _help),
}
"""All but /stop."""
