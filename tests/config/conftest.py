"""Shared by the tests of the config room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.make import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return an empty state folder."""
    return Home(tmp_path)
