"""What the gateway depends on: store, models and their credentials, channels, proxies, authorities, time, packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.store.inspect import inspect

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
SKEW_S = 30.0


def store_findings(scene: Scene) -> Iterator[Finding]:
    """Report the database's integrity and schema."""
    path = scene.paths.db_path
    if not path.is_file():
        yield Finding(id="store.integrity", severity="info", evidence=f"{path} does not exist yet")
        return
    seen = inspect(path)
    if seen.problems:
        yield Finding(
            id="store.integrity",
            severity="error",
            evidence=f"{path}: {'; '.join(seen.problems[:3])}",
            fix="Stop the gateway, keep a copy of the file, and restore the last backup.",
        )
        return
    yield Finding(id="store.integrity", severity="ok", evidence=f"{path} is sound, schema {seen.schema}")
    if seen.schema > seen.known:
        yield Finding(
            id="store.schema",
            severity="error",
            evidence=f"the store was written by a newer openclaw (schema {seen.schema}; this one knows {seen.known})",
            fix="Upgrade openclaw, or restore the backup made before the upgrade.",
        )
    elif seen.schema < seen.known:
        yield Finding(
            id="store.schema",
            severity="info",
            evidence=f"schema {seen.schema} becomes {seen.known} at the gateway's next start",
        )


def model_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether the default model can be called: its provider, and its file if it is a local one."""
    ref = scene.default_model
    provider, _, model = ref.partition("/")
    if provider == "embedded" and scene.embedded_model(model) is None:
        yield Finding(
            id="model.file",
            severity="error",
            evidence=f"{ref} is the default model and its file is not here",
            fix=f"openclaw models pull {model}, or set a provider's key (ANTHROPIC_API_KEY, OPENAI_API_KEY)",
        )
    elif scene.model_problem:
        yield Finding(
            id="model.default",
            severity="error",
            evidence=f"{ref} is the default model: {scene.model_problem}",
            fix="`openclaw models list` names what works; `openclaw models set` chooses one.",
        )
    else:
        yield Finding(id="model.default", severity="ok", evidence=f"{ref} can be called")


def provider_findings(scene: Scene) -> Iterator[Finding]:
    """Report whether each configured provider has a credential; with --deep, whether it takes it."""
    for name, problem in scene.provider_problems.items():
        yield Finding(
            id="providers.credential",
            severity="warning",
            evidence=f"models.providers.{name}: {problem}",
            fix=f"openclaw config set models.providers.{name}.apiKey KEY, or set the provider's variable.",
        )
    for name, problem in (scene.deep.providers() if scene.deep is not None else {}).items():
        yield Finding(
            id="providers.answer",
            severity="error" if problem else "ok",
            evidence=f"{name}: {problem}" if problem else f"{name} answers",
            fix=f"`openclaw models list` shows what {name} is set to." if problem else "",
        )


def channel_findings(scene: Scene) -> Iterator[Finding]:
    """Report channels that are configured: this version serves none of them."""
    for name in scene.loaded.config.channels:
        yield Finding(
            id="channels.config",
            severity="info",
            evidence=f"channels.{name} is kept, and not served by this version",
            fix="Nothing to do; HTTP, WebSocket and webhooks work.",
        )


def clock_findings(scene: Scene) -> Iterator[Finding]:
    """With --deep, report how far this machine's clock is from another's."""
    skew = scene.deep.clock_skew_s() if scene.deep is not None else None
    if skew is None:
        return
    peer, seconds = skew
    off = abs(seconds) > SKEW_S
    yield Finding(
        id="clock.skew",
        severity="error" if off else "ok",
        evidence=f"this clock is {abs(seconds):.0f} s {'behind' if seconds < 0 else 'ahead of'} that of {peer}",
        fix="Set the clock by NTP (timedatectl set-ntp true): signatures and expiries go by it." if off else "",
    )


def network_findings(scene: Scene) -> Iterator[Finding]:
    """Report proxies and certificate authorities that the environment names."""
    for name in PROXIES:
        if value := scene.env.get(name):
            yield Finding(
                id="network.proxy",
                severity="info",
                evidence=f"{name} names {proxy_host(value)}; the gateway's own requests do not use proxies",
                fix="Set proxy.proxyUrl if requests are to go through it, or unset the variable to avoid surprise.",
            )
    for name in AUTHORITIES:
        value = scene.env.get(name)
        if value and not Path(value).exists():
            yield Finding(
                id="network.authorities",
                severity="error",
                evidence=f"{name} names {value}, which is not there: every TLS connection may fail",
                fix=f"Put the file there, or unset {name}.",
            )


def proxy_host(url: str) -> str:
    """Return the host of a proxy's URL, which may hold a password."""
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or "something that is no address"
    except ValueError:
        return "something that is no address"


def extra_findings(scene: Scene) -> Iterator[Finding]:
    """Report packages that are configured for and not installed."""
    for setting, package in scene.missing_extras:
        yield Finding(
            id="extras.missing",
            severity="error",
            evidence=f"{setting} needs the package {package}, which is not installed",
            fix=f"Install it into openclaw's environment: pip install {package}",
        )
