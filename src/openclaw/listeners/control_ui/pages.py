"""`/` and what belongs to it: the page, its files, its configuration, pictures of agents.

A path without an extension that no route has is the page again: it is one page with several addresses. Everything that
looks like a file, or belongs to the API, stays 404.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from openclaw.agent.api import AgentService
from openclaw.base.errors import ConfigError, NotFound
from openclaw.config.schema import IdentityConfig
from openclaw.listeners.control_ui.files import INDEX, Bundle, UiFile, find_files, read_file
from openclaw.listeners.http import Header, Request
from openclaw.listeners.operation import Operation
from openclaw.listeners.router import Route

OWN_ROOT: Final = Path(__file__).parent / "static"
CONFIG_PATHS: Final = (
    "/control-ui-config.json",
    "/__openclaw/control-ui-config.json",
    "/__openclaw__/control-ui-config.json",
)
_PICTURE: Final = re.compile(r"(https?://|data:image/)", re.IGNORECASE)


class UiSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What a UI asks for before it connects."""

    base_path: str
    assistant_name: str
    assistant_avatar: str
    assistant_agent_id: str
    server_version: str
    embed_sandbox: str = "scripts"
    allow_external_embed_urls: bool = False
    automatically_fetch_favicons: bool = False
    terminal_enabled: bool = False
    cli_agents_enabled: bool = False
    community_invite: bool = False


class Avatar(msgspec.Struct, frozen=True, rename="camel"):
    """An agent's picture; null when it has only letters."""

    avatar_url: str | None


_SETTINGS = Operation("Tells a browser UI the gateway's name, version and default agent.", UiSettings)
_AVATAR = Operation("Tells where an agent's picture is.", Avatar, errors=(404,))


@dataclass(frozen=True, slots=True)
class UiDeps:
    """What the pages need. `root` None = our own page; `base_path` is where a proxy serves them, or ""."""

    agent: AgentService
    identity: Callable[[], IdentityConfig]
    version: str
    root: Path | None = None
    base_path: str = ""


class ControlUi:
    """The handlers, and the answer for paths that no route has."""

    def __init__(self, deps: UiDeps) -> None:
        self._deps = deps
        self._bundle: Bundle | None = None
        self._broken: ConfigError | None = None
        """Why there is nothing to show; a folder that is no UI is not searched anew for every stranger."""

    def routes(self) -> tuple[Route, ...]:
        """Return the routes for UIs; the page itself is the fallback."""
        settings = (Route(("GET", "HEAD"), path, "control", self.settings, doc=_SETTINGS) for path in CONFIG_PATHS)
        return (*settings, Route(("GET",), "/avatar/{agent}", "control", self.avatar, doc=_AVATAR))

    async def settings(self, request: Request) -> None:
        """Answer what a UI wants to know first."""
        identity = self._deps.identity()
        avatar = identity.avatar or identity.name[:1].upper()
        agent = self._deps.agent.default_agent()
        await request.json(200, UiSettings(self._deps.base_path, identity.name, avatar, agent, self._deps.version))

    async def avatar(self, request: Request) -> None:
        """Tell an agent's picture. Raises: NotFound for an agent that is none."""
        self._deps.agent.resolve_agent(request.params["agent"])
        avatar = self._deps.identity().avatar
        await request.json(200, Avatar(avatar if _PICTURE.match(avatar) else None))

    async def fallback(self, request: Request, segments: Sequence[str]) -> bool:
        """Answer a path without a route when it is the UI's; say whether it was."""
        if request.method not in ("GET", "HEAD"):
            return False
        if self._broken is not None:
            raise self._broken
        if self._bundle is None:
            try:
                self._bundle = await asyncio.to_thread(find_files, self._deps.root or OWN_ROOT)
            except ConfigError as error:
                self._broken = error
                raise
        if "assets" in segments:  # a page at a deeper address names them relative to it
            segments = segments[segments.index("assets") :]
        name = "/".join(segments) or INDEX
        file = self._bundle.files.get(name)
        if file is None:
            if "." in segments[-1] or segments[0] in ("assets", "fonts") or any(part[:1] == "." for part in segments):
                return False
            name, file = INDEX, self._bundle.files[INDEX]
        await self._send(request, file, self._bundle.policy, self._deps.base_path if name == INDEX else "")
        return True

    async def _send(self, request: Request, file: UiFile, policy: str, base_path: str) -> None:
        etag = f'{file.etag[:-1]}{base_path}"'
        head: tuple[Header, ...] = (
            (b"content-type", file.media.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            (b"content-security-policy", policy.encode()),
            (b"cache-control", b"no-cache"),
            (b"etag", etag.encode()),
        )
        if request.header(b"if-none-match") == etag:
            await request.answer(304, head, b"")
            return
        try:
            body = await asyncio.to_thread(read_file, file)
        except OSError:
            raise NotFound("Not Found") from None
        if base_path:  # a built UI looks here before it guesses from its address
            body = body.replace(b"<html", b'<html data-openclaw-control-ui-base-path="%b"' % base_path.encode(), 1)
        await request.answer(200, head, body)
