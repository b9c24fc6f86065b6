"""Which models there are: configuration over environment over what is built in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelNotFound, ModelUnavailable
from openclaw.base.model import ModelEvent, ModelRequest
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelEntry, ModelsConfig, ProviderConfig
from openclaw.models.anthropic.client import AnthropicClient
from openclaw.models.catalog import builtin
from openclaw.models.client import LLMClient
from openclaw.models.fake.client import FakeClient
from openclaw.models.ollama.client import OllamaClient
from openclaw.models.openai.client import OpenAIClient
from openclaw.models.openai.responses import ResponsesClient
from openclaw.models.provider import provider
from openclaw.models.registry import ModelRegistry
from openclaw.net.http import HttpClient
from tests.models.clients import ask
from tests.stand_ins.openai import OpenAIStandIn

pytestmark = pytest.mark.anyio


class Closable(FakeClient):
    """A client that tells whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    async def close(self) -> None:
        self.closed = True


def registry(
    env: dict[str, str] | None = None,
    http: HttpClient | None = None,
    made: list[Closable] | None = None,
    catalog_path: Path | None = None,
    **providers: ProviderConfig,
) -> ModelRegistry:
    """Return a registry over a plain environment."""

    def embedded(name: str, config: ProviderConfig) -> LLMClient:
        client = Closable()
        if made is not None:
            made.append(client)
        return client

    return ModelRegistry(
        ModelsConfig(providers=providers),
        env=(env or {}).get,
        http=http or HttpClient(),
        embedded=embedded,
        clock=SYSTEM_CLOCK,
        catalog_path=catalog_path,
    )


def inner(client: LLMClient) -> object:
    """Look behind the lease."""
    return client._client  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("env", "ref"),
    [
        ({}, "embedded/smollm2"),
        ({"OPENAI_API_KEY": "k"}, "openai/gpt-6-sol"),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}, "anthropic/claude-sonnet-5-5"),
        ({"ANTHROPIC_API_KEY": "k", "OPENCLAW_LLM_PROVIDER": "fake"}, "fake/echo"),
        ({"OPENCLAW_LLM_PROVIDER": "openai/gpt-4.1"}, "openai/gpt-4.1"),
        ({"OPENAI_API_KEY": "  "}, "embedded/smollm2"),
    ],
)
def test_the_environment_chooses_the_default(env: dict[str, str], ref: str) -> None:
    assert registry(env).default_ref() == ref


def test_the_default_model_of_every_provider_is_in_the_catalogue() -> None:
    known = {(model.provider, model.id) for model in builtin().models}
    assert set(builtin().defaults.items()) <= known


def test_keys_in_the_environment_make_providers_work() -> None:
    found = registry({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"})
    assert isinstance(inner(found.resolve("anthropic/claude-opus-5-5").client), AnthropicClient)
    assert isinstance(inner(found.resolve("openai").client), OpenAIClient)
    assert found.resolve("openai").info.id == "gpt-6-sol"
    assert {model.provider for model in found.models()} == {"anthropic", "openai", "embedded", "fake"}
    assert found.problems() == {}


def test_without_keys_the_local_providers_remain_and_the_others_say_why() -> None:
    found = registry()
    assert {model.provider for model in found.models()} == {"embedded", "fake"}
    assert found.resolve("embedded/smollm2").info.tools is False
    assert found.resolve("smollm2").info.context_tokens == 8192
    assert found.resolve("embedded/any-pulled-file").info.id == "any-pulled-file"
    with pytest.raises(ModelUnavailable, match="ANTHROPIC_API_KEY"):
        found.resolve("anthropic/claude-opus-5-5")
    assert found.problems() == {}


@pytest.mark.parametrize("ref", ["nobody/x", "fake/gpt", "openai/", "", "no-such-model", "fake/"])
def test_unknown_models_are_typed_errors(ref: str) -> None:
    with pytest.raises((ModelNotFound, ModelUnavailable)):
        registry({"OPENAI_API_KEY": "k"}).resolve(ref)


def test_a_configured_provider_offers_its_list_and_no_more() -> None:
    entry = ModelEntry(id="org/model-7b", context_window=4096, max_tokens=512, tools=False, input=("text", "image"))
    found = registry(lab=ProviderConfig(base_url="http://127.0.0.1:9/v1", models=(entry,)))
    info = found.resolve("lab/org/model-7b").info
    assert (info.ref, info.context_tokens, info.max_output_tokens) == ("lab/org/model-7b", 4096, 512)
    assert (info.tools, info.images) == (False, True)
    assert found.resolve("lab").info.id == "org/model-7b"
    with pytest.raises(ModelNotFound):
        found.resolve("lab/other")
    assert "lab/org/model-7b" in [model.ref for model in found.models()]


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (ProviderConfig(), "baseUrl"),
        (ProviderConfig(base_url="ftp://x"), "baseUrl"),
        (ProviderConfig(base_url="https://user:pw@x.test"), "credentials"),
        (ProviderConfig(base_url="https://api.openai.com/v1"), "apiKey"),
        (ProviderConfig(base_url="http://x.test", api_key=Secret("a\nb")), "control"),
    ],
)
def test_problems_name_the_cause_and_the_setting(config: ProviderConfig, word: str) -> None:
    found = registry(lab=msgspec.structs.replace(config, models=(ModelEntry(id="m"),)))
    assert word in found.problems()["lab"]
    assert "pw" not in found.problems()["lab"]
    assert [model.available for model in found.models() if model.provider == "lab"] == [False]
    with pytest.raises(ModelUnavailable):
        found.resolve("lab/m")


