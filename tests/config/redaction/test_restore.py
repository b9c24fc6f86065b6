"""Placeholders sent back keep their secrets, and never stand in for one that is not there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.config.reading.parse import parse
from openclaw.config.reading.values import same
from openclaw.config.redaction.redact import PLACEHOLDER as P
from openclaw.config.redaction.redact import comments, redacted, redacted_text
from openclaw.config.redaction.restore import restored, restored_text
from tests.config.json5 import KEYS, texts

TEXT = r"""{
  // token: "old-one", kept for the record; url: "wss://me:pw@host"
  gateway: { auth: { token: 's3cr\'et "one"', mode: "token" }, remote: { url: "wss://u:s3cret@host/x" } },
  models: { providers: { a: { apiKey: "${A_KEY}" }, b: { apiKey: "Bearer ${B}" } } },
  env: { vars: { ANYTHING: "s3cret-env" } },
  channels: { chat: {
    accounts: [{ id: "x", token: "sx" }, { id: "y", token: "sy" }],
    secrets: ["one", "two"],
    plain: [{ host: "h1", password: "p1" }, { host: "h2", password: "p2" }],
  } },
}"""
OLD: dict[str, Any] = parse(TEXT)


def test_everything_that_was_shown_comes_back_as_it_was() -> None:
    assert restored(redacted(OLD), OLD) == OLD
    shown = redacted_text(TEXT)
    for secret in ("s3cr", "old-one", "me:pw", "sx", "p1", "Bearer"):
        assert secret not in shown
    assert "kept for the record" in shown
    assert restored_text(shown, TEXT, OLD) == TEXT


def test_a_reference_is_kept_when_its_place_is_hidden() -> None:
    patch = {"models": {"providers": {"a": {"apiKey": P}}}}
    assert restored(patch, OLD) == {"models": {"providers": {"a": {"apiKey": "${A_KEY}"}}}}


def _chat(**changes: Any) -> dict[str, Any]:
    return {"channels": {"chat": changes}}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([{"id": "y", "token": P}, {"id": "x", "token": P}], ["sy", "sx"]),
        ([{"id": "y", "token": P}], ["sy"]),
        ([{"id": "new", "token": "n"}, {"id": "y", "token": P}], ["n", "sy"]),
        ([{"id": "x", "token": P}, {"id": "renamed", "token": P}], ["sx", "sy"]),
    ],
)
def test_entries_are_found_by_id_then_by_place(sent: list[Any], kept: list[str]) -> None:
    found = restored(_chat(accounts=sent), OLD)["channels"]["chat"]["accounts"]
    assert [entry["token"] for entry in found] == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([{"host": "h2", "password": P}], ["p2"]),
        ([{"host": "h2", "password": P}, {"host": "h1", "password": P}], ["p2", "p1"]),
        ([{"host": "moved", "password": P}, {"host": "h2", "password": P}], ["p1", "p2"]),
    ],
)
def test_entries_without_a_name_are_found_by_what_else_they_hold(sent: list[Any], kept: list[str]) -> None:
    found = restored(_chat(plain=sent), OLD)["channels"]["chat"]["plain"]
    assert [entry["password"] for entry in found] == kept


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"hooks": {"token": P}}, "hooks.token"),
        ({"identity": {"name": P}}, "identity.name"),
        ({"gateway": {"auth": {"mode": P}}}, "gateway.auth.mode"),
        ({"gateway": {"remote": {"url": f"wss://{P}@evil/x"}}}, "gateway.remote.url"),
        ({"gateway": {"auth": {"token": f"x{P}"}}}, "gateway.auth.token"),
        ({"env": {P: "x"}}, f"env.{P}"),
        (_chat(secrets=[P]), "channels.chat.secrets[0]"),
        (_chat(secrets=["new", P, P]), "channels.chat.secrets[2]"),
        (_chat(accounts=[{"id": name, "token": P} for name in "xyz"]), "channels.chat.accounts[2].token"),
    ],
)  # fmt: skip
def test_a_placeholder_without_a_secret_is_refused_by_its_path(sent: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        restored(sent, OLD)
    assert caught.value.message.startswith(f"{place} holds the placeholder")
    assert caught.value.details["issues"][0]["path"] == place


def test_a_placeholder_written_with_escapes_or_twice_is_no_way_around() -> None:
    with pytest.raises(InvalidRequest):
        restored_text(r'{ identity: { name: "\x5f_OPENCLAW_REDACTED__" } }', TEXT, OLD)
    twice = f'{{ gateway: {{ auth: {{ token: "{P}", token: "{P}" }} }} }}'
    assert P not in restored_text(twice, TEXT, OLD)


def test_a_comment_about_placeholders_is_only_a_comment() -> None:
    text = f"{{ // {P} hides secrets\n}}"
    assert restored_text(text, TEXT, OLD) == text


SECRET_KEYS = KEYS | st.sampled_from(["token", "apiKey", "env", "id", "name", "url", "password"])


@given(texts(SECRET_KEYS))
def test_any_text_comes_back_from_being_shown(text: str) -> None:
    values = parse(text)
    back = restored_text(redacted_text(text), text, values)
    assert same(parse(back), values)
    assert [comment for _, comment in comments(back)] == [comment for _, comment in comments(text)]
    assert same(restored(redacted(values), values), values)
