"""Shared credentials that were replaced and still open the gateway for a while, so that every client can be moved.

Only their hashes are kept, in a file of the state directory (0600): a restart does not end a grace, and time does.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.disk import make_private, write_atomically

FILE: Final = "former-tokens.json"
MAX_FORMER: Final = 8
MAX_GRACE_MS: Final = 7 * 86_400_000


class Former(msgspec.Struct, frozen=True):
    """A credential that was. `digest` is the hex SHA-256, `fingerprint` is that of `Secret`; times are Unix ms."""

    digest: str
    fingerprint: str
    until_ms: int

    def matches(self, candidate: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(sha256(candidate.encode("utf-8", "surrogatepass")).hexdigest(), self.digest)


def former(secret: Secret, until_ms: int) -> Former:
    """Return what is kept of a credential that is being replaced."""
    digest = sha256(secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()
    return Former(digest, secret.fingerprint(), until_ms)


def grace_file(state_dir: Path) -> Path:
    """Return the file's place."""
    return state_dir / "credentials" / FILE


def load(path: Path, now_ms: int) -> tuple[Former, ...]:
    """Return those that have not ended. A file that cannot be read holds none: a grace is never made up."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=tuple[Former, ...])
    except (OSError, msgspec.MsgspecError):
        return ()
    return tuple(one for one in found if now_ms < one.until_ms <= now_ms + MAX_GRACE_MS)[-MAX_FORMER:]


def save(path: Path, found: Iterable[Former]) -> None:
    """Write the file, or take it away when there is none left."""
    kept = tuple(found)[-MAX_FORMER:]
    if not kept:
        path.unlink(missing_ok=True)
        return
    make_private(path.parent)
    write_atomically(path, msgspec.json.encode(kept))
