from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import (
    BudgetExceeded,
    ModelError,
    ModelNotFound,
    ModelProtocol,
    ModelRateLimited,
    ModelUnavailable,
)
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.base.principal import LOCAL_OPERATOR, Limits
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelCost, ModelEntry, ModelsConfig, ProviderConfig
from openclaw.models.embeddings import BATCH, OFFICIAL_MODEL, OFFICIAL_USD_MICROS, Embedded, Embeddings
from openclaw.models.spend.pricing import worst_case_usd_micros
from openclaw.net.http import HttpClient
from openclaw.store.api import Spender, UsageRow
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


class Till:
    """Counts what is set aside, settled and given back; keeps the rows of the ledger."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.story: list[object] = []
        self.rows: list[UsageRow] = []

    async def record_usage(self, rows: Sequence[UsageRow]) -> None:
        self.rows += rows

    def __call__(self, spender: Spender, limits: Limits | None = None) -> Till:
        return self

    async def reserve(self, info: ModelInfo, request: ModelRequest) -> Till:
        self.story.append(worst_case_usd_micros(info, request, request.max_tokens or info.max_output_tokens))
        if self.refuses:
            raise BudgetExceeded("used up")
        return self

    async def settle(self, usage: Usage) -> None:
        self.story.append(usage)

    async def release(self) -> None:
        self.story.append("released")


class Rooms:
    def __init__(self, embeddings: Embeddings) -> None:
        self._embeddings = embeddings

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> Embedded:
        return await self._embeddings.embed(model, texts, LOCAL_OPERATOR, dimensions=dimensions)


def rooms(
    http: HttpClient,
    providers: dict[str, ProviderConfig],
    env: Mapping[str, str] | None = None,
    till: Till | None = None,
) -> Rooms:
    config = ModelsConfig(providers=providers)
    till = till or Till()
    return Rooms(
        Embeddings(lambda: config, env=(env or {}).get, http=http, clock=SYSTEM_CLOCK, ledger=till, purse=till)
    )


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


PRICED = ModelEntry(id="nomic-embed-text", cost=ModelCost(input=2))


def priced(base_url: str) -> ProviderConfig:
    return msgspec.structs.replace(local(base_url), models=(PRICED,))


async def test_each_call_is_paid_for_and_written_down(http: HttpClient) -> None:
    till = Till()
    async with OpenAIStandIn(vectors) as upstream:
        await rooms(http, {"local": priced(upstream.base_url)}, till=till).embed("", ["x"] * (BATCH + 1))
    most, used, least, one = till.story
    assert isinstance(most, int)
    assert isinstance(least, int)
    assert most > least > 0
    assert (used, one) == (Usage(BATCH), Usage(1))
    assert [row.usd_micros for row in till.rows] == [2 * BATCH, 2]
    row = till.rows[0]
    assert (row.purpose, row.provider, row.model, row.owner) == (
        "embedding",
        "local",
        "nomic-embed-text",
        LOCAL_OPERATOR.owner,
    )
    assert (row.channel, row.error_code, till.rows[1].run_id) == ("http", "", row.run_id)


async def test_a_used_up_budget_asks_nobody(http: HttpClient) -> None:
    till = Till(refuses=True)
    async with OpenAIStandIn(vectors) as upstream:
        with pytest.raises(BudgetExceeded):
            await rooms(http, {"local": priced(upstream.base_url)}, till=till).embed("", ["a"])
        assert upstream.requests == []
    assert till.rows == []


@pytest.mark.parametrize(
    ("answer", "code", "end"),
    [
        (Raw((b'{"error":{"message":"slow down"}}',), 429), "MODEL_RATE_LIMITED", "released"),
        (Raw((b"{",)), "MODEL_PROTOCOL", Usage()),
    ],
)
async def test_a_refused_call_costs_nothing_and_a_broken_one_all(
    http: HttpClient, answer: Raw, code: str, end: object
) -> None:
    till = Till()
    async with OpenAIStandIn([answer]) as upstream:
        with pytest.raises(ModelError):
            await rooms(http, {"local": priced(upstream.base_url)}, till=till).embed("", ["a"])
    assert till.story[1:] == [end]
    assert [(row.error_code, row.usd_micros) for row in till.rows] == [(code, None)]


def test_the_official_models_have_prices() -> None:
    assert OFFICIAL_MODEL in OFFICIAL_USD_MICROS
