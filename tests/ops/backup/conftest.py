"""A furnished state directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.backup.house import furnish


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    await furnish(tmp_path / "state")
    return tmp_path / "state"
