"""The client of the Chat Completions API."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from urllib.parse import urlsplit

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelBadRequest, ModelNotFound
from openclaw.base.ids import new_id
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult, Usage
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.api import OPENAI_URL
from openclaw.models.catalog import Catalog
from openclaw.models.openai.parser import ChatParser
from openclaw.models.openai.request import body
from openclaw.models.openai.wire import Chunk, Delta, ModelList, finish_reason
from openclaw.models.tokens import estimate_tokens
from openclaw.models.transport.failure import described
from openclaw.models.transport.wire import Wire
from openclaw.net.http import HttpClient
from openclaw.net.way import Purpose

_EFFORT = re.compile(r"reasoning|effort", re.IGNORECASE)
_read_chunk = msgspec.json.Decoder(Chunk).decode
_read_models = msgspec.json.Decoder(ModelList).decode


class OpenAIClient:
    """Speaks Chat Completions with OpenAI or any compatible server.

    Shape: `base_url` is the API's root with its version, or a bare origin, which then gets `/v1`.
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        clock: Clock,
        catalog: Catalog,
        provider: str = "openai",
        base_url: str = OPENAI_URL,
        key: Secret | None = None,
        timeouts: ModelTimeouts | None = None,
        headers: Mapping[str, str] | None = None,
        purpose: Purpose = "inference",
    ) -> None:
        root = base_url.rstrip("/")
        parts = urlsplit(root)
        self._official = parts.hostname == "api.openai.com"
        self._catalog = catalog
        self._wire = Wire(
            provider=provider,
            base_url=root if parts.path else f"{root}/v1",
            headers={**({"Authorization": f"Bearer {key.reveal()}"} if key else {}), **(headers or {})},
            key=key,
            timeouts=timeouts or ModelTimeouts(),
            http=http,
            clock=clock,
            purpose=purpose,
        )

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        return self._stream_forgivingly(request) if request.thinking else self._stream(request)

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        try:
            return await self._generate(request)
        except ModelBadRequest as error:
            if not is_about_effort(error, request):
                raise
        return await self._generate(unhurried(request))

    async def _stream_forgivingly(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Which models take which effort, and with tools at all, changes from one to the next: a refused one is not
        the end, the model then thinks as it does."""
        for asked in (request, unhurried(request)):
            try:
                async with aclosing(self._stream(asked)) as source:
                    async for events in source:
                        yield events
            except ModelBadRequest as error:
                if not is_about_effort(error, asked):
                    raise
            else:
                return

    def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        parser = ChatParser(request.model, self._wire.failures)
        return self._wire.stream(request.model, "/chat/completions", self._body(request, stream=True), parser)

    async def _generate(self, request: ModelRequest) -> ModelResult:
        model = request.model
        answer = await self._wire.post(model, "/chat/completions", self._body(request, stream=False), _read_chunk)
        if answer.error is not None:
            raise self._wire.failures.told(model, *described(answer.error), status=200)
        message = answer.choices[0].message if answer.choices else None
        if message is None or not answer.choices:
            raise self._wire.failures.protocol(model, "the answer has no message")
        reason = answer.choices[0].finish_reason
        if reason is None or reason == "error":
            raise self._wire.failures.protocol(model, "the provider broke the answer off")
        parts = _parts(message)
        if any(isinstance(part, ToolCall) and not part.name for part in parts):
            raise self._wire.failures.protocol(model, "a tool call has no name")
        result = Message("assistant", parts)
        usage = answer.usage.usage() if answer.usage else Usage()
        return ModelResult(result, usage, finish_reason(reason, bool(result.tool_calls)), answer.model or model)

    async def list_models(self) -> list[ModelInfo]:
        """See LLMClient."""
        listed = await self._wire.get("*", "/models", _read_models)
        return [self._catalog.info(self._wire.provider, model.id) for model in listed.data]

    async def get_metadata(self, model: str) -> ModelInfo:
        """Return the profile from the catalogue, if the provider lists the model. Raises: ModelNotFound."""
        for info in await self.list_models():
            if info.id == model:
                return info
        raise ModelNotFound(
            f"{self._wire.provider} lists no model {model!r}",
            details={"provider": self._wire.provider, "model": model},
        )

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return an estimate from above: the wire has no way to ask."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """Nothing to let go of: connections belong to the shared HTTP client."""

    def _body(self, request: ModelRequest, *, stream: bool) -> object:
        return body(
            request,
            stream=stream,
            official=self._official,
            fixed_temperature=self._catalog.fixed_temperature(request.model),
            efforts=self._catalog.info(self._wire.provider, request.model).efforts,
        )


def is_about_effort(error: ModelBadRequest, request: ModelRequest) -> bool:
    """Say whether a request was refused for how much thought it asked for."""
    return bool(request.thinking) and error.details.get("status") == 400 and bool(_EFFORT.search(error.message))


def unhurried(request: ModelRequest) -> ModelRequest:
    """Return the request without a word on how much to think."""
    return msgspec.structs.replace(request, thinking="")


def _parts(message: Delta) -> tuple[Part, ...]:
    out: list[Part] = []
    if thought := message.reasoning_content or message.reasoning:
        out.append(ThinkingPart(thought))
    if text := message.content or message.refusal:
        out.append(TextPart(text))
    for call in message.tool_calls or ():
        name = (call.function and call.function.name) or ""
        arguments = (call.function and call.function.arguments) or ""
        out.append(ToolCall(call.id or f"call_{new_id()}", name, arguments.strip() or "{}"))
    return tuple(out)
