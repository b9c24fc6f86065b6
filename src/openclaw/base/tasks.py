"""The one place that creates tasks: supervised, named, counted, never orphaned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger("openclaw.tasks")


class TaskSet:
    """Owns the background tasks of one room; `close` cancels and awaits them all.

    A task that fails is logged with its name and counted; it never takes its siblings down.
    """

    def __init__(self, name: str, limit: int = 10_000) -> None:
        self.name = name
        self.limit = limit
        self.failures = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing can be started any more."""
        return self._closed

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Start a coroutine under this set's supervision.

        Raises: RuntimeError when the set is closed or full (the coroutine is closed, never leaked).
        """
        if self._closed or len(self._tasks) >= self.limit:
            coro.close()
            raise RuntimeError(f"task set {self.name} is {'closed' if self._closed else 'full'}")
        task = asyncio.get_running_loop().create_task(coro, name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self.failures += 1
            _log.error("task_failed", exc_info=error, extra={"fields": {"task": task.get_name()}})

    def __len__(self) -> int:
        return len(self._tasks)

    async def close(self, grace_s: float = 5.0) -> None:
        """Cancel every task and wait for them to end, at most `grace_s` seconds."""
        self._closed = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=grace_s)
            for task in pending:
                _log.error("task_stuck", extra={"fields": {"task": task.get_name()}})


async def supervise(
    name: str,
    run: Callable[[], Coroutine[Any, Any, None]],
    sleep: Callable[[float], Coroutine[Any, Any, None]],
    *,
    first_delay_s: float = 0.5,
    max_delay_s: float = 30.0,
) -> None:
    """Run a coroutine function for ever: start it again with a growing pause each time it fails.

    Cancels: ends at once; the inner coroutine is cancelled with it.
    """
    delay = first_delay_s
    while True:
        try:
            await run()
        except asyncio.CancelledError:
            raise
        except Exception:
            _log.exception("supervised_failed", extra={"fields": {"task": name, "retry_s": delay}})
        else:
            return
        await sleep(delay)
        delay = min(delay * 2, max_delay_s)