def test_ollama_is_there_when_the_environment_or_the_configuration_says_where() -> None:
    found = registry({"OLLAMA_HOST": "0.0.0.0:1234"})
    assert isinstance(inner(found.resolve("ollama/llama3:8b").client), OllamaClient)
    assert found.resolve("ollama/llama3:8b").info.input_usd_micros == 0
    assert found.problems() == {}
    with pytest.raises(ModelUnavailable, match="OLLAMA_HOST"):
        registry().resolve("ollama/llama3")
    configured = registry(ollama=ProviderConfig(api="ollama"))
    assert configured.resolve("ollama/llama3").info.ref == "ollama/llama3"
    assert "OLLAMA_HOST" in registry({"OPENCLAW_LLM_PROVIDER": "ollama"}).problems()["ollama"]
    elsewhere = registry(box=ProviderConfig(api="ollama", base_url="http://me:pw@x.test"))
    assert "credentials" in elsewhere.problems()["box"]


def test_the_responses_api_is_another_wire_of_the_same_provider() -> None:
    found = registry({"OPENAI_API_KEY": "k"}, openai=ProviderConfig(api="openai-responses"))
    assert isinstance(inner(found.resolve("openai/gpt-6-sol").client), ResponsesClient)
    assert found.resolve("openai/gpt-6-sol").info.output_usd_micros == 10_000_000
    own = registry(lab=ProviderConfig(api="openai-responses", base_url="http://127.0.0.1:9/v1"))
    assert isinstance(inner(own.resolve("lab/x").client), ResponsesClient)


def test_a_chosen_provider_that_cannot_work_is_a_problem() -> None:
    assert "OPENAI_API_KEY" in registry({"OPENCLAW_LLM_PROVIDER": "openai"}).problems()["openai"]
    assert "unknown" in registry({"OPENCLAW_LLM_PROVIDER": "nobody"}).problems()["nobody"]


async def test_an_environment_key_goes_only_where_the_environment_sends_it() -> None:
    async with HttpClient() as http, OpenAIStandIn() as server:
        env = {"OPENAI_API_KEY": "from-env"}
        await (
            registry(env, http, openai=ProviderConfig(base_url=server.base_url))
            .resolve("openai")
            .client.generate(ask())
        )
        await registry({**env, "OPENAI_BASE_URL": server.base_url}, http).resolve("openai").client.generate(ask())
        sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [None, "Bearer from-env"]


async def test_reload_keeps_unchanged_clients_and_retires_changed_ones_after_their_calls() -> None:
    made: list[Closable] = []
    found = registry(made=made)
    same = found.resolve("fake/echo").client
    old = found.resolve("embedded/smollm2").client
    going = old.stream(ModelRequest(model="fake-n2-d1"))
    await anext(going)
    changed = ProviderConfig(api="embedded", models=(ModelEntry(id="smollm2"),))
    await found.reload(ModelsConfig(providers={"embedded": changed}))
    assert found.resolve("fake/echo").client is same
    assert found.resolve("embedded/smollm2").client is not old
    assert [client.closed for client in made] == [False, False]
    assert [events async for events in going]
    assert [client.closed for client in made] == [True, False]
    await found.close()
    assert [client.closed for client in made] == [True, True]


async def test_an_idle_client_that_was_removed_is_closed_at_once() -> None:
    made: list[Closable] = []
    found = registry(made=made, mine=ProviderConfig(api="embedded"))
    found.resolve("mine/x")
    await found.reload(ModelsConfig())
    assert made[0].closed
    with pytest.raises(ModelUnavailable):
        found.resolve("mine/x")


async def test_closing_a_leased_stream_closes_the_inner_one() -> None:
    ended: list[str] = []

    class Inner(FakeClient):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
            try:
                async for events in super().stream(request):
                    yield events
            finally:
                ended.append("closed")

    nothing: dict[str, str] = {}
    found = ModelRegistry(
        ModelsConfig(), env=nothing.get, http=HttpClient(), embedded=lambda *_: Inner(), clock=SYSTEM_CLOCK
    )
    stream: Any = found.resolve("embedded/x").client.stream(ModelRequest(model="fake-n5-d1"))
    await anext(stream)
    await stream.aclose()
    assert ended == ["closed"]


@pytest.mark.parametrize(("name", "host"), [("anthropic", "api.anthropic.com"), ("openai", "api.openai.com")])
@pytest.mark.parametrize("api", ["", "openai-completions", "anthropic-messages"])
def test_a_key_goes_to_the_vendor_of_its_name_and_to_no_other(name: str, host: str, api: Any) -> None:
    found = provider(name, ProviderConfig(api=api, api_key=Secret("k" * 40)), lambda _: None)
    assert found is not None
    assert urlsplit(found.config.base_url).hostname == host


def test_an_entry_without_a_wire_speaks_that_of_its_name() -> None:
    found = provider("anthropic", ProviderConfig(api_key=Secret("k" * 40)), lambda _: None)
    assert found is not None
    assert found.config.api == "anthropic-messages"
