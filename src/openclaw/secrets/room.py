"""The configuration with all that it names: variables of the login shell, and secrets, kept in memory and nowhere else.

1. A value is read when a configuration names it first, when somebody asks for all of them again, and when it is older
   than its provider's ttlSeconds. Variables and files, which are near, are read at every start and reload.
2. Providers are asked at the same time, each once for all its ids, each within its own time and all within one.
3. What cannot be resolved is a problem of that reference alone. A value that was there once stays while its source is
   down: an outage of Vault must not close a gateway that runs.
4. A provider's own secrets may be references themselves; those are resolved first.
5. The login shell is asked once in a process's life, and only for variables that are expected and missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.config.env import Environment
from openclaw.config.load import Draft, Loaded, load, load_text
from openclaw.config.paths import StatePaths
from openclaw.config.reference import Reference
from openclaw.config.schema import SecretProviderConfig, SecretsConfig
from openclaw.net.http import HttpClient
from openclaw.net.onward import onward
from openclaw.net.pinned import Carrier
from openclaw.net.way import Door
from openclaw.processes.spawner import Spawner
from openclaw.secrets.file import Stamp, stamp_of
from openclaw.secrets.outcome import Found, Means, Unresolved, Written
from openclaw.secrets.provider import ask, provider_of, put, target
from openclaw.secrets.shell import Shell

MAX_REFERENCES: Final = 256
"""References that are asked for at once; those beyond it are problems."""
KEPT: Final = 4 * MAX_REFERENCES
"""Values kept: also those of drafts that were not taken up, until others need the room."""
NEAR: Final = frozenset(("env", "file"))
ROUNDS: Final = 3
"""The sources of a provider's own secrets, those secrets, and the rest."""
RETRY_S: Final = 300.0
"""Pause before what has no value is asked for again by itself."""
DOUBT_S: Final = 60.0
"""Age at which a value that was turned away is read again, and then once in so long while it still is."""
Again = Literal["", "problems", "all"]
"""What to ask for besides what was never asked for and what is too old: what is near or has a problem, or all."""
_log = logging.getLogger("openclaw.secrets")


class _Held(msgspec.Struct, frozen=True):
    """What is known of one reference. `provider` is what it was read by, None where there was none."""

    provider: SecretProviderConfig | None
    read_s: float
    secret: Secret | None = None
    problem: str = ""
    resolved_s: float | None = None
    """When it had its value last, None for never."""
    stamp: Stamp | None = None
    """What its file looked like then; None for what is no file."""
    doubted: bool = False
    """Somebody has turned the value away."""


class _Question(msgspec.Struct, frozen=True):
    """What one provider is asked for."""

    name: str
    provider: SecretProviderConfig
    references: list[Reference]


