"""Many clients that only listen, some that talk, for as long as you like: every event in order, no gap, nothing grows.

`python -m bench --only soak --minutes 10`, or beside a gateway that is there: `python -m bench.soak --port … --pid …`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from bench.gateway import TOKEN, Lab, running
from bench.machine import pinned
from bench.report import Aim, Row, quantile
from bench.rpc import connect_frame
from bench.tools import BadRun
from bench.watcher import Frame, Payload, Watcher

FAMILY = "soak"
MODEL = "fake-n20-d20"
"""An answer of twenty words in 0.4 s, of whichever stand-in the provider is."""

ENDS = ("final", "aborted", "error")
SETTLING = 0.3
"""The share of the time in which memory may still grow, for the buffers of so many connections."""

WARM_UP_RUNS = 6000
"""After so many messages in 50 sessions every cache of the gateway is full: the keys of calls (4096), the pages of the
database, the conversations kept in memory."""

SAMPLES = 120
BATCH = 50
REST_S = 2.0
"""Long enough for what was told last to be heard, and for the presence event that follows the clients' coming."""

PATIENCE_S = 60.0


class Plan(msgspec.Struct, frozen=True):
    """What to do. Shape: seconds; each busy client rests about `pause_s` between two messages."""

    port: int
    pid: int
    token: str = TOKEN
    idle: int = 500
    busy: int = 50
    seconds: float = 20.0
    pause_s: float = 5.0
    provider: str = "fake"
    """The gateway's own stand-in keeps what it was asked: memory is judged with another."""


