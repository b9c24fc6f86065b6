"""Texts into vectors, by the providers that speak OpenAI's `/embeddings`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelNotFound, ModelUnavailable
from openclaw.config.schema import ModelsConfig
from openclaw.models.provider import BUILT_IN, Env, Provider, provider
from openclaw.models.transport.wire import Wire
from openclaw.net.http import HttpClient

BATCH: Final = 256
"""Texts per call: every known server takes as many."""
OFFICIAL_MODEL: Final = "text-embedding-3-small"
_APIS: Final = ("openai-completions", "openai-responses", "ollama")
_HINT: Final = (
    "List a model with `embed` in its id under models.providers.<id>.models of a provider that speaks OpenAI's API, "
    "or set OPENAI_API_KEY; then ask for `provider/model`."
)


class Embedded(NamedTuple):
    """Vectors in the order of the texts, all of one length; `model` is `provider/model`."""

    vectors: list[list[float]]
    tokens: int
    model: str


class _Row(msgspec.Struct):
    embedding: list[float]
    index: int = -1


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Row]
    usage: _Usage | None = None


_read = msgspec.json.Decoder(_Answer).decode


class Embeddings:
    """Finds the provider for a model and asks it. Holds nothing between calls: a reload needs no word to it."""

    def __init__(self, config: Callable[[], ModelsConfig], *, env: Env, http: HttpClient, clock: Clock) -> None:
        self._config = config
        self._env = env
        self._http = http
        self._clock = clock

    async def embed(self, model: str, texts: Sequence[str], *, dimensions: int | None = None) -> Embedded:
        """Return the vectors of texts. `model` is `provider/model`, a listed id, or "" for the first that is offered.

        Raises: ModelNotFound, ModelUnavailable, and the other ModelErrors of a call.
        """
        found, name = self._find(model)
        wire = self._wire(found)
        vectors: list[list[float]] = []
        tokens = 0
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            body: dict[str, object] = {"model": name, "input": batch, "encoding_format": "float"}
            if dimensions is not None:
                body["dimensions"] = dimensions
            answer = await wire.post(name, "/embeddings", body, _read)
            rows = sorted(answer.data, key=lambda row: row.index)
            sizes = {len(row.embedding) for row in rows} | {len(vector) for vector in vectors[:1]}
            if len(rows) != len(batch) or len(sizes) != 1 or 0 in sizes:
                raise wire.failures.protocol(name, f"expected {len(batch)} vectors of one length, got {len(rows)}")
            vectors += [row.embedding for row in rows]
            tokens += answer.usage.prompt_tokens if answer.usage else 0
        return Embedded(vectors, tokens, f"{found.id}/{name}")

    def _find(self, model: str) -> tuple[Provider, str]:
        offered = [(found, name) for found in self._providers() for name in _models(found)]
        if not model:
            usable = next(((found, name) for found, name in offered if not found.problem), None)
            if usable is None:
                raise ModelNotFound("no provider offers embeddings", hint=_HINT)
            return usable
        prefix, slash, rest = model.partition("/")
        named = next((found for found in self._providers() if found.id == prefix), None) if slash and rest else None
        match = (named, rest) if named else next((pair for pair in offered if pair[1] == model), None)
        if match is None:
            raise ModelNotFound(f"no provider offers an embedding model {model[:128]!r}", hint=_HINT)
        if match[0].problem:
            raise ModelUnavailable(f"{match[0].id} cannot be used: {match[0].problem}")
        return match

    def _providers(self) -> Iterator[Provider]:
        """Yield the providers that speak the wire, configured ones first."""
        configured = self._config().providers
        for provider_id in dict.fromkeys((*configured, *BUILT_IN)):
            found = provider(provider_id, configured.get(provider_id), self._env)
            if found is not None and found.config.api in _APIS:
                yield found

    def _wire(self, found: Provider) -> Wire:
        config = found.config
        root = config.base_url.rstrip("/")
        return Wire(
            provider=found.id,
            base_url=root if urlsplit(root).path else f"{root}/v1",
            headers={"Authorization": f"Bearer {config.api_key.reveal()}"} if config.api_key else {},
            key=config.api_key,
            timeouts=config.timeouts,
            http=self._http,
            clock=self._clock,
        )


def _models(found: Provider) -> list[str]:
    """Return the embedding models that a provider is known to have."""
    listed = [entry.id for entry in found.config.models if "embed" in entry.id.lower()]
    official = urlsplit(found.config.base_url).hostname == "api.openai.com"
    return listed or ([OFFICIAL_MODEL] if official and not found.config.models else [])
