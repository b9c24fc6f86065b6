"""The answers of `/v1/models` and `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from openclaw.base.errors import InternalError
from openclaw.base.message import ToolCall
from openclaw.base.model import Usage
from openclaw.base.run import Reply
from openclaw.protocol.wire_errors import from_dict

Finish = Literal["stop", "length", "content_filter", "tool_calls"]
_FINISH: Final[dict[str, Finish]] = {"length": "length", "content_filter": "content_filter"}
_encode = msgspec.json.Encoder().encode


class Model(msgspec.Struct, frozen=True):
    """An agent, told as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "openclaw"
    permission: tuple[str, ...] = ()


class ModelList(msgspec.Struct, frozen=True):
    """Every agent."""

    data: list[Model]
    object: Literal["list"] = "list"


class TokenUsage(msgspec.Struct, frozen=True):
    """What a completion used."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class FunctionOut(msgspec.Struct, frozen=True):
    """`arguments` is JSON text exactly as the model wrote it."""

    name: str
    arguments: str


class ToolCallOut(msgspec.Struct, frozen=True):
    """A call that the caller is asked to run."""

    id: str
    function: FunctionOut
    type: Literal["function"] = "function"


class AnswerMessage(msgspec.Struct, frozen=True):
    """What the agent said."""

    role: Literal["assistant"] = "assistant"
    content: str | None = None
    tool_calls: list[ToolCallOut] | msgspec.UnsetType = msgspec.UNSET


class Choice(msgspec.Struct, frozen=True):
    """The one choice."""

    message: AnswerMessage
    finish_reason: Finish
    index: int = 0


class Completion(msgspec.Struct, frozen=True):
    """A whole answer."""

    id: str
    created: int
    model: str
    choices: list[Choice]
    usage: TokenUsage
    object: Literal["chat.completion"] = "chat.completion"


def finish_of(reply: Reply) -> Finish:
    """Return why an answer ended, in OpenAI's words. Calls of our own tools are over by then and not told."""
    return "tool_calls" if reply.client_calls else _FINISH.get(reply.finish_reason, "stop")


def token_usage(usage: Usage) -> TokenUsage:
    """Return what a run used."""
    return TokenUsage(usage.input_tokens, usage.output_tokens, usage.total_tokens)


def raise_failure(reply: Reply) -> None:
    """Raise what made a run fail. An aborted one that said something is an answer that was cut short."""
    if reply.state == "error" or (reply.state == "aborted" and not reply.text):
        raise from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")


def calls_out(calls: Sequence[ToolCall]) -> list[ToolCallOut]:
    """Return calls in OpenAI's shape."""
    return [ToolCallOut(call.id, FunctionOut(call.name, call.arguments)) for call in calls]


class Head:
    """What every chunk of one answer has in common, encoded once."""

    __slots__ = ("_chunk", "created", "id", "model", "text_prefix")

    def __init__(self, answer_id: str, created: int, model: str) -> None:
        self.id, self.created, self.model = answer_id, created, model
        head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._chunk = b"data: " + _encode(head)[:-1]
        self.text_prefix = self._chunk + b',"choices":[{"index":0,"delta":{"content":'

    def role(self) -> bytes:
        """The first chunk."""
        return self._chunk + b',"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'

    def calls(self, calls: Sequence[ToolCall]) -> list[bytes]:
        """Two chunks per call: which function, then its arguments."""
        return [
            self._chunk
            + b',"choices":[{"index":0,"delta":{"tool_calls":%b},"finish_reason":null}]}\n\n' % _encode(piece)
            for index, call in enumerate(calls)
            for piece in (
                [{"index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}],
                [{"index": index, "function": {"arguments": call.arguments}}],
            )
        ]

    def finish(self, reason: str) -> bytes:
        """The last chunk with a choice."""
        return self._chunk + b',"choices":[{"index":0,"delta":{},"finish_reason":%b}]}\n\n' % _encode(reason)

    def usage(self, usage: Usage) -> bytes:
        """The chunk that `include_usage` asks for."""
        return self._chunk + b',"choices":[],"usage":%b}\n\n' % _encode(token_usage(usage))

    def completion(self, reply: Reply) -> Completion:
        """The whole answer."""
        calls = reply.client_calls
        message = AnswerMessage(
            content=None if calls and not reply.text else reply.text,
            tool_calls=calls_out(calls) if calls else msgspec.UNSET,
        )
        choices = [Choice(message, finish_of(reply))]
        return Completion(self.id, self.created, self.model, choices, token_usage(reply.usage))
