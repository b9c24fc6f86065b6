"""The incremental reader: text streams, calls come whole, whatever way the answer is cut into pieces."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ToolCallDelta, Usage
from openclaw.models.embedded.choice import CALL_LIMIT_CHARS, ChoiceReader, Malformed

STOP = ModelFinish("stop", Usage(3, 4), "m")
LENGTH = ModelFinish("length", Usage(3, 4), "m")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(pieces: list[str], end: ModelFinish = STOP) -> list[ModelEvent]:
    """Return every event of an answer."""
    reader = ChoiceReader()
    out = [event for piece in pieces for event in reader.feed(piece)]
    return out + reader.finish(end)


def text_of(events: list[ModelEvent]) -> str:
    """Return the text of the events."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def cut(text: str, places: list[int]) -> list[str]:
    """Cut a text at these places."""
    marks = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[start:end] for start, end in itertools.pairwise(marks)]


@given(st.text(), st.booleans(), st.lists(st.integers(0, 10_000), max_size=30), st.sampled_from([None, 2]))
def test_a_reply_reads_the_same_however_it_is_cut(reply: str, ascii_only: bool, places: list[int], indent: Any) -> None:
    answer = json.dumps({"reply": reply}, ensure_ascii=ascii_only, indent=indent)
    events = read(cut(answer, places))
    assert text_of(events) == reply
    assert events[-1] == STOP


@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_call_comes_once_and_whole(tool: str, arguments: dict[str, Any], places: list[int]) -> None:
    *calls, end = read(cut(json.dumps({"tool": tool, "arguments": arguments}), places))
    assert len(calls) == 1
    assert isinstance(calls[0], ToolCallDelta)
    assert (calls[0].index, calls[0].name, json.loads(calls[0].arguments)) == (0, tool, arguments)
    assert calls[0].id.startswith("call_")
    assert end == ModelFinish("tool_calls", Usage(3, 4), "m")


@given(st.text(), st.integers(0, 200))
def test_a_reply_cut_off_by_its_length_is_a_prefix(reply: str, size: int) -> None:
    answer = json.dumps({"reply": reply})[:-2]
    events = read(list(answer[:size]), LENGTH)
    assert events[-1] == LENGTH
    assert reply.startswith(text_of(events))


@given(st.text(max_size=300), st.sampled_from([STOP, LENGTH]))
def test_any_text_is_an_answer_or_malformed(text: str, end: ModelFinish) -> None:
    try:
        events = read(list(text), end)
    except Malformed:
        return
    assert isinstance(events[-1], ModelFinish)


def test_a_reply_streams_piece_by_piece() -> None:
    reader = ChoiceReader()
    assert reader.feed('{"rep') == []
    assert reader.feed('ly": "Hel') == [TextDelta("Hel")]
    assert reader.feed("lo\\u00") == [TextDelta("lo")]
    assert reader.feed("e9\\ud83d") == [TextDelta("é")]
    assert reader.feed("\\ude00!") == [TextDelta("😀!")]
    assert reader.feed('"') == []
    assert reader.feed("}") == []
    assert reader.finish(STOP) == [STOP]


def test_a_call_cut_off_by_its_length_is_not_made() -> None:
    assert read(['{"tool": "write_file", "arguments": {"path": "a', 'bc"'], LENGTH) == [LENGTH]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "The capital is Tokyo." * 9,
        '{"reply": "a"',
        '{"reply": "a", "tool": "x"}',
        '{"reply": 1}',
        '{"reply": "\\x"}',
        '{"reply": "\\uzzzz"}',
        '{"tool": "x"}',
        '{"tool": "x", "arguments": []}',
        '{"tool": "x", "arguments": {}, "more": 1}',
        '{"tool": "x", "arguments": {}',
        '{"other": "x"}',
    ],
)
def test_what_is_no_choice_is_malformed(answer: str) -> None:
    with pytest.raises(Malformed):
        read([answer])


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "\\ud83d\\u0041", "\\ud83dx"])
def test_half_a_surrogate_pair_becomes_the_replacement_character(half: str) -> None:
    reply = text_of(read(['{"reply": "', *half, '"}']))
    assert reply.startswith("\N{REPLACEMENT CHARACTER}")
    reply.encode()


def test_a_call_without_end_is_refused() -> None:
    reader = ChoiceReader()
    reader.feed('{"tool": "x", "arguments": {"a": "')
    with pytest.raises(Malformed):
        reader.feed("x" * CALL_LIMIT_CHARS)
