"""What is open where somebody else says who callers are."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.base.network import parse_network
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, found


def vouching_findings(scene: Scene) -> Iterator[Finding]:
    """Report what proxies may say that they were not proved to be."""
    gateway = scene.loaded.config.gateway
    proxy = gateway.auth.trusted_proxy
    networks = [network for entry in gateway.trusted_proxies if (network := parse_network(entry)) is not None]
    near = any(network.is_loopback for network in networks)
    ask = "" if proxy.secret else "Set gateway.auth.trustedProxy.secret and have the proxy send it."
    if gateway.auth.mode != "trusted-proxy":
        if near and not proxy.secret:
            seen = "gateway.trustedProxies holds this machine; any program here may say which client it sends for"
            guessable = gateway.auth.mode == "password"
            yield found("gateway.trusted_proxy_allow_loopback", seen, ask, severity="warn" if guessable else "info")
        return
    yield found("gateway.trusted_proxy_auth", f"the proxy names people in {proxy.user_header}")
    if not gateway.trusted_proxies:
        fix = "Name the proxy's own address in gateway.trustedProxies; until then nobody gets in."
        yield found("gateway.trusted_proxy_no_proxies", "gateway.trustedProxies is empty", fix)
    if not proxy.allow_users:
        fix = "Name the users in gateway.auth.trustedProxy.allowUsers, unless the proxy decides who may come."
        yield found("gateway.trusted_proxy_no_allowlist", "gateway.auth.trustedProxy.allowUsers is empty", fix)
    if near:
        seen = "gateway.trustedProxies holds this machine; " + (
            "the proxy proves itself by a secret" if proxy.secret else "without a secret nobody who comes by it gets in"
        )
        yield found("gateway.trusted_proxy_allow_loopback", seen, ask, severity="info" if proxy.secret else "warn")
