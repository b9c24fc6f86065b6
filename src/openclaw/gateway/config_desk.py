"""The configuration in the hands of clients: read from disk, changed, taken up while the gateway runs, or put back.

1. One change at a time, of clients and of the file's watcher alike; the hash is looked at again under the file's lock.
2. A text is written only when it gets nothing wrong that was right before and a start would not refuse it.
3. When the running gateway cannot take it up, the old text is put back and the caller is told why.
4. Every change leaves a record and both texts: who, when, how, which settings, and what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, OpenClawError, Unavailable
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import Wish, make_record
from openclaw.config.disk import replace_unchanged
from openclaw.config.env import Environment
from openclaw.config.issue import Issue
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.token import ensure_token
from openclaw.config.writable import require_writable
from openclaw.config.writing.apply import overriding
from openclaw.config.writing.commit import write_config
from openclaw.config.writing.difference import changed_paths
from openclaw.config.writing.revision import names, revision
from openclaw.config.writing.rewrite import invalid, worse
from openclaw.gateway.outcome import Outcome
from openclaw.identity.authenticate import RENEWED, SHARED_METHODS
from openclaw.rpc.config_port import ConfigChange, ConfigWritten, TakenUp
from openclaw.secrets.room import SecretRoom
from openclaw.telemetry.redact import REDACTOR

_log = logging.getLogger("openclaw.gateway")

ANSWER_S: Final = 0.25
"""Whoever changed the shared credential hears that it is done before the connection that came by the old one ends."""
TOLD_PATHS = 50
_STALE = "config changed since last load; re-run config.get and retry"


class Announcer(Protocol):
    """Tells every client (rpc.hub.Hub)."""

    def broadcast(self, event: str, payload: object, scope: str | None = "operator.read") -> int: ...

    def cut(self, wanted: Callable[[Principal], bool], reason: str) -> int: ...


class ConfigDesk:
    """Reads and changes one gateway's configuration file. `bind` gives it the running gateway."""

    def __init__(
        self,
        paths: StatePaths,
        current: Callable[[], Loaded],
        hub: Announcer,
        clock: Clock,
        secrets: SecretRoom | None = None,
        stands: Callable[[Principal], bool] = lambda principal: principal.method not in SHARED_METHODS,
    ) -> None:
        self._stands = stands
        self._paths = paths
        self._secrets = secrets or SecretRoom(paths, clock, REDACTOR.add)
        self._current = current
        self._ledger = Ledger(paths.state_dir, clock)
        self._hub = hub
        self._clock = clock
        self._lock = asyncio.Lock()
        self._tasks = TaskSet("config")
        self._key: Secret | None = None
        self._key_lock = threading.Lock()
        self._env: Callable[[], Environment] = lambda: current().env
        self._accept: Callable[[Loaded], Loaded] = lambda loaded: loaded
        self._reload: Callable[[], Awaitable[Outcome]] | None = None

    def bind(
        self,
        env: Callable[[], Environment],
        accept: Callable[[Loaded], Loaded],
        reload: Callable[[], Awaitable[Outcome]],
    ) -> None:
        """Take changes up by `reload`. `accept` raises for a configuration that the gateway would not start with."""
        self._env, self._accept, self._reload = env, accept, reload

    def environment(self) -> Environment:
        """Return the variables as they are now."""
        return self._env()

    async def close(self) -> None:
        """Stop what is under way."""
        await self._tasks.close()

    def revision(self, content_hash: str) -> str:
        """Return the name of a content as clients see it."""
        return revision(content_hash, self._revision_key())

    def _revision_key(self) -> Secret:
        with self._key_lock:  # asked for on the loop and in threads; only one may make it
            if self._key is None:
                self._key = ensure_token(self._paths.state_dir / "credentials" / "config-hash-key")
            return self._key

    async def read(self) -> Loaded:
        """Return what the file says now; what cannot be read is shown as what runs, with an issue."""
        try:
            return await self._load()
        except ConfigError as error:
            broken = Issue("unreadable", "", error.message, error.details.get("line", 0))
            return msgspec.structs.replace(self._current(), issues=(broken,), valid=False)

    async def _load(self) -> Loaded:
        return await self._secrets.load(self._env())

    async def reload(self) -> Outcome:
        """Take up what the file says."""
        async with self._lock:
            return await self._take_up()

    async def write(self, change: ConfigChange, by: Principal) -> ConfigWritten:
        """Make a change and take it up. A caller that goes away stops nothing half-way.

        Raises: InvalidRequest (base hash, text, settings), ConfigError when it was put back, Unavailable for the disk.
        """
        try:
            task = self._tasks.spawn(self._outcome_of(change, by), change.method)
        except RuntimeError:
            raise Unavailable("the gateway is stopping") from None
        done = await asyncio.shield(task)
        if isinstance(done, OpenClawError):
            raise done
        return done

    async def _outcome_of(self, change: ConfigChange, by: Principal) -> ConfigWritten | OpenClawError:
        try:
            async with self._lock:
                return await self._write(change, by)
        except OpenClawError as error:
            return error

    async def _write(self, change: ConfigChange, by: Principal) -> ConfigWritten:
        require_writable(self._env(), self._paths.config_path)
        before = await self._load()
        if change.base is not None:
            self._check_base(change, before)
        text, after = await self._candidate(change, before)
        if after is before:
            return ConfigWritten(before, self.revision(before.hash), (), "none")
        paths = changed_paths(before.parsed, after.parsed, TOLD_PATHS)
        old, off = await self._put(text, before.file_hash), self._off()
        try:
            outcome = Outcome() if off else await self._take_up()
        except Exception:
            await self._put_back(old, after.file_hash)
            raise
        if outcome.error:
            await self._put_back(old, after.file_hash)
            await self._record(change, by, before, after, old, f"reverted: {outcome.error}")
            raise ConfigError(
                f"the change was put back: {outcome.error}",
                hint="The gateway goes on as it was; correct the change and send it again.",
                details={"code": "CONFIG_CHANGE_REVERTED", "changedPaths": list(paths)},
            )
        status: TakenUp = "off" if off else "restart-required" if outcome.waiting else "applied"
        await self._record(change, by, before, after, old, status)
        over = overriding(before, paths)
        return ConfigWritten(after, self.revision(after.hash), paths, status, outcome.applied, outcome.waiting, over)

    def _check_base(self, change: ConfigChange, before: Loaded) -> None:
        if not before.exists and not change.base:
            return
        if not change.base:
            about = f" for {change.about}" if change.about else ""
            raise InvalidRequest(f"config base hash required{about}; re-run config.get and retry with baseHash")
        if not names(change.base, before.hash, self._revision_key()):
            raise InvalidRequest(_STALE)

    async def _candidate(self, change: ConfigChange, before: Loaded) -> tuple[str, Loaded]:
        """Return the new text and what it says. Raises: InvalidRequest when it may not be written."""
        text = await asyncio.to_thread(change.rewrite, before)
        if text == before.raw:
            return text, before
        after = await self._secrets.load(self._env(), text=text, again="problems")
        if found := worse(after, before):
            raise invalid(found)
        try:
            return text, await asyncio.to_thread(self._accept, after)
        except ConfigError as error:
            place = str(error.details.get("path", ""))
            raise invalid([{"path": place, "message": error.message}]) from None

    async def _put(self, text: str, base_hash: str) -> bytes | None:
        """Write the text and return what it replaced, None where there was no file."""
        try:
            return await asyncio.to_thread(_exchange, self._paths.config_path, text, base_hash, self._env())
        except Conflict:
            raise InvalidRequest(_STALE) from None
        except OSError as error:
            raise Unavailable(
                f"{self._paths.config_path} cannot be written: {error.strerror}",
                hint="Give the gateway's user write access to the file and its folder.",
            ) from error

    async def _put_back(self, old: bytes | None, written: str) -> None:
        try:
            await asyncio.to_thread(_undo, self._paths.config_path, old, written)
        except (OSError, Conflict) as error:
            _log.error("config_not_put_back", extra={"fields": {"why": str(error)}})
        await self._take_up()

    async def _cut_soon(self) -> None:
        await self._clock.sleep(ANSWER_S)
        self._hub.cut(lambda principal: not self._stands(principal), RENEWED)

    def _off(self) -> bool:
        return self._current().config.gateway.reload.mode == "off"

    async def _take_up(self) -> Outcome:
        old = self._current().hash
        if self._reload is None:
            return Outcome()
        outcome = await self._reload()
        if outcome.renewed:
            with contextlib.suppress(RuntimeError):  # shutting down: everybody is let go anyway
                self._tasks.spawn(self._cut_soon(), "cut")
        loaded = self._current()
        if not outcome.error and loaded.hash != old:
            ts = self._clock.now_ms()
            changed = {"path": str(loaded.path), "hash": self.revision(loaded.hash), "ts": ts}
            self._hub.broadcast("config.changed", changed)
            self._hub.broadcast("chat.metadata.changed", {})
        return outcome

    async def _record(
        self, change: ConfigChange, by: Principal, before: Loaded, after: Loaded, old: bytes | None, outcome: str
    ) -> None:
        wish = Wish(method=change.method, owner=by.owner, device=by.device, reason=change.note)
        record = make_record(
            wish, before, after, record_id=self._ledger.new_id(), at_ms=self._clock.now_ms(), outcome=outcome
        )
        paths = tuple(each.path for each in record.diff)
        fields = {"id": record.id, "method": record.method, "owner": record.owner, "paths": paths, "outcome": outcome}
        _log.info("config_written", extra={"fields": fields})
        try:
            await asyncio.to_thread(self._ledger.add, record, old, after.raw.encode())
        except OSError as error:  # the change is made: only its record is missing, and the log line above tells
            _log.error("config_change_not_recorded", extra={"fields": {"why": error.strerror}})


def _exchange(path: Path, text: str, base_hash: str, env: Environment) -> bytes | None:
    """Write the text and return what it replaced."""
    old = path.read_bytes() if path.exists() else None
    write_config(path, text, base_hash, env)
    return old


def _undo(path: Path, old: bytes | None, written: str) -> None:
    """Put the old content back, unless somebody else has changed the file since."""
    if old is None:
        path.unlink(missing_ok=True)
    else:
        replace_unchanged(path, old, written)
