"""A failure told whole: who was asked, in what order, with which outcome, and who was not asked and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from openclaw.base.errors import BudgetExceeded, ModelError, OpenClawError
from openclaw.models.call import Attempt


def told(error: OpenClawError, attempts: Sequence[Attempt], resting: Sequence[str]) -> OpenClawError:
    """Return the last error with every attempt named in its message and listed in `details["attempts"]`.

    Shape: `resting` says of each candidate in a cooldown for how long and why, as `details["resting"]` does.
    """
    if not attempts or not isinstance(error, ModelError | BudgetExceeded):
        return error
    details: dict[str, Any] = {**error.details, "attempts": [msgspec.to_builtins(attempt) for attempt in attempts]}
    story = "tried " + "; ".join(map(_words, attempts))
    if resting:
        details["resting"] = list(resting)
        story += f"; left alone: {'; '.join(resting)}"
    message = f"{error.message} ({story})"
    return type(error)(message, hint=error.hint, retry_after_s=error.retry_after_s, details=details)


def who(ref: str, credential: str) -> str:
    """Return how a candidate is named to people."""
    return f"{ref} with {credential}" if credential else ref


def _words(attempt: Attempt) -> str:
    after = f" after {attempt.waited_s:.3g} s" if attempt.waited_s else ""
    return f"{who(attempt.ref, attempt.credential)}{after}: {attempt.error_code}"
