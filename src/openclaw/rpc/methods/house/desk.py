"""What terminal clients ask for when they open: the commands there are, and the tasks that are suggested (none)."""

from __future__ import annotations

from typing import Any, Literal

from openclaw.protocol.validate import Params
from openclaw.rpc.commands import COMMANDS, STOP, Command
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


class CommandsListParams(Params, frozen=True):
    """Commands are the same for every session, agent and provider; all are text, none is `native`."""

    session_key: str = ""
    agent_id: str = ""
    provider: str = ""
    scope: Literal["text", "native", "both"] = "both"
    include_args: bool = True


class TaskSuggestionsListParams(Params, frozen=True):
    """Filters of an empty list."""

    session_key: str = ""
    agent_id: str = ""


def commands_list(room: Room, peer: Peer, params: CommandsListParams) -> dict[str, Any]:
    """Return the slash commands of chat.send."""
    if params.scope == "native":
        return {"commands": []}
    return {"commands": [_row(name, command, params) for name, command in (("stop", STOP), *COMMANDS.items())]}


def _row(name: str, command: Command, params: CommandsListParams) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "textAliases": [f"/{name}"],
        "description": command.help,
        "category": command.category,
        "source": "native",
        "scope": "text",
        "acceptsArgs": bool(command.argument),
    }
    if command.argument and params.include_args:
        row["args"] = [{"name": command.argument, "description": command.help, "type": "string"}]
    return row


def task_suggestions_list(room: Room, peer: Peer, params: TaskSuggestionsListParams) -> dict[str, Any]:
    """Return no suggestions."""
    return {"suggestions": []}


METHODS = (
    MethodSpec(
        "commands.list",
        CommandsListParams,
        "operator.read",
        commands_list,
        "Lists the slash commands that chat.send understands.",
        "`{commands: [{name, textAliases[], description, category, source, scope, acceptsArgs, args?}]}`",
        since=4,
    ),
    MethodSpec(
        "taskSuggestions.list",
        TaskSuggestionsListParams,
        "operator.read",
        task_suggestions_list,
        "Lists suggested tasks: none are made.",
        "`{suggestions: []}`",
        since=4,
    ),
)
