"""What every wire client offers. A client knows one wire format and nothing of agents."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult


class LLMClient(Protocol):
    """One wire API of one provider.

    Raises: the ModelError classes, each with provider and model in its details; never a library's own exception.
    """

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Yield events in batches: all that one network read completed, so that a hot stream costs little.

        Shape: the last event of the last batch is ModelFinish, exactly once. Closing the generator (or cancelling the
        task that iterates it) drops the connection, so that the provider stops generating.
        """
        ...

    async def generate(self, request: ModelRequest) -> ModelResult:
        """Return the whole answer of one non-streamed call."""
        ...

    async def list_models(self) -> list[ModelInfo]:
        """Return the models that the provider names, with the profile we know for each."""
        ...

    async def get_metadata(self, model: str) -> ModelInfo:
        """Return one model's profile. Raises: ModelNotFound."""
        ...

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return the prompt's size in tokens: exact where the provider can tell, else an estimate from above."""
        ...

    async def close(self) -> None:
        """Let go of connections and child processes."""
        ...
