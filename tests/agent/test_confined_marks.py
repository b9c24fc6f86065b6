"""The mark of a confined skill wins over every other, and outlives what brought it."""

from __future__ import annotations

from openclaw.agent.conversation import Conversation
from openclaw.agent.taint import marked, outside_of
from openclaw.base.message import Message, ToolOutcome, assistant, user
from openclaw.policy.skill.confined import confined_by, confining, strongest

MARK = confining("x")
READ = Message(
    "tool", (ToolOutcome("1", "web_fetch", "a", outside="web_fetch"), ToolOutcome("2", "r", "b", outside=MARK))
)


def test_it_is_the_one_that_counts() -> None:
    assert outside_of([user("a", "webhook"), READ]) == MARK
    assert strongest(["", "webhook", MARK, "web_fetch"]) == MARK
    assert strongest(["", "webhook", "web_fetch"]) == "webhook"
    assert strongest([]) == ""
    assert marked(user("a", "webhook"), MARK).outside == MARK
    assert marked(user("a", MARK), "webhook").outside == MARK
    assert (confined_by(MARK), confined_by("webhook"), confined_by("")) == ("x", "", "")


def test_a_summary_takes_it_over() -> None:
    talk = Conversation([(1, (user("a", "webhook"),)), (2, (assistant("b"), READ)), (3, (user("c"),))])
    assert talk.outside() == MARK
    talk.replace(2, user("summary", "webhook"))
    assert talk.outside() == MARK
