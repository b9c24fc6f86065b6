"""What we know of models without asking: sizes, abilities and prices as data (data/catalog.json, or a newer one)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from openclaw.base.model import ModelInfo
from openclaw.config.schema import ModelCost, ModelEntry, ProviderConfig
from openclaw.models.api import with_api
from openclaw.models.bedrock.model_id import profile_ids

OLLAMA_CONTEXT_TOKENS = 16_384
"""What Ollama is asked to load when nothing is configured: left alone it loads 4096 and cuts prompts silently."""
_FILE = Path(__file__).with_name("data") / "catalog.json"
_FREE_APIS = ("embedded", "fake", "ollama")
_THINKING = ("adaptive_thinking", "efforts")
_PRICES = tuple(
    name for name in ModelInfo.__struct_fields__ if name.endswith("_usd_micros") or name.startswith("long_")
)


class Profile(ModelInfo, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of the data file. `fixed_temperature`: the provider refuses any other than its own."""

    fixed_temperature: bool = False

    def info(self, provider: str) -> ModelInfo:
        """Return the row as a provider's model."""
        return ModelInfo(
            **{name: getattr(self, name) for name in ModelInfo.__struct_fields__ if name != "provider"},
            provider=provider,
        )


class CatalogFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The data file. `date` is when a person last compared it with `sources`."""

    date: str
    sources: tuple[str, ...]
    defaults: dict[str, str]
    models: tuple[Profile, ...]


@cache
def builtin() -> CatalogFile:
    """Read the data file that came with the program, once."""
    return msgspec.json.decode(_FILE.read_bytes(), type=CatalogFile)


class Catalog:
    """The data file, a newer one over it (`newer`, see refresh.py), and the configuration's models over both."""

    def __init__(self, providers: Mapping[str, ProviderConfig] | None = None, newer: CatalogFile | None = None) -> None:
        self._defaults: dict[str, str] = {}
        self._by_provider: dict[str, dict[str, ModelInfo]] = {}
        self._by_id: dict[str, Profile] = {}
        self._apis = {provider: provider for provider in _FREE_APIS}
        self._num_ctx: dict[str, int] = {}
        for file in (builtin(), newer):
            if file is not None:
                self._add(file)
        for provider, config in (providers or {}).items():
            self._apis[provider] = with_api(provider, config).api
            self._num_ctx[provider] = config.num_ctx
            self._configure(provider, config.models)

    def info(self, provider: str, model: str) -> ModelInfo:
        """Return a model's profile: configured, known for this provider, known by its id, or the cautious default."""
        found = self._by_provider.get(provider, {}).get(model)
        if found is not None:
            return found
        names = (model.rpartition("/")[2], *profile_ids(model))
        profile = next((self._by_id[name] for name in names if name in self._by_id), None)
        if profile is None:
            return self._local(ModelInfo(id=model, provider=provider, name=model))
        # Another provider's price for it is not known, only what it can do.
        return self._local(_unpriced(msgspec.structs.replace(profile.info(provider), id=model)))

    def models(self, provider: str) -> list[ModelInfo]:
        """Return the models known for a provider, in the data file's or the configuration's order."""
        return list(self._by_provider.get(provider, {}).values())

    def default_model(self, provider: str) -> str | None:
        """Return the model to use when a provider is named alone."""
        return self._defaults.get(provider)

    def fixed_temperature(self, model: str) -> bool:
        """Say whether a model refuses a temperature."""
        profile = self._by_id.get(model)
        return profile is not None and profile.fixed_temperature

    def _add(self, file: CatalogFile) -> None:
        self._defaults.update(file.defaults)
        for profile in file.models:
            self._by_id[profile.id] = profile
            self._by_provider.setdefault(profile.provider, {})[profile.id] = profile.info(profile.provider)

    def _configure(self, provider: str, entries: Iterable[ModelEntry]) -> None:
        entries = tuple(entries)
        if not entries:
            return
        known = self._by_provider.get(provider, {})
        self._defaults[provider] = entries[0].id
        self._by_provider[provider] = {
            entry.id: self._local(self._configured(provider, entry, known.get(entry.id))) for entry in entries
        }

    def _configured(self, provider: str, entry: ModelEntry, known: ModelInfo | None) -> ModelInfo:
        info = ModelInfo(
            id=entry.id,
            provider=provider,
            name=entry.name or entry.id,
            context_tokens=entry.context_window,
            max_output_tokens=entry.max_tokens,
            tools=entry.tools,
            images="image" in entry.input,
            reasoning=entry.reasoning,
        )
        alike = known or self._by_id.get(entry.id.rpartition("/")[2])
        if alike is not None:
            info = msgspec.structs.replace(info, **{name: getattr(alike, name) for name in _THINKING})
        if entry.cost is not None:
            return msgspec.structs.replace(info, **_micros(entry.cost))
        if known is not None:
            return msgspec.structs.replace(info, **{name: getattr(known, name) for name in _PRICES})
        return info

    def _local(self, info: ModelInfo) -> ModelInfo:
        """Give a model of one's own machine its price, nothing, and one of Ollama's the context that is loaded."""
        api = self._apis.get(info.provider)
        if api in _FREE_APIS and info.input_usd_micros is None:
            info = msgspec.structs.replace(info, input_usd_micros=0, output_usd_micros=0)
        if api == "ollama":
            loaded = self._num_ctx.get(info.provider) or OLLAMA_CONTEXT_TOKENS
            info = msgspec.structs.replace(info, context_tokens=min(info.context_tokens, loaded))
        return info


def _micros(cost: ModelCost) -> dict[str, int | None]:
    """A cache price of 0 is one that was left out: taken literally it would let a budget be overdrawn."""
    return {
        "input_usd_micros": round(cost.input * 1_000_000),
        "output_usd_micros": round(cost.output * 1_000_000),
        "cache_read_usd_micros": round(cost.cache_read * 1_000_000) or None,
        "cache_write_usd_micros": round(cost.cache_write * 1_000_000) or None,
    }


def _unpriced(info: ModelInfo) -> ModelInfo:
    plain = ModelInfo(id=info.id, provider=info.provider)
    return msgspec.structs.replace(info, **{name: getattr(plain, name) for name in _PRICES})
