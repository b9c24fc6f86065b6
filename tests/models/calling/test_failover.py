"""Failover as a whole: who is asked, when, with whose money, and what is told when nobody answered."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
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
)
from openclaw.base.model import (
    ModelEvent,
    ModelFinish,
    ModelInfo,
    ModelRequest,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from openclaw.models.call import Attempt, CallPlan
from openclaw.models.chain import MAX_ATTEMPTS, RETRIES, TABLE, Kind
from openclaw.telemetry.metrics import METRICS
from tests.models.scripted import (
    USAGE,
    Broken,
    CountingPurse,
    Endless,
    Hang,
    Outcome,
    ScriptedModels,
    StuckPurse,
    answer,
    failover,
    in_time,
    plan,
    profiles,
    seen,
    settle,
)

pytestmark = pytest.mark.anyio

A, B, C = "acme/large", "birch/large", "cedar/large"
ERRORS: dict[Kind, ModelError] = {
    "rate-limited": ModelRateLimited("429"),
    "overloaded": ModelOverloaded("529"),
    "connect-timeout": ModelTimeout("connect", details={"timeout": "connect"}),
    "slow": ModelTimeout("first", details={"timeout": "first_token"}),
    "unreachable": ModelUnreachable("refused"),
    "protocol": ModelProtocol("half"),
    "auth": ModelAuth("401"),
    "not-found": ModelNotFound("404"),
    "unavailable": ModelUnavailable("no file"),
    "overflow": ModelContextOverflow("long"),
    "content-filter": ModelContentFiltered("no"),
    "bad-request": ModelBadRequest("400"),
    "unknown": ModelError("?"),
}
UPSTREAM = ModelRateLimited("slow down", retry_after_s=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_an_answer_costs_one_attempt_and_no_wait(clock: ManualClock) -> None:
    models = ScriptedModels(clock)
    attempts: list[Attempt] = []
    assert (await answer(failover(models), plan(A, B), attempts)).text == "fine"
    assert models.asked == [A]
    assert [(a.ref, a.error_code, a.waited_s) for a in attempts] == [(A, "", 0.0)]


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("kind", sorted(ERRORS))
async def test_every_kind_of_failure_at_every_place_of_the_chain(clock: ManualClock, kind: Kind, position: int) -> None:
    """Those before the place do not exist; the one at the place always fails; those after it would answer."""
    refs = [A, B, C]
    before: dict[str, list[Outcome]] = {ref: [ModelNotFound("404")] for ref in refs[:position]}
    models = ScriptedModels(clock, {**before, refs[position]: [ERRORS[kind]] * 9})
    rule = TABLE[kind]
    tries = rule.retries + 1
    expected = refs[:position] + [refs[position]] * tries
    attempts: list[Attempt] = []
    if rule.then == "next" and position < 2:
        expected.append(refs[position + 1])
        assert (await in_time(clock, answer(failover(models), plan(*refs), attempts))).text == "fine"
    else:
        with pytest.raises(type(ERRORS[kind])) as failure:
            await in_time(clock, answer(failover(models), plan(*refs), attempts))
        assert [each["ref"] for each in failure.value.details["attempts"]] == expected
    assert models.asked == expected == [attempt.ref for attempt in attempts]
    assert models.closed == len(expected)


async def test_a_429_with_retry_after_7_waits_7_seconds(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [UPSTREAM]})
    attempts: list[Attempt] = []
    work = asyncio.ensure_future(answer(failover(models), plan(A, B), attempts))
    await settle()
    clock.advance(6.99)
    await settle()
    assert models.asked == [A]
    clock.advance(0.01)
    assert (await work).text == "fine"
    assert [(call.ref, call.at_s) for call in models.calls] == [(A, 0.0), (A, 7.0)]
    assert [attempt.waited_s for attempt in attempts] == [0.0, 7.0]


async def test_a_wait_that_is_too_long_is_left_for_the_next_model_and_kept_as_cooldown(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelRateLimited("later", retry_after_s=90)]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    clock.advance(89)
    await answer(caller, plan(A, B))
    clock.advance(1)
    await answer(caller, plan(A, B))
    assert models.asked == [A, B, B, A]


async def test_retries_wait_longer_each_time(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelOverloaded("529")] * 3})
    await in_time(clock, answer(failover(models), plan(A, B)))
    assert [(call.ref, call.at_s) for call in models.calls] == [(A, 0.0), (A, 0.375), (A, 1.125), (B, 1.125)]


async def test_a_refused_credential_does_not_burn_the_chain(
    clock: ManualClock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profiles(tmp_path, ["acme:one", "acme:two"])
    bad = {f"{A} acme:one": [ModelAuth("401")], f"{A} acme:two": [ModelAuth("401")]}
    models = ScriptedModels(clock, bad)
    caller = failover(models, tmp_path)
    with caplog.at_level(logging.ERROR, "openclaw.models"):
        await answer(caller, plan(A, "acme/small", B))
    assert models.asked == [f"{A} acme:one", f"{A} acme:two", B]
    alerts = [record for record in caplog.records if record.message == "credential_rejected"]
    assert [record.__dict__["fields"]["credential"] for record in alerts] == ["acme:one", "acme:two"]
    await answer(caller, plan("acme/small", B))
    assert models.asked[3:] == [B]


async def test_a_rate_limited_credential_makes_place_for_the_next_at_once(clock: ManualClock, tmp_path: Path) -> None:
    profiles(tmp_path, ["acme:one", "acme:two"])
    models = ScriptedModels(clock, {f"{A} acme:one": [UPSTREAM]})
    caller = failover(models, tmp_path)
    await answer(caller, plan(A, B))
    await answer(caller, plan(A, B))
    clock.advance(31)
    await answer(caller, plan(A, B))
    assert models.asked == [f"{A} acme:one", f"{A} acme:two", f"{A} acme:two", f"{A} acme:two"]


async def test_the_configured_key_comes_after_the_profiles(clock: ManualClock, tmp_path: Path) -> None:
    profiles(tmp_path, ["acme:one"])
    models = ScriptedModels(clock, {f"{A} acme:one": [ModelAuth("401")]})
    models.own_keys.add("acme")
    attempts: list[Attempt] = []
    await answer(failover(models, tmp_path), plan(A), attempts)
    assert [attempt.credential for attempt in attempts] == ["acme:one", "configured"]


async def test_one_probe_goes_back_to_the_primary_while_the_others_stay_with_the_fallback(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("first"), Hang()]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    clock.advance(30)
    probe = asyncio.ensure_future(answer(caller, plan(A, B)))
    await settle()
    for _ in range(5):
        await answer(caller, plan(A, B))
    assert models.asked == [A, B, A, *[B] * 5]
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    await answer(caller, plan(A, B))  # the probe was given up: this is the next, and it succeeds
    await answer(caller, plan(A, B))
    assert models.asked[8:] == [A, A]


async def test_of_many_calls_waiting_for_a_probe_none_joins_it(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("first"), Hang()]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    clock.advance(30)
    work = [asyncio.ensure_future(answer(caller, plan(A, B))) for _ in range(50)]
    await settle(50)
    assert (models.asked[2:].count(A), models.asked[2:].count(B)) == (1, 49)
    assert sum(task.done() for task in work) == 49
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


async def test_a_probe_is_not_retried_while_somebody_else_could_answer(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("first"), ModelOverloaded("529")]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    clock.advance(30)
    await answer(caller, plan(A, B))
    assert models.asked == [A, B, A, B]
    clock.advance(29)
    await answer(caller, plan(A, B))
    assert models.asked[4:] == [B]


async def test_when_everybody_rests_the_one_due_first_is_asked_all_the_same(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("a")], B: [ModelNotFound("b")]})
    caller = failover(models)
    with pytest.raises(ModelNotFound):
        await answer(caller, plan(A, B))
    await answer(caller, plan(A, B))
    await answer(caller, plan(A, B))
    assert models.asked == [A, B, A, A]


async def test_a_failure_names_those_who_rest_too(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("a")], B: ["fine", ModelBadRequest("b")]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    with pytest.raises(ModelBadRequest) as failure:
        await answer(caller, plan(A, B))
    assert failure.value.details["resting"] == [f"{A} for 30 s after MODEL_TIMEOUT"]


async def test_who_waited_while_others_gave_up_goes_on_as_they_did(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelOverloaded("529"), ModelTimeout("first")]})
    caller = failover(models)
    attempts: list[Attempt] = []
    waiting = asyncio.ensure_future(answer(caller, plan(A, B), attempts))
    await settle()
    await answer(caller, plan(A, B))
    await in_time(clock, waiting)
    assert models.asked == [A, A, B, B]
    assert [(attempt.ref, attempt.waited_s) for attempt in attempts] == [(A, 0.0), (B, 0.375)]


async def test_who_waited_until_the_cooldown_was_over_is_the_probe(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelRateLimited("429", retry_after_s=40), ModelTimeout("first"), Hang()]})
    caller = failover(models)
    waiting = asyncio.ensure_future(answer(caller, plan(A)))
    await settle()
    await answer(caller, plan(A, B))
    clock.advance(40)
    await settle()
    await answer(caller, plan(A, B))
    assert models.asked == [A, A, B, A, B]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_probe_cancelled_while_its_money_goes_back_leaves_the_probe_to_the_next(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelTimeout("first"), ModelTimeout("first")]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    clock.advance(30)
    probe = asyncio.ensure_future(answer(caller, plan(A, B, purse=StuckPurse())))
    await settle()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await answer(caller, plan(A, B))
    assert models.asked == [A, B, A, A]


async def test_a_model_that_cannot_be_resolved_is_passed_over_without_a_cooldown(clock: ManualClock) -> None:
    models = ScriptedModels(clock)
    models.missing[A] = ModelUnavailable("no key")
    caller = failover(models)
    attempts: list[Attempt] = []
    await answer(caller, plan(A, B), attempts)
    assert [(attempt.ref, attempt.error_code) for attempt in attempts] == [(A, "MODEL_UNAVAILABLE"), (B, "")]
    del models.missing[A]
    await answer(caller, plan(A, B))
    assert models.asked == [B, A]


async def test_a_stream_that_breaks_after_text_closes_no_road(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [Broken([TextDelta("Once")], ModelTimeout("idle"))]})
    caller = failover(models)
    with pytest.raises(ModelTimeout):
        await answer(caller, plan(A, B))
    await answer(caller, plan(A, B))
    assert models.asked == [A, A]


async def test_a_reset_forgets_the_cooldowns(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelAuth("401")]})
    caller = failover(models)
    await answer(caller, plan(A, B))
    caller.reset()
    await answer(caller, plan(A, B))
    assert models.asked == [A, B, A]


async def test_nothing_is_repeated_after_text(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [Broken([TextDelta("Once")], ModelUnreachable("reset"))]})
    events: list[ModelEvent] = []
    with pytest.raises(ModelUnreachable):
        await in_time(clock, seen(failover(models), plan(A, B), events, []))
    assert models.asked == [A]
    assert events == [TextDelta("Once")]


async def test_thoughts_and_half_tool_calls_may_be_begun_again(clock: ManualClock) -> None:
    pieces: list[ModelEvent] = [ThinkingDelta("hm"), ToolCallDelta(0, "c", "read_file", "{")]
    models = ScriptedModels(clock, {A: [Broken(pieces, ModelUnreachable("reset"))]})
    assert (await in_time(clock, answer(failover(models), plan(A)))).text == "fine"
    assert models.asked == [A, A]


async def test_a_stream_without_an_end_is_a_failure(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [Endless([ThinkingDelta("hm")])] * 3})
    with pytest.raises(ModelProtocol):
        await in_time(clock, answer(failover(models), plan(A)))
    assert models.asked == [A] * 3


async def test_an_overflow_goes_to_the_caller_at_once(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelContextOverflow("too long")]})
    with pytest.raises(ModelContextOverflow):
        await answer(failover(models), plan(A, B))
    assert models.asked == [A]


async def test_a_request_that_cannot_be_built_is_the_callers(clock: ManualClock) -> None:
    def request(info: ModelInfo) -> ModelRequest:
        raise ModelContextOverflow("does not fit")

    models = ScriptedModels(clock)
    attempts: list[Attempt] = []
    with pytest.raises(ModelContextOverflow):
        await answer(failover(models), CallPlan(refs=(A, B), request=request), attempts)
    assert models.asked == []
    assert attempts == []


async def test_a_whole_answer_looks_like_a_stream_of_one_batch(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [ModelOverloaded("529")]})
    assert (await in_time(clock, answer(failover(models), plan(A, stream=False)))).text == "fine"
    assert models.asked == [A, A]


async def test_no_model_is_a_clear_error(clock: ManualClock) -> None:
    with pytest.raises(ModelUnavailable):
        await answer(failover(ScriptedModels(clock)), plan())


async def test_the_caller_is_told_before_each_attempt(clock: ManualClock) -> None:
    told: list[str] = []
    models = ScriptedModels(clock, {A: [ModelTimeout("first")]})
    wanted = plan(A, B)
    wanted = CallPlan(refs=wanted.refs, request=wanted.request, on_attempt=lambda info: told.append(info.ref))
    await answer(failover(models), wanted)
    assert told == [A, B]


async def test_a_failover_is_counted(clock: ManualClock) -> None:
    counter = METRICS.counter("openclaw_model_failovers", "", ("from", "to", "code"))
    rest = METRICS.counter("openclaw_model_cooldowns", "", ("provider", "model", "code"))
    before, rested = counter.value(A, B, "MODEL_TIMEOUT"), rest.value("acme", "large", "MODEL_TIMEOUT")
    await answer(failover(ScriptedModels(clock, {A: [ModelTimeout("first")]})), plan(A, B))
    assert counter.value(A, B, "MODEL_TIMEOUT") == before + 1
    assert rest.value("acme", "large", "MODEL_TIMEOUT") == rested + 1


# leaving


async def test_a_wait_ends_at_once_when_the_call_is_cancelled(clock: ManualClock) -> None:
    models = ScriptedModels(clock, {A: [UPSTREAM]})
    purse = CountingPurse()
    attempts: list[Attempt] = []
    work = asyncio.ensure_future(answer(failover(models), plan(A, purse=purse), attempts))
    await settle()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert purse.balanced()
    assert [attempt.error_code for attempt in attempts] == ["MODEL_RATE_LIMITED"]


@pytest.mark.parametrize("outcome", ["before", "middle"])
async def test_a_call_left_in_the_middle_is_recorded_and_paid_for(clock: ManualClock, outcome: str) -> None:
    purse = CountingPurse()
    attempts: list[Attempt] = []
    models = ScriptedModels(clock, {A: [Hang()] if outcome == "before" else ["a long answer"]})
    source = failover(models).call(plan(A, purse=purse), attempts)
    if outcome == "before":
        work = asyncio.ensure_future(anext(source))
        await settle()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert purse.holds[0].ends == [None]
    else:
        async with aclosing(source):
            assert await anext(source) == (TextDelta("a long answer"),)
        (paid,) = purse.holds[0].ends
        assert paid is not None
        assert paid.output_tokens >= 4
        assert paid.input_tokens >= 1
    assert [attempt.error_code for attempt in attempts] == ["RUN_ABORTED"]
    assert models.closed == 1


async def test_a_fault_of_ours_is_passed_on_and_nothing_stays_open(clock: ManualClock) -> None:
    purse = CountingPurse()
    attempts: list[Attempt] = []
    models = ScriptedModels(clock, {A: [Broken([], ZeroDivisionError())]})
    with pytest.raises(ZeroDivisionError):
        await answer(failover(models), plan(A, B, purse=purse), attempts)
    assert purse.balanced()
    assert [attempt.error_code for attempt in attempts] == ["INTERNAL"]


# money


async def test_the_real_usage_is_settled(clock: ManualClock) -> None:
    purse = CountingPurse()
    models = ScriptedModels(clock, {A: [ModelTimeout("first")]})
    await answer(failover(models), plan(A, B, purse=purse))
    assert [hold.ends for hold in purse.holds] == [[None], [USAGE]]


async def test_a_reader_that_leaves_after_the_end_pays_the_real_usage(clock: ManualClock) -> None:
    purse = CountingPurse()
    attempts: list[Attempt] = []
    source = failover(ScriptedModels(clock)).call(plan(A, purse=purse), attempts)
    async with aclosing(source):
        await anext(source)
        await anext(source)
    assert purse.holds[0].ends == [USAGE]
    assert [attempt.error_code for attempt in attempts] == [""]


async def test_everything_that_was_seen_is_paid_for(clock: ManualClock) -> None:
    purse = CountingPurse()
    pieces: list[ModelEvent] = [TextDelta("x" * 35)] * 10
    models = ScriptedModels(clock, {A: [Broken(pieces, ModelUnreachable("reset"))]})
    with pytest.raises(ModelUnreachable):
        await answer(failover(models), plan(A, purse=purse))
    (paid,) = purse.holds[0].ends
    assert paid is not None
    assert paid.output_tokens == 101


async def test_a_provider_that_tells_no_usage_is_paid_by_estimate(clock: ManualClock) -> None:
    purse = CountingPurse()
    models = ScriptedModels(clock, {A: [Endless([TextDelta("fine"), ModelFinish("stop")])]})
    await answer(failover(models), plan(A, purse=purse))
    (paid,) = purse.holds[0].ends
    assert paid is not None
    assert paid.input_tokens > 0
    assert paid.output_tokens > 0


async def test_a_budget_ends_the_call_and_the_story_is_told(clock: ManualClock) -> None:
    purse = CountingPurse({1: BudgetExceeded("over the cap")})
    models = ScriptedModels(clock, {A: [ModelTimeout("first")]})
    with pytest.raises(BudgetExceeded) as failure:
        await answer(failover(models), plan(A, B, purse=purse))
    assert [each["ref"] for each in failure.value.details["attempts"]] == [A]
    assert f"{A}: MODEL_TIMEOUT" in failure.value.message
    assert purse.balanced()


# chance

FAULTS = st.sampled_from(sorted(ERRORS))
OUTCOMES = st.one_of(
    FAULTS.map(lambda kind: ERRORS[kind]),
    st.floats(0, 200).map(lambda s: ModelRateLimited("429", retry_after_s=s)),
    FAULTS.map(lambda kind: Broken([TextDelta("half")], ERRORS[kind])),
    FAULTS.map(lambda kind: Broken([ThinkingDelta("hm")], ERRORS[kind])),
    st.just("fine"),
)


@settings(deadline=None, max_examples=200)
@given(
    scripts=st.fixed_dictionaries({ref: st.lists(OUTCOMES, max_size=6) for ref in (A, B, C)}),
    refs=st.lists(st.sampled_from([A, B, C]), min_size=1, max_size=4),
    rests=st.lists(st.floats(0, 100), min_size=1, max_size=4),
    refused=st.none() | st.integers(0, 4),
)
def test_whatever_fails_the_rules_hold(
    scripts: dict[str, list[Outcome]], refs: list[str], rests: list[float], refused: int | None
) -> None:
    async def check() -> None:
        clock = ManualClock()
        models = ScriptedModels(clock, scripts)
        caller = failover(models)
        for rest in rests:
            purse = CountingPurse({refused: BudgetExceeded("cap")} if refused is not None else None)
            attempts: list[Attempt] = []
            events: list[ModelEvent] = []
            first = len(models.calls)
            failure: ModelError | BudgetExceeded | None = None
            try:
                await in_time(clock, seen(caller, plan(*refs, purse=purse), events, attempts))
            except (ModelError, BudgetExceeded) as error:
                failure = error
            made = models.calls[first:]
            assert len(made) == len(attempts) <= min(MAX_ATTEMPTS, len(set(refs)) * (RETRIES + 1))
            assert [call.ref for call in made] == [attempt.ref for attempt in attempts]
            assert sum(isinstance(event, TextDelta) for event in events) <= 1
            assert purse.balanced()
            assert len(purse.holds) == len(made)
            if failure is not None and attempts:
                assert [each["error_code"] for each in failure.details["attempts"]] == [a.error_code for a in attempts]
                assert all(f"{a.ref}" in failure.message and a.error_code in failure.message for a in attempts)
            elif failure is None:
                assert [bool(attempt.error_code) for attempt in attempts] == [True] * (len(attempts) - 1) + [False]
            clock.advance(rest)

    asyncio.run(check())


@settings(deadline=None, max_examples=100)
@given(
    outcomes=st.lists(OUTCOMES, min_size=1, max_size=5),
    rounds=st.integers(0, 30),
    advance=st.floats(0, 5),
)
def test_whenever_it_is_cancelled_the_purse_balances(outcomes: list[Outcome], rounds: int, advance: float) -> None:
    async def check() -> None:
        clock = ManualClock()
        purse = CountingPurse()
        models = ScriptedModels(clock, {A: outcomes})
        attempts: list[Attempt] = []
        work = asyncio.ensure_future(seen(failover(models), plan(A, B, purse=purse), [], attempts))
        await settle(rounds)
        clock.advance(advance)
        await settle(rounds // 2)
        work.cancel()
        with suppress(asyncio.CancelledError, ModelError):
            await work
        assert purse.balanced()
        assert models.closed == len(models.calls) == len(attempts) == len(purse.holds)

    asyncio.run(check())
