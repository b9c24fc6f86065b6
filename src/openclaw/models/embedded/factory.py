"""How the registry gets its client of local models; nothing else of this folder is imported before one is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openclaw.base.clock import Clock
from openclaw.config.schema import ProviderConfig
from openclaw.models.client import LLMClient
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner


def embedded_factory(
    cache_dir: Path, http: HttpClient, spawner: Spawner, clock: Clock
) -> Callable[[str, ProviderConfig], LLMClient]:
    """Return what makes the client of a provider of kind `embedded` over the models on the shelf."""

    def make(provider_id: str, config: ProviderConfig) -> LLMClient:
        from openclaw.models.embedded.client import EmbeddedClient
        from openclaw.models.local.shelf import installed, model_path

        return EmbeddedClient(
            lambda name: model_path(cache_dir, name),
            http,
            spawner,
            clock,
            provider=provider_id,
            names=lambda: installed(cache_dir),
            models=config.models,
            timeouts=config.timeouts,
        )

    return make
