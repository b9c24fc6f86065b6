"""The client of Amazon Bedrock's runtime."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ModelAuth, ModelBadRequest, ModelError, ModelUnavailable
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelInfo, ModelRequest, ModelResult, Usage
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.bedrock import invoke
from openclaw.models.bedrock.listing import listed
from openclaw.models.bedrock.model_id import ModelId, cache_marks, model_id, profile_ids
from openclaw.models.bedrock.parser import ConverseParser, InvokeParser, stopped
from openclaw.models.bedrock.request import body, has_reasoning, prompt, without_reasoning
from openclaw.models.bedrock.signing import Auth
from openclaw.models.bedrock.transport import AWS, Endpoints, Transport
from openclaw.models.bedrock.wire import REDACTED, Answer, Block, TokenCount, finish_reason
from openclaw.models.catalog import Catalog
from openclaw.models.tokens import estimate_tokens
from openclaw.net.http import HttpClient

_REASONING = re.compile(r"thinking|reasoning|effort|output_config", re.IGNORECASE)
_read_answer = msgspec.json.Decoder(Answer).decode
_read_count = msgspec.json.Decoder(TokenCount).decode
_read_object = msgspec.json.Decoder(dict[str, Any]).decode


class BedrockClient:
    """Speaks Converse, and InvokeModel with imported models.

    Shape: model ids as `model_id` reads them; `region` serves those that name none, "" asks the credential's profile.
    """

    def __init__(
        self,
        *,
        http: HttpClient,
        clock: Clock,
        catalog: Catalog,
        auth: Auth,
        provider: str = "bedrock",
        endpoints: Endpoints = AWS,
        region: str = "",
        key: Secret | None = None,
        timeouts: ModelTimeouts | None = None,
    ) -> None:
        self._catalog = catalog
        self._auth = auth
        self._region = region
        self._provider = provider
        self._transport = Transport(
            provider=provider,
            endpoints=endpoints,
            auth=auth,
            key=key,
            timeouts=timeouts or ModelTimeouts(),
            http=http,
            clock=clock,
        )

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient.

        Reasoning is bound to its model and conversation: after a change of either it is refused for good. The
        conversation must not end with that, so it goes on without its old reasoning.
        """
        tries = (request, without_reasoning(request)) if has_reasoning(request) else (request,)
        for attempt in tries:
            try:
                async with aclosing(self._stream(attempt)) as source:
                    async for events in source:
                        yield events
            except ModelBadRequest as error:
                if not _is_about_reasoning(error, attempt):
                    raise
            else:
                return

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        try:
            return await self._generate(request)
        except ModelBadRequest as error:
            if not _is_about_reasoning(error, request):
                raise
        return await self._generate(without_reasoning(request))

    async def list_models(self) -> list[ModelInfo]:
        """Ask the control plane; a credential that may not list gets what the catalog knows."""
        try:
            return await listed(self._transport, await self._region_of(model_id("*")), self._catalog)
        except ModelAuth:
            if known := self._catalog.models(self._provider):
                return known
            raise

    async def get_metadata(self, model: str) -> ModelInfo:
        """Return the profile from the catalog."""
        return self._catalog.info(self._provider, model)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Ask CountTokens; estimate for the models it does not know. Raises: ModelAuth, ModelUnavailable."""
        asked = model_id(request.model)
        if not asked.base:
            return estimate_tokens(request)
        try:
            region = await self._region_of(asked)
            # It knows base models only, not the profiles over them.
            path = f"/model/{asked._replace(id=asked.base).path}/count-tokens"
            counted = {"input": {"converse": prompt(request)}}
            count, _ = await self._transport.post(asked.id, region, path, counted, _read_count)
        except ModelUnavailable:
            raise
        except ModelError as error:
            # A credential may be allowed to call models and not to count for them.
            if isinstance(error, ModelAuth) and error.details.get("awsError") != "AccessDeniedException":
                raise
            return estimate_tokens(request)
        return count.input_tokens

    async def close(self) -> None:
        """Nothing to let go of: connections belong to the shared HTTP client."""

    async def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        asked, transport = model_id(request.model), self._transport
        region = await self._region_of(asked)
        if asked.api == "invoke":
            path = f"/model/{asked.path}/invoke-with-response-stream"
            chat = InvokeParser(asked.id, transport.failures)
            source = transport.stream(asked.id, region, path, self._invoke_body(request, stream=True), chat)
        else:
            path = f"/model/{asked.path}/converse-stream"
            parser = ConverseParser(asked.id, transport.failures)
            source = transport.stream(asked.id, region, path, self._body(request, asked), parser)
        async with aclosing(source):
            async for events in source:
                yield events

    async def _generate(self, request: ModelRequest) -> ModelResult:
        asked, transport = model_id(request.model), self._transport
        region = await self._region_of(asked)
        if asked.api == "invoke":
            invoked = self._invoke_body(request, stream=False)
            found, headers = await transport.post(
                asked.id, region, f"/model/{asked.path}/invoke", invoked, _read_object
            )
            return invoke.result(asked.id, transport.failures, found, headers)
        answer, headers = await transport.post(
            asked.id, region, f"/model/{asked.path}/converse", self._body(request, asked), _read_answer
        )
        return self._result(asked.id, answer)

    async def _region_of(self, asked: ModelId) -> str:
        region = asked.region or self._region or await self._auth.region(asked.id)
        if region:
            return region
        raise ModelUnavailable(
            f"{self._provider}/{asked.id}: no AWS region",
            hint=f"Set AWS_REGION or models.providers.{self._provider}.region.",
            details={"provider": self._provider, "model": asked.id},
        )

    def _body(self, request: ModelRequest, asked: ModelId) -> object:
        info = self._catalog.info(self._provider, request.model)
        return body(
            request,
            cache_marks=cache_marks(asked.base),
            fixed_temperature=self._fixed(request.model),
            base=asked.base,
            max_output_tokens=info.max_output_tokens,
            adaptive=info.adaptive_thinking,
        )

    def _invoke_body(self, request: ModelRequest, *, stream: bool) -> object:
        return invoke.body(request, stream=stream, fixed_temperature=False)

    def _fixed(self, model: str) -> bool:
        return any(self._catalog.fixed_temperature(name) for name in profile_ids(model))

    def _result(self, model: str, answer: Answer) -> ModelResult:
        failures = self._transport.failures
        said = answer.output.message if answer.output else None
        if said is None or said.content is None or answer.stop_reason is None:
            raise failures.protocol(model, "the answer has no content or no stopReason")
        if error := stopped(model, failures, answer.stop_reason):
            raise error
        parts = tuple(part for block in said.content if (part := _part(block)) is not None)
        if any(isinstance(part, ToolCall) and not (part.id and part.name) for part in parts):
            raise failures.protocol(model, "a tool call has no id or no name")
        usage = answer.usage.usage() if answer.usage else Usage()
        return ModelResult(Message("assistant", parts), usage, finish_reason(answer.stop_reason), model)


def _is_about_reasoning(error: ModelBadRequest, request: ModelRequest) -> bool:
    refused = error.details.get("status") == 400 and _REASONING.search(error.message) is not None
    return refused and has_reasoning(request)


def _part(block: Block) -> Part | None:
    if block.text:
        return TextPart(block.text)
    if (call := block.tool_use) is not None:
        return ToolCall(call.tool_use_id, call.name, bytes(call.input).decode())
    thought = block.reasoning_content
    if thought is None:
        return None
    if thought.redacted_content:
        return ThinkingPart("", REDACTED + thought.redacted_content)
    if (told := thought.reasoning_text) is not None:
        return ThinkingPart(told.text, told.signature or "")
    return None
