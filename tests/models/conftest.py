"""What the model tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from openclaw.net.http import HttpClient


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    """The house's HTTP client, closed at the end."""
    async with HttpClient() as client:
        yield client
