"""A provider as it is to be used: the configuration, what the environment adds, and what is missing."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.schema import ProviderConfig
from openclaw.models.api import ANTHROPIC_URL, BUILT_IN, OPENAI_URL, with_api
from openclaw.models.bedrock import settings as bedrock
from openclaw.models.ollama.host import host_url
from openclaw.net.error import NetError
from openclaw.net.target import target

Env = Callable[[str], str | None]

_ENV = {"anthropic": "ANTHROPIC", "openai": "OPENAI"}
_OFFICIAL_URL = {"anthropic": ANTHROPIC_URL, "openai": OPENAI_URL}
"""By the provider's name, whatever wire it is to speak: a key goes to its own vendor and to no other."""
OLLAMA_VARIABLE = "OLLAMA_HOST"


class Provider(msgspec.Struct, frozen=True):
    """A provider ready to make a client of. `problem` says why it cannot work and what to do, "" if it can."""

    id: str
    config: ProviderConfig
    configured: bool
    problem: str = ""

    @property
    def takes_key(self) -> bool:
        """Whether a key means anything to it."""
        return self.config.api not in ("embedded", "fake")


def provider(
    provider_id: str, configured: ProviderConfig | None, env: Env, *, key: Secret | None = None
) -> Provider | None:
    """Complete a provider from the environment; None when it is neither configured nor built in.

    `key` is a credential to use instead of the configuration's and the environment's.
    """
    config = configured or BUILT_IN.get(provider_id)
    if config is None:
        return None
    config = with_api(provider_id, config)
    if config.api in ("embedded", "fake"):
        return Provider(provider_id, config, configured is not None)
    if config.api == "ollama":
        return _ollama(provider_id, config, configured is not None, env, key)
    if config.api == "bedrock-converse":
        complete, problem = bedrock.complete(provider_id, config, env, key=key, configured=configured is not None)
        return Provider(provider_id, complete, configured is not None, problem)
    prefix = _ENV.get(provider_id)
    own_key, key = key is None, key or config.api_key
    base_url = config.base_url
    if prefix:
        from_env = env(f"{prefix}_BASE_URL") or _OFFICIAL_URL[provider_id]
        # The environment's key belongs to the environment's address: it never goes to one that only the config names.
        if own_key and (not base_url or _same(base_url, from_env)):
            key = key or _secret(env(f"{prefix}_API_KEY"))
        base_url = base_url or from_env
    complete = msgspec.structs.replace(config, api_key=key, base_url=base_url)
    return Provider(provider_id, complete, configured is not None, _problem(provider_id, complete, prefix))


def _ollama(provider_id: str, config: ProviderConfig, configured: bool, env: Env, key: Secret | None) -> Provider:
    """Ollama needs no key; without configuration it is there only when the environment says where."""
    host = (env(OLLAMA_VARIABLE) or "").strip()
    complete = msgspec.structs.replace(
        config, api_key=key or config.api_key, base_url=config.base_url or host_url(host)
    )
    problem = _problem(provider_id, complete, None)
    if not configured and not host:
        problem = f'no address: set {OLLAMA_VARIABLE}, or models.providers.{provider_id} to {{api: "ollama"}}'
    return Provider(provider_id, complete, configured, problem)


def _same(one: str, other: str) -> bool:
    return one.rstrip("/").removesuffix("/v1") == other.rstrip("/").removesuffix("/v1")


def _secret(value: str | None) -> Secret | None:
    return Secret(value.strip()) if value and value.strip() else None


def _problem(provider_id: str, config: ProviderConfig, env_prefix: str | None) -> str:
    where = f"models.providers.{provider_id}"
    if not config.base_url:
        return f"no address: set {where}.baseUrl"
    try:
        host = target(config.base_url).host
    except NetError as error:
        return f"{where}.baseUrl cannot be used: {error.reason}"
    if not config.api_key:
        # A server of one's own may need no key; the official ones always do.
        if host in ("api.anthropic.com", "api.openai.com"):
            also = f"{env_prefix}_API_KEY or " if env_prefix else ""
            return f"no API key: set {also}{where}.apiKey"
        return ""
    if not config.api_key.reveal().isprintable():
        return f"the API key holds control characters: check {where}.apiKey"
    return ""
