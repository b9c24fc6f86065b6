"""`doctor proxy URL`: probes through a reverse proxy, and what each tells about it.

The gateway shows how a request arrived (`/api/mirror`), so what is in between can be judged instead of guessed.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from openclaw.base.errors import OpenClawError
from openclaw.client import inspect
from openclaw.client.inspect import Answered
from openclaw.ops.doctor.step import Step

BODY_BYTES: Final = 12 * 1024 * 1024
"""A request with a few pictures; proxies of today refuse 1 MiB by default."""
STREAM_S: Final = 10.0
MIN_SPREAD_S: Final = 0.4
"""Four events a quarter of a second apart take 0.75 s; what is collected on the way arrives at once."""
IDLE_MS: Final = 65_000
"""Longer than the 60 s after which proxies of today cut a silent stream."""


class ProxyProbe:
    """Probes one URL with the gateway's credential. `say_hello` opens the Gateway protocol there.

    `bases` are the base paths that the configuration speaks of, `public` its gateway.publicBaseUrl.
    """

    def __init__(
        self,
        url: str,
        bearer: str,
        say_hello: Callable[[], dict[str, Any]],
        *,
        verify: bool = True,
        bases: Sequence[str] = (),
        public: str = "",
    ) -> None:
        self._url = url.rstrip("/")
        self._parts = urlsplit(self._url)
        self._bases = bases
        self._public = public
        self._headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._say_hello = say_hello
        self._verify = verify

    def steps(self, *, deep: bool = False) -> Iterator[Step]:
        """Yield each probe's outcome. Only an unreachable proxy or a refused credential is a failure that ends it."""
        alive = self._alive()
        yield alive
        seen = self._mirrored() if alive.ok else None
        if seen is None:
            return
        yield seen[0]
        if not seen[0].ok and seen[1] is None:
            return
        yield self._websocket()
        yield self._stream()
        yield self._body()
        if deep:
            yield self._idle()

    def _request(self, method: str, path: str, body: bytes | None = None, timeout_s: float = STREAM_S) -> Answered:
        url = f"{self._url}{path}"
        return inspect.request(method, url, self._headers, body, timeout_s=timeout_s, verify=self._verify)

    def _alive(self) -> Step:
        try:
            answer = self._request("GET", "/health")
        except OSError as error:
            return Step("reach", False, f"no answer at {self._url}: {error}", "Start the proxy, or correct the URL.")
        if _is_ours(answer):
            return Step("reach", True, f"the gateway answers at {self._url}")
        if answer.status in (502, 503, 504):
            fix = "Start the gateway, and let the proxy point at its address and port."
            return Step("reach", False, f"the proxy answers {answer.status}: it does not reach the gateway", fix)
        if answer.status in (301, 302, 307, 308):
            place = answer.headers.get("location", "").removesuffix("/health")
            return Step("reach", False, f"{self._url}/health sends elsewhere: {place}", f"Use the URL {place}.")
        return self._lost(f"{self._url}/health answers {answer.status}, not as a gateway does")

    def _lost(self, seen: str) -> Step:
        """Say where the gateway is, if the base path is all that is wrong."""
        path = self._parts.path
        for base in dict.fromkeys(("", *(one.rstrip("/") for one in self._bases))):
            place = f"{self._parts.scheme}://{self._parts.netloc}{base}"
            try:
                found = base != path and _is_ours(inspect.request("GET", f"{place}/health", verify=self._verify))
            except OSError:
                continue
            if found and base:
                return Step("reach", False, f"{seen}; it answers at {place}", f"Use the URL {place}.")
            if found:
                return Step("reach", False, f"{seen}; it answers at {place}, without {path}", _base_fix(path))
        if not path:
            return Step("reach", False, seen, "Correct the URL, or where the proxy points.")
        return Step("reach", False, seen, _base_fix(path))

    def _mirrored(self) -> tuple[Step, dict[str, Any] | None]:
        answer = self._request("GET", "/api/mirror")
        body = _json(answer)
        error = body.get("error")
        why = str(error.get("message", "")) if isinstance(error, dict) else ""
        if answer.status == 401:
            fix = "Give the gateway's token by --token, and let the proxy pass `Authorization` on."
            return Step("headers", False, "the gateway did not get a credential that is right", fix), None
        if "trustedProxies" in why:
            fix = (
                "`openclaw config set gateway.trustedProxies '[\"ADDRESS\"]'` with the proxy's address as the gateway "
                "sees it (127.0.0.1 on one machine), then restart the gateway."
            )
            return Step("headers", False, "forwarding headers arrive from an address that is not trusted", fix), None
        if answer.status != 200:
            return Step(
                "headers", False, f"/api/mirror answers {answer.status}", "Update the gateway; this probe needs it."
            ), None
        return self._judged(body), body

    def _judged(self, body: dict[str, Any]) -> Step:
        names = [str(one) for one in body.get("forwarded", [])]
        client = str(body.get("client"))
        if not names:
            if body.get("direct"):
                seen = "no forwarding header arrives: the gateway takes every visitor for a program on its own machine"
            else:
                seen = f"no forwarding header arrives: the gateway takes every visitor for {client}"
            fix = "Let the proxy set X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host, as the snippet does."
            return Step("headers", False, seen, fix, warning=True)
        if "x-forwarded-for" not in names:
            seen = f"{', '.join(names)} arrive, and not x-forwarded-for: every visitor is taken for {client}"
            return Step("headers", False, seen, "Let the proxy set X-Forwarded-For.", warning=True)
        scheme, authority = self._parts.scheme, self._parts.netloc
        if scheme == "https" and not body.get("https", True):
            seen = "the gateway is not told that visitors come by https: its cookies would not be kept to https"
            return Step("headers", False, seen, "Let the proxy set X-Forwarded-Proto to https.", warning=True)
        host = str(body.get("host", ""))
        known = {_without_port(one, scheme) for one in (host, urlsplit(self._public).netloc)}
        if _without_port(authority, scheme) not in known:
            seen = f"the Host arrives as {host}: browsers that call {authority} are taken for foreign pages"
            fix = f"Let the proxy pass the Host on, or `openclaw config set gateway.publicBaseUrl {self._url}`."
            return Step("headers", False, seen, fix, warning=True)
        return Step("headers", True, f"{', '.join(names)} arrive and are trusted; this client is seen as {client}")

    def _websocket(self) -> Step:
        try:
            hello = self._say_hello()
        except OpenClawError as error:
            fix = "Let the proxy speak HTTP/1.1 to the gateway and pass `Upgrade` and `Connection` on."
            return Step("websocket", False, error.message, fix, warning=True)
        tick_s = (hello.get("policy") or {}).get("tickIntervalMs", 30_000) / 1000
        return Step("websocket", True, f"the upgrade works; a sign of life comes every {tick_s:.0f} s")

    def _stream(self) -> Step:
        try:
            arrivals = inspect.arrivals_s(
                f"{self._url}/api/mirror/stream", self._headers, timeout_s=STREAM_S, verify=self._verify
            )
        except OSError as error:
            return Step("stream", False, f"the stream broke: {error}", "Raise the proxy's read timeout.", warning=True)
        spread_s = arrivals[-1] - arrivals[0] if len(arrivals) > 1 else 0.0
        if spread_s < MIN_SPREAD_S:
            seen = (
                f"{len(arrivals)} events that were sent over 0.75 s arrived within {spread_s:.2f} s: they are buffered"
            )
            return Step(
                "stream", False, seen, "Switch response buffering off (nginx: proxy_buffering off).", warning=True
            )
        return Step("stream", True, f"events arrive as they are sent, over {spread_s:.2f} s")

    def _body(self) -> Step:
        try:
            answer = self._request("POST", "/api/mirror", bytes(BODY_BYTES), 30.0)
        except OSError as error:
            seen = f"the connection broke while {BODY_BYTES >> 20} MiB were sent: {error}"
            return Step("body", False, seen, "Raise the largest body (nginx: client_max_body_size 50m).", warning=True)
        if answer.status == 200 and _json(answer).get("bytes") == BODY_BYTES:
            return Step("body", True, f"a body of {BODY_BYTES >> 20} MiB arrives whole")
        seen = f"a body of {BODY_BYTES >> 20} MiB is answered {answer.status}"
        return Step("body", False, seen, "Raise the largest body (nginx: client_max_body_size 50m).", warning=True)

    def _idle(self) -> Step:
        url = f"{self._url}/api/mirror/stream?gapMs={IDLE_MS}"
        try:
            arrivals = inspect.arrivals_s(url, self._headers, timeout_s=IDLE_MS / 1000 + 5, verify=self._verify)
        except OSError:
            arrivals = []
        if len(arrivals) > 1:
            return Step("timeout", True, f"a stream may be silent for {IDLE_MS // 1000} s")
        seen = f"a stream that is silent for {IDLE_MS // 1000} s is cut"
        return Step("timeout", False, seen, "Raise the read timeout (nginx: proxy_read_timeout 1h).", warning=True)


