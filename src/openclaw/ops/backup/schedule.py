"""Backups at their times, in the gateway. A time that passed while it was down is made up for, once."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Final

from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.ops.backup.desk import Backups
from openclaw.ops.backup.due import due_ms
from openclaw.ops.backup.runs import past, read_runs
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.backup")

LOOK_S: Final = 30.0
"""How long a change of the settings, or of the machine's clock, may go unnoticed."""
_BACKUPS = METRICS.counter("openclaw_backups", "Scheduled backups by outcome.", ("outcome",))


class BackupSchedule:
    """Waits until a backup is due and makes it in a thread. `run` never returns; `close` stops a copy that is going."""

    def __init__(self, backups: Backups, clock: Clock, state_dir: Path) -> None:
        self._backups = backups
        self._clock = clock
        self._state_dir = state_dir
        self._started_ms = clock.now_ms()
        self._stop = threading.Event()

    async def run(self) -> None:
        """Keep time for ever."""
        while True:
            due = await asyncio.to_thread(self._due_ms)
            now_ms = self._clock.now_ms()
            if due is not None and due <= now_ms:
                await self._make()
            await self._clock.sleep(LOOK_S if due is None else min(LOOK_S, max(1.0, (due - now_ms) / 1000)))

    def close(self) -> None:
        """Let a copy that is going stop at its next piece."""
        self._stop.set()

    def _due_ms(self) -> int | None:
        try:
            now_ms = self._clock.now_ms()
            runs = past(read_runs(self._state_dir), now_ms)
            return due_ms(self._backups.settings, runs, min(self._started_ms, now_ms))
        except OpenClawError as error:
            _log.warning("backup_schedule_unreadable", extra={"fields": {"error": error.message}})
            return None

    async def _make(self) -> None:
        settings = self._backups.settings
        try:
            created = await asyncio.to_thread(
                self._backups.create,
                parts=self._backups.parts(),
                passphrase=self._backups.passphrase,
                keep=settings.keep,
                scheduled=True,
                go_on=self._go_on,
            )
        except (OpenClawError, OSError) as error:
            _BACKUPS.inc("failed")
            _log.error("backup_failed", extra={"fields": {"error": str(error)}})
            return
        _BACKUPS.inc("ok")
        fields = {"where": created.where, "bytes": created.made.size, "pruned": len(created.pruned)}
        _log.info("backup_made", extra={"fields": fields})
        for warning in created.made.warnings:
            _log.warning("backup_warning", extra={"fields": {"warning": warning}})

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise Unavailable("the gateway stops; the backup is made after its next start")
