"""What the configuration opens further than it looks."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.base.network import parse_network
from openclaw.config.env import expand
from openclaw.config.refusal import binds_loopback_only
from openclaw.ops.doctor.origins import useless
from openclaw.ops.doctor.scene import Finding, Scene

WIDE_BITS = {4: 16, 6: 48}
"""A network with fewer fixed bits than this holds more than proxies."""


def proxy_trust_findings(scene: Scene) -> Iterator[Finding]:
    """Report trusted proxies that are no proxies: whoever is in there may say where a request comes from."""
    gateway = scene.loaded.config.gateway
    for entry in gateway.trusted_proxies:
        network = parse_network(entry)
        if network is not None and network.prefixlen < WIDE_BITS[network.version]:
            yield Finding(
                id="exposure.trusted-proxies",
                severity="error" if network.prefixlen == 0 else "warning",
                evidence=f"gateway.trustedProxies holds {entry}: {network.num_addresses:,} addresses may forge theirs",
                fix="Name the proxy's own address, e.g. 127.0.0.1.",
            )
    if not binds_loopback_only(gateway) and not gateway.trusted_proxies and gateway.public_base_url:
        yield Finding(
            id="exposure.proxy-untrusted",
            severity="info",
            evidence="gateway.publicBaseUrl is set and gateway.trustedProxies is empty",
            fix="If a reverse proxy is in front, name its address; `openclaw doctor proxy URL` tests it.",
        )


def origin_findings(scene: Scene) -> Iterator[Finding]:
    """Report origins that were meant to open the gateway to every page, or match nothing."""
    for origin in useless(scene.loaded.config.gateway.control_ui.allowed_origins):
        yield Finding(
            id="exposure.origins",
            severity="warning",
            evidence=f"gateway.controlUi.allowedOrigins holds {origin!r}, which matches nothing",
            fix="Name whole origins, e.g. https://chat.example.com; `*` is never taken.",
            patch="drop-useless-origins",
        )


def page_findings(scene: Scene) -> Iterator[Finding]:
    """Report a folder of a built UI that is not there."""
    page = scene.loaded.config.gateway.control_ui
    if page.enabled and page.root and not (expand(scene.env, page.root) / "index.html").is_file():
        yield Finding(
            id="page.root",
            severity="error",
            evidence=f"gateway.controlUi.root is {page.root}, where there is no index.html",
            fix="openclaw config unset gateway.controlUi.root, or build the page there.",
        )


def egress_findings(scene: Scene) -> Iterator[Finding]:
    """Report tools that may reach the whole web."""
    if scene.loaded.config.network_policy.allow_egress:
        yield Finding(
            id="exposure.egress",
            severity="warning",
            evidence="networkPolicy.allowEgress is on: tools may reach every public host",
            fix="openclaw config set networkPolicy.allowEgress false, and name hosts in networkPolicy.egressAllowlist.",
        )
