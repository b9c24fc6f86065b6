"""What a tool returns → the text that the model reads."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.errors import ToolError

RESULT_LIMIT_BYTES = 64 * 1024
"""Longest result of an action; more costs context without helping the model."""


def result_text(value: Any, limit_bytes: int = RESULT_LIMIT_BYTES) -> str:
    """Return text as it is, anything else as JSON; cut at the limit, saying so. Raises: ToolError."""
    if isinstance(value, str):
        return _capped(value, limit_bytes)
    if value is None:
        return "done (no result)"
    if isinstance(value, bytes | bytearray | memoryview):
        raise ToolError("The action returned bytes. It must return text, or data that can be written as JSON.")
    try:
        return _capped(msgspec.json.encode(value, enc_hook=_foreign).decode(), limit_bytes)
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as error:
        raise ToolError(
            f"The action returned a {type(value).__name__} that cannot be written as JSON: {error}"
        ) from None


def _foreign(value: Any) -> Any:
    """Write what msgspec does not know: pydantic models, recognised by their method."""
    dump = getattr(value, "model_dump_json", None)
    if callable(dump) and not isinstance(value, type):
        return msgspec.Raw(dump().encode())
    raise TypeError(f"{type(value).__name__} is not JSON")


def _capped(text: str, limit_bytes: int) -> str:
    # Lone surrogates would break every JSON writer behind this one.
    data = text.encode("utf-8", "replace")
    if len(data) <= limit_bytes:
        return data.decode()
    head = data[:limit_bytes].decode("utf-8", "ignore")
    return f"{head}\n[cut: the result has {len(data)} bytes, only the first {limit_bytes} are shown]"
