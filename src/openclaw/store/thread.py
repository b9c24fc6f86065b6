"""A thread that owns one connection: jobs go in one by one, results come back to the loop in groups."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

import apsw

from openclaw.base.errors import Unavailable
from openclaw.store.fault import fault

T = TypeVar("T")
Job = Callable[[apsw.Connection], T]
Waiting = tuple[Job[Any], "asyncio.Future[Any]", str]
Outcome = tuple[Waiting, Any, BaseException | None]

QUEUE_LIMIT = 4096
"""Jobs that may wait for one thread; a turn has at most one, so this is thousands of turns at once."""
GROUP_LIMIT = 256
"""Jobs in one transaction: more would only make the first of them wait longer."""

_log = logging.getLogger("openclaw.store")


class DatabaseThread:
    """Runs jobs on one connection in one thread, in the order of `submit`. Bound to the loop that made it."""

    def __init__(self, name: str, db: apsw.Connection) -> None:
        self.name = name
        self._db = db
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._waiting = 0
        self._closed: asyncio.Future[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"openclaw-store-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many jobs are queued or running."""
        return self._waiting

    def submit(self, job: Job[T], what: str) -> asyncio.Future[T]:
        """Queue a job. The future gives its result; `what` names it in errors.

        Raises: Unavailable when the store is closed or the queue is full.
        Cancels: a cancelled waiter does not undo its job.
        """
        if self._closed is not None:
            raise Unavailable(f"{what}: the store is closed")
        if self._waiting >= QUEUE_LIMIT:
            raise Unavailable(
                f"{what}: {QUEUE_LIMIT} jobs already wait for the store",
                hint="The disk is slower than the traffic; try again in a moment.",
                retry_after_s=1,
            )
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting += 1
        self._queue.put((job, future, what))
        return future

    async def close(self) -> None:
        """Do what is queued, then close the connection."""
        if self._closed is None:
            self._closed = self._loop.create_future()
            self._queue.put(None)
        await asyncio.shield(self._closed)

    def _run(self) -> None:
        open_ = True
        while open_:
            first = self._queue.get()
            if first is None:
                break
            group = [first]
            for _ in range(min(self._queue.qsize(), GROUP_LIMIT - 1)):
                job = self._queue.get()
                if job is None:
                    open_ = False
                    break
                group.append(job)
            self._hand_back(self._deliver, self._serve(group))
        try:
            self._let_go()
        except apsw.Error:
            _log.exception("store_close_failed", extra={"fields": {"thread": self.name}})
        self._hand_back(self._finish)

    def _let_go(self) -> None:
        """Close what the thread owns, before anyone hears that it is closed."""
        self._db.close()

    def _serve(self, group: list[Waiting]) -> list[Outcome]:
        """Run the jobs of one group, each on its own."""
        return [self._attempt(job) for job in group]

    def _attempt(self, waiting: Waiting) -> Outcome:
        try:
            return waiting, waiting[0](self._db), None
        except Exception as error:  # noqa: BLE001  # whatever a job raises belongs to its waiter, not to this thread
            return waiting, None, error

    def _hand_back(self, callback: Callable[..., None], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            _log.warning("store_results_unheard", extra={"fields": {"thread": self.name}})

    def _deliver(self, outcomes: list[Outcome]) -> None:
        self._waiting -= len(outcomes)
        for (_, future, what), value, error in outcomes:
            if future.done():
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(fault(error, what))

    def _finish(self) -> None:
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
