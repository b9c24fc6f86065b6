"""When jobs are due."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from openclaw.automation.schedule import MIN_EVERY_MS, At, Cron, Every, Schedule, at_time, check, next_ms, stagger_shift
from openclaw.base.errors import InvalidRequest

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000
BERLIN = "Europe/Berlin"
times = st.integers(0, 4_000_000_000_000)
ZONES = st.sampled_from(
    ["", "UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]
)


@st.composite
def expressions(draw: st.DrawFn) -> str:
    minute = draw(st.sampled_from(["*", "0", "30", "*/7", "1,59", "15-45/10"]))
    hour = draw(st.sampled_from(["*", "0", "2", "1-3", "*/5", "2,23"]))
    day = draw(st.sampled_from(["*", "1", "29", "31", "L", "*/9"]))
    month = draw(st.sampled_from(["*", "1,3,10", "4", "*/2"]))
    weekday = draw(st.sampled_from(["*", "0", "MON-FRI", "7#1", "5L"]))
    return f"{minute} {hour} {day} {month} {weekday}"


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    if draw(st.booleans()):
        anchor = draw(st.none() | times)
        return Every(every_ms=draw(st.integers(MIN_EVERY_MS, 400 * DAY_MS)), anchor_ms=anchor)
    schedule = Cron(expr=draw(expressions()), tz=draw(ZONES), stagger_ms=draw(st.none() | st.integers(0, DAY_MS)))
    try:
        check(schedule)
    except InvalidRequest:  # the 31st of April alone never comes
        assume(False)
    return schedule


@given(schedules(), times)
def test_the_next_time_is_later_and_asking_again_moves_on(schedule: Schedule, now_ms: int) -> None:
    at_ms = now_ms
    for _ in range(4):
        found = next_ms(schedule, at_ms, job_id="j")
        assert found is not None
        assert found > at_ms
        at_ms = found


@given(schedules(), times, st.integers(0, 3 * DAY_MS))
def test_a_later_question_never_has_an_earlier_answer(schedule: Schedule, now_ms: int, more_ms: int) -> None:
    first, second = next_ms(schedule, now_ms, job_id="j"), next_ms(schedule, now_ms + more_ms, job_id="j")
    assert first is not None
    assert second is not None
    assert first <= second
    if now_ms + more_ms < first:
        assert first == second


@given(st.integers(MIN_EVERY_MS, 400 * DAY_MS), times, times)
def test_an_interval_counts_from_its_anchor_and_leaves_nothing_out(every_ms: int, anchor_ms: int, now_ms: int) -> None:
    found = next_ms(Every(every_ms=every_ms, anchor_ms=anchor_ms), now_ms)
    assert found is not None
    assert (found - anchor_ms) % every_ms == 0
    assert found == anchor_ms or found - every_ms <= now_ms


@given(st.integers(0, 59), st.integers(0, 22), ZONES, times)
@example(30, 2, BERLIN, 1_743_292_800_000)
def test_a_fixed_time_of_day_is_met_once_every_day(minute: int, hour: int, tz: str, now_ms: int) -> None:
    """Two times of a daily job never fall on one day and never leave one out, whatever the clocks do."""
    schedule = Cron(expr=f"{minute} {hour} * * *", tz=tz)
    zone = ZoneInfo(tz or "UTC")
    first = next_ms(schedule, now_ms)
    assert first is not None
    second = next_ms(schedule, first)
    assert second is not None
    days = [datetime.fromtimestamp(each / 1000, zone).date() for each in (first, second)]
    assert (days[1] - days[0]).days == 1


def _at(text: str, tz: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()) * 1000


def _utc(found: int | None) -> str:
    assert found is not None
    return datetime.fromtimestamp(found / 1000, UTC).strftime("%m-%d %H:%M")


def test_a_time_in_the_missing_hour_runs_right_after_it_and_the_next_day_on_time() -> None:
    # In Berlin 02:00 became 03:00 on 28 March 2027, that is 01:00 UTC.
    schedule = Cron(expr="30 2 * * *", tz=BERLIN)
    first = next_ms(schedule, _at("2027-03-28T00:00"))
    assert _utc(first) == "03-28 01:00"
    assert first is not None
    assert _utc(next_ms(schedule, first)) == "03-29 00:30"


def test_a_time_in_the_doubled_hour_runs_in_the_first_of_the_two_only() -> None:
    # In Berlin 03:00 became 02:00 on 31 October 2027: 02:30 was at 00:30 and at 01:30 UTC.
    schedule = Cron(expr="30 2 * * *", tz=BERLIN)
    first = next_ms(schedule, _at("2027-10-31T00:00"))
    assert _utc(first) == "10-31 00:30"
    assert first is not None
    assert _utc(next_ms(schedule, first)) == "11-01 01:30"
    in_the_second = first + 3_600_000 - 600_000
    assert _utc(next_ms(schedule, in_the_second)) == "11-01 01:30"


def test_a_job_by_the_quarter_hour_goes_by_real_time_through_both_changes() -> None:
    schedule = Cron(expr="*/15 * * * *", tz=BERLIN)
    for midnight in ("2027-03-28T00:00", "2027-10-31T00:00"):
        at_ms, found = _at(midnight), []
        for _ in range(20):
            following = next_ms(schedule, at_ms)
            assert following is not None
            found.append(following - at_ms)
            at_ms = following
        assert set(found) == {900_000}


def test_one_time_is_due_until_it_is_there() -> None:
    schedule = At(at="2027-01-31T07:00:00+02:00")
    at_ms = next_ms(schedule, NOW_MS)
    assert at_ms == _at("2027-01-31T05:00:00", "UTC")
    assert next_ms(schedule, at_ms - 1) == at_ms
    assert next_ms(schedule, at_ms) is None


def test_a_time_without_an_offset_is_utc_and_a_number_is_milliseconds() -> None:
    assert at_time("2027-01-31T07:00:00") == at_time("2027-01-31T07:00:00Z") == at_time("1801378800000")


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-13-01", "99999999999999999", "1969-01-01T00:00:00Z", "1e9"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        at_time(text)


@pytest.mark.parametrize(
    "schedule",
    [
        Cron(expr="61 * * * *"),
        Cron(expr="* * * *"),
        Cron(expr=""),
        Cron(expr="0 0 31 4 *"),
        Cron(expr="* " * 200),
        Cron(expr="0 7 * * *", tz="Mars/Olympus"),
        Cron(expr="0 7 * * *", tz="../../etc/passwd"),
        Cron(expr="0 7 * * *", stagger_ms=-1),
        Every(every_ms=999),
        Every(every_ms=60_000, anchor_ms=-1),
        At(at="never"),
    ],
    ids=repr,
)
def test_a_schedule_that_can_never_be_due_is_refused(schedule: Schedule) -> None:
    with pytest.raises(InvalidRequest):
        check(schedule)


def test_the_default_zone_is_for_jobs_that_name_none() -> None:
    noon = Cron(expr="0 12 * * *")
    assert _utc(next_ms(noon, NOW_MS, default_tz="Asia/Tokyo")) == "01-16 03:00"
    assert _utc(next_ms(noon, NOW_MS)) == "01-15 12:00"
    assert _utc(next_ms(Cron(expr="0 12 * * *", tz="UTC"), NOW_MS, default_tz="Asia/Tokyo")) == "01-15 12:00"


@given(st.text(max_size=20), st.integers(1, DAY_MS))
def test_a_stagger_is_the_same_for_a_job_for_ever_and_below_its_bound(job_id: str, stagger_ms: int) -> None:
    shift = stagger_shift(job_id, stagger_ms)
    assert 0 <= shift < stagger_ms
    assert shift == stagger_shift(job_id, stagger_ms)


def test_a_stagger_moves_every_time_of_a_job_by_as_much() -> None:
    plain, moved = Cron(expr="0 * * * *"), Cron(expr="0 * * * *", stagger_ms=600_000)
    shift = stagger_shift("a-job", 600_000)
    assert shift
    found = next_ms(moved, NOW_MS, job_id="a-job")
    assert found is not None
    assert next_ms(plain, found - shift - 1) == found - shift
