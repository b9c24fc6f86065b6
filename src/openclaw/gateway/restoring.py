"""A backup that comes in over HTTP: taken in beside the running gateway, checked whole, and left to its next start."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import mkdtemp
from typing import BinaryIO, Final

import msgspec

from openclaw.base.errors import ConfigError, Conflict, Unavailable
from openclaw.base.secret import Secret
from openclaw.config.env import load_environment
from openclaw.config.load import load
from openclaw.config.schema import GatewayConfig
from openclaw.config.writable import require_writable
from openclaw.gateway.rooms import Rooms
from openclaw.listeners.setup.port import Staged
from openclaw.ops.backup.desk import Backups
from openclaw.ops.backup.restore import UPLOAD, let_wait, stage
from openclaw.ops.backup.tape import PIECE, new_file
from openclaw.ops.backup.unpack import SPARE_BYTES, Opened

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_log = logging.getLogger("openclaw.backup")


class Restoring:
    """Takes backups in for one gateway, one at a time. Once one waits, no other comes in."""

    def __init__(self, rooms: Rooms, backups: Backups) -> None:
        self._rooms = rooms
        self._backups = backups
        self._one_at_a_time = asyncio.Lock()
        self._waits = False

    async def stage(self, pieces: AsyncIterator[bytes], announced: int, passphrase: Secret | None) -> Staged:
        """Take a backup in and have it wait for the next start; when it is refused, nothing of it stays.

        Raises: as `SetupPort.stage`.
        """
        if self._one_at_a_time.locked() or self._waits:
            raise Conflict("a backup is being restored already", hint="Wait until the gateway has begun again.")
        state_dir = self._rooms.paths.state_dir
        require_writable(self._rooms.config_desk.environment(), self._rooms.paths.config_path)
        async with self._one_at_a_time:
            folder = Path(await asyncio.to_thread(mkdtemp, prefix=UPLOAD, dir=state_dir))
            try:
                await self._take_in(pieces, announced, folder / "uploaded-backup")
                staged = await asyncio.to_thread(self._checked, folder, passphrase)
                await asyncio.to_thread(let_wait, folder / "stage", state_dir)
                self._waits = True
            except OSError as error:
                raise _no_room() if error.errno in _NO_ROOM else error from None
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        _log.warning("restore_staged", extra={"fields": {"made_at_ms": staged.created_at_ms, "host": staged.host}})
        return staged

    async def _take_in(self, pieces: AsyncIterator[bytes], announced: int, archive: Path) -> None:
        """Write what comes in to a file. Raises: Unavailable before the disk is full."""
        await asyncio.to_thread(self._require_room, archive.parent, announced)
        with await asyncio.to_thread(_created, archive) as file:
            held = bytearray()
            async for piece in pieces:
                held += piece
                if len(held) >= PIECE:
                    await asyncio.to_thread(self._write, file, archive.parent, bytes(held))
                    held.clear()
            await asyncio.to_thread(self._write, file, archive.parent, bytes(held))

    def _write(self, file: BinaryIO, folder: Path, data: bytes) -> None:
        self._require_room(folder, len(data))
        file.write(data)
        file.flush()

    def _require_room(self, folder: Path, size: int) -> None:
        if size + self._spare() > shutil.disk_usage(folder).free:
            raise _no_room()

    def _spare(self) -> int:
        """Return the bytes that stay free: the gateway that runs must not shed its work for what comes in."""
        return max(SPARE_BYTES, self._rooms.config.storage.min_free_bytes)

    def _checked(self, folder: Path, passphrase: Secret | None) -> Staged:
        """Check and unpack the archive, and ask where the gateway would be with it."""
        archive, staging = folder / "uploaded-backup", folder / "stage"
        staging.mkdir(mode=0o700)
        opened, files = stage(archive, staging, passphrase or self._backups.settings.passphrase, spare=self._spare())
        own = self._rooms.paths.config_path
        used = own.is_relative_to(self._rooms.paths.state_dir)
        if used:
            self._require_same_address(files, files / own.relative_to(self._rooms.paths.state_dir))
        made = opened.manifest
        return Staged(made.created_at_ms, made.host, made.version, len(made.files), self._notes(opened, used=used))

    def _notes(self, opened: Opened, *, used: bool) -> list[str]:
        notes = []
        if opened.signer != self._backups.own_signer():
            notes.append("Another gateway made this backup: its keys, token and paired devices come with it.")
        if not used:
            place = self._rooms.paths.config_path
            notes.append(f"The configuration in the backup is not used: this gateway reads {place}.")
        return notes

    def _require_same_address(self, files: Path, config: Path) -> None:
        """Refuse what would have the gateway listen where nobody reaches it from here. Raises: Conflict."""
        paths = self._rooms.paths
        theirs = msgspec.structs.replace(paths, config_path=config, last_good=files / "none", token=files / "none")
        try:
            then = _address(load(theirs, load_environment(state_dir=files)).config.gateway)
        except ConfigError as error:
            raise Conflict(f"the configuration in the backup cannot be used: {error.message}") from None
        said = _address(load(paths, self._rooms.config_desk.environment()).config.gateway)
        now = _address(self._rooms.config.gateway)
        # What the command line says over the file holds for theirs as well.
        moved = [f"{name} {then[name]}, not {now[name]}" for name in now if now[name] == said[name] != then[name]]
        if moved:
            raise Conflict(
                f"with this backup the gateway would listen elsewhere: {'; '.join(moved)}",
                hint="Set OPENCLAW_GATEWAY_BIND and _PORT where the gateway is started: they hold then as well.",
            )


def _address(gateway: GatewayConfig) -> dict[str, str | int]:
    return {"bind": gateway.bind, "customBindHost": gateway.custom_bind_host, "port": gateway.port}


def _created(place: Path) -> BinaryIO:
    return os.fdopen(new_file(place), "wb")


def _no_room() -> Unavailable:
    return Unavailable("there is no room on the disk for this backup", hint="Free some space, or use a larger volume.")
