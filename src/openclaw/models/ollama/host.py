"""What OLLAMA_HOST means to a client. Source: Ollama's FAQ and the rules of its own clients."""

from __future__ import annotations

from urllib.parse import urlsplit

BASE_URL = "http://127.0.0.1:11434"
_PORT = 11434
_EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104  # what a server binds to; a client must name one address


def host_url(value: str) -> str:
    """Return the address that OLLAMA_HOST names: `host`, `host:port`, `:port` or a whole URL; "" gives the default.

    A value that makes no sense comes back as it is, for the check of addresses to refuse.
    """
    value = value.strip().strip("\"'").rstrip("/")
    if not value:
        return BASE_URL
    scheme, mark, rest = value.rpartition("://")
    try:
        parts = urlsplit(f"{scheme or 'http'}://{rest}")
        port = parts.port
    except ValueError:
        return value
    if port is None:
        port = {"http": 80, "https": 443}.get(scheme, _PORT) if mark else _PORT
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    if not host or host in _EVERYWHERE:
        host = "127.0.0.1"
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{host}:{port}{parts.path}"
