"""Which models there are and who serves them: configuration over environment over what is built in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelNotFound, ModelUnavailable
from openclaw.base.model import ModelInfo
from openclaw.config.schema import ModelsConfig, ProviderConfig
from openclaw.models.api import BUILT_IN
from openclaw.models.calling.credentials import Credential
from openclaw.models.catalog import Catalog
from openclaw.models.client import LLMClient
from openclaw.models.fake.client import FakeClient
from openclaw.models.fake.knob import knobs
from openclaw.models.lease import LeasedClient
from openclaw.models.provider import Env, Provider, provider
from openclaw.models.refresh import stored
from openclaw.net.http import HttpClient

if TYPE_CHECKING:
    from openclaw.models.anthropic.client import AnthropicClient
    from openclaw.models.openai.client import OpenAIClient

EmbeddedFactory = Callable[[str, ProviderConfig], LLMClient]
LAST_RESORT = "embedded"
CHOICE_VARIABLE = "OPENCLAW_LLM_PROVIDER"


class Resolved(msgspec.Struct, frozen=True):
    """A model and the client that serves it."""

    client: LLMClient
    info: ModelInfo


class _Served(NamedTuple):
    """A provider's client, and the credential it was made with where the key is not the provider's own."""

    provider: Provider
    credential: Credential | None
    client: LeasedClient


class ModelRegistry:
    """The workshop's counter: from `provider/model` to a client. Clients are made at their first use.

    Resolve anew for each call: a reload may have retired the client.
    """

    def __init__(
        self,
        config: ModelsConfig,
        *,
        env: Env,
        http: HttpClient,
        embedded: EmbeddedFactory,
        clock: Clock,
        credentials: Callable[[str], Credential | None] = lambda provider: None,
        catalog_path: Path | None = None,
    ) -> None:
        """`catalog_path`: where `openclaw models refresh` keeps a newer catalog."""
        self._catalog_path = catalog_path
        self._env = env
        self._http = http
        self._embedded = embedded
        self._clock = clock
        self._config = config
        self._catalog = self._read_catalog(config)
        self._credentials = credentials
        self._clients: dict[tuple[str, str], _Served] = {}
        self._retired: list[LeasedClient] = []

    def resolve(self, ref: str, credential: Credential | None = None) -> Resolved:
        """Return the model of a reference: `provider/model`, a provider alone (its default model), or a listed id.

        Each credential has a client of its own; without one the provider's own key is used, else its first credential.

        Raises: ModelUnavailable (unknown or unusable provider), ModelNotFound.
        """
        provider_id, _, model = self.full_ref(ref).partition("/")
        found, used = self._with_key(provider_id, credential)
        if found is None:
            raise ModelUnavailable(
                f"there is no model provider {provider_id!r}",
                hint=f"Use one of {', '.join(self._ids())}, or add it under models.providers.",
                details={"provider": provider_id, "model": model},
            )
        if found.problem:
            raise ModelUnavailable(
                f"{provider_id} cannot be used: {found.problem}",
                details={"provider": provider_id, "model": model},
            )
        if not self._offers(found, model):
            raise ModelNotFound(
                f"{provider_id} offers no model {model!r}", details={"provider": provider_id, "model": model}
            )
        client = self._client(found, credential.name if credential and used else "", used)
        return Resolved(client, self._catalog.info(provider_id, model))

    def has_own_key(self, provider_id: str) -> bool:
        """Say whether configuration or environment give a provider a key, besides its credentials."""
        found = provider(provider_id, self._config.providers.get(provider_id), self._env)
        return found is not None and found.config.api_key is not None

    def default_ref(self) -> str:
        """Return the model to use when nothing is configured: by the environment's keys, else the local one."""
        if choice := (self._env(CHOICE_VARIABLE) or "").strip():
            return choice if "/" in choice else f"{choice}/{self._catalog.default_model(choice) or ''}".rstrip("/")
        for provider_id in ("anthropic", "openai"):
            found = self._provider(provider_id)
            has_key = self._env(f"{provider_id.upper()}_API_KEY") or self._credentials(provider_id)
            if has_key and found is not None and not found.problem:
                return f"{provider_id}/{self._catalog.default_model(provider_id)}"
        return f"{LAST_RESORT}/{self._catalog.default_model(LAST_RESORT)}"

    def models(self) -> list[ModelInfo]:
        """Return the known models of every provider that is configured or usable; `available` says which work."""
        out: list[ModelInfo] = []
        for found in self._providers():
            if found.configured or not found.problem:
                usable = not found.problem
                known = self._catalog.models(found.id)
                out.extend(info if usable else msgspec.structs.replace(info, available=False) for info in known)
        return out

    def problems(self) -> dict[str, str]:
        """Return why configured providers cannot work, and what to do about each."""
        out = {found.id: found.problem for found in self._providers() if found.configured and found.problem}
        choice = (self._env(CHOICE_VARIABLE) or "").strip().partition("/")[0]
        if choice:
            chosen = self._provider(choice)
            if chosen is None:
                out[choice] = f"{CHOICE_VARIABLE} names an unknown provider; use one of {', '.join(self._ids())}"
            elif chosen.problem:
                out[choice] = chosen.problem
        return out

    def providers(self) -> list[Provider]:
        """Return every provider that is configured or built in, as it would be used."""
        return list(self._providers())

    async def reload(self, config: ModelsConfig, env: Env | None = None) -> None:
        """Take a new configuration, and environment if there is one.

        Clients of changed providers serve what they have begun, then close.
        """
        self._config = config
        self._env = env or self._env
        self._catalog = self._read_catalog(config)
        for (provider_id, name), served in list(self._clients.items()):
            if self._with_key(provider_id, served.credential if name else None)[0] != served.provider:
                del self._clients[provider_id, name]
                self._retired.append(served.client)
        for client in self._retired:
            await client.retire()
        self._retired = [client for client in self._retired if client.calls]

    async def close(self) -> None:
        """Close every client, whatever goes on."""
        clients = [served.client for served in self._clients.values()] + self._retired
        self._clients.clear()
        self._retired.clear()
        for client in clients:
            await client.close()

    def _read_catalog(self, config: ModelsConfig) -> Catalog:
        return Catalog(config.providers, stored(self._catalog_path) if self._catalog_path else None)

    def full_ref(self, ref: str) -> str:
        """Return a reference as `provider/model`. Raises: ModelNotFound."""
        if "/" in ref:
            return ref
        if default := self._catalog.default_model(ref):
            return f"{ref}/{default}"
        matches = [info.ref for info in self.models() if info.id == ref]
        if len(matches) == 1:
            return matches[0]
        if self._provider(ref) is not None or not ref:
            raise ModelNotFound(f"{ref!r} names no model", hint="Write it as provider/model.", details={"model": ref})
        raise ModelNotFound(
            f"there is {'more than one' if matches else 'no'} model {ref!r}",
            hint="Write it as provider/model; `openclaw models list` shows them.",
            details={"model": ref},
        )

    def _offers(self, found: Provider, model: str) -> bool:
        """A provider's explicit list is the whole of it; without one the provider itself decides at the call."""
        if not model:
            return False
        if found.config.api == "fake":
            return knobs(model) is not None
        return not found.config.models or any(entry.id == model for entry in found.config.models)

    def _ids(self) -> list[str]:
        return list(dict.fromkeys((*self._config.providers, *BUILT_IN)))

    def _providers(self) -> Iterator[Provider]:
        for provider_id in self._ids():
            if (found := self._provider(provider_id)) is not None:
                yield found

    def _provider(self, provider_id: str) -> Provider | None:
        return self._with_key(provider_id, None)[0]

    def _with_key(self, provider_id: str, credential: Credential | None) -> tuple[Provider | None, Credential | None]:
        """Return a provider, and the credential that it is used with where the key is not its own."""
        key = credential.key if credential else None
        found = provider(provider_id, self._config.providers.get(provider_id), self._env, key=key)
        if found is None or not found.takes_key:
            return found, None
        if credential is None and found.config.api_key is None:
            first = self._credentials(provider_id)
            return self._with_key(provider_id, first) if first else (found, None)
        return found, credential

    def _client(self, found: Provider, name: str, credential: Credential | None) -> LeasedClient:
        known = self._clients.get((found.id, name))
        if known is not None:
            if known.credential is credential:
                return known.client
            # Its credential was read anew. An idle client with a key holds nothing open: connections are HttpClient's.
            self._retired = [old for old in (*self._retired, known.client) if old.calls]
        client = LeasedClient(self._make(found))
        self._clients[found.id, name] = _Served(found, credential, client)
        return client

    def _make(self, found: Provider) -> LLMClient:
        config = found.config
        if config.api == "embedded":
            return self._embedded(found.id, config)
        if config.api == "fake":
            return FakeClient(clock=self._clock, provider=found.id)
        if config.api == "ollama":
            from openclaw.models.ollama.client import OllamaClient

            return OllamaClient(
                http=self._http,
                clock=self._clock,
                catalog=self._catalog,
                provider=found.id,
                base_url=config.base_url,
                key=config.api_key,
                timeouts=config.timeouts,
                num_ctx=config.num_ctx,
                keep_alive=config.keep_alive,
            )
        if config.api == "bedrock-converse":
            from openclaw.models.bedrock.settings import client as bedrock_client

            return bedrock_client(
                found.id, config, self._env, http=self._http, clock=self._clock, catalog=self._catalog
            )
        return _http_client(config.api)(
            http=self._http,
            clock=self._clock,
            catalog=self._catalog,
            provider=found.id,
            base_url=config.base_url,
            key=config.api_key,
            timeouts=config.timeouts,
        )


def _http_client(api: str) -> type[AnthropicClient | OpenAIClient]:
    """Return the class that speaks an API: nobody needs them all, so that each is loaded at its first use."""
    if api == "anthropic-messages":
        from openclaw.models.anthropic.client import AnthropicClient

        return AnthropicClient
    if api == "openai-responses":
        from openclaw.models.openai.responses import ResponsesClient

        return ResponsesClient
    from openclaw.models.openai.client import OpenAIClient

    return OpenAIClient
