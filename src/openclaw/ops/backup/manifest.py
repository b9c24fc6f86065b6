"""What an archive says of itself, signed with the gateway's own key: whose it is, and its files with mode and hash."""

from __future__ import annotations

from typing import Final

import msgspec

from openclaw.base.path_rules import Occupied, unfit
from openclaw.ops.backup.parts import DATABASE, PARTS, Part, belongs
from openclaw.ops.backup.refused import refused
from openclaw.protocol.device_auth import (
    KEY_BYTES,
    DeviceKey,
    decode_base64url,
    device_id_of,
    encode_base64url,
    verifies,
)

FORMAT: Final = 1
MAX_FILES: Final = 100_000
MAX_MANIFEST_BYTES: Final = 48 * 1024 * 1024
MAX_SEAL_BYTES: Final = 1_024
MAX_TOTAL_BYTES: Final = 1 << 42
SIGNATURE_BYTES: Final = 64
_PURPOSE: Final = b"openclaw backup manifest 1\n"
_HEX: Final = frozenset("0123456789abcdef")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its path below the state directory, size in bytes, permission bits and SHA-256 (hex)."""

    path: str
    part: Part
    size: int
    mode: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The whole of it. `schema` is the number of the store's last migration; `created_at_ms` is Unix time."""

    format: int
    version: str
    schema: int
    created_at_ms: int
    host: str
    config: str
    """Path in the archive of the configuration file, empty when there was none."""
    parts: tuple[Part, ...]
    files: tuple[Entry, ...]

    @property
    def total(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who vouches for a manifest: a raw ed25519 public key and its signature, base64url."""

    key: str
    signature: str


class _Version(msgspec.Struct, frozen=True):
    format: int


def seal(manifest: bytes, key: DeviceKey) -> bytes:
    """Return the seal of a manifest's bytes as it stands in the archive."""
    return msgspec.json.encode(Seal(encode_base64url(key.public_key), key.sign(_PURPOSE + manifest)))


def signer_of(manifest: bytes, raw: bytes) -> str:
    """Return the id of the gateway that sealed these bytes. Raises: InvalidRequest (BACKUP_INVALID)."""
    try:
        found = msgspec.json.decode(raw, type=Seal)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise refused("its signature cannot be read") from None
    key, signature = decode_base64url(found.key, KEY_BYTES), decode_base64url(found.signature, SIGNATURE_BYTES)
    if key is None or signature is None or not verifies(key, signature, _PURPOSE + manifest):
        raise refused("its manifest is not what was signed")
    return device_id_of(key)


def read_manifest(raw: bytes, known_schema: int) -> Manifest:
    """Return a manifest whose every word was checked. Raises: InvalidRequest (BACKUP_INVALID)."""
    try:
        number = msgspec.json.decode(raw, type=_Version).format
        if number != FORMAT:
            raise refused(f"its format is {number}; this openclaw reads {FORMAT}", "Use the openclaw that made it.")
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise refused(f"its manifest cannot be read ({error})") from None
    if manifest.schema > known_schema:
        raise refused(
            f"its store has schema {manifest.schema}; this openclaw ({known_schema}) is older",
            "Upgrade openclaw, then restore.",
        )
    if manifest.schema < 1 or manifest.created_at_ms < 0:
        raise refused("its manifest names an impossible schema or time")
    if len(set(manifest.parts)) != len(manifest.parts) or "store" not in manifest.parts:
        raise refused("its manifest does not name the parts it holds")
    _check_files(manifest)
    return manifest


def _check_files(manifest: Manifest) -> None:
    if len(manifest.files) > MAX_FILES:
        raise refused(f"it lists more than {MAX_FILES} files")
    occupied, total = Occupied(), 0
    for entry in manifest.files:
        shown = ascii(entry.path[:120])
        if reason := unfit(entry.path) or occupied.clash(entry.path):
            raise refused(f"the path {shown}: {reason}")
        if entry.part not in manifest.parts or not belongs(entry.part, entry.path):
            raise refused(f"the path {shown} is not one of a backup's {entry.part}")
        if not 0 <= entry.mode <= 0o777:
            raise refused(f"the path {shown} has mode {entry.mode:o}: permission bits only are kept")
        if len(entry.sha256) != 64 or not _HEX.issuperset(entry.sha256):
            raise refused(f"the path {shown} has no SHA-256")
        total += entry.size
        if entry.size < 0 or total > MAX_TOTAL_BYTES:
            raise refused(f"the path {shown} has an impossible size")
    paths = {entry.path for entry in manifest.files}
    if DATABASE not in paths:
        raise refused("it holds no store")
    if manifest.config and manifest.config not in paths:
        raise refused("the configuration it names is not in it")


def in_order(parts: frozenset[Part]) -> tuple[Part, ...]:
    """Return parts in the table's order."""
    return tuple(part for part in PARTS if part in parts)
