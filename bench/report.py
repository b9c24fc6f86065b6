"""Figures as rows: medians of paired samples, ratios to the direct upstream, aims met or missed, a table."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any, Literal, NamedTuple

import msgspec

Verdict = Literal["met", "missed", ""]


class Aim(NamedTuple):
    """What a figure should be: at most `limit`, or at least."""

    limit: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        """Say whether a value keeps it."""
        return value >= self.limit if self.at_least else value <= self.limit


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    Shape: `samples` are the rounds' values in order, at least one; `direct` are the upstream's own in the same rounds.
    `steady` figures are CPU time or memory: other programs on the machine hardly change them.
    """

    family: str
    name: str
    unit: str
    samples: tuple[float, ...]
    direct: tuple[float, ...] = ()
    aim: Aim | None = None
    steady: bool = False
    note: str = ""

    @property
    def value(self) -> float:
        """The median round."""
        return median(self.samples)

    @property
    def ratio(self) -> float | None:
        """How many times the direct upstream's figure."""
        return paired_ratio(self.samples, self.direct)

    @property
    def verdict(self) -> Verdict:
        """Whether the aim is met; empty without one."""
        if self.aim is None:
            return ""
        return "met" if self.aim.met_by(self.value) else "missed"


def paired_ratio(samples: Sequence[float], direct: Sequence[float]) -> float | None:
    """Return the median of the rounds' ratios: a burst of noise that hits both halves of a round cancels out."""
    ratios = [mine / theirs for mine, theirs in zip(samples, direct, strict=False) if theirs]
    return median(ratios) if ratios else None


def added(samples: Sequence[float], direct: Sequence[float]) -> tuple[float, ...]:
    """Return what came on top of the direct upstream, round by round."""
    return tuple(mine - theirs for mine, theirs in zip(samples, direct, strict=True))


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the sample below which that share of them lies. Shape: at least one sample, share from 0 to 1."""
    return sorted(samples)[int((len(samples) - 1) * share)]


def figure(value: float) -> str:
    """Return a number with about three digits that mean something."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or not size else 4
    return f"{value:.{digits}f}"


HEAD = ("", "gateway", "unit", "direct", "ratio", "aim", "", "range over rounds")


def table(rows: Sequence[Row]) -> str:
    """Return the rows, aligned, under the names of their families. A `*` marks what noisy neighbours hardly change."""
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    out = [_line(HEAD, widths)]
    for family in dict.fromkeys(row.family for row in rows):
        out += ["", family]
        out += [
            _line(_cells(row), widths) + (f"  ({row.note})" if row.note else "") for row in rows if row.family == family
        ]
    return "\n".join(out)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, value, unit, *rest, spread = (
        cell.ljust(width) if index in (0, 2) else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((name, value, unit, *rest, spread)).rstrip()


def _cells(row: Row) -> tuple[str, ...]:
    aim = "" if row.aim is None else f"{'≥' if row.aim.at_least else '≤'} {figure(row.aim.limit)}"
    spread = f"{figure(min(row.samples))} … {figure(max(row.samples))}" if len(row.samples) > 1 else ""
    return (
        f"  {row.name}{' *' if row.steady else ''}",
        figure(row.value),
        row.unit,
        figure(median(row.direct)) if row.direct else "",
        "" if row.ratio is None else f"× {figure(row.ratio)}",
        aim,
        row.verdict,
        spread,
    )


def as_json(machine: dict[str, Any], rows: Sequence[Row]) -> bytes:
    """Return machine facts and every row with all its samples."""
    told = [
        {**msgspec.structs.asdict(row), "value": row.value, "ratio": row.ratio, "verdict": row.verdict} for row in rows
    ]
    return msgspec.json.format(msgspec.json.encode({"machine": machine, "rows": told}), indent=1)
