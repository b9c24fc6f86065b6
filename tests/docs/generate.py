"""Writes the generated pages of docs/ (`make docs`); the tests compare them with what is committed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import catalogue
from openclaw.cli.app import OLD_NAMES, cli
from openclaw.config.schema import GatewayConfig, HooksConfig
from openclaw.config.schema.describe import settings_markdown
from openclaw.gateway import run  # noqa: F401  # declares every metric by importing the rooms
from openclaw.gateway.gauges import GAUGES
from openclaw.listeners.app import route_table
from openclaw.listeners.control_ui.pages import ControlUi, UiDeps
from openclaw.listeners.deps import ListenerDeps
from openclaw.listeners.docs_text import markdown
from openclaw.listeners.hooks.api import HookDeps
from openclaw.listeners.openapi import document
from openclaw.listeners.router import Route
from openclaw.listeners.setup.pages import SetupDeps
from openclaw.ops.doctor.patches import PATCHES
from openclaw.ops.doctor.table import CHECKS
from openclaw.ops.security_audit.rules import RULES
from openclaw.rpc import docs as rpc
from openclaw.telemetry.metrics import METRICS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTE = "<!-- Written by `make docs`; change the source instead. -->\n"

CLI_INTRODUCTION = (
    "Every read command takes `--json`. Exit codes: 0 ok, 1 a check or the work failed, 2 wrong usage, 78 a"
    " configuration that cannot be used. `openclaw COMMAND --help` prints the same text. With `--json` stdout holds"
    " JSON and nothing else, also when something fails (of `config set` it is about the value). Tables fit the"
    " terminal; `NO_COLOR` keeps colour away. Names of other versions work, too:"
)

FAULTS = {
    "caller": "the caller",
    "peer": "the other side (a provider)",
    "operator": "the set-up",
    "us": "openclaw",
}
NEXT = {
    "caller": "the caller changes the request",
    "operator": "the operator mends the set-up",
    "retry": "the caller tries again later",
    "nobody": "nobody; it is told for information",
}


def errors_page() -> str:
    """Return docs/errors.md: every code, whose fault it is and what to do."""
    lines = [
        f"{NOTE}# Errors",
        "",
        "Every failure has a stable code, the same on the command line, in RPC answers and over HTTP. The message says",
        "what failed, the hint what to do; programs go by the code.",
    ]
    for code, error in catalogue().items():
        lines += [
            "",
            f"## {code}",
            "",
            (error.__doc__ or "").strip().partition("\n")[0],
            "",
            f"At fault: {FAULTS[error.fault]}. Next: {NEXT[error.next_actor]}.",
        ]
        if error.default_hint:
            lines += ["", f"What to do: {error.default_hint}"]
    return "\n".join(lines) + "\n"


def commands(
    command: click.Command = cli, path: str = "openclaw"
) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Yield every command of the tree with its full name, parents first."""
    context = click.Context(command, info_name=path)
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, f"{path} {name}")


def flags(command: click.Command) -> Iterator[click.Option]:
    """Yield a command's options that people may use."""
    return (each for each in command.params if isinstance(each, click.Option) and not each.hidden)


def cli_page() -> str:
    """Return docs/cli.md: every command with its help, arguments and flags."""
    old = ", ".join(f"`{old}` is `{new}`" for old, new in OLD_NAMES.items())
    lines = [f"{NOTE}# Command line", "", *wrap(f"{CLI_INTRODUCTION} {old}.", 119)]
    for path, command, context in commands():
        usage = " ".join(command.collect_usage_pieces(context))
        lines += ["", f"## {path}", "", f"    {path} {usage}".rstrip()]
        lines += ["", *_help(command)]
        rows = [record for option in flags(command) if (record := option.get_help_record(context))]
        if rows:
            lines += ["", "| flag | what it does |", "|---|---|"]
            lines += [f"| `{_cell(flag)}` | {_cell(text)} |" for flag, text in rows]
    return "\n".join(lines) + "\n"


