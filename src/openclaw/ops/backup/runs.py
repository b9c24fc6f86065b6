"""The log of backups that were made or failed: a small file, so that it can be read when no gateway runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from openclaw.config.disk import locked_folder, write_atomically

FILE_NAME: Final = "backup-runs.json"
KEPT: Final = 50
_MAX_ERROR_CHARS: Final = 500


class BackupRun(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one backup went. Times are Unix ms, sizes bytes. `where` is empty and `error` is set when it failed."""

    at_ms: int
    duration_ms: int
    scheduled: bool
    where: str = ""
    size: int = 0
    pruned: int = 0
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a backup of this run."""
        return not self.error


def read_runs(state_dir: Path) -> list[BackupRun]:
    """Return what is known, oldest first; nothing when the file is not there or cannot be read."""
    try:
        return msgspec.json.decode((state_dir / FILE_NAME).read_bytes(), type=list[BackupRun])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []


def past(runs: Sequence[BackupRun], now_ms: int) -> list[BackupRun]:
    """Return the runs that are not of a time to come: a clock that was set back must not stop the schedule."""
    return [run for run in runs if run.at_ms <= now_ms]


def note_run(state_dir: Path, run: BackupRun) -> None:
    """Add a run and forget the oldest. Raises: OSError."""
    run = msgspec.structs.replace(run, error=run.error[:_MAX_ERROR_CHARS])
    with locked_folder(state_dir):
        runs = [*read_runs(state_dir), run][-KEPT:]
        write_atomically(state_dir / FILE_NAME, msgspec.json.format(msgspec.json.encode(runs), indent=2))
