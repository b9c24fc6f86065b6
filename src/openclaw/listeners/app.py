"""The ASGI app: every HTTP request and every WebSocket upgrade passes here, in this order.

1. Headers that must be single are; the Host is ours (origin.py).  2. The path, without the base path that a proxy may
have left on it, leads to a route (router.py).
3. The request can be attributed to a client (identity.locality).  4. The credential is good, the scope is held.
5. The announced size fits.  6. The handler; what it raises becomes one JSON shape.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from openclaw.base.errors import (
    CallerError,
    Forbidden,
    InternalError,
    InvalidRequest,
    OpenClawError,
    TooLarge,
    Unavailable,
)
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.base.tasks import TaskSet
from openclaw.identity.authenticate import Authenticator, Evidence
from openclaw.identity.bearer import bearer
from openclaw.identity.federated.federation import ALB_HEADER
from openclaw.identity.locality import NOT_ALLOWED, Source, TrustedProxies, locate, parse_address
from openclaw.identity.scopes import require
from openclaw.listeners.agent_api import AgentApi
from openclaw.listeners.agent_socket import AgentSocket
from openclaw.listeners.control_ui.pages import ControlUi
from openclaw.listeners.deps import ListenerDeps
from openclaw.listeners.docs_pages import DocsPages
from openclaw.listeners.hooks.api import HooksApi
from openclaw.listeners.http import ClientGone, Header, Receive, Request, Send
from openclaw.listeners.http_protocol import Refusal
from openclaw.listeners.intake import Intake
from openclaw.listeners.mirror import Mirror
from openclaw.listeners.openai_api.embeddings import EmbeddingsApi
from openclaw.listeners.openai_api.routes import OpenAiApi
from openclaw.listeners.origin import OriginRules
from openclaw.listeners.probes import Probes
from openclaw.listeners.responses_api.routes import ResponsesApi
from openclaw.listeners.router import Match, Route, Router, canonical_segments
from openclaw.listeners.setup.pages import SetupPages
from openclaw.listeners.tools_api import ToolsApi
from openclaw.listeners.ws_connection import GatewayConnection, GatewayDoor
from openclaw.listeners.ws_socket import Session
from openclaw.protocol.wire_errors import to_http
from openclaw.telemetry.metrics import METRICS

_SINGLE: Final = frozenset((b"host", b"authorization", b"origin", b"content-length", ALB_HEADER))
_log = logging.getLogger("openclaw.listeners")
_requests = METRICS.counter(
    "openclaw_http_requests", "HTTP requests by route, method and status.", ("route", "method", "status")
)
MAX_QUERY_BYTES: Final = 8192
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class UnattributedProxy(Forbidden):
    """A forwarding header from an address that is no trusted proxy."""


def _unattributed() -> UnattributedProxy:
    return UnattributedProxy(
        "This request has a forwarding header, but comes from an address that is not in gateway.trustedProxies.",
        hint="Add the proxy's address to gateway.trustedProxies (OPENCLAW_TRUSTED_PROXIES), or go past the proxy.",
        details={"code": "proxy_attribution_required"},
    )


class App:
    """ASGI 3 application for HTTP; `upgrade` is its door for WebSockets."""

    def __init__(self, deps: ListenerDeps, router: Router, ui: ControlUi | None = None) -> None:
        self.router = router
        self._ui = ui
        self._deps = deps
        self._tasks = TaskSet("listeners")
        config = deps.config()
        self._config = config
        self._trusted, self._single = self._proxy_rules()
        self._origins = self._origin_rules()
        self._base = config.control_ui.base_path.encode()
        self._door = GatewayDoor(
            deps.counter,
            deps.hub,
            deps.authenticator,
            deps.devices,
            deps.clock,
            lambda: deps.health.phase,
            self._tasks,
        )

    @property
    def tasks(self) -> TaskSet:
        """The tasks of open connections."""
        return self._tasks

    async def close(self) -> None:
        """Cancel what runs for clients."""
        await self._tasks.close()

    def _origin_rules(self) -> OriginRules:
        config = self._config
        # Without a credential the name is all that keeps rebound pages out, also while a wider bind awaits its restart.
        loopback_names = self._deps.loopback_bind or config.auth.mode == "none"
        return OriginRules(loopback_names, config.public_base_url, config.control_ui.allowed_origins)

    def _rules(self) -> OriginRules:
        """Return the rules for the configuration of this moment."""
        config = self._deps.config()
        if config is not self._config:
            self._config = config
            self._origins = self._origin_rules()
            self._trusted, self._single = self._proxy_rules()
        return self._origins

    def _proxy_rules(self) -> tuple[TrustedProxies, frozenset[bytes]]:
        """Return whose forwarding headers count, and which headers may come once only."""
        proxy = self._config.auth.trusted_proxy
        named = {name.lower().encode() for name in (proxy.user_header, proxy.groups_header, proxy.proof_header)}
        return TrustedProxies(self._config.trusted_proxies, proxy.proof_header, proxy.secret), _SINGLE | named

    def _admit(self, headers: Mapping[bytes, bytes], peer: str, *, tls: bool = False) -> Source:
        """Find out who calls and by which name. Raises: Forbidden for a Host that is not ours."""
        rules = self._rules()
        host = headers.get(b"host")
        browser = rules.classify(headers[b"origin"], host) if b"origin" in headers else "no"
        source = locate(peer, headers, self._trusted, browser, tls=tls)
        # A browser here comes from where a proxy on this machine does; it is the forwarding that tells them apart.
        if not rules.host_allowed(host) and (source.direct or parse_address(peer) not in self._trusted):
            raise Forbidden(
                "This name is not one of the gateway's.",
                hint="Call it by 127.0.0.1 or localhost, or set gateway.publicBaseUrl to the name you use.",
                details={"code": "host_not_allowed"},
            )
        return self._deps.authenticator.carrying(source, headers)

    def _below_base(self, raw_path: bytes) -> bytes:
        """Return a path as it is with a proxy that cuts the base path off, whether this one does or not."""
        base = self._base
        return raw_path[len(base) :] or b"/" if base and (raw_path + b"/").startswith(base + b"/") else raw_path

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the app serves http only, not {scope['type']}")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        client = scope["client"]
        request = Request(scope, receive, send, headers, _NOWHERE)
        route_name = "none"
        try:
            if len(headers) != len(scope["headers"]):
                merge_repeated(scope["headers"], headers, self._single)
            source = self._admit(headers, client[0] if client else "", tls=scope["scheme"] == "https")
            request.source = source
            if source.https and self._config.http.security_headers.strict_transport_security:
                request.always = self._strict_transport()
            if self._base and scope["raw_path"] == self._base and request.method in ("GET", "HEAD"):
                await request.redirect(self._base.rpartition(b"/")[2] + b"/")
                return
            match = self.router.match(scope["method"], self._below_base(scope["raw_path"]))
            route = match.route
            if route is None:
                await self._unrouted(request, match)
            else:
                route_name = route.path
                await self._run(request, route, match, source)
        except OpenClawError as error:
            await self._fail(request, error)
        except ClientGone:
            request.status = request.status or 499
        except Exception as error:  # noqa: BLE001  # the one seam where faults of our own become answers
            await self._crash(request, error, route_name)
        method = scope["method"]
        _requests.inc(route_name, method if method in _METHODS else "other", str(request.status))

    def _strict_transport(self) -> tuple[Header, ...]:
        value = self._config.http.security_headers.strict_transport_security
        return ((b"strict-transport-security", value.strip().encode()),)

    async def _run(self, request: Request, route: Route, match: Match, source: Source) -> None:
        if route.access != "public":
            if not source.attributed:
                raise _unattributed()
            if route.access == "token" or not source.local:
                principal = request.principal = await self._authenticated(request)
                if route.scope is not None:
                    require(principal, route.scope)
        if request.announced > route.max_body > 0:
            raise TooLarge("Payload too large", hint=f"A body may have {route.max_body} bytes.")
        request.params = match.params
        request.max_body = route.max_body
        if request.principal is None:
            await route.handler(request)
            return
        watch = _Watch(self._deps.authenticator, request, request.principal)
        try:
            await route.handler(request)
        finally:
            watch.end()

    async def _authenticated(self, request: Request) -> Principal:
        """Raises: Unauthorized, Forbidden, RateLimited, Unavailable."""
        authenticator = self._deps.authenticator
        if authenticator.wants(request.source):
            await authenticator.prepare(request.source)
        return authenticator.http(request.headers, request.source)

    async def _unrouted(self, request: Request, match: Match) -> None:
        if match.allow:
            await request.text(405, "Method Not Allowed", ((b"allow", ", ".join(match.allow).encode()),))
            return
        if not match.protected and self._ui is not None and await self._ui.fallback(request, match.segments):
            return
        if match.protected:
            if not request.source.attributed:
                raise _unattributed()
            await self._authenticated(request)
        await request.text(404, "Not Found")

    async def _fail(self, request: Request, error: OpenClawError) -> None:
        if request.status:
            _log.warning("answer_broken_off", extra={"fields": {"code": error.code}})
            return
        if not isinstance(error, CallerError):
            _log.info("request_failed", extra={"fields": {"code": error.code, "error": error.message}})
        await request.error(error)

    async def _crash(self, request: Request, error: Exception, route: str) -> None:
        incident = new_id()
        _log.error("request_crashed", exc_info=error, extra={"fields": {"incident": incident, "route": route}})
        if not request.status:
            await request.error(InternalError(f"internal error (incident {incident})", details={"incident": incident}))

    def upgrade(self, url: bytes, pairs: Sequence[tuple[bytes, bytes]], peer: str) -> Session:
        """Return what speaks over a new WebSocket: the agent API on its path, the Gateway protocol on any other.

        Raises: http_protocol.Refusal. A page of another origin gets no socket, so not one byte of ours either.
        """
        try:
            headers = dict(pairs)
            if len(headers) != len(pairs):
                self._admit(headers, peer)  # a name that is not ours is told as such, though it came beside another
                merge_repeated(pairs, headers, self._single)
            source = self._admit(headers, peer)
            if not source.attributed:
                raise _unattributed()  # one exit for all refusals
            if source.browser == "foreign":
                raise _foreign()
            raw_path, _, query = url.partition(b"?")
            segments = canonical_segments(self._below_base(raw_path))
            if segments[:2] != ["v1", "agent"]:
                return GatewayConnection(self._door, source, self._brought(headers, query))
            return self._agent_socket(segments, headers, source)
        except OpenClawError as error:
            status, body, extra = to_http(error)
            raise Refusal(status, msgspec.json.encode(body), tuple(extra)) from None

    def _brought(self, headers: Mapping[bytes, bytes], query: bytes) -> str:
        """Return the credential that an upgrade itself brings."""
        given = bearer(headers)
        if not given and self._config.auth.allow_url_token and len(query) <= MAX_QUERY_BYTES:
            given = dict(parse_qsl(query.decode("latin-1"))).get("token", "")
        return given

    def _agent_socket(self, segments: list[str], headers: Mapping[bytes, bytes], source: Source) -> Session:
        if len(segments) != 3 or not self._config.http.endpoints.agents.enabled:
            raise Refusal(404, b"Not Found")
        authenticator = self._deps.authenticator
        principal: Principal | None = None
        if authenticator.wants(source):  # an upgrade is decided at once; its client comes again
            self._tasks.spawn(authenticator.prepare(source), "identity-keys")
            raise Unavailable("the identity provider's keys are being fetched; retry shortly", retry_after_s=1)
        if b"authorization" in headers or authenticator.mode == "none" or authenticator.vouches(Evidence(), source):
            principal = authenticator.http(headers, source)
        agent = self._deps.agent
        return AgentSocket(agent, segments[2], authenticator, source, principal, self._tasks)


_NOWHERE = Source("unknown", False)


class _Watch:
    """Breaks an answer off whose caller loses its right to it: its credential is replaced, or has ended."""

    __slots__ = ("_authenticator", "_principal", "_request", "_timer")

    def __init__(self, authenticator: Authenticator, request: Request, principal: Principal) -> None:
        self._authenticator = authenticator
        self._request = request
        self._principal = principal
        self._timer: asyncio.TimerHandle | None = None
        if (left_s := authenticator.left_s(principal)) is not None:
            self._timer = asyncio.get_running_loop().call_later(left_s, request.cut)
        authenticator.holders.add(self.look)

    def look(self) -> None:
        """Called when credentials change."""
        if not self._authenticator.stands(self._principal):
            self._request.cut()

    def end(self) -> None:
        """The answer is whole."""
        self._authenticator.holders.discard(self.look)
        if self._timer is not None:
            self._timer.cancel()


def _foreign() -> Forbidden:
    """Return what `connect` says to a browser client without an Origin: here there is no socket to say it on."""
    details = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED"}
    return Forbidden(NOT_ALLOWED, hint="Add it to gateway.controlUi.allowedOrigins.", details=details)


def merge_repeated(
    pairs: Sequence[tuple[bytes, bytes]], headers: dict[bytes, bytes], single: frozenset[bytes] = _SINGLE
) -> None:
    """Join repeated headers as lists; refuse those that must be single."""
    seen: set[bytes] = set()
    for name, value in pairs:
        if name not in seen:
            seen.add(name)
            headers[name] = value
        elif name in single:
            raise InvalidRequest(f"The header {name.decode('latin-1')} may appear only once.")
        else:
            headers[name] += b", " + value


def route_table(deps: ListenerDeps, tasks: Callable[[], TaskSet], ui: ControlUi | None = None) -> tuple[Route, ...]:
    """Return every route that the configuration enables."""
    endpoints = deps.config().http.endpoints
    intake = Intake(deps.agent, deps.resolve_model, tasks)
    routes = list(Probes(deps.health, deps.authenticator, deps.metrics, deps.version).routes())
    routes += Mirror(deps.clock, deps.config().control_ui.base_path).routes()
    if endpoints.chat_completions.enabled:
        routes += OpenAiApi(deps.agent, deps.clock, intake).routes()
    if endpoints.responses.enabled:
        routes += ResponsesApi(deps.agent, deps.clock, intake).routes()
    if endpoints.embeddings.enabled:
        routes += EmbeddingsApi(deps.embedder).routes()
    if endpoints.tools.enabled:
        routes += ToolsApi(deps.tools).routes()
    if endpoints.agents.enabled:
        routes += AgentApi(deps.agent, deps.resolve_model, tasks).routes()
    if ui is not None:
        routes += ui.routes()
    if deps.hooks is not None:
        routes += HooksApi(deps.hooks, deps.authenticator).routes()
    if deps.setup is not None:
        routes += SetupPages(deps.setup).routes()
    if endpoints.docs.enabled:
        routes += DocsPages(routes, deps.version, deps.config().control_ui.base_path).routes()
    return tuple(routes)


def build_app(deps: ListenerDeps) -> App:
    """Return the app with every route that the configuration enables."""
    tasks_of: list[App] = []
    ui = ControlUi(deps.ui) if deps.ui is not None else None
    app = App(deps, Router(route_table(deps, lambda: tasks_of[0].tasks, ui)), ui)
    tasks_of.append(app)
    return app