def _help(command: click.Command) -> list[str]:
    """Return the help as Markdown: blocks that click keeps as they are become code."""
    lines: list[str] = []
    verbatim = False
    for line in inspect.cleandoc(command.help or "").split("\n"):
        if line == "\b":
            verbatim = True
        elif not line:
            lines.append("")
        elif verbatim and line.startswith("  "):
            lines.append(f"  {line}")
        else:
            lines += [line, ""] if verbatim else [line]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def metrics() -> list[tuple[str, str, str, tuple[str, ...]]]:
    """Return (name as scraped, kind, doc, labels) of every metric; importing the house has declared them all."""
    rows = [
        (f"{name}_total" if kind == "counter" else name, "gauge" if kind == "level" else kind, doc, labels)
        for name, kind, doc, labels in METRICS.names()
        if kind != "gauge"
    ]
    return sorted(rows + [(name, "gauge", doc, ()) for name, doc, _ in GAUGES])


def metrics_page() -> str:
    """Return docs/metrics.md: what `/metrics` offers."""
    lines = [
        f"{NOTE}# Metrics",
        "",
        "`GET /metrics` gives the Prometheus text format, to callers with the token and to programs on this machine.",
        "A histogram has `_bucket`, `_sum` and `_count` series. Values of labels are bounded: what would be too many",
        "counts as `other`.",
        "",
        "| metric | kind | labels | what it says |",
        "|---|---|---|---|",
    ]
    for name, kind, doc, labels in metrics():
        lines.append(f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {_cell(doc)} |")
    return "\n".join(lines) + "\n"


def routes() -> tuple[Route, ...]:
    """Return every route of a gateway that leaves nothing out; no handler of them can be called."""
    nobody: Any = None
    deps = ListenerDeps(
        agent=nobody,
        counter=nobody,
        hub=nobody,
        authenticator=nobody,
        devices=nobody,
        health=nobody,
        clock=nobody,
        version="",
        config=GatewayConfig,
        resolve_model=nobody,
        metrics=nobody,
        hooks=HookDeps(nobody, nobody, nobody, HooksConfig),
        setup=SetupDeps(nobody, SYSTEM_CLOCK, GatewayConfig, nobody),
    )
    return route_table(deps, nobody, ControlUi(UiDeps(nobody, nobody, "")))


def http_page() -> str:
    """Return docs/http.md: every route with what it takes and gives."""
    return NOTE + markdown(document(routes(), ""))


def doctor_page() -> str:
    """Return docs/doctor.md: what is written by hand in tests/docs/doctor.md, and the tables of checks and patches."""
    checks = ["| group | looks at | findings (worst) |", "|---|---|---|"]
    for check in CHECKS:
        ids = ", ".join(f"`{id_}` ({severity})" for id_, severity in check.reports.items())
        checks.append(f"| {check.group} | {_cell(check.looks_at)} | {ids} |")
    patches = ["| patch | group | what it does |", "|---|---|---|"]
    patches += [f"| `{patch.name}` | {patch.group} | {_cell(patch.does)} |" for patch in PATCHES]
    text = (Path(__file__).parent / "doctor.md").read_text()
    return NOTE + text.replace("CHECKS", "\n".join(checks)).replace("PATCHES", "\n".join(patches))


def security_page() -> str:
    """Return docs/security.md: what is written by hand in tests/docs/security.md, and the table of checks."""
    lines = ["| check | worst | what it means |", "|---|---|---|"]
    for id_, rule in RULES.items():
        lines.append(f"| `{id_}` | {rule.severity} | {_cell(rule.title)}{' (`--deep`)' if rule.deep else ''} |")
    return NOTE + (Path(__file__).parent / "security.md").read_text().replace("RULES", "\n".join(lines))


PAGES: Mapping[str, Callable[[], str]] = {
    "errors.md": errors_page,
    "cli.md": cli_page,
    "settings.md": settings_markdown,
    "rpc.md": rpc.render,
    "metrics.md": metrics_page,
    "http.md": http_page,
    "doctor.md": doctor_page,
    "security.md": security_page,
}


def main() -> None:
    """Write every page that has changed and say which."""
    for name, page in PAGES.items():
        path = DOCS / name
        text = page()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            click.echo(f"wrote docs/{name}")


if __name__ == "__main__":
    main()
