"""Fitting conversations: pairs survive, the budget holds, the latest message is never lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.context import fit, valid_history
from openclaw.base.errors import ModelContextOverflow
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.models.tokens import estimate_message


@st.composite
def exchanges(draw: st.DrawFn) -> list[Message]:
    out: list[Message] = []
    for number in range(draw(st.integers(1, 12))):
        out.append(user("q" * draw(st.integers(1, 400))))
        if draw(st.booleans()):
            ids = [f"{number}-{i}" for i in range(draw(st.integers(1, 3)))]
            out.append(assistant("", [ToolCall(i, "t") for i in ids]))
            out.append(outcomes([ToolOutcome(i, "t", "r" * draw(st.integers(0, 3000))) for i in ids]))
        out.append(assistant("a" * draw(st.integers(1, 300))))
    out.append(user("now"))
    return out


def paired(messages: tuple[Message, ...]) -> bool:
    return list(messages) == valid_history(messages)


@given(exchanges(), st.integers(60, 3000))
def test_what_is_kept_fits_is_paired_and_ends_with_the_latest_message(history: list[Message], budget: int) -> None:
    try:
        kept = fit(history, fixed_tokens=20, budget_tokens=budget)
    except ModelContextOverflow:
        return
    assert sum(map(estimate_message, kept)) + 20 <= budget
    assert kept[-1] == history[-1]
    assert kept[0].role == "user"
    assert paired(kept)


@given(exchanges())
def test_a_conversation_that_fits_is_left_as_it_is(history: list[Message]) -> None:
    assert list(fit(history, fixed_tokens=0, budget_tokens=10_000_000)) == history


def test_old_tool_outcomes_are_shortened_before_anything_is_dropped() -> None:
    history = [
        user("first"),
        assistant("", [ToolCall("1", "t")]),
        outcomes([ToolOutcome("1", "t", "x" * 9000)]),
        *(user(f"q{i}") for i in range(8)),
    ]
    kept = fit(history, fixed_tokens=0, budget_tokens=700)
    assert len(kept) == len(history)
    assert len(kept[2].parts[0].text) < 500  # type: ignore[union-attr]


def test_a_message_larger_than_the_context_is_refused_with_a_reason() -> None:
    with pytest.raises(ModelContextOverflow):
        fit([user("x" * 9000)], fixed_tokens=0, budget_tokens=1000)


@given(st.lists(st.sampled_from("uact"), max_size=12))
def test_any_broken_history_is_mended_to_a_valid_one(kinds: list[str]) -> None:
    make = {
        "u": user("u"),
        "a": assistant("a"),
        "c": assistant("", [ToolCall("1", "t")]),
        "t": outcomes([ToolOutcome("1", "t", "r")]),
    }
    mended = valid_history([make[kind] for kind in kinds])
    assert valid_history(mended) == mended
    for index, message in enumerate(mended):
        if message.tool_calls:
            assert mended[index + 1].role == "tool"
        if message.role == "tool":
            assert mended[index - 1].tool_calls


def test_outcomes_sent_one_by_one_count_as_one_message() -> None:
    calls = assistant("", [ToolCall("1", "t"), ToolCall("2", "t")])
    one, two = ToolOutcome("1", "t", "a"), ToolOutcome("2", "t", "b")
    assert valid_history([user("q"), calls, outcomes([one]), outcomes([two])])[-1] == outcomes([one, two])
