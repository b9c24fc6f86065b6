"""A Responses request as others send it, in the words of a chat completion: both mean the same to an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.thinking import Thinking, thinking_level
from openclaw.listeners.openai_api.client_tool import ResponseTool, ToolChoice
from openclaw.listeners.openai_api.request import (
    AgentModel,
    ChatMessage,
    ContentPart,
    Effort,
    FunctionIn,
    Role,
    Temperature,
    TokenLimit,
    ToolCallIn,
    checked_heat,
    checked_limit,
)

MAX_METADATA = 16


class Item(msgspec.Struct, frozen=True):
    """One item of the input: a message, a function call of an earlier answer, or what that call gave."""

    type: str = "message"
    role: Role | None = None
    content: str | list[ContentPart] | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[ContentPart] | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think."""

    effort: Effort | None = None


class ResponsesRequest(msgspec.Struct, frozen=True):
    """The body. Fields of the API that an agent has no use for are ignored; `store: false` is one of them."""

    model: AgentModel
    input: str | list[Item]
    instructions: str | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: str | None = None
    max_output_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    tools: list[ResponseTool] | None = None
    tool_choice: ToolChoice | None = None
    reasoning: Reasoning | None = None

    @property
    def limit(self) -> int | None:
        """The longest answer wanted. Raises: InvalidRequest."""
        return checked_limit(self.max_output_tokens, "max_output_tokens")

    @property
    def heat(self) -> float | None:
        """The temperature. Raises: InvalidRequest."""
        return checked_heat(self.temperature)

    @property
    def thinking(self) -> Thinking:
        """How much to think. Raises: InvalidRequest."""
        return thinking_level((self.reasoning and self.reasoning.effort) or "", "reasoning.effort")

    @property
    def labels(self) -> dict[str, str]:
        """The metadata. Raises: InvalidRequest."""
        if len(self.metadata or ()) > MAX_METADATA:
            raise InvalidRequest(f"metadata: at most {MAX_METADATA} pairs are taken")
        return self.metadata or {}


def messages(given: str | Sequence[Item]) -> list[ChatMessage]:
    """Return the input as messages: calls that follow each other belong to one answer. Raises: InvalidRequest."""
    if isinstance(given, str):
        return [ChatMessage("user", given)]
    out: list[ChatMessage] = []
    for index, item in enumerate(given):
        where = f"input[{index}]"
        if item.type == "message":
            if item.role is None:
                raise InvalidRequest(f"{where}.role: a message needs one")
            out.append(ChatMessage(item.role, item.content))
        elif item.type == "function_call":
            _add_call(out, _call(item, where))
        elif item.type == "function_call_output":
            if not item.call_id or item.output is None:
                raise InvalidRequest(f"{where}: a function_call_output needs call_id and output")
            out.append(ChatMessage("tool", item.output, tool_call_id=item.call_id))
        elif item.type != "reasoning":
            raise InvalidRequest(f"{where}.type: items of type '{item.type[:32]}' are not supported")
    return out


def _call(item: Item, where: str) -> ToolCallIn:
    if not item.call_id or not item.name:
        raise InvalidRequest(f"{where}: a function_call needs call_id and name")
    return ToolCallIn(item.call_id, FunctionIn(item.name, item.arguments or "{}"))


def _add_call(out: list[ChatMessage], call: ToolCallIn) -> None:
    last = out[-1] if out else None
    if last is not None and last.role == "assistant":
        out[-1] = msgspec.structs.replace(last, tool_calls=[*(last.tool_calls or ()), call])
    else:
        out.append(ChatMessage("assistant", None, tool_calls=[call]))


def choice_out(choice: ToolChoice | None) -> Any:
    """Return the tool choice as it is told back."""
    return "auto" if choice is None else choice
