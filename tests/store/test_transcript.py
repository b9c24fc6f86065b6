"""Valid transcripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.base.message import Message, Role, TextPart, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.store.transcript import as_steps, check_complete

CALL = ToolCall("c1", "look")
DONE = ToolOutcome("c1", "look", "seen")


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (user("a"), assistant("b")),
        (assistant("", [CALL]), outcomes([DONE])),
        (assistant("", [CALL, ToolCall("c2", "x")]), outcomes([ToolOutcome("c2", "x", "")]), outcomes([DONE])),
        (assistant("", [CALL]), outcomes([DONE]), assistant("", [CALL]), outcomes([DONE])),
    ],
)
def test_paired_calls_and_outcomes_are_valid(messages: tuple[Message, ...]) -> None:
    check_complete(messages)


@pytest.mark.parametrize(
    "messages",
    [
        (assistant("", [CALL]),),
        (outcomes([DONE]),),
        (outcomes([DONE]), assistant("", [CALL])),
        (assistant("", [CALL]), user("wait"), outcomes([DONE])),
        (assistant("", [CALL, CALL]), outcomes([DONE])),
        (assistant("", [CALL]), outcomes([DONE, DONE])),
        (Message("user", (CALL,)), outcomes([DONE])),
    ],
)
def test_a_call_without_outcome_or_an_outcome_without_call_is_refused(messages: tuple[Message, ...]) -> None:
    with pytest.raises(InvalidRequest):
        check_complete(messages)


_roles: list[Role] = ["system", "user", "assistant", "tool"]
_messages = st.lists(
    st.sampled_from(_roles).map(lambda role: Message(role, (TextPart("x"),))),
    max_size=8,
).map(tuple)


@given(_messages)
def test_cutting_into_steps_keeps_every_message_in_order(messages: tuple[Message, ...]) -> None:
    steps = list(as_steps(messages))
    assert tuple(message for _, part in steps for message in part) == messages
    for kind, part in steps:
        assert (kind == "model") == (part[0].role == "assistant")
        assert all(message.role == "tool" for message in part[1:])
