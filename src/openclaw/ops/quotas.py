"""What each room of the state directory takes of the disk, and what is taken away when one takes too much.

1. A room is a folder (or the files of the store) with one cap. The table below is the only place that knows them.
2. What goes first is what was changed longest ago; a snapshot or backup goes whole, a log or picture alone.
3. Never removed: what a room protects by name, its newest entries, and what changed minutes ago.
4. Nothing is followed: a symbolic link counts as itself, and only what lies in the room is ever removed.
5. A file that a running program holds open for ever is emptied instead of removed.
6. While a backup or a fix goes on, in this process or another, nothing is removed at all: `in_use` holds a lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

import msgspec

from openclaw.config.schema import QuotaConfig
from openclaw.ops.service.plan import LAUNCHD_LOG
from openclaw.telemetry.log import LOG_FILE

SETTLED_S: Final = 600
"""Younger than this may still be being written."""
TEMPORARY_S: Final = 86_400
"""A backup of a large store may take hours."""
MAX_ENTRIES: Final = 200_000
"""Entries of one room that are looked at for what is too old."""
MAX_COUNTED: Final = 50_000
"""Entries of one room that are counted for people, who wait; when there are more, that is said."""
LOCK_NAME: Final = ".files-in-use"
Unit = Literal["entry", "file"]


class StateRoom(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of file in the state directory.

    Shape: `cap` None = not pruned, `holds` says why; what is directly in the state directory belongs here when it is
    `folder` or fits one of `names` (shell patterns); `unit` is what goes as a whole: each thing directly in the folder,
    or each file.
    """

    name: str
    holds: str
    folder: str = ""
    cap: Callable[[QuotaConfig], int] | None = None
    kept: Callable[[QuotaConfig], str] | None = None
    """How long it keeps what, in words, where that is the limit."""
    names: tuple[str, ...] = ()
    unit: Unit = "entry"
    protect: tuple[str, ...] = ()
    keep_newest: int = 0
    empty: tuple[str, ...] = ()
    """Files that are emptied at a tenth of the cap, as somebody holds them open."""
    settled_s: int = SETTLED_S


OTHER: Final = "other"
ROOMS: Final[tuple[StateRoom, ...]] = (
    StateRoom(
        name="store",
        holds="sessions and their transcripts, runs, the usage ledger, the audit ledger",
        names=("openclaw.db", "openclaw.db-*"),
        kept=lambda quotas: (
            f"transcripts {f'{quotas.transcript_days} d' if quotas.transcript_days else 'until deleted'}, "
            f"ledger {quotas.ledger_days} d, audit {quotas.audit_days} d"
        ),
    ),
    StateRoom(
        name="logs",
        holds="what the gateway wrote down",
        folder="logs",
        cap=lambda quotas: quotas.logs_bytes,
        unit="file",
        protect=(LOG_FILE, LAUNCHD_LOG),
        empty=(LAUNCHD_LOG,),
    ),
    StateRoom(
        name="snapshots",
        holds="the configuration that last worked, what was changed (capped by itself), stores from before an upgrade",
        folder="snapshots",
        cap=lambda quotas: quotas.snapshots_bytes,
        protect=("last-good.*", "changes"),
        keep_newest=1,
    ),
    StateRoom(
        name="pre-restore",
        holds="what a restore replaced",
        folder="pre-restore",
        cap=lambda quotas: quotas.snapshots_bytes,
        keep_newest=1,
    ),
    StateRoom(
        name="trash",
        holds="what was replaced or removed",
        folder="trash",
        cap=lambda quotas: quotas.trash_bytes,
    ),
    StateRoom(
        name="backups",
        holds="backups that were not sent elsewhere",
        folder="backups",
        cap=lambda quotas: quotas.backups_bytes,
        keep_newest=1,
    ),
    StateRoom(
        name="media",
        holds="attachments",
        folder="media",
        cap=lambda quotas: quotas.media_bytes,
        unit="file",
    ),
    StateRoom(
        name="tmp",
        holds="work that was cut off",
        names=(".backup-*", ".upgrade-check-*", ".restore-*", ".*.tmp"),
        cap=lambda quotas: 0,
        protect=(".restore-waiting", ".restore-journal.json"),
        settled_s=TEMPORARY_S,
    ),
    StateRoom(
        name="workspace",
        holds="the agents' files: yours, never pruned",
        names=("workspace", "workspace-*"),
    ),
    StateRoom(
        name="models",
        holds="model files of a service of the whole system; `openclaw models` removes them",
        names=("cache", "models"),
    ),
    StateRoom(
        name="settings",
        holds="configuration, credentials, agents, skills and small records: needed, never pruned",
        names=(
            *("openclaw.json*", "openclaw.y*ml", ".env", "service.env", "restored-config", "exec-approvals.*"),
            *("credentials", "secrets", "secrets.json*", "former-secrets.json", "auth-profiles.json"),
            *("channels", "agents", "skills", "skills.lock.json"),
            *("openclaw.lock", ".openclaw.json.lock", "backup-runs.json", "model-catalog.json", "chat-history"),
            *(LOCK_NAME, "gateway"),
        ),
    ),
    # What is here is of no writer that this table knows: a test fails for one of ours.
    StateRoom(name=OTHER, holds="what is not ours: left alone"),
)


