"""The state of skills: what lies on disk is loaded only while it is, byte for byte, what was audited and locked."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ConfigError, PolicyDenied
from openclaw.policy.skill.audit import AUDITOR, NAME, audit
from openclaw.policy.skill.finding import Row
from openclaw.policy.skill.lock import FILE_NAME, Lock, Locked, read_lock, write_lock
from openclaw.policy.skill.tree import read_tree, stamp

MAX_KNOWN: Final = 1_024
Answer = Literal["ready", "confined", "disabled", "unaudited", "changed", "failed"]


class Standing(msgspec.Struct, frozen=True):
    """Whether a skill may be loaded, and why not. `entry` is its place in the lock.

    `vouched`: nothing fails, and an operator answers for what it says.
    """

    answer: Answer
    why: str = ""
    entry: Locked | None = None
    vouched: bool = False

    @property
    def loads(self) -> bool:
        """Whether the model may read it."""
        return self.answer in ("ready", "confined")


class SkillGate:
    """Judges the skills of one gateway. Every method blocks: use a thread.

    `confines` says whether a skill whose audit failed is confined instead of kept out (`skills.onFailure`).
    """

    def __init__(
        self, state_dir: Path, *, confines: Callable[[], bool] = lambda: False, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.confines = confines
        self._clock = clock
        self._state_dir = state_dir
        self._path = state_dir / FILE_NAME
        self._guard = threading.RLock()
        self._read: tuple[object, Lock, str] | None = None
        self._known: BoundedMap[str, tuple[object, str, frozenset[Row]]] = BoundedMap("skills.known", MAX_KNOWN)

    def key(self, folder: Path) -> str:
        """Return how the lock names a folder."""
        try:
            return folder.relative_to(self._state_dir).as_posix()
        except ValueError:
            return folder.as_posix()

    def lock(self) -> Lock:
        """Return the lock. Raises: ConfigError."""
        found, problem = self._current()
        if problem:
            raise ConfigError(
                problem, hint=f"Restore {self._path} from a backup, or remove it and audit the skills again."
            )
        return found

    def standing(self, folder: Path) -> Standing:
        """Judge one folder."""
        with self._guard:
            lock, problem = self._current()
            entry = lock.skills.get(self.key(folder))
            if problem:
                return Standing("unaudited", problem)
            if entry is None:
                return Standing("unaudited", "it was not audited and locked")
            digest, later = self._content(folder, entry)
            if digest != entry.digest:
                return Standing("changed", "its files are not those that were audited", entry)
            failed = later | {row for row, state in entry.rows.items() if state == "fail"}
            return self._rows(entry, failed) if entry.enabled else Standing("disabled", "it is switched off", entry)

    def _rows(self, entry: Locked, failed: frozenset[Row]) -> Standing:
        """Judge what is as it was locked by the rows that fail."""
        vouched = entry.vouched if entry.vouched and entry.vouched.holds(self._clock.now_ms()) else None
        left = failed.difference(vouched.accepts if vouched else ())
        # A lock that contradicts itself was not written here.
        if not NAME.fullmatch(entry.name) or (entry.state == "fail" and not failed):
            return Standing("failed", "its lock is damaged: audit it again", entry)
        if not left:
            return Standing("ready", "", entry, vouched=vouched is not None and not failed)
        why = f"the audit failed: {', '.join(sorted(left))}"
        return Standing("confined" if self.confines() else "failed", why, entry)

    def read(self, folder: Path, path: str, standing: Standing) -> bytes:
        """Return a file of a skill that loads by its standing, and the very bytes that were audited.

        Raises: PolicyDenied for a skill that does not, a path that is not in its lock, or a file that has changed.
        """
        files = {file.path: file for file in standing.entry.files} if standing.entry else {}
        if not standing.loads or path not in files:
            raise PolicyDenied(
                f"the skill has no file {ascii(path)[:200]}" if standing.loads else standing.why,
                hint="Its files: " + ", ".join(sorted(files)[:50]) if standing.loads else HINT,
                details={"rule": f"skill.{standing.answer}"},
            )
        data = _bytes(folder, path, files[path].size)
        if data is None or sha256(data).hexdigest() != files[path].sha256:
            raise PolicyDenied("the file is not the one that was audited", hint=HINT, details={"rule": "skill.changed"})
        return data

    def put(self, folder: Path, entry: Locked | None) -> None:
        """Lock a folder, or with None forget it. Raises: ConfigError, OSError."""
        with self._guard:
            skills = dict(self.lock().skills)
            skills.pop(self.key(folder), None)
            if entry is not None:
                skills[self.key(folder)] = entry
            write_lock(self._path, Lock(skills=skills))
            self._read = None

    def _current(self) -> tuple[Lock, str]:
        try:
            info = self._path.stat()
            now: object = (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        except OSError:
            now = None
        if self._read is None or self._read[0] != now:
            try:
                self._read = (now, read_lock(self._path), "")
            except ConfigError as error:
                self._read = (now, Lock(), error.message)
        return self._read[1], self._read[2]

    def _content(self, folder: Path, entry: Locked) -> tuple[str, frozenset[Row]]:
        """Return the digest of what lies there, and the rows that fail by rules newer than its lock."""
        now, key = stamp(folder), self.key(folder)
        known = self._known.get(key)
        if now is None or known is None or known[0] != (now, entry.digest):
            tree = read_tree(folder)
            digest, failed = "" if tree.problems else tree.digest, frozenset[Row]()
            if digest == entry.digest and entry.auditor != AUDITOR:
                report = audit(tree, folder.name)
                failed = frozenset(row for row, state in report.rows.items() if state == "fail")
            known = ((now, entry.digest), digest, failed)
            self._known.put(key, known)
        return known[1], known[2]


HINT: Final = "The operator runs `openclaw skills audit` to see why, and audits it again."


def _bytes(folder: Path, path: str, size: int) -> bytes | None:
    """Read a file below a folder without following a link on the way."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    *above, name = path.split("/")
    try:
        held = os.open(folder, flags | os.O_DIRECTORY)
        try:
            for part in above:
                inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=held)
                os.close(held)
                held = inner
            opened = os.open(name, flags | os.O_NONBLOCK, dir_fd=held)
        finally:
            os.close(held)
        with os.fdopen(opened, "rb") as file:
            return file.read(size + 1) if stat.S_ISREG(os.fstat(opened).st_mode) else None
    except OSError:
        return None
