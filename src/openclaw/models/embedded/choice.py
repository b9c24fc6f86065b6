"""Read a constrained answer while it is written: a reply streams as text, a tool choice becomes one call.

Rules
1. The answer is one JSON object: `{"reply": text}` or `{"tool": name, "arguments": {…}}` (see constrained.py).
2. A reply's text is given on as it comes, escapes decoded; an escape split over two pieces waits for its end.
3. A call is given on only when it is whole: half a call helps nobody.
4. An answer cut off by its length keeps the text so far and the reason `length`. Anything else that does not fit is
   Malformed.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from openclaw.base.ids import new_id
from openclaw.base.model import ModelEvent, ModelFinish, TextDelta, ToolCallDelta

CALL_LIMIT_CHARS = 1 << 20
_HEAD_LIMIT_CHARS = 64
_REPLY = re.compile(r'\s*\{\s*"reply"\s*:\s*"')
_CALL = re.compile(r'\s*\{\s*"(?:tool|arguments)"\s*:')
_SPECIAL = re.compile(r'["\\]')
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_NOT_A_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class Malformed(ValueError):
    """The answer is not a choice."""


class Call(msgspec.Struct, forbid_unknown_fields=True):
    """A tool choice."""

    tool: str
    arguments: dict[str, Any]


class ChoiceReader:
    """Reads one answer."""

    __slots__ = ("_rest", "_state")

    def __init__(self) -> None:
        self._rest = ""
        self._state: Literal["head", "reply", "tail", "call"] = "head"

    def feed(self, piece: str) -> list[ModelEvent]:
        """Take the next piece of the answer. Raises: Malformed."""
        self._rest += piece
        if self._state == "head":
            self._read_head()
        if self._state == "reply" and (text := self._read_string()):
            return [TextDelta(text)]
        if self._state == "call" and len(self._rest) > CALL_LIMIT_CHARS:
            raise Malformed(f"the tool call is longer than {CALL_LIMIT_CHARS} characters")
        return []

    def finish(self, end: ModelFinish) -> list[ModelEvent]:
        """Return the last events, the finish among them. Raises: Malformed."""
        cut_off = end.reason != "stop"
        if self._state == "call":
            call = self._whole_call()
            if call is not None:
                arguments = msgspec.json.encode(call.arguments).decode()
                reason = ModelFinish("tool_calls", end.usage, end.model)
                return [ToolCallDelta(0, f"call_{new_id()}", call.tool, arguments), reason]
        elif self._state == "tail" and self._rest.strip() == "}":
            return [end]
        if not cut_off:
            raise Malformed("the answer is neither a tool call nor a reply")
        return [end]

    def _read_head(self) -> None:
        if found := _REPLY.match(self._rest):
            self._rest = self._rest[found.end() :]
            self._state = "reply"
        elif _CALL.match(self._rest):
            self._state = "call"
        elif len(self._rest.lstrip()) > _HEAD_LIMIT_CHARS:
            raise Malformed("the answer is neither a tool call nor a reply")

    def _read_string(self) -> str:
        """Decode what there is of the reply; stop before an unfinished escape or after the closing quote."""
        text, at, out = self._rest, 0, []
        while found := _SPECIAL.search(text, at):
            out.append(text[at : found.start()])
            at = found.start()
            if text[at] == '"':
                self._rest, self._state = text[at + 1 :], "tail"
                return "".join(out)
            decoded = _escape(text, at)
            if decoded is None:
                break
            character, at = decoded
            out.append(character)
        else:
            out.append(text[at:])
            at = len(text)
        self._rest = text[at:]
        return "".join(out)

    def _whole_call(self) -> Call | None:
        try:
            return msgspec.json.decode(self._rest, type=Call)
        except (msgspec.DecodeError, RecursionError):
            return None


def _escape(text: str, at: int) -> tuple[str, int] | None:
    r"""Decode the escape at a backslash; return it and where it ends, or None when more is needed.

    Raises: Malformed. Half a surrogate pair becomes U+FFFD.
    """
    kind = text[at + 1 : at + 2]
    if not kind:
        return None
    if kind != "u":
        if kind not in _ESCAPES:
            raise Malformed(f"the reply has an unknown escape \\{kind}")
        return _ESCAPES[kind], at + 2
    unit = _unit(text, at)
    if unit is None:
        return None
    if not 0xD800 <= unit < 0xE000:
        return chr(unit), at + 6
    if unit >= 0xDC00:
        return _NOT_A_CHARACTER, at + 6
    follower = text[at + 6 : at + 8]
    if follower in ("", "\\"):
        return None
    if follower != "\\u":
        return _NOT_A_CHARACTER, at + 6
    low = _unit(text, at + 6)
    if low is None:
        return None
    if not 0xDC00 <= low < 0xE000:
        return _NOT_A_CHARACTER, at + 6
    return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), at + 12


def _unit(text: str, at: int) -> int | None:
    r"""Return the value of the `\uXXXX` at a backslash, or None when it is not whole. Raises: Malformed."""
    digits = text[at + 2 : at + 6]
    if len(digits) < 4:
        return None
    if _HEX4.fullmatch(digits) is None:
        raise Malformed("the reply has a broken \\u escape")
    return int(digits, 16)
