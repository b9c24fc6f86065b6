"""The client of the Messages API."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from urllib.parse import quote

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelAuth, ModelBadRequest, ModelError
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult
from openclaw.base.secret import Secret
from openclaw.base.thinking import with_thought
from openclaw.config.schema import ModelTimeouts
from openclaw.models.anthropic.parser import MessagesParser
from openclaw.models.anthropic.request import REDACTED, body, has_thinking, prompt, without_thinking
from openclaw.models.anthropic.wire import Answer, Block, ListedModel, ModelList, TokenCount, UsageTally, finish_reason
from openclaw.models.api import ANTHROPIC_URL
from openclaw.models.catalog import Catalog
from openclaw.models.tokens import estimate_tokens
from openclaw.models.transport.failure import described
from openclaw.models.transport.wire import Wire
from openclaw.net.http import HttpClient

API_VERSION = "2023-06-01"
SETUP_TOKEN_PREFIX = "sk-ant-oat"  # noqa: S105  # a prefix, not a secret
LEAST_ANSWER_TOKENS = 1_024
_THINKING = re.compile(r"thinking|effort|output_config")
_read_answer = msgspec.json.Decoder(Answer).decode
_read_model = msgspec.json.Decoder(ListedModel).decode
_read_models = msgspec.json.Decoder(ModelList).decode
_read_count = msgspec.json.Decoder(TokenCount).decode


class AnthropicClient:
    """Speaks the Messages API with Anthropic or a compatible server.

    Shape: `base_url` with or without `/v1`; `key` is an API key or a setup token (`sk-ant-oat…`, sent as Bearer).
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        clock: Clock,
        catalog: Catalog,
        provider: str = "anthropic",
        base_url: str = ANTHROPIC_URL,
        key: Secret | None = None,
        timeouts: ModelTimeouts | None = None,
    ) -> None:
        self._catalog = catalog
        self._wire = Wire(
            provider=provider,
            base_url=base_url.rstrip("/").removesuffix("/v1") + "/v1",
            headers={"anthropic-version": API_VERSION, **_credential(key)},
            key=key,
            timeouts=timeouts or ModelTimeouts(),
            http=http,
            clock=clock,
        )

    def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        return self._stream_forgivingly(request) if has_thinking(request) else self._stream(request)

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        try:
            return await self._generate(request)
        except ModelBadRequest as error:
            if not _is_about_thinking(error, request):
                raise
        return await self._generate(without_thinking(request))

    def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        parser = MessagesParser(request.model, self._wire.failures)
        return self._wire.stream(request.model, "/messages", self._body(request, stream=True), parser)

    async def _stream_forgivingly(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """Thinking is bound to its model and conversation: after a change of either it is refused for good.

        The conversation must not end with that, so it goes on without its old thinking. The same helps where a model
        refuses the level that it was asked for, or wants the thoughts before a tool call that another model made.
        """
        for asked in (request, without_thinking(request)):
            try:
                async with aclosing(self._stream(asked)) as source:
                    async for events in source:
                        yield events
            except ModelBadRequest as error:
                if not _is_about_thinking(error, asked):
                    raise
            else:
                return

    async def _generate(self, request: ModelRequest) -> ModelResult:
        model = request.model
        answer = await self._wire.post(model, "/messages", self._body(request, stream=False), _read_answer)
        if answer.error is not None:
            raise self._wire.failures.told(model, *described(answer.error), status=200)
        if answer.content is None or answer.stop_reason is None:
            raise self._wire.failures.protocol(model, "the answer has no content or no stop_reason")
        parts = [part for block in answer.content if (part := _part(block)) is not None]
        if any(isinstance(part, ToolCall) and not (part.id and part.name) for part in parts):
            raise self._wire.failures.protocol(model, "a tool call has no id or no name")
        tally = UsageTally()
        tally.take(answer.usage)
        message = Message("assistant", tuple(parts))
        return ModelResult(message, tally.total(), finish_reason(answer.stop_reason), answer.model or model)

    async def list_models(self) -> list[ModelInfo]:
        """See LLMClient."""
        listed = await self._wire.get("*", "/models?limit=1000", _read_models)
        return [self._listed(model) for model in listed.data]

    async def get_metadata(self, model: str) -> ModelInfo:
        """Return what the provider tells of a model, the rest from the catalogue. Raises: ModelError."""
        return self._listed(await self._wire.get(model, f"/models/{quote(model, safe='')}", _read_model))

    async def count_tokens(self, request: ModelRequest) -> int:
        """Ask the provider; estimate when it cannot tell. Raises: ModelAuth."""
        asked = {"model": request.model, **prompt(request)}
        try:
            count = await self._wire.post(request.model, "/messages/count_tokens", asked, _read_count)
        except ModelAuth:
            raise
        except ModelError:
            return estimate_tokens(request)
        return count.input_tokens

    async def close(self) -> None:
        """Nothing to let go of: connections belong to the shared HTTP client."""

    def _body(self, request: ModelRequest, *, stream: bool) -> object:
        info = self._catalog.info(self._wire.provider, request.model)
        asked = request.max_tokens
        return body(
            request,
            stream=stream,
            max_tokens=with_thought(asked, request.thinking, info.max_output_tokens) if asked else self._room(request),
            fixed_temperature=self._catalog.fixed_temperature(request.model),
            adaptive=info.adaptive_thinking,
        )

    def _room(self, request: ModelRequest) -> int:
        """The API demands max_tokens, and refuses prompts that leave no room for it."""
        info = self._catalog.info(self._wire.provider, request.model)
        left = info.context_tokens - estimate_tokens(request)
        return min(info.max_output_tokens, max(left, LEAST_ANSWER_TOKENS))

    def _listed(self, model: ListedModel) -> ModelInfo:
        info = self._catalog.info(self._wire.provider, model.id)
        return msgspec.structs.replace(
            info,
            id=model.id,
            name=model.display_name or info.name,
            context_tokens=model.max_input_tokens or info.context_tokens,
            max_output_tokens=model.max_tokens or info.max_output_tokens,
        )


def _credential(key: Secret | None) -> dict[str, str]:
    if not key:
        return {}
    value = key.reveal()
    if value.startswith(SETUP_TOKEN_PREFIX):
        return {"Authorization": f"Bearer {value}", "anthropic-beta": "oauth-2025-04-20"}
    return {"x-api-key": value}


def _is_about_thinking(error: ModelBadRequest, request: ModelRequest) -> bool:
    return error.details.get("status") == 400 and _THINKING.search(error.message) is not None and has_thinking(request)


def _part(block: Block) -> Part | None:
    match block.type:
        case "text":
            return TextPart(block.text) if block.text else None
        case "tool_use":
            return ToolCall(block.id, block.name, block.arguments)
        case "thinking":
            return ThinkingPart(block.thinking, block.signature)
        case "redacted_thinking":
            return ThinkingPart("", REDACTED + block.data)
        case _:
            return None
