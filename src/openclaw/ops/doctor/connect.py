"""`doctor connect`: the way of a client to the gateway, one step at a time, and the first thing that fails.

name → address → TCP → TLS → HTTP → WebSocket and challenge → credential → pairing → scopes
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from openclaw.base.errors import OpenClawError, Unauthorized
from openclaw.client import inspect
from openclaw.client.errors import remedy
from openclaw.client.resolve import Target
from openclaw.client.tls import pin
from openclaw.ops.doctor.step import Step


def connect_steps(target: Target, say_hello: Callable[[], dict[str, Any]]) -> Iterator[Step]:
    """Yield each step as it is taken. `say_hello` connects with the credential and returns the gateway's hello.

    The caller stops at the first failure (`step.until_failure`).
    """
    parts = urlsplit(target.url)
    host, secure = parts.hostname or "", parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    yield from _network_steps(host, port)
    if secure:
        yield _tls_step(host, port, target.tls_fingerprint)
    yield _http_step(target, secure)
    yield from _handshake_steps(target, say_hello)


def _network_steps(host: str, port: int) -> Iterator[Step]:
    try:
        addresses = inspect.addresses_of(host, port)
    except OSError as error:
        yield Step(
            "name",
            False,
            f"{host} has no address: {error.strerror or error}",
            f"Correct the name, or add {host} to DNS.",
        )
        return
    yield Step("name", True, f"{host} is {', '.join(addresses)}")
    problems = []
    for address in addresses:
        try:
            took_ms = inspect.tcp_ms(address, port)
        except OSError as error:
            problems.append(f"{address}: {_why(error)}")
            continue
        passed = f" (not {'; '.join(problems)})" if problems else ""
        yield Step("tcp", True, f"{address} port {port} takes connections, {took_ms:.0f} ms{passed}")
        return
    yield Step("tcp", False, f"nothing takes connections on port {port}: {'; '.join(problems)}", _tcp_fix(problems))


def _tcp_fix(problems: list[str]) -> str:
    if any("refused" in one for one in problems):
        return "Start the gateway there (`openclaw gateway`), or correct the port; gateway.bind must reach this client."
    return "Open the port in the firewall between here and there, or correct the address."


def _tls_step(host: str, port: int, pinned: str) -> Step:
    try:
        fingerprint, why = inspect.certificate(host, port)
    except ssl.SSLError as error:
        seen = f"port {port} does not speak TLS: {error.reason or error}"
        return Step("tls", False, seen, "Use ws:// here, or put TLS in front of the gateway.")
    except OSError as error:
        return Step("tls", False, f"the connection broke: {_why(error)}", "Look at the log of what serves TLS there.")
    if pinned:
        if pin(pinned) == fingerprint:
            return Step("tls", True, f"the certificate is the pinned one ({fingerprint[:16]}…)")
        fix = "Compare it on the gateway's host; if it is right: `openclaw config set gateway.remote.tlsFingerprint "
        return Step("tls", False, f"the certificate is {fingerprint}, not the pinned one", f"{fix}{fingerprint}`.")
    if why:
        fix = f"After comparing it there: `openclaw config set gateway.remote.tlsFingerprint {fingerprint}`."
        return Step("tls", False, f"the certificate is not trusted: {why}; its SHA-256 is {fingerprint}", fix)
    return Step("tls", True, f"the certificate is trusted ({fingerprint[:16]}…)")


def _http_step(target: Target, secure: bool) -> Step:
    url = f"{target.http_url}/health"
    try:
        answer = inspect.request("GET", url, fingerprint=target.tls_fingerprint)
    except OSError as error:
        hint = "Use https:// or wss://." if not secure else "Look at the log of the reverse proxy."
        return Step("http", False, f"no HTTP answer at {url}: {_why(error)}", hint)
    try:
        ours = json.loads(answer.body).get("ok") is True
    except (ValueError, AttributeError):
        ours = False
    if answer.status in (301, 302, 307, 308):
        place = answer.headers.get("location", "").removesuffix("/health")
        return Step("http", False, f"{url} sends elsewhere: {place}", f"Use the URL {place}.")
    if ours:
        return Step("http", True, "a gateway answers")
    if answer.status == 403 and b"not one of the gateway" in answer.body:
        return Step(
            "http",
            False,
            "the gateway does not know this name",
            f"`openclaw config set gateway.publicBaseUrl {target.http_url}`.",
        )
    seen = f"{url} answers {answer.status}, not as a gateway does"
    return Step("http", False, seen, "Correct the port or the base path; something else answers there.")


def _handshake_steps(target: Target, say_hello: Callable[[], dict[str, Any]]) -> Iterator[Step]:
    where = target.token_source
    try:
        hello = say_hello()
    except Unauthorized as error:
        code = str(error.details.get("code", ""))
        yield Step("websocket", True, "the gateway sends its challenge")
        fix = remedy(target.url, where, code, error.details)
        if code in ("PAIRING_REQUIRED", "AUTH_SCOPE_MISMATCH"):
            yield Step("credential", True, f"the credential from {where} is right")
            yield Step("pairing" if code == "PAIRING_REQUIRED" else "scopes", False, error.message, fix)
        else:
            yield Step("credential", False, error.message, fix)
        return
    except OpenClawError as error:
        upgrade = "Let the reverse proxy pass `Upgrade` and `Connection` on; `openclaw doctor proxy URL` prints how."
        yield Step("websocket", False, error.message, error.hint or upgrade)
        return
    auth = hello.get("auth") or {}
    scopes = [str(one) for one in auth.get("scopes", [])]
    yield Step(
        "websocket", True, f"protocol {hello.get('protocol')}, version {(hello.get('server') or {}).get('version')}"
    )
    yield Step("credential", True, f"the credential from {where} is right")
    yield Step("pairing", True, "no device is needed for this client")
    if scopes:
        yield Step("scopes", True, ", ".join(scopes))
    else:
        fix = "From another machine a client needs a paired device: `openclaw devices code` on the gateway's host."
        yield Step("scopes", False, "the gateway lets this client in, and do nothing", fix)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else type(error).__name__
