"""Every change of the configuration's files goes through here, or is noticed here, and leaves a record.

1. The record is there before the first byte is written, and says how it ended after the last. A writer that is killed
   in between leaves old or new files, each whole, and the next look at the ledger says so.
2. What differs from what the ledger knows was changed by hand: that gets a record too, before anything else does.
3. A change covers all files of the configuration, those that the main one includes too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, Conflict, NotFound, OpenClawError
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import (
    BEGUN,
    WRITTEN,
    Applied,
    ChangeRecord,
    Doctor,
    Side,
    Wish,
    make_record,
    user_name,
)
from openclaw.config.disk import replace_unchanged
from openclaw.config.env import Environment
from openclaw.config.load import Files, Loaded, files_of, hash_of, load_files, read_files
from openclaw.config.paths import StatePaths
from openclaw.config.writing.commit import write_file

FILE_EDIT: Final = "file edit"
ELSEWHERE: Final = "applied"
"""The outcome of what changed other files than the configuration's: no gateway has to take it up."""
REFUSED: Final = "refused: "
WAITING: Final = "restart-required"
_NOTHING: Final = "broken off: nothing was written"
_STANDS: Final = "broken off: what had been written by then stands"


class Open:
    """A change that is being made. `patches` are those of a fix, kept at once."""

    def __init__(self, ledger: Ledger, record: ChangeRecord) -> None:
        self._ledger = ledger
        self.record = record

    def put(self, patches: tuple[Applied, ...]) -> None:
        """Keep what the patches did, or are about to do."""
        self.record = msgspec.structs.replace(self.record, patches=patches)
        self._ledger.put(self.record)


