"""`openclaw doctor`: look, mend, take back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from openclaw.cli import output
from openclaw.cli.command.doctor_ways import connect, memory, net, proxy
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import waiting

if TYPE_CHECKING:
    from openclaw.config.changes.record import Applied
    from openclaw.ops.doctor.mend import Fix


class LookByDefault(click.Group):
    """`openclaw doctor`, `openclaw doctor --fix` and `openclaw doctor state` mean `openclaw doctor look …`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `look` when no subcommand is named."""
        if not ctx.resilient_parsing and (
            not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names)
        ):
            args = ["look", *args]
        return super().parse_args(ctx, args)


@click.group(cls=LookByDefault)
def doctor() -> None:
    """Look for what is wrong, say how to mend it, and mend what can be mended safely.

    Without a subcommand it looks: `openclaw doctor --json` is `openclaw doctor look --json`.

    \b
    Examples:
      openclaw doctor                      look; exit 1 when something is broken
      openclaw doctor --fix                mend, with an undo for each patch
      openclaw doctor connect              why a client does not get in
      openclaw doctor proxy https://chat.example.com
    """


@doctor.command()
@click.argument("checks", nargs=-1, metavar="[CHECK]...")
@click.option("--fix", "fix", is_flag=True, help="Apply the safe patches, after a snapshot and with an undo for each.")
@click.option("--dry-run", is_flag=True, help="Say what --fix would do and change nothing.")
@click.option("--deep", is_flag=True, help="Also ask model providers whether they answer, and compare the clock.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a report for a ticket; it holds no secret.")
@output.json_option
@gateway_options
def look(
    reach: Reach,
    checks: tuple[str, ...],
    fix: bool,
    dry_run: bool,
    deep: bool,
    as_markdown: bool,
    as_json: bool,
) -> int:
    """Run the checks, or those of the named groups. Exit 1 when something is broken.

    Groups: config, state, backup, disk, store, audit, token, devices, models, channels, network, exposure, service,
    gateway.

    \b
    Examples:
      openclaw doctor
      openclaw doctor token state          these groups only
      openclaw doctor --fix --dry-run      what would be changed
      openclaw doctor --json > report.json     free of secrets; paste it into a ticket
    """
    from openclaw import __version__
    from openclaw.cli import doctoring
    from openclaw.ops.doctor.mend import mend, plan
    from openclaw.ops.doctor.report import cleaned, markdown
    from openclaw.ops.doctor.table import chosen, examine

    chosen(checks)
    mended = None
    if dry_run:
        mended = plan(doctoring.look(reach, models=False, walls=False), checks)
    elif fix:
        mended = mend(partial(doctoring.look, reach, models=False, walls=False), checks)
    with waiting("looking"):
        scene = doctoring.look(
            reach, deep=deep, models=not checks or "models" in checks, walls=not checks or "exposure" in checks
        )
        findings = cleaned(examine(scene, checks), scene)
    broken = any(each.severity == "error" for each in findings)
    if as_json:
        found = {"ok": not broken, "findings": findings}
        output.emit_json(found if mended is None else {**found, "fix": mended})
    elif as_markdown:
        click.echo(markdown(findings, __version__), nl=False)
    else:
        if mended is not None:
            _print_fix(mended, dry_run=dry_run)
        for each in findings:
            click.echo(f"{output.mark(each.severity)}  {each.id}: {each.evidence}")
            if each.fix and each.severity != "ok":
                click.echo(f"      → {each.fix}{'  (or: openclaw doctor --fix)' if each.patch else ''}")
    return 1 if broken else 0


def _print_fix(fix: Fix, *, dry_run: bool) -> None:
    if not fix.patches:
        click.echo("Nothing to mend.\n")
        return
    for one in fix.patches:
        verb = {"applied": "mended", "planned": "would mend", "refused": "left alone"}[one.result]
        click.echo(f"{verb}: {one.patch}{f' ({one.why})' if one.why else ''}")
        for step in one.steps:
            click.echo(f"      {step}")
    if not dry_run:
        click.echo(f"To take it back: openclaw doctor undo {fix.id}")
    click.echo()


@doctor.command()
@click.argument("fix_id", required=False, metavar="[ID]")
@click.option("--patch", default="", help="Take back this patch of the fix only.")
@output.json_option
def undo(fix_id: str | None, patch: str, as_json: bool) -> None:
    """Take a fix back, byte for byte; without ID, list the fixes that are kept. `config history` has them too.

    A file that somebody has changed since is not overwritten: then nothing is put back.

    \b
    Examples:
      openclaw doctor undo
      openclaw doctor undo 20261120-101500-3fa2
      openclaw doctor undo 20261120-101500-3fa2 --patch private-files
    """
    from openclaw.cli import doctoring
    from openclaw.ops.doctor.mend import fixes
    from openclaw.ops.doctor.mend import undo as take_back

    reach = Reach()
    if fix_id is None:
        kept = fixes(reach.desk.paths)
        if as_json:
            output.emit_json({"fixes": kept})
        else:
            output.table(["id", "patches"], [(one.id, _names(one.patches)) for one in kept], "No fix is kept.")
        return
    done = take_back(partial(doctoring.look, reach, models=False, walls=False), fix_id, patch)
    if as_json:
        output.emit_json(done)
    else:
        click.echo(f"Put back: {_names(done.patches)}")


def _names(patches: Sequence[Applied]) -> str:
    return ", ".join(f"{one.patch} ({one.result})" for one in patches)


for _way in (connect, net, proxy, memory):
    doctor.add_command(_way)
