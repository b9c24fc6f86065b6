"""Blocking code beside the loop: one daemon thread per call, so that a call that never ends can hold up nothing.

A shared pool would be emptied by a few stuck calls, and its threads are joined when Python exits; these are not.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from openclaw.base.errors import ToolError

T = TypeVar("T")

MAX_THREADS = 256
"""Calls that may be running at once, abandoned ones included."""

_slots = threading.BoundedSemaphore(MAX_THREADS)
_numbers = itertools.count(1)


async def in_thread(function: Callable[..., T], /, **kwargs: Any) -> T:
    """Run a blocking function and wait for what it returns or raises.

    Cancels: the wait ends at once; the thread cannot be killed, and what it returns is dropped.
    Raises: ToolError when too many calls are running.
    """
    if not _slots.acquire(blocking=False):
        raise ToolError(f"{MAX_THREADS} calls of Python actions are still running. Try again later.")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[tuple[T | None, BaseException | None]] = loop.create_future()
    scope = contextvars.copy_context()

    def deliver(value: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_result((value, error))

    def work() -> None:
        value: T | None = None
        error: BaseException | None = None
        try:
            value = scope.run(function, **kwargs)
        except BaseException as raised:  # noqa: BLE001  # carried over to the caller, who judges it
            error = raised
        finally:
            _slots.release()
        try:
            loop.call_soon_threadsafe(deliver, value, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    try:
        threading.Thread(target=work, name=f"action-{next(_numbers)}", daemon=True).start()
    except RuntimeError:
        _slots.release()
        raise ToolError("The system cannot start another thread. Try again later.") from None
    result, failure = await done
    if failure is not None:
        raise failure
    return result  # type: ignore[return-value]  # None only where T allows it
