"""A Bedrock provider as it is to be used: what the environment adds to the configuration, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.secret import Secret
from openclaw.config.schema import ProviderConfig
from openclaw.models.bedrock.signing import INSTALL_HINT, Auth, AwsSigner, BearerKey, can_sign
from openclaw.models.catalog import Catalog
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient
from openclaw.net.target import target

if TYPE_CHECKING:
    from openclaw.models.bedrock.client import BedrockClient

Env = Callable[[str], str | None]

KEY_VARIABLE = "AWS_BEARER_TOKEN_BEDROCK"
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
HINT_VARIABLES = (
    KEY_VARIABLE,
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SHARED_CREDENTIALS_FILE",
)
"""Any of these, with a region, says that this machine is meant to call AWS."""
_RUNTIME_URL = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")
_CONTROL_URL = ("AWS_ENDPOINT_URL_BEDROCK", "AWS_ENDPOINT_URL")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}")
_OFFICIAL = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")


def complete(
    provider_id: str, config: ProviderConfig, env: Env, *, key: Secret | None, configured: bool
) -> tuple[ProviderConfig, str]:
    """Return the configuration completed from the environment, and its problem ("" if it can be used).

    `key` is an API key to use instead of the configuration's and the environment's.
    """
    where = f"models.providers.{provider_id}"
    from_env = _first(env, _RUNTIME_URL)
    base_url = config.base_url or from_env
    region = config.region or _first(env, REGION_VARIABLES)
    api_key = key or config.api_key
    if api_key is None and not config.aws_profile and (base_url in ("", from_env) or _is_official(base_url)):
        # The environment's key never goes to an address that only the configuration names, unless it is AWS'.
        value = (env(KEY_VARIABLE) or "").strip()
        api_key = Secret(value) if value else None
    done = msgspec.structs.replace(config, base_url=base_url, region=region, api_key=api_key)
    return done, _problem(where, done, env, configured)


def client(
    provider_id: str, config: ProviderConfig, env: Env, *, http: HttpClient, clock: Clock, catalog: Catalog
) -> BedrockClient:
    """Make the client of a completed configuration."""
    from openclaw.models.bedrock.client import BedrockClient
    from openclaw.models.bedrock.transport import Endpoints

    key = config.api_key
    auth: Auth = BearerKey(key) if key else AwsSigner(provider_id, env, clock, config.aws_profile, http=http)
    control = _first(env, _CONTROL_URL) or config.base_url.replace("bedrock-runtime", "bedrock")
    return BedrockClient(
        http=http,
        clock=clock,
        catalog=catalog,
        provider=provider_id,
        endpoints=Endpoints(config.base_url, control),
        region=config.region,
        auth=auth,
        key=key,
        timeouts=config.timeouts,
    )


def _problem(where: str, config: ProviderConfig, env: Env, configured: bool) -> str:
    if config.base_url:
        try:
            target(config.base_url)
        except NetError as error:
            return f"{where}.baseUrl cannot be used: {error.reason}"
    if config.region and not _REGION.fullmatch(config.region):
        return f"{config.region[:40]!r} is no AWS region: set {where}.region or AWS_REGION, e.g. us-east-1"
    if config.api_key is not None:
        if not config.api_key.reveal().isprintable():
            return f"the API key holds control characters: check {where}.apiKey"
        # A credential's profile may name a region; an API key comes without one.
        return "" if config.region or config.base_url else f"no AWS region: set AWS_REGION or {where}.region"
    if not configured:
        if not config.region:
            return f"no AWS region: set AWS_REGION or {where}.region"
        if not any(env(name) for name in HINT_VARIABLES):
            return f"no AWS credential in the environment: set {KEY_VARIABLE} or AWS_PROFILE, or configure {where}"
    return "" if can_sign() else f"AWS credentials need botocore. {INSTALL_HINT}"


def _is_official(url: str) -> bool:
    try:
        where = target(url)
    except NetError:
        return False
    return where.scheme == "https" and _OFFICIAL.fullmatch(where.host) is not None


def _first(env: Env, names: tuple[str, ...]) -> str:
    return next((value.strip() for name in names if (value := env(name))), "")
