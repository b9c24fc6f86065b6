"""What failover costs: per call and per batch on the plain path, and how long it takes to go on with the next model.

Usage: python -m bench.failover [--calls 20000] [--batches 20000] [--rounds 5]

Everything runs in this process with models that answer at once, so that what is left is our own work. The time to go on
is measured twice: with models in memory, and over loopback sockets against a server that answers 529 and 401.
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
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelsConfig, ProviderConfig
from openclaw.models.assemble import collect
from openclaw.models.call import CallPlan
from openclaw.models.calling.credentials import Credential, Credentials
from openclaw.models.calling.failover import Failover
from openclaw.models.client import LLMClient
from openclaw.models.fake.client import FakeClient
from openclaw.models.registry import ModelRegistry, Resolved
from openclaw.net.http import HttpClient

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


async def over_sockets(rounds: int) -> None:
    """Print the time from the question to the fallback's first batch, over loopback."""
    answers = {
        b"POST /down": b"HTTP/1.1 529 Busy\r\nretry-after: 600\r\nContent-Length: 0\r\n\r\n",
        b"POST /auth": b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",
    }
    body = b'data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    good = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
                await reader.readexactly(size)
                writer.write(answers.get(head[:10], good))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    key = Secret("sk-bench-123456")
    names = {"good": "/good", "down": "/down", "auth": "/auth"}
    providers = {name: ProviderConfig(base_url=origin + path, api_key=key) for name, path in names.items()}
    async with HttpClient() as http:
        registry = ModelRegistry(
            ModelsConfig(providers=providers),
            env=lambda name: None,
            http=http,
            embedded=lambda name, config: FakeClient(),
            clock=SYSTEM_CLOCK,
        )
        caller = Failover(
            registry, Credentials(NOWHERE, clock=SYSTEM_CLOCK, on_secret=lambda secret: None), SYSTEM_CLOCK
        )
        for label, refs in (
            ("over sockets: the first model answers", ("good/m",)),
            ("over sockets: 529, then the next provider", ("down/m", "good/m")),
            ("over sockets: 401, then the next provider", ("auth/m", "good/m")),
        ):
            plan = CallPlan(refs=refs, request=lambda info: REQUEST)

            async def once(plan: CallPlan = plan) -> None:
                caller.reset()
                await drain(caller.call(plan, []))

            await timed(once, 50)
            _print(label, [await timed(once, 200) for _ in range(rounds)], "µs")
        await registry.close()
    server.close()


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
        await over_sockets(options.rounds)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(everything())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
