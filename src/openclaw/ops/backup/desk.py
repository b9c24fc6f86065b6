"""Backups of one gateway as its commands, its schedule and its set-up page see them. Everything here blocks."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, InvalidRequest, NotFound, OpenClawError
from openclaw.base.secret import Secret
from openclaw.config.env import expand
from openclaw.config.load import Loaded, files_of
from openclaw.config.paths import StatePaths
from openclaw.config.schema import BackupConfig
from openclaw.identity.devices.tokens import gateway_seed
from openclaw.net.onward import onward
from openclaw.net.pinned import Carrier
from openclaw.net.way import Door
from openclaw.ops.backup.create import Made, Plan, aside, clear_left, create
from openclaw.ops.backup.destination import S3, SSH, Destination, Directory, nothing
from openclaw.ops.backup.parts import OPTIONAL, PARTS, Part
from openclaw.ops.backup.retention import Stored, superfluous
from openclaw.ops.backup.runs import BackupRun, note_run
from openclaw.ops.backup.s3 import Bucket
from openclaw.ops.backup.ssh import RemoteFolder
from openclaw.ops.backup.unpack import Opened, verify
from openclaw.ops.quotas import in_use
from openclaw.protocol.device_auth import DeviceKey

FOLDER: Final = "backups"


class Created(msgspec.Struct, frozen=True):
    """A backup that was made, read again, and stored; and the older ones that went for it."""

    made: Made
    where: str
    pruned: tuple[str, ...]


class Backups:
    """Makes, finds and checks backups. `loaded` is asked at each use: settings may change.

    `door` is the egress door, None where no gateway runs; it is asked from threads. `carrier` is the gateway's proxy.
    """

    def __init__(
        self,
        paths: StatePaths,
        loaded: Callable[[], Loaded],
        clock: Clock,
        version: str,
        *,
        door: Door | None = None,
        carrier: Carrier | None = None,
    ) -> None:
        self._door = door
        self._carrier = carrier
        self._paths = paths
        self._loaded = loaded
        self._clock = clock
        self._version = version

    @property
    def settings(self) -> BackupConfig:
        """The settings of the moment."""
        return self._loaded().config.backup

    def passphrase(self) -> Secret | None:
        """Return the configured passphrase for a new backup, None when there is to be none.

        Raises: ConfigError when one is configured and cannot be had: what was to be encrypted is never made plain.
        """
        found = self.settings.passphrase
        section = self._loaded().parsed.get("backup")
        if found is None and isinstance(section, dict) and section.get("passphrase") is not None:
            raise ConfigError(
                "backup.passphrase is set, but cannot be had; no backup is made without it",
                hint="`openclaw config validate` says what is missing; --plain makes one that is not encrypted.",
            )
        return found

    def destination(self, place: str = "") -> Destination:
        """Return a destination by its name, the configured one, or `<state>/backups`. Raises: InvalidRequest."""
        settings = self.settings
        place = place or settings.destination
        if place.startswith(S3):
            carrier = self._carrier if self._door else onward(self._loaded())
            return Bucket(place, sse=settings.sse, kms_key=settings.kms_key, door=self._door, carrier=carrier)
        env = self._loaded().env
        if place.startswith(SSH):
            key, hosts = (expand(env, each) if each else None for each in (settings.ssh_key, settings.ssh_known_hosts))
            return RemoteFolder(place, env, identity=key, known_hosts=hosts)
        if "://" in place:
            raise InvalidRequest(f"not a place for backups: {place[:80]!r}", hint=f"Write a folder, {S3}… or {SSH}….")
        folder = expand(env, place) if place else self._paths.state_dir / FOLDER
        return Directory(folder.absolute())

    def parts(self, *, without: frozenset[Part] = frozenset(), snapshots: bool = False) -> frozenset[Part]:
        """Return the parts that a backup has by the settings, less some, or with the snapshots."""
        left: set[Part] = set(without)
        if not snapshots:
            left.add("snapshots")
        if not self.settings.workspace:
            left.add("workspace")
        return frozenset(PARTS) - left

    def make(
        self, folder: Path, parts: frozenset[Part], passphrase: Secret | None, go_on: Callable[[], None] = nothing
    ) -> Made:
        """Make a backup in a private folder and read it again. Raises: as `create` and `verify`."""
        made = create(
            Plan(
                state_dir=self._paths.state_dir,
                database=self._paths.db_path,
                configs=files_of(self._paths.config_path),
                parts=parts,
                now_ms=self._clock.now_ms(),
                host=platform.node(),
                version=self._version,
                passphrase=passphrase,
            ),
            DeviceKey(gateway_seed(self._paths.identity)),
            folder,
            go_on,
        )
        self._verify(made.place, folder, passphrase)
        return made

    def create(
        self,
        *,
        parts: frozenset[Part],
        passphrase: Callable[[], Secret | None],
        place: str = "",
        keep: str = "",
        scheduled: bool = False,
        go_on: Callable[[], None] = nothing,
    ) -> Created:
        """Make a backup, read it again, store it, let older ones go, and note how it went.

        `passphrase` is asked once, so that what it raises is noted too.

        Raises: ConfigError (passphrase), NotFound (no store), Unavailable, InvalidRequest, OSError.
        """
        began_ms, began_s = self._clock.now_ms(), self._clock.monotonic_s()
        run = BackupRun(at_ms=began_ms, duration_ms=0, scheduled=scheduled)
        clear_left(self._paths.state_dir, began_ms)
        try:
            with in_use(self._paths.state_dir), aside(self._paths.state_dir) as folder:
                target = self.destination(place)
                made = self.make(folder, parts, passphrase(), go_on)
                where = target.put(made.place, go_on)
            run = msgspec.structs.replace(run, where=where, size=made.size)
            pruned = self.prune(target, keep) if keep else ()
            run = msgspec.structs.replace(run, pruned=len(pruned))
        except (OpenClawError, OSError) as error:
            run = msgspec.structs.replace(run, error=str(error) or type(error).__name__)
            raise
        finally:
            if run.where or run.error:
                spent_ms = round((self._clock.monotonic_s() - began_s) * 1000)
                note_run(self._paths.state_dir, msgspec.structs.replace(run, duration_ms=spent_ms))
        return Created(made, where, pruned)

    def prune(self, target: Destination, keep: str, *, only_look: bool = False) -> tuple[str, ...]:
        """Delete the backups that `keep` does not keep; return their names. Raises: InvalidRequest, Unavailable."""
        names = tuple(each.name for each in superfluous(target.list(), keep, self._clock.now_ms()))
        for name in () if only_look else names:
            target.delete(name)
        return names

    def find(self, archive: str, place: str = "") -> tuple[Destination, Stored] | Path:
        """Return the file that an argument names, or the stored backup: `latest`, a name, or s3://…/name, ssh://…/name.

        Raises: NotFound, Unavailable.
        """
        path = Path(archive)
        if path.is_file():
            return path
        folder, _, name = archive.rpartition("/")
        if archive.startswith((S3, SSH)):
            place, archive = folder, name
        target = self.destination(place)
        found = target.list()
        wanted = [each for each in found if archive in (each.name, "latest")]
        if not wanted:
            raise NotFound(
                f"there is no backup {archive} in {target.place}", hint="`openclaw backup list` names what is there."
            )
        return target, wanted[0]

    def verify(self, archive: Path, passphrase: Secret | None, *, signer: str = "") -> Opened:
        """Check a whole archive and the store in it. Raises: as `unpack`."""
        with aside(self._paths.state_dir) as folder:
            return self._verify(archive, folder, passphrase, signer=signer)

    def _verify(self, archive: Path, folder: Path, passphrase: Secret | None, *, signer: str = "") -> Opened:
        scratch = folder / "look"
        scratch.mkdir(mode=0o700)
        return verify(archive, scratch, passphrase, signer=signer)

    def own_signer(self) -> str:
        """Return the id with which this gateway signs, "" when it has no key yet."""
        identity = self._paths.identity
        return DeviceKey(gateway_seed(identity)).device_id if identity.exists() else ""


def optional(names: tuple[str, ...]) -> frozenset[Part]:
    """Return the parts of those names that may be left out; others are left aside."""
    return frozenset(part for part in OPTIONAL if part in names)
