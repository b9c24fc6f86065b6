"""The turn as a pure machine: a state and an event give the next state and the effects. No I/O, no clock.

Rules
1. A turn thinks first: Start calls the model.
2. An answer without tool calls finishes the turn, unless a steering message waits: then the answer is committed, the
   message added, and the model called again.
3. An answer with tool calls runs them all, then commits the answer *with* their outcomes as one step: a call without
   its outcome never reaches the transcript.
4. Before tools run, their number is checked; before the model is called again, the number of steps is.
5. The same tool with the same arguments and the same outcome, `identical_outcomes` times in a row, ends the turn.
6. Abort, deadline and a failed model end the turn from any state; what was said so far is kept, calls whose outcome is
   not known are answered with an error outcome or left out with their call.
7. A call of a tool that the caller brought ends the turn: the caller runs it. The calls go back with the reply and
   never into the transcript, where their outcome would be missing.
8. A finished turn ignores every event.

Deltas are not events: they change nothing that is decided here, and pass by on the fast lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from openclaw.base.errors import OpenClawError, RunAborted, RunLimit
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes
from openclaw.base.model import FinishReason

TurnState = Literal["thinking", "acting", "finished"]
EndState = Literal["ok", "error", "aborted"]


class Limits(msgspec.Struct, frozen=True):
    """Caps of one run; each ends it with an explained failure."""

    steps: int = 50
    tool_calls: int = 100
    wall_s: float = 600.0
    identical_outcomes: int = 4


class Turn(msgspec.Struct, frozen=True):
    """Where a turn stands. `pending` is the answer whose tools are running; `steering` waits for the next step."""

    limits: Limits
    state: TurnState = "thinking"
    steps: int = 0
    tool_calls: int = 0
    pending: Message | None = None
    pending_finish: FinishReason = "stop"
    steering: tuple[Message, ...] = ()
    last_outcome: str = ""
    repeats: int = 0
    client_tools: frozenset[str] = frozenset()


class Start(msgspec.Struct, frozen=True):
    """The run begins."""


class Answered(msgspec.Struct, frozen=True):
    """The model's whole answer is in."""

    message: Message
    finish_reason: FinishReason


class TakenUp(msgspec.Struct, frozen=True):
    """A crash interrupted the turn while the tools of this answer ran: they go on."""

    message: Message
    finish_reason: FinishReason


class ToolsDone(msgspec.Struct, frozen=True):
    """Every call of the pending answer has its outcome."""

    results: tuple[ToolOutcome, ...]


class Steer(msgspec.Struct, frozen=True):
    """A message that joins the turn at its next step."""

    message: Message


class Stopped(msgspec.Struct, frozen=True):
    """The turn must end now: an abort, the deadline or a failed model.

    `said` is the text of an unfinished answer; `results` are the outcomes known so far of the pending calls.
    """

    error: OpenClawError
    said: str = ""
    results: tuple[ToolOutcome, ...] = ()


TurnEvent = Start | TakenUp | Answered | ToolsDone | Steer | Stopped


class CallModel(msgspec.Struct, frozen=True):
    """Ask the model with everything committed so far, after adding these messages to the transcript."""

    add: tuple[Message, ...] = ()


class RunTools(msgspec.Struct, frozen=True):
    """Run these calls, in the order of the answer."""

    calls: tuple[ToolCall, ...]


class CommitStep(msgspec.Struct, frozen=True):
    """Make these messages durable as one step."""

    messages: tuple[Message, ...]
    finish_reason: FinishReason


class Finish(msgspec.Struct, frozen=True):
    """End the run; `messages` are its last step (empty when nothing was said)."""

    state: EndState
    messages: tuple[Message, ...]
    finish_reason: FinishReason
    error: OpenClawError | None = None


Effect = CallModel | RunTools | CommitStep | Finish
Result = tuple[Turn, tuple[Effect, ...]]


def advance(turn: Turn, event: TurnEvent) -> Result:
    """Return the next state and what to do, in order."""
    if turn.state == "finished":
        return turn, ()
    if isinstance(event, Answered) and turn.state == "thinking":
        return _answered(turn, event)
    if isinstance(event, ToolsDone) and turn.state == "acting":
        return _tools_done(turn, event)
    if isinstance(event, Steer):
        return _with(turn, steering=(*turn.steering, event.message)), ()
    if isinstance(event, Stopped):
        return _stopped(turn, event)
    if isinstance(event, TakenUp) and turn.steps == 0:
        return _answered(_with(turn, steps=1), Answered(event.message, event.finish_reason))
    if isinstance(event, Start) and turn.steps == 0:
        return _with(turn, steps=1), (CallModel(),)
    return turn, ()