class Sample(msgspec.Struct, frozen=True):
    """The gateway at one moment. `rss_mb` in MB; `tasks` is -1 where the gateway does not tell."""

    at_s: float
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `faults` names the first few of `fault_count` events out of order and clients lost.

    Shape: the pairs are at rest, before the first message and after the last one, with all clients connected.
    """

    clients: int
    seconds: float
    events: int
    runs: int
    ends_missed: int
    fault_count: int
    faults: Sequence[str]
    lag_p50_ms: float
    lag_p99_ms: float
    rss_mb: tuple[float, float]
    rss_mb_per_minute: float
    descriptors: tuple[int, int]
    threads: tuple[int, int]
    tasks: tuple[int, int]


class Ears:
    """What one client has heard, checked as it comes: the connection's `seq` and each run's count without a gap."""

    def __init__(self, book: Book, name: str) -> None:
        self.book = book
        self._name = name
        self._seq = 0
        self._runs: dict[str, int] = {}
        self.ends = 0
        self.waiting: dict[str, asyncio.Future[str]] = {}

    def hear(self, frame: Frame, payload: Payload) -> None:
        """Take one event."""
        book = self.book
        book.events += 1
        self._seq += 1
        if frame.seq != self._seq:
            book.fault(f"{self._name}: seq {frame.seq} where {self._seq} was due ({frame.event})")
            self._seq = frame.seq
        if frame.event == "agent":
            book.lag(payload)
            due = self._runs.get(payload.run_id, 0) + 1
            if payload.seq != due:
                book.fault(f"{self._name}: {payload.run_id} has {payload.seq} where {due} was due")
            self._runs[payload.run_id] = payload.seq
            if payload.stream == "lifecycle" and payload.data.phase in ("end", "error"):
                self._runs.pop(payload.run_id)
        elif frame.event == "chat" and payload.state in ENDS:
            self.ends += 1
            waiting = self.waiting.pop(payload.run_id, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(payload.state)


class Book:
    """What all the clients heard together. `name` begins the ids of their runs."""

    def __init__(self, name: str = "soak") -> None:
        self.name = name
        self.events = self.runs = self.faults = 0
        self.told: list[str] = []
        self.lags: list[float] = []

    def fault(self, text: str) -> None:
        """Note something that must not be."""
        self.faults += 1
        if len(self.told) < 10:
            self.told.append(text)

    def lag(self, payload: Payload) -> None:
        """Note how late every hundredth event is."""
        if self.events % 100 == 0:
            self.lags.append(time.time() * 1000 - payload.ts)


async def soak(plan: Plan) -> Outcome:
    """Carry out a plan. Raises: BadRun when the gateway refuses a client."""
    book = Book()
    names = [f"idle-{number}" for number in range(plan.idle)] + [f"busy-{number}" for number in range(plan.busy)]
    ears = [Ears(book, name) for name in names]
    clients = await _connect(plan, ears, plan.idle)
    await asyncio.sleep(REST_S)
    before = await asyncio.to_thread(_look, plan, 0.0)
    began = time.monotonic()
    talks = [
        asyncio.ensure_future(
            _talk(clients[one], ears[one], one, plan, lambda: time.monotonic() < began + plan.seconds)
        )
        for one in range(plan.idle, len(clients))
    ]
    passing = asyncio.ensure_future(_pass_by(plan, began + plan.seconds))
    samples = await _sample(plan, began)
    await asyncio.gather(passing, *talks)
    await asyncio.sleep(REST_S)  # the last ends are on their way
    rest = (before, await asyncio.to_thread(_look, plan, time.monotonic() - began))
    for client, its in zip(clients, ears, strict=True):
        if client.lost:
            book.fault(f"lost: {client.lost}")
        client.close()
        if its.ends != book.runs:
            book.fault(f"heard {its.ends} ends of {book.runs}")
    return _outcome(plan, book, samples, rest, sum(book.runs - its.ends for its in ears))


async def _connect(plan: Plan, ears: Sequence[Ears], idle: int) -> list[Watcher]:
    """Open a client for each pair of ears; the first `idle` ones only read."""
    clients: list[Watcher] = []
    for start in range(0, len(ears), BATCH):
        batch = range(start, min(start + BATCH, len(ears)))
        frames = [connect_frame(one, _scope(one >= idle), plan.token) for one in batch]
        opening = [Watcher.open(plan.port, frame, ears[one].hear) for one, frame in zip(batch, frames, strict=True)]
        clients += await asyncio.gather(*opening)
    return clients


async def warm_up(plan: Plan, runs: int) -> None:
    """Send that many messages in the sessions of the busy clients, as fast as they are answered. Raises: BadRun."""
    book = Book("warm")
    ears = [Ears(book, f"warm-{number}") for number in range(plan.busy)]
    clients = await _connect(plan, ears, 0)
    hasty = msgspec.structs.replace(plan, pause_s=0.0)
    await asyncio.gather(
        *(
            _talk(client, its, plan.idle + number, hasty, lambda: book.runs < runs)
            for number, (client, its) in enumerate(zip(clients, ears, strict=True))
        )
    )
    for client in clients:
        client.close()
    await asyncio.sleep(REST_S)


def _scope(busy: bool) -> str:
    return "operator.admin" if busy else "operator.read"


async def _talk(client: Watcher, ears: Ears, number: int, plan: Plan, going: Callable[[], bool]) -> None:
    """Send a message, wait for its end, look at something else, rest; now and then stop an answer halfway."""
    book = ears.book
    key, model = f"soak-{number}", f"{plan.provider}/{MODEL}"
    await asyncio.sleep(plan.pause_s * (number % plan.busy) / plan.busy)
    turn = 0
    while going():
        turn += 1
        run_id = f"{book.name}-{number}-{os.getpid()}-{turn}"
        ended = ears.waiting[run_id] = asyncio.get_running_loop().create_future()
        book.runs += 1
        asked: dict[str, Any] = {"sessionKey": key, "message": f"turn {turn}", "idempotencyKey": run_id}
        if turn == 1:
            await client.ask("agent", {**asked, "model": model})
            await client.ask("sessions.patch", {"key": key, "model": model})
        else:
            await client.ask("chat.send", asked)
        if turn % 7 == 0:
            await asyncio.sleep(0.1)
            await client.ask("chat.abort", {"sessionKey": key, "runId": run_id})
        async with asyncio.timeout(PATIENCE_S):
            await ended
        method = ("health", "sessions.list", "chat.history")[turn % 3]
        await client.ask(method, {"sessionKey": key, "limit": 20} if method == "chat.history" else {})
        await asyncio.sleep(plan.pause_s)


async def _pass_by(plan: Plan, until: float) -> None:
    """Come once a second with a command's short connection."""
    frame = connect_frame(None, "operator.read", plan.token)
    while time.monotonic() < until:
        client = await Watcher.open(plan.port, frame, lambda event, payload: None)
        await client.ask("health", {})
        client.close()
        await asyncio.sleep(1)


async def _sample(plan: Plan, began: float) -> list[Sample]:
    samples = []
    for number in range(SAMPLES + 1):
        await asyncio.sleep(max(0.0, began + plan.seconds * number / SAMPLES - time.monotonic()))
        samples.append(await asyncio.to_thread(_look, plan, time.monotonic() - began))
    return samples


