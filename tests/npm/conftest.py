"""The npm clients beside a real gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.process import GatewayProcess, gateway
from tests.npm.client import Driver, node
from tests.npm.toolchain import Unreachable, install


@pytest.fixture(scope="package")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """One loop for the folder: its gateway and its Node process serve all tests."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="session")
def packages() -> Path:
    """The installed npm packages."""
    try:
        return install()
    except Unreachable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="package")
async def driver(packages: Path, anyio_backend: object) -> AsyncIterator[Driver]:
    """A Node process that runs the npm clients."""
    async with node() as running:
        yield running


@pytest.fixture(scope="package")
async def served(tmp_path_factory: pytest.TempPathFactory, anyio_backend: object) -> AsyncIterator[GatewayProcess]:
    """A gateway with two models of the fake provider."""
    async with gateway(tmp_path_factory.mktemp("npm") / "state") as running:
        yield running