def _is_ours(answer: Answered) -> bool:
    return _json(answer).get("ok") is True


def _base_fix(path: str) -> str:
    return (
        f"Let the proxy cut {path} off, as the snippet does; or let it pass it on, "
        f"`openclaw config set gateway.controlUi.basePath {path}` and restart the gateway."
    )


def _without_port(authority: str, scheme: str) -> str:
    return authority.lower().removesuffix(":443" if scheme == "https" else ":80")


def _json(answer: Answered) -> dict[str, Any]:
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def snippet(kind: str, upstream: str, name: str, base_path: str = "") -> str:
    """Return a configuration for nginx, caddy or traefik. `upstream` is host:port of the gateway."""
    base = base_path.rstrip("/")
    return (
        _SNIPPETS[kind]
        .replace("LOCATION", _EXACT.get(kind, "") if base else "")
        .replace("UPSTREAM", upstream)
        .replace("NAME", name)
        .replace("BASE", base)
    )


def upstream_of(host: str, port: int) -> str:
    """Return host:port with brackets where an address needs them."""
    try:
        return f"[{host}]:{port}" if ipaddress.ip_address(host).version == 6 else f"{host}:{port}"
    except ValueError:
        return f"{host}:{port}"


_NGINX: Final = """\
# In http {}: what a WebSocket needs, and nothing else keeps `Connection: upgrade`.
map $http_upgrade $openclaw_connection { default upgrade; '' ''; }

server {
    listen 443 ssl;
    server_name NAME;
    # ssl_certificate and ssl_certificate_key go here.

    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $openclaw_connection;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
    client_max_body_size 50m;

    location BASE/ { proxy_pass http://UPSTREAM/; }
LOCATION}
"""

