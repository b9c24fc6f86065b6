from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest

from openclaw.base.errors import ModelNotFound, ModelRateLimited, OpenClawError
from openclaw.base.principal import Principal
from openclaw.models.embeddings import Embedded
from tests.listeners.fakes import TOKEN, World, http, raw_request, world

pytestmark = pytest.mark.anyio


class FakeEmbedder:
    """Says how long each text is."""

    def __init__(self, error: OpenClawError | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, list[str], int | None]] = []

    async def embed(
        self, model: str, texts: Sequence[str], caller: Principal, *, dimensions: int | None = None
    ) -> Embedded:
        self.asked.append((model, list(texts), dimensions))
        if self.error is not None:
            raise self.error
        return Embedded([[float(len(text)), 0.5] for text in texts], 7, "local/embed")


def client(here: World) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{here.url}/v1", max_retries=0, timeout=10)


@pytest.mark.parametrize("encoding", ["float", "base64", None])
async def test_the_official_client_gets_vectors(encoding: Any) -> None:
    embedder = FakeEmbedder()
    async with world(embedder=embedder) as here, client(here) as sdk:
        options: Any = {"encoding_format": encoding} if encoding else {}
        answer = await sdk.embeddings.create(model="openclaw", input=["a", "bcd"], dimensions=2, **options)
        assert embedder.asked == [("", ["a", "bcd"], 2)]
        assert answer.model == "local/embed"
        assert answer.usage.prompt_tokens == 7
        if encoding != "base64":  # asked for by name, the client hands it out as it came
            assert [row.embedding for row in answer.data] == [[1.0, 0.5], [3.0, 0.5]]
        else:
            assert answer.data[0].embedding == "AACAPwAAAD8="  # type: ignore[comparison-overlap]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": ""},
        {"input": ["a", ""]},
        {"input": [1, 2]},
        {"input": "a", "dimensions": 0},
        {"input": "a", "encoding_format": "int8"},
        {"input": ["a"] * 2049},
    ],
)
async def test_bad_input_is_400(body: Any) -> None:
    embedder = FakeEmbedder()
    async with world(embedder=embedder) as here:
        status, _, _ = await raw_request(here.port, http("POST", "/v1/embeddings", json.dumps(body).encode()))
        assert status == 400
        assert embedder.asked == []


@pytest.mark.parametrize(
    ("error", "status"), [(ModelNotFound("no such", hint="Configure one."), 404), (ModelRateLimited("slow"), 429)]
)
async def test_what_the_models_say_becomes_a_status(error: OpenClawError, status: int) -> None:
    async with world(embedder=FakeEmbedder(error)) as here:
        got, _, body = await raw_request(here.port, http("POST", "/v1/embeddings", b'{"input":"a","model":"x"}'))
        assert got == status
        if status == 404:
            assert "Configure one." in json.loads(body)["error"]["message"]


async def test_without_an_embedder_there_is_nothing_to_ask() -> None:
    async with world() as here:
        assert (await raw_request(here.port, http("POST", "/v1/embeddings", b'{"input":"a"}')))[0] == 404
