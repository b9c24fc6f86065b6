"""The base path in its spellings."""

from __future__ import annotations

import json

import pytest

from tests.config.make import issue_at, loaded

SPELLINGS = {
    "/claw": "/claw",
    "claw": "/claw",
    " claw/ \n": "/claw",
    "/a/b/": "/a/b",
    "/v1x": "/v1x",
    "/": "",
    "": "",
}
REFUSED = (
    "//evil.example",
    "/a//b",
    "/..",
    "/a/../b",
    "/./a",
    "/.hidden",
    "/a%2fb",
    "/a?b",
    "/a#b",
    "/a\\b",
    "/a b",
    "/ä",
)
OURS = ("/v1", "/setup/x", "/health", "https://evil.example/", "/" + "a" * 80, "/a" * 9)


@pytest.mark.parametrize(("given", "meant"), SPELLINGS.items())
def test_it_is_brought_to_one_spelling(given: str, meant: str) -> None:
    found = loaded(json.dumps({"gateway": {"controlUi": {"basePath": given}}}))
    assert found.config.gateway.control_ui.base_path == meant
    assert not found.issues


@pytest.mark.parametrize("given", REFUSED + OURS)
def test_what_is_no_path_or_one_of_our_own_is_named_and_has_no_effect(given: str) -> None:
    found = loaded(json.dumps({"gateway": {"controlUi": {"basePath": given}}}))
    assert issue_at(found, "gateway.controlUi.basePath").kind == "invalid-value"
    assert found.config.gateway.control_ui.base_path == ""


def test_no_strict_transport_header_may_be_said_by_false_and_none_breaks_the_answer() -> None:
    def value(given: object) -> str:
        text = json.dumps({"gateway": {"http": {"securityHeaders": {"strictTransportSecurity": given}}}})
        return loaded(text).config.gateway.http.security_headers.strict_transport_security

    assert value("max-age=1") == "max-age=1"
    assert value(False) == ""
    assert value("max-age=1\r\nSet-Cookie: a=b") == ""
