"""Probes of the running gateway, as somebody without a credential, a page of another site and a hostile model are.

They change nothing: what they send is refused by a gateway that is well. One wrong credential is tried, which counts as
one failed sign-in of this machine.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from secrets import token_bytes, token_hex
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from openclaw.base.errors import OpenClawError
from openclaw.base.secret import Secret
from openclaw.client.errors import GatewayDown
from openclaw.client.inspect import Answered, canary, request
from openclaw.policy.egress.observed import AUDIT_SESSION

PUBLIC: Final = frozenset(("/health", "/healthz", "/v1/health", "/setup", "/setup/file/{name}", "/setup/login"))
"""What anybody may ask; it says no more than a word, or is a page that asks for the credential."""
LOCAL: Final = frozenset(("/startupz", "/ready", "/readyz", "/metrics", "/openapi.json", "/docs"))
"""What programs on this machine may ask besides."""
ALWAYS: Final = {
    "/v1/models": ("GET",),
    "/v1/chat/completions": ("POST",),
    "/tools/invoke": ("POST",),
    "/api/auth/check": ("GET",),
    "/hooks/wake": ("POST",),
    "/hooks/agent": ("POST",),
}
"""What is tried whether the gateway says that it serves it or not."""
MAX_ROUTES: Final = 200
_GUARDED: Final = "/api/auth/check"
_EVIL: Final = "attacker.example"
_LOOPBACKS: Final = ("127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost")
_MODEL_ACTS: Final = ("web_fetch", "http_request")
_CHUNK: Final = 1 << 20


class Probe(msgspec.Struct, frozen=True, rename="camel"):
    """One probe. Shape: `check_id` is the finding's when it is not `ok`; `seen` holds no secret."""

    name: str
    check_id: str
    ok: bool
    seen: str


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Where the gateway is, and what opens it. `connect` opens a WebSocket without a credential, and raises.

    With a `fingerprint` nothing is said to a server with another certificate.
    """

    http_url: str
    bearer: Secret | None
    fingerprint: str
    logs_dir: Path
    secrets: tuple[Secret, ...]
    connect: Callable[[], None]


class Prober:
    """Takes the probes of one gateway, in order."""

    def __init__(self, running: Running) -> None:
        self._at = running
        self._mark = f"openclaw-canary-{token_hex(16)}"

    def probes(self) -> Iterator[Probe]:
        """Take every probe. Raises: OSError when the gateway does not answer."""
        yield from self._routes()
        yield self._websocket()
        yield from self._browsers()
        yield from self._forwarded()
        yield self._url_token()
        yield from self._tools()
        yield self._logs()

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None) -> Answered:
        more = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else None
        url = f"{self._at.http_url}{path}"
        return request(method, url, {**more, **(headers or {})}, data, fingerprint=self._at.fingerprint)

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._at.bearer.reveal()}"} if self._at.bearer else {}

    def _routes(self) -> Iterator[Probe]:
        """Dial in at every route that the running process says it has, and at those that matter most."""
        opened = []
        routes = self._described() | ALWAYS
        for path, methods in routes.items():
            if path in PUBLIC or path in LOCAL:
                continue
            for method in methods:
                place = path.replace("{", "").replace("}", "")
                answer = self._ask(method, place, body={} if method in ("POST", "PUT", "PATCH") else None)
                if answer.status < 400 and not (path.startswith("/setup") and answer.status in (302, 303)):
                    opened.append(f"{method} {path} ({answer.status})")
        seen = f"answered without a credential: {', '.join(opened)}" if opened else f"{len(routes)} routes refuse"
        yield Probe("routes without a credential", "deep.open_route", not opened, seen)

    def _described(self) -> dict[str, tuple[str, ...]]:
        answer = self._ask("GET", "/openapi.json", self._bearer())
        try:
            paths = json.loads(answer.body)["paths"]
            told = {str(path): tuple(one.upper() for one in methods) for path, methods in paths.items()}
        except (ValueError, KeyError, AttributeError, TypeError):
            return {}
        return dict(list(told.items())[:MAX_ROUTES])

    def _websocket(self) -> Probe:
        name, check_id = "a client without a credential", "deep.open_websocket"
        try:
            self._at.connect()
        except GatewayDown as error:
            raise ConnectionError(error.message) from error
        except OpenClawError as error:
            return Probe(name, check_id, True, f"refused: {error.message}")
        return Probe(name, check_id, False, "it was let in")

    def _upgrade(self, headers: Mapping[str, str]) -> int:
        key = b64encode(token_bytes(16)).decode()
        asked = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        return self._ask("GET", "/", {**asked, "Sec-WebSocket-Key": key, **headers}).status

    def _browsers(self) -> Iterator[Probe]:
        """Come as a page of another site, and as one whose name was turned to this machine."""
        host = {"Host": _EVIL}
        statuses = {"GET /health": self._ask("GET", "/health", host).status, "WebSocket": self._upgrade(host)}
        yield _forged("a Host that is not the gateway's", "deep.host_forged", statuses)
        for origin in (f"https://{_EVIL}", "null"):
            page = {"Origin": origin}
            statuses = {"GET /metrics": self._ask("GET", "/metrics", page).status, "WebSocket": self._upgrade(page)}
            yield _forged(f"a page of {origin}", "deep.origin_forged", statuses)

    def _forwarded(self) -> Iterator[Probe]:
        """Claim to come from elsewhere, and to be somebody."""
        for name, headers in (
            ("X-Forwarded-For", {"X-Forwarded-For": "203.0.113.7"}),
            ("Forwarded", {"Forwarded": "for=203.0.113.7"}),
            ("X-Real-IP", {"X-Real-IP": "203.0.113.7"}),
        ):
            yield _forged(
                f"a forged {name}",
                "deep.forwarded_forged",
                {"GET /metrics": self._ask("GET", "/metrics", headers).status},
            )
        claims = {"X-Forwarded-User": "admin", "X-Auth-Request-User": "admin", "x-openclaw-scopes": "operator.admin"}
        statuses = {f"GET {_GUARDED}": self._ask("GET", _GUARDED, claims).status}
        yield _forged("a header that names a user", "deep.forwarded_forged", statuses)

    def _url_token(self) -> Probe:
        """Put a wrong credential into a URL and a header, for the log; and the right one into a URL."""
        self._ask("GET", f"{_GUARDED}?token={self._mark}", {"Authorization": f"Bearer {self._mark}"})
        # Only to this machine: elsewhere a proxy on the way might write the URL down.
        near = urlsplit(self._at.http_url).hostname in ("127.0.0.1", "::1", "localhost")
        secret = self._at.bearer.reveal() if self._at.bearer and near else self._mark
        taken = [
            name for name in ("token", "access_token") if self._ask("GET", f"{_GUARDED}?{name}={secret}").status < 400
        ]
        seen = f"taken as ?{taken[0]}=" if taken else "refused"
        return Probe("the credential in a URL", "deep.url_token", not taken, seen)

    def _tools(self) -> Iterator[Probe]:
        """Ask tools for what no model may have."""
        reached, told = [], []
        with canary() as trap:
            for tool in _MODEL_ACTS:
                for host in _LOOPBACKS:
                    arguments = {"url": f"http://{host}:{trap.port}/"} | (
                        {"method": "GET"} if tool == "http_request" else {}
                    )
                    answer = self._invoke(tool, arguments)
                    told.append(f"{tool} {answer}")
                    if trap.touched():
                        reached.append(f"{tool} of {host}")
        seen = f"reached: {', '.join(reached)}" if reached else "; ".join(dict.fromkeys(told))
        yield Probe("a tool that asks for this machine", "deep.egress_leak", not reached, seen)
        with TemporaryDirectory(prefix="openclaw-canary-") as folder:
            file = Path(folder) / "ran"
            told = [
                self._invoke(tool, {"command": f"touch {file}", "argv": ["touch", str(file)]})
                for tool in ("exec", "bash")
            ]
            ran = file.exists()
        seen = "it ran" if ran else f"exec {told[0]}"
        yield Probe("a command that nobody approved", "deep.exec_unapproved", not ran, seen)

    def _invoke(self, tool: str, arguments: Mapping[str, Any]) -> str:
        body = {"tool": tool, "args": arguments, "sessionKey": AUDIT_SESSION}
        try:
            answer = self._ask("POST", "/tools/invoke", self._bearer(), body)
        except TimeoutError:
            return "did not answer in time"
        return "is not offered" if answer.status == 404 else f"answered {answer.status}"

    def _logs(self) -> Probe:
        wanted = [self._mark.encode(), *(one.reveal().encode() for one in self._at.secrets if len(one) >= 8)]
        holding = [path.name for path in sorted(self._at.logs_dir.glob("*")) if path.is_file() and _holds(path, wanted)]
        seen = f"found in {', '.join(holding[:5])}" if holding else f"not in {self._at.logs_dir}"
        return Probe("a canary and every known secret in the log", "deep.secret_in_logs", not holding, seen)


def _forged(name: str, check_id: str, statuses: Mapping[str, int]) -> Probe:
    taken = [what for what, status in statuses.items() if status < 400]
    seen = f"taken: {', '.join(taken)}" if taken else ", ".join(f"{what} {status}" for what, status in statuses.items())
    return Probe(name, check_id, not taken, seen)


def _holds(path: Path, wanted: list[bytes]) -> bool:
    longest = max(len(one) for one in wanted)
    try:
        with path.open("rb") as file:
            data = b""
            while more := file.read(_CHUNK):
                data = data[-longest:] + more
                if any(one in data for one in wanted):
                    return True
    except OSError:
        pass
    return False
