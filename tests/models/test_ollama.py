"""What only Ollama's API does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import (
    ModelAuth,
    ModelBadRequest,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelUnreachable,
)
from openclaw.base.message import Message, ThinkingPart, ToolCall, ToolOutcome, outcomes, user
from openclaw.base.model import ModelRequest
from openclaw.config.schema import ModelEntry, ModelTimeouts, ProviderConfig
from openclaw.models.assemble import collect
from openclaw.models.catalog import OLLAMA_CONTEXT_TOKENS, Catalog
from openclaw.models.ollama.client import FIRST_TOKEN_MS, OllamaClient
from openclaw.models.ollama.host import host_url
from openclaw.models.ollama.request import body
from openclaw.models.transport.ndjson import LineSplitter
from openclaw.models.transport.sse import EVENT_LIMIT_BYTES, EventTooLarge
from openclaw.net.http import HttpClient
from tests.models.clients import ask, events_of
from tests.stand_ins.ollama import MODEL, OllamaStandIn
from tests.stand_ins.server import Answer, Failure, Raw, Reply

pytestmark = pytest.mark.anyio


def client(http: HttpClient, base_url: str, **settings: Any) -> OllamaClient:
    return OllamaClient(http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), base_url=base_url, **settings)


def lines(*values: object) -> Raw:
    """Return a stream of these lines."""
    pieces = tuple(msgspec.json.encode(value) + b"\n" for value in values)
    return Raw(pieces, content_type="application/x-ndjson", stream=True)


def call(name: str, arguments: object) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}}


async def test_calls_are_gathered_from_all_chunks_and_get_ids_of_their_own(http: HttpClient) -> None:
    reply = lines(
        {"message": {"content": "Let me see."}},
        {"message": {"tool_calls": [call("a", {"x": 1}), call("b", '{"y": 2}')]}},
        {"message": {"tool_calls": [call("a", {}), call("c", None)]}},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    )
    async with OllamaStandIn([reply]) as server:
        result = await collect(client(http, server.base_url).stream(ask()))
    assert [(one.name, one.arguments) for one in result.message.tool_calls] == [
        ("a", '{"x":1}'),
        ("b", '{"y": 2}'),
        ("a", "{}"),
        ("c", "{}"),
    ]
    assert len({one.id for one in result.message.tool_calls}) == 4
    assert result.finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("reply", "kind", "word"),
    [
        (Failure(404, "", "model 'm' not found"), ModelNotFound, "ollama pull m"),
        (Failure(400, "", '"m" does not support tools'), ModelBadRequest, "models.providers.ollama.models"),
        (Failure(500, "", "llama runner process has terminated"), ModelOverloaded, ""),
        (Failure(503, "", "server busy, maximum pending requests exceeded"), ModelOverloaded, ""),
        (Failure(429, "", "too many requests"), ModelRateLimited, ""),
        (Failure(401, "", "unauthorized"), ModelAuth, ""),
    ],
)
async def test_errors_say_what_to_do(
    reply: Reply, kind: type[Exception], word: str, stream: bool, http: HttpClient
) -> None:
    async with OllamaStandIn([reply]) as server:
        asked = client(http, server.base_url)
        with pytest.raises(kind) as caught:
            await (events_of(asked, ask()) if stream else asked.generate(ask()))
    assert word in caught.value.hint  # type: ignore[attr-defined]


async def test_a_server_that_is_not_there_is_named(http: HttpClient) -> None:
    with pytest.raises(ModelUnreachable) as caught:
        await client(http, "http://127.0.0.1:9").generate(ask())
    assert "http://127.0.0.1:9" in caught.value.message
    assert "http://127.0.0.1:9" in caught.value.hint
    assert "OLLAMA_HOST" in caught.value.hint


@pytest.mark.parametrize(
    "reply",
    [
        Raw((b'{"message":{"content":7}}\n',), content_type="application/x-ndjson", stream=True),
        Raw((b'{"message":{"content":"x"}}\n{"half',), content_type="application/x-ndjson", stream=True),
        Raw((b'{"message":{"content":"x"}}\n',), content_type="application/x-ndjson", stream=True),
        Raw((b"[1]\n",), content_type="application/x-ndjson", stream=True),
        lines({"message": {"tool_calls": [{"id": "x"}]}, "done": True}),
        lines({"error": "it broke"}),
        Raw((b'data: {"choices":[]}\n\n',), content_type="text/event-stream", stream=True),
        Raw((b'{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":"\xff"}}}]},"done":true}',)),
    ],
)
async def test_broken_streams_are_protocol_errors(reply: Raw, http: HttpClient) -> None:
    async with OllamaStandIn([reply, reply]) as server:
        with pytest.raises(ModelProtocol):
            await events_of(client(http, server.base_url), ask())
        with pytest.raises(ModelProtocol):
            await client(http, server.base_url).generate(ask())


async def test_an_error_within_a_stream_ends_it(http: HttpClient) -> None:
    async with OllamaStandIn([Failure(200, "", "out of memory", after=2)]) as server:
        with pytest.raises(ModelProtocol, match="out of memory"):
            await events_of(client(http, server.base_url), ask())


async def test_settings_reach_the_server(http: HttpClient) -> None:
    async with OllamaStandIn() as server:
        for keep_alive in ("5m", "-1", ""):
            await client(http, server.base_url, num_ctx=4096, keep_alive=keep_alive).generate(ask())
        sent = [request.json for request in server.requests]
    assert [one.get("keep_alive") for one in sent] == ["5m", -1, None]
    assert sent[0]["options"] == {"num_ctx": 4096, "num_predict": 100}


async def test_what_the_server_knows_of_a_model_wins(http: HttpClient) -> None:
    async with OllamaStandIn() as server:
        asked = client(http, server.base_url)
        info = await asked.get_metadata(MODEL)
        assert (info.tools, info.images, info.reasoning, info.context_tokens) == (True, True, True, 12_288)
        assert (info.input_usd_micros, info.output_usd_micros) == (0, 0)
        assert (await client(http, server.base_url, num_ctx=2048).get_metadata(MODEL)).context_tokens == 2048
        with pytest.raises(ModelNotFound) as caught:
            await asked.get_metadata("other")
        assert [one.ref for one in await asked.list_models()] == [f"ollama/{MODEL}"]
        assert await asked.count_tokens(ask()) > 0
    assert "ollama pull other" in caught.value.hint


async def test_the_first_token_may_take_long_unless_someone_said_otherwise(http: HttpClient) -> None:
    patient = client(http, "http://127.0.0.1:9")
    assert patient._wire._stream_timeouts.first_byte == FIRST_TOKEN_MS / 1000
    hasty = client(http, "http://127.0.0.1:9", timeouts=ModelTimeouts(first_token_ms=5))
    assert hasty._wire._stream_timeouts.first_byte == 0.005


def test_thinking_goes_back_with_the_calls_it_led_to_and_nowhere_else() -> None:
    thought = ThinkingPart("hm")
    signed = ThinkingPart("secret", "sig")
    with_call = Message("assistant", (thought, signed, ToolCall("1", "f", "{}")))
    conversation = (
        user("q"),
        Message("assistant", (thought,)),
        user("r"),
        with_call,
        outcomes([ToolOutcome("1", "f", "x")]),
    )
    sent = body(ModelRequest(model="m", messages=conversation), stream=True, num_ctx=1, keep_alive="")["messages"]
    assert [one.get("thinking") for one in sent] == [None, None, None, "hm", None]


def test_the_context_counted_with_is_the_one_that_is_loaded() -> None:
    plain = Catalog({"ollama": ProviderConfig(api="ollama")})
    assert plain.info("ollama", "llama3:8b").context_tokens == OLLAMA_CONTEXT_TOKENS
    wide = Catalog({"box": ProviderConfig(api="ollama", num_ctx=65_536, models=(ModelEntry(id="a"),))})
    assert wide.info("box", "a").context_tokens == 65_536
    small = ProviderConfig(api="ollama", models=(ModelEntry(id="a", context_window=2048),))
    assert Catalog({"box": small}).info("box", "a").context_tokens == 2048


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        (":8000", "http://127.0.0.1:8000"),
        ("box", "http://box:11434"),
        ("box:1", "http://box:1"),
        ("http://box", "http://box:80"),
        ("https://box/ollama/", "https://box:443/ollama"),
        ("[::1]:5", "http://[::1]:5"),
        ("[::]:5", "http://127.0.0.1:5"),
        ('"box:2"', "http://box:2"),
        ("http://u:p@box:3", "http://u:p@box:3"),
    ],
)
def test_ollama_host_is_read_as_ollama_reads_it(value: str, url: str) -> None:
    assert host_url(value) == url


@given(st.text(max_size=30))
def test_any_ollama_host_is_read_without_a_crash(value: str) -> None:
    assert isinstance(host_url(value), str)


@given(st.lists(st.text(alphabet="ab{}é ", max_size=6)), st.integers(1, 5))
def test_lines_come_whole_however_they_are_cut(texts: list[str], size: int) -> None:
    raw = "".join(f"{text}\n" for text in texts).encode()
    splitter = LineSplitter()
    found = [line for at in range(0, len(raw), size) for line in splitter.feed(raw[at : at + size])]
    assert found == [text.encode() for text in texts if text.strip()]
    assert not splitter.unfinished


def test_a_line_without_end_is_refused() -> None:
    splitter = LineSplitter()
    splitter.feed(b"x")
    assert splitter.unfinished
    with pytest.raises(EventTooLarge):
        splitter.feed(b"x" * EVENT_LIMIT_BYTES)


async def test_answers_to_a_plain_answer_are_complete(http: HttpClient) -> None:
    async with OllamaStandIn([Answer(omit_usage=True)]) as server:
        result = await client(http, server.base_url).generate(ask())
    assert result.usage.total_tokens == 0
