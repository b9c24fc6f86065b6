"""`openclaw nodes`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.cli import output
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import confirm

F = TypeVar("F", bound=Callable[..., Any])
ID_CHARS: Final = 12
"""A device's id has 64; so many of them tell nodes apart in a table, and are taken for the whole."""

INVOKE_MS: Final = 15_000
SPARE_S: Final = 5.0
"""How much longer than the node the gateway may take to answer."""


def node_option(command: F) -> F:
    """Add `--node`, which names one node."""
    return click.option("--node", "name", required=True, help="Id, beginning of the id, or name of the node.")(command)


@click.group(invoke_without_command=True)
@click.pass_context
def nodes(ctx: click.Context) -> None:
    """Machines and phones that carry out commands for the gateway.

    \b
    Examples:
      openclaw nodes status
      openclaw nodes pending
      openclaw nodes approve REQUEST
      openclaw nodes invoke --node lamp --command system.which --params '{"bins": ["git"]}'
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(status)


@nodes.command(name="list")
@output.json_option
@gateway_options
def list_(reach: Reach, as_json: bool) -> None:
    """List the approved nodes and what they may be asked for; say how many wait.

    \b
    Example:
      openclaw nodes list
    """
    found = reach.call("node.pair.list")
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["node", "name", "platform", "commands"],
        [
            (_short(row), row.get("displayName"), row.get("platform"), " ".join(row.get("commands", [])))
            for row in found["paired"]
        ],
        "No node is paired.",
    )
    if found["pending"]:
        click.echo(f"{len(found['pending'])} waiting: openclaw nodes pending")


@nodes.command()
@click.option("--connected", is_flag=True, help="Only nodes that are connected now.")
@output.json_option
@gateway_options
def status(reach: Reach, connected: bool, as_json: bool) -> None:
    """Show which nodes are connected, which wait for approval, and when the others were last seen.

    \b
    Example:
      openclaw nodes status --connected
    """
    from openclaw.base.clock import SYSTEM_CLOCK

    found = reach.call("node.list")
    rows = [row for row in found["nodes"] if row.get("connected") or not connected]
    if as_json:
        output.emit_json({**found, "nodes": rows})
        return
    now_ms = SYSTEM_CLOCK.now_ms()
    output.table(
        ["node", "name", "state", "connected", "platform", "version"],
        [
            (
                _short(row),
                row.get("displayName"),
                row.get("approvalState"),
                "yes" if row.get("connected") else output.ago(row.get("lastSeenAtMs"), now_ms),
                row.get("platform"),
                row.get("version"),
            )
            for row in rows
        ],
        "No node is paired: `openclaw nodes pending` shows those that ask.",
    )


@nodes.command()
@output.json_option
@gateway_options
def pending(reach: Reach, as_json: bool) -> None:
    """List what nodes offer and nobody has approved yet.

    \b
    Example:
      openclaw nodes pending
    """
    waiting = reach.call("node.pair.list")["pending"]
    if as_json:
        output.emit_json(waiting)
        return
    output.table(
        ["request", "node", "name", "from", "needs", "commands"],
        [
            (
                row["requestId"],
                _short(row),
                row.get("displayName"),
                row.get("remoteIp"),
                " ".join(scope.removeprefix("operator.") for scope in row.get("requiredApproveScopes", [])),
                " ".join(row.get("commands", [])),
            )
            for row in waiting
        ],
        "No node asks to be paired.",
    )


@nodes.command()
@click.argument("request")
@output.json_option
@gateway_options
def approve(reach: Reach, request: str, as_json: bool) -> None:
    """Let a node be asked for everything that a request names.

    \b
    Example:
      openclaw nodes approve 1f6c
    """
    found = reach.call("node.pair.approve", {"requestId": request})
    if as_json:
        output.emit_json(found)
        return
    node = found["node"]
    click.echo(f"{_called(node)} may be asked for: {', '.join(node.get('commands', [])) or 'nothing yet'}")


@nodes.command()
@click.argument("request")
@output.json_option
@gateway_options
def reject(reach: Reach, request: str, as_json: bool) -> None:
    """Refuse a request; what was approved earlier stays.

    \b
    Example:
      openclaw nodes reject 1f6c
    """
    found = reach.call("node.pair.reject", {"requestId": request})
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"{_short(found)} is refused.")


@nodes.command()
@node_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@output.json_option
@gateway_options
def remove(reach: Reach, name: str, yes: bool, as_json: bool) -> None:
    """Forget a node and its approvals, and close its connection.

    \b
    Example:
      openclaw nodes remove --node desk --yes
    """
    row = _find(reach, name)
    if not yes:
        confirm(f"Forget {_called(row)} and everything approved of it?")
    found = reach.call("node.pair.remove", {"nodeId": row["nodeId"]})
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"{_called(row)} is forgotten.")


@nodes.command()
@node_option
@click.option("--name", "new_name", required=True, help="What people shall read.")
@output.json_option
@gateway_options
def rename(reach: Reach, name: str, new_name: str, as_json: bool) -> None:
    """Give a node another name.

    \b
    Example:
      openclaw nodes rename --node desk --name "Desk"
    """
    found = reach.call("node.rename", {"nodeId": _find(reach, name)["nodeId"], "displayName": new_name})
    if as_json:
        output.emit_json(found)
        return
    click.echo(f"{_short(found)} is called {found['displayName']}.")


@nodes.command()
@node_option
@output.json_option
@gateway_options
def describe(reach: Reach, name: str, as_json: bool) -> None:
    """Show everything that is known of a node.

    \b
    Example:
      openclaw nodes describe --node desk
    """
    found = reach.call("node.describe", {"nodeId": _find(reach, name)["nodeId"]})
    if as_json:
        output.emit_json(found)
        return
    output.fields({key: _text(value) for key, value in found.items() if key != "ts"})


@nodes.command()
@node_option
@click.option("--command", "what", required=True, help="The command, e.g. system.which.")
@click.option("--params", default="", help="Its parameters, as JSON.")
@click.option(
    "--invoke-timeout",
    type=click.IntRange(1, 600_000),
    default=INVOKE_MS,
    show_default=True,
    help="Milliseconds that the node may take.",
)
@click.option(
    "--idempotency-key", default="", help="A repeat of the same key gets the first answer; default: a new one."
)
@output.json_option
@gateway_options
def invoke(
    reach: Reach, name: str, what: str, params: str, invoke_timeout: int, idempotency_key: str, as_json: bool
) -> None:
    """Have a connected node carry out a command, and print what it answers.

    \b
    Example:
      openclaw nodes invoke --node desk --command system.which --params '{"bins": ["git"]}'
    """
    from openclaw.base.ids import new_id

    asked: dict[str, Any] = {
        "nodeId": _find(reach, name)["nodeId"],
        "command": what,
        "timeoutMs": invoke_timeout,
        "idempotencyKey": idempotency_key or new_id(),
    }
    if params:
        asked["params"] = _json(params)

    async def ask() -> Any:
        async with reach.connect() as line:
            return await line.call("node.invoke", asked, max(reach.timeout_s, invoke_timeout / 1000 + SPARE_S))

    answer = reach.run(ask())
    output.emit_json(answer if as_json else answer.get("payload"))


def _find(reach: Reach, name: str) -> dict[str, Any]:
    """Return the one node that is meant. Raises: NotFound, InvalidRequest when several are."""
    rows: list[dict[str, Any]] = reach.call("node.list")["nodes"]
    exact = [row for row in rows if name in (row["nodeId"], row.get("displayName"))]
    found = exact or [row for row in rows if row["nodeId"].startswith(name)]
    if not found:
        raise NotFound(f"There is no node {name}.", hint="`openclaw nodes status` lists the nodes.")
    if len(found) > 1:
        ids = ", ".join(row["nodeId"] for row in found)
        raise InvalidRequest(f"{name} may mean several nodes: {ids}", hint="Name the node by its id.")
    return found[0]


def _json(text: str) -> Any:
    import msgspec

    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"--params is no JSON: {error}", hint="Quote it, e.g. --params '{\"a\": 1}'.") from None


def _short(row: dict[str, Any]) -> str:
    return str(row["nodeId"])[:ID_CHARS]


def _called(row: dict[str, Any]) -> str:
    return plain(str(row.get("displayName") or row["nodeId"]))


def _text(value: object) -> str:
    return plain(" ".join(map(str, value)) if isinstance(value, list) else str(value))
