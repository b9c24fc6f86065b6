"""What the shell's Tab key offers beside commands and flags: sessions, agents, models. Quick, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from openclaw.base.errors import OpenClawError

PATIENCE_S = 1.0
MOST = 200

Find = Callable[[], Iterable[tuple[str, str]]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]]]


def _completes(find: Find) -> Complete:
    def complete(_ctx: click.Context, _param: click.Parameter, beginning: str) -> list[CompletionItem[str]]:
        try:
            found = [CompletionItem(name, help=about or None) for name, about in find() if name.startswith(beginning)]
        except (OpenClawError, OSError, KeyError, TypeError):
            return []
        return found[:MOST]

    return complete


def _asked(method: str, params: dict[str, Any]) -> Any:
    from openclaw.cli.reach import Reach

    return Reach(timeout_s=PATIENCE_S).call(method, params)


def _sessions() -> Iterable[tuple[str, str]]:
    for row in _asked("sessions.list", {"limit": MOST})["sessions"]:
        yield row["key"], ""


def _agents() -> Iterable[tuple[str, str]]:
    for row in _asked("agents.list", {})["agents"]:
        yield row["id"], row.get("name", "")


def _models() -> Iterable[tuple[str, str]]:
    from openclaw.cli.desk import Desk, run

    async def refs() -> list[str]:
        async with Desk().registry() as registry:
            return [model.ref for model in registry.models()]

    return [(ref, "") for ref in run(refs())]


session_keys = _completes(_sessions)
agent_ids = _completes(_agents)
model_refs = _completes(_models)
