"""Where the records of changes are kept: plain files beside the state, so that they need no gateway to be read.

1. `<state>/snapshots/changes/<id>.json` is a record and holds no secret. `texts/` holds the files around the changes,
   each content once, under a name that tells nothing about it without `key`. All is mode 0600.
2. `begun` names the record of the one change that is being made.
3. `seen-…` is the configuration of one main file as the ledger knows it: what differs from it was changed by hand.
4. Whoever writes holds `lock` from the first look at the files to the last record.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.config.changes.record import BEGUN, ChangeRecord, Kept
from openclaw.config.disk import locked_folder, make_private, write_atomically
from openclaw.config.load import Files
from openclaw.config.token import ensure_token

KEPT: Final = 200
KEPT_DAYS: Final = 365
KEPT_BYTES: Final = 100_000_000
_TIME: Final = "%Y%m%d-%H%M%S"


class Ledger:
    """The records of one state directory. Every call is short and blocks: use a thread from the loop."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self.folder = state_dir / "snapshots" / "changes"
        self._texts = self.folder / "texts"
        self._begun = self.folder / "begun"
        self._clock = clock
        self._last_ms = 0

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other writer out, of this process and of others. It is not to be taken twice."""
        make_private(self._texts)
        with locked_folder(self.folder):
            yield

    def now_ms(self) -> int:
        """Return the time (Unix ms), never the same twice: it is what records are sorted by."""
        self._last_ms = max(self._clock.now_ms(), self._last_ms + 1)
        return self._last_ms

    def new_id(self) -> str:
        """Return an id that sorts by time and that a person can type."""
        return f"{self._now():{_TIME}}-{os.urandom(2).hex()}"

    def put(self, record: ChangeRecord) -> None:
        """Keep a record, or what it has become. The oldest go when there are too many. The caller holds the lock."""
        if record.outcome == BEGUN:
            write_atomically(self._begun, record.id.encode())
        write_atomically(self.folder / f"{record.id}.json", msgspec.json.encode(record))
        if record.outcome != BEGUN and self._begun_id() == record.id:
            self._begun.unlink()
        self._trim()

    def begun(self) -> ChangeRecord | None:
        """Return the change that nobody has ended. Whoever holds the lock knows that its writer is dead."""
        try:
            return self._read(self._begun_id())
        except (OSError, msgspec.MsgspecError):
            return None

    def _begun_id(self) -> str:
        try:
            return self._begun.read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def drop(self, record: ChangeRecord) -> None:
        """Forget a change that was begun and not made. The caller holds the lock."""
        self._begun.unlink(missing_ok=True)
        (self.folder / f"{record.id}.json").unlink(missing_ok=True)

    def keep(self, files: Files) -> tuple[Kept, ...]:
        """Keep what these files hold and return where. The caller holds the lock."""
        return tuple(Kept(str(path), self.keep_text(data)) for path, data in files.items())

    def keep_text(self, data: bytes) -> str:
        """Keep one content and return its name."""
        name = self.name_of(data)
        if not (self._texts / name).exists():
            write_atomically(self._texts / name, data)
        return name

    def name_of(self, data: bytes) -> str:
        """Return the name under which a content is kept. Who knows the name alone cannot try guesses of the content."""
        key = ensure_token(self.folder / "key").reveal().encode()
        return hashlib.blake2b(data, key=key[:64], digest_size=20).hexdigest()

    def text(self, name: str) -> bytes:
        """Return a kept content. Raises: NotFound."""
        try:
            return (self._texts / name).read_bytes()
        except OSError:
            raise NotFound("The text of that change is not kept any more.") from None

    def files(self, kept: Iterable[Kept]) -> Files:
        """Return files as they were. Raises: NotFound."""
        return {Path(each.path): self.text(each.text) for each in kept}

    def seen(self, path: Path) -> Files | None:
        """Return the configuration of that main file as it was last known, None when it never was."""
        kept = _decoded(self._seen(path))
        try:
            return None if kept is None else self.files(kept)
        except NotFound:
            return None

    def see(self, path: Path, files: Files) -> None:
        """Know the configuration of that main file to be this. The caller holds the lock."""
        write_atomically(self._seen(path), msgspec.json.encode(self.keep(files)))

    def _seen(self, path: Path) -> Path:
        return self.folder / f"seen-{hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()}"

    def records(self) -> list[ChangeRecord]:
        """Return all records, the newest first; what cannot be read is left out."""
        found = []
        for record_id in self._ids():
            try:
                found.append(self._read(record_id))
            except (OSError, msgspec.MsgspecError):
                continue
        return sorted(found, key=lambda record: (record.at_ms, record.id), reverse=True)

    def get(self, record_id: str) -> ChangeRecord:
        """Return a record by its id, the beginning of it, or `last`.

        Raises: NotFound; InvalidRequest when several begin like that.
        """
        if record_id == "last":
            matching = [record.id for record in self.records()[:1]]
        else:
            matching = [each for each in self._ids() if record_id and each.startswith(record_id)]
        if not matching:
            raise NotFound(f"There is no change {record_id!r}.", hint="openclaw config history lists them.")
        if len(matching) > 1 and record_id not in matching:
            raise InvalidRequest(f"Several changes begin with {record_id!r}: {', '.join(matching[:5])}.")
        try:
            return self._read(record_id if record_id in matching else matching[0])
        except (OSError, msgspec.MsgspecError):
            raise NotFound(f"The record of change {matching[0]} cannot be read.") from None

    def _read(self, record_id: str) -> ChangeRecord:
        return msgspec.json.decode((self.folder / f"{record_id}.json").read_bytes(), type=ChangeRecord)

    def _ids(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.name.startswith("."))

    def _trim(self) -> None:
        oldest = f"{self._now() - timedelta(days=KEPT_DAYS):{_TIME}}"
        ids = self._ids()
        gone = [name for name in ids[:-1] if name < oldest or name in ids[: max(0, len(ids) - KEPT)]]
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(self._texts)}
        if not gone and sum(sizes.values()) <= KEPT_BYTES:
            return
        records = {record.id: _texts_of(record) for record in reversed(self.records())}
        held = {name: texts for name, texts in records.items() if name not in gone}
        seen = {each.text for path in self.folder.glob("seen-*") for each in _decoded(path) or ()}
        while len(held) > 1 and sum(sizes.get(name, 0) for name in seen.union(*held.values())) > KEPT_BYTES:
            gone.append(first := next(iter(held)))
            del held[first]
        for name in gone:
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        for name in sizes.keys() - seen.union(*held.values()):
            (self._texts / name).unlink(missing_ok=True)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)


def _decoded(path: Path) -> tuple[Kept, ...] | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Kept, ...])
    except (OSError, msgspec.MsgspecError):
        return None


def _texts_of(record: ChangeRecord) -> set[str]:
    undo = (step for patch in record.patches for step in patch.undo)
    return {each.text for each in (*record.before, *record.after)} | {step.kept for step in undo if step.kept}
