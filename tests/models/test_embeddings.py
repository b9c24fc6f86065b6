from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelNotFound, ModelProtocol, ModelRateLimited, ModelUnavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelEntry, ModelsConfig, ProviderConfig
from openclaw.models.embeddings import BATCH, Embeddings
from openclaw.net.http import HttpClient
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Raw, Reply, Request

pytestmark = pytest.mark.anyio


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    client = HttpClient()
    yield client
    await client.close()


def vectors(request: Request) -> Reply:
    """Give [length, 1] for each text, the last first."""
    assert request.path == "/v1/embeddings"
    rows = [{"index": i, "embedding": [float(len(text)), 1.0]} for i, text in enumerate(request.json["input"])]
    body = {"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": len(rows), "total_tokens": len(rows)}}
    return Raw((msgspec.json.encode(body),))


def rooms(http: HttpClient, providers: dict[str, ProviderConfig], env: Mapping[str, str] | None = None) -> Embeddings:
    config = ModelsConfig(providers=providers)
    return Embeddings(lambda: config, env=(env or {}).get, http=http, clock=SYSTEM_CLOCK)


def local(base_url: str, *models: str) -> ProviderConfig:
    return ProviderConfig(base_url=base_url, api_key=Secret("sk-x"), models=tuple(ModelEntry(id=m) for m in models))


async def test_texts_become_vectors_in_their_order_whatever_their_number(http: HttpClient) -> None:
    async with OpenAIStandIn(vectors) as upstream:
        embeddings = rooms(http, {"local": local(upstream.base_url, "chat", "nomic-embed-text")})
        texts = ["x" * (n % 7 + 1) for n in range(BATCH + 10)]
        found = await embeddings.embed("", texts, dimensions=2)
        assert found.vectors == [[float(len(text)), 1.0] for text in texts]
        assert (found.tokens, found.model) == (BATCH + 10, "local/nomic-embed-text")
        first = upstream.requests[0]
        assert len(upstream.requests) == 2
        assert (first.json["model"], first.json["dimensions"]) == ("nomic-embed-text", 2)
        assert first.headers["authorization"] == "Bearer sk-x"


@pytest.mark.parametrize("name", ["nomic-embed-text", "local/nomic-embed-text", "local/anything"])
async def test_a_model_is_found_by_reference_or_by_its_listed_id(http: HttpClient, name: str) -> None:
    async with OpenAIStandIn(vectors) as upstream:
        embeddings = rooms(http, {"local": local(upstream.base_url, "nomic-embed-text")})
        assert (await embeddings.embed(name, ["a"])).model == f"local/{name.removeprefix('local/')}"


@pytest.mark.parametrize("name", ["", "nope", "nope/embed", "anthropic/embed"])
async def test_a_model_that_nobody_offers_is_told_with_what_to_configure(http: HttpClient, name: str) -> None:
    embeddings = rooms(http, {"chatty": local("http://127.0.0.1:9", "chat")})
    with pytest.raises(ModelNotFound) as found:
        await embeddings.embed(name, ["a"])
    assert "models.providers" in found.value.hint


async def test_a_provider_without_its_key_cannot_be_used(http: HttpClient) -> None:
    with pytest.raises(ModelUnavailable, match="API key"):
        await rooms(http, {}).embed("openai/text-embedding-3-small", ["a"])


async def test_the_environments_key_is_enough_for_the_official_api(http: HttpClient) -> None:
    async with OpenAIStandIn(vectors) as upstream:
        env = {"OPENAI_API_KEY": "sk-env", "OPENAI_BASE_URL": upstream.base_url}
        found = await rooms(http, {}, env).embed("openai/text-embedding-3-large", ["a"])
        assert found.model == "openai/text-embedding-3-large"
        assert upstream.requests[0].headers["authorization"] == "Bearer sk-env"


@pytest.mark.parametrize(
    "data", [[], [{"embedding": []}], [{"embedding": [1.0]}, {"embedding": [1.0]}], [{"embedding": "x"}], None]
)
async def test_an_answer_that_does_not_fit_is_a_typed_error(http: HttpClient, data: object) -> None:
    async with OpenAIStandIn([Raw((msgspec.json.encode({"data": data}),))]) as upstream:
        with pytest.raises(ModelProtocol):
            await rooms(http, {"local": local(upstream.base_url)}).embed("local/e", ["a"])


async def test_a_refusal_keeps_its_kind(http: HttpClient) -> None:
    refused = Raw((b'{"error":{"message":"slow down"}}',), 429)
    async with OpenAIStandIn([refused]) as upstream:
        with pytest.raises(ModelRateLimited):
            await rooms(http, {"local": local(upstream.base_url)}).embed("local/e", ["a"])
