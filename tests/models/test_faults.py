"""Any fault at any moment: a stream that is cut or whose bytes change gives a typed error or a sound message."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelError
from openclaw.base.message import Message
from openclaw.base.model import ModelResult
from openclaw.models.anthropic.parser import MessagesParser
from openclaw.models.assemble import Assembler
from openclaw.models.ollama.parser import OllamaParser
from openclaw.models.openai.parser import ChatParser
from openclaw.models.openai.responses_parser import ResponseParser
from openclaw.models.transport.failure import Failures
from openclaw.models.transport.ndjson import LineSplitter
from openclaw.models.transport.sse import SseSplitter
from openclaw.models.transport.wire import Parser, Splitter
from tests.stand_ins.anthropic import AnthropicStandIn
from tests.stand_ins.ollama import OllamaStandIn
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Call, Request, StandIn

FAILURES = Failures("p", None, SYSTEM_CLOCK)
CALLS = (Call("get_weather", '{"city":"Zürich"}', "call_a"), Call("get_weather", '{"city":"東京"}', "call_b"))
REPLY = Answer(text="Let me see. 🗼", thinking="Two cities.", signature="c2ln", calls=CALLS, cached_tokens=3)


class Case(NamedTuple):
    """A wire: what makes its bytes, and what reads them."""

    stand_in: type[StandIn]
    path: str
    splitter: Callable[[], Splitter]
    parser: Callable[[str, Failures], Parser]

    def bytes_(self) -> bytes:
        asked = Request("POST", self.path, {}, b'{"stream":true,"stream_options":{"include_usage":true}}')
        return b"".join(self.stand_in().answer(asked, REPLY).pieces)


CASES = {
    "openai": Case(OpenAIStandIn, "/v1/chat/completions", SseSplitter, ChatParser),
    "openai-responses": Case(OpenAIStandIn, "/v1/responses", SseSplitter, ResponseParser),
    "anthropic": Case(AnthropicStandIn, "/v1/messages", SseSplitter, MessagesParser),
    "ollama": Case(OllamaStandIn, "/api/chat", LineSplitter, OllamaParser),
}
WHOLE = {name: case.bytes_() for name, case in CASES.items()}
WIRES = pytest.mark.parametrize("wire", list(CASES))


def read(wire: str, raw: bytes, sizes: list[int]) -> tuple[ModelResult | ModelError, Message]:
    """Read a stream as models.wire does, in pieces of these sizes; also return what had arrived until the end."""
    case = CASES[wire]
    splitter, parser, assembler = case.splitter(), case.parser("m", FAILURES), Assembler()
    at = turn = 0
    try:
        while at < len(raw) and not parser.done:
            size = sizes[turn % len(sizes)]
            assembler.feed(parser.feed(splitter.feed(raw[at : at + size])))
            at, turn = at + size, turn + 1
        if not parser.done and splitter.unfinished:
            raise FAILURES.protocol("m", "the stream ended within an event")
        assembler.feed([parser.finish()])
    except ModelError as error:
        return error, assembler.message
    return assembler.result(), assembler.message


def sound(message: Message) -> None:
    """Check that a message can be kept: it encodes, every call has a name and an id of its own."""
    msgspec.json.encode(message)
    ids = [call.id for call in message.tool_calls]
    assert len(ids) == len(set(ids))
    assert all(call.id and call.name and call.arguments for call in message.tool_calls)


SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=5)
GOOD = {wire: read(wire, raw, [10**6])[0] for wire, raw in WHOLE.items()}


@WIRES
def test_the_stream_itself_is_understood(wire: str) -> None:
    result = GOOD[wire]
    assert isinstance(result, ModelResult)
    assert result.message.text == REPLY.text
    assert [call.name for call in result.message.tool_calls] == ["get_weather"] * 2


@WIRES
@given(cut=st.integers(0, 10_000), sizes=SIZES)
def test_a_stream_cut_anywhere_is_whole_or_an_error(wire: str, cut: int, sizes: list[int]) -> None:
    raw = WHOLE[wire][: cut % (len(WHOLE[wire]) + 1)]
    result, kept = read(wire, raw, sizes)
    sound(kept)
    good = GOOD[wire]
    assert isinstance(good, ModelResult)
    if isinstance(result, ModelResult):
        assert (result.message, result.finish_reason) == (good.message, good.finish_reason)
    else:
        assert good.message.text.startswith(kept.text)


@WIRES
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), sizes=SIZES)
def test_a_changed_byte_is_an_error_or_a_sound_message(wire: str, at: int, value: int, sizes: list[int]) -> None:
    raw = bytearray(WHOLE[wire])
    raw[at % len(raw)] = value
    result, kept = read(wire, bytes(raw), sizes)
    sound(kept)
    if isinstance(result, ModelResult):
        sound(result.message)


@WIRES
@given(start=st.integers(0, 10_000), length=st.integers(1, 300), sizes=SIZES)
def test_missing_bytes_are_an_error_or_a_sound_message(wire: str, start: int, length: int, sizes: list[int]) -> None:
    raw = WHOLE[wire]
    at = start % len(raw)
    _, kept = read(wire, raw[:at] + raw[at + length :], sizes)
    sound(kept)
