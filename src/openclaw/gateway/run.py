"""One gateway from start to stop: load, lock, open, listen, serve until told otherwise, drain, close."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Literal

import msgspec

from openclaw import __version__
from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ConfigError, OpenClawError, StateLocked
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet, supervise
from openclaw.config import lastgood
from openclaw.config.env import Environment, load_environment
from openclaw.config.load import Loaded, files_of
from openclaw.config.paths import StatePaths, resolve_paths
from openclaw.config.reading.override import replace_at
from openclaw.config.refusal import refusals
from openclaw.config.schema import Config
from openclaw.config.token import ensure_token
from openclaw.config.watch import Watcher
from openclaw.gateway.banner import banner
from openclaw.gateway.config_desk import ANSWER_S
from openclaw.gateway.credential_row import tell_credential
from openclaw.gateway.front import build_front, hosts_of, tls_names
from openclaw.gateway.housekeeping import prune_containers, prune_files, prune_records, tell_heads
from openclaw.gateway.manager import ManagerLine
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.reload import configure_logs, reload, remember_secrets
from openclaw.gateway.rooms import Rooms, open_rooms
from openclaw.gateway.state import prepare
from openclaw.listeners.server import GatewayServer
from openclaw.ops.backup.restore import RestoreOutcome, clear_uploads, last_outcome, note_outcome, take_up, undo
from openclaw.ops.backup.schedule import BackupSchedule
from openclaw.ops.backup.swap import recover
from openclaw.policy.ledger import TRY_EVERY_S
from openclaw.processes.again import begin_again, hold, listen
from openclaw.secrets.former import FormerSecrets
from openclaw.secrets.room import Again, SecretRoom
from openclaw.store.lock import StateLock
from openclaw.telemetry.redact import REDACTOR

_log = logging.getLogger("openclaw.gateway")

End = Literal["stop", "restart", "again"]
"""What comes after the end: nothing, a start by the supervisor (exit 75), or one of our own in the same process."""
EXIT_OK, EXIT_FAILED, EXIT_RESTART, EXIT_CONFIG = 0, 1, 75, 78
DRAIN_S = 10.0
"""Time that runs get to end when the gateway is told to stop; those that need longer are parked and resumed."""
SECRETS_EVERY_S = 10.0
"""How often it is looked whether a secret is to be read again: for its age, or because its file is another one."""
RESTART_EXPECTED_MS = 2000


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line may say over the configuration."""

    config_path: Path | None = None
    port: int | None = None
    bind: str | None = None
    verbose: bool = False
    quiet: bool = False
    """Say nothing on the terminal: somebody else does the talking (`openclaw up`)."""
    drain_s: float = DRAIN_S


class GatewayHandle:
    """A running gateway in the hands of whoever started it. `request_stop` may be called from any thread."""

    def __init__(self, url: str, token: Secret, config: Config, stop: Callable[[], None]) -> None:
        self.url = url
        self.port = int(url.rpartition(":")[2])
        self.token = token
        self.config = config
        self._stop = stop

    def request_stop(self) -> None:
        """Begin the shutdown, as SIGTERM does."""
        self._stop()


OnReady = Callable[[GatewayHandle], None]


def run_gateway(options: RunOptions, on_ready: OnReady | None = None) -> int:
    """Run until a signal or `request_stop`; return the exit code.

    Shape: 0, 1, 75 for a gateway that wants to be started again, 78 for a configuration that must not start.
    Call it in the main thread. `on_ready` is called on the loop once the gateway listens.
    """
    import uvloop

    # A core dump holds every secret in plain text. The hard limit stays: who wants one may raise it.
    with contextlib.suppress(OSError, ValueError):  # some sandboxes forbid the call
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            end = runner.run(_Gateway(options, on_ready).main())
    except (ConfigError, StateLocked) as error:
        _tell(error)
        return EXIT_CONFIG
    except OpenClawError as error:
        _tell(error)
        return EXIT_FAILED
    if end == "again":
        try:
            begin_again()
        except OSError as error:
            _tell(OpenClawError(f"the gateway ended and cannot begin again: {error}", hint="Start it as before."))
            return EXIT_FAILED
    return EXIT_RESTART if end == "restart" else EXIT_OK


