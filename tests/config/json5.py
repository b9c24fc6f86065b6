"""Strategies for JSON5 texts, in every handwriting that people have."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import strategies as st

NOISE = st.text(alphabet=st.sampled_from("{}[]:,\"'\\/*\n ab1-+.eE0xu$_N\u2028\ufeff"), max_size=60)
"""Texts that are nearly JSON5."""

KEYS = st.sampled_from(["a", "b", "c", "agents", "x.y", "it's", "", 'q"q', "é"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False).filter(math.isfinite)
    | st.text()
)


def values(keys: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return a strategy for values whose objects have these keys."""
    return st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


VALUES = values(KEYS)
_BLANKS = st.sampled_from(["", " ", "\n", "\n  ", " // note\n", " /* c */ ", "/* a\n b */", "\r\n\t"])


@st.composite
def texts(draw: st.DrawFn, keys: st.SearchStrategy[str] = KEYS) -> str:
    """Draw the text of an object with comments, odd blanks, both quotes and trailing commas."""
    value = draw(st.dictionaries(keys, VALUES if keys is KEYS else values(keys), max_size=4))
    return draw(_BLANKS) + _write(draw, value) + draw(_BLANKS)


def _write(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, dict):
        parts = [
            f"{draw(_BLANKS)}{_key(draw, key)}{draw(_BLANKS)}:{draw(_BLANKS)}{_write(draw, item)}{draw(_BLANKS)}"
            for key, item in value.items()
        ]
        return "{" + _joined(draw, parts) + "}"
    if isinstance(value, list):
        return "[" + _joined(draw, [f"{draw(_BLANKS)}{_write(draw, item)}{draw(_BLANKS)}" for item in value]) + "]"
    if isinstance(value, str):
        return _text(draw, value)
    return msgspec.json.encode(value).decode()


def _joined(draw: st.DrawFn, parts: list[str]) -> str:
    if not parts:
        return draw(_BLANKS)
    comma: bool = draw(st.booleans())
    return ",".join(parts) + ("," + draw(_BLANKS) if comma else "")


def _key(draw: st.DrawFn, key: str) -> str:
    return key if key.isidentifier() and draw(st.booleans()) else _text(draw, key)


def _text(draw: st.DrawFn, text: str) -> str:
    double = msgspec.json.encode(text).decode()
    if draw(st.booleans()):
        return double
    return "'" + double[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
