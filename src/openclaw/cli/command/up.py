"""`openclaw up`: from nothing to a streamed answer and a chat."""

from __future__ import annotations

import sys

import click

from openclaw.base.errors import OpenClawError
from openclaw.cli import output
from openclaw.cli.desk import Desk, run
from openclaw.cli.reach import Reach
from openclaw.cli.terminal import is_terminal

FIRST_AUTH = """
  gateway: {
    auth: { mode: "token", token: "${OPENCLAW_GATEWAY_TOKEN}" }, // its value is in .env beside this file
  },"""
FIRST_CONFIG = """\
// openclaw's settings (JSON5). docs/settings.md describes every one; a running gateway takes changes up by itself.
{{{auth}
  agents: {{
    defaults: {{
      // model: "anthropic/…", "openai/…" or "embedded/smollm2"; without it the best one that can be called is used.
    }},
  }},
}}
"""


@click.command()
@click.option("--demo", is_flag=True, help="Leave after the first answer: exit 0 if there was one, 1 if not.")
@click.option("--port", type=click.IntRange(1, 65_535), help="TCP port; default: the configured one (18789).")
@click.option("--bind", help="Addresses to listen on: loopback, lan, or an address.")
def up(demo: bool, port: int | None, bind: str | None) -> int:
    """Set up what is missing, start the gateway, ask it a first question, and chat.

    On a terminal it becomes a chat, and leaving the chat stops the gateway; without one it serves until a signal.

    \b
    Examples:
      openclaw up
      ANTHROPIC_API_KEY=… openclaw up     use that provider instead of the local model
      openclaw up --demo                  one answer, then leave
    """
    from openclaw.cli.hosting import FirstHour, serve
    from openclaw.cli.local_model import fetch, is_missing
    from openclaw.gateway.run import RunOptions

    desk = Desk()
    chat = not demo and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    if (running := _running(desk, port)) is not None:
        return _join(running, demo=demo, chat=chat)
    prepare(desk)
    model = run(_default_model(desk))
    click.echo(f"  model      {model}{_because(desk, model)}")
    if is_missing(desk, model):
        fetch(desk, model.partition("/")[2])
    hour = FirstHour(demo=demo, chat=chat)
    code = serve(RunOptions(port=port, bind=bind, quiet=True), hour.ready)
    hour.join()
    return code or int(demo and hour.failed)


def prepare(desk: Desk) -> None:
    """Say what is about to happen, and make the state directory, the configuration and the token that are missing."""
    from openclaw.config.paths import is_yaml
    from openclaw.gateway import state

    paths = desk.paths
    click.echo(f"{output.paint('openclaw', 'green', bold=True)}: a gateway on this machine, only reachable from it.")
    state.prepare(paths.state_dir)
    fresh = not paths.config_path.exists() and not is_yaml(paths.config_path)
    if fresh:
        write_first_config(desk)
    click.echo(f"  state      {paths.state_dir} (private to you)")
    click.echo(f"  settings   {paths.config_path}{' (new, with a fresh token)' if fresh else ''}")


def write_first_config(desk: Desk) -> None:
    """Write a short configuration and, unless there is one already, a strong token: that goes to `.env`.

    There other programs for the same state directory read it as well, and a configuration may be shown and shared.
    """
    from secrets import token_urlsafe

    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.base.secret import Secret
    from openclaw.config.changes.offline import change
    from openclaw.config.changes.record import Wish, by_user
    from openclaw.ops.doctor.summary import remarks
    from openclaw.ops.token.copies import VARIABLE
    from openclaw.secrets.store import put_variable

    auth = ""
    if not desk.loaded.config.gateway.auth.token:
        auth = FIRST_AUTH
        put_variable(desk.paths.env_file, VARIABLE["token"], Secret(token_urlsafe(32)))
        desk.forget_env()
    wish = by_user(Wish(method="cli: up"), desk.env)
    change(desk.paths, desk.env, SYSTEM_CLOCK, wish, lambda _: FIRST_CONFIG.format(auth=auth), desk.whole, remarks)
    desk.forget()


async def _default_model(desk: Desk) -> str:
    async with desk.registry() as registry:
        return desk.default_model(registry)


def _because(desk: Desk, model: str) -> str:
    """Say why this model was chosen."""
    if model.startswith("embedded/"):
        return " (runs here: no key, nothing leaves this machine)"
    names = (f"{model.partition('/')[0].upper()}_API_KEY", "OPENCLAW_LLM_PROVIDER")
    source = next((name for name in names if desk.env.get(name)), "")
    return f" (because of {source})" if source else ""


def _running(desk: Desk, port: int | None) -> Reach | None:
    """Return the gateway that already runs on this state directory, if it takes our token."""
    if not desk.paths.state_dir.exists():
        return None
    reach = Reach(desk, port=port)
    return reach if reach.is_alive() else None


def _join(reach: Reach, *, demo: bool, chat: bool) -> int:
    from openclaw.cli.conversation import converse
    from openclaw.cli.hosting import introduce, print_directions

    click.echo(f"A gateway already runs on this state directory, at {reach.target.http_url}: joining it.")
    if not introduce(reach):
        return 1
    if demo:
        return 0
    print_directions(reach)
    if not chat:
        return 0
    try:
        return reach.run(converse(reach, session_key="main"))
    except OpenClawError as error:
        output.print_error(error)
        return 1
