"""One call on its way: who is asked, what was seen, what is set aside, and what became of each attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import (
    InternalError,
    ModelProtocol,
    ModelUnavailable,
    OpenClawError,
    RunAborted,
)
from openclaw.base.model import ModelEvent, ModelFinish, ModelRequest, TextDelta, ThinkingDelta, ToolCallDelta, Usage
from openclaw.models.call import Attempt, CallPlan, Hold
from openclaw.models.calling.cooldown import OPEN, Cooldowns, Road
from openclaw.models.calling.credentials import Credential, Credentials
from openclaw.models.calling.story import told, who
from openclaw.models.chain import TABLE, NextCredential, NextModel, Place, RetryAfter, Rule, Step, decide, kind_of
from openclaw.models.client import LLMClient
from openclaw.models.registry import Resolved
from openclaw.models.tokens import ASCII_CHARS_PER_TOKEN, OTHER_BYTES_PER_TOKEN, estimate_tokens
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.models")
_failovers = METRICS.counter(
    "openclaw_model_failovers", "Calls that went on with another model or credential.", ("from", "to", "code")
)
_cooldowns = METRICS.counter(
    "openclaw_model_cooldowns", "Times a model was left alone for a while.", ("provider", "model", "code")
)


class Candidate(msgspec.Struct, frozen=True):
    """A model with a credential. `name` is the credential's, empty where the provider has only the one."""

    ref: str
    provider: str
    name: str = ""
    credential: Credential | None = None

    @property
    def roads(self) -> tuple[Road, Road]:
        """What may be closed: this model by this credential, and the credential with every model."""
        return (self.provider, self.name, self.ref.partition("/")[2]), (self.provider, self.name, "")


class _Resolver(Protocol):
    def resolve(self, ref: str, credential: Credential | None = None) -> Resolved: ...


class Shared(Protocol):
    """What the calls of a gateway have in common (models.failover)."""

    @property
    def registry(self) -> _Resolver: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def random(self) -> Callable[[], float]: ...
    @property
    def cooldowns(self) -> Cooldowns: ...


