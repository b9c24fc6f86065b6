"""Closed roads: they grow, are probed once, and open again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw.models.calling.cooldown import OPEN, Cooldowns, Road, Visit
from openclaw.models.chain import TABLE

ROAD: Road = ("acme", "", "large")
RULE = TABLE["overloaded"]


def fail(cooldowns: Cooldowns, visit: Visit, now_s: float, after: float | None = None) -> bool:
    return cooldowns.fail(ROAD, visit, RULE, code="MODEL_OVERLOADED", retry_after_s=after, now_s=now_s)


def test_a_failure_closes_the_road_for_a_while() -> None:
    cooldowns = Cooldowns()
    assert fail(cooldowns, OPEN, 100.0)
    assert not cooldowns.ready((ROAD,), 114.9)
    assert cooldowns.ready((ROAD,), 115.0)
    assert cooldowns.wait((ROAD,), 105.0) == (10.0, "MODEL_OVERLOADED")


def test_when_the_time_is_over_exactly_one_probes() -> None:
    cooldowns = Cooldowns()
    fail(cooldowns, OPEN, 0.0)
    probe = cooldowns.enter((ROAD,), 20.0)
    assert probe.probes == (ROAD,)
    assert not cooldowns.ready((ROAD,), 20.0)
    assert cooldowns.enter((ROAD,), 20.0).probes == ()
    cooldowns.succeed(probe)
    assert cooldowns.ready((ROAD,), 20.0)
    assert len(cooldowns) == 0


def test_a_probe_that_fails_closes_the_road_for_longer() -> None:
    cooldowns = Cooldowns()
    now = 0.0
    waits = []
    fail(cooldowns, OPEN, now)
    for _ in range(6):
        wait, _code = cooldowns.wait((ROAD,), now)
        waits.append(wait)
        now += wait
        fail(cooldowns, cooldowns.enter((ROAD,), now), now)
    assert waits == [15, 30, 60, 120, 240, 300]


def test_a_probe_given_up_leaves_the_road_to_the_next() -> None:
    cooldowns = Cooldowns()
    fail(cooldowns, OPEN, 0.0)
    cooldowns.leave(cooldowns.enter((ROAD,), 20.0))
    assert cooldowns.enter((ROAD,), 20.0).probes == (ROAD,)


def test_failures_of_calls_under_way_together_count_once() -> None:
    cooldowns = Cooldowns()
    assert [fail(cooldowns, OPEN, 1.0) for _ in range(5)] == [True, False, False, False, False]
    assert cooldowns.wait((ROAD,), 1.0)[0] == 15


def test_a_late_wish_of_the_provider_makes_the_time_longer() -> None:
    cooldowns = Cooldowns()
    fail(cooldowns, OPEN, 0.0)
    fail(cooldowns, OPEN, 1.0, after=60.0)
    assert cooldowns.wait((ROAD,), 1.0)[0] == 60


def test_it_remembers_no_more_than_its_limit() -> None:
    cooldowns = Cooldowns(limit=3)
    for number in range(10):
        road = ("acme", "", str(number))
        cooldowns.fail(road, OPEN, RULE, code="X", retry_after_s=None, now_s=0.0)
    assert len(cooldowns) == 3


@given(st.lists(st.tuples(st.sampled_from(["enter", "succeed", "fail", "leave"]), st.floats(0, 40)), max_size=60))
def test_never_two_probes_at_once(script: list[tuple[str, float]]) -> None:
    cooldowns = Cooldowns()
    now = 0.0
    fail(cooldowns, OPEN, now)
    probing: list[Visit] = []
    for act, passed in script:
        now += passed
        if act == "enter":
            visit = cooldowns.enter((ROAD,), now)
            if visit.probes:
                probing.append(visit)
        elif probing:
            visit = probing.pop()
            if act == "succeed":
                cooldowns.succeed(visit)
            elif act == "leave":
                cooldowns.leave(visit)
            else:
                fail(cooldowns, visit, now)
        assert len(probing) <= 1
