"""Two actions that language models need, because they are bad at counting days.

Configuration (openclaw.json):

    actions: [
      { name: "days_between", module: "calendar_days", class: "DaysBetween", path: "examples/actions",
        args: { holidays: ["2026-12-25", "2027-01-01"] } },
      { name: "add_days", module: "calendar_days", class: "add_days", path: "examples/actions" },
    ]
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from openclaw import Action, action
from openclaw.sdk import ToolError

MAX_DAYS = 366 * 400


class DaysBetween(Action):
    """Count the days from one date to another, all days or working days only."""

    def __init__(self, holidays: list[date] | None = None) -> None:
        self.holidays = frozenset(holidays or ())

    def run(self, start: date, end: date, count: Literal["all", "working"] = "all") -> int:
        """Count the days after `start` up to and including `end`.

        Args:
            start: First date, e.g. 2026-11-20.
            end: Last date; it must not be before start.
            count: Whether weekends and holidays count.
        """
        days = (end - start).days
        if not 0 <= days <= MAX_DAYS:
            raise ToolError(f"end must be 0 to {MAX_DAYS} days after start; it is {days}.")
        if count == "all":
            return days
        return sum(self._is_working(start + timedelta(day)) for day in range(1, days + 1))

    def _is_working(self, day: date) -> bool:
        return day.weekday() < 5 and day not in self.holidays


@action
def add_days(start: date, days: int) -> str:
    """Tell the date and the weekday that lie a number of days after a date (or before it, if negative).

    Args:
        start: The date to count from, e.g. 2026-11-20.
        days: How many days to add.
    """
    try:
        day = start + timedelta(days)
    except OverflowError:
        raise ToolError("That date is beyond the calendar (years 1 to 9999).") from None
    return f"{day.isoformat()}, a {day:%A}"
