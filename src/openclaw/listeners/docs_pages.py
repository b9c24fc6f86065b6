"""`/openapi.json` and `/docs`: what this gateway serves, for programs and for people."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from openclaw.listeners.http import SAFE, Header, Request
from openclaw.listeners.openapi import document
from openclaw.listeners.operation import HTML_MEDIA, Operation
from openclaw.listeners.router import Route

_OPENAPI = Operation("Describes every operation as OpenAPI 3.1.", dict[str, Any])
_DOCS = Operation("Shows every operation as a page for people.", media=HTML_MEDIA)


class DocsPages:
    """Handlers of the two documents. Both are made once: the routes do not change while the gateway runs."""

    def __init__(self, routes: Iterable[Route], version: str, base_path: str = "") -> None:
        self._base_path = base_path
        self._routes = (*routes, *self.routes())
        self._version = version
        self._document: dict[str, Any] | None = None
        self._page = b""

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        get, scope = ("GET", "HEAD"), "operator.read"
        return (
            Route(get, "/openapi.json", "control", self.openapi, access="local", scope=scope, doc=_OPENAPI),
            Route(get, "/docs", "control", self.page, access="local", scope=scope, doc=_DOCS),
        )

    def _described(self) -> dict[str, Any]:
        if self._document is None:
            self._document = document(self._routes, self._version, self._base_path)
        return self._document

    async def openapi(self, request: Request) -> None:
        """Give the OpenAPI document."""
        await request.json(200, self._described())

    async def page(self, request: Request) -> None:
        """Give the page."""
        from openclaw.listeners.docs_html import STYLE, render

        if not self._page:
            self._page = render(self._described()).encode()
        await request.answer(200, _page_head(STYLE), self._page)


def _page_head(style: str) -> tuple[Header, ...]:
    digest = base64.b64encode(sha256(style.encode()).digest())
    return (
        (b"content-type", b"text/html; charset=utf-8"),
        *SAFE,
        (b"x-frame-options", b"DENY"),
        (
            b"content-security-policy",
            b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            b"style-src 'sha256-%b'" % digest,
        ),
    )
