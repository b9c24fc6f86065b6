"""Whether the settings of an identity provider are complete, and what follows from them."""

from __future__ import annotations

from urllib.parse import urlsplit

from openclaw.config.schema import CognitoConfig, GatewayConfig


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
        if not cognito_issuer(auth.cognito) or not auth.cognito.client_id:
            return "gateway.auth.cognito needs userPoolId and clientId"
        urls = [auth.cognito.jwks_url or cognito_issuer(auth.cognito)]
    elif auth.mode == "alb":
        if not auth.alb.signer or not (auth.alb.region or auth.alb.key_url):
            return "gateway.auth.alb needs signer, and region or keyUrl"
        urls = [auth.alb.key_url] if auth.alb.key_url else []
    elif auth.mode == "trusted-proxy" and not gateway.trusted_proxies:
        return "mode trusted-proxy needs the proxy's address in gateway.trustedProxies"
    bad = next((url for url in urls if not may_fetch(url)), "")
    return f"gateway.auth.{auth.mode}: keys come by https only, not from {bad[:200]}" if bad else ""