def _with(turn: Turn, **changes: Any) -> Turn:
    return msgspec.structs.replace(turn, **changes)


def _finish(turn: Turn, finish: Finish) -> Result:
    return _with(turn, state="finished", pending=None, steering=()), (finish,)


def _answered(turn: Turn, event: Answered) -> Result:
    calls = event.message.tool_calls
    if not calls:
        if not turn.steering:
            return _finish(turn, Finish("ok", (event.message,), event.finish_reason))
        commit = CommitStep((event.message,), event.finish_reason)
        return _think_again(turn, (commit,), event.message)
    if any(call.name in turn.client_tools for call in calls):
        return _finish(turn, Finish("ok", _without_calls(event.message), "tool_calls"))
    if turn.tool_calls + len(calls) > turn.limits.tool_calls:
        error = RunLimit(f"the run wanted more than {turn.limits.tool_calls} tool calls")
        return _finish(turn, Finish("error", _without_calls(event.message), "error", error))
    acting = _with(
        turn,
        state="acting",
        pending=event.message,
        pending_finish=event.finish_reason,
        tool_calls=turn.tool_calls + len(calls),
    )
    return acting, (RunTools(calls),)


def _tools_done(turn: Turn, event: ToolsDone) -> Result:
    assert turn.pending is not None
    step = (turn.pending, outcomes(_complete(turn.pending, event.results, "the tool gave no result")))
    commit = CommitStep(step, turn.pending_finish)
    turn = _count_repeats(turn, turn.pending.tool_calls, event.results)
    if turn.repeats >= turn.limits.identical_outcomes:
        name = turn.pending.tool_calls[-1].name if turn.pending else ""
        error = RunLimit(f"the tool {name} was called {turn.repeats} times in a row with the same outcome")
        done, effects = _finish(turn, Finish("error", (), "error", error))
        return done, (commit, *effects)
    return _think_again(turn, (commit,), turn.pending)


def _think_again(turn: Turn, before: tuple[Effect, ...], answer: Message | None) -> Result:
    if turn.steps >= turn.limits.steps:
        error = RunLimit(f"the run reached its limit of {turn.limits.steps} steps")
        done, effects = _finish(turn, Finish("error", (), "error", error))
        return done, (*before, *effects)
    call = CallModel(turn.steering)
    return _with(turn, state="thinking", steps=turn.steps + 1, pending=None, steering=()), (*before, call)


def _stopped(turn: Turn, event: Stopped) -> Result:
    aborted = isinstance(event.error, RunAborted)
    state: EndState = "aborted" if aborted else "error"
    reason: FinishReason = "aborted" if aborted else "error"
    if turn.pending is not None:
        why = f"stopped before it ended: {event.error.message}"
        messages: tuple[Message, ...] = (turn.pending, outcomes(_complete(turn.pending, event.results, why)))
    else:
        messages = (assistant(event.said),) if event.said else ()
    return _finish(turn, Finish(state, messages, reason, event.error))


def _complete(answer: Message, results: tuple[ToolOutcome, ...], missing: str) -> tuple[ToolOutcome, ...]:
    known: Mapping[str, ToolOutcome] = {result.call_id: result for result in results}
    return tuple(
        known.get(call.id) or ToolOutcome(call.id, call.name, missing, is_error=True) for call in answer.tool_calls
    )


def _without_calls(answer: Message) -> tuple[Message, ...]:
    kept = tuple(part for part in answer.parts if not isinstance(part, ToolCall))
    return (Message("assistant", kept),) if kept else ()


def _count_repeats(turn: Turn, calls: tuple[ToolCall, ...], results: tuple[ToolOutcome, ...]) -> Turn:
    by_id = {result.call_id: result for result in results}
    last, repeats = turn.last_outcome, turn.repeats
    for call in calls:
        result = by_id.get(call.id)
        seen = f"{call.name}\0{call.arguments}\0{result.text if result else ''}"
        repeats = repeats + 1 if seen == last else 1
        last = seen
    return _with(turn, last_outcome=last, repeats=repeats)
