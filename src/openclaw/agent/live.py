"""A run while it lives: its events, those who wait for them, and the one way to stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from openclaw.agent.api import RunObserver
from openclaw.base.errors import OpenClawError
from openclaw.base.ids import RunId
from openclaw.base.message import Message
from openclaw.base.model import TextDelta
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, RunState
from openclaw.store.api import SessionRow

_GONE = Message("user", ())


class LiveRun:
    """One run. Readers get every event from the start; the writer never waits for a reader."""

    def __init__(self, inbound: Inbound, accepted_at_ms: int, observers: Sequence[RunObserver] = ()) -> None:
        self.inbound = inbound
        self._observers = observers
        self.accepted_at_ms = accepted_at_ms
        self.started_at_ms = 0
        self.state: RunState = "queued"
        self.session: SessionRow | None = None
        self.task: asyncio.Task[Any] | None = None
        self.stop_reason: str | None = None
        self.begun = False
        """Whether its task has taken its first step: a task cancelled before that would never clean up."""
        self.resumed = False
        self.ending = False
        """The reply is being committed: too late to stop."""
        self.joined: list[LiveRun] = []
        """Runs whose message was taken into this one: they end with its reply."""
        self.steering: list[LiveRun] = []
        """Runs that wait to be taken in at the next step."""
        self.accepted: asyncio.Future[LiveRun] | None = None
        """Pending until the message is durable; its result is this run, or the earlier one that it repeats."""
        self.accepted_seq = 0
        """Where its message stands in the transcript, when that was known at acceptance."""
        self.in_transcript = False
        """Whether the message stands in the transcript already (accepted with `start`, or begun)."""
        self.dropped_note = ""
        self.announced: Sequence[Any] = ()
        """Lines that its message has taken along, until they are durable in it."""
        self._events: list[RunEvent] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._reply: Reply | None = None

    @property
    def id(self) -> RunId:
        """The run id, which is also the idempotency key."""
        return self.inbound.run_id

    @property
    def duplicate(self) -> bool:
        """False: this object is the run itself."""
        return False

    @property
    def durable(self) -> bool:
        """Whether the message is committed in the archive."""
        return self.accepted is None or (self.accepted.done() and not self.accepted.cancelled())

    @property
    def whose(self) -> tuple[str, str]:
        """The tenant and owner of its message."""
        return self.inbound.principal.tenant, self.inbound.principal.owner

    def settle(self, outcome: LiveRun | OpenClawError) -> None:
        """Tell who waits for its acceptance which run it is, or why it is none."""
        if self.accepted is None or self.accepted.done():
            return
        if isinstance(outcome, OpenClawError):
            self.accepted.set_exception(outcome)
        else:
            self.accepted.set_result(outcome)

    @property
    def reply(self) -> Reply | None:
        """The reply once the run has ended."""
        return self._reply

    def publish(self, events: Sequence[RunEvent]) -> None:
        """Append a batch and wake the readers."""
        self._events.extend(events)
        if self._waiters:
            self._wake()
        for observer in self._observers:
            observer.on_run_events(self, events)

    def show(self, event: RunEvent) -> None:
        """Tell those who watch now; who reads the run's events later has its outcome instead."""
        if self._reply is None:
            for observer in self._observers:
                observer.on_run_events(self, (event,))

    def end(self, reply: Reply) -> None:
        """Publish the last event; afterwards the run only holds its text and its reply."""
        self.state = reply.state
        self._reply = reply
        self.publish((RunEnded(reply),))

    def compact(self) -> None:
        """Fold the deltas of an ended run into one, for those who come late, and let go of what was said to it.

        Its task and the future whose result it is would refer back to it, or to what it worked with.
        """
        if self._reply is not None:
            self.task = None
            if self.durable:
                self.accepted = None
            self.inbound = msgspec.structs.replace(self.inbound, history=(), message=_GONE, system="")
            text: list[RunEvent] = [TextDelta(self._reply.text)] if self._reply.text else []
            self._events = [*text, RunEnded(self._reply)]

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _wait(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def events(self) -> AsyncIterator[Sequence[RunEvent]]:
        """Yield the events from the start, in the batches in which they come, up to RunEnded."""
        events = self._events
        position = 0
        while True:
            if position < len(events):
                batch = events[position:] if position else list(events)
                position += len(batch)
                yield batch
                if type(batch[-1]) is RunEnded:
                    return
            else:
                await self._wait()

    async def result(self) -> Reply:
        """Wait for the end."""
        while self._reply is None:
            await self._wait()
        return self._reply

    def stop(self, reason: str) -> bool:
        """Ask the run to end now. Say whether it was still going."""
        if self._reply is not None or self.stop_reason is not None or self.ending:
            return False
        self.stop_reason = reason
        if self.task is not None and self.begun and self.durable:  # else whoever accepts it sees the reason first
            self.task.cancel()
        return True


class RepeatedRun:
    """A second submit of a run id: the first run's events and reply, marked as a duplicate."""

    def __init__(self, first: LiveRun) -> None:
        self._first = first

    @property
    def id(self) -> RunId:
        """The run id."""
        return self._first.id

    @property
    def inbound(self) -> Inbound:
        """The first message; the repeat's own is not looked at."""
        return self._first.inbound

    @property
    def state(self) -> RunState:
        """The first run's state."""
        return self._first.state

    @property
    def accepted_at_ms(self) -> int:
        """When the first was accepted."""
        return self._first.accepted_at_ms

    @property
    def duplicate(self) -> bool:
        """True."""
        return True

    def events(self) -> AsyncIterator[Sequence[RunEvent]]:
        """Yield the first run's events from the start."""
        return self._first.events()

    async def result(self) -> Reply:
        """Wait for the first run's end."""
        return await self._first.result()


def retrieved(future: asyncio.Future[LiveRun]) -> None:
    """Look at a failure even when its sender has gone: it was told to nobody else."""
    if not future.cancelled():
        future.exception()


def ended_run(inbound: Inbound, reply: Reply) -> LiveRun:
    """Return a run that ended before this process knew it (from the archive)."""
    run = LiveRun(inbound, reply.accepted_at_ms)
    run.started_at_ms = reply.started_at_ms
    run.end(reply)
    run.compact()
    return run
