"""`openclaw actions`: the tools and actions an agent may call, and one of them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from openclaw.base.errors import NotFound, ToolError
from openclaw.cli import output
from openclaw.cli.desk import Desk, json_object, run

if TYPE_CHECKING:
    from openclaw.tools.registry import ToolRegistry


@click.group()
def actions() -> None:
    """List the actions and built-in tools, and try one without a model.

    \b
    Examples:
      openclaw actions list
      openclaw actions test translate --args '{"input_text": "bonjour"}'
    """


def _registry(desk: Desk) -> ToolRegistry:
    from openclaw.tools.registry import ToolRegistry

    async def no_door(*_: object) -> None:
        """Here the operator is the caller."""

    return ToolRegistry(desk.loaded.config.actions, desk.paths.config_path.parent, no_door)


@actions.command(name="list")
@output.json_option
def list_(as_json: bool) -> int:
    """List every tool with its parameters. Exit 1 when a configured action cannot be loaded.

    \b
    Example:
      openclaw actions list --json
    """
    registry = _registry(Desk())
    problems = registry.problems()
    tools = registry.tools()
    if as_json:
        rows = [
            {
                "name": t.spec.name,
                "description": t.spec.description,
                "safety": t.safety,
                "parameters": t.spec.parameters,
            }
            for t in tools
        ]
        output.emit_json({"actions": rows, "problems": problems})
    else:
        output.table(
            ["name", "safety", "arguments", "description"],
            [(t.spec.name, t.safety, _arguments(t.spec.parameters), _first_line(t.spec.description)) for t in tools],
        )
        for name, problem in problems.items():
            click.echo(f"{output.mark('error')}  {name}: {problem}", err=True)
    return 1 if problems else 0


@actions.command()
@click.argument("name")
@click.option("--args", "arguments", default="{}", show_default=True, help="Arguments as a JSON object.")
@output.json_option
def test(name: str, arguments: str, as_json: bool) -> int:
    """Call one action with arguments and print what the model would get. Exit 1 when it fails.

    \b
    Example:
      openclaw actions test shout --args '{"text": "hello"}'
    """
    given = json_object(arguments, "--args")
    desk = Desk()
    registry = _registry(desk)
    tool = next((each for each in registry.tools() if each.spec.name == name), None)
    if tool is None:
        why = registry.problems().get(name)
        raise NotFound(
            f"Action {name} cannot be loaded: {why}" if why else f"There is no action {name}.",
            hint="`openclaw actions list` names them.",
        )
    try:
        text, failed = run(tool.call(given, _context(desk))), False
    except ToolError as error:
        text, failed = error.message, True
    if as_json:
        output.emit_json({"ok": not failed, "result": text})
    else:
        click.echo(text, err=failed)
    return 1 if failed else 0


def _context(desk: Desk) -> Any:
    from openclaw.base.ids import AgentId, SessionKey, new_run_id
    from openclaw.base.principal import LOCAL_OPERATOR
    from openclaw.tools.api import ToolContext

    workspace = desk.workspace()
    workspace.mkdir(parents=True, exist_ok=True, mode=0o700)
    return ToolContext(
        principal=LOCAL_OPERATOR,
        agent_id=AgentId("main"),
        session_key=SessionKey("agent:main:cli"),
        run_id=new_run_id(),
        workspace=workspace,
    )


def _arguments(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    return ", ".join(name if name in required else f"[{name}]" for name in schema.get("properties", {}))


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
