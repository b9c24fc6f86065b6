"""Every cell of the lane's table."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.lane_modes import DropPolicy, decide
from openclaw.base.run import LaneMode

modes = st.sampled_from(get_args(LaneMode))
drops = st.sampled_from(get_args(DropPolicy))


@given(modes, drops, st.integers(1, 50))
def test_an_idle_lane_starts_the_message(mode: LaneMode, drop: DropPolicy, cap: int) -> None:
    assert decide(busy=False, waiting=0, mode=mode, cap=cap, drop=drop).action == "start"


@given(modes, drops, st.integers(1, 50), st.integers(0, 60), st.booleans())
def test_a_queue_never_grows_over_its_cap(mode: LaneMode, drop: DropPolicy, cap: int, waiting: int, busy: bool) -> None:
    decision = decide(busy=busy, waiting=waiting, mode=mode, cap=cap, drop=drop)
    if decision.action == "queue" and waiting >= cap:
        assert decision.drop_oldest


@given(drops, st.integers(1, 9))
def test_a_busy_lane_follows_its_mode(drop: DropPolicy, cap: int) -> None:
    def action(mode: LaneMode) -> str:
        return decide(busy=True, waiting=0, mode=mode, cap=cap, drop=drop).action

    assert [action(mode) for mode in get_args(LaneMode)] == ["queue", "queue", "steer", "interrupt", "reject"]


def test_nothing_is_steered_into_a_run_that_has_not_begun() -> None:
    assert decide(busy=False, waiting=1, mode="steer", cap=5, drop="reject-new").action == "queue"


def test_a_full_queue_follows_the_drop_rule() -> None:
    def full(drop: DropPolicy) -> tuple[str, bool, bool]:
        d = decide(busy=True, waiting=3, mode="followup", cap=3, drop=drop)
        return d.action, d.drop_oldest, d.keep_summary

    assert full("reject-new") == ("reject", False, False)
    assert full("drop-oldest") == ("queue", True, False)
    assert full("summarise") == ("queue", True, True)
