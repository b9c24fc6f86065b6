"""Routes as data, and the way from a raw path to one of them. Default deny.

1. Only a route that says `access="public"` answers without a credential; `local` ones also to programs on this machine.
2. A path is compared as it came. Anything that is not canonical after one decode is 400: empty or dot segments,
   backslashes, control characters, a second layer of percent-encoding, an encoded slash outside `{name}` of a route.
3. Under PROTECTED a path without a route needs a credential before it is told to be absent.
4. A known path with another method is 405 with Allow, and never counts as a failed sign-in.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

from openclaw.base.errors import InvalidRequest
from openclaw.listeners.http import Request
from openclaw.listeners.operation import Operation

Access = Literal["public", "local", "token"]
Group = Literal["control", "api", "hooks", "probes"]
Handler = Callable[[Request], Awaitable[None]]

PROTECTED: Final = frozenset(("v1", "api", "tools", "hooks", "metrics", "ready", "readyz", "startupz", "setup"))
_BAD_BYTES = re.compile(rb"[\x00-\x20\x7f\\]")
_BAD_TEXT = re.compile(r"[\x00-\x1f\x7f\\]|%[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Route:
    """One path and what answers it. `{name}` stands for one segment; `max_body` is in bytes, 0 = takes no body."""

    methods: tuple[str, ...]
    path: str
    group: Group
    handler: Handler
    access: Access = "token"
    scope: str | None = None
    max_body: int = 0
    doc: Operation | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """What was found. `route` None with `allow` empty = no such path."""

    route: Route | None
    params: Mapping[str, str]
    allow: tuple[str, ...] = ()
    protected: bool = False
    segments: Sequence[str] = ()
    """Of a path without a route: its parts, decoded."""


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[bytes, list[Route]] = {}
        self._patterns: list[tuple[tuple[str, ...], Route]] = []
        for route in self.routes:
            if "{" in route.path:
                self._patterns.append((tuple(route.path.split("/")[1:]), route))
            else:
                self._fixed.setdefault(route.path.encode(), []).append(route)

    def match(self, method: str, raw_path: bytes) -> Match:
        """Return the route for a method and an undecoded path. Raises: InvalidRequest (rule 2)."""
        found = self._fixed.get(raw_path)
        if found is not None:
            return self._choose(method, [(route, _NO_PARAMS) for route in found])
        segments = canonical_segments(raw_path)
        raw_segments = raw_path.decode("ascii").split("/")[1:]
        candidates = []
        for pattern, route in self._patterns:
            params = _fit(pattern, raw_segments, segments)
            if params is not None:
                candidates.append((route, params))
        if candidates:
            return self._choose(method, candidates)
        if any("/" in segment for segment in segments):
            raise InvalidRequest("The path has an encoded slash.")
        return Match(None, _NO_PARAMS, (), segments[0].lower() in PROTECTED, segments)

    @staticmethod
    def _choose(method: str, candidates: Sequence[tuple[Route, Mapping[str, str]]]) -> Match:
        for route, params in candidates:
            if method in route.methods:
                return Match(route, params)
        allow = tuple(dict.fromkeys(name for route, _ in candidates for name in route.methods))
        return Match(None, _NO_PARAMS, allow)


_NO_PARAMS: Mapping[str, str] = {}


def canonical_segments(raw_path: bytes) -> list[str]:
    """Return a path's segments, decoded once. Raises: InvalidRequest (rule 2)."""
    if not raw_path.startswith(b"/") or len(raw_path) > 2048 or _BAD_BYTES.search(raw_path) or not raw_path.isascii():
        raise InvalidRequest("The path is malformed.")
    segments = []
    for index, raw in enumerate(raw_path[1:].split(b"/")):
        try:
            segment = unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest("The path is malformed.") from None
        if (not segment and (index or len(raw_path) > 1)) or _BAD_TEXT.search(segment):
            raise InvalidRequest("The path is not canonical.")
        if any(part in (".", "..") for part in segment.split("/")):
            raise InvalidRequest("The path is not canonical.")
        segments.append(segment)
    return segments


def _fit(pattern: tuple[str, ...], raw: list[str], decoded: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(raw):
        return None
    params: dict[str, str] = {}
    for want, got, value in zip(pattern, raw, decoded, strict=True):
        if want.startswith("{"):
            params[want[1:-1]] = value
        elif want != got:
            return None
    return params
