"""What people and clients may see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw.config.parse import parse
from openclaw.config.redact import PLACEHOLDER, is_secret_key, redacted, redacted_text
from openclaw.config.secret_values import secrets_of
from tests.config.test_load import loaded

TEXT = """{
  gateway: { auth: { token: 's3cret' /* keep */, mode: "token" }, remote: { url: "wss://u:s3cret@host/x" } },
  models: { providers: { a: { apiKey: "${A_KEY}" }, b: { apiKey: "s3cret", headers: { Authorization: "s3cret" } } } },
  env: { vars: { ANYTHING: "s3cret" }, DIRECT: "s3cret" },
  channels: { telegram: { botToken: "s3cret", accounts: { x: { token: { nested: ["s3cret"] } } } } },
  agents: { defaults: { maxTokens: 5, contextTokens: 7 } },
}"""


def test_no_secret_survives_in_a_config_or_in_what_was_parsed() -> None:
    found = loaded(TEXT, A_KEY="s3cret")
    for value in (redacted(found.config), redacted(found.parsed)):
        assert b"s3cret" not in msgspec.json.encode(value)
    shown: dict[str, Any] = redacted(found.parsed)
    assert shown["models"]["providers"]["a"]["apiKey"] == "${A_KEY}"
    assert shown["gateway"]["auth"] == {"token": PLACEHOLDER, "mode": "token"}
    assert shown["gateway"]["remote"]["url"] == f"wss://{PLACEHOLDER}@host/x"
    assert shown["agents"]["defaults"] == {"maxTokens": 5, "contextTokens": 7}
    assert redacted(found.config)["gateway"]["customBindHost"] == ""


def test_the_text_itself_can_be_shown_with_its_comments() -> None:
    shown = redacted_text(TEXT)
    assert "s3cret" not in shown
    assert "/* keep */" in shown
    assert redacted(parse(shown)) == parse(shown)
    assert parse(shown)["models"]["providers"]["a"]["apiKey"] == "${A_KEY}"


def test_every_secret_can_be_collected_for_the_log() -> None:
    found = loaded(
        """{gateway: {auth: {token: 'one'}}, channels: {x: {botToken: 'two', name: 'x'}},
            models: {providers: {b: {apiKey: '${X}'}}}}""",
        X="three",
    )
    assert {secret.reveal() for secret in secrets_of(found.config)} == {"one", "two", "three"}
    assert {secret.reveal() for secret in secrets_of(found.parsed)} == {"one", "two"}
    assert "one" not in repr(found)


@pytest.mark.parametrize("key", ["token", "botToken", "apiKey", "api_key", "PASSWORD", "clientSecret", "privateKey"])
def test_secrets_are_known_by_the_names_of_their_keys(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["maxTokens", "tokens", "keyPath", "name", "sessionKey", "contextTokens"])
def test_other_names_are_shown(key: str) -> None:
    assert not is_secret_key(key)
