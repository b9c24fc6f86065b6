"""Fixtures of the counter's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rpc.support import Bench


@pytest.fixture
async def bench(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Bench]:
    """A counter over a fake study whose runs the test drives."""
    made = Bench(tmp_path, state_dir=tmp_path)
    yield made
    await made.close()
