"""Lockouts that outlive a restart: none is forgotten because there were many before it."""

from __future__ import annotations

import asyncio

import pytest

from openclaw.base.clock import ManualClock
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.rate_limit import KIND, MAX_KEPT, Lockouts, SignInLimiter
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio

LIMITS = RateLimitConfig(max_attempts=1, lockout_ms=60_000)


class House:
    """A limiter whose lockouts are kept, and what comes after a restart."""

    def __init__(self) -> None:
        self.clock, self.shelf = ManualClock(), MemoryShelf()

    async def start(self) -> tuple[SignInLimiter, Lockouts]:
        limiter, lockouts = SignInLimiter(lambda: LIMITS, self.clock), Lockouts(self.shelf, self.clock)
        await lockouts.follow(limiter)
        return limiter, lockouts

    async def kept(self, lockouts: Lockouts) -> set[str]:
        while len(lockouts._tasks):  # noqa: ASYNC110  # they end by themselves
            await asyncio.sleep(0)
        return {record.id for record in await self.shelf.list(KIND, limit=2 * MAX_KEPT)}


async def test_the_same_address_takes_one_place_however_often_it_is_locked_out() -> None:
    house = House()
    limiter, lockouts = await house.start()
    for _ in range(MAX_KEPT + 10):
        limiter.failed("192.0.2.1")
    limiter.failed("192.0.2.2")
    assert await house.kept(lockouts) == {"192.0.2.1", "192.0.2.2"}
    after, _ = await house.start()
    assert after.retry_after_s("192.0.2.2") == 60


async def test_those_that_are_over_make_room_and_those_that_hold_do_not() -> None:
    house = House()
    limiter, lockouts = await house.start()
    for number in range(MAX_KEPT + 1):
        limiter.failed(f"early-{number}")
    early = await house.kept(lockouts)
    assert len(early) == MAX_KEPT
    assert f"early-{MAX_KEPT}" not in early
    house.clock.advance(61)
    limiter.failed("late")
    assert await house.kept(lockouts) == {"late"}
