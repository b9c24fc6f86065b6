"""A chat completion request as others send it, and what it means to an agent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.message import ImagePart, Message, Part, TextPart, ToolCall, ToolOutcome

MAX_MESSAGES: Final = 2000
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=\s]*)\Z")
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

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """`stream_options`."""

    include_usage: bool | None = None


class ChatRequest(msgspec.Struct, frozen=True):
    """The body. Fields of the API that an agent has no use for are ignored, as OpenClaw does (`tools` too)."""

    messages: list[ChatMessage] = []
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None

    @property
    def limit(self) -> int | None:
        """The longest answer wanted. Raises: InvalidRequest."""
        wanted = self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens
        if wanted is not None and wanted < 1:
            raise InvalidRequest("max_tokens: must be at least 1")
        return wanted

    @property
    def heat(self) -> float | None:
        """The temperature. Raises: InvalidRequest."""
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise InvalidRequest("temperature: must be between 0 and 2")
        return self.temperature


class Conversation(msgspec.Struct, frozen=True):
    """What the messages mean: instructions, what was said before, and what is said now."""

    system: str
    history: tuple[Message, ...]
    message: Message


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


def conversation(messages: Sequence[ChatMessage], *, keeps_session: bool) -> Conversation:
    """Split the messages. A kept session has its own memory: only what follows the last answer is new then.

    Raises: InvalidRequest naming the message at fault.
    """
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"messages: at most {MAX_MESSAGES} are taken")
    system: list[str] = []
    said: list[Message] = []
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            system.append(_text(message, index))
        else:
            said.append(_message(message, index))
    last_user = max((index for index, message in enumerate(said) if message.role == "user"), default=None)
    if last_user is None:
        raise InvalidRequest("Missing user message in `messages`.")
    first = last_user
    while first > 0 and said[first - 1].role == "user":
        first -= 1
    parts = _joined(said[first : last_user + 1])
    if not parts:
        raise InvalidRequest("Missing user message in `messages`.")
    history = () if keeps_session else _paired(said[:first])
    return Conversation("\n\n".join(filter(None, system)), history, Message("user", parts))


def _joined(messages: Sequence[Message]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart) and not part.text.strip():
                continue
            last = parts[-1] if parts else None
            if isinstance(part, TextPart) and isinstance(last, TextPart):
                parts[-1] = TextPart(f"{last.text}\n\n{part.text}")
            else:
                parts.append(part)
    return tuple(parts)


def _message(message: ChatMessage, index: int) -> Message:
    if message.role == "user":
        return Message("user", _parts(message, index))
    if message.role == "assistant":
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
        )
        text = _text(message, index)
        return Message("assistant", ((TextPart(text),) if text else ()) + calls)
    if message.role in ("tool", "function"):
        if not message.tool_call_id:
            raise InvalidRequest(f"messages[{index}].tool_call_id: required for role 'tool'")
        return Message("tool", (ToolOutcome(message.tool_call_id, "", _text(message, index)),))
    raise InvalidRequest(f"messages[{index}].role: '{message.role[:32]}' is not a role")


def _text(message: ChatMessage, index: int) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = []
    for part in message.content or ():
        if part.type not in ("text", "input_text", "output_text", "refusal"):
            raise InvalidRequest(f"messages[{index}].content: role '{message.role[:32]}' takes text only")
        texts.append(part.text or part.refusal or "")
    return "\n".join(texts)


def _parts(message: ChatMessage, index: int) -> tuple[Part, ...]:
    if isinstance(message.content, str):
        return (TextPart(message.content),)
    parts: list[Part] = []
    for part in message.content or ():
        if part.type in ("text", "input_text"):
            parts.append(TextPart(part.text or ""))
        elif part.type in ("image_url", "input_image"):
            parts.append(_image(part, index))
        else:
            raise InvalidRequest(f"messages[{index}].content: parts of type '{part.type[:32]}' are not supported")
    return tuple(parts)


def _image(part: ContentPart, index: int) -> ImagePart:
    url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
    if not url:
        raise InvalidRequest(f"messages[{index}].content: an image part needs image_url.url")
    if url.startswith("data:"):
        found = _DATA_URL.match(url)
        if found is None or not found[1].startswith("image/"):
            raise InvalidRequest(f"messages[{index}].content: the image is no base64 data URL of an image")
        return ImagePart(found[1], "".join(found[2].split()))
    if url.startswith(("https://", "http://")):
        return ImagePart(url=url)
    raise InvalidRequest(f"messages[{index}].content: image URLs are data:, https: or http:")


def _paired(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return the history with each answer's outcomes in one message. Raises: InvalidRequest for a broken pair."""
    out: list[Message] = []
    open_calls: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            outcome: Any = message.parts[0]
            name = open_calls.pop(outcome.call_id, None)
            if name is None:
                raise InvalidRequest(f"messages: no tool call '{outcome.call_id[:64]}' comes before its result")
            named = ToolOutcome(outcome.call_id, name, outcome.text)
            if out[-1].role == "tool":
                out[-1] = Message("tool", (*out[-1].parts, named))
            else:
                out.append(Message("tool", (named,)))
            continue
        if open_calls:
            break
        open_calls = {call.id: call.name for call in message.tool_calls}
        if message.parts:
            out.append(message)
    if open_calls:
        raise InvalidRequest(f"messages: the tool call '{next(iter(open_calls))[:64]}' has no result")
    return tuple(out)