class Trip:
    """The state of one call. After `failed` returned, `open` begins the next attempt, after a wait if one is due."""

    __slots__ = (
        "_at",
        "_attempts",
        "_began",
        "_hold",
        "_house",
        "_line",
        "_made",
        "_plan",
        "_request",
        "_seen",
        "_shown",
        "_since",
        "_stage",
        "_tokens",
        "_tries",
        "_visit",
        "_wait_s",
        "_waited_s",
    )

    def __init__(self, house: Shared, plan: CallPlan, attempts: list[Attempt], line: list[Candidate]) -> None:
        if not line:
            raise ModelUnavailable("no model is named", hint="Set agents.defaults.model.")
        self._house = house
        self._plan = plan
        self._attempts = attempts
        self._since = len(attempts)
        self._line = line
        self._at = 0
        self._tries = self._made = 0
        self._wait_s = self._waited_s = 0.0
        self._began = 0.0
        self._stage: Literal["waiting", "resolving", "preparing", "calling", "settling"] = "waiting"
        self._request: ModelRequest | None = None
        self._hold: Hold | None = None
        self._visit = OPEN
        self._seen = self._shown = False
        self._tokens = 0.0
        if len(house.cooldowns):
            self._go(self._first())

    async def open(self) -> tuple[LLMClient, ModelRequest]:
        """Begin the next attempt. Raises: what resolving, the plan's request and its purse raise."""
        house, plan = self._house, self._plan
        if self._wait_s:
            await house.clock.sleep(self._wait_s)
            self._look_again()
        self._stage = "resolving"
        self._tries += 1
        self._made += 1
        self._seen = False
        self._tokens = 0.0
        self._began = house.clock.monotonic_s()
        candidate = self._line[self._at]
        resolved = house.registry.resolve(candidate.ref, candidate.credential)
        self._stage = "preparing"
        self._request = request = plan.request(resolved.info)
        if plan.purse is not None:
            self._hold = await plan.purse.reserve(resolved.info, request)
        if plan.on_attempt is not None:
            plan.on_attempt(resolved.info)
        self._stage = "calling"
        return resolved.client, request

    def watch(self, batch: Sequence[ModelEvent]) -> bool:
        """Look at a batch before it is shown; return whether the next ones matter too."""
        if not self._seen:
            self._seen = True
            if self._visit is not OPEN:
                self._house.cooldowns.succeed(self._visit)
                self._visit = OPEN
        for event in batch:
            if type(event) is TextDelta:
                self._shown = self._shown or bool(event.text)
                self._tokens += _tokens_of(event.text)
            elif type(event) is ThinkingDelta:
                self._tokens += _tokens_of(event.text)
            elif type(event) is ToolCallDelta:
                self._tokens += _tokens_of(event.arguments)
        return self._hold is not None or not self._shown

    async def arrived(self, last: Sequence[ModelEvent]) -> None:
        """End the call well. Raises: ModelProtocol when the answer has no end."""
        finish = last[-1] if last else None
        if type(finish) is not ModelFinish:
            ref = self._line[self._at].ref
            raise ModelProtocol(f"{ref}: the stream ended before the answer did", details={"model": ref})
        self._record("", "")
        self._stage = "settling"
        if self._hold is not None:
            await self._pay(finish.usage)

    async def failed(self, error: OpenClawError) -> None:
        """Take in a failure: return when there is somebody to go on with.

        Raises: the error with every attempt named, when there is nobody, or when going on would be wrong.
        """
        try:
            await self._pay(None)
        except BaseException:
            self._house.cooldowns.leave(self._visit)
            raise
        kind = kind_of(error)
        same, others = self._ahead(without_credential=TABLE[kind].whole)
        place = Place(
            tries=self._tries,
            attempts=self._made,
            credentials=len(same),
            models=len({self._line[index].ref for index in others}),
            waited_s=self._waited_s,
            shown=self._shown,
            probe=bool(self._visit.probes),
            random=self._house.random(),
        )
        step = decide(kind, error.retry_after_s, place)
        left = self._line[self._at]
        if self._stage in ("resolving", "calling"):
            self._record(error.code, error.message)
            _tell(left, error, step)
        if isinstance(step, RetryAfter):
            self._wait_s = step.seconds
            self._waited_s += step.seconds
        else:
            self._close(left, TABLE[kind], error)
            if isinstance(step, NextCredential | NextModel):
                self._go(same[0] if isinstance(step, NextCredential) else others[0])
                _failovers.inc(left.ref, self._line[self._at].ref, error.code)
        self._stage = "waiting"
        if not isinstance(step, RetryAfter | NextCredential | NextModel):
            raise told(error, self._attempts[self._since :], self._resting())

    async def abandoned(self, last: Sequence[ModelEvent], reason: BaseException) -> None:
        """End a call that nobody waits for any more, or that broke by a fault of ours."""
        self._house.cooldowns.leave(self._visit)
        finish = last[-1] if last else None
        ended = isinstance(finish, ModelFinish)
        if self._stage == "calling":
            self._record("" if ended else _code_of(reason), "")
        await self._pay(finish.usage if isinstance(finish, ModelFinish) else None)

    # who is next

    def _first(self) -> int:
        """Return the first who may be asked; if all are left alone, the one whose time is over first."""
        now = self._house.clock.monotonic_s()
        cooldowns = self._house.cooldowns
        for index, candidate in enumerate(self._line):
            if cooldowns.ready(candidate.roads, now):
                return index
        return min(range(len(self._line)), key=lambda index: cooldowns.wait(self._line[index].roads, now)[0])

    def _ahead(self, *, without_credential: bool = False) -> tuple[list[int], list[int]]:
        """Return who may be asked after this one: the same model's further credentials, and other models."""
        here = self._line[self._at]
        now = self._house.clock.monotonic_s()
        cooldowns = self._house.cooldowns
        ahead = [
            index
            for index in range(self._at + 1, len(self._line))
            if (not len(cooldowns) or cooldowns.ready(self._line[index].roads, now))
            and not (without_credential and self._line[index].roads[1] == here.roads[1])
        ]
        return [i for i in ahead if self._line[i].ref == here.ref], [i for i in ahead if self._line[i].ref != here.ref]

    def _go(self, index: int) -> None:
        self._at = index
        self._tries = 0
        self._wait_s = 0.0
        self._visit = self._house.cooldowns.enter(self._line[index].roads, self._house.clock.monotonic_s())

    def _look_again(self) -> None:
        """After a wait: if others have given up on this model meanwhile, do not try it again but go on as they did."""
        cooldowns = self._house.cooldowns
        if self._visit.probes or not len(cooldowns):
            return
        here, now = self._line[self._at], self._house.clock.monotonic_s()
        if cooldowns.ready(here.roads, now):
            self._visit = cooldowns.enter(here.roads, now)
            return
        same, others = self._ahead()
        if ahead := same or others:
            waited_s = self._wait_s
            self._go(ahead[0])
            self._wait_s = waited_s
            _failovers.inc(here.ref, self._line[self._at].ref, self._attempts[-1].error_code)

    def _close(self, candidate: Candidate, rule: Rule, error: OpenClawError) -> None:
        visit, self._visit = self._visit, OPEN
        if self._stage != "calling" or self._shown or not rule.cooldown_s:
            self._house.cooldowns.leave(visit)
            return
        road = candidate.roads[1 if rule.whole else 0]
        now = self._house.clock.monotonic_s()
        after = error.retry_after_s
        if self._house.cooldowns.fail(road, visit, rule, code=error.code, retry_after_s=after, now_s=now):
            _cooldowns.inc(candidate.provider, road[2] or "*", error.code)
            if rule.whole:
                fields = {"provider": candidate.provider, "credential": candidate.name, "reason": error.message}
                _log.error("credential_rejected", extra={"fields": fields})
        if rule.credential and candidate.credential is not None:
            self._house.credentials.failed(candidate.credential)

    # money and story

    async def _pay(self, usage: Usage | None) -> None:
        """Settle with the usage, with what was seen if the provider told none, or give everything back."""
        hold, self._hold = self._hold, None
        if hold is None:
            return
        if usage is not None and usage.total_tokens:
            await hold.settle(usage)
        elif self._seen and self._request is not None:
            await hold.settle(Usage(estimate_tokens(self._request), int(self._tokens) + 1))
        else:
            await hold.release()

    def _record(self, code: str, message: str) -> None:
        candidate = self._line[self._at]
        took = self._house.clock.monotonic_s() - self._began
        self._attempts.append(
            Attempt(
                ref=candidate.ref,
                credential=candidate.name,
                error_code=code,
                message=message,
                waited_s=self._wait_s,
                took_ms=int(took * 1000),
            )
        )
        self._wait_s = 0.0

    def _resting(self) -> list[str]:
        """Say of everybody who was not asked because of a cooldown, how long it goes on and why."""
        now = self._house.clock.monotonic_s()
        asked = {(attempt.ref, attempt.credential) for attempt in self._attempts[self._since :]}
        out = []
        for other in self._line:
            seconds, code = self._house.cooldowns.wait(other.roads, now)
            if code and (other.ref, other.name) not in asked:
                out.append(f"{who(other.ref, other.name)} for {seconds:.0f} s after {code}")
        return out


def _tokens_of(text: str) -> float:
    if text.isascii():
        return len(text) / ASCII_CHARS_PER_TOKEN
    return len(text.encode("utf-8", "surrogatepass")) / OTHER_BYTES_PER_TOKEN


def _code_of(reason: BaseException) -> str:
    return InternalError.code if isinstance(reason, Exception) else RunAborted.code


def _tell(candidate: Candidate, error: OpenClawError, step: Step) -> None:
    fields: dict[str, Any] = {
        "ref": candidate.ref,
        "credential": candidate.name,
        "code": error.code,
        "next": type(step).__name__,
    }
    if isinstance(step, RetryAfter):
        fields["wait_s"] = round(step.seconds, 3)
    _log.warning("model_attempt_failed", extra={"fields": fields})
