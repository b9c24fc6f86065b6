"""`openclaw config`: read, check and patch the configuration. It works with and without a running gateway."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, NotFound, OpenClawError
from openclaw.cli import output
from openclaw.cli.desk import Desk, print_issues

if TYPE_CHECKING:
    from openclaw.config.changes.ledger import Ledger
    from openclaw.config.changes.offline import Written
    from openclaw.config.changes.record import ChangeRecord, Wish
    from openclaw.config.load import Files, Loaded


TOLD_SETTINGS: Final = 4
TOLD_CHARS: Final = 60
"""Of an outcome and of a reason in the table; `--json` has all."""


@click.group()
def config() -> None:
    """Read, check and change the configuration; comments and order in the file survive.

    \b
    Examples:
      openclaw config get gateway.port
      openclaw config set agents.defaults.model anthropic/claude-sonnet-4-5
      openclaw config validate --strict
    """


@config.command()
@click.argument("path")
@output.json_option
def get(path: str, as_json: bool) -> None:
    """Print one setting as it is in force, secrets hidden; a part prints as JSON.

    \b
    Example:
      openclaw config get gateway.port
    """
    from openclaw.config.keypath import parse_path
    from openclaw.config.redaction.redact import redacted

    value: Any = redacted(Desk().loaded.config)
    for key in parse_path(path):
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            raise NotFound(f"There is no setting {path}.", hint="docs/settings.md lists every setting.") from None
    if as_json or not isinstance(value, str):
        output.emit_json(value)
    else:
        click.echo(value)


F = TypeVar("F", bound=Callable[..., Any])


def _why(command: F) -> F:
    """Add `--reason` and `--ticket` to a command."""
    ticket = click.option("--ticket", default="", help="Ticket that asks for it; kept in the record of the change.")
    return click.option("--reason", default="", help="Why; kept in the record of the change.")(ticket(command))


@config.command(name="set")
@click.argument("path")
@click.argument("value")
@click.option(
    "--json", "as_json", is_flag=True, help="VALUE must be JSON; otherwise what is no JSON5 is taken as text."
)
@_why
def set_(path: str, value: str, as_json: bool, reason: str, ticket: str) -> None:
    """Set one setting in the file; a running gateway takes it up by itself.

    \b
    Examples:
      openclaw config set gateway.port 9000
      openclaw config set agents.defaults.limits '{steps: 20}' --reason "loops are expensive"
    """
    from openclaw.config.redaction.redact import REFERENCE, is_secret_key

    given = _value(value, strict=as_json)
    write_setting(Desk(), path, given, reason=reason, ticket=ticket)
    if isinstance(given, str) and is_secret_key(path.rpartition(".")[2]) and given and not REFERENCE.fullmatch(given):
        click.echo(
            f"{output.mark('warning')}  {path} is in plain text there: openclaw secrets set {path} keeps it elsewhere"
        )


@config.command()
@click.argument("path")
@_why
@output.json_option
def unset(path: str, as_json: bool, reason: str, ticket: str) -> None:
    """Remove one setting from the file, so that its default is in force.

    \b
    Example:
      openclaw config unset gateway.port
    """
    from openclaw.config.changes.record import Wish
    from openclaw.config.writing.apply import unset_in

    wish = Wish(method="cli: config unset", reason=reason, ticket=ticket)
    change_file(Desk(), wish, lambda before: unset_in(before, path), f"{path} is back to its default", as_json=as_json)


@config.command()
@output.json_option
def show(as_json: bool) -> None:
    """Print the whole configuration as it is in force, secrets hidden.

    \b
    Example:
      openclaw config show --json
    """
    from openclaw.config.redaction.redact import redacted

    loaded = Desk().loaded
    if not as_json:
        click.echo(f"// {loaded.path} ({loaded.source})")
    output.emit_json(redacted(loaded.config))


@config.command()
@click.option("--strict", is_flag=True, help="Exit 1 on unknown keys and other warnings too.")
@output.json_option
def validate(strict: bool, as_json: bool) -> int:
    """Name every problem with its path and line. Exit 1 on errors, 78 when the gateway would refuse to start.

    \b
    Example:
      openclaw config validate --strict
    """
    from openclaw.config.refusal import refusals

    loaded = Desk().loaded
    refused = refusals(loaded)
    worst = {issue.severity for issue in loaded.issues}
    code = 78 if refused else int("error" in worst or (strict and bool(worst)))
    if as_json:
        found = {"valid": loaded.valid and not refused, "path": str(loaded.path), "exists": loaded.exists}
        output.emit_json(
            {**found, "issues": [each.as_dict() for each in loaded.issues], "refusals": [e.as_dict() for e in refused]}
        )
        return code
    print_issues(loaded)
    for error in refused:
        output.print_error(error)
    if not refused and not loaded.issues:
        click.echo(f"{output.paint('valid', 'green')}: {loaded.path}{'' if loaded.exists else ' (no file: defaults)'}")
    return code


@config.command()
@output.json_option
def file(as_json: bool) -> None:
    """Print the path of the configuration file; with --json whether it is there, and the files that it includes.

    \b
    Example:
      openclaw config file
    """
    desk = Desk()
    if as_json:
        loaded = desk.loaded
        included = [str(path) for path in loaded.included]
        output.emit_json({"path": str(loaded.path), "exists": loaded.exists, "included": included})
    else:
        click.echo(desk.paths.config_path)


@config.command()
@output.json_option
def schema(as_json: bool) -> None:
    """Print the JSON Schema of the configuration file; it is JSON with and without --json.

    \b
    Example:
      openclaw config schema > openclaw.schema.json
    """
    from openclaw.config.schema.describe import json_schema

    output.emit_json(json_schema())


@config.command()
@output.json_option
def env(as_json: bool) -> None:
    """List the variables that openclaw knows: whether each is set and where, never its value.

    \b
    Example:
      openclaw config env
    """
    from openclaw.config.env import DOCUMENTED_VARIABLES

    found = Desk().loaded.env
    rows = [(name, found.source(name), doc) for name, doc in DOCUMENTED_VARIABLES.items()]
    if as_json:
        output.emit_json([{"name": name, "set": source is not None, "source": source} for name, source, _ in rows])
    else:
        output.table(["variable", "set by", "what it does"], [(name, source or "-", doc) for name, source, doc in rows])


@config.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many of the latest.")
@output.json_option
def history(limit: int, as_json: bool) -> None:
    """List the changes of the configuration and the fixes: when (the id, in UTC), by whom, how, what, what came of it.

    It needs no gateway. What somebody did to the files by hand is there too, once a gateway or a command has seen it.

    \b
    Examples:
      openclaw config history
      openclaw config history --limit 1 --json
    """
    found = _ledger(Desk()).records()[:limit]
    if as_json:
        output.emit_json(found)
        return
    output.table(
        ["id", "by", "how", "what", "outcome", "reason"],
        [
            (
                each.id,
                each.owner,
                each.method,
                _what(each),
                _short(each.outcome),
                _short(f"{each.ticket} {each.reason}"),
            )
            for each in found
        ],
        "No change is recorded yet.",
    )
    for each in found:
        if ids := dict.fromkeys(one.id for one in each.doctor.new()) if each.doctor else {}:
            click.echo(f"{each.id}  doctor, new: {', '.join(ids)}")


@config.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B", default="")
@output.json_option
def diff(a: str, b: str, as_json: bool) -> None:
    """Show which settings differ, secrets hidden: what change A did, or from after A to after B.

    A and B are ids of `config history` (the beginning is enough), `last`, or `file` for the file as it is.

    \b
    Examples:
      openclaw config diff last
      openclaw config diff 20260301-1015 file
    """
    from openclaw.config.changes.record import setting_diffs

    desk = Desk()
    ledger = _ledger(desk)
    if b:
        old, new = _values_after(desk, ledger, a), _values_after(desk, ledger, b)
    else:
        record = ledger.get(a)
        old = _values(desk, ledger.files(record.before), f"before {record.id}")
        new = _values(desk, ledger.files(record.after), f"after {record.id}")
    found = setting_diffs(old, new)
    if as_json:
        output.emit_json(found)
        return
    for each in found:
        click.echo(f"{each.path}: {_shown(each.old)} → {_shown(each.new)}")
    if not found:
        click.echo("no difference")


@config.command()
@click.argument("change_id", metavar="ID")
@_why
@output.json_option
def rollback(change_id: str, as_json: bool, reason: str, ticket: str) -> None:
    """Put the file back as it was before change ID, byte for byte; that is a change of its own, and can be undone.

    \b
    Examples:
      openclaw config rollback last
      openclaw config rollback 20260301-101500-1a2b --reason "the new model is too slow"
    """
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.config.changes.offline import roll_back
    from openclaw.config.changes.record import Wish, by_user
    from openclaw.ops.doctor.summary import remarks

    desk = Desk()
    record = _ledger(desk).get(change_id)
    wish = by_user(Wish(method=f"cli: config rollback {record.id}", reason=reason, ticket=ticket), desk.env)
    made = roll_back(desk.paths, desk.env, SYSTEM_CLOCK, wish, record.id, desk.whole, remarks)
    _tell(desk, made, f"the configuration is as it was before {record.id}", (), as_json=as_json)
    if record.patches and not as_json:
        click.echo(f"That was a fix: what else it changed comes back by openclaw doctor undo {record.id}")


@config.command()
@_why
def edit(reason: str, ticket: str) -> None:
    """Open the file in $VISUAL or $EDITOR, check what was saved, write it and record the change.

    \b
    Example:
      EDITOR=nano openclaw config edit
    """
    from openclaw.config.changes.record import Wish
    from openclaw.config.writable import require_writable

    desk = Desk()
    require_writable(desk.env, desk.paths.config_path)
    started, suffix = desk.loaded, desk.paths.config_path.suffix
    text = started.raw or ("" if suffix in (".yaml", ".yml") else "{\n}\n")
    wish = Wish(method="cli: config edit", reason=reason, ticket=ticket)
    while True:
        saved = click.edit(text, extension=suffix)
        if saved is None:
            click.echo("Nothing was saved, nothing is changed.")
            return
        text = saved
        try:
            change_file(desk, wish, partial(_unless_changed, desk, text), "saved")
        except ConfigError as error:
            output.print_error(error)
            if not click.confirm("Edit it again?", default=True):
                raise
        else:
            return


def write_setting(desk: Desk, path: str, value: Any, *, reason: str = "", ticket: str = "") -> None:
    """Set one setting in the file, checked before it is written."""
    from openclaw.config.changes.record import Wish
    from openclaw.config.writing.apply import set_in

    wish = Wish(method="cli: config set", reason=reason, ticket=ticket)
    change_file(desk, wish, lambda before: set_in(before, path, value), f"{path} is set")


def _value(text: str, *, strict: bool) -> Any:
    import msgspec
    import pyjson5

    try:
        return msgspec.json.decode(text) if strict else pyjson5.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"VALUE is not JSON: {error}", hint="Leave out --json to give it as text.") from None
    except pyjson5.Json5Exception:
        return text


def change_file(desk: Desk, wish: Wish, rewrite: Callable[[Loaded], str], done: str, *, as_json: bool = False) -> None:
    """Make a change, record it, and say what is left to mend."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.config.changes.offline import change
    from openclaw.config.changes.record import by_user
    from openclaw.config.writing.apply import overriding
    from openclaw.ops.doctor.summary import remarks

    made = change(desk.paths, desk.env, SYSTEM_CLOCK, by_user(wish, desk.env), rewrite, desk.whole, remarks)
    over = overriding(made.before, [each.path for each in made.record.diff]) if made.record else ()
    _tell(desk, made, done, over, as_json=as_json)


