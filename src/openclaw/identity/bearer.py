"""The credential of an `Authorization: Bearer` header. Whoever judges one takes it from here: two readings are two doors."""

from __future__ import annotations

from collections.abc import Mapping


def bearer(headers: Mapping[bytes, bytes]) -> str:
    """Return the credential, "" without one. It is as long as a request's head may be: whoever judges it has a limit."""
    scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
    return credential.strip().decode("utf-8", "surrogateescape") if scheme.lower() == b"bearer" else ""
