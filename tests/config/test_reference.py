"""References: what is one, what only looks like one, and what may never become one."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.config.reference import SOURCES, NotAReference, Reference, is_reference, parse_reference
from tests.config.make import issue_at, loaded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"source": "env", "id": "KEY"}, Reference("env", "KEY")),
        ({"source": "aws", "provider": "prod", "id": "a/b#c"}, Reference("aws", "a/b#c", "prod")),
        ("{{ secrets['anthropic/api-key'] }}", Reference("", "anthropic/api-key")),
        ('  {{secrets["x"]}} ', Reference("", "x")),
        ("{{ secrets['x'] }} and more", None),
        ("{{ secrets[''] }}", None),
        ("{{ other['x'] }}", None),
        ("plain", None),
        ({"source": "env"}, None),
        ({"id": "KEY"}, None),
        (["env", "KEY"], None),
        (None, None),
        (5, None),
    ],
)
def test_a_value_is_a_reference_or_it_is_none(value: Any, expected: Reference | None) -> None:
    assert parse_reference(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"source": "store", "id": "x"},
        {"source": "env", "id": ""},
        {"source": "env", "id": 7},
        {"source": "env", "id": "a\nb"},
        {"source": "env", "id": "x" * 5000},
        {"source": "env", "id": "x", "provider": "../x"},
        {"source": "env", "id": "x", "value": "hidden"},
    ],
)
def test_what_means_to_be_a_reference_and_cannot_be_one_is_said(value: Any) -> None:
    with pytest.raises(NotAReference):
        parse_reference(value)
    assert not is_reference(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["source", "id", "provider", "x"]) | st.text(), inner)
    ),
    max_leaves=6,
)


@given(_JSON)
def test_no_value_is_too_strange_to_be_read(value: Any) -> None:
    try:
        found = parse_reference(value)
    except NotAReference:
        assert isinstance(value, dict)
    else:
        assert (found is not None) == is_reference(value)


@given(st.sampled_from(SOURCES), st.text(min_size=1, max_size=50))
def test_every_printable_id_is_kept_as_it_is(source: str, name: str) -> None:
    if name.isprintable():
        assert parse_reference({"source": source, "id": name}) == Reference(source, name)


_PIECES = st.sampled_from(["{{", "}}", "secrets", "[", "]", "'", '"', " ", "\n", "a/b", "${X}", "\\"]) | st.text(
    max_size=5
)


@given(st.lists(_PIECES, max_size=12).map("".join))
def test_a_text_is_a_whole_reference_or_plain(text: str) -> None:
    found = parse_reference(text)
    if found is not None:
        assert found.source == ""
        assert found.id.isprintable()
        assert text.strip().startswith("{{")
        assert text.strip().endswith("}}")
        assert parse_reference(f"{{{{ secrets['{found.id}'] }}}}") == found


@pytest.mark.parametrize("filling", [" ", "[", "'", "{{ secrets['", "x"])
def test_a_long_text_is_read_at_once(filling: str) -> None:
    text = "{{" + filling * 200_000
    began_s = time.thread_time()
    assert parse_reference(text) is None
    assert parse_reference(text + "'] }}") is None
    assert time.thread_time() - began_s < 1


def test_a_reference_that_nobody_resolved_is_an_issue_and_takes_only_its_own_entry_along() -> None:
    found = loaded(
        """{hooks: {token: "{{ secrets['hook'] }}"}, models: {providers: {
        a: {apiKey: {source: 'vault', id: 'k'}}, b: {apiKey: 'plain'}}}}"""
    )
    assert issue_at(found, "models.providers.a.apiKey").section == "models.providers.a"
    assert issue_at(found, "hooks.token").kind == "unresolved-secret"
    assert list(found.config.models.providers) == ["b"]
    assert found.config.hooks.token is None
    assert [str(placed.reference) for placed in found.references] == ["vault:k", "secrets:hook"]


def test_a_broken_reference_says_what_is_wrong_with_it() -> None:
    found = issue_at(loaded("{hooks: {token: {source: 'keychain', id: 'x'}}}"), "hooks.token")
    assert found.kind == "invalid-value"
    assert "env, file" in found.message
