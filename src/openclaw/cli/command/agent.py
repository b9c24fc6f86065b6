"""`openclaw agent`: one turn."""

from __future__ import annotations

from typing import Any

import click

from openclaw.base.errors import InvalidRequest, OpenClawError
from openclaw.base.ids import new_id
from openclaw.base.thinking import LEVELS
from openclaw.cli import output
from openclaw.cli.completing import agent_ids, session_keys
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import read_stdin

RUN_TIMEOUT_S = 600
AFRESH = ("/new", "/reset")
"""Commands that only an administrator gives; none of them runs a tool."""


@click.command()
@click.option("--message", "-m", required=True, help="What to say; `-` reads it from stdin.")
@click.option(
    "--agent", "agent_id", default="", shell_complete=agent_ids, help="Agent to ask; default: the default agent."
)
@click.option(
    "--session",
    "--session-id",
    "--session-key",
    "session_key",
    default="",
    shell_complete=session_keys,
    help="Session to speak in; default: the agent's main session.",
)
@click.option("--thinking", type=click.Choice(LEVELS), help="How much to think, for models that can.")
@click.option("--stream", is_flag=True, help="Print the answer while it is written.")
@output.json_option
@gateway_options
def agent(
    reach: Reach,
    message: str,
    agent_id: str,
    session_key: str,
    thinking: str | None,
    stream: bool,
    as_json: bool,
) -> int:
    """Ask an agent one thing and print the answer. Exit 1 when the run fails.

    \b
    Examples:
      openclaw agent --message "What is the capital of Japan?"
      openclaw agent -m "Summarise notes.txt" --session work --stream
      git diff | openclaw agent -m -
    """
    if message == "-":
        message = read_stdin()
    if not message.strip():
        raise InvalidRequest("The message is empty.", hint='Give it some text: --message "Hello"')
    params: dict[str, Any] = {"message": message, "idempotencyKey": new_id(), "timeout": RUN_TIMEOUT_S}
    if session_key:
        params["sessionKey"] = session_key
    if agent_id:
        params["agentId"] = agent_id
    if thinking:
        params["thinking"] = thinking
    answer = reach.run(_ask(reach, params, stream=stream and not as_json))
    if as_json:
        output.emit_json(answer)
    elif not stream:
        click.echo(_text(answer))
    if answer.get("status") != "ok":
        if as_json:
            return 1
        raise OpenClawError(
            f"The run ended as {answer.get('status')}: {answer.get('summary') or 'no reason given'}",
            hint="`openclaw logs` shows what happened.",
        )
    return 0


async def _ask(reach: Reach, params: dict[str, Any], *, stream: bool) -> dict[str, Any]:
    from openclaw.cli.turn import shown

    # Whoever only waits for the answer cannot be asked: with the scope to approve, the run would wait for them.
    begins_afresh = params["message"].split(maxsplit=1)[0] in AFRESH
    async with reach.connect(scopes=() if begins_afresh else ("operator.read", "operator.write")) as line:
        asking = line.call("agent", params, RUN_TIMEOUT_S, final=True)
        answer: dict[str, Any] = await (shown(line, params["idempotencyKey"], asking, _text) if stream else asking)
        return answer


def _text(answer: dict[str, Any]) -> str:
    payloads = (answer.get("result") or {}).get("payloads") or []
    return "\n".join(str(each.get("text", "")) for each in payloads)
