"""A reference is no secret: it is shown, redacted around, edited and written back as it is."""

from __future__ import annotations

import json

import pytest

from openclaw.config.reading.parse import parse
from openclaw.config.redaction.redact import PLACEHOLDER, redacted, redacted_text
from openclaw.config.redaction.restore import restored, restored_text
from openclaw.config.refusal import refusals
from openclaw.config.writing.edit import set_value
from tests.secrets.conftest import House

pytestmark = pytest.mark.anyio

TEXT = """{
  // kept
  hooks: { token: { source: "vault", id: "hook#token" } },
  gateway: { auth: { token: "{{ secrets['gateway'] }}", password: "a plain secret" } },
  secrets: { default: "own", timeoutMs: 5000,
    providers: { own: { source: "file", path: "all.json" },
      v: { source: "vault", address: "https://v", token: "a plain token", roleId: "role" } } },
}
"""


def test_what_is_shown_keeps_references_and_where_secrets_come_from() -> None:
    shown = redacted_text(TEXT)
    assert "plain" not in shown
    assert shown.replace(f'"{PLACEHOLDER}"', "X").count("X") == 2
    values = parse(shown)
    assert values["hooks"]["token"] == {"source": "vault", "id": "hook#token"}
    assert values["secrets"]["providers"]["own"] == {"source": "file", "path": "all.json"}
    assert values["secrets"]["timeoutMs"] == 5000
    assert redacted(parse(TEXT)) == values


def test_what_was_shown_comes_back_whole() -> None:
    assert restored_text(redacted_text(TEXT), TEXT, parse(TEXT)) == TEXT
    assert restored(redacted(parse(TEXT)), parse(TEXT)) == parse(TEXT)


def test_an_object_that_only_looks_like_a_reference_is_hidden() -> None:
    value = {"channels": {"x": {"token": {"source": "keychain", "id": "hunter2"}}}}
    assert "hunter2" not in json.dumps(redacted(value))
    assert "hunter2" not in redacted_text(json.dumps(value))


def test_an_edit_leaves_references_and_comments_alone() -> None:
    edited = set_value(TEXT, "gateway.port", 9000)
    assert "// kept" in edited
    assert parse(edited)["hooks"] == parse(TEXT)["hooks"]


async def test_a_resolved_value_is_nowhere_in_what_was_loaded(house: House) -> None:
    house.private("all.json", '{"gateway": "canary-gateway"}')
    loaded = await house.resolved(TEXT)
    token = loaded.config.gateway.auth.token
    assert token is not None
    assert token.reveal() == "canary-gateway"
    shown = repr(loaded) + repr(loaded.config) + str(loaded.issues) + str(loaded.references) + loaded.raw
    assert "canary-gateway" not in shown + json.dumps(redacted(loaded.config)) + json.dumps(loaded.parsed)


@pytest.mark.parametrize("bind", ["lan", "loopback"])
async def test_without_its_token_a_gateway_stays_off_the_network(house: House, bind: str) -> None:
    house.private("credentials/gateway-token", "a-token-of-our-own-making-0123456789abcdef")
    text = json.dumps({"gateway": {"bind": bind, "auth": {"token": {"source": "env", "id": "GONE"}}}})
    loaded = await house.resolved(text)
    refused = refusals(loaded)
    assert bool(refused) == (bind == "lan")
    if refused:
        assert "env:GONE" in refused[0].message
        house.variables["OPENCLAW_GATEWAY_TOKEN"] = "another-token-0123456789abcdef-0123456789"
        assert not refusals(await house.resolved())
