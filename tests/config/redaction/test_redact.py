"""What people and clients may see."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw.config.reading.parse import parse
from openclaw.config.redaction.redact import PLACEHOLDER, is_secret_key, redacted, redacted_text
from openclaw.config.redaction.restore import restored, restored_text
from openclaw.config.redaction.secret_values import known_secrets, secrets_of
from tests.config.make import loaded

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


CANARY = "canary-7f3a-91c2"


@pytest.mark.parametrize(
    "text",
    [
        '{gateway: {auth: {"tok\\u0065n": "%s"}}}',
        "{gateway: {auth: {tok\\u0065n: '%s'}}}",
        '{gateway: {auth: {token: "%s"}}, gateway: {port: 1}}',
        '{gateway: {auth: {pass: "%s", pwd: "%s"}}}',
        "{channels: {a: {password: 9137046152, token: [9137046152]}}}",
        '{models: {baseUrl: "https:\\/\\/u:%s@host"}}',
        '{models: {baseUrl: "https://host/v1?x=1&api_key=%s#f", other: "wss://host/?key=%s"}}',
        '{mcp: {args: ["serve", "--api-key", "%s", "--token=%s"], list: ["TOKEN=%s", "Authorization: Bearer %s"]}}',
        "{} // token: %s",
        "{} // the old token was %s",
        '{} /* "apiKey": ["%s", "%s"], secret: {id: "%s"} */',
        "{} // https://host/?access_token=%s",
        "{} // sk-proj-%s",
        "{} // sA9dK2mQ7xW4bN8vC1zR5tY3canary",
    ],
)
def test_no_spelling_of_a_secret_is_shown_and_each_comes_back(text: str) -> None:
    text = text.replace("%s", CANARY)
    old = parse(text)
    shown = redacted_text(text)
    for told in (shown, repr(redacted(old))):
        assert "canary" not in told
        assert "9137046152" not in told
    assert restored(redacted(old), old) == old
    assert parse(restored_text(shown, text, old)) == old


def test_what_only_looks_like_an_argument_or_names_a_secret_is_shown() -> None:
    text = """{
      // the model claude-sonnet-4-5-20250929 is good; see docs/configuration_reference_1.md
      mcp: { args: ["--token=${TOKEN}", "--tokens", "5", "--verbose", "x"], url: "https://h/?page=2&tok=1" },
    }"""
    assert redacted_text(text) == text
    assert redacted(parse(text)) == parse(text)


def test_every_secret_can_be_collected_for_the_log() -> None:
    found = loaded(
        """{gateway: {auth: {token: 'one'}}, channels: {x: {botToken: 'two', name: 'x'}},
            models: {providers: {b: {apiKey: '${X}'}}}}""",
        X="three",
    )
    assert {secret.reveal() for secret in secrets_of(found.config)} == {"one", "two", "three"}
    assert {secret.reveal() for secret in secrets_of(found.parsed)} == {"one", "two"}
    assert "one" not in repr(found)


def test_what_has_no_effect_what_urls_hold_and_what_programs_are_given_are_known_as_well() -> None:
    found = loaded(
        """{models: {providers: {b: {baseUrl: 'http://u:p%40ss@h/v1?api_key=in-query&page=two'}}},
            store: {url: 'postgresql://u:of-the-store@h/db'},
            mcp: {servers: {s: {command: 'x', args: ['--token', 'an-argument', '--level', 'debug'],
                                env: {A: 'a-variable-of-it', B: 'short', C: '/some/long/path'}}}},
            secrets: {providers: {vault: {source: 'vault', address: 'https://vault.example'}}}}""",
        CLOUD_API_KEY="from-outside",
        SHELL="/bin/bash",
        HTTPS_PROXY="http://u:of-the-proxy@h:1",
    )
    assert {secret.reveal() for secret in known_secrets(found)} == {
        *("p%40ss", "p@ss", "in-query", "of-the-store", "an-argument", "a-variable-of-it"),
        *("from-outside", "of-the-proxy"),
    }


@pytest.mark.parametrize("key", ["token", "botToken", "apiKey", "api_key", "PASSWORD", "clientSecret", "privateKey"])
def test_secrets_are_known_by_the_names_of_their_keys(key: str) -> None:
    assert is_secret_key(key)


@pytest.mark.parametrize("key", ["maxTokens", "tokens", "keyPath", "name", "sessionKey", "contextTokens"])
def test_other_names_are_shown(key: str) -> None:
    assert not is_secret_key(key)
