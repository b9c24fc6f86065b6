"""Texts into vectors, by the providers that speak OpenAI's `/embeddings`.

Every call to a provider is paid for by its caller's budgets and leaves a row of purpose `embedding` in the ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import (
    ModelAuth,
    ModelBadRequest,
    ModelError,
    ModelNotFound,
    ModelRateLimited,
    ModelUnavailable,
    ModelUnreachable,
)
from openclaw.base.ids import AgentId, RunId, SessionKey, new_id
from openclaw.base.message import Message, TextPart
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.base.principal import Limits, Principal
from openclaw.config.schema import ModelsConfig
from openclaw.models.api import BUILT_IN
from openclaw.models.call import Purse
from openclaw.models.catalog import Catalog
from openclaw.models.provider import Env, Provider, provider
from openclaw.models.spend.pricing import cost_usd_micros
from openclaw.models.spend.purse import FREE
from openclaw.models.tokens import estimate_tokens
from openclaw.models.transport.wire import Wire
from openclaw.net.http import HttpClient
from openclaw.store.api import Spender, UsageRow

BATCH: Final = 256
"""Texts per call: every known server takes as many."""
OFFICIAL_MODEL: Final = "text-embedding-3-small"
OFFICIAL_USD_MICROS: Final = {
    "text-embedding-3-small": 20_000,
    "text-embedding-3-large": 130_000,
    "text-embedding-ada-002": 100_000,
}
"""Prices of a million tokens, 2026-11: https://developers.openai.com/api/docs/pricing"""
_NEVER_WORKED: Final = frozenset(
    error.code for error in (ModelAuth, ModelBadRequest, ModelNotFound, ModelRateLimited, ModelUnreachable)
)
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


class Ledger(Protocol):
    """The part of the store that keeps what was used."""

    async def record_usage(self, rows: Sequence[UsageRow]) -> None:
        """See Store.record_usage."""
        ...


class Embeddings:
    """Finds the provider for a model and asks it. Holds nothing between calls: a reload needs no word to it."""

    def __init__(
        self,
        config: Callable[[], ModelsConfig],
        *,
        env: Env,
        http: HttpClient,
        clock: Clock,
        ledger: Ledger,
        purse: Callable[[Spender, Limits | None], Purse | None],
    ) -> None:
        self._config = config
        self._env = env
        self._http = http
        self._clock = clock
        self._ledger = ledger
        self._purse = purse

    async def embed(
        self, model: str, texts: Sequence[str], caller: Principal, *, dimensions: int | None = None
    ) -> Embedded:
        """Return the vectors of texts. `model` is `provider/model`, a listed id, or "" for the first that is offered.

        Raises: ModelNotFound, ModelUnavailable, BudgetExceeded, and the other ModelErrors of a call.
        """
        found, name = self._find(model)
        wire, info = self._wire(found), self._info(found, name)
        spender, limits = _spender(caller), caller.limits
        if limits is not None and not limits.allows_model(info.ref):
            raise ModelNotFound(f"none of your roles may use {info.ref}")
        vectors: list[list[float]] = []
        tokens = 0
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            body: dict[str, object] = {"model": name, "input": batch, "encoding_format": "float"}
            if dimensions is not None:
                body["dimensions"] = dimensions
            answer = await self._paid(
                info, spender, limits, batch, partial(wire.post, name, "/embeddings", body, _read)
            )
            rows = sorted(answer.data, key=lambda row: row.index)
            sizes = {len(row.embedding) for row in rows} | {len(vector) for vector in vectors[:1]}
            if len(rows) != len(batch) or len(sizes) != 1 or 0 in sizes:
                raise wire.failures.protocol(name, f"expected {len(batch)} vectors of one length, got {len(rows)}")
            vectors += [row.embedding for row in rows]
            tokens += answer.usage.prompt_tokens if answer.usage else 0
        return Embedded(vectors, tokens, f"{found.id}/{name}")

    async def _paid(
        self,
        info: ModelInfo,
        spender: Spender,
        limits: Limits | None,
        texts: Sequence[str],
        post: Callable[[], Awaitable[_Answer]],
    ) -> _Answer:
        """Make one call with money for it set aside, and write it down, whatever becomes of it."""
        purse = self._purse(spender, limits)
        request = ModelRequest(
            model=info.id, messages=(Message("user", tuple(map(TextPart, texts))),), max_tokens=1, purpose="embedding"
        )
        hold = FREE if purse is None else await purse.reserve(info, request)
        began, usage, code = self._clock.monotonic_s(), Usage(), "CANCELLED"
        try:
            answer = await post()
            code, usage = "", Usage(answer.usage.prompt_tokens if answer.usage else estimate_tokens(request))
        except ModelError as error:
            code = error.code
            raise
        else:
            return answer
        finally:
            # Told no usage, a hold is paid in full: a provider that was cut off may have worked.
            await (hold.release() if code in _NEVER_WORKED else hold.settle(usage))
            took_ms = int((self._clock.monotonic_s() - began) * 1000)
            await self._ledger.record_usage([self._row(info, spender, usage, took_ms, code)])

    def _row(self, info: ModelInfo, spender: Spender, usage: Usage, took_ms: int, code: str) -> UsageRow:
        return UsageRow(
            at_ms=self._clock.now_ms(),
            run_id=spender.run_id,
            session_key=SessionKey(""),
            agent_id=spender.agent_id,
            tenant=spender.tenant,
            owner=spender.owner,
            provider=info.provider,
            model=info.id,
            purpose="embedding",
            usage=usage,
            latency_ms=took_ms,
            first_token_ms=0,
            error_code=code,
            usd_micros=None if code else cost_usd_micros(info, usage),
            channel=spender.channel,
        )

    def _info(self, found: Provider, name: str) -> ModelInfo:
        """Return the model with its price: as configured, or as it is known of the official API."""
        info = Catalog(self._config().providers).info(found.id, name)
        if info.input_usd_micros is None and _is_official(found):
            info = msgspec.structs.replace(info, input_usd_micros=OFFICIAL_USD_MICROS.get(name))
        free = None if info.input_usd_micros is None else 0
        return msgspec.structs.replace(info, output_usd_micros=free)

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


def _spender(caller: Principal) -> Spender:
    """Each request is a run of its own, of no agent: so its rows and its reservations find each other."""
    return Spender(
        run_id=RunId(new_id()), tenant=caller.tenant, owner=caller.owner, agent_id=AgentId(""), channel="http"
    )


def _is_official(found: Provider) -> bool:
    return urlsplit(found.config.base_url).hostname == "api.openai.com"


def _models(found: Provider) -> list[str]:
    """Return the embedding models that a provider is known to have."""
    listed = [entry.id for entry in found.config.models if "embed" in entry.id.lower()]
    return listed or ([OFFICIAL_MODEL] if _is_official(found) and not found.config.models else [])
