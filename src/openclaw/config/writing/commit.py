"""The last step of every change: the text becomes the file, if it still is what the change began with."""

from __future__ import annotations

from pathlib import Path

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.config.disk import make_private, replace_unchanged
from openclaw.config.env import Environment
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.paths import is_yaml
from openclaw.config.reading.form import read_plain
from openclaw.config.redaction.redact import PLACEHOLDER, placeholders
from openclaw.config.writable import require_writable


def write_file(path: Path, data: bytes, base_hash: str | None, env: Environment, *, main: Path) -> None:
    """Replace a file of the configuration atomically. New files get mode 0600. Call it from `changes.book` only.

    Shape: `base_hash` is the hash (sha256, hex) of what the change began with; None skips the check.
    Raises: CONFLICT when the file has changed since; CONFIG_INVALID when the text does not parse; NOT_SUPPORTED in
    read-only mode; INVALID_REQUEST for a placeholder that stands where a secret should.
    """
    require_writable(env, main)
    for place in _placeholders(path, data, main):
        raise InvalidRequest(
            f"{format_path(place)} holds {PLACEHOLDER}, which only stands for a secret and is never written",
            hint="Give the secret itself, or leave the setting out.",
        )
    make_private(path.parent)
    replace_unchanged(path, data, base_hash)


def _placeholders(path: Path, data: bytes, main: Path) -> tuple[KeyPath, ...]:
    try:
        text = data.decode("utf-8-sig")
        return tuple(placeholders(read_plain(text, yaml=is_yaml(path), placed=False).parsed))
    except (ConfigError, UnicodeDecodeError):
        if path == main:
            raise
        return ()  # a rollback also puts back what stood in the way of an included file, whatever that was
