"""What every test shares: the asyncio backend that production uses."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("openclaw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("openclaw")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run async tests on uvloop, as the gateway does."""
    return ("asyncio", {"use_uvloop": True})
