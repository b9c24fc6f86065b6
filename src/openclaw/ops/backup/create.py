"""Making a backup: everything is copied aside first and hashed as it is copied, so the archive is of one piece."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import msgspec

from openclaw.base.path_rules import Occupied, unfit
from openclaw.base.secret import Secret
from openclaw.ops.backup.age import WORK, Encrypting
from openclaw.ops.backup.database import copy_store
from openclaw.ops.backup.manifest import FORMAT, MAX_FILES, Entry, Manifest, in_order, seal
from openclaw.ops.backup.parts import (
    DATABASE,
    HOLDS_SECRETS,
    OUTSIDE,
    LeftOut,
    Part,
    Source,
    belongs,
    config_path,
    walk,
)
from openclaw.ops.backup.refused import refused
from openclaw.ops.backup.tape import PIECE, TapeWriter, new_file
from openclaw.protocol.device_auth import DeviceKey

MANIFEST: Final = "manifest.json"
SEAL: Final = "manifest.sig"
FILES: Final = "files/"
PREFIX: Final = "openclaw-backup-"
SUFFIX: Final = ".tar.gz"
ENCRYPTED: Final = ".age"
ASIDE: Final = ".backup-"
LEFT_MS: Final = 24 * 3_600_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be backed up, and how."""

    state_dir: Path
    database: Path
    configs: tuple[Path, ...]
    """The configuration file, then those it includes."""
    parts: frozenset[Part]
    now_ms: int
    host: str
    version: str
    passphrase: Secret | None = None
    work: int = WORK


class Made(msgspec.Struct, frozen=True):
    """A backup that was made: the archive, still aside, and what to say about it."""

    name: str
    place: Path
    size: int
    manifest: Manifest
    signer: str
    left_out: tuple[LeftOut, ...]
    warnings: tuple[str, ...]


def name_of(now_ms: int, *, encrypted: bool) -> str:
    """Return a file name that says when, in UTC, and that no other backup of that second has."""
    when = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{PREFIX}{when}-{os.urandom(3).hex()}{SUFFIX}{ENCRYPTED if encrypted else ''}"


@contextlib.contextmanager
def aside(state_dir: Path, prefix: str = ASIDE) -> Iterator[Path]:
    """Offer a private folder in the state directory, gone after the block."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=prefix, dir=state_dir))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_left(state_dir: Path, now_ms: int) -> None:
    """Throw away what a backup left that was killed; one that still goes on is younger than this."""
    for each in state_dir.glob(f"{ASIDE}*"):
        with contextlib.suppress(FileNotFoundError):
            if each.is_dir() and each.stat().st_mtime * 1000 < now_ms - LEFT_MS:
                shutil.rmtree(each, ignore_errors=True)


def create(plan: Plan, key: DeviceKey, folder: Path, go_on: Callable[[], None] = lambda: None) -> Made:
    """Make a backup in `folder` (private, empty). The gateway may run or not. `go_on` may raise to stop it.

    Raises: NotFound (no store), Unavailable (disk), InvalidRequest (passphrase, too many files), OSError.
    """
    copies = folder / "copies"
    copies.mkdir(mode=0o700)
    database = copies / "0"
    schema = copy_store(plan.database, database, go_on)
    entries = [_entry(database, "store", DATABASE, 0o600)]
    left_out: list[LeftOut] = []
    occupied = Occupied()
    occupied.clash(DATABASE)
    for found in walk(plan.state_dir, plan.parts, plan.configs):
        go_on()
        entry = _taken(found, occupied, copies / str(len(entries)))
        if isinstance(entry, LeftOut):
            left_out.append(entry)
        else:
            entries.append(entry)
        if len(entries) > MAX_FILES:
            raise refused(f"there are more than {MAX_FILES} files", "Leave the workspace out: --without workspace.")
    manifest = Manifest(
        format=FORMAT,
        version=plan.version,
        schema=schema,
        created_at_ms=plan.now_ms,
        host=plan.host,
        config=_config_path(plan, entries),
        parts=in_order(plan.parts | {"store"}),
        files=tuple(entries),
    )
    name = name_of(plan.now_ms, encrypted=plan.passphrase is not None)
    place = folder / name
    _write(place, manifest, key, copies, plan, go_on)
    return Made(
        name, place, place.stat().st_size, manifest, key.device_id, tuple(left_out), _warnings(plan, manifest, left_out)
    )


def _taken(found: Source | LeftOut, occupied: Occupied, copy: Path) -> Entry | LeftOut:
    if isinstance(found, LeftOut):
        return found
    if not belongs(found.part, found.path):
        return LeftOut(found.path, "a file of this name is not part of a backup")
    if reason := unfit(found.path) or occupied.clash(found.path):
        return LeftOut(found.path, reason)
    try:
        source = os.fdopen(os.open(found.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        return LeftOut(found.path, f"it cannot be read ({error.strerror})")
    with source:
        facts = os.fstat(source.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return LeftOut(found.path, "it is no plain file any more")
        with os.fdopen(new_file(copy), "wb") as target:
            shutil.copyfileobj(source, target, PIECE)
    return _entry(copy, found.part, found.path, facts.st_mode & 0o777)


def _entry(copy: Path, part: Part, path: str, mode: int) -> Entry:
    with copy.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Entry(path, part, file.tell(), mode, digest)


def _config_path(plan: Plan, entries: list[Entry]) -> str:
    path = config_path(plan.configs[0], plan.state_dir, plan.configs[0].parent)
    return path if any(entry.path == path for entry in entries) else ""


def _write(
    place: Path, manifest: Manifest, key: DeviceKey, copies: Path, plan: Plan, go_on: Callable[[], None]
) -> None:
    raw = msgspec.json.encode(manifest)
    now_s = plan.now_ms // 1000
    with os.fdopen(new_file(place), "wb") as file:
        cipher = Encrypting(file, plan.passphrase, work=plan.work) if plan.passphrase is not None else None
        tape = TapeWriter(cipher or file)
        tape.add_bytes(MANIFEST, raw, now_s)
        tape.add_bytes(SEAL, seal(raw, key), now_s)
        for number, entry in enumerate(manifest.files):
            go_on()
            with (copies / str(number)).open("rb") as copy:
                tape.add(FILES + entry.path, entry.size, entry.mode, now_s, copy)
        tape.close()
        if cipher is not None:
            cipher.close()
        file.flush()
        os.fsync(file.fileno())


def _warnings(plan: Plan, manifest: Manifest, left_out: list[LeftOut]) -> tuple[str, ...]:
    said: list[str] = []
    if plan.passphrase is None and HOLDS_SECRETS & set(manifest.parts):
        said.append(
            "This backup is not encrypted and holds secrets: keys, tokens and every conversation. Keep it where only"
            " you can read it, or make it with --passphrase-file."
        )
    if left_out:
        said.append(f"{len(left_out)} files are not in it; the first: {left_out[0].path!a}: {left_out[0].reason}.")
    if manifest.config.startswith(OUTSIDE):
        said.append(f"The configuration lies outside the state directory; a restore puts it into {OUTSIDE}/.")
    return tuple(said)
