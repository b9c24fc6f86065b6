"""The last step of every change: the text becomes the file, if it still is what the change began with."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from openclaw.base.errors import InvalidRequest
from openclaw.config.disk import replace_unchanged
from openclaw.config.env import Environment
from openclaw.config.keypath import format_path
from openclaw.config.paths import is_yaml
from openclaw.config.reading.form import read_plain
from openclaw.config.redaction.redact import PLACEHOLDER, placeholders
from openclaw.config.writable import require_writable


def write_config(path: Path, text: str, base_hash: str | None, env: Environment) -> str:
    """Replace the file atomically and return the hash of what is in it now. New files get mode 0600.

    Shape: `base_hash` is the hash the edit started from (`Loaded.file_hash`); None skips the check.
    Raises: CONFLICT when the file has changed since; CONFIG_INVALID when the text does not parse; NOT_SUPPORTED in
    read-only mode; INVALID_REQUEST for a placeholder that stands where a secret should.
    """
    require_writable(env, path)
    for place in placeholders(read_plain(text, yaml=is_yaml(path), placed=False).parsed):
        raise InvalidRequest(
            f"{format_path(place)} holds {PLACEHOLDER}, which only stands for a secret and is never written",
            hint="Give the secret itself, or leave the setting out.",
        )
    data = text.encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_unchanged(path, data, base_hash)
    return sha256(data).hexdigest()
