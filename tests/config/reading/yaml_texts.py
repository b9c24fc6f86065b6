"""Strategies for YAML texts: real ones in several handwritings, and texts that are nearly YAML."""

from __future__ import annotations

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
