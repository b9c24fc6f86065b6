"""A small synchronous HTTP client for the CLI: standard library only, so that a command starts at once."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from openclaw.base.errors import OpenClawError
from openclaw.base.secret import Secret
from openclaw.client.errors import GatewayDown, RpcError, other_scheme, refused_token
from openclaw.client.tls import Trust, context, require_pinned

MAX_BODY_BYTES: Final = 50 * 1024 * 1024
MAX_LINE_BYTES: Final = 1024 * 1024


def get_json(
    url: str,
    token: Secret | str | None = None,
    *,
    timeout_s: float = 10.0,
    token_source: str = "",
    fingerprint: str = "",
) -> Any:
    """GET a JSON document. With `fingerprint` (SHA-256, hex) that certificate is believed, and no other.

    Raises: GatewayDown, Unauthorized, RpcError with the status's meaning.
    """
    return _json("GET", url, token, None, timeout_s, token_source, fingerprint)


def post_json(
    url: str,
    token: Secret | str | None,
    body: Any,
    *,
    timeout_s: float = 60.0,
    token_source: str = "",
    fingerprint: str = "",
) -> Any:
    """POST a JSON document and return the answer's. Raises: as get_json."""
    return _json("POST", url, token, body, timeout_s, token_source, fingerprint)


def stream_chat(
    base_url: str,
    token: Secret | str | None,
    messages: Sequence[Mapping[str, Any]],
    *,
    user: str = "",
    model: str = "openclaw",
    timeout_s: float = 600.0,
    token_source: str = "",
    headers: Mapping[str, str] | None = None,
    fingerprint: str = "",
) -> Generator[str, None, None]:
    """Yield the pieces of an answer from /v1/chat/completions as they come.

    Cancels: closing the generator drops the connection, which stops the run.
    Raises: as get_json; RpcError also for an error inside the stream.
    """
    body: dict[str, Any] = {"model": model, "messages": list(messages), "stream": True}
    if user:
        body["user"] = user
    url = f"{base_url.rstrip('/')}/v1/chat/completions"
    connection, response = _open("POST", url, token, body, timeout_s, headers, fingerprint)
    with contextlib.closing(connection), contextlib.closing(response):
        if response.status != 200:
            raise _refused(url, response.status, response.read(MAX_BODY_BYTES), token_source)
        with _network(url):
            for data in read_sse(response):
                if data == "[DONE]":
                    return
                chunk = json.loads(data)
                if "error" in chunk:
                    raise _error(chunk["error"], 500)
                for choice in chunk.get("choices", ()):
                    text = choice.get("delta", {}).get("content")
                    if text:
                        yield text
        raise GatewayDown(f"{url} ended the stream before [DONE]")


def read_sse(lines: Any) -> Iterator[str]:
    """Yield the data of each server-sent event from a binary file; comments and other fields are skipped."""
    data: list[str] = []
    while line := lines.readline(MAX_LINE_BYTES):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text[5:].removeprefix(" "))
        elif not text and data:
            yield "\n".join(data)
            data.clear()


def _json(
    method: str,
    url: str,
    token: Secret | str | None,
    body: Any,
    timeout_s: float,
    token_source: str,
    fingerprint: str,
) -> Any:
    connection, response = _open(method, url, token, body, timeout_s, None, fingerprint)
    with contextlib.closing(connection), contextlib.closing(response), _network(url):
        raw = response.read(MAX_BODY_BYTES)
        if not 200 <= response.status < 300:
            raise _refused(url, response.status, raw, token_source)
        return json.loads(raw) if raw else None


def _open(
    method: str,
    url: str,
    token: Secret | str | None,
    body: Any,
    timeout_s: float,
    headers: Mapping[str, str] | None,
    fingerprint: str,
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GatewayDown(f"not an HTTP URL: {url}")
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        made = context(Trust(fingerprint=fingerprint))
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout_s, context=made)
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    sent = {"Accept": "application/json, text/event-stream", **(headers or {})}
    if token:
        sent["Authorization"] = f"Bearer {token.reveal() if isinstance(token, Secret) else token}"
    payload = None
    if body is not None:
        payload = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    path = parts.path or "/"
    try:
        with _network(url):
            if fingerprint:
                connection.connect()
                require_pinned(url, fingerprint, connection.sock)
            connection.request(method, f"{path}?{parts.query}" if parts.query else path, payload, sent)
            return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise


@contextlib.contextmanager
def _network(url: str) -> Iterator[None]:
    """Map the library's failures to ours."""
    try:
        yield
    except TimeoutError as error:
        raise GatewayDown(f"{url} did not answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise other_scheme(url, error) or GatewayDown(f"no gateway answers at {url}: {reason}") from error
    except json.JSONDecodeError as error:
        raise GatewayDown(f"{url} answered with something that is not JSON") from error


def _refused(url: str, status: int, raw: bytes, token_source: str) -> OpenClawError:
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    error = _error(body.get("error") if isinstance(body, dict) else None, status)
    return refused_token(url, token_source, error) if status == 401 else error


def _error(shape: Any, status: int) -> RpcError:
    if not isinstance(shape, dict):
        return RpcError(f"HTTP_{status}", f"the gateway answered {status}")
    code = str(shape.get("code") or shape.get("type") or f"HTTP_{status}")
    details = {"status": status, **({"hint": shape["hint"]} if shape.get("hint") else {})}
    return RpcError(code, str(shape.get("message") or f"the gateway answered {status}"), details)
