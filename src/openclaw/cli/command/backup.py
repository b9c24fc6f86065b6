"""`openclaw backup`."""

from __future__ import annotations

import sys
from contextlib import ExitStack, nullcontext, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from openclaw.base.errors import InvalidRequest
from openclaw.base.secret import Secret
from openclaw.cli import output
from openclaw.cli.desk import Desk
from openclaw.cli.layout import plain
from openclaw.cli.terminal import confirm, waiting

if TYPE_CHECKING:
    from openclaw.ops.backup.desk import Backups
    from openclaw.ops.backup.manifest import Manifest
    from openclaw.ops.backup.unpack import Opened

PASSPHRASE_BYTES = 4_096
_PLACE = click.option(
    "--destination",
    "-d",
    "place",
    default="",
    help="Folder, s3://BUCKET/PREFIX or ssh://USER@HOST/FOLDER; else the setting.",
)
_PASSPHRASE = click.option(
    "--passphrase-file", type=click.File("rb"), help="File whose first line is the passphrase; - is stdin."
)
_SIGNER = click.option("--signer", default="", help="Id of the gateway that must have signed it.")
_WITHOUT = click.option(
    "--without", multiple=True, type=click.Choice(["workspace", "snapshots"]), help="Part to leave out or as it is."
)


@click.group()
def backup() -> None:
    """Everything that makes this gateway: taken while it runs, kept elsewhere, brought back whole.

    \b
    Examples:
      openclaw backup create                                     into <state>/backups
      openclaw backup create -d s3://my-backups/home --passphrase-file ~/.backup-passphrase
      openclaw backup restore latest                             with a way back: restore --undo
      openclaw backup schedule --every 1d --keep 30d             let the gateway make them
    """


@backup.command()
@_PLACE
@_PASSPHRASE
@click.option("--plain", "unencrypted", is_flag=True, help="Do not encrypt, though backup.passphrase is set.")
@_WITHOUT
@click.option("--snapshots", is_flag=True, help="Take the snapshots of earlier configurations too.")
@click.option("--keep", default="", help="Then delete older ones: an age (30d) or a number.")
@output.json_option
def create(
    place: str,
    passphrase_file: BinaryIO | None,
    unencrypted: bool,
    without: tuple[str, ...],
    snapshots: bool,
    keep: str,
    as_json: bool,
) -> None:
    """Make a backup, read it again, and keep it. The gateway may run.

    \b
    Examples:
      openclaw backup create --without workspace
      openclaw backup create -d /mnt/usb --keep 10 --json
    """
    from openclaw.ops.backup.desk import optional
    from openclaw.ops.backup.retention import check_keep

    if keep:
        check_keep(keep)
    backups = _backups()
    passphrase = None if unencrypted else _passphrase(passphrase_file) or backups.passphrase()
    parts = backups.parts(without=optional(without), snapshots=snapshots)
    with waiting("making the backup"):
        done = backups.create(parts=parts, passphrase=lambda: passphrase, place=place, keep=keep)
    made = done.made
    if as_json:
        output.emit_json(
            {
                "ok": True,
                "where": done.where,
                "bytes": made.size,
                "encrypted": passphrase is not None,
                "signer": made.signer,
                **_facts(made.manifest),
                "leftOut": made.left_out,
                "pruned": done.pruned,
                "warnings": made.warnings,
            }
        )
        return
    click.echo(f"{output.paint('made', 'green')}: {done.where} ({output.size(made.size)})")
    _print_facts(made.manifest, made.signer, encrypted=passphrase is not None)
    for name in done.pruned:
        click.echo(f"deleted: {name}")
    for warning in made.warnings:
        click.echo(f"{output.mark('warning')}  {warning}", err=True)