class Book:
    """The changes of one gateway's configuration. Every call blocks: use a thread from the loop.

    Shape: `doctor` says what is wrong with a configuration; a record keeps what that was before and after.
    """

    def __init__(self, paths: StatePaths, clock: Clock, doctor: Doctor) -> None:
        self._doctor = doctor
        self.ledger = Ledger(paths.state_dir, clock)
        self._paths = paths
        self._path = paths.config_path

    def is_behind(self) -> bool:
        """Whether the files say something else than the ledger knows, or a writer died; a look would record it."""
        seen = self.ledger.seen(self._path)
        return self.ledger.begun() is not None or (seen is not None and seen != read_files(self._path))

    def ended(self) -> tuple[list[ChangeRecord], str]:
        """Return every change that is kept, the oldest first, and the file that somebody edited since, or "".

        One that is being made is waited for; one whose writer died is not among them before a look.
        """
        with self.ledger.lock():
            found = [each for each in self.ledger.records() if each.outcome != BEGUN]
            seen = self.ledger.seen(self._path)
            disk = read_files(self._path)
        differing = (path for path in (*disk, *(seen or ())) if seen is not None and disk.get(path) != seen.get(path))
        return found[::-1], str(next(differing, ""))

    def look(self, env: Environment, now: Side, outcome: str, *, reason: str = "") -> ChangeRecord | None:
        """Record what was changed by hand since the last look, and what a gateway made of it and of what was written.

        Shape: `now` is what the files say; when they say something else by now, nothing is done: look again.
        """
        with self.ledger.lock():
            disk = read_files(self._path)
            if not _is(now, disk):
                return None
            record = self._notice(env, disk, now, outcome, reason)
            self._taken_up(record, outcome)
            return record

    def write(self, wish: Wish, env: Environment, before: Side, after: Loaded, files: Files) -> ChangeRecord:
        """Make files of the configuration hold this, all of them or none.

        Shape: `before` is what the writer began with; `after` is what will be said then.
        Raises: Conflict when it says something else by now; NotSupported in read-only mode; InvalidRequest; OSError.
        """
        with self.ledger.lock():
            disk = read_files(self._path)
            if not _is(before, disk):
                raise Conflict(f"{self._path} has changed since it was read", hint="Read it again and repeat it.")
            self._notice(env, disk, before, WRITTEN)
            old = {**disk, **_held(path for path in files if path not in disk)}
            new = {**old, **files}
            record = self._begin(wish, before, after, old, new)
            done: list[Path] = []
            try:
                for path in reversed(tuple(files)):  # the main file last: whoever reads it finds what it includes
                    write_file(path, files[path], _digest(old, path), env, main=self._path)
                    done.append(path)
            except BaseException as error:
                _restore({path: old.get(path) for path in done})
                self._end(record, f"reverted: {_why(error)}", old)
                raise
            return self._end(record, WRITTEN, new)

    def put_back(self, record: ChangeRecord, why: str) -> None:
        """Undo a change that was not taken up, unless somebody has changed the files since.

        Raises: Conflict when somebody has; OSError.
        """
        with self.ledger.lock():
            before, after = self.ledger.files(record.before), self.ledger.files(record.after)
            record = msgspec.structs.replace(record, outcome=f"reverted: {why}")
            self.ledger.put(record)
            if _held(after) != after:
                raise Conflict(f"{self._path} was changed by somebody else meanwhile, and is left as it is.")
            _restore({path: before.get(path) for path in after if before.get(path) != after[path]})
            self.ledger.see(self._path, self._whole(before))

    def end(self, record: ChangeRecord, outcome: str) -> None:
        """Say how a change ended."""
        with self.ledger.lock():
            self.ledger.put(msgspec.structs.replace(record, outcome=outcome))
            if outcome in ("applied", WAITING):
                self._taken_up(record, outcome)

    @contextlib.contextmanager
    def around(self, wish: Wish, env: Environment, look: Callable[[], Side]) -> Iterator[Open]:
        """Record whatever happens to the configuration within the block, which others wait for.

        `look` says what the files say. What fails before anything was changed leaves no record.
        """
        with self.ledger.lock():
            before, old = look(), read_files(self._path)
            self._notice(env, old, before, WRITTEN)
            opened = Open(self.ledger, self._begin(wish, before, before, old, {}))
            outcome = WRITTEN
            try:
                yield opened
            except BaseException as error:
                outcome = f"broken off: {_why(error)}"
                raise
            finally:
                self._close(opened, wish, before, look, outcome)

    def _taken_up(self, latest: ChangeRecord | None, outcome: str) -> None:
        """Say of what was written before a gateway looked what that made of it; a refusal is the latest one's fault."""
        waiting = []
        for each in self.ledger.records():
            if each.outcome == WRITTEN:
                waiting.append(each)
            elif latest is None or each.id != latest.id:
                break
        if outcome.startswith(REFUSED):
            waiting = [] if latest else waiting[:1]
        for each in waiting:
            waits = outcome != WAITING or any(one.reload == "process" for one in each.plan)
            self.ledger.put(msgspec.structs.replace(each, outcome=outcome if waits else "applied"))

    def _close(self, opened: Open, wish: Wish, before: Side, look: Callable[[], Side], outcome: str) -> None:
        record = opened.record
        new = read_files(self._path)
        kept = self.ledger.keep(new)
        same = set(record.before) == set(kept)
        if same and outcome == WRITTEN:
            outcome = ELSEWHERE
        elif same and not record.patches:
            self.ledger.drop(record)
            return
        told = make_record(wish, before, look(), self._doctor, file=self._path, record_id=record.id, at_ms=record.at_ms)
        record = msgspec.structs.replace(
            told, before=record.before, after=kept, patches=record.patches, outcome=outcome
        )
        self.ledger.put(record)
        self.ledger.see(self._path, new)

    def _begin(self, wish: Wish, before: Side, after: Side, old: Files, new: Files) -> ChangeRecord:
        record_id, at_ms = self.ledger.new_id(), self.ledger.now_ms()
        record = make_record(wish, before, after, self._doctor, file=self._path, record_id=record_id, at_ms=at_ms)
        record = msgspec.structs.replace(record, before=self.ledger.keep(old), after=self.ledger.keep(new))
        self.ledger.put(record)
        return record

    def _end(self, record: ChangeRecord, outcome: str, files: Files) -> ChangeRecord:
        whole = self._whole(files)
        if outcome == WRITTEN:
            record = msgspec.structs.replace(record, after=self.ledger.keep({**files, **whole}))
        record = msgspec.structs.replace(record, outcome=outcome)
        self.ledger.put(record)
        self.ledger.see(self._path, whole)
        return record

    def _whole(self, files: Files) -> Files:
        """Return the configuration of which these are files: what it includes besides is as it is on disk.

        What somebody else has made of these files since is not in it, so that it will be noticed.
        """
        if self._path not in files:
            return {}
        held = {**read_files(self._path), **files}
        return {path: held[path] for path in files_of(self._path) if path in held}

    def _notice(self, env: Environment, disk: Files, now: Side, outcome: str, reason: str = "") -> ChangeRecord | None:
        self._settle(disk)
        seen = self.ledger.seen(self._path)
        if seen is None:
            self.ledger.see(self._path, disk)
        if seen is None or seen == disk:
            return None
        try:
            before: Side = load_files(seen, self._paths, env)
        except ConfigError as error:
            before = error.message
        changed = next((path for path in (*disk, *seen) if disk.get(path) != seen.get(path)), self._path)
        owner, when = _owner(changed)
        wish = Wish(method=FILE_EDIT, owner=owner, reason=f"{reason}{when}" if reason else "")
        record = make_record(
            wish, before, now, self._doctor, file=changed, record_id=self.ledger.new_id(), at_ms=self.ledger.now_ms()
        )
        record = msgspec.structs.replace(
            record, before=self.ledger.keep(seen), after=self.ledger.keep(disk), outcome=outcome
        )
        self.ledger.put(record)
        self.ledger.see(self._path, disk)
        return record

    def _settle(self, disk: Files) -> None:
        """Say what became of a change whose writer died: whoever lives holds the lock that is ours now."""
        record = self.ledger.begun()
        if record is None:
            return
        outcome, files = self._remains(record, disk)
        self._end(msgspec.structs.replace(record, after=self.ledger.keep(files)), outcome, files)

    def _remains(self, record: ChangeRecord, disk: Files) -> tuple[str, Files]:
        """Return how far a change got, by the files that it was to change: others may be somebody else's since."""
        try:
            before, after = self.ledger.files(record.before), self.ledger.files(record.after)
        except NotFound:
            return _STANDS, disk
        changed = [path for path in after if before.get(path) != after[path]]
        held = _held(iter(changed))
        if changed and all(held.get(path) == after[path] for path in changed):
            return WRITTEN, after
        untouched = all(held.get(path) == before.get(path) for path in changed) if changed else disk == before
        return (_NOTHING, before) if untouched and not record.patches else (_STANDS, disk)


