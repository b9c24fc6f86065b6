"""The plainest caller: one model, one try. For tests of agents and actions, where a retry would hide what happened."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol

from openclaw.base.errors import ModelError
from openclaw.base.model import ModelEvent, ModelInfo
from openclaw.models.call import Attempt, CallPlan
from openclaw.models.client import LLMClient


class Resolved(Protocol):
    """A model and its client."""

    @property
    def client(self) -> LLMClient: ...

    @property
    def info(self) -> ModelInfo: ...


class Resolver(Protocol):
    """Finds models (models.registry.ModelRegistry)."""

    def resolve(self, ref: str) -> Resolved: ...


class SingleCaller:
    """Implements ModelCaller for the first model of a plan. Always streams; money is not looked at."""

    def __init__(self, models: Resolver) -> None:
        self._models = models

    async def call(self, plan: CallPlan, attempts: list[Attempt]) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See ModelCaller."""
        ref = plan.refs[0]
        found = self._models.resolve(ref)
        if plan.on_attempt is not None:
            plan.on_attempt(found.info)
        try:
            async with aclosing(found.client.stream(plan.request(found.info))) as stream:
                async for batch in stream:
                    yield batch
        except ModelError as error:
            attempts.append(Attempt(ref=ref, error_code=error.code, message=error.message))
            raise
        attempts.append(Attempt(ref=ref))
