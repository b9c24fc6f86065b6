"""What the set-up page has done: a provider tried and written down, a device let in, a backup made or brought back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from openclaw.base.errors import Conflict, InvalidRequest, ModelTimeout
from openclaw.base.message import user
from openclaw.base.model import ModelRequest
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.secret import Secret
from openclaw.config.load import Loaded
from openclaw.config.reading.values import put
from openclaw.config.schema import ModelsConfig, ProviderConfig
from openclaw.config.writable import require_writable
from openclaw.config.writing.apply import with_values
from openclaw.gateway.restoring import Restoring
from openclaw.gateway.rooms import Rooms
from openclaw.listeners.setup.port import Choice, Chosen, Fetching, Staged, Waiting
from openclaw.models.local.pull import pull
from openclaw.models.local.shelf import installed
from openclaw.models.registry import CHOICE_VARIABLE, ModelRegistry, Resolved
from openclaw.ops.backup.create import Made, aside
from openclaw.ops.backup.restore import RestoreOutcome, last_outcome
from openclaw.rpc.config_port import ConfigChange
from openclaw.secrets.provider import STORE, reference_to
from openclaw.secrets.store import put_back, put_member
from openclaw.telemetry.redact import REDACTOR

TRY_S: Final = 120.0
TIDY_S: Final = 1.0
"""A backup whose last byte has gone out is thrown away in this time; then another can be made."""
MAX_TOKENS: Final = 32
MAX_ANSWER: Final = 200
_WIRES: Final = {"custom": "openai-completions", "ollama": "ollama"}


class SetupDesk:
    """Acts on the rooms of one gateway."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._backups = rooms.backups()
        self._choosing = asyncio.Lock()
        self._backing_up = asyncio.Lock()
        self._fetching: Fetching | None = None
        self._restoring = Restoring(rooms, self._backups)

    def model(self) -> str:
        """Return the model that agents use unless they have their own."""
        model = self._rooms.config.agents.defaults.model
        return (model if isinstance(model, str) else model.primary) or self._rooms.models.default_ref()

    def token(self) -> Secret | None:
        """Return the gateway's token where it lets people in."""
        auth = self._rooms.config.gateway.auth
        return auth.token if auth.mode == "token" else None

    def waiting(self) -> list[Waiting]:
        """Return the devices that wait for approval."""
        asks = ((one.request_id, one.ask) for one in self._rooms.devices.pending())
        return [Waiting(id_, ask.device_id, ask.display_name or ask.client_id, ask.address) for id_, ask in asks]

    async def approve(self, request_id: str) -> None:
        """Let a device in."""
        await self._rooms.devices.approve(request_id, LOCAL_OPERATOR)

    async def choose(self, choice: Choice) -> Chosen:
        """Try a provider, then write it down."""
        rooms = self._rooms
        key = Secret(choice.key.strip()) if choice.key.strip() else None
        if key is not None:
            REDACTOR.add(key)
        if beats := rooms.loaded.env.get(CHOICE_VARIABLE):
            raise Conflict(
                f"{CHOICE_VARIABLE}={beats[:64]} decides which provider is used",
                hint="Remove the variable where the gateway is started, or set the provider there.",
            )
        require_writable(rooms.config_desk.environment(), rooms.paths.config_path)
        async with self._choosing:
            entry = self._entry(choice, key)
            if choice.provider == "embedded":
                await self._fetch(rooms.models.full_ref(_ref(choice)).partition("/")[2])
            began_s = rooms.clock.monotonic_s()
            ref, answer = await self._tried(choice, entry)
            took_ms = round((rooms.clock.monotonic_s() - began_s) * 1000)
            return Chosen(ref, answer[:MAX_ANSWER], took_ms, await self._keep(choice, entry, key, ref))

    def _entry(self, choice: Choice, key: Secret | None) -> ProviderConfig:
        """Return the provider as it would be configured. A key that is there never goes to another address."""
        known = self._rooms.config.models.providers.get(choice.provider) or ProviderConfig()
        if known.api_key and key is None and choice.base_url not in ("", known.base_url):
            raise InvalidRequest("a new address needs its key", hint="Give the key of the server at that address.")
        changes: dict[str, Any] = {"api": _WIRES.get(choice.provider, known.api)}
        if choice.base_url:
            changes["base_url"] = choice.base_url
        if key is not None:
            changes["api_key"] = key
        if choice.provider == "custom" and not (choice.base_url or known.base_url):
            raise InvalidRequest("baseUrl is missing", hint="The root of the API, e.g. https://api.example.com/v1.")
        return msgspec.structs.replace(known, **changes)

    async def _tried(self, choice: Choice, entry: ProviderConfig) -> tuple[str, str]:
        """Return the model's reference and its answer. Raises: ModelError."""
        rooms = self._rooms
        if choice.provider == "embedded":
            return await self._asked(rooms.models.resolve(_ref(choice)))
        trial = ModelRegistry(
            ModelsConfig(providers={choice.provider: entry}),
            env=rooms.loaded.env.get,
            http=rooms.http,
            embedded=_no_local_model,
            clock=rooms.clock,
            credentials=rooms.failover.credentials.first if not choice.base_url else lambda provider: None,
        )
        try:
            return await self._asked(trial.resolve(_ref(choice)))
        finally:
            await trial.close()

    async def _fetch(self, name: str) -> None:
        """Bring a local model onto this machine: where there is no shell, nobody could pull it."""
        rooms = self._rooms
        if name in await asyncio.to_thread(installed, rooms.paths.cache_dir):
            return

        def progress(done: int, total: int) -> None:
            self._fetching = Fetching(done, total)

        try:
            await pull(name, rooms.paths.cache_dir, spawner=rooms.spawner, progress=progress)
        finally:
            self._fetching = None

    def fetching(self) -> Fetching | None:
        """Return how far the local model is that is on its way."""
        return self._fetching

    async def _asked(self, found: Resolved) -> tuple[str, str]:
        messages = (user("Say hello in three words."),)
        wish = ModelRequest(model=found.info.id, messages=messages, max_tokens=MAX_TOKENS, purpose="probe")
        try:
            async with asyncio.timeout(TRY_S):
                return found.info.ref, (await found.client.generate(wish)).message.text
        except TimeoutError:
            raise ModelTimeout(f"{found.info.ref} did not answer within {TRY_S:.0f} s") from None

    async def _keep(self, choice: Choice, entry: ProviderConfig, key: Secret | None, ref: str) -> str:
        """Write provider, key and model; return when they are in force."""
        rooms, provider = self._rooms, ("models", "providers", choice.provider)
        settings: dict[tuple[str, ...], Any] = {("agents", "defaults", "model"): ref}
        if choice.provider in _WIRES:
            settings[(*provider, "api")] = entry.api
        if choice.base_url:
            settings[(*provider, "baseUrl")] = choice.base_url
        member = ".".join((*provider, "apiKey"))
        if key is not None:
            settings[(*provider, "apiKey")] = reference_to("file", member, rooms.config.secrets)

        def rewrite(before: Loaded) -> str:
            wanted = before.parsed
            for path, value in settings.items():
                wanted = put(wanted, path, value)
            return with_values(before, wanted)

        store, change = rooms.paths.state_dir / STORE, ConfigChange(method="setup", rewrite=rewrite)
        if key is None:
            return (await rooms.config_desk.write(change, LOCAL_OPERATOR)).status
        old = await asyncio.to_thread(put_member, store, member, key)
        try:
            written = await rooms.config_desk.write(change, LOCAL_OPERATOR)
            if written.status == "none":  # the same words, but another key behind them
                await rooms.upkeep.reload_secrets(LOCAL_OPERATOR)
        except BaseException:
            put_back(store, old)
            raise
        return written.status

    @contextlib.asynccontextmanager
    async def backup(self, passphrase: Secret | None) -> AsyncIterator[Made]:
        """Make a backup aside for the length of a block."""
        try:
            async with asyncio.timeout(TIDY_S):
                await self._backing_up.acquire()
        except TimeoutError:
            raise Conflict("a backup is being made already", hint="Wait until it has been downloaded.") from None
        try:
            backups = self._backups
            with aside(self._rooms.paths.state_dir) as folder:
                secret = passphrase or backups.passphrase()
                yield await asyncio.to_thread(backups.make, folder, backups.parts(), secret)
        finally:
            self._backing_up.release()

    def upload_limit(self) -> int:
        """Return the most bytes of a backup that comes in."""
        return self._backups.settings.upload_max_bytes

    async def stage(self, pieces: AsyncIterator[bytes], announced: int, passphrase: Secret | None) -> Staged:
        """Take a backup in and leave it to the next start."""
        return await self._restoring.stage(pieces, announced, passphrase)

    def begin_again(self) -> None:
        """Start the gateway anew, in place."""
        if self._rooms.upkeep.begin_again is not None:
            self._rooms.upkeep.begin_again()

    async def last_restore(self) -> RestoreOutcome | None:
        """Return what became of the last restore."""
        return await asyncio.to_thread(last_outcome, self._rooms.paths.state_dir)


def _ref(choice: Choice) -> str:
    if choice.provider in _WIRES and not choice.model:
        raise InvalidRequest("model is missing", hint="Name one that the server offers.")
    return f"{choice.provider}/{choice.model}" if choice.model else choice.provider


def _no_local_model(provider: str, config: ProviderConfig) -> Any:
    raise InvalidRequest(f"{provider} is no provider to try", hint="Choose embedded.")
