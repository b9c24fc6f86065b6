"""`openclaw usage`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options

F = TypeVar("F", bound=Callable[..., Any])
BY = ("day", "model", "provider", "agent", "channel", "principal", "purpose", "session")


def days_option(command: F) -> F:
    """Add `--days` to a command about usage."""
    days = click.IntRange(1, 366)
    return click.option("--days", type=days, default=30, show_default=True, help="How far back, in UTC days.")(command)


@click.command()
@click.option("--by", type=click.Choice(BY), default="day", show_default=True, help="What calls are grouped by.")
@days_option
@output.json_option
@gateway_options
def usage(reach: Reach, by: str, days: int, as_json: bool) -> None:
    """Show what model calls used and cost, and what is left of the budgets.

    \b
    Examples:
      openclaw usage
      openclaw usage --by principal --days 7
    """
    report(reach, by, days, as_json=as_json)


def report(reach: Reach, by: str, days: int, *, as_json: bool) -> None:
    """Print what calls of these days used, grouped by that, and the budgets."""

    async def ask() -> tuple[dict[str, Any], dict[str, Any]]:
        async with reach.connect() as line:
            totals = await line.call("usage.totals", {"by": by, "days": days}, reach.timeout_s)
            return totals, await line.call("usage.status", {}, reach.timeout_s)

    totals, status = reach.run(ask())
    budgets = status.get("budgets", [])
    if as_json:
        output.emit_json({**totals, "budgets": budgets})
        return
    rows = totals["rows"]
    output.table(
        [by, "calls", "failed", "in", "cached", "out", "cost"],
        [_row(row) for row in rows] + ([_row(_whole(rows))] if len(rows) > 1 else []),
        "No model was called in these days.",
    )
    if any(row["missingCostEntries"] for row in rows):
        click.echo("+ there are calls whose price is unknown: `cost` of a model sets it.")
    if budgets:
        click.echo()
        output.table(["budget", "left", "of", "spent", "held", "starts anew"], [_budget(row) for row in budgets])


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    cached = row["cacheRead"] + row["cacheWrite"]
    return (
        row["key"] or "-",
        row["calls"],
        row["failed"],
        f"{row['input'] + cached:,}",
        f"{cached:,}",
        f"{row['output']:,}",
        _dollars(row["totalCost"]) + ("+" if row["missingCostEntries"] else ""),
    )


def _whole(rows: list[dict[str, Any]]) -> dict[str, Any]:
    numbers = ("calls", "failed", "input", "output", "cacheRead", "cacheWrite", "totalCost", "missingCostEntries")
    return {"key": "all", **{name: sum(row[name] for row in rows) for name in numbers}}


def _budget(row: dict[str, Any]) -> tuple[str, ...]:
    from datetime import UTC, datetime

    whose = " ".join(filter(None, (row["scope"], row["subject"])))
    amounts = (_dollars(row[name]) for name in ("left", "limit", "spent", "held"))
    return (f"{whose}, {row['window']}", *amounts, f"{datetime.fromtimestamp(row['endsAt'] / 1000, UTC):%Y-%m-%d} UTC")


def _dollars(usd: float) -> str:
    from openclaw.base.money import USD_MICROS, dollars

    return dollars(round(usd * USD_MICROS))
