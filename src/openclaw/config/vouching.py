"""Whether the settings of an identity provider are complete, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from openclaw.config.schema import AlbConfig, AuthConfig, CognitoConfig, GatewayConfig, OidcConfig, Section

_Way: TypeAlias = tuple[str, ...]
PROVIDERS: Final[Mapping[str, type[Section]]] = {"oidc": OidcConfig, "cognito": CognitoConfig, "alb": AlbConfig}
"""Modes whose settings stand in a section of their own name."""
_OTHER_NAMES: Final = {
    "jwksuri": "jwksUrl",
    "issuerurl": "issuer",
    "poolid": "userPoolId",
    "signerarn": "signer",
    "albarn": "signer",
    "loadbalancerarn": "signer",
}
"""What the same setting is called in discovery documents, in other programs and at AWS; folded."""


def wire_names(section: type[msgspec.Struct]) -> frozenset[str]:
    """Return the names that a section's settings have in a file."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(section))


def other_names(auth: Mapping[str, Any]) -> Iterator[tuple[_Way, _Way]]:
    """Yield where gateway.auth says a provider's settings in other words or places, and what they are in the schema.

    `client_id` is `clientId`, as the short YAML form has it, and the settings of the provider in use may stand beside
    `mode` instead of in its section.
    """
    own = wire_names(AuthConfig)
    for mode, section in PROVIDERS.items():
        inner, names = auth.get(mode), wire_names(section)
        for key in inner if isinstance(inner, Mapping) else ():
            if key not in names and (name := _meant(key, names)):
                yield (mode, key), (mode, name)
        if auth.get("mode") == mode:
            for key in auth:
                if key not in own and (name := _meant(key, names)):
                    yield (key,), (mode, name)


def _meant(key: str, names: frozenset[str]) -> str:
    """Return the setting that a name means, "" for none. Case, `_` and `-` make no difference."""
    folded = key.replace("_", "").replace("-", "").lower()
    found = _OTHER_NAMES.get(folded) or next((name for name in names if name.lower() == folded), "")
    return found if found in names else ""


def alb_region(config: AlbConfig) -> str:
    """Return the region of a load balancer, which its ARN says too."""
    return config.region or _arn_region(config.signer)


def _arn_region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]


def cognito_issuer(config: CognitoConfig) -> str:
    """Return the issuer of a pool's tokens, "" while the pool is not named."""
    region = config.region or config.user_pool_id.partition("_")[0]
    if config.issuer or not config.user_pool_id:
        return config.issuer
    return f"https://cognito-idp.{region}.amazonaws.com/{config.user_pool_id}"


def may_fetch(url: str) -> bool:
    """Say whether keys may come from an address: https, or a program on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost"))


def problem_of(gateway: GatewayConfig) -> str:
    """Return what keeps gateway.auth.mode from letting anybody in, "" when it is complete."""
    auth, urls = gateway.auth, []
    if auth.mode == "oidc":
        if not auth.oidc.issuer or not (auth.oidc.audience or auth.oidc.client_id):
            return "gateway.auth.oidc needs issuer, and audience or clientId"
        urls = [auth.oidc.jwks_url or auth.oidc.issuer]
    elif auth.mode == "cognito":
        if not cognito_issuer(auth.cognito) or not (auth.cognito.client_id or auth.cognito.audience):
            return "gateway.auth.cognito needs userPoolId and clientId"
        urls = [auth.cognito.jwks_url or cognito_issuer(auth.cognito)]
    elif auth.mode == "alb":
        if not auth.alb.signer or not (alb_region(auth.alb) or auth.alb.key_url):
            return "gateway.auth.alb needs signer, and region or keyUrl"
        of_signer = _arn_region(auth.alb.signer)
        if auth.alb.region and of_signer not in ("", auth.alb.region) and not auth.alb.key_url:
            return f"gateway.auth.alb.region is not that of its signer, {of_signer[:40]}"
        urls = [auth.alb.key_url] if auth.alb.key_url else []
    elif auth.mode == "trusted-proxy" and not gateway.trusted_proxies:
        return "mode trusted-proxy needs the proxy's address in gateway.trustedProxies"
    bad = next((url for url in urls if not may_fetch(url)), "")
    return f"gateway.auth.{auth.mode}: keys come by https only, not from {bad[:200]}" if bad else ""
