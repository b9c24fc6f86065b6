"""Keys from whatever clients send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.session_key import MAX_LENGTH, main_key, parse_key
from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import AgentId

MAIN = AgentId("main")


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("", "agent:main:main"),
        ("main", "agent:main:main"),
        ("notes", "agent:main:notes"),
        ("agent:bob:telegram:dm:1", "agent:bob:telegram:dm:1"),
    ],
)
def test_known_forms_give_their_key(raw: str, key: str) -> None:
    assert parse_key(raw, MAIN)[1] == key


@pytest.mark.parametrize(
    "raw", ["agent:", "agent:x", "agent:X!:y", "agent::y", "a\x00b", " a", "agent:main:", "x" * 600]
)
def test_malformed_keys_are_refused(raw: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_key(raw, MAIN)


@given(st.text(max_size=600))
def test_any_text_is_a_bounded_key_or_refused(raw: str) -> None:
    try:
        agent_id, key = parse_key(raw, MAIN)
    except InvalidRequest:
        return
    assert len(key) <= MAX_LENGTH
    assert key.startswith(f"agent:{agent_id}:")
    assert parse_key(key, MAIN) == (agent_id, key)


def test_the_main_key_is_the_agents_main_session() -> None:
    assert main_key(AgentId("bob")) == "agent:bob:main"
