"""Our clients against a server that is not ours: llama.cpp's, which speaks three of the wires. SmolLM2 behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelAuth, ModelContextOverflow, ModelUnavailable
from openclaw.base.message import assistant, user
from openclaw.base.model import ModelFinish, ModelRequest, TextDelta
from openclaw.base.secret import Secret
from openclaw.config.env import load_environment
from openclaw.config.paths import resolve_paths
from openclaw.models.catalog import Catalog
from openclaw.models.client import LLMClient
from openclaw.models.embedded.local_model import LocalModel, local_model
from openclaw.models.embedded.server import ModelServer
from openclaw.models.fake.client import FakeClient
from openclaw.models.local.pull import pull
from openclaw.models.local.shelf import model_path
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner
from tests.models.clients import CLIENTS, ask, events_of, joined

pytestmark = [pytest.mark.anyio, pytest.mark.model]
WIRES = pytest.mark.parametrize("wire", ["openai", "openai-responses", "anthropic"])
SMOL = "smollm2"
QUESTION = ask("What is the capital of Japan?", model=SMOL)
Connect = Callable[[str], LLMClient]


class _Told:
    """Learns where the server listens and with which key."""

    def __init__(self) -> None:
        self.url = ""
        self.key = Secret("none")

    def connect(self, model: LocalModel, url: str, key: Secret) -> LLMClient:
        self.url, self.key = url, key
        return FakeClient()


@pytest.fixture
async def told() -> AsyncIterator[_Told]:
    """A running server."""
    spawner = Spawner(load_environment())
    cache = resolve_paths(load_environment()).cache_dir
    try:
        await pull(SMOL, cache, spawner=spawner)
    except ModelUnavailable as error:
        await spawner.close()
        pytest.skip(f"SmolLM2 cannot be fetched: {error.message}")
    path = model_path(cache, SMOL)
    assert path is not None
    told = _Told()
    server = ModelServer(local_model(SMOL), path, spawner, SYSTEM_CLOCK, told.connect)
    await server.ready()
    yield told
    await server.stop()
    await spawner.close()


@pytest.fixture
def connect(told: _Told, http: HttpClient) -> Connect:
    """Make the client of one wire."""
    return partial(_client, told, http)


def _client(told: _Told, http: HttpClient, wire: str, key: Secret | None = None) -> LLMClient:
    return CLIENTS[wire](
        http=http, clock=SYSTEM_CLOCK, catalog=Catalog(), provider=wire, base_url=told.url, key=key or told.key
    )


@WIRES
async def test_it_answers_whole_and_in_a_stream(wire: str, connect: Connect) -> None:
    client = connect(wire)
    whole = await client.generate(QUESTION)
    assert "Tokyo" in whole.message.text
    assert whole.usage.input_tokens > 5
    assert whole.usage.output_tokens > 0
    events = await events_of(client, QUESTION)
    assert joined(events, TextDelta) == whole.message.text
    assert sum(isinstance(event, TextDelta) for event in events) > 3
    end = events[-1]
    assert isinstance(end, ModelFinish)
    assert end.reason == "stop"
    assert end.usage.output_tokens == whole.usage.output_tokens


# llama.cpp's Responses API calls an answer that was cut `completed`.
@pytest.mark.parametrize("wire", ["openai", "anthropic"])
async def test_an_answer_that_is_cut_says_so(wire: str, connect: Connect) -> None:
    short = ModelRequest(model=SMOL, messages=(user("Write a long poem about the sea."),), max_tokens=4)
    assert (await connect(wire).generate(short)).finish_reason == "length"
    end = (await events_of(connect(wire), short))[-1]
    assert isinstance(end, ModelFinish)
    assert end.reason == "length"


@WIRES
async def test_it_takes_a_conversation(wire: str, connect: Connect) -> None:
    talk = (user("My name is Ada."), assistant("Nice to meet you, Ada."), user("What is my name?"))
    answer = await connect(wire).generate(ModelRequest(model=SMOL, system="Be brief.", messages=talk, max_tokens=40))
    assert "Ada" in answer.message.text


@WIRES
async def test_leaving_a_stream_stops_the_server(wire: str, connect: Connect) -> None:
    client = connect(wire)
    endless = ModelRequest(model=SMOL, messages=(user("Count to a thousand in words."),), max_tokens=4000)
    async with aclosing(client.stream(endless)) as stream:
        await anext(stream)
    # Four slots: were the left ones still at work, the fifth would have to wait for them.
    for _ in range(4):
        async with aclosing(client.stream(endless)) as stream:
            await anext(stream)
    async with asyncio.timeout(30):
        assert (await client.generate(QUESTION)).message.text


@WIRES
async def test_a_wrong_key_and_a_prompt_too_long_are_typed(wire: str, told: _Told, http: HttpClient) -> None:
    with pytest.raises(ModelAuth):
        await _client(told, http, wire, Secret("wrong")).generate(QUESTION)
    huge = ask("word " * 20_000, model=SMOL)
    with pytest.raises(ModelContextOverflow):
        await _client(told, http, wire).generate(huge)
    with pytest.raises(ModelContextOverflow):
        await events_of(_client(told, http, wire), huge)


async def test_it_counts_tokens_for_the_messages_api(connect: Connect) -> None:
    counted = await connect("anthropic").count_tokens(QUESTION)
    billed = (await connect("anthropic").generate(QUESTION)).usage.input_tokens
    assert abs(counted - billed) <= 2


async def test_it_lists_its_model(connect: Connect) -> None:
    assert SMOL in [info.id for info in await connect("openai").list_models()]
    assert (await connect("openai").get_metadata(SMOL)).id == SMOL
