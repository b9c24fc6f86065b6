"""The OpenMP runtime for systems without one: taken out of a wheel, checked, nothing else of it used."""

from __future__ import annotations

import ctypes
import platform
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from openclaw.base.errors import ModelUnavailable
from openclaw.config.env import load_environment
from openclaw.models.local.openmp import LIBRARY, SHA256, fetch, runtime_dir
from openclaw.processes.spawner import Spawner

pytestmark = pytest.mark.anyio


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


NEEDED = pytest.mark.skipif(platform.machine() not in SHA256, reason="no local models on this machine")


class LocalIndex:
    """Makes pip look into one folder only."""

    def __init__(self, folder: Path) -> None:
        self._own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PATH": "/usr/bin:/bin"}

    def get(self, name: str) -> str | None:
        return self._own.get(name)

    def names(self) -> Iterable[str]:
        return self._own


@NEEDED
@pytest.mark.model
async def test_the_fetched_library_loads(tmp_path: Path) -> None:
    spawner = Spawner(load_environment())
    place = runtime_dir(tmp_path) / LIBRARY
    try:
        await fetch(place, platform.machine(), spawner)
    finally:
        await spawner.close()
    assert ctypes.CDLL(str(place)).omp_get_max_threads() > 0
    assert names_in(tmp_path) == ["runtime"]


@NEEDED
async def test_altered_data_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    name = f"pykdtree-1.4.3-cp311-cp311-manylinux2014_{platform.machine()}.whl"
    with zipfile.ZipFile(index / name, "w") as wheel:
        wheel.writestr("pykdtree.libs/libgomp-1.so.1.0.0", b"not it")
        wheel.writestr("pykdtree-1.4.3.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n")
        wheel.writestr("pykdtree-1.4.3.dist-info/METADATA", "Metadata-Version: 2.1\nName: pykdtree\nVersion: 1.4.3\n")
    spawner = Spawner(LocalIndex(index))
    place = tmp_path / "cache" / "runtime" / LIBRARY
    try:
        with pytest.raises(ModelUnavailable, match=LIBRARY):
            await fetch(place, platform.machine(), spawner)
    finally:
        await spawner.close()
    assert names_in(tmp_path / "cache") == []
