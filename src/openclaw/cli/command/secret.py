"""`openclaw secrets`: where the configuration's secrets come from, never what they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.cli import output
from openclaw.cli.command.config import change_file
from openclaw.cli.command.secret_rotate import rotate
from openclaw.cli.desk import Desk
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import is_terminal, read_stdin

MAX_INPUT_CHARS = 65_536
ASK_S = 2.0
OWN = {
    "gateway.auth.token": "OPENCLAW_GATEWAY_TOKEN",
    "gateway.auth.password": "OPENCLAW_GATEWAY_PASSWORD",
    "backup.passphrase": "OPENCLAW_BACKUP_PASSPHRASE",
}
"""The variables that stand for a setting by themselves."""


@click.group()
def secrets() -> None:
    """Show, store and check the secrets that the configuration names.

    \b
    Examples:
      openclaw secrets list
      echo "$KEY" | openclaw secrets set models.providers.openai.apiKey
      openclaw secrets rotate models.providers.openai.apiKey < new-key.txt
      openclaw secrets audit
      openclaw secrets reload
    """


@secrets.command(name="list")
@output.json_option
def list_(as_json: bool) -> None:
    """List every place for a secret: where it comes from, what else uses it, and whether it has a value.

    A running gateway says when it had the value last.

    \b
    Examples:
      openclaw secrets list
      openclaw secrets list --json
    """
    import msgspec

    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.secrets.audit import places

    desk = Desk()
    found, resolved_ms = places(desk.loaded), _resolved_ms(desk)
    if as_json:
        told = ({**msgspec.to_builtins(place), "resolvedAtMs": resolved_ms.get(place.path, 0)} for place in found)
        output.emit_json(list(told))
        return
    if not found:
        click.echo("The configuration holds no secret and no reference to one.")
        return
    now_ms = SYSTEM_CLOCK.now_ms()
    rows = []
    for each in found:
        others = ", ".join(path for path in each.used_by if path != each.path)
        at_ms = resolved_ms.get(each.path, 0)
        age = output.ago(at_ms, now_ms) if at_ms else ""
        rows.append((each.path, each.source, each.provider, each.id, others, age, each.problem or "resolved"))
    output.table(["setting", "source", "provider", "id", "also used by", "last resolved", "state"], rows)


def _resolved_ms(desk: Desk) -> dict[str, int]:
    """Return when the running gateway had each secret last (Unix ms), by setting; nothing when there is none."""
    from openclaw.base.errors import OpenClawError

    if desk.loaded.config.gateway.mode == "remote" or not desk.loaded.references:
        return {}
    try:
        answer = Reach(desk, timeout_s=ASK_S).call("secrets.status")
    except OpenClawError:
        return {}
    return {each["path"]: each["resolvedAtMs"] for each in answer["secrets"]}


@secrets.command(name="set")
@click.argument("path")
@click.option(
    "--to",
    type=click.Choice(["file", "env"]),
    default="file",
    show_default=True,
    help="Keep it in the state directory's secrets.json, or in its .env.",
)
@click.option("--id", "name", default="", help="Name to keep it under; default: the setting's path.")
def set_(path: str, to: str, name: str) -> None:
    """Store a secret, read from stdin, for its owner alone, and have the setting PATH refer to it.

    \b
    Examples:
      openclaw secrets set hooks.token < token.txt
      openclaw secrets set models.providers.openai.apiKey --to env --id OPENAI_KEY
      openclaw gateway token show | openclaw secrets set gateway.auth.token --to env
    """
    from openclaw.config.changes.record import Wish
    from openclaw.config.writing.apply import set_in

    desk = Desk()
    secret = asked_for(path)
    name = name or (_variable(path) if to == "env" else path)
    reference = reference_to(desk, to, name)
    text = set_in(desk.loaded, path, reference)
    with stored(desk, to, name, secret) as store:
        _check_place(desk, text, path, reference)
        wish = Wish(method="cli: secrets set")
        change_file(
            desk, wish, lambda before: set_in(before, path, reference), f"{path} refers to {name} of {store.name}"
        )


@contextmanager
def stored(desk: Desk, to: str, name: str, secret: Secret) -> Iterator[Path]:
    """Keep a secret in the file of that kind, for its owner alone, and yield the file; a failure takes it out again."""
    from openclaw.secrets.provider import STORE
    from openclaw.secrets.store import put_back, put_member, put_variable
    from openclaw.telemetry.redact import REDACTOR

    REDACTOR.add(secret)
    store = desk.paths.env_file if to == "env" else desk.paths.state_dir / STORE
    old = (put_variable if to == "env" else put_member)(store, name, secret)
    try:
        desk.forget_env()
        yield store
    except BaseException:
        put_back(store, old)
        raise


@secrets.command()
@output.json_option
def audit(as_json: bool) -> int:
    """Find secrets in plain text, open to others, without a value, used twice or not at all. Exit 1 on any.

    \b
    Examples:
      openclaw secrets audit
      openclaw secrets audit --json
    """
    import msgspec

    from openclaw.secrets.audit import findings

    desk = Desk()
    found = findings(desk.loaded, desk.paths)
    if as_json:
        output.emit_json({"ok": not found, "findings": [msgspec.to_builtins(each) for each in found]})
    elif not found:
        click.echo(f"{output.mark('ok')}  nothing to mend")
    for each in () if as_json else found:
        click.echo(f"{output.mark('warning')}  {each.id}  {each.path}: {each.message}")
        click.echo(f"      {each.hint}")
    return int(bool(found))


@secrets.command()
@gateway_options
@output.json_option
def reload(reach: Reach, as_json: bool) -> int:
    """Have the running gateway ask for every secret again. Exit 1 when one has no value, or an old one.

    \b
    Examples:
      openclaw secrets reload
    """
    answer: dict[str, Any] = reach.call("secrets.reload")
    count = int(answer.get("warningCount", 0))
    if as_json:
        output.emit_json(answer)
    elif count:
        click.echo(f"{output.mark('warning')}  {count} without a value, or with an old one; see openclaw secrets list")
    else:
        click.echo(f"{output.mark('ok')}  every secret has been read again")
    return int(count > 0)


def asked_for(path: str) -> Secret:
    """Read the secret from stdin, or ask for it where a person sits."""
    if is_terminal(sys.stdin):
        text = click.prompt(f"Secret for {path}", hide_input=True, confirmation_prompt=True)
    else:
        text = read_stdin(4 * MAX_INPUT_CHARS).removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise InvalidRequest("no secret was given", hint=f"Send it on stdin: openclaw secrets set {path} < FILE")
    if len(text) > MAX_INPUT_CHARS:
        raise InvalidRequest(f"the secret is longer than {MAX_INPUT_CHARS} characters")
    return Secret(text)


def _variable(path: str) -> str:
    if path in OWN:
        return OWN[path]
    return "".join(char.upper() if char.isascii() and char.isalnum() else "_" for char in path).strip("_")


def reference_to(desk: Desk, to: str, name: str) -> dict[str, str] | str:
    """Return what the setting is to say, whatever the configuration's default providers are."""
    from openclaw.secrets import provider

    return provider.reference_to("env" if to == "env" else "file", name, desk.loaded.config.secrets)


def _check_place(desk: Desk, text: str, path: str, reference: dict[str, str] | str) -> None:
    from openclaw.config.keypath import format_path, parse_path
    from openclaw.secrets.audit import reference_at

    place, after = format_path(parse_path(path)), desk.read(text)
    reads = any(placed.path == place for placed in after.references)
    # A variable is put in anywhere; an object that refers to a secret only where a secret is meant.
    if not (reads or (isinstance(reference, str) and reference_at(after, place) is not None)):
        raise InvalidRequest(
            f"{path} is not a place for a secret", hint="docs/settings.md says which settings take a reference."
        )


secrets.add_command(rotate)
