"""Models that answer or fail by script, a purse that counts, and a clock that is moved to whoever sleeps."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple, TypeVar

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ModelError, OpenClawError
from openclaw.base.message import Message, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelInfo, ModelRequest, ModelResult, TextDelta, Usage
from openclaw.base.secret import Secret
from openclaw.models.assemble import collect
from openclaw.models.call import Attempt, CallPlan, Hold, Purse
from openclaw.models.calling.credentials import Credential, Credentials
from openclaw.models.calling.failover import Failover
from openclaw.models.registry import Resolved

T = TypeVar("T")
USAGE = Usage(11, 7)


class Broken(NamedTuple):
    """An answer that breaks off after some events."""

    events: Sequence[ModelEvent]
    error: BaseException


class Endless(NamedTuple):
    """Some events, and then the stream is over without a finish."""

    events: Sequence[ModelEvent]


class Hang:
    """No answer, ever."""


Outcome = str | ModelError | Broken | Endless | Hang


class Call(NamedTuple):
    """A call that reached a model."""

    ref: str
    credential: str
    at_s: float


class ScriptedModels:
    """Implements models.failover.Models. A script is for `ref` or `ref credential`; after it the model says `fine`."""

    def __init__(self, clock: ManualClock, scripts: Mapping[str, Iterable[Outcome]] | None = None) -> None:
        self.clock = clock
        self.calls: list[Call] = []
        self.closed = 0
        self.own_keys: set[str] = set()
        self.missing: dict[str, ModelError] = {}
        self.scripts = {name: deque(script) for name, script in (scripts or {}).items()}

    def resolve(self, ref: str, credential: Credential | None = None) -> Resolved:
        if error := self.missing.get(ref):
            raise error
        provider, _, model = ref.partition("/")
        name = credential.name if credential else ""
        return Resolved(ScriptedClient(self, ref, name), ModelInfo(id=model, provider=provider))

    def full_ref(self, ref: str) -> str:
        return ref

    def has_own_key(self, provider_id: str) -> bool:
        return provider_id in self.own_keys

    def next(self, ref: str, credential: str) -> Outcome:
        self.calls.append(Call(ref, credential, self.clock.monotonic_s()))
        script = self.scripts.get(f"{ref} {credential}") or self.scripts.get(ref)
        return script.popleft() if script else "fine"

    @property
    def asked(self) -> list[str]:
        """Who was asked, in order."""
        return [f"{call.ref} {call.credential}".strip() for call in self.calls]


class ScriptedClient:
    """One model with one credential."""

    def __init__(self, models: ScriptedModels, ref: str, credential: str) -> None:
        self._models, self._ref, self._credential = models, ref, credential

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        try:
            outcome = self._models.next(self._ref, self._credential)
            if isinstance(outcome, ModelError):
                raise outcome
            if isinstance(outcome, Hang):
                await asyncio.Event().wait()
            if isinstance(outcome, Broken):
                for event in outcome.events:
                    yield (event,)
                raise outcome.error
            if isinstance(outcome, Endless):
                yield outcome.events
                return
            assert isinstance(outcome, str)
            yield (TextDelta(outcome),)
            yield (ModelFinish("stop", USAGE, self._ref),)
        finally:
            self._models.closed += 1

    async def generate(self, request: ModelRequest) -> ModelResult:
        return await collect(self.stream(request))

    async def list_models(self) -> list[ModelInfo]:
        return []

    async def get_metadata(self, model: str) -> ModelInfo:
        return ModelInfo(id=model, provider="")

    async def count_tokens(self, request: ModelRequest) -> int:
        return 0

    async def close(self) -> None:
        pass


class CountingPurse:
    """Counts what happens to each hold. `refuse` names the reservation (from 0) that is denied with an error."""

    def __init__(self, refuse: Mapping[int, OpenClawError] | None = None) -> None:
        self.holds: list[CountingHold] = []
        self._refuse = dict(refuse or {})
        self._asked = 0

    async def reserve(self, info: ModelInfo, request: ModelRequest) -> Hold:
        self._asked += 1
        if error := self._refuse.get(self._asked - 1):
            raise error
        hold = CountingHold(info.ref)
        self.holds.append(hold)
        return hold

    def balanced(self) -> bool:
        """Every hold ended exactly once."""
        return all(len(hold.ends) == 1 for hold in self.holds)


class CountingHold:
    """One hold; `ends` gets a Usage for a settlement, None for a release."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        self.ends: list[Usage | None] = []

    async def settle(self, usage: Usage) -> None:
        self.ends.append(usage)

    async def release(self) -> None:
        self.ends.append(None)


class StuckPurse(CountingPurse):
    """Its holds are never given back."""

    async def reserve(self, info: ModelInfo, request: ModelRequest) -> Hold:
        return StuckHold(info.ref)


class StuckHold(CountingHold):
    """Waits for ever."""

    async def release(self) -> None:
        await asyncio.Event().wait()


def profiles(folder: Path, names: Sequence[str]) -> None:
    """Write a file of credentials, `provider:name` each."""
    rows = {name: {"type": "api_key", "provider": name.partition(":")[0], "key": f"key-of-{name}"} for name in names}
    path = folder / "auth-profiles.json"
    path.write_text(json.dumps({"version": 1, "profiles": rows}))
    path.chmod(0o600)


def credentials(
    clock: ManualClock, folder: Path = Path("/nonexistent"), heard: list[Secret] | None = None
) -> Credentials:
    """Return the credentials of a folder, read."""
    found = Credentials(folder, clock=clock, on_secret=(heard if heard is not None else []).append)
    found.load()
    return found


def failover(models: ScriptedModels, folder: Path = Path("/nonexistent")) -> Failover:
    """Return a failover over scripted models, without jitter's chance."""
    return Failover(models, credentials(models.clock, folder), models.clock, lambda: 0.5)


def plan(*refs: str, purse: Purse | None = None, stream: bool = True) -> CallPlan:
    """Return a plan for a short question."""
    return CallPlan(
        refs=refs, request=lambda info: ModelRequest(model=info.id, messages=(user("Hi"),)), purse=purse, stream=stream
    )


async def answer(caller: Failover, wanted: CallPlan, attempts: list[Attempt] | None = None) -> Message:
    """Work a plan and return the last attempt's message."""
    return (await collect(caller.call(wanted, attempts if attempts is not None else []))).message


async def seen(caller: Failover, wanted: CallPlan, into: list[ModelEvent], attempts: list[Attempt]) -> None:
    """Work a plan and keep every event, also of a call that fails."""
    async with aclosing(caller.call(wanted, attempts)) as batches:
        async for batch in batches:
            into.extend(batch)


async def settle(rounds: int = 20) -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def in_time(clock: ManualClock, work: Awaitable[T]) -> T:
    """Await work, moving the clock to the next sleeper whenever nothing else can happen."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await settle()
        waiting = [due for due, _, future in clock._sleepers if not future.done()]
        if not task.done() and waiting:
            clock.advance(min(waiting) - clock.monotonic_s())
    return await task
