"""How many tokens a prompt may take, estimated from above and without a tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest, ToolSpec

ASCII_CHARS_PER_TOKEN = 3.5
"""English prose has 4 to 5, code 3 to 4; the newer tokenizers make more tokens than the old."""
OTHER_BYTES_PER_TOKEN = 3.0
"""Chinese and Japanese take three bytes and about one token per character."""
IMAGE_TOKENS = 1_600
MOST_IMAGE_TOKENS = 4_800
"""What the largest image that a provider takes as it is counts."""
PROVIDER_TOKENS = 200
PROVIDER_TOOL_TOKENS = 1_000
"""Providers put instructions of their own before the prompt, and more when there are tools, and bill them."""
MESSAGE_TOKENS = 5
TOOL_TOKENS = 12


def estimate_text(text: str) -> int:
    """Return the size of a text."""
    if text.isascii():
        return int(len(text) / ASCII_CHARS_PER_TOKEN) + 1 if text else 0
    return int(len(text.encode("utf-8", "surrogatepass")) / OTHER_BYTES_PER_TOKEN) + 1


def estimate_message(
    message: Message, text_tokens: Callable[[str], int] = estimate_text, image_tokens: int = IMAGE_TOKENS
) -> int:
    """Return the size of a message with what frames it."""
    total = MESSAGE_TOKENS
    for part in message.parts:
        match part:
            case TextPart(text=text) | ThinkingPart(text=text):
                total += text_tokens(text)
            case ToolCall(name=name, arguments=arguments):
                total += MESSAGE_TOKENS + text_tokens(name) + text_tokens(arguments)
            case ToolOutcome(text=text, images=images):
                total += MESSAGE_TOKENS + text_tokens(text) + image_tokens * len(images)
            case ImagePart():
                total += image_tokens
    return total


def estimate_tool(tool: ToolSpec, text_tokens: Callable[[str], int] = estimate_text) -> int:
    """Return the size of a tool's description."""
    schema = msgspec.json.encode(tool.parameters).decode()
    return TOOL_TOKENS + text_tokens(tool.name) + text_tokens(tool.description) + text_tokens(schema)


def estimate_tokens(request: ModelRequest) -> int:
    """Return the size of a whole prompt: system, tools and messages."""
    return _whole(request, estimate_text, IMAGE_TOKENS)


def most_tokens(request: ModelRequest) -> int:
    """Return what a prompt can count at most, whatever the tokenizer makes of it: a token stands for a byte or more.

    Shape: about four times the estimate for prose; for digits and base64 the estimate may be too low, this is not.
    """
    added = PROVIDER_TOKENS + (PROVIDER_TOOL_TOKENS if request.tools else 0)
    return added + _whole(request, _bytes, MOST_IMAGE_TOKENS)


def _whole(request: ModelRequest, text_tokens: Callable[[str], int], image_tokens: int) -> int:
    total = text_tokens(request.system)
    for tool in request.tools:
        total += estimate_tool(tool, text_tokens)
    for message in request.messages:
        total += estimate_message(message, text_tokens, image_tokens)
    return total


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
