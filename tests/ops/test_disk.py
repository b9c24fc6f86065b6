"""A disk that fills up is told of first, then takes no more work, and takes it again when there is room."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.config.schema import StorageConfig
from openclaw.ops.disk import DiskWatch, Space

pytestmark = pytest.mark.anyio
LIMITS = StorageConfig(min_free_bytes=100, warn_free_bytes=1000)


class Disk:
    """A disk whose free space is what the test says."""

    free = 5000
    total = 1 << 40

    def __call__(self, path: Path) -> Space:
        if self.free < 0:
            raise OSError(errno.EIO, "the disk is gone")
        return Space(self.free, self.total)


async def test_work_is_refused_below_the_limit_and_taken_again_well_above_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "openclaw.ops")
    disk = Disk()
    watch = DiskWatch(tmp_path, lambda: LIMITS, ManualClock(), disk)
    seen = []
    for disk.free in (5000, 999, 100, 99, 105, 110, 1099, 1100):
        await watch.look()
        seen.append(watch.problem() is not None)
    assert seen == [False, False, False, True, True, False, False, False]
    assert [record.getMessage() for record in caplog.records] == [
        "disk_low",
        "disk_full",
        "disk_full_over",
        "disk_low_over",
    ]


async def test_a_small_disk_is_full_when_nine_tenths_are_and_says_how_much_is_to_stay_free(tmp_path: Path) -> None:
    disk = Disk()
    disk.total = 20_000_000
    watch = DiskWatch(tmp_path, StorageConfig, ManualClock(), disk)
    seen = []
    for disk.free in (19_000_000, 2_000_000, 1_999_999):
        await watch.look()
        seen.append(watch.problem())
    assert seen[:2] == [None, None]
    assert "1,999,999 bytes are free, 2,000,000 are to stay free" in (seen[2] or "")


async def test_a_disk_that_does_not_answer_stops_nothing(tmp_path: Path) -> None:
    disk = Disk()
    watch = DiskWatch(tmp_path, lambda: LIMITS, ManualClock(), disk)
    disk.free = -1
    await watch.look()
    assert (watch.problem(), watch.free) == (None, -1)


async def test_the_real_disk_has_room(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path, lambda: StorageConfig(min_free_bytes=0, warn_free_bytes=0), ManualClock())
    await watch.look()
    assert watch.free > 0
    assert watch.problem() is None
