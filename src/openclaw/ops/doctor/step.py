"""A line of steps towards something, up to the first that fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step. `seen` is what happened; `fix` is what to do, empty when it went well. A `warning` goes on."""

    name: str
    ok: bool
    seen: str
    fix: str = ""
    warning: bool = False


def until_failure(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the steps up to the first that fails."""
    for step in steps:
        yield step
        if not step.ok and not step.warning:
            return
