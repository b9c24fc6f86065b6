"""How many tokens a prompt may take, estimated from above and without a tokenizer."""

from __future__ import annotations

import msgspec

from openclaw.base.message import ImagePart, Message, TextPart, ThinkingPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest, ToolSpec

ASCII_CHARS_PER_TOKEN = 3.5
"""English prose has 4 to 5, code 3 to 4; the newer tokenizers make more tokens than the old."""
OTHER_BYTES_PER_TOKEN = 3.0
"""Chinese and Japanese take three bytes and about one token per character."""
IMAGE_TOKENS = 1_600
MESSAGE_TOKENS = 5
TOOL_TOKENS = 12


def estimate_text(text: str) -> int:
    """Return the size of a text."""
    if text.isascii():
        return int(len(text) / ASCII_CHARS_PER_TOKEN) + 1 if text else 0
    return int(len(text.encode("utf-8", "surrogatepass")) / OTHER_BYTES_PER_TOKEN) + 1


def estimate_message(message: Message) -> int:
    """Return the size of a message with what frames it."""
    total = MESSAGE_TOKENS
    for part in message.parts:
        match part:
            case TextPart(text=text) | ThinkingPart(text=text):
                total += estimate_text(text)
            case ToolCall(name=name, arguments=arguments):
                total += MESSAGE_TOKENS + estimate_text(name) + estimate_text(arguments)
            case ToolOutcome(text=text, images=images):
                total += MESSAGE_TOKENS + estimate_text(text) + IMAGE_TOKENS * len(images)
            case ImagePart():
                total += IMAGE_TOKENS
    return total


def estimate_tool(tool: ToolSpec) -> int:
    """Return the size of a tool's description."""
    schema = msgspec.json.encode(tool.parameters).decode()
    return TOOL_TOKENS + estimate_text(tool.name) + estimate_text(tool.description) + estimate_text(schema)


def estimate_tokens(request: ModelRequest) -> int:
    """Return the size of a whole prompt: system, tools and messages."""
    total = estimate_text(request.system)
    for tool in request.tools:
        total += estimate_tool(tool)
    for message in request.messages:
        total += estimate_message(message)
    return total
