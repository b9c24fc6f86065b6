"""When the next backup is due. What only asks that does not load what makes backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from openclaw.automation.pulse import every_ms
from openclaw.automation.schedule import Cron, Every, next_ms
from openclaw.config.schema import BackupConfig
from openclaw.ops.backup.runs import BackupRun

RETRY_MS: Final = 300_000
MAX_RETRY_MS: Final = 6 * 3_600_000


def is_scheduled(settings: BackupConfig) -> bool:
    """Say whether the gateway makes backups by itself."""
    return bool(every_ms(settings.every) or settings.cron)


def due_ms(settings: BackupConfig, runs: Sequence[BackupRun], started_ms: int) -> int | None:
    """Return when the next backup is due (Unix ms), None for never. Pure.

    An interval counts from the last backup that succeeded, and begins at once; a cron expression from then or from the
    gateway's start. After a failure it is tried again in five minutes, then in twice that, up to six hours.

    Raises: InvalidRequest for a cron expression that cannot be read.
    """
    if not is_scheduled(settings):
        return None
    good = max((run.at_ms for run in runs if run.ok), default=None)
    interval_ms = every_ms(settings.every)
    if interval_ms:
        due = started_ms if good is None else next_ms(Every(interval_ms, good), good)
    else:
        due = next_ms(Cron(settings.cron), started_ms if good is None else good)
    failed = [run.at_ms for run in runs if not run.ok and (good is None or run.at_ms > good)]
    if due is None or not failed:
        return due
    return max(due, failed[-1] + min(RETRY_MS << min(len(failed) - 1, 16), MAX_RETRY_MS))
