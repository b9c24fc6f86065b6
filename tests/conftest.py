"""What every test shares: the asyncio backend that production uses."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run async tests on uvloop, as the gateway does."""
    return ("asyncio", {"use_uvloop": True})
