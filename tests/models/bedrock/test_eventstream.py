"""Our reader of AWS' framing beside botocore's: the same messages, however the bytes are cut, and no damage unseen."""

from __future__ import annotations

import struct
from binascii import crc32
from itertools import pairwise
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from openclaw.models.bedrock.eventstream import PAYLOAD_LIMIT_BYTES, EventStreamReader, Message, MessageBroken
from tests.stand_ins.bedrock import _ending, _events, message
from tests.stand_ins.server import Answer, Call

ANSWER = Answer(text="日本 🗼", thinking="Hm.", signature="s", calls=(Call("f", '{"a":1}', "c"),))
RECORDED = b"".join(_events(ANSWER) + _ending(ANSWER))
VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40) | st.text(max_size=20)
MESSAGES = st.lists(
    st.tuples(st.dictionaries(st.text(min_size=1, max_size=20), VALUES, max_size=5), st.binary(max_size=200)),
    max_size=5,
)


def read(pieces: list[bytes]) -> list[Message]:
    """Read pieces to their end."""
    reader = EventStreamReader()
    out = [found for piece in pieces for found in reader.feed(piece)]
    assert not reader.unfinished
    return out


def read_by_botocore(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    """Read with the vendor's own decoder."""
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(found.headers, found.payload) for found in buffer]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at those places."""
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(MESSAGES, st.lists(st.integers(0, 10_000), max_size=12))
def test_ours_and_botocores_decoder_agree_on_any_stream_cut_anywhere(
    messages: list[tuple[dict[str, Any], bytes]], places: list[int]
) -> None:
    data = b"".join(message(headers, payload) for headers, payload in messages)
    ours = [(dict(found.headers), found.payload) for found in read(cut(data, places))]
    assert ours == read_by_botocore(data)


@given(st.lists(st.integers(0, len(RECORDED)), max_size=30))
def test_a_recorded_answer_reads_the_same_however_it_is_cut(places: list[int]) -> None:
    ours = [(dict(found.headers), found.payload) for found in read(cut(RECORDED, places))]
    assert ours == read_by_botocore(RECORDED)


def test_every_flipped_byte_is_noticed() -> None:
    for place in range(len(RECORDED)):
        for bits in (0x01, 0x80, 0xFF):
            damaged = bytearray(RECORDED)
            damaged[place] ^= bits
            with pytest.raises(MessageBroken):
                EventStreamReader().feed(bytes(damaged))


@given(st.integers(1, len(RECORDED) - 1))
def test_a_stream_that_stops_within_a_message_says_so(size: int) -> None:
    reader = EventStreamReader()
    got = reader.feed(RECORDED[:size])
    whole = sum(len(message(found.headers, found.payload)) for found in got)
    assert reader.unfinished == (whole < size)


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_garbage_is_broken_or_unfinished_and_nothing_else(pieces: list[bytes]) -> None:
    reader = EventStreamReader()
    try:
        assert all(reader.feed(piece) == [] for piece in pieces)
    except MessageBroken:
        return
    assert sum(map(len, pieces)) < 12


@pytest.mark.parametrize(
    ("total", "headers"),
    [(15, 0), (20, 5), (0, 0), (PAYLOAD_LIMIT_BYTES + 17, 0), (2**32 - 1, 0), (300_000, 131_073), (16, 2**32 - 1)],
)
def test_impossible_lengths_are_refused_before_a_byte_is_waited_for(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(MessageBroken):
        EventStreamReader().feed(prelude + struct.pack(">I", crc32(prelude)))


@pytest.mark.parametrize(
    "head",
    [
        b"\x03ab",
        b"\x01a",
        b"\x01a\x0a",
        b"\x01a\x07\x00\x05abc",
        b"\x01a\x07\x00",
        b"\x01\xff\x00",
        b"\x01a\x07\x00\x01\xff",
        b"\x01a\x09abc",
        b"\x01a\x05abc",
        b"\x01a\x00\x01a\x00",
    ],
)
def test_malformed_headers_are_broken_though_every_checksum_is_right(head: bytes) -> None:
    prelude = struct.pack(">II", 16 + len(head), len(head))
    whole = prelude + struct.pack(">I", crc32(prelude)) + head
    with pytest.raises(MessageBroken):
        EventStreamReader().feed(whole + struct.pack(">I", crc32(whole)))


def test_a_large_message_in_tiny_pieces_is_joined_once() -> None:
    big = message({":event-type": "chunk"}, b"x" * 2_000_000)
    reader = EventStreamReader()
    found = [item for start in range(0, len(big), 1000) for item in reader.feed(big[start : start + 1000])]
    assert [len(item.payload) for item in found] == [2_000_000]
