"""A strong gateway token that exists without anyone having chosen one."""

from __future__ import annotations

import secrets
from pathlib import Path

from openclaw.base.secret import Secret
from openclaw.config.disk import make_private, write_atomically


def ensure_token(path: Path) -> Secret:
    """Return the token kept in the file (`StatePaths.token`); make the file, mode 0600, with a fresh one if need be."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        text = ""
    if not text:
        text = secrets.token_urlsafe(32)
        make_private(path.parent)
        write_atomically(path, f"{text}\n".encode())
    return Secret(text)
