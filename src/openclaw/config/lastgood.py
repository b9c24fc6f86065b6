"""The last configuration that the gateway started with, for the day the file on disk cannot be parsed."""

from __future__ import annotations

from pathlib import Path

from openclaw.config.disk import make_private, write_atomically


def save(path: Path, text: str) -> None:
    """Keep the text, mode 0600, unless it is kept already. Call it once a start or reload has succeeded."""
    if load(path) != text:
        make_private(path.parent)
        write_atomically(path, text.encode("utf-8", "surrogatepass"))


def load(path: Path) -> str | None:
    """Return the kept text, or None."""
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None
