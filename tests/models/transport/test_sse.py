"""Server-sent events: however the network cuts them, the same events come out."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.models.transport.sse import EVENT_LIMIT_BYTES, EventTooLarge, SseSplitter


def feed(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    splitter = SseSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.unfinished


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data:a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"event: x\ndata: a\nid: 1\nretry: 5\n\n", [b"a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b": comment\ndata: a\n\n", [b"a"]),
        (b"\n\n\ndata: a\n\n\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data\n\ndatabase: x\n\n", [b""]),
        (b"data: \xe6\x97\xa5\n\n", ["日".encode()]),
    ],
)
def test_each_form_of_an_event_is_read(stream: bytes, events: list[bytes]) -> None:
    assert feed([stream])[0] == events
    assert feed([bytes([byte]) for byte in stream])[0] == events


def test_an_event_without_its_empty_line_is_unfinished() -> None:
    assert feed([b"data: a\n\ndata: b\n"]) == ([b"a"], True)
    assert feed([b"data: a\n\n\n"]) == ([b"a"], False)


def test_an_endless_event_is_refused() -> None:
    splitter = SseSplitter()
    with pytest.raises(EventTooLarge):
        splitter.feed(b"data: " + b"x" * EVENT_LIMIT_BYTES)


LINES = st.lists(
    st.sampled_from([b"data: {}", b"data:", b"event: e", b": c", b"", b"", b"data: \xe2\x82\xac", b"x"]), max_size=30
)


@given(LINES, st.lists(st.integers(0, 10_000)), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_cutting_anywhere_changes_nothing(lines: list[bytes], cuts: list[int], end: bytes) -> None:
    stream = b"data: first" + end + b"".join(line + end for line in lines) + end + b"data: last" + end + end
    whole, _ = feed([stream])
    assert feed(cut(stream, cuts))[0] == whole
    assert whole[-1].endswith(b"last")
    assert feed([stream.replace(end, b"\n")])[0] == whole


@given(st.binary(), st.lists(st.integers(0, 10_000)))
def test_garbage_cut_anywhere_gives_the_same(stream: bytes, cuts: list[int]) -> None:
    stream += b"\n\n"
    assert feed(cut(stream, cuts))[0] == feed([stream])[0]
