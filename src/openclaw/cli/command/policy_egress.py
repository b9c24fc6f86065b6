"""`openclaw policy egress`: may a request go there, and what was asked for against what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from openclaw.cli import output
from openclaw.cli.desk import Desk
from openclaw.cli.layout import plain

if TYPE_CHECKING:
    from openclaw.base.audit import Entry
    from openclaw.config.schema import Config
    from openclaw.policy.egress.observed import Observed

PURPOSES = ("tools", "inference", "channels", "artifacts", "telemetry", "internal")


def open_now(desk: Desk, door: str) -> tuple[Config, str] | None:
    """Return what the configuration is while a door is open for a time, and the words for that; None when none is."""
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.ops.doctor.checks.policy import open_widenings
    from openclaw.policy.widening import widened

    opened = [each for each in open_widenings(desk.paths.db_path, SYSTEM_CLOCK.now_ms()) if each.door == door]
    if not opened:
        return None
    return widened(desk.loaded.config, opened), f"widened for a time: {', '.join(each.id for each in opened)}"


@click.group()
def egress() -> None:
    """Ask the egress door, and compare what was asked for with what is allowed.

    \b
    Examples:
      openclaw policy egress test https://example.com
      openclaw policy egress observed --diff
    """


@egress.command()
@click.argument("url")
@click.option("--agent", default="", help="On whose behalf: its own list counts.")
@click.option("--action", default="", help="By which tool: its list counts.")
@click.option(
    "--class", "klass", type=click.Choice(PURPOSES), default="tools", show_default=True, help="What it is for."
)
@click.option("--configured", is_flag=True, help="A setting names it, as a model's baseUrl does.")
@click.option("--lookup", is_flag=True, help="Look an allowed name up, and judge its addresses.")
@output.json_option
def test(url: str, agent: str, action: str, klass: Any, configured: bool, lookup: bool, as_json: bool) -> int:
    """Explain whether a request may go there, by the configuration on disk and what is open for a time.

    Nothing is sent. Exit 1 when it may not.

    \b
    Examples:
      openclaw policy egress test https://api.example.com/v1
      openclaw policy egress test http://db.corp:8080 --agent main --action http_request --lookup
    """
    import msgspec

    from openclaw.client.inspect import addresses_of
    from openclaw.policy.egress.door import Errand, egress_rules
    from openclaw.policy.egress.trial import tried

    looked: dict[str, list[str]] = {}

    def look(host: str, port: int) -> Sequence[str] | None:
        if not lookup:
            return None
        looked[host] = list(dict.fromkeys(addresses_of(host, port)))
        return looked[host]

    desk, errand = Desk(), Errand(klass, action, agent, configured=configured)
    found = tried(egress_rules(desk.loaded.config), errand, url, look)
    verdict = found.verdict
    wider = None if verdict.answer == "allow" else open_now(desk, "egress")
    if wider is not None and (again := tried(egress_rules(wider[0]), errand, url, look)).verdict.answer == "allow":
        found, verdict = (
            again,
            msgspec.structs.replace(verdict, answer="allow", rule_id="egress.widened", reason=wider[1]),
        )
    if as_json:
        shown = {"url": url, "verdict": verdict.answer, "rule": verdict.rule_id, "reason": verdict.reason}
        output.emit_json({**shown, "addresses": looked, "connectIp": found.connect_ip})
    else:
        word = output.paint(verdict.answer, "green" if verdict.answer == "allow" else "red")
        click.echo(f"{word}  {verdict.rule_id}: {plain(verdict.reason)}")
        for host, addresses in looked.items():
            click.echo(f"     {plain(host)} stands for {', '.join(addresses)}")
    return 0 if verdict.answer == "allow" else 1


@egress.command(name="observed")
@click.option("--diff", is_flag=True, help="Only what is asked for and denied now, and entries that nothing needed.")
@click.option("--since", default="30d", show_default=True, help="From then on: 2h, 7d, or 2026-02-20T12:00.")
@click.option("--agent", default="", help="Only what this agent asked for.")
@output.json_option
def observed_(diff: bool, since: str, agent: str, as_json: bool) -> int:
    """Print where requests wanted to go, by the ledger, and whether the configuration on disk lets them.

    With --diff exit 1 when the lists and what is asked for differ.

    \b
    Examples:
      openclaw policy egress observed --since 7d
      openclaw policy egress observed --diff
    """
    import msgspec

    from openclaw.cli.moment import moment_ms
    from openclaw.policy.egress.observed import observed

    desk = Desk()
    found = observed(_entries(desk, moment_ms("--since", since), agent), desk.loaded.config)
    differs = bool(found.missing or found.unused)
    if as_json:
        seen = found.missing if diff else found.seen
        output.emit_json(msgspec.to_builtins({"seen": seen, "unused": found.unused, "beyond": found.beyond}))
    elif diff:
        _print_diff(found)
    else:
        output.table(
            ["destination", "class", "by", "times", "denied", "last", "now", "rule"],
            [
                (
                    _place(each.host, each.port),
                    each.klass,
                    " ".join(filter(None, (each.agent, each.action))),
                    each.times,
                    each.denied,
                    datetime.fromtimestamp(each.last_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ"),
                    each.answer,
                    each.rule,
                )
                for each in found.seen
            ],
            "The ledger has no request of that time.",
        )
    if found.beyond and not as_json:
        click.echo(f"{found.beyond} more rows are of destinations that were too many to list.")
    return 1 if diff and differs else 0


def _print_diff(found: Observed) -> None:
    for each in found.missing:
        by = " ".join(filter(None, (each.agent, each.action)))
        line = f"+ {_place(each.host, each.port)}  {each.klass}, {each.times} times by {by}: {each.reason}"
        click.echo(output.paint(plain(line), "green"))
    for one in found.unused:
        click.echo(output.paint(plain(f"- {one.entry}  {one.setting}: nothing asked for it"), "red"))
    if not found.missing and not found.unused:
        click.echo("What was asked for is allowed, and every entry was needed.")


def _entries(desk: Desk, since_ms: int, agent: str) -> Iterator[Entry]:
    """Yield the ledger's rows of this kind, page by page; none where there is no store yet."""
    import msgspec

    from openclaw.store.audit import MAX_PAGE, Wanted, in_file, is_kept, query

    path = desk.paths.db_path
    if not path.exists() or not in_file(path, is_kept):
        return
    wanted = Wanted(kinds=("egress",), agent=agent, since_ms=since_ms, last_first=False, limit=MAX_PAGE)
    while rows := in_file(path, partial(query, wanted=wanted)):
        yield from (row.entry for row in rows)
        wanted = msgspec.structs.replace(wanted, after_seq=rows[-1].seq)


def _place(host: str, port: int) -> str:
    from openclaw.policy.egress.door import entry_for

    return entry_for(host, port)
