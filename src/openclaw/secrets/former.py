"""The way back from a rotation: the secret that was replaced, for as long as somebody asked for and no longer.

The file is readable by its owner alone and belongs to no backup. The gateway, and each command about secrets, take out
what has ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.secret import Secret, masked
from openclaw.config.disk import locked_folder, write_atomically
from openclaw.config.reference import Reference

FILE: Final = "former-secrets.json"
MAX_KEPT: Final = 64
MAX_KEEP_MS: Final = 7 * 86_400_000


class _Kept(msgspec.Struct, frozen=True):
    """On disk: the reference by its parts, the value, and when it ends (Unix ms)."""

    source: str
    id: str
    provider: str
    value: str
    until_ms: int

    __repr__ = masked

    @property
    def reference(self) -> Reference:
        return Reference(self.source, self.id, self.provider)


class FormerSecrets:
    """The file of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE

    def keep(self, reference: Reference, secret: Secret, until_ms: int, now_ms: int) -> None:
        """Keep what is about to be replaced until then."""
        one = _Kept(reference.source, reference.id, reference.provider, secret.reveal(), until_ms)
        with locked_folder(self._path.parent):
            others = (each for each in self._load(now_ms) if each.reference != reference)
            self._save((*others, one))

    def get(self, reference: Reference, now_ms: int) -> Secret | None:
        """Return what was replaced, None when it was not kept or has ended."""
        found = (each.value for each in self._load(now_ms) if each.reference == reference)
        return next((Secret(value) for value in found), None)

    def forget(self, reference: Reference, now_ms: int) -> None:
        """Take one out."""
        with locked_folder(self._path.parent):
            self._save(tuple(each for each in self._load(now_ms) if each.reference != reference))

    def expire(self, now_ms: int) -> None:
        """Take out what has ended. Nothing is read while the file is not there."""
        if not self._path.exists():
            return
        with locked_folder(self._path.parent):
            self._save(self._load(now_ms))

    def _load(self, now_ms: int) -> tuple[_Kept, ...]:
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=tuple[_Kept, ...])
        except (OSError, msgspec.MsgspecError):
            return ()
        return tuple(each for each in found if now_ms < each.until_ms <= now_ms + MAX_KEEP_MS)

    def _save(self, kept: tuple[_Kept, ...]) -> None:
        """Write what is left; a file that says the same already is not touched."""
        if not kept:
            self._path.unlink(missing_ok=True)
            return
        data = msgspec.json.encode(kept[-MAX_KEPT:])
        if not self._path.exists() or self._path.read_bytes() != data:
            write_atomically(self._path, data)
