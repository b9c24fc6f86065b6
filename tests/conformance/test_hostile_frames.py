"""Hostile frames on a real socket: every one ends as specified, and the gateway is none the worse for it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawSocket,
    connect_request,
    raw_frame,
)
from tests.gateway.process import GatewayProcess, gateway

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
PRE_AUTH = 64 * 1024
POST_AUTH = 25 * MIB
GROWTH = 160 * MIB
"""What the process may hold more than at its start: a few of the largest frames on their way, and no more."""

ENDED = {None, 1000, 1002, 1007, 1008, 1009}


def request(method: str = "health", id_: str = "1", params: bytes = b"{}") -> bytes:
    return b'{"type":"req","id":"%b","method":"%b","params":%b}' % (id_.encode(), method.encode(), params)


def nested(depth: int, opening: bytes = b"[", closing: bytes = b"]") -> bytes:
    return opening * depth + (b"1" if opening != b"[" else b"") + closing * depth


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """One loop for the module's gateway."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, anyio_backend: object) -> AsyncIterator[GatewayProcess]:
    """A gateway that must be whole at the end, whatever was sent to it."""
    async with gateway(tmp_path_factory.mktemp("hostile") / "state") as running:
        process = psutil.Process(running.process.pid)
        before = process.memory_info().rss
        yield running
        assert await healthy(running)
        grown = process.memory_info().rss - before
        assert grown < GROWTH, f"{grown / MIB:.0f} MiB more than at the start"
        assert process.num_fds() < 64
    assert "Traceback" not in running.output()
    assert "rpc_failed" not in running.output()
    assert running.process.returncode == 0


async def healthy(served: GatewayProcess) -> bool:
    async with asyncio.timeout(2), await served.connect() as client:
        health: dict[str, Any] = await client.call("health")
        return health["ok"] is True


CONNECT = msgspec.json.encode(connect_request(4))

BEFORE: list[tuple[str, bytes, set[int | None]]] = [
    ("text that is no JSON", raw_frame(b"hello"), {1000}),
    ("nothing", raw_frame(b""), {1000}),
    ("binary", raw_frame(CONNECT, BINARY), {1000}),
    ("JSON that is no request", raw_frame(b'{"x":1}'), {1008}),
    ("a number", raw_frame(b"1"), {1008}),
    ("NaN", raw_frame(b"NaN"), {1000}),
    ("another method first", raw_frame(request()), {1008}),
    ("connect without parameters", raw_frame(request("connect")), {1008}),
    ("connect with a list", raw_frame(request("connect", params=b"[]")), {1008}),
    ("connect nested 10 000 deep", raw_frame(request("connect", params=nested(10_000))), {1008}),
    ("nothing but brackets", raw_frame(nested(10_000)), {1008}),
    ("the largest first frame", raw_frame(request("connect", params=b'{"x":"%b"}' % (b"x" * (PRE_AUTH - 64)))), {1008}),
    ("one byte too many", raw_frame(b" " * (PRE_AUTH + 1)), {1009}),
    ("a promise of 25 MiB", raw_frame(b"", size=POST_AUTH), {1009}),
    ("a promise of 2^63 bytes", raw_frame(b"", size=2**63), {1009}),
    ("fragments of too much", raw_frame(b" " * 40_000, final=False) + raw_frame(b" " * 40_000, CONTINUATION), {1009}),
    ("a wrong key of every kind", raw_frame(request("connect", params=b'{"a":null,"b":[],"c":{}}')), {1008}),
]

ALWAYS: list[tuple[str, bytes, set[int | None]]] = [
    ("unmasked", raw_frame(request(), masked=False), {1002}),
    ("reserved bits", raw_frame(request(), bits=4), {1002}),
    ("reserved opcode", raw_frame(request(), 3), {1002}),
    ("reserved control opcode", raw_frame(b"", 11), {1002}),
    ("a ping in two parts", raw_frame(b"x", PING, final=False), {1002}),
    ("a ping of 126 bytes", raw_frame(b"x" * 126, PING), {1002}),
    ("a continuation of nothing", raw_frame(b"x", CONTINUATION), {1002}),
    ("a new message inside another", raw_frame(b"x", final=False) + raw_frame(b"y"), {1002}),
    ("text that is no UTF-8", raw_frame(b'{"type":"req","id":"\xff"}'), {1007}),
    ("UTF-8 for half a surrogate pair", raw_frame(b'"\xed\xa0\xbd"'), {1007}),
    ("UTF-8 cut between fragments", raw_frame(b'"\xe2', final=False) + raw_frame(b'\xff"', CONTINUATION), {1007}),
    ("a close without a code", raw_frame(b"", CLOSE), {None, 1000, 1005}),
    ("a close of one byte", raw_frame(b"\x03", CLOSE), {1002}),
    ("a close with a forbidden code", raw_frame((1005).to_bytes(2, "big"), CLOSE), {1002}),
    ("a close with a broken reason", raw_frame((1000).to_bytes(2, "big") + b"\xff", CLOSE), {1002, 1007}),
]


