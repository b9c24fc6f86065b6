"""The client of the Responses API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import msgspec

from openclaw.base.ids import new_id
from openclaw.base.message import Message, Part, TextPart, ThinkingPart, ToolCall
from openclaw.base.model import ModelEvent, ModelRequest, ModelResult, Usage
from openclaw.models.openai.client import OpenAIClient
from openclaw.models.openai.responses_parser import ResponseParser
from openclaw.models.openai.responses_request import body
from openclaw.models.openai.responses_wire import Item, Piece, Response, finish_reason
from openclaw.models.transport.failure import described

_read = msgspec.json.Decoder(Response).decode


class ResponsesClient(OpenAIClient):
    """Speaks the Responses API; addresses, credentials and models are those of Chat Completions."""

    def _stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        parser = ResponseParser(request.model, self._wire.failures)
        return self._wire.stream(request.model, "/responses", self._response_body(request, stream=True), parser)

    async def _generate(self, request: ModelRequest) -> ModelResult:
        model = request.model
        answer = await self._wire.post(model, "/responses", self._response_body(request, stream=False), _read)
        if answer.error is not None:
            raise self._wire.failures.told(model, *described(answer.error), status=200)
        if answer.output is None:
            raise self._wire.failures.protocol(model, "the answer has no output")
        message = Message("assistant", tuple(part for item in answer.output for part in _parts(item, model)))
        if any(not call.name for call in message.tool_calls):
            raise self._wire.failures.protocol(model, "a tool call has no name")
        reason = finish_reason(answer, bool(message.tool_calls))
        if reason is None:
            raise self._wire.failures.protocol(model, "the provider broke the answer off")
        usage = answer.usage.usage() if answer.usage else Usage()
        return ModelResult(message, usage, reason, answer.model or model)

    def _response_body(self, request: ModelRequest, *, stream: bool) -> object:
        info = self._catalog.info(self._wire.provider, request.model)
        return body(
            request,
            stream=stream,
            reasoning=info.reasoning,
            efforts=info.efforts,
            fixed_temperature=self._catalog.fixed_temperature(request.model),
        )


def _parts(item: Item, model: str) -> list[Part]:
    match item.type:
        case "message":
            text = _joined(item.content, "")
            return [TextPart(text)] if text else []
        case "function_call":
            arguments = (item.arguments or "").strip() or "{}"
            return [ToolCall(item.call_id or f"call_{new_id()}", item.name or "", arguments)]
        case "reasoning":
            thought = ThinkingPart(_joined(item.summary or item.content, "\n\n"), item.signature(model))
            return [thought] if thought.text or thought.signature else []
        case _:
            return []


def _joined(pieces: Sequence[Piece] | None, between: str) -> str:
    return between.join(piece.text or piece.refusal or "" for piece in pieces or ())
