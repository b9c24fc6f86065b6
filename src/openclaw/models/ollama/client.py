"""The client of Ollama's native API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelBadRequest, ModelNotFound, ModelUnreachable
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.catalog import Catalog
from openclaw.models.ollama.host import BASE_URL
from openclaw.models.ollama.parser import OllamaParser
from openclaw.models.ollama.request import body
from openclaw.models.ollama.wire import Chunk, Function, ModelList, Shown, finish_reason
from openclaw.models.ollama.wire import Message as WireMessage
from openclaw.models.tokens import estimate_tokens
from openclaw.models.transport.failure import described
from openclaw.models.transport.ndjson import LineSplitter
from openclaw.models.transport.wire import Framing, Wire
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient
from openclaw.net.target import target

FIRST_TOKEN_MS = 300_000
"""A model that is not loaded yet is read from disk first, and a long prompt takes a small machine minutes."""
_LINES = Framing(LineSplitter, ("application/x-ndjson", "application/json-lines", ""))
_read_chunk = msgspec.json.Decoder(Chunk).decode
_read_models = msgspec.json.Decoder(ModelList).decode
_read_shown = msgspec.json.Decoder(Shown).decode


class OllamaClient:
    """Speaks /api/chat with an Ollama server.

    Shape: `base_url` is its origin, with or without `/api`; `num_ctx` 0 = what the catalogue reckons with. Default
    timeouts are stretched to FIRST_TOKEN_MS.
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        clock: Clock,
        catalog: Catalog,
        provider: str = "ollama",
        base_url: str = BASE_URL,
        key: Secret | None = None,
        timeouts: ModelTimeouts | None = None,
        num_ctx: int = 0,
        keep_alive: str = "",
    ) -> None:
        root = base_url.rstrip("/").removesuffix("/api").removesuffix("/v1")
        self._catalog = catalog
        self._num_ctx = num_ctx
        self._keep_alive = keep_alive
        self._wire = Wire(
            provider=provider,
            base_url=f"{root}/api",
            headers={"Authorization": f"Bearer {key.reveal()}"} if key else {},
            key=key,
            timeouts=_patient(timeouts or ModelTimeouts()),
            http=http,
            clock=clock,
            framing=_LINES,
            hints={
                ModelNotFound: "Run `ollama pull {model}` on the machine that Ollama runs on.",
                ModelUnreachable: f"Is Ollama running at {_shown_origin(root)}? Start it with `ollama serve`, "
                f"or set OLLAMA_HOST or models.providers.{provider}.baseUrl.",
                ModelBadRequest: "If the model cannot call tools or see images, say so in its entry under "
                f"models.providers.{provider}.models.",
            },
        )

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        parser = OllamaParser(request.model, self._wire.failures)
        return self._wire.stream(request.model, "/chat", self._body(request, stream=True), parser)

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        model = request.model
        answer = await self._wire.post(model, "/chat", self._body(request, stream=False), _read_answer)
        if answer.error is not None:
            raise self._wire.failures.told(model, *described(answer.error), status=200)
        if answer.message is None or not answer.done:
            raise self._wire.failures.protocol(model, "the answer has no message or is not done")
        message = Message("assistant", _parts(answer.message))
        if any(not call.name for call in message.tool_calls):
            raise self._wire.failures.protocol(model, "a tool call has no name")
        reason = finish_reason(answer.done_reason, bool(message.tool_calls))
        return ModelResult(message, answer.usage(), reason, answer.model or model)

    async def list_models(self) -> list[ModelInfo]:
        """Return the models that are pulled."""
        listed = await self._wire.get("*", "/tags", _read_models)
        names = [row.model or row.name for row in listed.models or ()]
        return [self._catalog.info(self._wire.provider, name) for name in names if name]

    async def get_metadata(self, model: str) -> ModelInfo:
        """Return what the server knows of a model: its abilities, and its context as far as it will be loaded."""
        shown = await self._wire.post(model, "/show", {"model": model}, _read_shown)
        info = self._catalog.info(self._wire.provider, model)
        context = self._num_ctx or info.context_tokens
        abilities = shown.capabilities
        return msgspec.structs.replace(
            info,
            context_tokens=min(context, shown.context_tokens or context),
            tools=info.tools if abilities is None else "tools" in abilities,
            images=info.images if abilities is None else "vision" in abilities,
            reasoning=info.reasoning if abilities is None else "thinking" in abilities,
        )

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return an estimate from above: the wire has no way to ask."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """Nothing to let go of: connections belong to the shared HTTP client."""

    def _body(self, request: ModelRequest, *, stream: bool) -> object:
        num_ctx = self._num_ctx or self._catalog.info(self._wire.provider, request.model).context_tokens
        return body(request, stream=stream, num_ctx=num_ctx, keep_alive=self._keep_alive)


def _read_answer(raw: bytes) -> Chunk:
    """Arguments are read late: what is wrong with them must come to light while the answer is read."""
    answer = _read_chunk(raw)
    if answer.message is not None:
        _parts(answer.message)
    return answer


def _parts(message: WireMessage) -> tuple[Part, ...]:
    out: list[Part] = []
    if message.thinking:
        out.append(ThinkingPart(message.thinking))
    if message.content:
        out.append(TextPart(message.content))
    for call in message.tool_calls or ():
        function = call.function or Function()
        out.append(ToolCall(call.call_id, function.name, function.arguments_text))
    return tuple(out)


def _patient(timeouts: ModelTimeouts) -> ModelTimeouts:
    if timeouts != ModelTimeouts():
        return timeouts
    return msgspec.structs.replace(timeouts, first_token_ms=FIRST_TOKEN_MS)


def _shown_origin(url: str) -> str:
    """The address without what must not be shown; the check of addresses refuses it later if it is none."""
    try:
        return target(url).origin
    except NetError:
        return "its address"
