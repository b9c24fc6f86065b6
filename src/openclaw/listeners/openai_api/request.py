"""A chat completion request as others send it."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Annotated

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest
from openclaw.listeners.openai_api.client_tool import ChatTool, ToolChoice

AgentModel = Annotated[str, Meta(examples=["openclaw", "openclaw/default"])]
"""An agent named as a model."""
Role = Annotated[
    str, Meta(extra_json_schema={"enum": ["system", "developer", "user", "assistant", "tool"], "examples": ["user"]})
]
Temperature = Annotated[float, Meta(extra_json_schema={"minimum": 0, "maximum": 2})]
TokenLimit = Annotated[int, Meta(extra_json_schema={"minimum": 1})]
"""What these may be is checked by hand, for messages that say it in the caller's words."""
Effort = Annotated[
    str, Meta(extra_json_schema={"enum": ["none", "minimal", "low", "medium", "high", "xhigh"], "examples": ["low"]})
]
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._@-]{1,128}\Z")


class ImageUrl(msgspec.Struct, frozen=True):
    """Where an image is."""

    url: str


class ContentPart(msgspec.Struct, frozen=True):
    """A piece of a message."""

    type: str
    text: str | None = None
    image_url: ImageUrl | str | None = None
    refusal: str | None = None


class FunctionIn(msgspec.Struct, frozen=True):
    """The function of a tool call."""

    name: str
    arguments: str = "{}"


class ToolCallIn(msgspec.Struct, frozen=True):
    """A tool call in the client's history."""

    id: str
    function: FunctionIn


class ChatMessage(msgspec.Struct, frozen=True):
    """One message of the request."""

    role: Role
    content: str | list[ContentPart] | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """`stream_options`."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The body. Fields of the API that an agent has no use for are ignored, as OpenClaw does."""

    messages: list[ChatMessage] = []
    model: AgentModel | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    tools: list[ChatTool] | None = None
    tool_choice: ToolChoice | None = None
    reasoning_effort: Effort | None = None

    @property
    def limit(self) -> int | None:
        """The longest answer wanted. Raises: InvalidRequest."""
        wanted = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        return checked_limit(wanted, "max_tokens")

    @property
    def heat(self) -> float | None:
        """The temperature. Raises: InvalidRequest."""
        return checked_heat(self.temperature)


def checked_limit(tokens: int | None, field: str) -> int | None:
    """Return a longest answer that makes sense. Raises: InvalidRequest."""
    if tokens is not None and tokens < 1:
        raise InvalidRequest(f"{field}: must be at least 1")
    return tokens


def checked_heat(temperature: float | None) -> float | None:
    """Return a temperature that makes sense. Raises: InvalidRequest."""
    if temperature is not None and not 0 <= temperature <= 2:
        raise InvalidRequest("temperature: must be between 0 and 2")
    return temperature


def agent_name(model: str | None) -> str:
    """Return the agent that a model name stands for, "" for the default. Raises: InvalidRequest."""
    if not model or model in ("openclaw", "openclaw/default", "openclaw:default"):
        return ""
    for prefix in ("openclaw/", "openclaw:"):
        if model.startswith(prefix) and len(model) > len(prefix):
            return model[len(prefix) :]
    raise InvalidRequest("Invalid `model`. Use `openclaw` or `openclaw/<agentId>`.")


def session_name(user: str) -> str:
    """Return a form of `user` that fits in a session key."""
    return user if _PLAIN_NAME.match(user) else sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:32]