@backup.command()
@click.argument("archive", default="latest")
@_PLACE
@_PASSPHRASE
@_SIGNER
@output.json_option
def verify(archive: str, place: str, passphrase_file: BinaryIO | None, signer: str, as_json: bool) -> None:
    """Read a whole backup: signature, every hash, and the store's integrity. ARCHIVE: a file, a name, or `latest`.

    \b
    Examples:
      openclaw backup verify
      openclaw backup verify s3://my-backups/home/openclaw-backup-20270101T000000Z-0a1b2c.tar.gz.age --json
    """
    backups = _backups()
    with ExitStack() as stack:
        stack.enter_context(waiting("reading the backup"))
        path = _fetched(backups, archive, place, stack)
        opened = backups.verify(path, _passphrase(passphrase_file) or backups.settings.passphrase, signer=signer)
    own = opened.signer == backups.own_signer()
    if as_json:
        found = {"ok": True, "archive": archive, "encrypted": opened.encrypted, "signer": opened.signer}
        output.emit_json({**found, "own": own, **_facts(opened.manifest)})
        return
    click.echo(f"{output.paint('whole', 'green')}: {path.name}")
    _print_facts(opened.manifest, opened.signer, encrypted=opened.encrypted)
    _print_stranger(opened, own=own)


@backup.command("list")
@_PLACE
@output.json_option
def list_(place: str, as_json: bool) -> None:
    """List the backups that are kept, newest first.

    \b
    Examples:
      openclaw backup list
      openclaw backup list -d s3://my-backups/home --json
    """
    target = _backups().destination(place)
    found = target.list()
    if as_json:
        output.emit_json({"place": target.place, "backups": found})
    elif not found:
        click.echo(f"There is no backup in {target.place}.")
    else:
        now_ms = _now_ms()
        rows = [
            (each.name, output.ago(each.at_ms, now_ms), output.size(each.size), "yes" if each.encrypted else "no")
            for each in found
        ]
        output.table(["name", "made", "size", "encrypted"], rows)


