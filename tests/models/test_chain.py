"""The failover table: every kind of failure in every position."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base import errors
from openclaw.base.errors import BudgetExceeded, ModelError, ModelTimeout, catalogue
from openclaw.models.chain import (
    LAST_PATIENCE_S,
    MAX_ATTEMPTS,
    MAX_COOLDOWN_S,
    MAX_WAIT_S,
    PATIENCE_S,
    RETRIES,
    TABLE,
    Compact,
    Kind,
    NextCredential,
    NextModel,
    Place,
    RetryAfter,
    Stop,
    backoff_s,
    cooldown_s,
    decide,
    kind_of,
)

POSITIONS: dict[str, Place] = {
    "alone": Place(),
    "credential": Place(credentials=1),
    "model": Place(models=1),
    "both": Place(credentials=1, models=1),
    "retried, model": Place(tries=RETRIES + 1, models=1),
    "retried, alone": Place(tries=RETRIES + 1),
    "probe, model": Place(probe=True, models=1),
    "probe, alone": Place(probe=True),
    "shown": Place(shown=True, credentials=1, models=1),
    "worn out": Place(attempts=MAX_ATTEMPTS, credentials=1, models=1),
}
_AGAIN = "again again again again model stop model again stop stop"
_MOVE_ON = "stop stop model model model stop model stop stop stop"
_GIVE_UP = "stop stop stop stop stop stop stop stop stop stop"
GRID: dict[str, str] = {
    "rate-limited": "again cred again cred model stop model again stop stop",
    "overloaded": _AGAIN,
    "connect-timeout": _AGAIN,
    "unreachable": _AGAIN,
    "protocol": _AGAIN,
    "slow": _MOVE_ON,
    "not-found": _MOVE_ON,
    "unavailable": _MOVE_ON,
    "unknown": _MOVE_ON,
    "auth": "stop cred model cred model stop model stop stop stop",
    "overflow": "compact compact compact compact compact compact compact compact stop compact",
    "content-filter": _GIVE_UP,
    "bad-request": _GIVE_UP,
    "budget": _GIVE_UP,
}
STEPS = {"again": RetryAfter, "cred": NextCredential, "model": NextModel, "stop": Stop, "compact": Compact}
CELLS = [(kind, position, word) for kind in GRID for position, word in zip(POSITIONS, GRID[kind].split(), strict=True)]


def test_the_grid_covers_the_whole_table() -> None:
    assert set(GRID) == set(TABLE) == set(get_args(Kind))


@pytest.mark.parametrize(("kind", "position", "word"), CELLS)
def test_every_kind_of_failure_in_every_position(kind: Kind, position: str, word: str) -> None:
    assert type(decide(kind, None, POSITIONS[position])) is STEPS[word]


def test_every_model_error_has_a_kind_of_its_own() -> None:
    classes = [cls for cls in catalogue().values() if issubclass(cls, ModelError)]
    kinds = {kind_of(cls("x")) for cls in (*classes, BudgetExceeded)}
    assert kinds == set(TABLE) - {"connect-timeout"}
    assert kind_of(ModelTimeout("x", details={"timeout": "connect"})) == "connect-timeout"
    assert kind_of(ModelTimeout("x", details={"timeout": "first_token"})) == "slow"


def test_an_error_that_is_no_models_ends_the_call() -> None:
    assert decide(kind_of(errors.StateLocked("x")), None, Place(models=3)) == Stop()


@pytest.mark.parametrize("kind", ["rate-limited", "overloaded"])
@pytest.mark.parametrize(
    ("asked", "place", "step"),
    [
        (7.0, Place(), RetryAfter(7.0)),
        (7.0, Place(models=1), RetryAfter(7.0)),
        (0.0, Place(), RetryAfter(0.0)),
        (PATIENCE_S + 0.1, Place(models=1), NextModel()),
        (PATIENCE_S + 0.1, Place(), RetryAfter(PATIENCE_S + 0.1)),
        (LAST_PATIENCE_S, Place(), RetryAfter(LAST_PATIENCE_S)),
        (LAST_PATIENCE_S + 0.1, Place(), Stop()),
        (7.0, Place(waited_s=MAX_WAIT_S - 6.9), Stop()),
    ],
)
def test_we_wait_exactly_as_long_as_we_are_asked_or_not_at_all(
    kind: Kind, asked: float, place: Place, step: object
) -> None:
    assert decide(kind, asked, place) == step


def test_without_a_wish_the_wait_grows_and_is_spread_by_chance() -> None:
    assert [backoff_s(tries, 0.0) for tries in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert decide("overloaded", None, Place(tries=2, random=0.5)) == RetryAfter(0.75)


@given(
    kind=st.sampled_from(sorted(TABLE)),
    asked=st.none() | st.floats(0, 1e6),
    tries=st.integers(1, 10),
    attempts=st.integers(1, 100),
    credentials=st.integers(0, 3),
    models=st.integers(0, 3),
    waited=st.floats(0, 1e4),
    shown=st.booleans(),
    probe=st.booleans(),
    random=st.floats(0, 0.999),
)
def test_no_step_goes_where_nobody_is_or_waits_too_long(
    kind: Kind,
    asked: float | None,
    tries: int,
    attempts: int,
    credentials: int,
    models: int,
    waited: float,
    shown: bool,
    probe: bool,
    random: float,
) -> None:
    place = Place(
        tries=tries,
        attempts=attempts,
        credentials=credentials,
        models=models,
        waited_s=waited,
        shown=shown,
        probe=probe,
        random=random,
    )
    step = decide(kind, asked, place)
    assert not (shown and not isinstance(step, Stop))
    assert not (isinstance(step, NextCredential) and not credentials)
    assert not (isinstance(step, NextModel) and not models)
    if isinstance(step, RetryAfter):
        assert tries <= RETRIES
        assert 0 <= step.seconds <= MAX_WAIT_S - waited
        assert asked is None or step.seconds == asked


def test_a_cooldown_doubles_to_its_cap_and_is_never_shorter_than_asked() -> None:
    rule = TABLE["overloaded"]
    assert [cooldown_s(rule, failures, None) for failures in (1, 2, 3, 99)] == [15, 30, 60, 300]
    assert cooldown_s(rule, 1, 100.0) == 100
    assert cooldown_s(rule, 1, 1e9) == MAX_COOLDOWN_S
