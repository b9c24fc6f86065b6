"""When a backup is due, and that the gateway's own make it, note it, retry it and let older ones go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import BackupConfig
from openclaw.ops.backup.due import MAX_RETRY_MS, RETRY_MS, due_ms
from openclaw.ops.backup.findings import Remark, backup_findings
from openclaw.ops.backup.runs import KEPT, BackupRun, note_run, read_runs
from openclaw.ops.backup.schedule import LOOK_S, BackupSchedule
from openclaw.ops.backup.swap import JOURNAL
from tests.ops.backup.house import NOW_MS, backups_of, tree

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000
DAILY = BackupConfig(every="1d")
NIGHTLY = BackupConfig(cron="0 3 * * *")


def run(at_ms: int, error: str = "") -> BackupRun:
    return BackupRun(at_ms=at_ms, duration_ms=1, scheduled=True, where="" if error else "/x", error=error)


def test_nothing_is_due_unless_it_is_asked_for() -> None:
    assert due_ms(BackupConfig(), [run(0)], NOW_MS) is None
    assert due_ms(BackupConfig(every="0d"), [], NOW_MS) is None


def test_the_first_is_due_at_once_and_the_next_an_interval_after_one_that_succeeded() -> None:
    assert due_ms(DAILY, [], NOW_MS) == NOW_MS
    assert due_ms(DAILY, [run(NOW_MS)], NOW_MS + 5) == NOW_MS + 24 * HOUR_MS


def test_a_time_that_passed_while_the_gateway_was_down_is_due_now() -> None:
    due = due_ms(NIGHTLY, [run(NOW_MS - 72 * HOUR_MS)], NOW_MS)
    assert due is not None
    assert due < NOW_MS


def test_without_an_earlier_one_a_cron_expression_waits_for_its_time() -> None:
    due = due_ms(NIGHTLY, [], NOW_MS)
    assert due is not None
    assert 0 < due - NOW_MS <= 24 * HOUR_MS


def test_a_failure_is_tried_again_ever_later() -> None:
    good = run(NOW_MS - 48 * HOUR_MS)
    waits = [
        (due_ms(DAILY, [good, *[run(NOW_MS, "disk full")] * failures], NOW_MS) or 0) - NOW_MS
        for failures in (1, 2, 3, 40)
    ]
    assert waits == [RETRY_MS, 2 * RETRY_MS, 4 * RETRY_MS, MAX_RETRY_MS]


def test_a_cron_expression_that_is_none_is_said() -> None:
    with pytest.raises(InvalidRequest):
        due_ms(BackupConfig(cron="every night"), [], NOW_MS)


def test_the_log_of_runs_is_bounded_and_survives_rubbish(tmp_path: Path) -> None:
    (tmp_path / "backup-runs.json").touch(0o600)
    (tmp_path / "backup-runs.json").write_text("rubbish")
    for number in range(KEPT + 5):
        note_run(tmp_path, run(number, "e" * 10_000))
    runs = read_runs(tmp_path)
    assert [runs[0].at_ms, runs[-1].at_ms, len(runs)] == [5, KEPT + 4, KEPT]
    assert len(runs[0].error) == 500
    assert (tmp_path / "backup-runs.json").stat().st_mode & 0o777 == 0o600


async def until(holds: Callable[[], bool], clock: ManualClock) -> None:
    """Let time pass whenever the schedule sleeps, until it holds; the copies are made in threads of real time."""
    async with asyncio.timeout(20):
        while not holds():
            if clock._sleepers:
                clock.advance(LOOK_S)
            await asyncio.sleep(0.001)


async def test_the_gateway_s_schedule_makes_keeps_notes_and_retries(state: Path) -> None:
    clock = ManualClock(NOW_MS)
    config = state / "openclaw.json"
    config.write_text('{backup: {every: "2h", keep: "2", passphrase: "correct horse battery staple"}}')
    backups = backups_of(state, clock)
    schedule = BackupSchedule(backups, clock, state)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(schedule.run())
        await until(lambda: len(read_runs(state)) == 3, clock)
        kept = backups.destination().list()
        assert [each.encrypted for each in kept] == [True, True]
        assert read_runs(state)[-1].pruned == 1
        gaps = [later.at_ms - run.at_ms for run, later in zip(read_runs(state), read_runs(state)[1:], strict=False)]
        assert all(2 * HOUR_MS <= gap <= 2 * HOUR_MS + 2 * LOOK_S * 1000 for gap in gaps)

        (state / "file").write_text("")
        config.write_text('{backup: {every: "2h", destination: "~/state/file/below"}}')
        await until(lambda: len(read_runs(state)) == 5, clock)
        failed = read_runs(state)[-2:]
        assert [run.ok for run in failed] == [False, False]
        assert RETRY_MS <= failed[1].at_ms - failed[0].at_ms < RETRY_MS + 2 * LOOK_S * 1000
        assert not [path for path in tree(state) if path.startswith(".backup-")], "nothing is left aside"

        config.write_text('{backup: {every: "1d"}}')
        await until(lambda: read_runs(state)[-1].ok, clock)
        keeping.cancel()


async def test_a_clock_that_is_set_back_does_not_stop_the_schedule(state: Path) -> None:
    (state / "openclaw.json").write_text('{backup: {every: "2h"}}')
    clock = ManualClock(NOW_MS)
    schedule = BackupSchedule(backups_of(state, clock), clock, state)  # started when it was wrong
    note_run(state, run(NOW_MS))
    clock.step(-1000 * 24 * HOUR_MS)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(schedule.run())
        await until(lambda: len(read_runs(state)) == 2, clock)
        keeping.cancel()
    assert "backup.late" not in {each.id for each in backup_findings(state, DAILY, clock.now_ms())}


async def test_a_gateway_that_stops_stops_the_copy(state: Path) -> None:
    clock = ManualClock(NOW_MS)
    (state / "openclaw.json").write_text('{backup: {every: "1d"}}')
    schedule = BackupSchedule(backups_of(state, clock), clock, state)
    schedule.close()
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(schedule.run())
        await until(lambda: bool(read_runs(state)), clock)
        keeping.cancel()
    assert "after its next start" in read_runs(state)[0].error


def remarks(state: Path, settings: BackupConfig, now_ms: int = NOW_MS) -> dict[str, Remark]:
    return {each.id: each for each in backup_findings(state, settings, now_ms)}


def test_the_doctor_is_told_what_is_wrong(tmp_path: Path) -> None:
    assert remarks(tmp_path, BackupConfig())["backup.schedule"].severity == "info"
    note_run(tmp_path, run(NOW_MS - HOUR_MS))
    assert remarks(tmp_path, DAILY) == {
        "backup.schedule": Remark("backup.schedule", "ok", "the last backup is 0.0 days old")
    }
    late = remarks(tmp_path, DAILY, NOW_MS + 72 * HOUR_MS)["backup.late"]
    assert (late.severity, "2.0 days overdue" in late.evidence) == ("warning", True)
    note_run(tmp_path, run(NOW_MS, "the disk is full"))
    assert "the disk is full" in remarks(tmp_path, DAILY)["backup.failed"].evidence
    assert remarks(tmp_path, BackupConfig(cron="nonsense"))["backup.schedule"].severity == "error"
    (tmp_path / JOURNAL).write_text("{}")
    assert remarks(tmp_path, DAILY)["backup.restore"].severity == "error"
