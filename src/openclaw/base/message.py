"""What a conversation is made of: parts, messages, tool calls. The transcript's and the models' common form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Role = Literal["system", "user", "assistant", "tool"]


class TextPart(msgspec.Struct, frozen=True, tag="text"):
    """Plain text."""

    text: str


class ImagePart(msgspec.Struct, frozen=True, tag="image"):
    """An image: `data` is base64, `media_type` e.g. image/png; or a remote `url`."""

    media_type: str = ""
    data: str = ""
    url: str = ""


class ThinkingPart(msgspec.Struct, frozen=True, tag="thinking"):
    """A model's reasoning; `signature` must be sent back unchanged to the provider that made it."""

    text: str
    signature: str = ""


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """A model's wish to call a tool. `arguments` is JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = "{}"


class ToolOutcome(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a call gave: always paired with the ToolCall of the same id."""

    call_id: str
    name: str
    text: str
    is_error: bool = False
    images: tuple[ImagePart, ...] = ()
    """What the tool shows besides its text, for models that take images."""
    outside: str = ""
    """See Message.outside."""


Part = TextPart | ImagePart | ThinkingPart | ToolCall | ToolOutcome


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation. Assistant messages hold text, thinking and tool calls; tool messages outcomes."""

    role: Role
    parts: tuple[Part, ...]
    outside: str = ""
    """By what way text that strangers may have written came into it (`web_fetch`, `webhook` …); empty: by none."""

    @property
    def text(self) -> str:
        """All text parts joined."""
        if len(self.parts) == 1 and type(self.parts[0]) is TextPart:  # nearly every message, in every turn's history
            return self.parts[0].text
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in order."""
        if len(self.parts) == 1 and type(self.parts[0]) is TextPart:
            return ()
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


def user(text: str, outside: str = "") -> Message:
    """Return a user message of one text part."""
    return Message("user", (TextPart(text),), outside)


def assistant(text: str, calls: Sequence[ToolCall] = ()) -> Message:
    """Return an assistant message; an empty text gives no text part."""
    parts: tuple[Part, ...] = (TextPart(text),) if text else ()
    return Message("assistant", parts + tuple(calls))


def outcomes(results: Sequence[ToolOutcome]) -> Message:
    """Return the tool message that answers an assistant's calls."""
    return Message("tool", tuple(results))
