"""Strategies for YAML texts: real ones in several handwritings, and texts that are nearly YAML."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from hypothesis import strategies as st

from tests.config.json5 import VALUES

NOISE = st.text(alphabet=st.sampled_from("{}[]:,-?!&*<>|%@`\"'#~ \n\t\\abx10.$\u2028\x85\ufeff\x00"), max_size=60)
_WORDS = [
    "server", "host", "port", "agent", "agents", "name", "memory_size", "policy", "actions", "llm_provider", "llm",
    "provider", "api_key", "model", "authentication", "gateway", "bind", "list", "defaults", "models", "providers",
    "tools", "env", "vars", "channels", "<<", "primary", "$include",
]  # fmt: skip
_SCALARS = st.sampled_from(
    [None, True, "anthropic", "openai/x", "0.0.0.0", "strict", "${NOPE}", "${HOME}", "", "Ä b", 0, 8080, -1, 1.5, "*"]
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=5),
    max_leaves=20,
)
SETTINGS = st.dictionaries(st.sampled_from(_WORDS), _TREES, max_size=6)
"""Configurations that hold the right keys with right and wrong values."""


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw the YAML text of settings, in block or flow style."""
    style = draw(st.sampled_from([True, False, None]))
    text: str = yaml.safe_dump(draw(SETTINGS), default_flow_style=style, width=40)
    return text


OBJECTS = st.dictionaries(st.text(max_size=8), VALUES, max_size=4)
"""Any values that both forms can hold."""


_NOTES = st.sampled_from(["", "", " # note", '   # it\'s: {odd} [x] - "y"', " # tab"])
_LINES = st.sampled_from(["", "", "", "\n", "# line\n", "  # indented: x\n"])


@st.composite
def written(draw: st.DrawFn, values: st.SearchStrategy[dict[str, Any]]) -> str:
    """Draw the text of settings as people write them: comments, blank lines, both styles, any indent."""
    value = draw(values.filter(bool))
    head = draw(st.sampled_from(["", "---\n", "# head\n\n"]))
    return head + _block(draw, value, "") + draw(st.sampled_from(["", "# tail\n", "\n\n"]))


def _block(draw: st.DrawFn, value: Any, indent: str) -> str:
    step = indent + " " * draw(st.integers(1, 4))
    lines: list[str] = []
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    for key, item in items:
        lines.append(draw(_LINES))
        label = f"{indent}{_scalar(draw, key)}:" if isinstance(value, dict) else f"{indent}-"
        if not isinstance(item, dict | list) or not item or draw(st.booleans()):
            lines.append(f"{label} {_flow(draw, item)}{draw(_NOTES)}\n")
        elif isinstance(value, list) and isinstance(item, dict):
            inner = _block(draw, item, indent + "  ")
            lines.append(label + " " + inner.lstrip() if not inner.lstrip().startswith("#") else f"{label}\n{inner}")
        else:
            same_column = isinstance(value, dict) and isinstance(item, list) and draw(st.booleans())
            lines.append(f"{label}{draw(_NOTES)}\n{_block(draw, item, indent if same_column else step)}")
    return "".join(lines)


def _flow(draw: st.DrawFn, value: Any) -> str:
    blank = draw(st.sampled_from(["", " "]))
    comma = draw(st.sampled_from(["", ","])) if value else ""
    if isinstance(value, dict):
        inner = ", ".join(f"{_scalar(draw, key)}: {_flow(draw, item)}" for key, item in value.items())
        return "{" + blank + inner + comma + blank + "}"
    if isinstance(value, list):
        return "[" + blank + ", ".join(_flow(draw, item) for item in value) + comma + blank + "]"
    return _scalar(draw, value)


def _scalar(draw: st.DrawFn, value: Any) -> str:
    if isinstance(value, str) and value.isascii() and value.isalpha() and draw(st.booleans()):
        return f"'{value}'"
    if value in ("gateway", "agents", "name", "list", "strict"):
        return str(value)
    return msgspec.json.encode(value).decode()
