"""The turn machine, driven by random events: whatever happens, calls keep their outcomes and the turn ends once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.turn import (
    Answered,
    CallModel,
    CommitStep,
    Effect,
    Finish,
    Limits,
    RunTools,
    Start,
    Steer,
    Stopped,
    ToolsDone,
    Turn,
    TurnEvent,
    advance,
)
from openclaw.base.errors import ModelTimeout, RunAborted
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, user

LIMITS = Limits(steps=5, tool_calls=6, identical_outcomes=3)


def call(number: int, name: str = "tool") -> ToolCall:
    return ToolCall(f"c{number}", name, "{}")


def outcome(of: ToolCall, text: str = "done") -> ToolOutcome:
    return ToolOutcome(of.id, of.name, text)


def pairs_hold(messages: tuple[Message, ...]) -> bool:
    for index, message in enumerate(messages):
        asked = [c.id for c in message.tool_calls]
        if asked:
            following = messages[index + 1].parts
            given_ids = [part.call_id for part in following if isinstance(part, ToolOutcome)]
            if asked != given_ids:
                return False
    return True


events: st.SearchStrategy[TurnEvent] = st.one_of(
    st.just(Start()),
    st.builds(lambda text: Answered(assistant(text), "stop"), st.text(max_size=3)),
    st.builds(
        lambda count: Answered(assistant("", [call(i) for i in range(count)]), "tool_calls"),
        st.integers(min_value=1, max_value=4),
    ),
    st.builds(
        lambda ids: ToolsDone(tuple(outcome(call(i)) for i in ids)),
        st.lists(st.integers(0, 3), unique=True, max_size=4),
    ),
    st.builds(lambda text: Steer(user(text)), st.text(min_size=1, max_size=3)),
    st.sampled_from([Stopped(RunAborted("stop")), Stopped(ModelTimeout("slow"), said="half")]),
)


@given(st.lists(events, max_size=30))
def test_any_sequence_of_events_keeps_pairs_and_ends_at_most_once(sequence: list[TurnEvent]) -> None:
    turn, finishes = Turn(LIMITS), 0
    for event in [Start(), *sequence]:
        turn, effects = advance(turn, event)
        for effect in effects:
            if isinstance(effect, CommitStep | Finish):
                assert pairs_hold(effect.messages)
            finishes += isinstance(effect, Finish)
        assert turn.steps <= LIMITS.steps
        assert turn.tool_calls <= LIMITS.tool_calls
    assert finishes <= 1
    assert (turn.state == "finished") == (finishes == 1)


def run(*sequence: TurnEvent, limits: Limits = LIMITS) -> tuple[Turn, list[Effect]]:
    turn = Turn(limits)
    log: list[Effect] = []
    for event in sequence:
        turn, effects = advance(turn, event)
        log.extend(effects)
    return turn, log


def test_an_answer_without_calls_finishes_the_turn() -> None:
    turn, effects = run(Start(), Answered(assistant("hi"), "stop"))
    assert turn.state == "finished"
    assert effects == [CallModel(), Finish("ok", (assistant("hi"),), "stop")]


def test_calls_are_committed_together_with_their_outcomes() -> None:
    one = call(1)
    answer = assistant("looking", [one])
    turn, effects = run(Start(), Answered(answer, "tool_calls"), ToolsDone((outcome(one),)))
    assert turn.state == "thinking"
    assert effects[1] == RunTools((one,))
    assert effects[2] == CommitStep((answer, Message("tool", (outcome(one),))), "tool_calls")
    assert effects[3] == CallModel()


def test_a_steering_message_is_seen_at_the_next_step() -> None:
    turn, effects = run(Start(), Steer(user("wait")), Answered(assistant("done"), "stop"))
    assert turn.state == "thinking"
    assert effects[-2:] == [CommitStep((assistant("done"),), "stop"), CallModel((user("wait"),))]


def test_the_same_outcome_too_often_ends_the_run_with_the_step_kept() -> None:
    sequence: list[TurnEvent] = [Start()]
    for _ in range(3):
        sequence += [Answered(assistant("", [call(1)]), "tool_calls"), ToolsDone((outcome(call(1)),))]
    turn, effects = run(*sequence)
    assert turn.state == "finished"
    assert isinstance(effects[-2], CommitStep)
    last = effects[-1]
    assert isinstance(last, Finish)
    assert last.error is not None
    assert last.error.code == "RUN_LIMIT"


def test_different_outcomes_of_the_same_call_are_no_loop() -> None:
    sequence: list[TurnEvent] = [Start()]
    for number in range(4):
        sequence += [Answered(assistant("", [call(1)]), "tool_calls"), ToolsDone((outcome(call(1), str(number)),))]
    turn, _ = run(*sequence)
    assert turn.state == "thinking"


def test_too_many_calls_end_the_run_before_any_of_them_runs() -> None:
    answer = assistant("all", [call(i) for i in range(7)])
    turn, effects = run(Start(), Answered(answer, "tool_calls"))
    assert turn.state == "finished"
    last = effects[-1]
    assert isinstance(last, Finish)
    assert last.messages == (assistant("all"),)


def test_the_step_limit_ends_the_run_after_the_last_step_is_kept() -> None:
    sequence: list[TurnEvent] = [Start()]
    for number in range(5):
        sequence += [Answered(assistant("", [call(1)]), "tool_calls"), ToolsDone((outcome(call(1), str(number)),))]
    turn, effects = run(*sequence)
    assert turn.state == "finished"
    assert sum(isinstance(effect, CommitStep) for effect in effects) == 5


def test_an_abort_while_tools_run_answers_the_calls_whose_outcome_is_unknown() -> None:
    one, two = call(1), call(2)
    stopped = Stopped(RunAborted("stop"), results=(outcome(one),))
    _, effects = run(Start(), Answered(assistant("", [one, two]), "tool_calls"), stopped)
    last = effects[-1]
    assert isinstance(last, Finish)
    assert last.state == "aborted"
    results = last.messages[1].parts
    assert results[0] == outcome(one)
    assert isinstance(results[1], ToolOutcome)
    assert results[1].is_error


def test_what_was_said_before_an_abort_is_kept() -> None:
    _, effects = run(Start(), Stopped(RunAborted("stop"), said="half an ans"))
    assert effects[-1] == Finish("aborted", (assistant("half an ans"),), "aborted", effects[-1].error)  # type: ignore[union-attr]


def test_a_finished_turn_ignores_everything() -> None:
    turn, _ = run(Start(), Answered(assistant("x"), "stop"))
    for event in (Start(), Answered(assistant("y"), "stop"), Stopped(RunAborted("z"))):
        assert advance(turn, event) == (turn, ())
