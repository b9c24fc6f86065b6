"""Beyond a watermark nothing new is taken in, and each watermark says which it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.config.schema import ShedConfig
from openclaw.ops.load import RETRY_AFTER_S, LoadWatch, given_memory_bytes
from openclaw.telemetry.health import HealthBoard


@pytest.mark.parametrize(
    ("limits", "given", "failing"),
    [
        (ShedConfig(), 0, []),
        (ShedConfig(memory_bytes=99), 0, ["memory"]),
        (ShedConfig(memory_bytes=100), 0, []),
        (ShedConfig(), 110, ["memory"]),
        (ShedConfig(), 112, []),
        (ShedConfig(memory_bytes=1000), 1, []),
        (ShedConfig(queued=7), 0, ["queue"]),
        (ShedConfig(queued=8), 0, []),
    ],
)
def test_each_watermark_refuses_new_work_for_what_it_is(limits: ShedConfig, given: int, failing: list[str]) -> None:
    board = HealthBoard(ManualClock())
    board.phase = "ready"
    watch = LoadWatch(lambda: limits, board, resident_bytes=lambda: 100, queued=lambda: 7, given_bytes=given)
    assert board.failing() == failing
    refusal = watch.refusal()
    assert (refusal is not None) == bool(failing)
    if refusal is not None:
        assert (refusal.code, refusal.retry_after_s) == ("UNAVAILABLE", RETRY_AFTER_S)


def group(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_the_least_limit_of_the_service_and_what_is_around_it_counts(tmp_path: Path) -> None:
    proc, groups = tmp_path / "cgroup", tmp_path / "groups"
    proc.write_text("0::/user.slice/openclaw.service\n")
    assert given_memory_bytes(proc, groups) == 0
    group(groups / "user.slice/openclaw.service", "memory.max", "max\n")
    assert given_memory_bytes(proc, groups) == 0
    group(groups / "user.slice", "memory.max", "2147483648\n")
    group(groups, "memory.max", "4294967296\n")
    assert given_memory_bytes(proc, groups) == 2 << 30
    group(tmp_path, "memory.max", "1")  # not a group any more


def test_the_older_kind_of_groups_is_understood(tmp_path: Path) -> None:
    proc, groups = tmp_path / "cgroup", tmp_path / "groups"
    proc.write_text("4:memory:/docker/abc\n1:name=systemd:/docker/abc\n")
    group(groups / "memory", "memory.limit_in_bytes", "9223372036854771712\n")
    assert given_memory_bytes(proc, groups) == 0
    group(groups / "memory/docker/abc", "memory.limit_in_bytes", "536870912\n")
    assert given_memory_bytes(proc, groups) == 512 << 20
    assert given_memory_bytes(tmp_path / "none", groups) == 0
