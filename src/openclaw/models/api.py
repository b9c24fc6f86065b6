"""Where the two big providers are, and which wire a configured provider speaks when its entry does not say."""

from __future__ import annotations

from typing import Final

import msgspec

from openclaw.config.schema import ProviderConfig

ANTHROPIC_URL: Final = "https://api.anthropic.com"
OPENAI_URL: Final = "https://api.openai.com/v1"

BUILT_IN: Final[dict[str, ProviderConfig]] = {
    "anthropic": ProviderConfig(api="anthropic-messages"),
    "openai": ProviderConfig(api="openai-completions"),
    "bedrock": ProviderConfig(api="bedrock-converse"),
    "ollama": ProviderConfig(api="ollama"),
    "embedded": ProviderConfig(api="embedded"),
    "fake": ProviderConfig(api="fake"),
}
"""Providers that exist without configuration; a configured one of the same id takes the place."""


def with_api(provider_id: str, config: ProviderConfig) -> ProviderConfig:
    """Return the entry with its wire: its own, else that of the built-in provider of its name, else OpenAI's.

    A key for `anthropic` must not reach another vendor because the entry left its wire out.
    """
    if config.api:
        return config
    built_in = BUILT_IN.get(provider_id)
    return msgspec.structs.replace(config, api=built_in.api if built_in else "openai-completions")
