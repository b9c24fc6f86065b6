"""The OpenMP runtime that llama.cpp is linked to: the system's, or on a bare system one fetched like a model.

A minimal Debian has no libgomp.so.1, and no package of its own on the index. pykdtree's wheels carry GCC's, unmodified
(GPL 3 with the runtime exception): that one file is taken out and checked by its hash, nothing else of them is used.
"""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import platform
import shutil
import sys
import zipfile
from pathlib import Path

from openclaw.base.errors import ModelUnavailable
from openclaw.models.local.wheel import download
from openclaw.processes.spawner import Spawner

LIBRARY = "libgomp.so.1"
PACKAGE = "pykdtree==1.4.3"
MEMBER = "pykdtree.libs/libgomp-"
SHA256 = {
    "x86_64": "4dae993cb6da9101fc2cfef827306dd03b892011d2e2789c8e44828ca9f2583c",
    "aarch64": "dc3231f8fd4cadc46d8659c3b8dd811ae33174749e86807f16f61ead6ee59bfd",
}
"""Of the file in the wheel, by machine."""
MAX_BYTES = 4 << 20


def runtime_dir(cache_dir: Path) -> Path:
    """Return the folder that a local model's process searches for libraries after the system's."""
    return cache_dir / "runtime"


def present() -> bool:
    """Say whether the system has the library."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


async def ensure_openmp(cache_dir: Path, spawner: Spawner, *, python: str = sys.executable) -> None:
    """Fetch the library unless the system or the cache has it. Systems that do not need it are left alone.

    Raises: ModelUnavailable when it cannot be had.
    """
    machine = platform.machine()
    place = runtime_dir(cache_dir) / LIBRARY
    if sys.platform != "linux" or machine not in SHA256 or present() or place.exists():
        return
    await fetch(place, machine, spawner, python=python)


async def fetch(place: Path, machine: str, spawner: Spawner, *, python: str = sys.executable) -> None:
    """Put the library for a machine in its place. Raises: ModelUnavailable."""
    folder = place.parent.with_name(".runtime.pull")
    wheels, scratch = folder / "wheels", folder / "tmp"
    options = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
    options += ["--platform", f"manylinux2014_{machine}", "--platform", f"manylinux_2_28_{machine}"]
    try:
        for each in (wheels, scratch):
            await asyncio.to_thread(each.mkdir, parents=True, exist_ok=True)
        await download([PACKAGE], wheels, scratch, spawner, python=python, options=options)
        await asyncio.to_thread(_take, wheels, place, SHA256[machine])
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _take(wheels: Path, place: Path, sha256: str) -> None:
    data = b""
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if info.filename.startswith(MEMBER) and info.file_size <= MAX_BYTES:
                    data = archive.read(info)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelUnavailable(
            f"the {LIBRARY} that was fetched is not what it should be",
            hint="Install the system's instead: apt-get install libgomp1 (Debian, Ubuntu).",
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    part.write_bytes(data)
    part.chmod(0o755)
    part.replace(place)
