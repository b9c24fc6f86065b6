"""A response as OpenAI shapes it, made of a run's reply."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from openclaw.base.errors import InternalError
from openclaw.base.ids import RunId
from openclaw.base.model import Usage
from openclaw.base.run import Inbound, Reply
from openclaw.listeners.openai_api.client_tool import ResponseTool
from openclaw.listeners.responses_api.request import ResponsesRequest, choice_out
from openclaw.protocol.wire_errors import from_dict, to_http
from openclaw.store.api import RunRow

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
PREFIX = "resp_"


class OutputText(msgspec.Struct, frozen=True):
    """The text of a message."""

    text: str
    type: Literal["output_text"] = "output_text"
    annotations: tuple[str, ...] = ()
    logprobs: tuple[str, ...] = ()


class OutputMessage(msgspec.Struct, frozen=True, tag_field="type", tag="message"):
    """What the agent said."""

    id: str
    status: ItemStatus
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class FunctionCall(msgspec.Struct, frozen=True, tag_field="type", tag="function_call"):
    """A call that the caller is asked to run. `arguments` is JSON text exactly as the model wrote it."""

    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class InputDetails(msgspec.Struct, frozen=True):
    """Of the input tokens, those that a cache gave and took."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, frozen=True):
    """Of the output tokens, those of the model's reasoning (not told apart here)."""

    reasoning_tokens: int = 0


class ResponseUsage(msgspec.Struct, frozen=True):
    """What a response used."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseFault(msgspec.Struct, frozen=True):
    """Why a response failed."""

    code: str
    message: str


class Incomplete(msgspec.Struct, frozen=True):
    """Why a response is shorter than it would have been."""

    reason: Literal["max_output_tokens", "content_filter"]


class ResponseObject(msgspec.Struct, frozen=True, kw_only=True):
    """A response. `output` holds a message and the calls of the request's own tools."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    background: bool = False
    error: ResponseFault | None = None
    incomplete_details: Incomplete | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    metadata: dict[str, str] = {}
    model: str
    output: list[OutputMessage | FunctionCall] = []
    parallel_tool_calls: bool = True
    previous_response_id: str | None = None
    store: bool = True
    temperature: float | None = None
    tool_choice: Any = "auto"
    tools: list[ResponseTool] = []
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None = None


class Deleted(msgspec.Struct, frozen=True):
    """A response is gone."""

    id: str
    object: Literal["response.deleted"] = "response.deleted"
    deleted: bool = True


def response_id(run_id: RunId) -> str:
    """Return the id of a run's response."""
    return f"{PREFIX}{run_id}"


def message_id(run_id: str) -> str:
    """Return the id of the message in a run's response."""
    return f"msg_{run_id}"


def begun(run_id: RunId, created_at: int, body: ResponsesRequest, status: Status = "in_progress") -> ResponseObject:
    """Return a response at its start, with everything that the request said."""
    return ResponseObject(
        id=response_id(run_id),
        created_at=created_at,
        status=status,
        background=bool(body.background),
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        metadata=body.labels,
        model=body.model,
        previous_response_id=body.previous_response_id,
        temperature=body.temperature,
        tool_choice=choice_out(body.tool_choice),
        tools=body.tools or [],
        user=body.user,
    )


def recalled(row: RunRow) -> ResponseObject:
    """Return a response from the archive: what only its request said (metadata, tools' choice) is not kept."""
    inbound: Inbound = row.inbound
    tools = [ResponseTool("function", tool.name, tool.description, tool.parameters) for tool in inbound.client_tools]
    start = ResponseObject(
        id=response_id(row.id),
        created_at=row.accepted_at_ms // 1000,
        status="queued" if row.state == "queued" else "in_progress",
        instructions=inbound.system or None,
        max_output_tokens=inbound.max_tokens,
        model=f"openclaw/{inbound.agent_id}",
        temperature=inbound.temperature,
        tools=tools,
    )
    return start if row.reply is None else ended(start, row.reply)


def ended(start: ResponseObject, reply: Reply) -> ResponseObject:
    """Return the response of a run that has ended."""
    status, details = _status(reply)
    return msgspec.structs.replace(
        start,
        status=status,
        incomplete_details=details,
        error=fault(reply) if status == "failed" else None,
        output=output(reply),
        usage=response_usage(reply.usage),
    )


def output(reply: Reply) -> list[OutputMessage | FunctionCall]:
    """Return the items of an ended run's output; one that said nothing at all has none."""
    items: list[OutputMessage | FunctionCall] = []
    if reply.text:
        items.append(text_item(reply.run_id, reply.text, "completed" if reply.state == "ok" else "incomplete"))
    items += [
        FunctionCall(f"fc_{call.id}", call.id, call.name, call.arguments, "completed") for call in reply.client_calls
    ]
    return items


def text_item(run_id: str, text: str, status: ItemStatus) -> OutputMessage:
    """Return the message item of a run."""
    return OutputMessage(message_id(run_id), status, [OutputText(text)])


def response_usage(usage: Usage) -> ResponseUsage:
    """Return what a run used."""
    return ResponseUsage(
        usage.input_tokens,
        InputDetails(usage.cache_read_tokens, usage.cache_write_tokens),
        usage.output_tokens,
        OutputDetails(),
        usage.total_tokens,
    )


def fault(reply: Reply) -> ResponseFault:
    """Return why a run failed, in the two words that clients know."""
    error = from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")
    code = "rate_limit_exceeded" if to_http(error)[0] == 429 else "server_error"
    return ResponseFault(code, error.message)


def _status(reply: Reply) -> tuple[Status, Incomplete | None]:
    if reply.state == "aborted":
        return "cancelled", None
    if reply.state != "ok":
        return "failed", None
    if reply.finish_reason == "length":
        return "incomplete", Incomplete("max_output_tokens")
    if reply.finish_reason == "content_filter":
        return "incomplete", Incomplete("content_filter")
    return "completed", None
