"""Opening an archive that nobody vouches for: everything is checked in a folder aside before anything is used."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from openclaw.base.errors import InvalidRequest, Unavailable
from openclaw.base.secret import Secret
from openclaw.ops.backup.age import MAGIC, Decrypting
from openclaw.ops.backup.create import FILES, MANIFEST, SEAL
from openclaw.ops.backup.database import KNOWN_SCHEMA, check_store
from openclaw.ops.backup.manifest import MAX_MANIFEST_BYTES, MAX_SEAL_BYTES, Entry, Manifest, read_manifest, signer_of
from openclaw.ops.backup.parts import DATABASE
from openclaw.ops.backup.refused import refused
from openclaw.ops.backup.tape import PIECE, TapeReader, new_file

SPARE_BYTES: Final = 64 * 1024 * 1024
"""Room on the disk that unpacking leaves."""


class Opened(msgspec.Struct, frozen=True):
    """An archive that was read to its end and believed: its manifest, and the id of the gateway that signed it.

    Shape: `ledger_problem` says what is wrong with the chain of its audit ledger, "" for nothing.
    """

    manifest: Manifest
    signer: str
    encrypted: bool
    ledger_problem: str = ""


def unpack(
    archive: Path,
    folder: Path,
    passphrase: Secret | None,
    *,
    signer: str = "",
    keep: Callable[[Entry], bool] = lambda _: True,
    spare: int = SPARE_BYTES,
) -> Opened:
    """Read a whole archive, check all of it, and leave its files (those to `keep`, and the store) in an empty folder.

    `signer` is the id of the gateway that must have signed it; empty takes any. `spare` bytes of the disk stay free.
    When this raises, the folder may hold something: it is the caller's to throw away.

    Raises: InvalidRequest (BACKUP_INVALID or BACKUP_PASSPHRASE in its details), Unavailable (no room), OSError.
    """
    with archive.open("rb") as file:
        encrypted = file.read(len(MAGIC)) == MAGIC
        file.seek(0)
        tape = TapeReader(_decrypted(file, passphrase) if encrypted else file)
        raw = _small(tape, MANIFEST, MAX_MANIFEST_BYTES)
        found = signer_of(raw, _small(tape, SEAL, MAX_SEAL_BYTES))
        if signer and found != signer:
            raise refused(f"gateway {found[:16]}… signed it, not {signer[:16]}…")
        manifest = read_manifest(raw, KNOWN_SCHEMA)
        if manifest.total + spare > shutil.disk_usage(folder).free:
            raise Unavailable(
                f"the backup needs {manifest.total / 1e6:.0f} MB and {folder.parent} has no room for that",
                hint="Free some space, or restore onto another disk.",
            )
        for entry in manifest.files:
            _file(tape, entry, folder if entry.path == DATABASE or keep(entry) else None)
        if tape.next() is not None:
            raise refused("it holds a file that its manifest does not list")
    return Opened(manifest, found, encrypted, check_store(folder / DATABASE, manifest.schema))


def _decrypted(file: BinaryIO, passphrase: Secret | None) -> Decrypting:
    if passphrase is None:
        raise InvalidRequest(
            "the backup is encrypted",
            hint="Give its passphrase: --passphrase-file FILE, or OPENCLAW_BACKUP_PASSPHRASE.",
            details={"code": "BACKUP_PASSPHRASE"},
        )
    return Decrypting(file, passphrase)


def _small(tape: TapeReader, path: str, most: int) -> bytes:
    member = tape.next()
    if member is None or member[0] != path or member[1] > most:
        raise refused(f"it does not begin with {path}")
    parts = []
    while data := tape.read(PIECE):
        parts.append(data)
    return b"".join(parts)


def _file(tape: TapeReader, entry: Entry, folder: Path | None) -> None:
    """Read the one file that must come next; write it when there is a folder for it."""
    if tape.next() != (FILES + entry.path, entry.size):
        raise refused(f"what follows is not {entry.path[:120]!a} as its manifest lists it")
    digest = hashlib.sha256()
    target = _opened(folder, entry.path) if folder is not None else None
    try:
        while data := tape.read(PIECE):
            digest.update(data)
            if target is not None:
                target.write(data)
        if digest.hexdigest() != entry.sha256:
            raise refused(f"{entry.path[:120]!a} is not what its manifest says (SHA-256)")
        if target is not None:
            os.fchmod(target.fileno(), entry.mode)
    finally:
        if target is not None:
            target.close()


def _opened(folder: Path, path: str) -> BinaryIO:
    place = folder / path
    for parent in reversed(place.relative_to(folder).parents):
        (folder / parent).mkdir(mode=0o700, exist_ok=True)
    return os.fdopen(new_file(place), "wb")


def verify(archive: Path, scratch: Path, passphrase: Secret | None, *, signer: str = "") -> Opened:
    """Check a whole archive. `scratch` is an empty private folder: the store's copy is looked into there.

    Raises: as `unpack`.
    """
    return unpack(archive, scratch, passphrase, signer=signer, keep=lambda _: False)
