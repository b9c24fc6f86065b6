from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from openclaw.listeners.docs_html import render
from openclaw.listeners.openapi import document
from openclaw.listeners.schema_text import kind
from tests.listeners.fakes import http, raw_request, world

pytestmark = pytest.mark.anyio


async def described() -> dict[str, Any]:
    async with world() as here:
        status, _, body = await raw_request(here.port, http("GET", "/openapi.json"))
        assert status == 200
        found: dict[str, Any] = json.loads(body)
        return found


async def test_every_route_is_described() -> None:
    async with world() as here:
        routes = here.app.router.routes
        assert [route.path for route in routes if route.doc is None] == []
        found = document(routes, "1")
        for route in routes:
            for method in route.methods:
                operation = found["paths"][route.path][method.lower()]
                assert operation["summary"]
                assert ("requestBody" in operation) == (route.max_body > 0), route.path
                assert ({"401", "429"} <= operation["responses"].keys()) == (route.access != "public")


async def test_every_reference_leads_somewhere_and_every_id_is_its_own() -> None:
    found = await described()
    shapes = found["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(found)))
    assert references <= shapes.keys()
    ids = [operation["operationId"] for methods in found["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


async def test_the_page_shows_every_operation_and_loads_nothing() -> None:
    async with world() as here:
        status, headers, body = await raw_request(here.port, http("GET", "/docs"))
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert headers["x-frame-options"] == "DENY"
        page = body.decode()
        for route in here.app.router.routes:
            assert f"<code>{route.path}</code>" in page
    parser = _Links()
    parser.feed(page)
    assert parser.loaded == []
    assert {link[1:] for link in parser.links if link.startswith("#")} <= set(parser.ids)


async def test_both_documents_need_the_token_from_elsewhere() -> None:
    async with world() as here:
        for path in ("/docs", "/openapi.json"):
            access = next(route.access for route in here.app.router.routes if route.path == path)
            assert access == "local"
            elsewhere = http("GET", path, token=None, Origin="https://example.com")
            assert (await raw_request(here.port, elsewhere))[0] in (401, 403)


async def test_whatever_a_document_says_is_escaped() -> None:
    found = await described()
    found["info"]["title"] = "<script>"
    assert "<script>" not in render(found)


def test_types_are_told_in_words() -> None:
    assert kind({"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/x/Item"}]}}) == (
        "list of (string or [[Item]])"
    )
    assert kind({"enum": ["a", None]}) == '"a" or null'
    assert kind({}) == "anything"
    assert kind({"type": "object", "additionalProperties": {"type": "integer"}}) == "object of integer"


class _Links(HTMLParser):
    """Collects what a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name == "href" and tag == "a":
                self.links.append(value or "")
            elif name in ("src", "href", "onclick"):
                self.loaded.append(value or "")
        if tag in ("script", "img", "iframe", "link"):
            self.loaded.append(tag)