def _tell(desk: Desk, made: Written, done: str, over: tuple[tuple[str, str], ...], *, as_json: bool) -> None:
    from openclaw.config.writing.apply import beaten

    record = made.record
    if as_json:
        output.emit_json({"changed": record is not None, "record": record, "overriding": dict(over)})
        return
    where = f"in {desk.paths.config_path}"
    click.echo(f"{done} {where} (change {record.id})" if record else f"{done} already {where}")
    if waiting := [planned.path for planned in record.plan if planned.reload == "process"] if record else []:
        click.echo(f"  takes effect at the gateway's next start: {', '.join(waiting)}")
    for path, file in over:
        click.echo(f"{output.mark('warning')}  {path}: {file} sets it too; the value {where} wins")
    for path, source in beaten(made.after, [each.path for each in record.diff]) if record else ():
        click.echo(f"{output.mark('warning')}  {path}: {source} sets it too, and wins")
    for one in record.doctor.new() if record and record.doctor else ():
        if not one.id.startswith("config."):  # an issue, which is told below with its line
            click.echo(f"Note: new: {one.id}: {one.seen}")
    print_issues(made.after)


def _unless_changed(desk: Desk, text: str, _: Loaded) -> str:
    """Return the text, unless the file is another one than the person began with."""
    from hashlib import sha256

    path = desk.paths.config_path
    held = path.read_bytes() if path.exists() else b""
    if sha256(held).hexdigest() != desk.loaded.file_hash:
        raise Conflict(f"{path} was changed by somebody else meanwhile, nothing was written.", hint="Edit it again.")
    return text