def side_of(loaded: Loaded) -> Side:
    """Return what the files say: a configuration that stands in for one that cannot be read is not it."""
    return loaded.issues[0].message if loaded.source == "last-good" else loaded


def _is(side: Side, disk: Files) -> bool:
    if isinstance(side, str):
        return True
    if side.source == "last-good":
        return side.file_hash == _digest(disk, side.path)
    return side.hash == hash_of(disk)


def _digest(files: Files, path: Path) -> str:
    return sha256(files.get(path, b"")).hexdigest()


def _held(paths: Iterator[Path] | Files) -> dict[Path, bytes]:
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.read_bytes()
    return found


def _restore(files: dict[Path, bytes | None]) -> None:
    for path, data in files.items():
        if data is None:
            path.unlink(missing_ok=True)
        else:
            replace_unchanged(path, data, None)


def _why(error: BaseException) -> str:
    return error.message if isinstance(error, OpenClawError) else str(error) or type(error).__name__


def _owner(path: Path) -> tuple[str, str]:
    """Return whose file it is, which is all that can be known of who changed it, and when it was changed."""
    place = path if path.exists() else path.parent
    try:
        facts = place.stat()
    except OSError:
        return "", ""
    when = datetime.fromtimestamp(facts.st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{user_name(facts.st_uid)} (owns the file)", when
