"""What every test shares: the asyncio backend that production uses, and reports that travel between workers."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("openclaw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("openclaw")


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run async tests on uvloop, as the gateway does."""
    return ("asyncio", {"use_uvloop": True})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Spell out what is no Unicode: hostile text that a test logged would else keep its report in the worker."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
