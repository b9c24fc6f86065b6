"""kill -9 at random points of a process that writes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 40


@pytest.mark.parametrize("seed", [1])
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path, seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.crash_driver", str(tmp_path / "state.db"), str(KILLS), str(seed)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == KILLS
    assert told["runs"] > KILLS, "the kills came too early to mean anything"
    assert told["steps"] > KILLS
