"""The registry with credentials: one client each, and a provider that has nothing else is usable."""

from __future__ import annotations

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelUnavailable
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelsConfig, ProviderConfig
from openclaw.models.calling.credentials import Credential
from openclaw.models.fake.client import FakeClient
from openclaw.models.registry import ModelRegistry
from openclaw.net.http import HttpClient

pytestmark = pytest.mark.anyio
ONE = Credential("anthropic:one", "anthropic", Secret("sk-one-123456"))
TWO = Credential("anthropic:two", "anthropic", Secret("sk-two-123456"))
REF = "anthropic/claude-x"


def registry(
    http: HttpClient, first: Credential | None = None, env: dict[str, str] | None = None, **providers: ProviderConfig
) -> ModelRegistry:
    variables = env or {}
    return ModelRegistry(
        ModelsConfig(providers=providers),
        env=variables.get,
        http=http,
        embedded=lambda name, config: FakeClient(),
        clock=SYSTEM_CLOCK,
        credentials=lambda provider: first if first and first.provider == provider else None,
    )


async def test_each_credential_has_one_client(http: HttpClient) -> None:
    found = registry(http, env={"ANTHROPIC_API_KEY": "sk-env-123456"})
    clients = [found.resolve(REF, credential).client for credential in (None, ONE, TWO, ONE, None)]
    assert clients[1] is clients[3]
    assert clients[0] is clients[4]
    assert len({id(client) for client in clients}) == 3


async def test_a_provider_with_nothing_but_a_credential_is_usable_and_the_default(http: HttpClient) -> None:
    found = registry(http, ONE)
    found.resolve(REF)
    assert found.default_ref().startswith("anthropic/")
    assert all(info.available for info in found.models() if info.provider == "anthropic")
    assert not found.has_own_key("anthropic")
    with pytest.raises(ModelUnavailable):
        registry(http).resolve(REF)


async def test_an_agents_credential_makes_a_provider_usable_that_has_no_key(http: HttpClient) -> None:
    registry(http).resolve(REF, TWO)


async def test_a_provider_that_takes_no_key_has_one_client_whatever_is_offered(http: HttpClient) -> None:
    found = registry(http)
    assert (
        found.resolve("fake/echo", Credential("odd", "fake", Secret("x"))).client is found.resolve("fake/echo").client
    )


async def test_a_provider_knows_its_own_key(http: HttpClient) -> None:
    assert registry(http, env={"ANTHROPIC_API_KEY": "sk-env-123456"}).has_own_key("anthropic")
    own = ProviderConfig(base_url="https://models.example.com/v1", api_key=Secret("sk-own-123456"))
    assert registry(http, acme=own).has_own_key("acme")
    assert not registry(http, acme=own).has_own_key("nobody")


async def test_a_credential_read_anew_gets_a_client_anew(http: HttpClient) -> None:
    shared = [ONE]
    found = ModelRegistry(
        ModelsConfig(),
        env=lambda name: None,
        http=http,
        embedded=lambda name, config: FakeClient(),
        clock=SYSTEM_CLOCK,
        credentials=lambda provider: shared[0] if provider == "anthropic" else None,
    )
    by_name, by_default = found.resolve(REF, ONE).client, found.resolve(REF).client
    await found.reload(ModelsConfig())
    assert found.resolve(REF, ONE).client is by_name
    assert found.resolve(REF).client is by_default
    shared[0] = again = Credential(ONE.name, ONE.provider, Secret("sk-new-123456"))
    assert found.resolve(REF, again).client is not by_name
    assert found.resolve(REF).client is not by_default
    await found.close()
