"""The configuration in the hands of clients: read from disk, changed, taken up while the gateway runs, or put back.

1. One change at a time, of clients and of the file's watcher alike; the hash is looked at again under the file's lock.
2. A text is written only when it gets nothing wrong that was right before and a start would not refuse it.
3. When the running gateway cannot take it up, the old text is put back and the caller is told why.
4. Every change leaves a record and the files around it: who, when, how, which settings, and what came of it. So does
   what somebody did to the files by hand, also while no gateway ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from secrets import token_urlsafe
from typing import Final, Literal, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, OpenClawError, Unavailable
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.config.changes.book import REFUSED, Book, side_of
from openclaw.config.changes.record import ChangeRecord, Side, Wish
from openclaw.config.env import Environment
from openclaw.config.issue import Issue
from openclaw.config.load import Draft, Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.token import ensure_token
from openclaw.config.writable import require_writable
from openclaw.config.writing.apply import overriding
from openclaw.config.writing.difference import changed_paths
from openclaw.config.writing.revision import names, revision
from openclaw.config.writing.rewrite import invalid, worse
from openclaw.gateway.config_rows import ConfigRows
from openclaw.gateway.outcome import Outcome
from openclaw.identity.authenticate import RENEWED, SHARED_METHODS
from openclaw.ops.doctor.summary import remarks
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
        rows: ConfigRows | None = None,
    ) -> None:
        self._stands = stands
        self._rows = rows
        self._paths = paths
        self._secrets = secrets or SecretRoom(paths, clock, REDACTOR.add)
        self._current = current
        self._book = Book(paths, clock, remarks)
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
                try:
                    self._key = ensure_token(self._paths.state_dir / "credentials" / "config-hash-key")
                except OSError:  # a full disk keeps nobody from reading: then the names are good until the next start
                    self._key = Secret(token_urlsafe(32))
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

    async def started(self, how: str) -> None:
        """Record what was changed while no gateway ran; `how` says what is known of it. Raises: Unavailable."""
        async with self._lock:
            side = side_of(self._current())
            outcome = f"{REFUSED}{side}; the last good one is in use" if isinstance(side, str) else "applied"
            await self.tell_ledger()
            await self._look(side, outcome, f"{how}; the file is of ")

    async def reload(self, by: Principal | None = None) -> Outcome:
        """Take up what the file says, and record it when it was changed by hand. `by` is who waits for the answer."""
        async with self._lock:
            outcome = await self._take_up(by)
            side: Side = self._current()
            if outcome.error:
                try:
                    side = side_of(await self._load())
                except ConfigError as error:
                    side = error.message
            await self._look(side, f"{REFUSED}{outcome.error}" if outcome.error else _status(outcome))
            return outcome

    @property
    def behind(self) -> bool:
        """Whether there are changes that the audit ledger could not be told."""
        return self._rows is not None and self._rows.behind

    async def tell_ledger(self) -> None:
        """Write to the audit ledger what is about to be taken up, once it was read. Raises: Unavailable.

        Whatever was read has a record by then: a change that comes later is not in what is taken up.
        """
        if self._rows is None:
            return
        try:
            records, edited = await asyncio.to_thread(self._book.ended)
        except OSError as error:
            raise Unavailable(f"the changes of the configuration cannot be read: {error.strerror}") from error
        await self._rows.tell(records, edited)

    async def _look(self, side: Side, outcome: str, reason: str = "") -> None:
        try:
            record = await asyncio.to_thread(self._book.look, self._env(), side, outcome, reason=reason)
        except (OSError, OpenClawError) as error:
            _log.error("config_change_not_recorded", extra={"fields": {"why": str(error)}})
            return
        if record is not None:
            _tell("config_edited", record)
            with contextlib.suppress(Unavailable):  # that it was edited is a row already; this says what
                await self.tell_ledger()

    async def preview(self, change: ConfigChange) -> tuple[Loaded, Loaded]:
        """Return the configuration as it is, and as a change would make it. Raises: InvalidRequest, ConfigError."""
        before = await self._load()
        return before, (await self._candidate(change, before))[1]

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
        paths = await asyncio.to_thread(changed_paths, before.parsed, after.parsed, TOLD_PATHS)
        record, off = await self._put(change, by, before, after, text), self._off()
        try:
            outcome = Outcome() if off else await self._take_up(by)
        except Exception:
            await self._put_back(record, "the gateway failed at it")
            raise
        if outcome.error:
            await self._put_back(record, outcome.error)
            raise ConfigError(
                f"the change was put back: {outcome.error}",
                hint="The gateway goes on as it was; correct the change and send it again.",
                details={"code": "CONFIG_CHANGE_REVERTED", "changedPaths": list(paths)},
            )
        status: TakenUp = "off" if off else _status(outcome)
        await self._end(record, status)
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
        after = await self._secrets.load(self._env(), draft=Draft(text), again="problems")
        if found := worse(after, before):
            raise invalid(found)
        try:
            return text, await asyncio.to_thread(self._accept, after)
        except ConfigError as error:
            place = str(error.details.get("path", ""))
            raise invalid([{"path": place, "message": error.message}]) from None

    async def _put(self, change: ConfigChange, by: Principal, before: Loaded, after: Loaded, text: str) -> ChangeRecord:
        wish = Wish(method=change.method, owner=by.owner, device=by.device, reason=change.note)
        files = {self._paths.config_path: text.encode()}
        try:
            return await asyncio.to_thread(self._book.write, wish, self._env(), before, after, files)
        except Conflict:
            raise InvalidRequest(_STALE) from None
        except OSError as error:
            raise Unavailable(
                f"{self._paths.config_path} cannot be written: {error.strerror}",
                hint="Give the gateway's user write access to the file and its folder.",
            ) from error

    async def _put_back(self, record: ChangeRecord, why: str) -> None:
        _tell("config_written", msgspec.structs.replace(record, outcome=f"reverted: {why}"))
        try:
            await asyncio.to_thread(self._book.put_back, record, why)
        except (OSError, OpenClawError) as error:
            _log.error("config_not_put_back", extra={"fields": {"why": str(error)}})
        await self._take_up()

    def _cut(self, by: Principal | None) -> None:
        """Close the connections of who may no longer come in: that of whoever waits for an answer soon after it."""
        self._hub.cut(lambda principal: principal is not by and not self._stands(principal), RENEWED)
        if by is not None and not self._stands(by):
            with contextlib.suppress(RuntimeError):  # shutting down: everybody is let go anyway
                self._tasks.spawn(self._cut_soon(by), "cut")

    async def _cut_soon(self, by: Principal) -> None:
        await self._clock.sleep(ANSWER_S)
        self._hub.cut(lambda principal: principal is by, RENEWED)

    def _off(self) -> bool:
        return self._current().config.gateway.reload.mode == "off"

    async def _take_up(self, by: Principal | None = None) -> Outcome:
        old = self._current().hash
        if self._reload is None:
            return Outcome()
        outcome = await self._reload()
        if outcome.renewed:
            self._cut(by)
        loaded = self._current()
        if not outcome.error and loaded.hash != old:
            ts = self._clock.now_ms()
            changed = {"path": str(loaded.path), "hash": self.revision(loaded.hash), "ts": ts}
            self._hub.broadcast("config.changed", changed)
            self._hub.broadcast("chat.metadata.changed", {})
        return outcome

    async def _end(self, record: ChangeRecord, outcome: str) -> None:
        record = msgspec.structs.replace(record, outcome=outcome)
        _tell("config_written", record)
        try:
            await asyncio.to_thread(self._book.end, record, outcome)
        except OSError as error:  # the change is made and its record there: only the end of it is missing
            _log.error("config_change_not_recorded", extra={"fields": {"why": error.strerror}})


def _status(outcome: Outcome) -> Literal["applied", "restart-required"]:
    return "restart-required" if outcome.waiting else "applied"


def _tell(event: str, record: ChangeRecord) -> None:
    paths = tuple(each.path for each in record.diff)
    fields = {"id": record.id, "method": record.method, "owner": record.owner, "paths": paths}
    if record.doctor is not None and (new := record.doctor.new()):
        fields["doctor"] = [one.id for one in new]
    _log.info(event, extra={"fields": {**fields, "outcome": record.outcome}})
