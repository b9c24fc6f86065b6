"""Conversations as the transcript may hold them: for every test of what becomes of them on a wire."""

from __future__ import annotations

from hypothesis import strategies as st

from openclaw.base.message import (
    ImagePart,
    Message,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolOutcome,
    assistant,
    outcomes,
    user,
)
from openclaw.base.model import ModelRequest, ToolSpec

SIGNATURES = (
    "",
    "c2lnbmVk",
    "redacted_thinking:RU5D",
    "openai-reasoning m rs_1 ZW5j",
    "openai-reasoning other rs_2 ZW5j",
)
TEXTS = st.sampled_from(["", " ", "\n", "hello", "日本 🗼", '{"a": 1}', "a\x00b"]) | st.text(max_size=12)
IDS = st.sampled_from(["call_1", "toolu_01A", "a.b", "a:b", "a b", "日", "x" * 80]) | st.text(min_size=1, max_size=8)
ARGUMENTS = st.sampled_from(["{}", '{"city":"Zürich"}', "[1]", '"text"', "null", "{half", ""])
NAMES = st.sampled_from(["get_weather", "read_file", "x"])
IMAGES = st.sampled_from([ImagePart("image/png", "aGk="), ImagePart(url="https://x.test/i.png")])
THOUGHTS = st.builds(ThinkingPart, TEXTS, st.sampled_from(SIGNATURES))


@st.composite
def _asked(draw: st.DrawFn) -> Message:
    parts: list[Part] = [TextPart(draw(TEXTS))]
    parts += draw(st.lists(st.builds(TextPart, TEXTS) | IMAGES, max_size=2))
    return Message("user", tuple(parts))


@st.composite
def _answered(draw: st.DrawFn, taken: set[str]) -> list[Message]:
    """An answer, and the outcomes of its calls if it has any. No id is used twice in a conversation."""
    parts: list[Part] = list(draw(st.lists(THOUGHTS, max_size=2)))
    parts += [TextPart(text) for text in draw(st.lists(TEXTS, max_size=1))]
    ids = [one for one in draw(st.lists(IDS, max_size=3, unique=True)) if one not in taken]
    taken.update(ids)
    calls = [ToolCall(call_id, draw(NAMES), draw(ARGUMENTS)) for call_id in ids]
    said = Message("assistant", (*parts, *calls))
    if not calls:
        return [said]
    shown = st.lists(IMAGES, max_size=1).map(tuple)
    results = [ToolOutcome(call.id, call.name, draw(TEXTS), draw(st.booleans()), draw(shown)) for call in calls]
    return [said, outcomes(draw(st.permutations(results)))]


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Valid conversations: the user begins, each call has one outcome in the message after it, the model is next.

    Shape: user messages may follow each other (someone wrote again), system notes may stand between, answers may be
    empty (an aborted one), and texts, ids and arguments are as odd as the world makes them.
    """
    out: list[Message] = [draw(_asked())]
    taken: set[str] = set()
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.sampled_from(["answer", "answer", "question", "note"]))
        if kind == "answer" and out[-1].role != "assistant":
            out += draw(_answered(taken))
        elif kind == "note" and out[-1].role != "assistant":
            out.append(Message("system", (TextPart(draw(TEXTS)),)))
        else:
            out.append(draw(_asked()))
    if out[-1].role == "assistant":
        out.append(draw(_asked()))
    return tuple(out)


def requests(model: str = "m") -> st.SearchStrategy[ModelRequest]:
    """Return requests over such conversations."""
    tools = (ToolSpec("get_weather", "Tell the weather.", {"type": "object", "properties": {}}),)
    return st.builds(
        ModelRequest,
        model=st.just(model),
        system=TEXTS,
        messages=conversations(),
        tools=st.sampled_from([(), tools]),
        max_tokens=st.none() | st.integers(1, 9),
    )


SIMPLE = ModelRequest(
    model="m",
    messages=(
        user("q"),
        assistant("", [ToolCall("call_1", "x", "{}"), ToolCall("call_2", "x", "{}")]),
        outcomes([ToolOutcome("call_1", "x", "one"), ToolOutcome("call_2", "x", "two")]),
    ),
)
