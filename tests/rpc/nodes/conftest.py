"""Fixtures of the nodes' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rpc.nodes.support import House


@pytest.fixture
async def house(anyio_backend: object) -> AsyncIterator[House]:
    """A counter that lets camera.snap through."""
    made = House("camera.snap")
    yield made
    await made.close()
