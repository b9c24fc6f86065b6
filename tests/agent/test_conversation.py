"""Conversations that are kept between turns: within one budget of memory, and only while they are what is stored."""

from __future__ import annotations

import tracemalloc

import pytest

from openclaw.agent import conversation
from openclaw.agent.conversation import Conversation, Recent
from openclaw.base.ids import SessionId
from openclaw.base.message import ImagePart, Message, TextPart, ToolOutcome


def spoken(steps: int, words: str = "a few words") -> Conversation:
    """Every text is a string of its own, as those of the archive are."""
    return Conversation([(seq, (Message("user", (TextPart(f"{words} {seq}"),)),)) for seq in range(1, steps + 1)])


def test_the_conversations_kept_stay_within_one_budget_and_the_last_ones_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "RECENT_BYTES", 3 * spoken(10).weight())
    recent = Recent()
    for number in range(10):
        recent.put(SessionId(f"s{number}"), 10, spoken(10))
        recent.put(SessionId(f"s{number}"), 10, spoken(10))  # the same once more weighs nothing more
    kept = [number for number in range(10) if recent.take(SessionId(f"s{number}"), 10) is not None]
    assert kept == [7, 8, 9]
    recent.put(SessionId("long"), 40, spoken(40))
    assert recent.take(SessionId("long"), 40) is None
    recent.put(SessionId("again"), 25, spoken(25))
    assert recent.take(SessionId("again"), 25) is not None  # what was taken, or did not fit, weighs nothing


def test_a_conversation_is_not_given_out_when_something_else_was_written_meanwhile() -> None:
    recent = Recent()
    recent.put(SessionId("s"), 3, spoken(3))
    assert recent.take(SessionId("s"), 4) is None
    assert recent.take(SessionId("s"), 3) is None


@pytest.mark.parametrize(
    "words", ["ok", "a sentence as people write it, with some twenty words in it and no more " * 2]
)
def test_the_weight_of_a_conversation_is_about_what_it_takes(words: str) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        held = spoken(500, words)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.7 * taken < held.weight() < 1.5 * taken


def test_images_weigh_what_they_are() -> None:
    image = ImagePart("image/png", "A" * 100_000)
    shown = Conversation(
        [(1, (Message("user", (image,)), Message("tool", (ToolOutcome("c", "look", "", False, (image,)),))))]
    )
    assert 200_000 < shown.weight() < 250_000
