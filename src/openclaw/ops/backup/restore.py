"""Bringing a backup back: into this state directory with a way back, or into a directory of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import msgspec

from openclaw.base.errors import Conflict, InvalidRequest, StateLocked
from openclaw.base.secret import Secret
from openclaw.config.disk import write_atomically
from openclaw.ops.backup.create import aside
from openclaw.ops.backup.manifest import Manifest
from openclaw.ops.backup.parts import DATABASE, OPTIONAL, Part, part_of
from openclaw.ops.backup.swap import WAITING, exchange, last_way_back, recover
from openclaw.ops.backup.unpack import SPARE_BYTES, Opened, unpack
from openclaw.store.lock import StateLock

STAGE: Final = ".restore-"
UPLOAD: Final = ".restore-upload-"
"""Folders of backups that come in by a gateway's /setup; whoever holds the lock may throw away what lies there."""
OUTCOME: Final = ".restore-outcome.json"
_FILES: Final = "files"
_ORDER: Final = "order.json"


class Restored(msgspec.Struct, frozen=True):
    """A restore that was done. `way_back` keeps what was there before; None for a directory that is new."""

    opened: Opened
    state_dir: Path
    way_back: Path | None


def restore_in_place(
    archive: Path,
    state_dir: Path,
    passphrase: Secret | None,
    *,
    now_ms: int,
    signer: str = "",
    without: frozenset[Part] = frozenset(),
    lock: StateLock | None = None,
) -> Restored:
    """Replace what belongs to a backup by the archive's; logs, caches and earlier backups stay. All or nothing.

    A `lock` that is given must be held by the caller.

    Raises: StateLocked (a gateway runs), InvalidRequest (the archive), Unavailable (no room), OSError.
    """
    _check_without(without)
    with _Held(state_dir, lock):
        recover(state_dir)
        _clear_stages(state_dir)
        with aside(state_dir, STAGE) as files:
            opened = unpack(archive, files, passphrase, signer=signer)
            paths = _paths(state_dir, opened.manifest, without)
            way_back = exchange(state_dir, files, paths, now_ms=now_ms, instead=archive.name)
    return Restored(opened, state_dir, way_back)


def restore_to(archive: Path, target: Path, passphrase: Secret | None, *, signer: str = "") -> Restored:
    """Restore into a directory that is not there yet, or is empty; it appears whole or not at all.

    Raises: Conflict (something is there), InvalidRequest (the archive), Unavailable (no room), OSError.
    """
    target = target.absolute()
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise Conflict(f"{target} is there and is no empty directory", hint="Name one that does not exist yet.")
    target.parent.mkdir(parents=True, exist_ok=True)
    files = Path(mkdtemp(prefix=f".{target.name}{STAGE}", dir=target.parent))
    try:
        opened = unpack(archive, files, passphrase, signer=signer)
        files.rename(target)  # takes the place of an empty directory, of no other
    except BaseException:
        shutil.rmtree(files, ignore_errors=True)
        raise
    return Restored(opened, target, None)


class _Order(msgspec.Struct, frozen=True):
    """A restore that waits for the gateway's next start."""

    instead: str
    manifest: Manifest
    without: tuple[Part, ...]


class RestoreOutcome(msgspec.Struct, frozen=True, rename="camel"):
    """What became of the last restore that waited for a start. Shape: `why` is "" when it is in place."""

    at_ms: int
    made_at_ms: int
    why: str = ""


def stage(
    archive: Path,
    folder: Path,
    passphrase: Secret | None,
    *,
    signer: str = "",
    without: frozenset[Part] = frozenset(),
    spare: int = SPARE_BYTES,
) -> tuple[Opened, Path]:
    """Check and unpack into an empty folder of the state directory. `let_wait` hands it to the gateway's next start.

    Return what was opened, and where its files are.

    Raises: InvalidRequest (the archive), Unavailable (no room), OSError.
    """
    _check_without(without)
    files = folder / _FILES
    files.mkdir(mode=0o700)
    opened = unpack(archive, files, passphrase, signer=signer, spare=spare)
    order = _Order(archive.name, opened.manifest, tuple(sorted(without)))
    write_atomically(folder / _ORDER, msgspec.json.encode(order))
    os.sync()
    return opened, files


def let_wait(folder: Path, state_dir: Path) -> None:
    """Have the next start put in place what was staged; one that waits already is replaced. Raises: OSError."""
    drop_waiting(state_dir)
    folder.rename(state_dir / WAITING)