def room_of(top: str) -> str:
    """Return the room of a name at the top of the state directory."""
    for room in ROOMS:
        if top == room.folder or any(fnmatchcase(top, pattern) for pattern in room.names):
            return room.name
    return OTHER


class Size(msgspec.Struct, frozen=True, rename="camel"):
    """What a room takes. Shape: `bytes` are the files' lengths; `cap` None = not capped; `partial` = there is more."""

    room: str
    bytes: int
    files: int
    cap: int | None
    partial: bool = False
    kept: str = ""

    @property
    def over(self) -> bool:
        """Whether it takes more than it may."""
        return self.cap is not None and self.bytes > self.cap


class Removed(msgspec.Struct, frozen=True):
    """What was taken away. Shape: `path` below the state directory."""

    room: str
    path: str
    bytes: int


class _Entry(msgspec.Struct, frozen=True):
    path: Path
    bytes: int
    files: int
    changed_s: float


def sizes(state_dir: Path, quotas: QuotaConfig) -> list[Size]:
    """Measure every room; one that is not there takes nothing. It reads the disk: call it off the loop."""
    found = []
    for room in ROOMS:
        entries, partial = _entries(state_dir, room, MAX_COUNTED)
        cap = room.cap(quotas) if room.cap else None
        total = sum(entry.bytes for entry in entries)
        kept = room.kept(quotas) if room.kept else ""
        found.append(Size(room.name, total, sum(entry.files for entry in entries), cap, partial, kept))
    return found


@contextlib.contextmanager
def in_use(state_dir: Path) -> Iterator[None]:
    """Keep `prune` away while files of the state directory are copied or moved. It ends with the process, too."""
    with _lock(state_dir, fcntl.LOCK_SH):
        yield


def prune(state_dir: Path, quotas: QuotaConfig, *, now_s: float) -> list[Removed]:
    """Take away what is over the caps, the oldest first, and say what. What cannot be removed is left.

    Nothing goes while files are in use. It reads and writes the disk: call it off the loop.
    """
    removed: list[Removed] = []
    with contextlib.suppress(BlockingIOError), _lock(state_dir, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for room in ROOMS:
            if room.cap is not None:
                removed += _prune_room(state_dir, room, room.cap(quotas), now_s)
    return removed


@contextlib.contextmanager
def _lock(state_dir: Path, kind: int) -> Iterator[None]:
    descriptor = os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _prune_room(state_dir: Path, room: StateRoom, cap: int, now_s: float) -> list[Removed]:
    removed = [_emptied(state_dir, room, name, cap) for name in room.empty]
    entries, _ = _entries(state_dir, room)
    total = sum(entry.bytes for entry in entries)
    entries.sort(key=lambda entry: (entry.changed_s, str(entry.path)))
    for entry in entries[: max(0, len(entries) - room.keep_newest)]:
        if total <= cap:
            break
        if now_s - entry.changed_s < room.settled_s or _protected(room, entry.path):
            continue
        if _remove(entry.path):
            total -= entry.bytes
            removed.append(Removed(room.name, str(entry.path.relative_to(state_dir)), entry.bytes))
    return [each for each in removed if each is not None]


def _emptied(state_dir: Path, room: StateRoom, name: str, cap: int) -> Removed | None:
    path = state_dir / room.folder / name
    try:
        size = path.lstat().st_size
        if size <= cap // 10 or path.is_symlink():
            return None
        os.truncate(path, 0)
    except OSError:
        return None
    return Removed(room.name, str(path.relative_to(state_dir)), size)


def _protected(room: StateRoom, path: Path) -> bool:
    return any(fnmatchcase(path.name, pattern) for pattern in room.protect)


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    return True


def _entries(state_dir: Path, room: StateRoom, left: int = MAX_ENTRIES) -> tuple[list[_Entry], bool]:
    """Return what a room holds and whether there was more than is looked at."""
    folder = state_dir / room.folder
    found: list[_Entry] = []
    if folder.is_symlink():  # a room that lies elsewhere is its owner's business
        return found, False
    for top in _children(folder):
        if not room.folder and room_of(top.name) != room.name:
            continue
        files = []
        for each in _files(top):
            left -= 1
            if left < 0:
                return found, True
            files.append(each)
        if room.unit == "file":
            found += [each for each in files if each.files]  # folders stay: they take nothing
        else:
            changed = max((each.changed_s for each in files), default=0.0)
            found.append(_Entry(Path(top.path), sum(each.bytes for each in files), len(files), changed))
    return found, False


def _children(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _files(top: os.DirEntry[str]) -> Iterator[_Entry]:
    waiting = [top]
    while waiting:
        each = waiting.pop()
        try:
            status = each.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            waiting += _children(Path(each.path))
        yield _Entry(Path(each.path), *_counted(status), status.st_mtime)


def _counted(status: os.stat_result) -> tuple[int, int]:
    return (0, 0) if stat.S_ISDIR(status.st_mode) else (status.st_size, 1)
