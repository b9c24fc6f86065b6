"""Where the gateway is and what opens it: flag, then environment, then configuration, each remembered by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret

DEFAULT_PORT = 18_789
_PEM_END = "-----END CERTIFICATE-----"


class Environ(Protocol):
    """The environment (config.env.Environment)."""

    def get(self, name: str) -> str | None: ...


class Target(msgspec.Struct, frozen=True):
    """A gateway to talk to. `token_source` says, for error messages, where the token was read; never the token."""

    url: str
    """WebSocket URL, e.g. ws://127.0.0.1:18789."""
    http_url: str
    """The same place over HTTP, without a trailing slash."""
    token: Secret | None
    token_source: str
    password: Secret | None = None
    tls_fingerprint: str = ""

    @property
    def bearer(self) -> Secret | None:
        """What goes into `Authorization: Bearer`."""
        return self.password or self.token


def target(
    loaded: Any,
    env: Environ,
    url: str | None = None,
    token: str | None = None,
    *,
    port: int | None = None,
    certificate: Path | None = None,
) -> Target:
    """Find the gateway. `loaded` is a config.load.Loaded; `port` is where this machine's own listens, if not as
    configured; `certificate` is its own, when it speaks TLS: it is pinned where a URL leads to that gateway.

    Raises: ConfigError for a URL that is none, or mode `remote` without one.
    """
    gateway = loaded.config.gateway
    remote = gateway.mode == "remote"
    own = f"{'wss' if gateway.tls.enabled else 'ws'}://{_host(gateway)}:{port or _port(gateway, env)}"
    place = url or (own if port else env.get("OPENCLAW_GATEWAY_URL")) or (gateway.remote.url if remote else own)
    if remote and not place:
        raise ConfigError("gateway.mode is remote but gateway.remote.url is empty", hint="Set gateway.remote.url.")
    ws_url, http_url = both_urls(place)
    found, password, source = _credential(gateway, env, token, remote, getattr(loaded, "sources", {}))
    pinned = gateway.remote.tls_fingerprint if remote and place == gateway.remote.url else ""
    if certificate is not None and (port or not remote) and _same_place(ws_url, own):
        pinned = fingerprint_of(certificate)
    return Target(ws_url, http_url, found, source, password, pinned)


def both_urls(place: str) -> tuple[str, str]:
    """Return (ws URL, http URL) of a place given as either. Raises: ConfigError."""
    parts = urlsplit(place if "://" in place else f"ws://{place}")
    secure = {"ws": False, "http": False, "wss": True, "https": True}.get(parts.scheme.lower())
    if secure is None or not parts.hostname:
        raise ConfigError(f"not a gateway URL: {place}", hint="Use ws://host:port or https://host.")
    path = parts.path.rstrip("/")
    tail = "s" if secure else ""
    return (
        urlunsplit((f"ws{tail}", parts.netloc, path, "", "")),
        urlunsplit((f"http{tail}", parts.netloc, path, "", "")),
    )


def _same_place(url: str, own: str) -> bool:
    """Whether a URL leads to this machine's own gateway over TLS: there a name tells nothing that the file does not."""
    parts, ours = urlsplit(url), urlsplit(own)
    hosts = {"localhost", "127.0.0.1", "::1", ours.hostname}
    return parts.scheme == "wss" and parts.hostname in hosts and parts.port == ours.port


def fingerprint_of(certificate: Path) -> str:
    """Return the SHA-256 of the first certificate in a PEM file, "" when there is none to be read."""
    import hashlib
    import ssl

    try:
        first, found, _ = certificate.read_text("ascii").partition(_PEM_END)
        begin = first.index("-----BEGIN CERTIFICATE")
        content = ssl.PEM_cert_to_DER_cert(f"{first[begin:]}{found}\n")
    except (OSError, ValueError):
        return ""
    return hashlib.sha256(content).hexdigest() if content else ""


def _host(gateway: Any) -> str:
    host: str = gateway.custom_bind_host if gateway.bind == "custom" else ""
    if not host or host in ("0.0.0.0", "::"):  # noqa: S104  # compared, never bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _port(gateway: Any, env: Environ) -> int:
    text = env.get("OPENCLAW_GATEWAY_PORT") or env.get("OPENCLAW_PORT") or ""
    return int(text) if text.isascii() and text.isdigit() else int(gateway.port or DEFAULT_PORT)


def _credential(
    gateway: Any, env: Environ, flag: str | None, remote: bool, sources: Mapping[str, str]
) -> tuple[Secret | None, Secret | None, str]:
    """Return (token, password, where it was read). In mode `password` what counts is the password."""
    if flag:
        return Secret(flag), None, "--token"
    if remote and gateway.remote.token:
        return gateway.remote.token, None, "gateway.remote.token in the configuration"
    if not remote and gateway.auth.mode == "password" and gateway.auth.password:
        return None, gateway.auth.password, _place(sources.get("gateway.auth.password"), "gateway.auth.password")
    for name in ("OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_TOKEN"):
        value = env.get(name)
        if value:
            return Secret(value), None, _variable(name, sources.get("gateway.auth.token", ""))
    if not remote and gateway.auth.token:
        return gateway.auth.token, None, _place(sources.get("gateway.auth.token"), "gateway.auth.token")
    return None, None, "nowhere"


def _variable(name: str, source: str) -> str:
    """Name the file that sets a variable, if one does."""
    in_file = source.startswith(f"{name} (") and not source.endswith("(process)")
    return source if in_file else f"environment variable {name}"


def _place(source: str | None, key: str) -> str:
    """`file` is what the settings call the configuration; a variable or a file is named already."""
    return f"{key} in the configuration" if source in (None, "file", "last-good", "default") else str(source)
