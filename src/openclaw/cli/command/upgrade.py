"""`openclaw upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from openclaw.cli import output
from openclaw.cli.desk import Desk

if TYPE_CHECKING:
    from openclaw.ops.upgrade import Report


@click.command()
@click.option("--check", is_flag=True, required=True, help="Rehearse on copies; this is all that there is.")
@output.json_option
def upgrade(check: bool, as_json: bool) -> int:
    """Say what starting this version would do here: configuration, store, deprecations. Nothing is changed.

    The program itself is upgraded by what installed it. Exit 1 when this version would not start well.

    \b
    Examples:
      pip install -U openclaw-gateway && openclaw upgrade --check && openclaw gateway restart
      openclaw upgrade --check --json
    """
    from openclaw.ops import upgrade as ops

    desk = Desk()
    report = ops.check(desk.loaded, desk.paths.db_path)
    if as_json:
        output.emit_json(report)
    else:
        _print(report)
    return 0 if report.ok else 1


def _print(report: Report) -> None:
    from openclaw import __version__

    click.echo(f"openclaw {__version__} on {report.config}")
    for refusal in report.refusals:
        click.echo(f"{output.mark('error')}  config: it would not start: {refusal}")
    for issue in report.issues:
        click.echo(f"{output.mark(issue.severity)}  config: {issue}")
    if not report.refusals and not report.issues:
        click.echo(f"{output.mark('ok')}  config: nothing is wrong with it")
    _print_store(report)
    for old in report.deprecated:
        click.echo(f"{output.mark('warning')}  deprecated since {old.since}: {old.what}; use {old.instead}")
        click.echo(f"      it goes in {old.until} at the earliest")


def _print_store(report: Report) -> None:
    store = report.store
    if store is None:
        click.echo(f"{output.mark('error')}  store: {report.store_problem}")
        return
    for problem in store.problems:
        click.echo(f"{output.mark('error')}  store: {problem}")
    if not store.found:
        click.echo(f"{output.mark('ok')}  store: none yet; it will have schema {store.known}")
    elif not store.steps:
        click.echo(f"{output.mark('ok')}  store: schema {store.found}, nothing to upgrade")
    else:
        back = (
            "an older openclaw can use it afterwards"
            if store.older_ok
            else "an older openclaw cannot use it afterwards"
        )
        click.echo(
            f"{output.mark('ok' if store.older_ok else 'warning')}  store: schema {store.found} becomes {store.known} "
            f"(rehearsed on a copy of {store.bytes:,} bytes); a snapshot is taken first; {back}"
        )
