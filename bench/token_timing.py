"""Does the time that a wrong token takes tell how much of it is right? Welch's t of each kind against the others.

Run: python bench/token_timing.py. |t| under 4.5 says that it does not.

1. The kinds come in turn, in an order that is drawn anew for each turn: whatever else the machine does meets all alike.
2. Of all tries together the slowest tenth is left out, whichever kind they are of: those were interrupted. This was
   settled before anything was measured, and is the same for every run.
3. A comparison that stops at the first difference is measured in the same way, to show that this could find one.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable
from itertools import combinations
from math import sqrt

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import Unauthorized
from openclaw.base.secret import Secret
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.locality import Source

TRIES = 10_000
WARM_UP = 1000
LEFT_OUT = 0.1
TOKEN = "k3J8sQ0vXw5tZ1bN7mR4cY6pL2hD9fGa"
WRONG = {
    "nothing right": "X" * len(TOKEN),
    "half right": TOKEN[:16] + "X" * 16,
    "all but the last right": TOKEN[:-1] + "X",
}


def main() -> None:
    """Measure and print."""
    door = Authenticator("token", Secret(TOKEN), None, lambda: RateLimitConfig(max_attempts=10**9), SYSTEM_CLOCK)
    source = Source("9.9.9.9", False)

    def ours(token: bytes) -> None:
        try:
            door.http({b"authorization": b"Bearer " + token}, source)
        except Unauthorized:
            return
        raise AssertionError("a wrong token came in")

    print(f"the gateway: {worst(ours)}")
    print(f"one that stops at the first difference: {worst(_hasty)}")


def _hasty(token: bytes) -> bool:
    return all(mine == theirs for mine, theirs in zip(TOKEN.encode(), token, strict=True))


def worst(ask: Callable[[bytes], object]) -> str:
    """Return what any two kinds differ by at most."""
    taken: dict[str, list[int]] = {kind: [] for kind in WRONG}
    order = list(WRONG)
    draw = random.Random(1)
    gc.disable()
    for number in range(-WARM_UP, TRIES):
        draw.shuffle(order)
        for kind in order:
            token = WRONG[kind].encode()  # anew: no text lies nearer than the others
            began = time.perf_counter_ns()
            ask(token)
            ended = time.perf_counter_ns()
            if number >= 0:
                taken[kind].append(ended - began)
    gc.enable()
    every = sorted(nanoseconds for each in taken.values() for nanoseconds in each)
    most = every[int(len(every) * (1 - LEFT_OUT))]
    kept = {kind: [one for one in each if one <= most] for kind, each in taken.items()}
    found = max((abs(welch(kept[a], kept[b])), a, b) for a, b in combinations(WRONG, 2))
    means = ", ".join(f"{kind} {statistics.fmean(each):.0f} ns" for kind, each in kept.items())
    return f"Welch's t = {found[0]:.2f} ({found[1]} / {found[2]}); {means}"


def welch(a: list[int], b: list[int]) -> float:
    """Return Welch's t."""
    return (statistics.fmean(a) - statistics.fmean(b)) / sqrt(
        statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    )


if __name__ == "__main__":
    main()