@backup.command()
@click.argument("archive", required=False)
@click.option("--to", "target", type=click.Path(path_type=Path), help="Restore into this new or empty directory.")
@click.option("--at-start", is_flag=True, help="Check now, beside a running gateway; its next start puts it in place.")
@click.option("--undo", is_flag=True, help="Put back what the last restore replaced.")
@_PLACE
@_PASSPHRASE
@_SIGNER
@_WITHOUT
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@output.json_option
def restore(
    archive: str | None,
    target: Path | None,
    at_start: bool,
    undo: bool,
    place: str,
    passphrase_file: BinaryIO | None,
    signer: str,
    without: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Bring a backup back: in place of what is here (the gateway must be stopped), or --to another directory.

    All of it is checked before anything is touched; then all of it is put in place, or nothing. What was here is kept:
    --undo puts it back.

    \b
    Examples:
      openclaw backup restore latest
      openclaw backup restore openclaw-backup-20270101T000000Z-0a1b2c.tar.gz --to /srv/rehearsal
      openclaw backup restore latest --at-start && docker restart openclaw
      openclaw backup restore --undo
    """
    from openclaw.ops.backup.desk import optional
    from openclaw.ops.backup.restore import restore_at_start, restore_in_place, restore_to

    if undo:
        _undo(as_json=as_json)
        return
    if at_start and target is not None:
        raise click.UsageError("Either --to or --at-start.")
    if archive is None:
        raise click.UsageError("Name a backup (a file, a name from `openclaw backup list`, or latest), or --undo.")
    backups, desk = _backups(), Desk()
    if target is None and not yes:
        confirm(f"Replace the state in {desk.paths.state_dir} by {archive}?")
    now_ms = _now_ms()
    own = backups.own_signer()
    with ExitStack() as stack:
        stack.enter_context(waiting("bringing the backup back"))
        path = _fetched(backups, archive, place, stack)
        passphrase = _passphrase(passphrase_file) or backups.settings.passphrase
        left = optional(without)
        if at_start:
            done = restore_at_start(path, desk.paths.state_dir, passphrase, signer=signer, without=left)
        elif target is None:
            done = restore_in_place(path, desk.paths.state_dir, passphrase, now_ms=now_ms, signer=signer, without=left)
        else:
            done = restore_to(path, target, passphrase, signer=signer)
    config = done.opened.manifest.config
    if as_json:
        way_back = str(done.way_back) if done.way_back else None
        found = {"ok": True, "waits": at_start, "stateDir": str(done.state_dir), "wayBack": way_back}
        found["signer"] = done.opened.signer
        output.emit_json({**found, "own": done.opened.signer == own, **_facts(done.opened.manifest)})
        return
    click.echo(f"{output.paint('checked' if at_start else 'restored', 'green')}: {done.state_dir}")
    _print_facts(done.opened.manifest, done.opened.signer, encrypted=done.opened.encrypted)
    _print_stranger(done.opened, own=done.opened.signer == own)
    if at_start:
        click.echo("The gateway's next start puts it in place; `openclaw backup restore --undo` takes that back.")
    elif done.way_back is not None:
        click.echo(f"What was here is in {done.way_back}; `openclaw backup restore --undo` puts it back.")
    else:
        named = f" OPENCLAW_CONFIG_PATH={done.state_dir / config}" if "/" in config else ""
        click.echo(f"Start it: OPENCLAW_STATE_DIR={done.state_dir}{named} openclaw gateway")


@backup.command()
@click.option("--keep", default="", help="An age (30d; h, d, w, m, y) or a number; else the setting backup.keep.")
@click.option("--dry-run", is_flag=True, help="Say what would go.")
@_PLACE
@output.json_option
def prune(keep: str, dry_run: bool, place: str, as_json: bool) -> None:
    """Delete older backups. The newest stays, whatever its age.

    \b
    Examples:
      openclaw backup prune --keep 30d --dry-run
      openclaw backup prune --keep 14
    """
    backups = _backups()
    keep = keep or backups.settings.keep
    if not keep:
        raise click.UsageError("Say what to keep: --keep 30d, or a number.")
    target = backups.destination(place)
    names = backups.prune(target, keep, only_look=dry_run)
    if as_json:
        output.emit_json({"ok": True, "place": target.place, "keep": keep, "dryRun": dry_run, "deleted": names})
        return
    for name in names:
        click.echo(f"{'would delete' if dry_run else 'deleted'}: {name}")
    if not names:
        click.echo(f"Nothing in {target.place} is older than what is kept ({keep}).")


@backup.command()
@click.option("--every", help="How often, e.g. 12h or 1d.")
@click.option("--cron", help="When, as a cron expression in UTC, e.g. '0 3 * * *'.")
@click.option("--destination", "-d", "place", help="Folder, s3://BUCKET/PREFIX or ssh://USER@HOST/FOLDER.")
@click.option("--keep", help="An age (30d) or a number.")
@click.option("--off", is_flag=True, help="Make no more by itself.")
@output.json_option
def schedule(
    every: str | None, cron: str | None, place: str | None, keep: str | None, off: bool, as_json: bool
) -> None:
    """Show when the gateway makes backups and how the last went; with options, set it.

    \b
    Examples:
      openclaw backup schedule
      openclaw backup schedule --cron '0 3 * * *' -d s3://my-backups/home --keep 30d
      openclaw backup schedule --off
    """
    from openclaw.cli.command.config import write_setting

    if every and cron:
        raise click.UsageError("Either --every or --cron.")
    wanted = {"backup.destination": place, "backup.keep": keep}
    if every or cron or off:
        wanted |= {"backup.every": every or "", "backup.cron": cron or ""}
    _check_schedule(every, cron)
    for path, value in wanted.items():
        if value is not None:
            with redirect_stdout(sys.stderr) if as_json else nullcontext():
                write_setting(Desk(), path, value)
    _show_schedule(as_json=as_json)


def _check_schedule(every: str | None, cron: str | None) -> None:
    from openclaw.automation.pulse import every_ms
    from openclaw.automation.schedule import Cron, check

    if every and not every_ms(every):
        raise InvalidRequest(f"--every {every[:40]!r} is no interval", hint="For example: --every 12h")
    if cron:
        check(Cron(cron))


def _show_schedule(*, as_json: bool) -> None:
    from openclaw.ops.backup.due import due_ms, is_scheduled
    from openclaw.ops.backup.runs import past, read_runs

    backups, desk = _backups(), Desk()
    settings, runs, now_ms = backups.settings, read_runs(desk.paths.state_dir), _now_ms()
    due = due_ms(settings, past(runs, now_ms), now_ms)
    if as_json:
        output.emit_json(
            {
                "scheduled": is_scheduled(settings),
                "every": settings.every,
                "cron": settings.cron,
                "destination": backups.destination().place,
                "keep": settings.keep,
                "encrypted": settings.passphrase is not None,
                "nextAtMs": due,
                "runs": runs,
            }
        )
        return
    when = None if due is None else "as soon as the gateway runs" if due <= now_ms else _utc(due)
    output.fields(
        {
            "scheduled": settings.every or settings.cron or "no: openclaw backup schedule --every 1d",
            "next": when,
            "destination": backups.destination().place,
            "keep": settings.keep or "all",
            "encrypted": "yes" if settings.passphrase is not None else "no: set backup.passphrase",
        }
    )
    if runs:
        click.echo()
        rows = [
            (
                output.ago(run.at_ms, now_ms),
                "ok" if run.ok else "failed",
                output.size(run.size),
                run.where or run.error,
            )
            for run in runs[-5:][::-1]
        ]
        output.table(["made", "outcome", "size", "where, or why not"], rows)


def _undo(*, as_json: bool) -> None:
    from openclaw.ops.backup.restore import drop_waiting, undo

    state_dir = Desk().paths.state_dir
    if drop_waiting(state_dir):
        if as_json:
            output.emit_json({"ok": True, "stateDir": str(state_dir), "wayBack": None})
        else:
            click.echo("The restore that waited for the gateway's next start is dropped; nothing had changed.")
        return
    kept = undo(state_dir, now_ms=_now_ms())
    if as_json:
        output.emit_json({"ok": True, "stateDir": str(state_dir), "wayBack": str(kept)})
    else:
        click.echo(f"{output.paint('undone', 'green')}: {state_dir} is as it was before the restore.")
        click.echo(f"What the restore had put there is in {kept}; --undo again puts it back.")


def _backups() -> Backups:
    from openclaw import __version__
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.ops.backup.desk import Backups

    desk = Desk()
    return Backups(desk.paths, lambda: desk.loaded, SYSTEM_CLOCK, __version__)


def _passphrase(file: BinaryIO | None) -> Secret | None:
    if file is None:
        return None
    raw = file.read(PASSPHRASE_BYTES + 1)
    line = raw.partition(b"\n")[0].removesuffix(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or len(raw) > PASSPHRASE_BYTES:
        raise InvalidRequest(
            "the passphrase file holds no passphrase", hint="Its first line is the passphrase, in UTF-8."
        )
    return Secret(text)


def _fetched(backups: Backups, archive: str, place: str, stack: ExitStack) -> Path:
    """Return a file of the archive that an argument names; one from elsewhere is gone after the block."""
    from openclaw.ops.backup.create import aside

    found = backups.find(archive, place)
    if isinstance(found, Path):
        return found
    target, kept = found
    path = stack.enter_context(aside(Desk().paths.state_dir)) / kept.name
    target.fetch(kept.name, path)
    return path


def _facts(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "schema": manifest.schema,
        "createdAtMs": manifest.created_at_ms,
        "host": manifest.host,
        "parts": manifest.parts,
        "files": len(manifest.files),
        "unpackedBytes": manifest.total,
    }


def _print_facts(manifest: Manifest, signer: str, *, encrypted: bool) -> None:
    output.fields(
        {
            "made": f"{_utc(manifest.created_at_ms)} on {plain(manifest.host)}",
            "by": f"openclaw {plain(manifest.version)}, gateway {signer[:16]}",
            "holds": f"{', '.join(manifest.parts)}: {len(manifest.files)} files, {output.size(manifest.total)}",
            "encrypted": "yes" if encrypted else "no",
        }
    )


def _print_stranger(opened: Opened, *, own: bool) -> None:
    if not own:
        click.echo(f"{output.mark('info')}  Another gateway signed it ({opened.signer}). To insist on it: --signer ID")


def _now_ms() -> int:
    from openclaw.base.clock import SYSTEM_CLOCK

    return SYSTEM_CLOCK.now_ms()


def _utc(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