def _look(plan: Plan, at_s: float) -> Sample:
    place = Path(f"/proc/{plan.pid}")
    rss = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    threads = len(list((place / "task").iterdir()))
    return Sample(at_s, rss, len(list((place / "fd").iterdir())), threads, _tasks(plan))


def _tasks(plan: Plan) -> int:
    address = f"http://127.0.0.1:{plan.port}/metrics"
    request = urllib.request.Request(address, headers={"authorization": f"Bearer {plan.token}"})
    with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("openclaw_tasks "):
                return int(float(line.split()[1]))
    return -1


def _outcome(plan: Plan, book: Book, samples: list[Sample], rest: tuple[Sample, Sample], missed: int) -> Outcome:
    steady = [sample for sample in samples if sample.at_s >= plan.seconds * SETTLING]
    before, after = rest
    lags = book.lags or [0.0]
    return Outcome(
        clients=plan.idle + plan.busy,
        seconds=round(after.at_s, 1),
        events=book.events,
        runs=book.runs,
        ends_missed=missed,
        fault_count=book.faults,
        faults=book.told,
        lag_p50_ms=round(quantile(lags, 0.5), 2),
        lag_p99_ms=round(quantile(lags, 0.99), 2),
        rss_mb=(round(before.rss_mb, 1), round(after.rss_mb, 1)),
        rss_mb_per_minute=round(_slope([one.at_s for one in steady], [one.rss_mb for one in steady]) * 60, 3),
        descriptors=(before.descriptors, after.descriptors),
        threads=(before.threads, after.threads),
        tasks=(before.tasks, after.tasks),
    )


def _slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return the slope of the straight line that fits best."""
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else 0.0


def long_soak(lab: Lab) -> list[Row]:
    """Hold 500 idle and 50 busy clients on a fresh gateway."""
    minutes = lab.minutes
    seconds = minutes * 60 if minutes else 5.0 if lab.rounds == 1 else 20.0
    with running(lab) as gateway, pinned(lab.cores.others):
        plan = Plan(
            gateway.port,
            gateway.process.pid,
            seconds=seconds,
            pause_s=30.0 if minutes else 5.0,
            provider="bench",
        )
        if minutes:
            uvloop.run(warm_up(plan, WARM_UP_RUNS))
        before = gateway.cpu_s()
        done = uvloop.run(soak(plan))
        cpu = (gateway.cpu_s() - before) / done.events * 1e6
    if done.faults:
        print("\n".join(done.faults), file=sys.stderr)
    grown = done.descriptors[1] - done.descriptors[0]
    name = f"{plan.idle} idle and {plan.busy} busy clients, {seconds:.0f} s"
    return [
        Row(family=FAMILY, name=f"{name}, runs", unit="", samples=(done.runs,)),
        Row(family=FAMILY, name="events told", unit="/s", samples=(done.events / done.seconds,)),
        Row(family=FAMILY, name="CPU of an event", unit="µs", samples=(cpu,), steady=True),
        Row(family=FAMILY, name="out of order, missed or lost", unit="", samples=(done.fault_count,), aim=Aim(0)),
        Row(family=FAMILY, name="lag p50", unit="ms", samples=(done.lag_p50_ms,)),
        Row(family=FAMILY, name="lag p99", unit="ms", samples=(done.lag_p99_ms,)),
        Row(family=FAMILY, name="RSS before, all connected", unit="MB", samples=(done.rss_mb[0],), steady=True),
        Row(family=FAMILY, name="RSS at the end", unit="MB", samples=(done.rss_mb[1],), steady=True),
        Row(family=FAMILY, name="RSS grows by", unit="MB/min", samples=(done.rss_mb_per_minute,), steady=True),
        Row(family=FAMILY, name="descriptors grow by", unit="", samples=(grown,), steady=True),
        Row(family=FAMILY, name="tasks grow by", unit="", samples=(done.tasks[1] - done.tasks[0],), steady=True),
    ]


def main() -> int:
    """Soak a gateway that is there and print the outcome as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the gateway's, on this machine")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--idle", type=int, default=500)
    parser.add_argument("--busy", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--pause", type=float, default=5.0, metavar="SECONDS", help="between a client's messages")
    given = parser.parse_args()
    plan = Plan(given.port, given.pid, given.token, given.idle, given.busy, given.seconds, given.pause)
    try:
        outcome = uvloop.run(soak(plan))
    except BadRun as failure:
        print(f"not soaked: {failure}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(outcome).decode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
