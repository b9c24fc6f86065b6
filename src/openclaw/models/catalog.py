"""What we know of models without asking: sizes, abilities and prices as data (data/catalog.json)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from openclaw.base.model import ModelInfo
from openclaw.config.schema import ModelEntry, ProviderConfig

_FILE = Path(__file__).with_name("data") / "catalog.json"


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
    """Read the data file, once."""
    return msgspec.json.decode(_FILE.read_bytes(), type=CatalogFile)


class Catalog:
    """The data file with the configuration's models over it."""

    def __init__(self, providers: Mapping[str, ProviderConfig] | None = None) -> None:
        known = builtin()
        self._defaults = dict(known.defaults)
        self._by_provider: dict[str, dict[str, ModelInfo]] = {}
        self._by_id: dict[str, Profile] = {}
        for profile in known.models:
            self._by_id[profile.id] = profile
            self._by_provider.setdefault(profile.provider, {})[profile.id] = profile.info(profile.provider)
        for provider, config in (providers or {}).items():
            self._configure(provider, config.models)

    def info(self, provider: str, model: str) -> ModelInfo:
        """Return a model's profile: configured, known for this provider, known by its id, or the cautious default."""
        found = self._by_provider.get(provider, {}).get(model)
        if found is not None:
            return found
        profile = self._by_id.get(model.rpartition("/")[2])
        if profile is None:
            return ModelInfo(id=model, provider=provider, name=model)
        return msgspec.structs.replace(profile.info(provider), id=model, input_usd_micros=None, output_usd_micros=None)

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

    def _configure(self, provider: str, entries: Iterable[ModelEntry]) -> None:
        entries = tuple(entries)
        if not entries:
            return
        self._defaults[provider] = entries[0].id
        self._by_provider[provider] = {entry.id: _configured(provider, entry) for entry in entries}


def _configured(provider: str, entry: ModelEntry) -> ModelInfo:
    return ModelInfo(
        id=entry.id,
        provider=provider,
        name=entry.name or entry.id,
        context_tokens=entry.context_window,
        max_output_tokens=entry.max_tokens,
        tools=entry.tools,
        images="image" in entry.input,
        reasoning=entry.reasoning,
    )
