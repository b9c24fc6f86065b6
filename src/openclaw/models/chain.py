"""What to do after a model call failed. Pure: a table, no clock of its own, no I/O.

1. Text that was shown is never repeated: after it every failure ends the call.
2. A request that would fail anywhere (malformed, filtered, over the budget) ends the call. One that is too long goes
   back to the caller at once, who makes it smaller.
3. A failure that is the credential's own (refused, rate-limited) goes on at once with the same model's next credential.
   One that is refused is left for long, by every model; the chain goes on without it.
4. A rate limit, an overload, a broken answer or connection is worth RETRIES more tries with the same credential. Before
   each we wait exactly as long as the provider says, and where it says nothing for a growing time with jitter.
5. Nobody waits longer than is sensible: PATIENCE_S when somebody else could answer, LAST_PATIENCE_S when nobody else is
   left, MAX_WAIT_S over the whole call. What would take longer is left for the next model.
6. A provider that was too slow, a model that does not exist, a provider that cannot be used: the next model, no retry.
7. Who is probed after a cooldown is not retried while somebody else could answer.
8. A call ends after MAX_ATTEMPTS, whatever is left.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw.base.errors import (
    BudgetExceeded,
    ModelAuth,
    ModelBadRequest,
    ModelContentFiltered,
    ModelContextOverflow,
    ModelError,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelTimeout,
    ModelUnavailable,
    ModelUnreachable,
    OpenClawError,
)

RETRIES = 2
PATIENCE_S = 10.0
LAST_PATIENCE_S = 60.0
MAX_WAIT_S = 120.0
MAX_ATTEMPTS = 24
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 8.0
MAX_COOLDOWN_S = 6 * 3600.0

Kind = Literal[
    "rate-limited",
    "overloaded",
    "connect-timeout",
    "slow",
    "unreachable",
    "protocol",
    "auth",
    "not-found",
    "unavailable",
    "overflow",
    "content-filter",
    "bad-request",
    "budget",
    "unknown",
]


class RetryAfter(msgspec.Struct, frozen=True):
    """Wait, then call the same model with the same credential."""

    seconds: float


class NextCredential(msgspec.Struct, frozen=True):
    """Call the same model with the provider's next credential."""


class NextModel(msgspec.Struct, frozen=True):
    """Call the next model."""


class Stop(msgspec.Struct, frozen=True):
    """Give up: the caller is told."""


class Compact(msgspec.Struct, frozen=True):
    """Tell the caller to make the conversation smaller and to call again."""


Step = RetryAfter | NextCredential | NextModel | Stop | Compact


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of failure asks for.

    Shape: `cooldown_s` is the first cooldown of whoever is left behind, 0 for none; it doubles up to `cooldown_cap_s`.
    `credential`: the failure is the credential's own. `whole`: it concerns every model of that credential.
    """

    then: Literal["next", "stop", "compact"]
    retries: int = 0
    credential: bool = False
    whole: bool = False
    cooldown_s: float = 0.0
    cooldown_cap_s: float = 0.0


TABLE: dict[Kind, Rule] = {
    "rate-limited": Rule(then="next", retries=RETRIES, credential=True, cooldown_s=30, cooldown_cap_s=600),
    "overloaded": Rule(then="next", retries=RETRIES, cooldown_s=15, cooldown_cap_s=300),
    "connect-timeout": Rule(then="next", retries=RETRIES, cooldown_s=15, cooldown_cap_s=300),
    "unreachable": Rule(then="next", retries=RETRIES, cooldown_s=15, cooldown_cap_s=300),
    "protocol": Rule(then="next", retries=RETRIES, cooldown_s=15, cooldown_cap_s=300),
    "slow": Rule(then="next", cooldown_s=30, cooldown_cap_s=600),
    "auth": Rule(then="next", credential=True, whole=True, cooldown_s=600, cooldown_cap_s=MAX_COOLDOWN_S),
    "not-found": Rule(then="next", cooldown_s=300, cooldown_cap_s=3600),
    "unavailable": Rule(then="next", cooldown_s=10, cooldown_cap_s=60),
    "unknown": Rule(then="next", cooldown_s=15, cooldown_cap_s=300),
    "overflow": Rule(then="compact"),
    "content-filter": Rule(then="stop"),
    "bad-request": Rule(then="stop"),
    "budget": Rule(then="stop"),
}

_KINDS: tuple[tuple[type[OpenClawError], Kind], ...] = (
    (ModelRateLimited, "rate-limited"),
    (ModelOverloaded, "overloaded"),
    (ModelTimeout, "slow"),
    (ModelUnreachable, "unreachable"),
    (ModelProtocol, "protocol"),
    (ModelAuth, "auth"),
    (ModelNotFound, "not-found"),
    (ModelUnavailable, "unavailable"),
    (ModelContextOverflow, "overflow"),
    (ModelContentFiltered, "content-filter"),
    (ModelBadRequest, "bad-request"),
    (ModelError, "unknown"),
    (BudgetExceeded, "budget"),
)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call stands when an attempt has failed.

    Shape: `tries` counts the attempts of this model with this credential, the failed one included; `attempts` those of
    the whole call. `credentials` and `models` count who else could be asked now. `random` is in [0, 1).
    """

    tries: int = 1
    attempts: int = 1
    credentials: int = 0
    models: int = 0
    waited_s: float = 0.0
    shown: bool = False
    probe: bool = False
    random: float = 0.0


def kind_of(error: OpenClawError) -> Kind:
    """Return the row of the table that an error belongs to; one that is no model's ends the call."""
    if isinstance(error, ModelTimeout) and error.details.get("timeout") == "connect":
        return "connect-timeout"
    return next((kind for cls, kind in _KINDS if isinstance(error, cls)), "budget")


def decide(kind: Kind, retry_after_s: float | None, place: Place) -> Step:
    """Return the next step after a failure."""
    rule = TABLE[kind]
    if place.shown or rule.then == "stop":
        return Stop()
    if rule.then == "compact":
        return Compact()
    if place.attempts >= MAX_ATTEMPTS:
        return Stop()
    if rule.credential and place.credentials:
        return NextCredential()
    others = place.credentials + place.models > 0
    if place.tries <= rule.retries and not (place.probe and others):
        seconds = backoff_s(place.tries, place.random) if retry_after_s is None else retry_after_s
        patience = PATIENCE_S if others else LAST_PATIENCE_S
        if seconds <= patience and place.waited_s + seconds <= MAX_WAIT_S:
            return RetryAfter(seconds)
    return NextModel() if place.models else Stop()


def backoff_s(tries: int, random: float) -> float:
    """Return how long to wait before the next try: it doubles; half of it is random, so that callers spread out."""
    whole = min(FIRST_BACKOFF_S * 2.0 ** (tries - 1), MAX_BACKOFF_S)
    return whole * (0.5 + random / 2)


def cooldown_s(rule: Rule, failures: int, retry_after_s: float | None) -> float:
    """Return how long to leave alone who failed that many times in a row; never shorter than the provider asks."""
    grown = min(rule.cooldown_s * 2.0 ** min(failures - 1, 32), rule.cooldown_cap_s)
    return min(max(grown, retry_after_s or 0.0), MAX_COOLDOWN_S)
