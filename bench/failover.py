"""What failover costs: per call and per batch on the plain path, and how long it takes to go on with the next model.

Usage: python -m bench.failover [--calls 20000] [--batches 20000] [--rounds 5]

Everything runs in this process with models that answer at once, so that what is left is our own work. What a whole turn
of the gateway pays for a failover is measured by `python -m bench --only failover`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelError, ModelTimeout
from openclaw.base.message import user
from openclaw.base.model import ModelEvent, ModelFinish, ModelInfo, ModelRequest, ModelResult, TextDelta
from openclaw.models.assemble import collect
from openclaw.models.call import CallPlan
from openclaw.models.calling.credentials import Credential, Credentials
from openclaw.models.calling.failover import Failover
from openclaw.models.client import LLMClient
from openclaw.models.fake.client import FakeClient
from openclaw.models.registry import Resolved

REQUEST = ModelRequest(model="m", messages=(user("hi"),))
FINISH = (TextDelta("x"), ModelFinish("stop"))
NOWHERE = Path("/nonexistent")


class Instant(FakeClient):
    """Answers at once with that many batches, or fails at once."""

    def __init__(self, batches: int = 1, error: ModelError | None = None) -> None:
        super().__init__()
        self._batches, self._error = batches, error

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        if self._error is not None:
            raise self._error
        piece = (TextDelta("x"),)
        for _ in range(self._batches - 1):
            yield piece
        yield FINISH

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        return await collect(self.stream(request))


class Table:
    """A registry as small as can be: resolving is not what is measured."""

    def __init__(self, **clients: LLMClient) -> None:
        self._found = {
            f"{name}/m": Resolved(client, ModelInfo(id="m", provider=name)) for name, client in clients.items()
        }

    def resolve(self, ref: str, credential: Credential | None = None) -> Resolved:
        """See models.failover.Models."""
        return self._found[ref]

    def full_ref(self, ref: str) -> str:
        """See models.failover.Models."""
        return ref

    def has_own_key(self, provider_id: str) -> bool:
        """See models.failover.Models."""
        return False


def failover(table: Table) -> Failover:
    """Return a fresh failover, nobody in a cooldown."""
    return Failover(table, Credentials(NOWHERE, clock=SYSTEM_CLOCK, on_secret=lambda secret: None), SYSTEM_CLOCK)


async def drain(source: AsyncGenerator[Sequence[ModelEvent], None]) -> None:
    """Read a stream to its end."""
    async for _ in source:
        pass


async def timed(work: Callable[[], Awaitable[None]], times: int) -> float:
    """Return microseconds for one piece of work."""
    gc.collect()
    began = time.perf_counter()
    for _ in range(times):
        await work()
    return (time.perf_counter() - began) / times * 1e6


async def plain(calls: int, batches: int, rounds: int) -> None:
    """Print what failover adds where nothing fails."""
    plan = CallPlan(refs=("a/m",), request=lambda info: REQUEST)
    short, long = Table(a=Instant()), Table(a=Instant(batches))
    short_caller, long_caller = failover(short), failover(long)

    async def bare(table: Table) -> None:
        await drain(table.resolve("a/m").client.stream(REQUEST))

    async def added(pairs: tuple[Table, Failover], times: int, over: int) -> list[float]:
        table, caller = pairs
        out = []
        for _ in range(rounds):
            without = await timed(lambda: bare(table), times)
            out.append((await timed(lambda: drain(caller.call(plan, [])), times) - without) / over)
        return out

    _print("added per call, one model, nothing fails", await added((short, short_caller), calls, 1), "µs")
    per_batch = await added((long, long_caller), 3, batches)
    _print("added per batch of a long stream", [value * 1000 for value in per_batch], "ns")


async def moving_on(calls: int, rounds: int) -> None:
    """Print how long it takes to go on with the next model, with models in memory."""
    table = Table(a=Instant(error=ModelTimeout("first token")), b=Instant())
    plan = CallPlan(refs=("a/m", "b/m"), request=lambda info: REQUEST)
    figures, resting = [], []
    for _ in range(rounds):
        caller = failover(table)

        async def first(caller: Failover = caller) -> None:
            caller.reset()
            await drain(caller.call(plan, []))

        figures.append(await timed(first, calls // 10))
        resting.append(await timed(lambda caller=caller: drain(caller.call(plan, [])), calls // 10))  # type: ignore[misc]
    _print("a call whose first model fails and whose second answers", figures, "µs")
    _print("a call whose first model is in a cooldown", resting, "µs")


def _print(label: str, figures: list[float], unit: str) -> None:
    middle = statistics.median(figures)
    print(f"{label:58} {middle:9.2f} {unit}   ({min(figures):.2f} to {max(figures):.2f})")


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description="Cost of failover.")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--batches", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"Python {sys.version.split()[0]}, medians of {options.rounds} rounds")

    async def everything() -> None:
        await plain(options.calls, options.batches, options.rounds)
        await moving_on(options.calls, options.rounds)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(everything())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
