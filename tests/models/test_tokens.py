"""The estimate of a prompt's size."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.message import ImagePart, Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import ModelRequest
from openclaw.models.tokens import (
    IMAGE_TOKENS,
    MOST_IMAGE_TOKENS,
    PROVIDER_TOKENS,
    PROVIDER_TOOL_TOKENS,
    estimate_message,
    estimate_text,
    estimate_tokens,
    most_tokens,
)
from tests.models.clients import WEATHER, ask
from tests.models.transcripts import requests


def test_english_counts_less_than_half_its_letters_and_japanese_about_its_characters() -> None:
    english = "The quick brown fox jumps over the lazy dog. " * 10
    assert len(english) / 4 < estimate_text(english) < len(english) / 2
    assert estimate_text("日本の首都は東京です") >= 10
    assert estimate_text("") == 0


def test_everything_in_a_request_counts() -> None:
    base = estimate_tokens(ask())
    assert estimate_tokens(ask(tools=(WEATHER,))) > base + 20
    assert estimate_tokens(msgspec.structs.replace(ask(), system="x" * 700)) > base + 150
    assert estimate_message(Message("user", (ImagePart("image/png", "x"),))) >= IMAGE_TOKENS
    assert estimate_message(assistant("", [ToolCall("1", "f", "x" * 350)])) > 100
    assert estimate_message(outcomes([ToolOutcome("1", "f", "x" * 350)])) > 100
    assert estimate_message(outcomes([ToolOutcome("1", "f", "", images=(ImagePart("image/png", "eA=="),))])) > 1_000


@given(requests())
def test_the_estimate_is_never_over_the_most(request: ModelRequest) -> None:
    assert estimate_tokens(request) <= most_tokens(request)


def test_the_most_is_a_token_for_each_byte() -> None:
    dense = ask("0123456789" * 100)
    assert 1_000 < most_tokens(dense) < 1_100 + PROVIDER_TOKENS
    assert most_tokens(ask(tools=(WEATHER,))) > most_tokens(ask()) + PROVIDER_TOOL_TOKENS
    assert estimate_tokens(dense) < most_tokens(dense)
    assert most_tokens(ask("日本")) - most_tokens(ask("")) == 6
    picture = ModelRequest(model="m", messages=(Message("user", (ImagePart("image/png", "x" * 10_000),)),))
    assert MOST_IMAGE_TOKENS <= most_tokens(picture) < MOST_IMAGE_TOKENS + 100 + PROVIDER_TOKENS


@given(st.text(), st.text())
def test_more_text_never_counts_less(one: str, two: str) -> None:
    assert estimate_message(user(one + two)) >= estimate_message(user(one)) - 1
