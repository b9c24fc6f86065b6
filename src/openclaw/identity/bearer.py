"""The credential of an `Authorization: Bearer` header. Whoever judges one has it from here: two readings, two doors."""

from __future__ import annotations

from collections.abc import Mapping


def bearer(headers: Mapping[bytes, bytes]) -> str:
    """Return the credential, "" without one. A request's head is its only limit: whoever judges it has another."""
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    return credential.strip().decode("utf-8", "surrogateescape") if scheme.lower() == b"bearer" else ""
