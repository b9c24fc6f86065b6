"""What a route says about itself: the data that the OpenAPI document, the docs page and docs/http.md are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

JSON_MEDIA: Final = "application/json"
TEXT_MEDIA: Final = "text/plain"
HTML_MEDIA: Final = "text/html"
EVENTS_MEDIA: Final = "text/event-stream"

RUN_ERRORS: Final = (404, 409, 422, 429, 502, 503, 504)
"""How a run can fail: its model, its limits, its lane, somebody's stop."""

SESSION_HEADER: Final = ("x-openclaw-session-key", "Keeps the conversation in the session of this name.")
AGENT_HEADER: Final = ("x-openclaw-agent-id", "The agent that answers, whatever `model` says.")
MODEL_HEADER: Final = ("x-openclaw-model", "`provider/model` to use instead of the agent's own.")


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went wrong. `code` is one of docs/errors.md; `hint` says what to do."""

    message: str
    type: str
    code: str = ""
    hint: str = ""


class Failure(msgspec.Struct, frozen=True):
    """The body of every refusal."""

    error: Problem


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `answer` and `request` are types with a JSON schema; without `answer` the body is text.

    Shape: `streams` says that server-sent events may come instead of JSON; `errors` are the statuses beyond those that
    follow from the route itself; `statuses` are all that carry `answer`; `headers` are (name, meaning). `refusal` is a
    type of refusals beside Failure; such a route may also refuse in plain text.
    """

    summary: str
    answer: Any = None
    request: Any = None
    media: str = JSON_MEDIA
    streams: bool = False
    statuses: tuple[int, ...] = (200,)
    errors: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    refusal: Any = None
    needs_body: bool = True
    """Of a route that takes a body: whether one must come."""
    takes: str = ""
    """Media type of a body that is bytes, not JSON."""
