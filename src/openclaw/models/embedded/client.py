"""The provider `embedded`: models that run on this machine, each in a process of its own (see server.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import ModelBadRequest, ModelNotFound, ModelUnavailable
from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import ModelEntry, ModelTimeouts
from openclaw.models.catalog import Catalog
from openclaw.models.client import LLMClient
from openclaw.models.embedded.constrained import ConstrainedClient, shape
from openclaw.models.embedded.local_model import KNOWN, LocalModel, local_model
from openclaw.models.embedded.server import COMMAND, ModelServer
from openclaw.models.openai.client import OpenAIClient
from openclaw.models.tokens import estimate_tokens
from openclaw.net.http import HttpClient
from openclaw.processes.spawner import Spawner

MAX_LOADED = 2
"""Models in memory at once; a third replaces the one used longest ago, when that one's answers have ended."""
TIMEOUTS = ModelTimeouts(connect_ms=5_000, first_token_ms=300_000, idle_ms=120_000, total_ms=1_200_000)
"""A long prompt takes a small machine minutes before the first word."""


class EmbeddedClient:
    """Runs local models. Implements LLMClient.

    `model_path_of` finds a model's file, `names` lists the models on the shelf besides the known ones. `models` are the
    provider's configured entries: they set size and abilities of files that the user brought.
    """

    def __init__(
        self,
        model_path_of: Callable[[str], Path | None],
        http: HttpClient,
        spawner: Spawner,
        clock: Clock,
        *,
        provider: str = "embedded",
        names: Callable[[], Iterable[str]] = tuple,
        models: Iterable[ModelEntry] = (),
        timeouts: ModelTimeouts | None = None,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._path_of = model_path_of
        self._http = http
        self._spawner = spawner
        self._clock = clock
        self._provider = provider
        self._names = names
        self._entries = {entry.id: entry for entry in models}
        self._timeouts = timeouts if timeouts is not None and timeouts != ModelTimeouts() else TIMEOUTS
        self._command = command
        self._catalog = Catalog()
        self._tasks = TaskSet("embedded")
        self._servers: BoundedMap[str, ModelServer] = BoundedMap("loaded models", MAX_LOADED, self._evict)
        self._closed = False

    async def warm(self, model: str) -> None:
        """Load a model now, so that the first question need not wait. Raises: ModelUnavailable, ModelNotFound."""
        await self._server(model).ready()

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        server = self._server(request.model)
        fitted = self._fitted(request, server.model)
        async with server.use() as client:
            source = client.stream(fitted)
            try:
                async for events in source:
                    yield events
            finally:
                await source.aclose()

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        server = self._server(request.model)
        async with server.use() as client:
            return await client.generate(self._fitted(request, server.model))

    async def list_models(self) -> list[ModelInfo]:
        """Return the known models and those on the shelf; one whose file is missing is not `available`."""
        return [await self.get_metadata(name) for name in dict.fromkeys((*KNOWN, *self._names()))]

    async def get_metadata(self, model: str) -> ModelInfo:
        """See LLMClient."""
        path = self._path_of(model)
        if path is None and model not in KNOWN:
            raise self._unknown(model)
        return self._local(model).info(self._provider, available=path is not None)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return an estimate from above, with what leading it and tool use add to the prompt."""
        led = self._local(request.model).led(request)
        return estimate_tokens(shape(led)[0] if led.tools else led)

    async def close(self) -> None:
        """Stop every model process."""
        self._closed = True
        servers = self._servers.values()
        self._servers.clear()
        await asyncio.gather(*(server.stop() for server in servers))
        await self._tasks.close()

    def _server(self, name: str) -> ModelServer:
        path = self._path_of(name)
        if path is None:
            if name in KNOWN:
                raise ModelUnavailable(
                    f"the local model {name} is not on this machine", hint=f"Run `openclaw models pull {name}`."
                )
            raise self._unknown(name)
        if self._closed:
            raise ModelUnavailable("local models are being stopped")
        server = self._servers.get(name)
        if server is None:
            server = ModelServer(
                self._local(name), path, self._spawner, self._clock, self._connect, command=self._command
            )
            self._servers.put(name, server)
        return server

    def _local(self, name: str) -> LocalModel:
        entry = self._entries.get(name)
        if entry is None or name in KNOWN:
            return local_model(name)
        return LocalModel(
            id=name,
            name=entry.name or name,
            context_tokens=entry.context_window,
            max_output_tokens=entry.max_tokens,
            tools=entry.tools,
        )

    def _fitted(self, request: ModelRequest, model: LocalModel) -> ModelRequest:
        if request.tools and not model.tools:
            raise ModelBadRequest(f"the local model {model.id} cannot call tools", hint="Run it without tools.")
        return model.led(request)

    def _connect(self, model: LocalModel, url: str, key: Secret) -> LLMClient:
        kind = ConstrainedClient if model.tools else OpenAIClient
        return kind(
            http=self._http,
            clock=self._clock,
            catalog=self._catalog,
            provider=self._provider,
            base_url=f"{url}/v1",
            key=key,
            timeouts=self._timeouts,
            # llama.cpp ends the connection after a stream although it promised to keep it.
            headers={"Connection": "close"},
            purpose="local",
        )

    def _evict(self, name: str, server: ModelServer) -> None:
        self._tasks.spawn(server.retire(), f"retire-{name}")

    def _unknown(self, name: str) -> ModelNotFound:
        return ModelNotFound(
            f"there is no local model named {name}", hint="`openclaw models list` names those that are there."
        )
