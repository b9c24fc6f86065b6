"""How often, when not, what counts as silence, what waits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openclaw.automation.pulse import OK, asks_for_something, beating, every_ms, is_active, is_silence, shown
from openclaw.base.ids import AgentId
from openclaw.config.schema import ActiveHoursConfig, AgentConfig, AgentDefaults, AgentsConfig, HeartbeatConfig

MAIN = AgentId("main")


@pytest.mark.parametrize(
    ("text", "length_ms"),
    [
        ("", 0),
        ("0m", 0),
        ("30m", 1_800_000),
        ("2h", 7_200_000),
        ("15", 900_000),
        ("1ms", 1_000),
        ("soon", 0),
        ("1d", 86_400_000),
    ],
)
def test_an_interval_is_read(text: str, length_ms: int) -> None:
    assert every_ms(text) == length_ms


def test_nobody_has_heartbeats_unless_configured() -> None:
    assert beating(AgentsConfig(), MAIN) == {}
    assert beating(AgentsConfig(defaults=AgentDefaults(heartbeat=HeartbeatConfig())), MAIN) == {}


def test_the_default_agent_has_them_or_else_those_with_settings_of_their_own() -> None:
    often, seldom = HeartbeatConfig(every="5m"), HeartbeatConfig(every="2h")
    defaults = AgentDefaults(heartbeat=often)
    assert beating(AgentsConfig(defaults=defaults), MAIN) == {MAIN: often}
    own = AgentsConfig(defaults=defaults, list=(AgentConfig(id="main"), AgentConfig(id="bob", heartbeat=seldom)))
    assert beating(own, MAIN) == {AgentId("bob"): seldom}


@pytest.mark.parametrize(
    ("start", "end", "now", "active"),
    [
        ("08:00", "22:00", "08:00", True),
        ("08:00", "22:00", "22:00", False),
        ("08:00", "24:00", "23:59", True),
        ("22:00", "06:00", "23:00", True),
        ("22:00", "06:00", "05:59", True),
        ("22:00", "06:00", "06:00", False),
        ("09:00", "09:00", "03:00", True),
    ],
)
def test_hours_may_span_midnight(start: str, end: str, now: str, active: bool) -> None:
    at = datetime.fromisoformat(f"2027-01-15T{now}:00").replace(tzinfo=UTC)
    assert is_active(ActiveHoursConfig(start=start, end=end), int(at.timestamp() * 1000), "") is active


def test_hours_are_read_in_their_zone() -> None:
    noon_utc_ms = int(datetime(2027, 1, 15, 12, tzinfo=UTC).timestamp() * 1000)
    hours = ActiveHoursConfig(start="08:00", end="18:00")
    assert is_active(hours, noon_utc_ms, "Europe/Berlin")
    assert not is_active(hours, noon_utc_ms, "Asia/Tokyo")


@pytest.mark.parametrize(
    ("text", "silent"),
    [
        (OK, True),
        (f"**{OK}**.", True),
        (f"{OK} all quiet", True),
        (f"Nothing to report. {OK}", True),
        (f"{OK} " + "x" * 31, False),
        ("NO_REPLY", True),
        ("", True),
        ("The build is red.", False),
        (f"I will say {OK} when it is done, but now it is not.", False),
    ],
)
def test_an_answer_that_has_nothing_to_tell_is_silence(text: str, silent: bool) -> None:
    assert is_silence(text, 30) is silent


@pytest.mark.parametrize(
    ("checklist", "asks"),
    [
        ("", False),
        ("# Heartbeat\n\n<!-- add tasks -->\n- \n- [ ]\n", False),
        ("# Heartbeat\n- look at the mail", True),
        ("water the plants", True),
    ],
)
def test_a_checklist_of_headings_and_empty_items_asks_for_nothing(checklist: str, asks: bool) -> None:
    assert asks_for_something(checklist) is asks


def test_what_is_shown_says_off_when_it_is_off() -> None:
    assert shown(None, on=True)["enabled"] is False
    assert shown(HeartbeatConfig(every="5m"), on=False)["every"] == "disabled"
    assert shown(HeartbeatConfig(every="5m"), on=True)["everyMs"] == 300_000
