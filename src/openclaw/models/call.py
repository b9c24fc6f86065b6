"""One wish for an answer, and what it takes to get it: models to try in order, money, and the story of each attempt."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

import msgspec

from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, Usage


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of one model with one credential, and how it ended."""

    ref: str
    """`provider/model`."""
    credential: str = ""
    """Name of the credential, never its value."""
    error_code: str = ""
    """Empty for the try that succeeded."""
    message: str = ""
    waited_s: float = 0.0
    took_ms: int = 0


class Hold(Protocol):
    """Money set aside for one attempt."""

    async def settle(self, usage: Usage) -> None:
        """Pay for what was used."""
        ...

    async def release(self) -> None:
        """Give it back: the provider never worked."""
        ...


class Purse(Protocol):
    """Where the money of a run comes from (agent.budget)."""

    async def reserve(self, info: ModelInfo, request: ModelRequest) -> Hold:
        """Set aside the most that the call can cost. Raises: BudgetExceeded."""
        ...


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to call. `request` builds the request for whichever model is tried; it may raise ModelContextOverflow.

    `refs` are tried in order: the primary first. `stream` False asks for the whole answer at once.
    """

    refs: tuple[str, ...]
    request: Callable[[ModelInfo], ModelRequest]
    purse: Purse | None = None
    stream: bool = True
    on_attempt: Callable[[ModelInfo], None] | None = None
    """Told before each attempt which model is asked. What was yielded before it (tool calls and thoughts, never text)
    belongs to an attempt that failed: start collecting anew."""
    agent_id: str = ""
    """Whose credentials come before the shared ones."""


class ModelCaller(Protocol):
    """Calls models by a plan (models.failover)."""

    def call(self, plan: CallPlan, attempts: list[Attempt]) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Yield the events of the first attempt that succeeds, as LLMClient.stream does; note every attempt.

        An attempt that fails after text was yielded is never repeated. Raises: the ModelError of the last attempt, its
        message naming every attempt and `details["attempts"]` listing them; BudgetExceeded; ModelContextOverflow (at
        once: the caller makes the conversation smaller and calls again).
        """
        ...
