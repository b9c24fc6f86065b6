"""What a wire message says."""

from __future__ import annotations

from typing import Any


def message_text(message: Any) -> str:
    """Return the text parts of a wire message, joined."""
    content = message.get("content") if isinstance(message, dict) else message
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")