def _tell(error: OpenClawError) -> None:
    lines = [f"openclaw: {error.message}", *([f"  {error.hint}"] if error.hint else [])]
    sys.stderr.write(REDACTOR.clean("\n".join(lines)) + "\n")


class _Gateway:
    """Holds what one run of the gateway needs between its first and its last line."""

    def __init__(self, options: RunOptions, on_ready: OnReady | None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._options = options
        self._on_ready = on_ready
        self._clock = clock
        self._stopping = asyncio.Event()
        self._reload_now = asyncio.Event()
        self._end: End = "stop"
        self._secrets_again = False
        self._was_restored = False
        self._unproven = False
        """What runs was just restored, and has not come as far as to listen."""
        self._tasks = TaskSet("gateway")
        self._env: Environment
        self._manager: ManagerLine
        self._paths: StatePaths
        self._secrets: SecretRoom
        self._watcher: Watcher
        self._rooms: Rooms
        self._backups: BackupSchedule

    async def main(self) -> End:
        """Start, serve, stop. Return what is to come next."""
        env = load_environment()
        self._env = env
        self._manager = ManagerLine(env.get, self._clock)
        self._paths = paths = resolve_paths(env, self._options.config_path)
        prepare(paths.state_dir, paths.logs_dir)
        lock = StateLock(paths.state_dir)
        lock.acquire()
        try:
            self._was_restored = self._restored(paths.state_dir)
            if self._was_restored:  # before anything of the state is read
                self._env = env = load_environment()
                self._paths = paths = resolve_paths(env, self._options.config_path)
            try:
                await self._live(paths, lock)
            except Exception as error:  # whatever it is: where there is no shell, nobody could undo it
                if not self._unproven:
                    raise
                self._put_back(paths.state_dir, lock, error)
        finally:
            lock.release()
        if self._end == "again":
            hold()
            for _ in range(3):
                await asyncio.sleep(
                    0
                )  # a stop that came just before counts; one that comes now waits for the next life
        return self._end

    async def _live(self, paths: StatePaths, lock: StateLock) -> None:
        self._secrets = SecretRoom(paths, self._clock, REDACTOR.add)
        # Before the first look at the file: what changes while the rooms open is a change.
        self._watcher = Watcher(paths.config_path, self._clock, self._debounce_ms, files_of)
        loaded = await self._load()
        self._rooms = rooms = await open_rooms(loaded, paths, self._clock, lock, self._secrets)
        try:
            await tell_credential(rooms.store.shelf, rooms.config.gateway.auth, self._clock)
            await self._serve(rooms)
        finally:
            await self._tasks.close()
            await rooms.close()

    def _put_back(self, state_dir: Path, lock: StateLock, error: Exception) -> None:
        """Undo a restore that the gateway cannot start with, and begin again without it."""
        why = f"the gateway could not start with it: {REDACTOR.clean(str(error) or type(error).__name__)}"
        _log.error("restore_undone", exc_info=error, extra={"fields": {"why": why}})
        done, now_ms = last_outcome(state_dir), self._clock.now_ms()
        undo(state_dir, now_ms=now_ms, lock=lock)
        note_outcome(state_dir, RestoreOutcome(now_ms, done.made_at_ms if done else 0, why))
        self._end = "again"

    def _restored(self, state_dir: Path) -> bool:
        """Put back what a restore that was broken off had moved, else in place what waits for this start."""
        clear_uploads(state_dir)
        if recover(state_dir):
            why = "it was broken off"
            _log.warning("restore_undone", extra={"fields": {"why": why}})
            note_outcome(state_dir, RestoreOutcome(self._clock.now_ms(), 0, why))
            return True
        try:
            way_back = take_up(state_dir, now_ms=self._clock.now_ms())
        except (OpenClawError, OSError) as error:
            _log.error("restore_failed", extra={"fields": {"error": str(error), "outcome": "nothing was changed"}})
            return False
        if way_back is not None:
            _log.warning("restored", extra={"fields": {"way_back": str(way_back)}})
            self._unproven = True
        return self._unproven

    async def _load_again(self) -> Loaded:
        self._env = load_environment()
        loaded = await self._load()
        await self._rooms.config_desk.tell_ledger()
        return loaded

    async def _load(self) -> Loaded:
        again: Again = "all" if self._secrets_again else "problems"
        self._secrets_again = False
        loaded = self._accepted(await self._secrets.load(self._env, again=again))
        remember_secrets(loaded)
        return loaded

    def _accepted(self, loaded: Loaded) -> Loaded:
        """Return a configuration with what the command line says over it.

        Raises: ConfigError when the gateway must not start with it.
        """
        config = loaded.config
        if self._options.port is not None:
            config = replace_at(config, ("gateway", "port"), self._options.port)
        if self._options.bind is not None:
            config = _bound(config, self._options.bind)
        auth = config.gateway.auth
        if auth.mode not in ("password", "none") and not auth.token:
            config = replace_at(config, ("gateway", "auth", "token"), ensure_token(self._paths.token))
        loaded = msgspec.structs.replace(loaded, config=config)
        if stop := refusals(loaded):
            raise stop[0]
        return loaded

    async def _serve(self, rooms: Rooms) -> None:
        configure_logs(rooms.config.logging, rooms, verbose=self._options.verbose, quiet=self._options.quiet)
        self._signals()
        self._report(rooms.loaded)
        app = build_front(rooms)
        backups = rooms.backups()
        self._backups = BackupSchedule(backups, self._clock, rooms.paths.state_dir)
        gateway = rooms.config.gateway
        tls = await rooms.tls.open(tls_names(gateway)) if gateway.tls.enabled else None
        self._unproven = False  # a port that is taken is no fault of what was restored
        server = GatewayServer(app, hosts_of(rooms.config), gateway.port, clock=self._clock, tls=tls)
        await server.start()
        try:
            await self._open_for_business(rooms, server)
            await self._stopping.wait()
        finally:
            await self._drain(rooms, server)
            await app.close()

    async def _open_for_business(self, rooms: Rooms, server: GatewayServer) -> None:
        await rooms.store.reconcile(self._clock.now_ms())
        resumed, reported = await rooms.study.resume()
        rooms.config_desk.bind(load_environment, self._accepted, self._reload)
        await rooms.config_desk.started("a backup was restored" if self._was_restored else "noticed at the start")
        rooms.upkeep.restart = self._stop_to_restart
        rooms.upkeep.begin_again = self._begin_again
        await rooms.disk.look()
        rooms.grace.arm()
        rooms.health.phase = "ready"
        await rooms.mcp.start()
        await rooms.automation.start()
        self._manager.ready(f"listening on {', '.join(server.addresses)}")
        self._tasks.spawn(rooms.health.watch_loop(), "loop-lag")
        self._supervised("watch-config", self._watch_config)
        self._supervised("watch-reload", self._watch_reload)
        self._supervised("watch-secrets", self._watch_secrets)
        self._supervised("prune", lambda: prune_records(rooms))
        self._supervised("prune-files", lambda: prune_files(rooms))
        self._supervised("prune-containers", lambda: prune_containers(rooms))
        self._supervised("disk", rooms.disk.watch)
        self._supervised("audit", rooms.ledger.watch)
        self._supervised("audit-head", lambda: tell_heads(rooms))
        if rooms.tls.fingerprint:
            self._supervised("tls", rooms.tls.watch)
        self._supervised("watchdog", self._manager.watchdog)
        self._supervised("backup", self._backups.run)
        if rooms.loaded.source == "file":
            lastgood.save(rooms.paths.last_good, rooms.loaded.standalone)
        fields = {"version": __version__, "port": server.port, "resumed": resumed, "interrupted": reported}
        _log.info("gateway_ready", extra={"fields": fields})
        if not self._options.quiet:
            sys.stderr.write(banner(rooms, server.scheme, server.addresses) + "\n")
        gc.collect()
        gc.freeze()  # what is there now stays: the collector need not look at it again
        if self._on_ready is not None:
            token = rooms.config.gateway.auth.token or rooms.config.gateway.auth.password or Secret("")
            loop = asyncio.get_running_loop()

            def stop() -> None:
                loop.call_soon_threadsafe(self._stopping.set)

            self._on_ready(GatewayHandle(f"{server.scheme}://127.0.0.1:{server.port}", token, rooms.config, stop))

    async def _drain(self, rooms: Rooms, server: GatewayServer) -> None:
        """Take nothing new in, let runs end, tell the clients, close the sockets."""
        rooms.health.phase = "draining"
        self._manager.leaving(again=self._end == "again")
        _log.info("gateway_stopping", extra={"fields": {"running": rooms.study.running()}})
        rooms.automation.pause()
        self._backups.close()
        await rooms.study.stop(self._options.drain_s)
        await rooms.hub.shutdown("service restart", RESTART_EXPECTED_MS)
        await server.stop()
        _log.info("gateway_stopped")

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload_signal)
        loop.add_signal_handler(signal.SIGUSR1, self._begin_again)
        listen()

    def _on_stop_signal(self) -> None:
        self._end = "stop"  # whoever wants an end gets it, also in the middle of a restart
        self._stopping.set()

    def _on_reload_signal(self) -> None:
        self._secrets_again = True
        self._reload_now.set()

    def _begin_again(self) -> None:
        self._stop_for("again")

    def _stop_to_restart(self) -> None:
        self._stop_for("restart")

    def _stop_for(self, end: End) -> None:
        if not self._stopping.is_set():
            self._end = end
            self._stopping.set()

    def _supervised(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.spawn(supervise(name, run, self._clock.sleep), name)

    def _debounce_ms(self) -> int:
        return self._rooms.config.gateway.reload.debounce_ms

    async def _watch_config(self) -> None:
        async for _ in self._watcher.changes():
            if self._rooms.config.gateway.reload.mode != "off":
                self._reload_now.set()

    async def _watch_reload(self) -> None:
        while True:
            await self._reload_now.wait()
            self._reload_now.clear()
            with self._manager.reloading():
                outcome = await self._rooms.config_desk.reload()
                await self._rooms.tls.look()
            self._report(self._rooms.loaded)
            if outcome.error and self._rooms.config_desk.behind:
                await self._clock.sleep(TRY_EVERY_S)
                self._reload_now.set()

    async def _watch_secrets(self) -> None:
        while True:
            await self._clock.sleep(SECRETS_EVERY_S)
            former = FormerSecrets(self._paths.state_dir)
            await asyncio.to_thread(former.expire, self._clock.now_ms())
            loaded = self._rooms.loaded
            self._rooms.upkeep.doubt_refused_keys()
            if self._secrets.is_due(loaded) or await self._secrets.has_changed(loaded):
                self._reload_now.set()

    async def _reload(self) -> Outcome:
        options, mode = self._options, self._rooms.config.gateway.reload.mode
        outcome = await reload(self._rooms, self._load_again, verbose=options.verbose, quiet=options.quiet)
        if mode == "restart" and outcome.waiting:
            self._tasks.spawn(self._begin_again_soon(), "restart")
        return outcome

    async def _begin_again_soon(self) -> None:
        """Whoever made the change hears so first."""
        await self._clock.sleep(ANSWER_S)
        self._stop_for("again")

    def _report(self, loaded: Loaded) -> None:
        if loaded.source == "last-good":
            fields: dict[str, Any] = {"path": str(loaded.path), "reason": loaded.issues[0].message}
            _log.error("config_last_good_used", extra={"fields": fields})
        for issue in loaded.issues:
            fields = {
                "path": issue.path,
                "file": issue.file,
                "line": issue.line,
                "problem": issue.message,
                "hint": issue.hint,
            }
            _log.warning("config_issue", extra={"fields": fields})


def _bound(config: Config, bind: str) -> Config:
    from openclaw.config.reading.normalise import normalise_value

    value = normalise_value("gateway.bind", bind)
    if value in {"loopback", "lan", "custom"}:
        return replace_at(config, ("gateway", "bind"), value)  # type: ignore[no-any-return]
    config = replace_at(config, ("gateway", "bind"), "custom")
    return replace_at(config, ("gateway", "customBindHost"), bind)  # type: ignore[no-any-return]
