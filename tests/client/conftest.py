"""Fixtures of the client's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.rpc.support import Bench


@pytest.fixture
async def bench(tmp_path: Path, anyio_backend: object) -> AsyncIterator[Bench]:
    """A counter whose runs answer at once."""
    made = Bench(tmp_path, answer="Tokyo.")
    yield made
    await made.close()