class SecretRoom:
    """Loads one gateway's configuration with all that it names. `on_secret` is told every value before it is used."""

    def __init__(self, paths: StatePaths, clock: Clock, on_secret: Callable[[Secret], None]) -> None:
        self._paths = paths
        self._clock = clock
        self._on_secret = on_secret
        self._held: BoundedMap[Reference, _Held] = BoundedMap("secrets", KEPT)
        self._shell = Shell(on_secret)
        self._one_at_a_time = asyncio.Lock()
        self.door: Door | None = None
        """The egress door, once the gateway stands; before that, servers are judged by their addresses alone."""
        self.carrier: Carrier | None = None
        """The proxy that the gateway uses, while there is a door."""

    def value(self, reference: Reference) -> Secret | None:
        """Return the value, or None while there is none."""
        held = self._held.get(reference)
        return held.secret if held else None

    def problem(self, reference: Reference) -> str:
        """Say why there is no value, or why it may be out of date; "" when all is well."""
        held = self._held.get(reference)
        return held.problem if held else "it has not been resolved"

    async def load(self, env: Environment, *, draft: Draft | None = None, again: Again = "") -> Loaded:
        """Return the file's configuration, or a draft's, once every reference in it is resolved or cannot be.

        Raises: CONFIG_INVALID as openclaw.config.load.
        """

        def read_with(known: Environment) -> Loaded:
            if draft is None:
                return load(self._paths, known, self)
            return load_text(draft.text, self._paths, known, secrets=self, contents=draft.files)

        def read() -> Loaded:
            loaded = read_with(self._shell.added_to(env))
            return read_with(env) if self._shell.is_unwanted(loaded) else loaded

        loaded = await asyncio.to_thread(read)
        if not self._shell.is_wanted(loaded) and not self._due(loaded, set(), again):
            return loaded
        async with self._one_at_a_time, self._means(loaded) as means:
            if self._shell.is_wanted(loaded):
                await self._shell.ask(loaded, means.spawner)
                loaded = await asyncio.to_thread(read)
            return await self._complete(loaded, read, means, again)

    def resolved_ms(self, reference: Reference) -> int:
        """Return when it had its value last (Unix ms), 0 for never."""
        held = self._held.get(reference)
        if held is None or held.resolved_s is None:
            return 0
        return self._clock.now_ms() - round((self._clock.monotonic_s() - held.resolved_s) * 1000)

    async def target(self, reference: Reference, loaded: Loaded) -> str:
        """Say where a secret would be replaced. Raises: Unresolved saying why it cannot be."""
        async with self._means(loaded) as means:
            return await asyncio.to_thread(
                target, provider_of(reference, loaded.config.secrets)[1], reference.id, means
            )

    async def put(self, reference: Reference, secret: Secret, loaded: Loaded) -> Written:
        """Replace a secret where it lies; who uses it is not told. Raises: Unresolved saying why it is not replaced."""
        provider = provider_of(reference, loaded.config.secrets)[1]
        self._on_secret(secret)
        async with self._means(loaded) as means:
            try:
                async with asyncio.timeout(provider.timeout_ms / 1000):
                    return await put(provider, reference.id, secret, means)
            except TimeoutError:
                raise Unresolved(f"it took longer than {provider.timeout_ms} ms; look whether it was done") from None

    def doubt(self, reference: Reference) -> None:
        """Note that a value was turned away where it is shown: it may have been rotated. It is asked for again soon."""
        held = self._held.get(reference)
        if held is not None and held.secret is not None and not held.problem:
            self._held.put(reference, msgspec.structs.replace(held, doubted=True))

    async def has_changed(self, loaded: Loaded) -> bool:
        """Whether a file that a secret was read from is another one by now: whoever rotates it says so by that."""
        held = ((placed.reference, self._held.get(placed.reference)) for placed in loaded.references)
        known = [
            (each.provider, reference.id, each.stamp)
            for reference, each in held
            if each is not None and each.provider is not None and each.provider.source == "file"
        ]
        if not known:
            return False
        state_dir, env = self._paths.state_dir, loaded.env

        def look() -> bool:
            return any(stamp != stamp_of(provider, name, env, state_dir) for provider, name, stamp in known)

        return await asyncio.to_thread(look)

    def is_due(self, loaded: Loaded) -> bool:
        """Whether a value is older than its provider wants, or missing for so long that it is worth another try."""
        return any(self._is_old(placed.reference) for placed in loaded.references)

    async def _complete(self, loaded: Loaded, read: Callable[[], Loaded], means: Means, again: Again) -> Loaded:
        ends_s = self._clock.monotonic_s() + loaded.config.secrets.timeout_ms / 1000
        asked: set[Reference] = set()
        for _ in range(ROUNDS):
            due = self._due(loaded, asked, again)
            if not due:
                break
            asked.update(due)
            now = msgspec.structs.replace(means, env=loaded.env)
            within_s = max(0.1, ends_s - self._clock.monotonic_s())
            await self._ask_all(self._questions(due, loaded.config.secrets), now, within_s)
            loaded = await asyncio.to_thread(read)
        return loaded

    def _is_old(self, reference: Reference) -> bool:
        held = self._held.get(reference)
        if held is None:
            return True
        age_s = self._clock.monotonic_s() - held.read_s
        if held.doubted:
            return age_s >= DOUBT_S
        if held.problem:
            return age_s >= RETRY_S
        return held.provider is not None and 0 < held.provider.ttl_seconds <= age_s

    def _due(self, loaded: Loaded, asked: set[Reference], again: Again) -> list[Reference]:
        """Return what to ask for now: what providers need themselves, as long as there is any, and then the rest."""
        due = [
            (placed.path.startswith("secrets."), placed.reference)
            for placed in loaded.references
            if placed.reference not in asked and self._is_wanted(placed.reference, loaded.config.secrets, again)
        ]
        first = [reference for own, reference in due if own]
        return list(dict.fromkeys(first or (reference for _, reference in due)))

    def _is_wanted(self, reference: Reference, config: SecretsConfig, again: Again) -> bool:
        held = self._held.get(reference)
        if held is None or again == "all" or self._is_old(reference):
            return True
        try:
            provider = provider_of(reference, config)[1]
        except Unresolved:
            return again != "" or held.provider is not None
        if provider != held.provider:
            return True
        return again != "" and (held.problem != "" or provider.source in NEAR)

    def _questions(self, due: Iterable[Reference], config: SecretsConfig) -> list[_Question]:
        questions: dict[tuple[str, str, str], _Question] = {}
        wanted = list(due)
        for reference in wanted[MAX_REFERENCES:]:
            self._keep(reference, None, Unresolved(f"more than {MAX_REFERENCES} references are to be resolved at once"))
        for reference in wanted[:MAX_REFERENCES]:
            try:
                name, provider = provider_of(reference, config)
            except Unresolved as error:
                self._keep(reference, None, error)
                continue
            # The built-in provider reads its own file for some references, and for others the file that they name.
            key = (name, provider.source, provider.path)
            question = questions.setdefault(key, _Question(name, provider, []))
            question.references.append(reference)
        return list(questions.values())

    async def _ask_all(self, questions: Iterable[_Question], means: Means, within_s: float) -> None:
        tasks = TaskSet("secrets")
        asking = {tasks.spawn(_answer(each, means), each.name): each for each in questions}
        if asking:
            await asyncio.wait(asking, timeout=within_s)
        for task, question in asking.items():
            stamps: Mapping[str, Stamp | None] = {}
            if task.done() and task.exception() is None:
                found, stamps = task.result()
            else:
                why = "its provider failed in a way nobody foresaw" if task.done() else "all of them took too long"
                found = dict.fromkeys((reference.id for reference in question.references), Unresolved(why))
            for reference in question.references:
                self._keep(reference, question.provider, found[reference.id], stamps.get(reference.id))
        await tasks.close()

    def _keep(
        self,
        reference: Reference,
        provider: SecretProviderConfig | None,
        found: Secret | Unresolved,
        stamp: Stamp | None = None,
    ) -> None:
        now_s, held = self._clock.monotonic_s(), self._held.get(reference)
        if isinstance(found, Secret):
            self._on_secret(found)
            self._held.put(reference, _Held(provider, now_s, found, "", now_s, stamp))
            return
        if held is None or held.problem != str(found):
            # The issue of the configuration is the warning: this line tells when it began.
            _log.info("secret_unresolved", extra={"fields": {"reference": str(reference), "why": str(found)}})
        same = held if held and held.provider == provider else None
        last, resolved_s = (same.secret, same.resolved_s) if same else (None, None)
        self._held.put(reference, _Held(provider, now_s, last, str(found), resolved_s, stamp))

    @contextlib.asynccontextmanager
    async def _means(self, loaded: Loaded) -> AsyncIterator[Means]:
        """Open what providers work with: none of it costs anything before it is used."""
        carrier = self.carrier if self.door else onward(loaded)
        http, spawner = HttpClient(door=self.door, carrier=carrier), Spawner(loaded.env)
        try:
            yield Means(loaded.env, self._paths.state_dir, http, spawner)
        finally:
            await spawner.close(0.0)
            await http.close()


async def _answer(question: _Question, means: Means) -> tuple[Found, Mapping[str, Stamp | None]]:
    """Return values or problems, and for files what they looked like just before they were read."""
    ids = list(dict.fromkeys(reference.id for reference in question.references))
    provider, stamps = question.provider, {}
    try:
        async with asyncio.timeout(provider.timeout_ms / 1000):
            if provider.source == "file":
                env, folder = means.env, means.state_dir
                stamps = await asyncio.to_thread(lambda: {each: stamp_of(provider, each, env, folder) for each in ids})
            return await ask(question.name, provider, ids, means), stamps
    except TimeoutError:
        return dict.fromkeys(ids, Unresolved(f"it took longer than {provider.timeout_ms} ms")), stamps
    except Unresolved as error:
        return dict.fromkeys(ids, error), stamps
