"""Works a plan: one attempt after the other as the chain decides, with money, waits and the story of each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from random import SystemRandom
from typing import Protocol

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelError, OpenClawError
from openclaw.base.message import TextPart, ThinkingPart, ToolCall
from openclaw.base.model import (
    ModelEvent,
    ModelFinish,
    ModelRequest,
    ModelResult,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from openclaw.models.call import Attempt, CallPlan
from openclaw.models.calling.cooldown import Cooldowns
from openclaw.models.calling.credentials import Credential, Credentials
from openclaw.models.calling.trip import Candidate, Trip
from openclaw.models.client import LLMClient
from openclaw.models.registry import Resolved

_random = SystemRandom().random
OWN_KEY = "configured"
"""Name of a provider's key from configuration or environment where it has other credentials too."""


class Models(Protocol):
    """What failover needs of the model registry."""

    def resolve(self, ref: str, credential: Credential | None = None) -> Resolved:
        """Raises: ModelUnavailable, ModelNotFound."""
        ...

    def full_ref(self, ref: str) -> str:
        """Raises: ModelNotFound."""
        ...

    def has_own_key(self, provider_id: str) -> bool: ...


class Failover:
    """The ModelCaller of the house. Cooldowns and the order of credentials are shared by all its calls.

    Shape: `random` gives numbers in [0, 1), for the jitter of waits.
    """

    def __init__(
        self,
        registry: Models,
        credentials: Credentials,
        clock: Clock,
        random: Callable[[], float] = _random,
    ) -> None:
        self.registry = registry
        self.credentials = credentials
        self.clock = clock
        self.random = random
        self.cooldowns = Cooldowns()

    async def call(self, plan: CallPlan, attempts: list[Attempt]) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See ModelCaller.

        Cancels: at once, waits included; what was set aside for the attempt is settled or released first.
        """
        trip = Trip(self, plan, attempts, self._line(plan))
        while True:
            batch: Sequence[ModelEvent] = ()
            try:
                client, request = await trip.open()
                source = client.stream(request) if plan.stream else _whole(client, request)
                watching = True
                try:
                    async for batch in source:
                        if watching:
                            watching = trip.watch(batch)
                        yield batch
                finally:
                    await source.aclose()
                await trip.arrived(batch)
            except OpenClawError as error:
                await trip.failed(error)
            except BaseException as error:
                await trip.abandoned(batch, error)
                raise
            else:
                return

    def reset(self) -> None:
        """Forget every cooldown: to be called after a reload, which may have mended what failed."""
        self.cooldowns.clear()

    def _line(self, plan: CallPlan) -> list[Candidate]:
        """Return everyone who could be asked, in order: each model with each of its provider's credentials."""
        line: list[Candidate] = []
        for ref in plan.refs if len(plan.refs) == 1 else dict.fromkeys(plan.refs):
            full = ref if "/" in ref else self._full(ref)
            provider = full.partition("/")[0]
            found = self.credentials.of(provider, plan.agent_id)
            if not found:
                line.append(Candidate(full, provider))
                continue
            line.extend(Candidate(full, provider, each.name, each) for each in found)
            if self.registry.has_own_key(provider):
                line.append(Candidate(full, provider, OWN_KEY))
        return line

    def _full(self, ref: str) -> str:
        try:
            return self.registry.full_ref(ref)
        except ModelError:
            return ref  # resolving it fails with the same words, as an attempt


async def _whole(client: LLMClient, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
    """Give the answer of a call that is not streamed the form of one that is: one batch."""
    yield events(await client.generate(request))


def events(result: ModelResult) -> list[ModelEvent]:
    """Return a whole answer as the events that a stream of it would have had."""
    out: list[ModelEvent] = []
    for index, part in enumerate(result.message.parts):
        if isinstance(part, TextPart):
            out.append(TextDelta(part.text))
        elif isinstance(part, ThinkingPart):
            out.append(ThinkingDelta(part.text, part.signature))
        elif isinstance(part, ToolCall):
            out.append(ToolCallDelta(index, part.id, part.name, part.arguments))
    out.append(ModelFinish(result.finish_reason, result.usage, result.model))
    return out
