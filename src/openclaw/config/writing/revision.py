"""The name of a configuration's content, which says nothing about the content.

A plain hash would let whoever may read the redacted text try guesses of a short secret until the hash is the same; this
one is keyed with a key of the installation.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256

from openclaw.base.secret import Secret


def revision(content_hash: str, key: Secret) -> str:
    """Return `hmac-sha256:v1:` and 43 characters for the sha256 (hex) of a file's bytes."""
    digest = hmac.new(key.reveal().encode(), content_hash.encode(), sha256).digest()
    return f"hmac-sha256:v1:{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def names(base: str, content_hash: str, key: Secret) -> bool:
    """Say whether a base hash from a client, of either protocol, names this content."""
    known = (revision(content_hash, key), content_hash)
    return any(hmac.compare_digest(base.encode("utf-8", "replace"), each.encode()) for each in known)
