"""`openclaw policy`: what the doors go by, what is opened for a time, and verdicts asked beforehand."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from openclaw.cli import output
from openclaw.cli.command.policy_egress import egress, open_now
from openclaw.cli.desk import Desk
from openclaw.cli.layout import plain
from openclaw.cli.reach import Reach, gateway_options

if TYPE_CHECKING:
    from openclaw.config.load import Loaded
    from openclaw.config.schema import Config
    from openclaw.policy.posture import Row

MAX_TOKEN: Final = 65_536
MAX_KEYS: Final = 1_000_000


@click.group()
def policy() -> None:
    """Show what the doors go by, ask them beforehand, and open one for a time.

    \b
    Examples:
      openclaw policy show
      openclaw policy test egress https://example.com
      openclaw policy widen egress api.example.com --for 30m --ticket CHG-1 --why "import of the day"
    """


policy.add_command(egress)


@policy.command()
@output.json_option
def show(as_json: bool) -> None:
    """Print what holds now: each row is fit for production or for developers only, with the setting that makes it so.

    \b
    Example:
      openclaw policy show --json
    """
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.ops.doctor.checks.policy import open_widenings
    from openclaw.policy.posture import Row, posture

    desk = Desk()
    loaded = desk.loaded
    rows = [(row, _place(loaded, row.setting)) for row in posture(loaded.config)]
    for each in open_widenings(desk.paths.db_path, SYSTEM_CLOCK.now_ms()):
        until = f"until {_clock(each.ends_at_ms)} ({each.ticket})"
        value = f"{each.value}, {until}"
        rows.append((Row("open for a time", each.door, value, "developer", f"policy narrow {each.id}"), 0))
    if as_json:
        output.emit_json([{**_shown(row), "line": line} for row, line in rows])
        return
    output.table(
        ["about", "what", "is", "fit for", "by"],
        [(row.area, row.what, row.value, row.level, _by(row, line)) for row, line in rows],
    )


def _by(row: Row, line: int) -> str:
    if row.setting.startswith("policy narrow"):
        return row.setting
    return f"{row.setting} ({f'line {line}' if line else 'default'})"


def _place(loaded: Loaded, setting: str) -> int:
    """Return the line of the file that sets it, 0 when none does."""
    from openclaw.config.keypath import parse_path

    value: Any = loaded.parsed
    path = parse_path(setting)
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return 0
        value = value[key]
    return loaded.positions.at(path)[0]


@policy.command()
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another file; default: the last good.",
)
@output.json_option
def diff(against: Path | None, as_json: bool) -> int:
    """Print what the configuration changes for the doors. Exit 1 when something is looser than before.

    \b
    Examples:
      openclaw policy diff
      openclaw policy diff --against /etc/openclaw/reviewed.json5
    """
    from openclaw.base.errors import NotFound
    from openclaw.policy.loosening import changes_between

    desk = Desk()
    before = against or desk.paths.last_good
    if not before.exists():
        raise NotFound(
            f"there is nothing at {before} to compare with", hint="Start the gateway once, or say --against."
        )
    found = changes_between(Desk(before).loaded.config, desk.loaded.config)
    if as_json:
        output.emit_json(
            [{"path": each.path, "before": each.before, "after": each.after, "looser": each.looser} for each in found]
        )
    else:
        output.table(
            ["setting", "before", "after", ""],
            [(each.path, each.before, each.after, "looser" if each.looser else "") for each in found],
            "The doors go by the same as before.",
        )
    return 1 if any(each.looser for each in found) else 0


@policy.command()
@click.argument("door", type=click.Choice(["egress", "exec", "dm"]))
@click.argument("value")
@click.option("--for", "lasting", required=True, help="How long: 90s, 30m, 2h; at most a day.")
@click.option("--ticket", required=True, help="What allows it: the number of a change or an incident.")
@click.option("--why", required=True, help="Why it is needed.")
@output.json_option
@gateway_options
def widen(reach: Reach, door: str, value: str, lasting: str, ticket: str, why: str, as_json: bool) -> None:
    """Add one entry to a door's list for a time. It ends by itself, also when the gateway is gone.

    \b
    Examples:
      openclaw policy widen egress api.example.com --for 30m --ticket CHG-1 --why "import of the day"
      openclaw policy widen exec "git fetch" --for 10m --ticket INC-7 --why "repair"
      openclaw policy widen dm telegram:123 --for 2h --ticket CHG-2 --why "a guest"
    """
    from openclaw.base.errors import InvalidRequest
    from openclaw.cli.moment import duration_ms
    from openclaw.policy.widening import MAX_MS, MIN_MS

    for_ms = duration_ms("--for", lasting)
    if not MIN_MS <= for_ms <= MAX_MS:
        raise InvalidRequest(f"--for {lasting!r} is not between a second and a day", hint="For example 30m or 2h.")
    params = {"door": door, "value": value, "forMs": for_ms, "ticket": ticket, "why": why}
    found = reach.call("policy.widen", params)["widening"]
    if as_json:
        output.emit_json(found)
    else:
        click.echo(f"{found['id']}: {door} is open to {plain(found['value'])} until {_clock(found['endsAtMs'])}.")
        click.echo(f"     earlier: openclaw policy narrow {found['id']}")


@policy.command()
@click.argument("widening_id", metavar="ID")
@gateway_options
def narrow(reach: Reach, widening_id: str) -> None:
    """End a widening before its time.

    \b
    Example:
      openclaw policy narrow ID
    """
    found = reach.call("policy.narrow", {"id": widening_id})["widening"]
    click.echo(f"{found['id']}: {found['door']} is closed to {plain(found['value'])} again.")


@policy.command()
@output.json_option
@gateway_options
def widenings(reach: Reach, as_json: bool) -> None:
    """List what is open for a time.

    \b
    Example:
      openclaw policy widenings
    """
    _print_widenings(reach.call("policy.widenings"), "Nothing is open for a time.", as_json=as_json)


@policy.command()
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Rows at most.")
@output.json_option
@gateway_options
def history(reach: Reach, limit: int, as_json: bool) -> None:
    """List what was ever open for a time, the latest first. The ledger has more: openclaw audit query --kind policy.

    \b
    Example:
      openclaw policy history --limit 10
    """
    found = reach.call("policy.widenings", {"history": True, "limit": limit})
    _print_widenings(found, "Nothing was ever open for a time.", as_json=as_json)


def _print_widenings(found: dict[str, Any], empty: str, *, as_json: bool) -> None:
    if as_json:
        output.emit_json(found["widenings"])
        return
    rows = [
        (
            each["id"],
            each["door"],
            each["value"],
            _clock(each["startedAtMs"]),
            _clock(each.get("endedAtMs", each["endsAtMs"])),
            each.get("end") or "open",
            f"{each['ticket']}: {each['why']}",
            each["by"],
        )
        for each in found["widenings"]
    ]
    output.table(["id", "door", "what", "from", "until", "state", "why", "by"], rows, empty)


def _clock(at_ms: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _shown(row: Row) -> dict[str, Any]:
    return {"area": row.area, "what": row.what, "is": row.value, "level": row.level, "setting": row.setting}


@policy.group(invoke_without_command=True)
@click.option("--stdin", is_flag=True, help="Read one JSON object a line, answer one a line.")
@click.pass_context
def test(context: click.Context, stdin: bool) -> None:
    """Ask a door beforehand. No gateway is needed, and nothing is sent, run or opened.

    A kind that is named goes by the configuration and by what is open for a time; a line holds its own policy.

    \b
    Examples:
      openclaw policy test egress https://example.com
      openclaw policy test exec "git status"
      openclaw policy test --stdin < cases.jsonl
    """
    # Without a handler Python prints the bare name of an event: a door's answer says what is wrong.
    logging.getLogger("openclaw").addHandler(logging.NullHandler())
    if context.invoked_subcommand is not None:
        if stdin:
            raise click.UsageError("--stdin takes no kind: each line names its own.")
        return
    if not stdin:
        raise click.UsageError("Name a kind, or say --stdin.")
    from openclaw.policy.cases.table import answers, as_line, lines_of

    out = sys.stdout.buffer
    for answer in answers(lines_of(sys.stdin.buffer)):
        out.write(as_line(answer))
        out.flush()


def _ask(kind: str, line_of: Callable[[Config], dict[str, Any]], *, as_json: bool) -> int:
    """Print the verdict on one case. Exit 0 for allow, 1 for deny and ask."""
    from openclaw.policy.cases.table import case_of

    def case(config: Config) -> dict[str, Any]:
        return case_of(kind)({key: value for key, value in line_of(config).items() if value is not None})

    desk = Desk()
    answer = case(desk.loaded.config)
    wider = None if answer["verdict"] == "allow" else open_now(desk, kind)
    if wider is not None and (found := case(wider[0]))["verdict"] == "allow":
        answer = {**found, "rule": f"{kind}.widened", "reason": wider[1]}
    answer.pop("id", None)
    if as_json:
        output.emit_json(answer)
    else:
        word = output.paint(answer["verdict"], "green" if answer["verdict"] == "allow" else "red")
        click.echo(f"{word}  {answer['rule']}: {plain(answer['reason'])}")
    return 0 if answer["verdict"] == "allow" else 1


def _sections(config: Config, *names: str) -> dict[str, Any]:
    """Return sections of the configuration, as they stand in its file."""
    import msgspec

    from openclaw.base.secret import Secret

    shown = Secret.reveal  # a case is judged in this process and never printed
    return {name: msgspec.to_builtins(getattr(config, _attribute(name)), enc_hook=shown) for name in names}


def _attribute(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


@test.command(name="egress")
@click.argument("url")
@click.option("--class", "klass", help="What the request is for: tools, inference, artifacts …; default tools.")
@click.option("--agent", help="On whose behalf.")
@output.json_option
def egress_(url: str, klass: str | None, agent: str | None, as_json: bool) -> int:
    """May a request go there? Exit 1 when it may not.

    \b
    Example:
      openclaw policy test egress https://example.com/a
    """

    def line_of(config: Config) -> dict[str, Any]:
        found = _sections(config, "networkPolicy", "agents")
        narrower = {
            each["id"]: each["networkPolicy"] for each in found["agents"].get("list", ()) if "networkPolicy" in each
        }
        policy = {"networkPolicy": {**found["networkPolicy"], "agents": narrower}}
        return {"url": url, "class": klass, "agent": agent, "policy": policy}

    return _ask("egress", line_of, as_json=as_json)


@test.command(name="exec")
@click.argument("command")
@click.option("--cwd", type=click.Path(file_okay=False, path_type=Path), help="Where it would run; default: here.")
@click.option(
    "--workspace", type=click.Path(file_okay=False, path_type=Path), help="The agent's folder; default: --cwd."
)
@click.option("--agent", default="", help="Whose command; default: what holds for all agents.")
@output.json_option
def exec_(command: str, cwd: Path | None, workspace: Path | None, agent: str, as_json: bool) -> int:
    """May this shell text run without asking? Exit 1 when it may not.

    \b
    Example:
      openclaw policy test exec "git status"
    """
    where = str((cwd or workspace or Path.cwd()).absolute())
    line = {
        "command": command,
        "cwd": where,
        "workspace": str((workspace or Path(where)).absolute()),
        "agent": agent,
    }
    return _ask("exec", lambda config: {**line, "policy": _sections(config, "tools", "agents")}, as_json=as_json)


@test.command(name="file")
@click.argument("op", type=click.Choice(["read", "write", "append", "patch", "delete", "list", "mkdir", "rename_to"]))
@click.argument("path")
@click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The agent's folder; default: here.")
@output.json_option
def file_(op: str, path: str, root: Path | None, as_json: bool) -> int:
    """May a tool do this to a path of its folder? Exit 1 when it may not.

    \b
    Example:
      openclaw policy test file read ../secret --root .
    """
    line = {"op": op, "root": str((root or Path.cwd()).absolute()), "path": path}
    return _ask("file", lambda config: line, as_json=as_json)


@test.command(name="dm")
@click.argument("sender", metavar="CHANNEL:ID")
@click.option("--account", default="default", show_default=True, help="The account of the channel that is written to.")
@click.option("--group", help="The group it is written in; default: a direct message.")
@click.option("--mentioned", is_flag=True, help="The agent is mentioned.")
@output.json_option
def dm_(sender: str, account: str, group: str | None, mentioned: bool, as_json: bool) -> int:
    """May this sender talk to an agent? Who was let in by a code is not counted. Exit 1 when they may not.

    \b
    Examples:
      openclaw policy test dm telegram:123
      openclaw policy test dm telegram:123 --group -100200 --mentioned
    """
    channel, colon, own = sender.partition(":")
    if not (channel and colon and own):
        raise click.UsageError(f"{sender!r} is not CHANNEL:ID, e.g. telegram:123.")
    message = {
        "channel": channel,
        "account": account,
        "sender": own,
        "chat": {"type": "group", "id": group} if group else "direct",
        "mentioned": mentioned,
    }
    return _ask(
        "dm", lambda config: {"message": message, "policy": _sections(config, "dmPolicy", "channels")}, as_json=as_json
    )


@test.command(name="token")
@click.argument("file", type=click.File("r"))
@click.option(
    "--jwks",
    type=click.File("r"),
    help="The provider's keys (JWKS, or PEM of a load balancer), for a token that it signed.",
)
@output.json_option
def token_(file: TextIO, jwks: TextIO | None, as_json: bool) -> int:
    """Whom does the token in a file (- is standard input) let in? Exit 1 when it lets nobody in.

    \b
    Example:
      openclaw policy test token token.txt --jwks keys.json
    """
    line = {"token": file.read(MAX_TOKEN).strip(), "jwks": jwks.read(MAX_KEYS) if jwks else None}

    def line_of(config: Config) -> dict[str, Any]:
        gateway = _sections(config, "gateway")["gateway"]
        own = {name: gateway.get(name, {}) for name in ("auth", "roles") if name == "auth" or name in gateway}
        return {**line, "config": own}

    return _ask("token", line_of, as_json=as_json)
