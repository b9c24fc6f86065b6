"""What all doors cost on a chat completion: the real gateway and one whose doors were taken out, by turns.

Both run on the same core before the same upstream, each with a fresh state directory; only one is asked at a time. CPU
time is what a door costs: it is measured over whole turns, so that what the doors add to the disk's work is in it, too.
"""

from __future__ import annotations

from statistics import median

from bench.completion import Case, Measured, run
from bench.gateway import Gateway, Lab, Setting, running
from bench.report import Aim, Row

FAMILY = "all doors, beside none"
ROUNDS = 3
"""How many times the usual rounds: the difference of two figures is noisier than either."""
MOST = Aim(1.10)
CASES = (
    Case(FAMILY, "whole answer, 1 client", 1, stream=False),
    Case(FAMILY, "whole answer, 64 clients", 64, stream=False),
    Case(FAMILY, "100 chunks, 64 clients", 64, stream=True),
)


def doors(lab: Lab) -> list[Row]:
    """Measure turns with doors and without. Shape: the direct column is the gateway without."""
    rows: list[Row] = []
    with running(lab) as real, running(lab, Setting(doors=False)) as bare:
        for gateway in (real, bare):
            _round(lab, gateway, CASES[1])  # the first turns of all load the HTTP client
        for case in CASES:
            pairs = [(_round(lab, real, case), _round(lab, bare, case)) for _ in range(lab.rounds * ROUNDS)]
            rows += _rows(case, pairs)
    return rows


def _round(lab: Lab, gateway: Gateway, case: Case) -> Measured:
    return run(Lab(lab.tools, lab.cores, lab.folder, lab.upstream, 1, lab.seconds), gateway, case)


def _rows(case: Case, pairs: list[tuple[Measured, Measured]]) -> list[Row]:
    cpu = tuple(with_.cpu_s[0] * 1000 for with_, _ in pairs), tuple(without.cpu_s[0] * 1000 for _, without in pairs)
    wall = tuple(with_.mine[0].p50 for with_, _ in pairs), tuple(without.mine[0].p50 for _, without in pairs)
    failures = sum(load.err for pair in pairs for each in pair for load in each.mine)
    ratios = tuple(with_ / without for with_, without in zip(*cpu, strict=True))
    note = f"{failures} failed" if failures else f"median of {len(ratios)} pairs: {median(ratios):.3f}"
    return [
        Row(family=FAMILY, name=f"{case.label}, CPU", unit="ms", samples=cpu[0], direct=cpu[1], steady=True, note=note),
        Row(family=FAMILY, name=f"{case.label}, p50", unit="ms", samples=wall[0], direct=wall[1]),
        Row(family=FAMILY, name=f"{case.label}, CPU ratio", unit="×", samples=ratios, aim=MOST, steady=True),
    ]