_CADDY: Final = """\
NAME {
LOCATION    handle_path BASE/* {
        reverse_proxy UPSTREAM {
            flush_interval -1
        }
    }
    request_body {
        max_size 50MB
    }
}
"""

_TRAEFIK: Final = """\
http:
  routers:
    openclaw:
      rule: "Host(`NAME`) && PathPrefix(`BASE/`)"
      entryPoints: [websecure]
      middlewares: [openclaw-base]
      service: openclaw
      tls: {}
  middlewares:
    openclaw-base:
      stripPrefix:
        prefixes: ["BASE/"]
        forceSlash: true
  services:
    openclaw:
      loadBalancer:
        passHostHeader: true
        responseForwarding: { flushInterval: "-1" }
        servers:
          - url: "http://UPSTREAM"
"""

_EXACT: Final = {
    "nginx": """\
    location = BASE {
        absolute_redirect off;
        if ($http_upgrade = '') { return 302 BASE/; }
        proxy_pass http://UPSTREAM/;
    }
""",
    "caddy": """\
    @page {
        path BASE
        not header Upgrade *
    }
    redir @page BASE/ 302
    @line path BASE
    handle @line {
        uri strip_prefix BASE
        reverse_proxy UPSTREAM
    }
""",
}
"""What a base path without its slash needs: a page goes on to where its links are right, a WebSocket stays."""

_SNIPPETS: Final = {"nginx": _NGINX, "caddy": _CADDY, "traefik": _TRAEFIK}
KINDS: Final = tuple(_SNIPPETS)
