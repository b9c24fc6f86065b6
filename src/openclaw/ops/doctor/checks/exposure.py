"""What the configuration opens further than it looks."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from itertools import islice

from openclaw.base.errors import ConfigError
from openclaw.base.network import parse_network
from openclaw.config.env import expand
from openclaw.config.paths import tls_files
from openclaw.config.refusal import binds_loopback_only
from openclaw.net.certificate import Pair, read_pair
from openclaw.ops.doctor.origins import useless
from openclaw.ops.doctor.scene import Configured, Finding, Scene
from openclaw.policy.egress.review import idle_entries, reviews_due

DAY_MS = 86_400_000
RENEW_DAYS = 14
"""Whoever renews by itself does so earlier."""
MAX_TOLD = 20
"""Useless entries of egress lists that are told of."""
WIDE_BITS = {4: 16, 6: 48}
"""A network with fewer fixed bits than this holds more than proxies."""


def proxy_trust_findings(scene: Configured) -> Iterator[Finding]:
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


def origin_findings(scene: Configured) -> Iterator[Finding]:
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


def tls_findings(scene: Scene) -> Iterator[Finding]:
    """Report a certificate that cannot be served, or not for long, and a key that others can read."""
    tls = scene.loaded.config.gateway.tls
    if not tls.enabled:
        return
    pair = Pair(*tls_files(tls, scene.paths))
    if tls.auto_generate and pair.is_absent():
        yield Finding(id="tls.certificate", severity="info", evidence="the next start makes a self-signed certificate")
        return
    try:
        found = read_pair(pair, scene.now_ms)
    except ConfigError as error:
        yield Finding(id="tls.certificate", severity="error", evidence=error.message, fix=error.hint)
    else:
        days = (found.ends_ms - scene.now_ms) // DAY_MS
        seen = f"{pair.certificate} is good for {days} more days; SHA-256 {found.fingerprint}"
        late = days < RENEW_DAYS
        fix = "Renew it; the gateway takes new files up by itself." if late else ""
        yield Finding(id="tls.certificate", severity="warning" if late else "ok", evidence=seen, fix=fix)
    try:
        mode = stat.S_IMODE(pair.key.stat().st_mode)
    except (OSError, ValueError):
        return
    if mode & 0o077:
        yield Finding(
            id="tls.key-mode",
            severity="warning",
            evidence=f"{pair.key} has mode {mode:04o}: others can read the gateway's key",
            fix=f"chmod 600 {pair.key}",
        )


def review_findings(scene: Scene) -> Iterator[Finding]:
    """Report lists of networkPolicy whose review is due."""
    for due in reviews_due(scene.loaded.config, scene.now_ms):
        yield Finding(
            id="exposure.egress-review",
            severity="warning",
            evidence=f"{due.setting} was to be looked at again by {due.review}: {due.entries} entries, "
            f"{f'owner {due.owner}' if due.owner else 'no owner'}",
            fix=f"`openclaw policy egress observed --diff` shows what is used; then set {due.setting}.review anew.",
        )


def egress_findings(scene: Configured) -> Iterator[Finding]:
    """Report tools that may reach the whole web, and entries that open nothing."""
    if scene.loaded.config.network_policy.allow_egress:
        yield Finding(
            id="exposure.egress",
            severity="warning",
            evidence="networkPolicy.allowEgress is on: tools may reach every public host",
            fix="openclaw config set networkPolicy.allowEgress false, and name hosts in networkPolicy.egressAllowlist.",
        )
    for setting, entry, why in islice(idle_entries(scene.loaded.config), MAX_TOLD):
        yield Finding(
            id="exposure.egress-entry",
            severity="warning",
            evidence=f"{setting} holds {entry[:80]!r}, which {why}",
            fix="Correct the entry, or take it out: it opens nothing.",
        )
