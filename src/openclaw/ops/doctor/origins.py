"""Entries of gateway.controlUi.allowedOrigins that can never match."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit


def useless(origins: Iterable[str]) -> list[str]:
    """Return the entries that are no http(s) origin; the listener compares whole origins and knows no patterns."""
    return [origin for origin in origins if not _is_origin(origin)]


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text.strip().lower())
        _ = parts.port
    except ValueError:
        return False
    plain = parts.path in ("", "/") and "@" not in parts.netloc and "*" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.netloc) and plain
