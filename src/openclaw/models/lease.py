"""A client that may be replaced while it is in use: it closes when its last call has ended."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult
from openclaw.models.client import LLMClient


class LeasedClient:
    """Counts the calls of a client. After `retire` it still serves what has begun, and closes after that."""

    def __init__(self, client: LLMClient) -> None:
        self._client = client
        self._calls = 0
        self._retired = False
        self._closed = False

    @property
    def calls(self) -> int:
        """How many calls are going on."""
        return self._calls

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        self._calls += 1
        try:
            async with aclosing(self._client.stream(request)) as source:
                async for events in source:
                    yield events
        finally:
            await self._leave()

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        self._calls += 1
        try:
            return await self._client.generate(request)
        finally:
            await self._leave()

    async def list_models(self) -> list[ModelInfo]:
        """See LLMClient."""
        return await self._client.list_models()

    async def get_metadata(self, model: str) -> ModelInfo:
        """See LLMClient."""
        return await self._client.get_metadata(model)

    async def count_tokens(self, request: ModelRequest) -> int:
        """See LLMClient."""
        return await self._client.count_tokens(request)

    async def retire(self) -> None:
        """Close now if idle, else when the last call ends."""
        self._retired = True
        if not self._calls:
            await self.close()

    async def close(self) -> None:
        """Close now, whatever goes on. Safe to call twice."""
        if not self._closed:
            self._closed = True
            await self._client.close()

    async def _leave(self) -> None:
        self._calls -= 1
        if self._retired and not self._calls:
            await self.close()