def _what(record: ChangeRecord) -> str:
    told = [one.patch for one in record.patches] or [each.path for each in record.diff]
    if not told:
        texts = record.before == record.after
        return "(other files)" if texts else "(text only)" if record.valid else "(cannot be read)"
    more = f", … ({len(told)}{'+' if record.more else ''})" if len(told) > TOLD_SETTINGS else ""
    return ", ".join(told[:TOLD_SETTINGS]) + more


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= TOLD_CHARS else f"{text[: TOLD_CHARS - 1]}…"


def _ledger(desk: Desk) -> Ledger:
    """Return the records, with what was changed by hand since the last of them."""
    import os
    from contextlib import suppress

    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.config.changes.book import Book, side_of
    from openclaw.config.changes.record import WRITTEN, Side
    from openclaw.ops.doctor.summary import remarks

    book = Book(desk.paths, SYSTEM_CLOCK, remarks)
    folder = book.ledger.folder
    is_ours = folder.is_dir() and folder.stat().st_uid == os.geteuid()  # else it is read and left alone
    with suppress(OSError, OpenClawError):
        if is_ours and book.is_behind():
            try:
                side: Side = side_of(desk.loaded)
            except ConfigError as error:
                side = error.message
            book.look(desk.env, side, WRITTEN)
    return book.ledger


def _values_after(desk: Desk, ledger: Ledger, name: str) -> dict[str, Any]:
    from openclaw.config.load import read_files

    if name == "file":
        return _values(desk, read_files(desk.paths.config_path), "now")
    record = ledger.get(name)
    return _values(desk, ledger.files(record.after), f"after {record.id}")


def _values(desk: Desk, files: Files, when: str) -> dict[str, Any]:
    from openclaw.config.load import load_files

    try:
        return load_files(files, desk.paths, desk.env).parsed
    except ConfigError as error:
        raise ConfigError(f"What the configuration says {when} cannot be read: {error.message}") from None


def _shown(value: Any) -> str:
    import msgspec

    return "(not set)" if value is msgspec.UNSET else msgspec.json.encode(value).decode()
