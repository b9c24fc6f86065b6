"""`openclaw audit`: the ledger of what doors decided and operators did, read from the file, gateway or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.cli import output
from openclaw.cli.desk import Desk, run
from openclaw.cli.layout import plain

if TYPE_CHECKING:
    from openclaw.base.audit import Head
    from openclaw.ops.audit_export import Exported
    from openclaw.store.audit import Row, Verification, Wanted

F = TypeVar("F", bound=Callable[..., Any])

KINDS = (
    *("identity", "pairing", "config", "policy", "approval", "tool", "exec", "egress", "file", "content"),
    *("spend", "delivery", "dm", "node", "skill", "run", "admin", "ledger"),
)
ANSWERS = ("allow", "deny", "ask")
POLL_S = 0.5


@click.group()
def audit() -> None:
    """Read and check the audit ledger: who did what by which rule, in a chain that shows every change.

    \b
    Examples:
      openclaw audit verify
      openclaw audit tail --follow
      openclaw audit query --kind egress --answer deny --since 2h
    """


def _filters(command: F) -> F:
    for option in reversed(
        (
            click.option(
                "--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this kind; may be repeated."
            ),
            click.option("--answer", "answers", multiple=True, type=click.Choice(ANSWERS), help="Only this verdict."),
            click.option("--agent", default="", help="Only what this agent did."),
            click.option("--session", default="", help="Only this session key."),
            click.option("--run", "run_id", default="", help="Only this run."),
            click.option("--principal", default="", help="Only what this principal did."),
            click.option("--text", default="", help="Only rows with this in their action, target or rule."),
            click.option("--since", default="", help="From then on: 15m, 2h, 1d, or 2026-02-20T12:00."),
            click.option("--before", default="", help="Up to then."),
        )
    ):
        command = option(command)
    return command


@audit.command()
@click.option("--head", "known", multiple=True, metavar="SEQ:HASH", help="A head that was kept elsewhere.")
@output.json_option
def verify(known: tuple[str, ...], as_json: bool) -> int:
    """Check every row against the one before it, and against the heads in the log. Exit 1 when the chain is broken.

    Keep the head that is printed somewhere else: with it a later check shows that nothing before was rewritten.

    \b
    Examples:
      openclaw audit verify --json
      openclaw audit verify --head SEQ:HASH
    """
    from openclaw.ops.audit_heads import heads_in
    from openclaw.store.audit import in_file
    from openclaw.store.audit import verify as check

    heads = heads_in(Desk().paths.logs_dir)
    found = in_file(_file(), partial(check, heads=[*heads, *map(_head, known)]))
    if as_json:
        output.emit_json({"ok": not found.problem, "headsInLog": len(heads), **_verification(found)})
    elif found.problem:
        click.echo(f"{output.mark('error')} The chain is broken: {found.problem}.")
        click.echo("  What to do: keep this store as evidence, restore a backup, and ask who could write the file.")
    else:
        click.echo(f"{output.mark('ok')} {output.counted(found.rows, 'row')} up to {found.head.seq}, and none changed.")
        click.echo(f"     head {found.head.seq}:{found.head.hash}")
    return 1 if found.problem else 0


@audit.command()
@_filters
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Rows at most.")
@output.json_option
def query(as_json: bool, limit: int, **filters: Any) -> None:
    """Print rows that match, the last first.

    \b
    Examples:
      openclaw audit query --answer deny --since 1d
      openclaw audit query --kind exec --agent main --json
    """
    from openclaw.ops.audit_export import shown
    from openclaw.store.audit import in_file
    from openclaw.store.audit import query as look

    wanted = _wanted(limit=limit, **filters)
    rows = in_file(_file(), partial(look, wanted=wanted))
    if as_json:
        output.emit_json([shown(row) for row in rows])
    elif rows:
        output.table(["#", "time", "kind", "verdict", "who", "what", "rule"], [_line(row) for row in rows])
    else:
        click.echo("No row matches.")


@audit.command()
@_filters
@click.option("--follow", "-f", is_flag=True, help="Go on printing rows as they are written.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Rows to begin with.")
@output.json_option
def tail(as_json: bool, limit: int, follow: bool, **filters: Any) -> None:
    """Print the last rows, oldest first.

    \b
    Examples:
      openclaw audit tail
      openclaw audit tail --follow --kind approval --json
    """
    run(_tail(_wanted(limit=limit, **filters), follow=follow, as_json=as_json))


@audit.command()
@_filters
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="A new file; else standard output.")
@click.option("--to", "place", default="", help="s3://BUCKET/PREFIX, ssh://USER@HOST/FOLDER, or an OTLP logs URL.")
@click.option("--after", "after_seq", type=click.IntRange(0), default=0, help="Only rows behind this number.")
def export(out: Path | None, place: str, **filters: Any) -> None:
    """Write rows as JSON lines, oldest first, each with its number and hash; or send them elsewhere.

    A collector of OpenTelemetry gets them as logs (OTLP over HTTP, JSON), with the headers that
    OTEL_EXPORTER_OTLP_HEADERS names. The last number is printed: `--after` goes on from there.

    \b
    Examples:
      openclaw audit export > audit.jsonl
      openclaw audit export --since 30d --out audit.jsonl
      openclaw audit export --to s3://my-audit/home --after 4200
      openclaw audit export --to https://collector.example:4318/v1/logs
    """
    import msgspec

    from openclaw.ops.audit_export import shown

    if out is not None and place:
        raise click.UsageError("Say --out or --to, not both.")
    rows = _pages(_wanted(last_first=False, limit=1000, **filters))
    if place:
        sent = _sent(place, rows)
        click.echo(f"{output.counted(sent.rows, 'row')} {'are' if sent.rows != 1 else 'is'} in {sent.where}.")
        if sent.rows:
            click.echo(f"     go on with: --after {sent.last}")
        return
    lines = (msgspec.json.encode(shown(row)) for row in rows)
    if out is None:
        for line in lines:
            click.echo(line)
        return
    click.echo(f"{output.counted(_written(out, lines), 'row')} written to {out}.")


def _written(out: Path, lines: Iterator[bytes]) -> int:
    """Write a new file, whole or not at all; return how many lines. Raises: Conflict, NotFound."""
    first = next(lines, None)  # there is something to read before there is something to write to
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Conflict(f"there is already something at {out}", hint="Name a new file: none is overwritten.") from None
    except FileNotFoundError:
        raise NotFound(f"there is no folder {out.parent}", hint="Make it first, or name another file.") from None
    count = 0
    try:
        with os.fdopen(descriptor, "wb") as file:
            for count, line in enumerate(chain(() if first is None else (first,), lines), 1):  # noqa: B007
                file.write(line + b"\n")
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    return count


def _sent(place: str, rows: Iterator[Row]) -> Exported:
    """Send rows to a collector or into a destination of backups."""
    import platform
    from tempfile import TemporaryDirectory

    from openclaw import __version__
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.net.http import HttpClient
    from openclaw.net.onward import onward
    from openclaw.ops.audit_export import HEADERS_VARIABLE, Exported, headers_of, send_otlp, write_lines
    from openclaw.ops.backup.desk import Backups

    desk = Desk()
    if place.startswith(("http://", "https://")):
        carrier = onward(desk.loaded)
        headers = headers_of(desk.env.get(HEADERS_VARIABLE) or "")

        async def send() -> Exported:
            async with HttpClient(user_agent=f"openclaw/{__version__}", carrier=carrier) as http:
                return await send_otlp(http, place, headers, rows, platform.node())

        return run(send())
    if "://" in place and not place.startswith(("s3://", "ssh://")):
        raise InvalidRequest(
            f"rows cannot be sent to {place[:80]!r}",
            hint="Write s3://…, ssh://…, or the https:// address of a collector.",
        )
    target = Backups(desk.paths, lambda: desk.loaded, SYSTEM_CLOCK, __version__).destination(place)
    with TemporaryDirectory(prefix="openclaw-audit-") as folder:
        written = write_lines(rows, Path(folder))
        if written is None:
            return Exported(0, 0, target.place)
        file, count, last = written
        return Exported(count, last, target.put(file))


async def _tail(wanted: Wanted, *, follow: bool, as_json: bool) -> None:
    import msgspec

    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.ops.audit_export import shown
    from openclaw.store.audit import in_file, query

    path = _file()
    rows = in_file(path, partial(query, wanted=wanted))[::-1]
    last = wanted.after_seq
    while True:
        for row in rows:
            last = row.seq
            line = msgspec.json.encode(shown(row)).decode() if as_json else plain("  ".join(map(str, _line(row))))
            click.echo(line)
        if not follow:
            return
        await SYSTEM_CLOCK.sleep(POLL_S)
        news = msgspec.structs.replace(wanted, after_seq=last, last_first=False, limit=1000)
        rows = in_file(path, partial(query, wanted=news))


def _pages(wanted: Wanted) -> Iterator[Row]:
    import msgspec

    from openclaw.store.audit import in_file, query

    path = _file()
    while rows := in_file(path, partial(query, wanted=wanted)):
        yield from rows
        wanted = msgspec.structs.replace(wanted, after_seq=rows[-1].seq)


def _head(text: str) -> Head:
    from openclaw.base.audit import Head

    seq, _, hash_ = text.partition(":")
    if not seq.isdigit() or len(hash_) != 64:
        raise click.UsageError(f"--head is SEQ:HASH as `audit verify` prints them, not {text!r}.")
    return Head(int(seq), hash_.lower())


def _file() -> Path:
    from openclaw.store.audit import in_file, is_kept

    path = Desk().paths.db_path
    if not path.exists():
        raise NotFound(f"there is no store at {path}", hint="Start the gateway once, or set OPENCLAW_STATE_DIR.")
    if not in_file(path, is_kept):
        hint = "Start the gateway once. If there was a ledger, this store is another: restore a backup."
        raise NotFound(f"the store at {path} has no ledger", hint=hint)
    return path


def _wanted(*, run_id: str, principal: str, since: str, before: str, **filters: Any) -> Wanted:
    from openclaw.base.ids import OwnerId
    from openclaw.cli.moment import moment_ms
    from openclaw.store.audit import Wanted

    return Wanted(
        run=run_id,
        owner=OwnerId(principal) if principal else None,
        since_ms=moment_ms("--since", since) if since else 0,
        before_ms=moment_ms("--before", before) if before else 0,
        **filters,
    )


def _verification(found: Verification) -> dict[str, Any]:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(found)
    return shown


def _line(row: Row) -> tuple[object, ...]:
    entry = row.entry
    when = datetime.fromtimestamp(entry.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    what = f"{entry.action} {entry.target}".strip()
    who = entry.owner + (f" ({entry.method})" if entry.method else "")
    return row.seq, when, entry.kind, entry.answer or "-", who, what, entry.rule
