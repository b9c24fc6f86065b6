"""Where the records of changes are kept: plain files beside the state, so that they need no gateway to be read.

Shape: `<state>/snapshots/changes/<id>.json` is the record, `<id>.before` and `<id>.after` are the texts, all mode 0600.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.config.changes.record import ChangeRecord
from openclaw.config.disk import locked_folder, write_atomically

KEPT: Final = 200
KEPT_DAYS: Final = 365
_TIME: Final = "%Y%m%d-%H%M%S"


class Ledger:
    """The records of one state directory. Every call is short and blocks: use a thread from the loop."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self.folder = state_dir / "snapshots" / "changes"
        self._clock = clock

    def new_id(self) -> str:
        """Return an id that sorts by time and that a person can type."""
        return f"{self._now():{_TIME}}-{os.urandom(2).hex()}"

    def add(self, record: ChangeRecord, before: bytes | None, after: bytes | None) -> None:
        """Keep a record with the texts around it; None is a file that is not there. The oldest go first."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked_folder(self.folder):
            for suffix, data in ((".before", before), (".after", after)):
                if data is not None:
                    write_atomically(self.folder / f"{record.id}{suffix}", data)
            write_atomically(self.folder / f"{record.id}.json", msgspec.json.encode(record))
            self._trim()

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

    def before(self, record: ChangeRecord) -> bytes | None:
        """Return the file as it was before a change, None when there was none."""
        return self._bytes(record, ".before")

    def after(self, record: ChangeRecord) -> bytes | None:
        """Return the file as it was after a change."""
        return self._bytes(record, ".after")

    def _bytes(self, record: ChangeRecord, suffix: str) -> bytes | None:
        try:
            return (self.folder / f"{record.id}{suffix}").read_bytes()
        except FileNotFoundError:
            return None

    def _read(self, record_id: str) -> ChangeRecord:
        return msgspec.json.decode((self.folder / f"{record_id}.json").read_bytes(), type=ChangeRecord)

    def _ids(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.name.startswith("."))

    def _trim(self) -> None:
        oldest = f"{self._now() - timedelta(days=KEPT_DAYS):{_TIME}}"
        ids = self._ids()
        for record_id in ids[:-1]:
            if record_id < oldest or record_id in ids[: max(0, len(ids) - KEPT)]:
                for suffix in (".json", ".before", ".after"):
                    (self.folder / f"{record_id}{suffix}").unlink(missing_ok=True)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ms() / 1000, UTC)
