"""Which model does the work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.model import Purpose
from openclaw.config.schema import ModelChoice, RouteConfig, RouteWhen, TiersConfig
from openclaw.models.routing import Facts, choose, holds, line_up

TIERS = TiersConfig(summary="acme/small", heartbeat="local/tiny")


@pytest.mark.parametrize(
    ("when", "facts", "held"),
    [
        (RouteWhen(), Facts(), True),
        (RouteWhen(purpose="summary"), Facts(purpose="summary"), True),
        (RouteWhen(purpose="summary"), Facts(), False),
        (RouteWhen(purpose="no such thing"), Facts(), False),
        (RouteWhen(agent="main"), Facts(agent="main"), True),
        (RouteWhen(agent="main"), Facts(agent="other"), False),
        (RouteWhen(channel="telegram"), Facts(channel="telegram"), True),
        (RouteWhen(channel="telegram"), Facts(channel="http"), False),
        (RouteWhen(group=True), Facts(group=True), True),
        (RouteWhen(group=True), Facts(), False),
        (RouteWhen(group=False), Facts(), True),
        (RouteWhen(group=False), Facts(group=True), False),
        (RouteWhen(contains="Straße"), Facts(text="in der STRASSE 5"), True),
        (RouteWhen(contains="invoice"), Facts(text="a bill"), False),
        (RouteWhen(tokens=100), Facts(tokens=100), True),
        (RouteWhen(tokens=100), Facts(tokens=99), False),
        (RouteWhen(agent="main", channel="http"), Facts(agent="main", channel="cli"), False),
    ],
)
def test_a_rule_holds_when_everything_it_sets_is_true(when: RouteWhen, facts: Facts, held: bool) -> None:
    assert holds(when, facts) is held


def test_the_first_route_that_holds_wins_over_the_tier() -> None:
    routes = (
        RouteConfig(use="a/never", when=RouteWhen(agent="nobody")),
        RouteConfig(use="b/first", when=RouteWhen(purpose="summary")),
        RouteConfig(use="c/second"),
    )
    assert choose(routes, TIERS, Facts(purpose="summary")) == "b/first"
    assert choose(routes[:1], TIERS, Facts(purpose="summary")) == "acme/small"
    assert choose(routes[:1], TIERS, Facts(purpose="tools")) is None


@pytest.mark.parametrize("purpose", ["interactive", "tools", "summary", "probe", "heartbeat"])
def test_every_purpose_has_a_tier(purpose: Purpose) -> None:
    assert choose((), TiersConfig(**{purpose: "x/y"}), Facts(purpose=purpose)) == "x/y"


@pytest.mark.parametrize(
    ("chosen", "own", "line"),
    [
        (None, "", ("d/default",)),
        (None, "a/own", ("a/own",)),
        ("r/route", "a/own", ("r/route",)),
        (None, ModelChoice(primary="a/own", fallbacks=("b/one", "a/own")), ("a/own", "b/one")),
        (None, ModelChoice(fallbacks=("b/one",)), ("d/default", "b/one")),
        ("b/one", ModelChoice(primary="a/own", fallbacks=("b/one", "c/two")), ("b/one", "c/two")),
    ],
)
def test_the_chosen_model_comes_first_and_then_the_agents_fallbacks(
    chosen: str | None, own: str | ModelChoice, line: tuple[str, ...]
) -> None:
    assert line_up(chosen, own, "d/default") == line


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_text_that_contains_a_word_is_found(text: str, word: str) -> None:
    assert holds(RouteWhen(contains=word), Facts(text=text + word + text))