def restore_at_start(
    archive: Path,
    state_dir: Path,
    passphrase: Secret | None,
    *,
    signer: str = "",
    without: frozenset[Part] = frozenset(),
) -> Restored:
    """Check and unpack now, beside a gateway that runs; its next start puts everything in place (`take_up`).

    For where the gateway cannot be stopped without its machine: in a container it is the container. One that waits
    already is replaced.

    Raises: InvalidRequest (the archive), Unavailable (no room), OSError.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=STAGE, dir=state_dir))
    try:
        opened, _ = stage(archive, folder, passphrase, signer=signer, without=without)
        let_wait(folder, state_dir)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Restored(opened, state_dir, None)


def drop_waiting(state_dir: Path) -> bool:
    """Throw away a restore that waits for a start. Return whether there was one."""
    waiting = (state_dir / WAITING / _ORDER).exists()
    shutil.rmtree(state_dir / WAITING, ignore_errors=True)
    return waiting


def take_up(state_dir: Path, *, now_ms: int) -> Path | None:
    """Put in place what waits for this start; return the way back, None when nothing waited. Needs the lock held.

    When it cannot be put in place, nothing has changed, and it waits no more: the gateway starts with what is there.

    Raises: OSError, Conflict (the order cannot be read).
    """
    folder = state_dir / WAITING
    try:
        order = msgspec.json.decode((folder / _ORDER).read_bytes(), type=_Order)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        shutil.rmtree(folder, ignore_errors=True)
        raise Conflict("the restore that waited for this start cannot be read", hint="Stage it again.") from None
    # Gone before the first rename: a start after a power cut must not exchange everything for what is left here.
    (folder / _ORDER).unlink()
    paths, made_at_ms = _paths(state_dir, order.manifest, frozenset(order.without)), order.manifest.created_at_ms
    try:
        kept = exchange(state_dir, folder / _FILES, paths, now_ms=now_ms, instead=order.instead)
    except OSError as error:
        note_outcome(state_dir, RestoreOutcome(now_ms, made_at_ms, error.strerror or type(error).__name__))
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    note_outcome(state_dir, RestoreOutcome(now_ms, made_at_ms))
    return kept


def note_outcome(state_dir: Path, outcome: RestoreOutcome) -> None:
    """Keep what became of a restore, for whoever asked for it and could not look on."""
    with contextlib.suppress(OSError):
        write_atomically(state_dir / OUTCOME, msgspec.json.encode(outcome))


def last_outcome(state_dir: Path) -> RestoreOutcome | None:
    """Return what became of the last restore that waited for a start, None when there was none."""
    try:
        return msgspec.json.decode((state_dir / OUTCOME).read_bytes(), type=RestoreOutcome)
    except (OSError, msgspec.MsgspecError):
        return None


def clear_uploads(state_dir: Path) -> None:
    """Throw away what came in by a gateway that was killed meanwhile. Needs the lock held."""
    for each in state_dir.glob(f"{UPLOAD}*"):
        shutil.rmtree(each, ignore_errors=True)


def undo(state_dir: Path, *, now_ms: int, lock: StateLock | None = None) -> Path:
    """Put back what the last restore replaced; what it had put there is kept as the next way back, which is returned.

    A `lock` that is given must be held by the caller.

    Raises: StateLocked (a gateway runs), NotFound (nothing to undo), OSError.
    """
    with _Held(state_dir, lock):
        recover(state_dir)
        folder, record = last_way_back(state_dir)
        kept = exchange(state_dir, folder, record.paths, now_ms=now_ms, instead=f"undo of {record.instead}")
        shutil.rmtree(folder, ignore_errors=True)
        (state_dir / OUTCOME).unlink(missing_ok=True)
        return kept


class _Held:
    """The state directory's lock for a block, taken unless the caller has it."""

    def __init__(self, state_dir: Path, lock: StateLock | None) -> None:
        self._own = StateLock(state_dir) if lock is None else None

    def __enter__(self) -> None:
        if self._own is not None:
            try:
                self._own.acquire()
            except StateLocked as error:
                raise StateLocked(
                    f"{error.message}: it is not restored into while a gateway runs",
                    hint="Stop the gateway first (`openclaw gateway stop`), or restore elsewhere with --to DIR.",
                    details=error.details,
                ) from None

    def __exit__(self, *_: object) -> None:
        if self._own is not None:
            self._own.release()


def _check_without(without: frozenset[Part]) -> None:
    if extra := without - set(OPTIONAL):
        raise InvalidRequest(
            f"{', '.join(sorted(extra))} cannot be left as it is", hint=f"Only: {', '.join(OPTIONAL)}."
        )


def _paths(state_dir: Path, manifest: Manifest, without: frozenset[Part]) -> tuple[str, ...]:
    """Return the names to exchange: all that this state directory or the archive has of the archive's parts."""
    parts = set(manifest.parts) - without
    found = {f"{DATABASE}{ending}": True for ending in ("", "-wal", "-shm")}
    for each in sorted(state_dir.iterdir()):
        # A link to a folder elsewhere was not followed by the backup: unless something comes instead, it stays.
        if part_of(each.name) in parts and not (each.is_symlink() and each.is_dir()):
            found[each.name] = True
    for entry in manifest.files:
        top = entry.path.split("/", 1)[0]
        if entry.part in parts:
            # A file that the configuration includes may lie in a folder of others' files: only it is exchanged.
            found[top if part_of(top) is not None else entry.path] = True
    return tuple(found)


def _clear_stages(state_dir: Path) -> None:
    """Throw away what a restore left that was killed."""
    for each in state_dir.glob(f"{STAGE}*"):
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
