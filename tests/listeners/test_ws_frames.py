from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, SERVER, Protocol

from openclaw.listeners.ws_frames import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    FrameError,
    FrameReader,
    Message,
    accept_key,
    close_frame,
    control_frame,
    text_frame,
)

LIMIT = 70_000
MESSAGE = st.tuples(st.sampled_from([TEXT, BINARY, PING]), st.text(max_size=300) | st.just("x" * 66_000))


def client_bytes(opcode: int, payload: bytes, final: bool = True) -> bytes:
    return Frame(Opcode(opcode), payload, final).serialize(mask=True)


def read(data: bytes, cuts: list[int] | None = None, limit: int = LIMIT) -> tuple[list[Message], FrameError | None]:
    reader, out = FrameReader(limit), list[Message]()
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts or ()), len(data)]
    try:
        for start, end in itertools.pairwise(bounds):
            if start < end:
                reader.feed(data[start:end], out)
    except FrameError as error:
        return out, error
    return out, None


@given(st.lists(MESSAGE, max_size=5), st.lists(st.integers(0, 200_000), max_size=8))
@settings(deadline=None)
def test_messages_arrive_whole_however_the_bytes_are_cut(messages: list[tuple[int, str]], cuts: list[int]) -> None:
    sent = [(opcode, text.encode()[: 125 if opcode == PING else None]) for opcode, text in messages]
    out, error = read(b"".join(client_bytes(*message) for message in sent), cuts)
    assert (out, error) == (sent, None)


@given(st.text(max_size=400), st.lists(st.integers(0, 500), max_size=6), st.lists(st.integers(0, 900), max_size=6))
def test_fragments_with_a_ping_between_make_one_message(text: str, parts: list[int], cuts: list[int]) -> None:
    payload = text.encode()
    bounds = [0, *sorted(part % (len(payload) + 1) for part in parts), len(payload)]
    pieces = [payload[start:end] for start, end in itertools.pairwise(bounds)]
    data = b""
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        data += client_bytes(TEXT if index == 0 else 0, piece, last)
        if not last:
            data += client_bytes(PING, b"hi")
    out, error = read(data, cuts)
    assert error is None
    assert [message for message in out if message[0] != PING] == [(TEXT, payload)]


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=3))
@example(b"\x00\t" + bytes(12), [1])
def test_any_bytes_give_what_the_reference_library_gives(data: bytes, cuts: list[int]) -> None:
    reference = Protocol(SERVER, max_size=LIMIT)
    reference.receive_data(data)
    frames = [event for event in reference.events_received() if isinstance(event, Frame)]
    out, error = read(data, cuts)
    if reference.parser_exc is None:
        whole = [(int(f.opcode), bytes(f.data)) for f in frames if f.fin and f.opcode is not Opcode.CONT]
        texts_ok = all(is_utf8(payload) for opcode, payload in whole if opcode == TEXT)
        if texts_ok and not any(not f.fin for f in frames):
            closes = [index for index, message in enumerate(whole) if message[0] == CLOSE]
            upto = closes[0] + 1 if closes else len(whole)
            assert out[:upto] == whole[:upto]
    elif not any(f.opcode is Opcode.CLOSE for f in frames):
        assert error is not None or pending(data)


def pending(data: bytes) -> bool:
    """The library judges a header's flags before its length is whole; we when it is."""
    return len(data) < 14


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.text(max_size=70_000) | st.just("y" * 70_000))
@settings(max_examples=30)
def test_what_we_send_a_client_reads(text: str) -> None:
    client = Protocol(CLIENT)
    client.receive_data(text_frame(text.encode()) + control_frame(PING, b"p") + close_frame(1008, "slow consumer"))
    events = [event for event in client.events_received() if isinstance(event, Frame)]
    assert [bytes(event.data) for event in events[:2]] == [text.encode(), b"p"]
    assert client.close_rcvd is not None
    assert (client.close_rcvd.code, client.close_rcvd.reason) == (1008, "slow consumer")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (client_bytes(TEXT, b"x" * (LIMIT + 1)), 1009),
        (client_bytes(TEXT, b"x" * 40_000, False) + client_bytes(0, b"x" * 40_000), 1009),
        (client_bytes(TEXT, b"\xff\xfe"), 1007),
        (client_bytes(TEXT, b"a", False) + client_bytes(0, b"\xff"), 1007),
        (client_bytes(0, b"a"), 1002),
        (client_bytes(TEXT, b"a", False) + client_bytes(TEXT, b"b"), 1002),
        (b"\x09\x80\0\0\0\0", 1002),
        (b"\xc1\x80\0\0\0\0", 1002),
        (b"\x83\x80\0\0\0\0", 1002),
        (b"\x8b\x80\0\0\0\0", 1002),
        (b"\x89\xfe\x00\xff\0\0\0\0", 1002),
        (client_bytes(CLOSE, b"\x03"), 1002),
        (client_bytes(CLOSE, b"\x03\xed"), 1002),
        (client_bytes(CLOSE, b"\x03\xe8\xff"), 1007),
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    ],
    ids=lambda each: (
        str(each) if isinstance(each, int) else "frame"
    ),  # of the code alone: masks are random, and names of tests must be the same in every worker
)
def test_a_broken_frame_is_refused_with_the_right_code(data: bytes, code: int) -> None:
    _, error = read(data)
    assert error is not None
    assert error.code == code


def test_a_frame_over_the_limit_is_refused_at_its_header() -> None:
    reader = FrameReader(1000)
    with pytest.raises(FrameError) as caught:
        reader.feed(client_bytes(TEXT, b"x" * 5000)[:20], [])
    assert caught.value.code == 1009


def test_messages_before_an_error_are_kept() -> None:
    out, error = read(client_bytes(TEXT, b"one") + b"\x81\x01x")
    assert out == [(TEXT, b"one")]
    assert error is not None


def test_the_accept_key_is_the_one_of_the_rfc() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
