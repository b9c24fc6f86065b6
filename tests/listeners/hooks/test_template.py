"""Templates: what a path finds, and that a value is never more than a value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.listeners.hooks.template import MAX_TEXT_CHARS, MAX_VALUE_CHARS, Delivery, render

DELIVERY = Delivery(
    path="mail",
    payload={"messages": [{"from": "ann", "n": 2}], "deep": {"a": {"b": True}}, "payload": "p"},
    headers={"x-event": "push"},
    query={"q": "1"},
    at_ms=1_795_000_000_000,
)


def plain(value: str) -> str:
    return value


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("from {{messages[0].from}}!", "from ann!"),
        ("{{ payload.messages[0].n }}", "2"),
        ("{{deep.a}}", '{"b":true}'),
        ("{{deep.a.b}}", "true"),
        ("{{headers.X-Event}}/{{query.q}}/{{path}}", "push/1/mail"),
        ("{{now}}", "2026-11-18T11:06:40+00:00"),
        ("{{payload}}", "p"),
        ("[{{nope}}{{messages[9].from}}{{deep[0]}}{{messages.from}}{{headers.nope}}]", "[]"),
        ("{{}} {{a b}} {not} {{unclosed", "{{}} {{a b}} {not} {{unclosed"),
        ("{{messages[0].__class__}}", ""),
    ],
)
def test_a_field_becomes_what_its_path_finds(template: str, text: str) -> None:
    assert render(template, DELIVERY, plain) == text


def test_a_value_is_marked_and_never_read_as_a_template() -> None:
    sly = Delivery("p", {"a": "{{b}}", "b": "secret"}, {}, {}, 0)
    assert render("{{a}}", sly, lambda value: f"<{value}>") == "<{{b}}>"


def test_long_values_and_texts_are_cut() -> None:
    long = Delivery("p", {"a": "x" * 200_000}, {}, {}, 0)
    assert len(render("{{a}}", long, plain)) == MAX_VALUE_CHARS
    assert len(render("{{a}}" * 9, long, plain)) == MAX_TEXT_CHARS


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.text(max_size=60), json)
def test_any_template_over_any_payload_gives_a_text(template: str, payload: Any) -> None:
    delivery = Delivery("p", payload, {}, {}, 0)
    assert isinstance(render("{{" + template + "}}" + template, delivery, plain), str)