@pytest.mark.parametrize(
    ("data", "codes"), [row[1:] for row in BEFORE + ALWAYS], ids=[row[0] for row in BEFORE + ALWAYS]
)
async def test_a_stranger_with_a_bad_frame_is_shown_out(
    data: bytes, codes: set[int | None], served: GatewayProcess
) -> None:
    socket = await RawSocket.open(served.port)
    await socket.send(data)
    assert await socket.close_code() in codes
    await socket.close()


@pytest.mark.parametrize(("data", "codes"), [row[1:] for row in ALWAYS], ids=[row[0] for row in ALWAYS])
async def test_a_client_that_breaks_the_framing_is_shown_out(
    data: bytes, codes: set[int | None], served: GatewayProcess
) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    await socket.send(data)
    assert await socket.close_code() in codes
    await socket.close()


BAD = "invalid request frame: "
ANSWERED: list[tuple[str, bytes, Any, str | None]] = [
    # what, text, id of the answer, its message (None = a good answer)
    ("a request", request(), "1", None),
    ("a request with space around it", b" \r\n\t" + request() + b"\n ", "1", None),
    ("an id of 100 000 characters", request(id_="x" * 100_000), "x" * 100_000, None),
    ("the same key twice", b'{"type":"req","id":"0","id":"1","method":"health"}', "1", None),
    (
        "half an emoji",
        request(params=b'{"\\ud83d":1}'),
        "1",
        "invalid health params: at root: unexpected property '\ufffd'",
    ),
    ("no parameters", b'{"type":"req","id":"1","method":"health","params":null}', "1", None),
    ("a list of parameters", request(params=b"[]"), "1", "invalid health params: "),
    ("nesting of 900", request(params=b'{"x":%b}' % nested(900)), "1", "invalid health params: "),
    ("nesting of 10 000", request(params=nested(10_000)), "1", BAD + "must not be nested this deeply"),
    ("objects nested 10 000 deep", request(params=nested(10_000, b'{"a":', b"}")), "1", BAD + "must not be nested"),
    ("a number of 5 000 digits", request("sessions.list", params=b'{"limit":%b}' % (b"9" * 5000)), "1", "invalid "),
    ("a number past every float", request("sessions.list", params=b'{"limit":1e999}'), "1", "invalid sessions.list"),
    ("minus zero", request("sessions.list", params=b'{"limit":-0}'), "1", "invalid sessions.list params: at /limit"),
    ("a huge method name", request("x" * 100_000), "1", "unknown method: xxx"),
    ("a second connect", request("connect"), "1", "connect is only valid as the first request"),
    ("a replayed connect", CONNECT, "connect", "connect is only valid as the first request"),
    ("a request without a type", b'{"id":"1","method":"health"}', "1", BAD + "must have required property 'type'"),
    ("an id of the wrong type", b'{"type":"req","id":{},"method":"health"}', "invalid", BAD + "at /id: must be string"),
    ("a response", b'{"type":"res","id":"1","ok":true}', "1", BAD),
    ("an event", b'{"type":"event","event":"tick"}', "invalid", BAD),
    ("a list", b"[]", "invalid", BAD + "must be object"),
    ("a string", b'"x"', "invalid", BAD + "must be object"),
]


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_client_is_answered_and_stays(protocol: int, served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login(protocol)
    for what, text, id_, message in ANSWERED:
        await socket.send(raw_frame(text))
        answer = await socket.answer(id_)
        assert isinstance(answer, dict), what
        assert answer["ok"] is (message is None), what
        assert message is None or answer["error"]["message"].startswith(message), what
    await socket.close()


async def test_what_is_no_json_or_binary_is_ignored(served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    for ignored in (b"", b"hello", b"{", b"NaN", b"\xef\xbb\xbf" + request(), request() + b"x", b'{"type":"req",}'):
        await socket.send(raw_frame(ignored))
        await socket.send(raw_frame(ignored, BINARY))
    await socket.send(raw_frame(request(id_="last")))
    answers: list[Any] = []
    while not answers or answers[-1]["id"] != "last":
        frame = msgspec.json.decode((await socket.frame())[1])
        answers += [frame] if frame["type"] == "res" else []
    assert [answer["id"] for answer in answers] == ["last"]
    await socket.close()


async def test_fragments_with_control_frames_between_them_are_one_request(served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    text = request(id_="\u00e4")
    parts = [text[at : at + 1] for at in range(len(text))]
    sent = b"".join(
        raw_frame(part, CONTINUATION if at else TEXT, final=at == len(parts) - 1) + raw_frame(b"%d" % at, PING)
        for at, part in enumerate(parts)
    )
    for at in range(0, len(sent), 7):
        await socket.send(sent[at : at + 7])
    frames = [await socket.frame() for _ in range(len(parts) + 1)]
    assert [payload for opcode, payload in frames if opcode == PONG] == [b"%d" % at for at in range(len(parts))]
    (answer,) = [msgspec.json.decode(payload) for opcode, payload in frames if opcode == TEXT]
    assert (answer["id"], answer["ok"]) == ("\u00e4", True)
    await socket.close()


async def test_one_id_used_for_many_requests_gets_as_many_answers(served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    await socket.send(raw_frame(request(id_="same")) * 200)
    answers = [await socket.answer("same") for _ in range(200)]
    assert all(isinstance(answer, dict) and answer["ok"] for answer in answers)
    send = request("chat.send", "s", b'{"sessionKey":"main","message":"/help","idempotencyKey":"replayed"}')
    await socket.send(raw_frame(send) * 20)
    runs = [await socket.answer("s") for _ in range(20)]
    assert [run["payload"]["runId"] for run in runs if isinstance(run, dict)] == ["replayed"] * 20
    await socket.close()


async def test_the_largest_frame_is_taken_and_one_byte_more_is_not(served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    frame = request("sessions.resolve", "big", b'{"key":"%b"}')
    largest = frame.replace(b"%b", b"x" * (POST_AUTH - len(frame) + 2))
    assert len(largest) == POST_AUTH
    await socket.send(raw_frame(largest))
    answer = await socket.answer("big")
    assert isinstance(answer, dict)
    assert not answer["ok"]
    await socket.send(raw_frame(largest + b" "))
    assert await socket.close_code() in (1009, None)
    await socket.close()


async def test_a_million_properties_cost_little(served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    await socket.login()
    many = b",".join(b'"%d":0' % at for at in range(1_000_000))
    await socket.send(raw_frame(b'{"type":"req","id":"1","method":"health",%b}' % many))
    answer = await socket.answer("1")
    assert isinstance(answer, dict)
    assert len(answer["error"]["message"]) < 1000
    await socket.send(raw_frame(request(params=b"{%b}" % many)))
    answer = await socket.answer("1")
    assert isinstance(answer, dict)
    assert len(answer["error"]["message"]) < 4000
    await socket.close()


def mutated(source: random.Random, frame: bytes) -> bytes:
    """Return a frame with some of its bytes changed, dropped, doubled or exchanged."""
    data = bytearray(frame)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(data))
        match source.randrange(5):
            case 0:
                data[at] = source.randrange(256)
            case 1:
                data[at] ^= 1 << source.randrange(8)
            case 2:
                del data[at : at + source.randint(1, 8)]
            case 3:
                data[at:at] = data[at : at + source.randint(1, 64)]
            case _:
                data[at:at] = source.randbytes(source.randint(1, 16))
        if not data:
            data = bytearray(b"\x81")
    return bytes(data)


SEEDS = [
    request(),
    request("chat.send", "2", b'{"sessionKey":"main","message":"/help","idempotencyKey":"f"}'),
    request("sessions.patch", "3", b'{"key":"agent:main:f","label":"\\u00e9","thinkingLevel":null}'),
    request("logs.tail", "4", b'{"cursor":0,"limit":2,"maxBytes":2000}'),
]


@pytest.mark.parametrize("seed", range(40))
async def test_mutated_frames_never_hurt(seed: int, served: GatewayProcess) -> None:
    source = random.Random(seed)
    socket = await RawSocket.open(served.port)
    if seed % 2:
        await socket.login(3 + seed % 4 // 2)
    for _ in range(source.randint(1, 30)):
        text = source.choice(SEEDS if seed % 2 else [*SEEDS, CONNECT])
        whole = source.random() < 0.5  # half of them break the text inside a good frame, half the frame
        await socket.send(raw_frame(mutated(source, text)) if whole else mutated(source, raw_frame(text)))
    assert await socket.end() in ENDED
    await socket.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.lists(st.binary(max_size=300) | st.text(max_size=60).map(str.encode), max_size=6), cut=st.integers(1, 40)
)
async def test_any_bytes_end_as_specified(data: list[bytes], cut: int, served: GatewayProcess) -> None:
    socket = await RawSocket.open(served.port)
    sent = b"".join(part if at % 2 else raw_frame(part) for at, part in enumerate(data))
    for at in range(0, len(sent), cut):
        await socket.send(sent[at : at + cut])
    assert await socket.end() in ENDED
    await socket.close()


async def test_two_hundred_silent_strangers_delay_nobody(served: GatewayProcess) -> None:
    silent = [await RawSocket.open(served.port) for _ in range(100)]
    speechless = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(50)]
    half = [await RawSocket.open(served.port) for _ in range(50)]
    for at, socket in enumerate(half):
        await socket.send(raw_frame(CONNECT)[: 10 + at * 3])
    begun = asyncio.get_running_loop().time()
    assert await healthy(served)
    assert asyncio.get_running_loop().time() - begun < 1
    for socket in silent + half:
        await socket.close()
    for _, writer in speechless:
        writer.close()
