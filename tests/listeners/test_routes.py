"""Every route against every bad credential, path and method, over a real socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import EndpointConfig, EndpointsConfig, GatewayConfig, HttpConfig
from openclaw.listeners.router import PROTECTED, Match, Router, canonical_segments
from tests.listeners.fakes import TOKEN, http, raw_request, world

pytestmark = pytest.mark.anyio

TOKEN_ROUTES = [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/openclaw"),
    ("GET", "/v1/models/openclaw%2Fmain"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("POST", "/v1/embeddings"),
    ("POST", "/tools/invoke"),
    ("GET", "/v1/agents"),
    ("POST", "/v1/agent/main"),
    ("GET", "/api/auth/check"),
    ("GET", "/api/mirror"),
    ("POST", "/api/mirror"),
    ("GET", "/api/mirror/stream"),
]
UNKNOWN = ["/v1/nope", "/api/nope", "/tools/nope", "/hooks/wake", "/V1/models", "/%761/models", "/v1", "/setup/x"]
BAD_TOKENS = [None, "", "wrong", TOKEN + "x", TOKEN[:-1], "tökén", "\U0001f511", "x" * 20_000, "a b c", TOKEN.upper()]


@pytest.mark.parametrize("token", BAD_TOKENS, ids=lambda token: "none" if token is None else token[:12].encode().hex())
async def test_no_route_opens_without_the_token(token: str | None) -> None:
    async with world() as here:
        for method, path in [*TOKEN_ROUTES, *(("GET", path) for path in UNKNOWN)]:
            status, headers, body = await raw_request(here.port, http(method, path, b"{bad", token=token))
            assert status == 401, (method, path)
            assert json.loads(body) == {"error": {"message": "Unauthorized", "type": "unauthorized"}}
            assert headers["www-authenticate"].startswith("Bearer")
        assert here.agent.inbounds == []


async def test_the_table_above_has_every_route_that_needs_a_token() -> None:
    async with world() as here:
        needing = {
            (method, route.path)
            for route in here.app.router.routes
            if route.access == "token"
            for method in route.methods
        }
        tried = {(method, path) for method, path in TOKEN_ROUTES}
        for method, path in needing:
            shape = (
                path.replace("{model}", "openclaw")
                .replace("{name}", "main")
                .replace("{id}", "resp_1")
                .replace("openclaw/{agent}", "openclaw%2Fmain")
            )
            assert (method, shape) in tried or method == "HEAD", (method, path)
        public = {route.path for route in here.app.router.routes if route.access == "public"}
        assert public == {"/health", "/healthz", "/v1/health"}


async def test_unknown_paths_are_404_with_the_token_and_outside_the_protected_roots() -> None:
    async with world() as here:
        for path in UNKNOWN:
            assert (await raw_request(here.port, http("GET", path)))[0] == 404
        status, headers, body = await raw_request(here.port, http("GET", "/nope", token=None))
        assert (status, body, headers["content-type"]) == (404, b"Not Found", "text/plain; charset=utf-8")
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET"),
        ("POST", "/health", "GET, HEAD"),
        ("DELETE", "/v1/agent/main", "POST"),
        ("PUT", "/ready", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_405_with_allow_and_no_failed_sign_in(method: str, path: str, allow: str) -> None:
    async with world(attempts=1) as here:
        status, headers, body = await raw_request(here.port, http(method, path, token="wrong"))
        assert (status, headers["allow"], body) == (405, allow, b"Method Not Allowed")
        assert (await raw_request(here.port, http("GET", "/v1/models")))[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "//v1/models",
        "/v1//models",
        "/v1/models/",
        "/v1/../v1/models",
        "/v1/./models",
        "/v1/%2e%2e/models",
        "/v1/models%00",
        "/v1/models/%00",
        "/v1/models/a%252Fb",
        "/v1\\models",
        "/v1%2fmodels",
        "/v1/models/%ff",
        "/v1/models/..%2f..%2fx",
        "/../../etc/passwd",
    ],
)
async def test_a_path_that_is_not_canonical_reaches_nothing(path: str) -> None:
    async with world() as here:
        assert (await raw_request(here.port, http("GET", path)))[0] in (400, 404)


@given(st.text(max_size=40))
def test_any_decoded_path_is_matched_or_refused(text: str) -> None:
    quoted = "/" + quote(text, safe="/%", errors="replace")
    try:
        segments = canonical_segments(quoted.encode())
    except InvalidRequest:
        return
    assert not any(part in ("", ".", "..") for part in segments[1:])
    assert isinstance(Router(()).match("GET", quoted.encode()), Match)


@given(st.binary(max_size=60))
def test_any_raw_path_is_matched_or_refused(raw: bytes) -> None:
    try:
        found = Router(()).match("GET", b"/" + raw)
    except InvalidRequest:
        return
    assert found.route is None


@given(st.sampled_from(sorted(PROTECTED)), st.text("abcz/", max_size=8))
def test_everything_under_a_protected_root_is_protected(root: str, rest: str) -> None:
    try:
        found = Router(()).match("GET", f"/{root.upper()}/{rest}x".encode())
    except InvalidRequest:
        return
    assert found.protected


async def test_ten_wrong_tokens_lock_out_but_not_the_operator_here() -> None:
    async with world(attempts=10) as here:
        statuses = [(await raw_request(here.port, http("GET", "/v1/models", token="no")))[0] for _ in range(11)]
        assert statuses == [401] * 10 + [429]
        _, headers, _ = await raw_request(here.port, http("GET", "/v1/models", token="no"))
        assert int(headers["retry-after"]) > 200
        assert (await raw_request(here.port, http("GET", "/v1/models")))[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "10.0.0.9", "127.0.0.1@evil", "a b", "[::2]"]
)
async def test_a_name_that_is_not_ours_is_refused(host: str) -> None:
    async with world() as here:
        for path in ("/health", "/v1/models"):
            assert (await raw_request(here.port, http("GET", path, host=host)))[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:18789", "127.0.0.1:1", "[::1]:18789", "gw.example.org"])
async def test_our_own_names_are_taken(host: str) -> None:
    async with world(GatewayConfig(public_base_url="https://gw.example.org")) as here:
        assert (await raw_request(here.port, http("GET", "/v1/models", host=host)))[0] == 200


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP", "Via", "CF_Connecting_IP"])
async def test_an_unattributed_proxy_is_told_which_setting_is_missing(header: str) -> None:
    async with world() as here:
        forwarded: dict[str, Any] = {header: "127.0.0.1"}
        status, _, body = await raw_request(here.port, http("GET", "/v1/models", **forwarded))
        assert status == 403
        assert json.loads(body)["error"]["type"] == "proxy_attribution_required"
        assert b"gateway.trustedProxies" in body
        assert (await raw_request(here.port, http("GET", "/ready", **forwarded)))[0] == 403
        assert (await raw_request(here.port, http("GET", "/health", **forwarded)))[0] == 200


async def test_a_listed_proxy_is_believed_but_never_local() -> None:
    async with world(GatewayConfig(trusted_proxies=("127.0.0.1",))) as here:
        via: dict[str, Any] = {"X_Forwarded_For": "127.0.0.1"}
        assert (await raw_request(here.port, http("GET", "/ready", token=None, **via)))[0] == 401
        assert (await raw_request(here.port, http("GET", "/ready", host="gw.example.org", **via)))[0] == 200


async def test_a_repeated_credential_header_is_ambiguous() -> None:
    async with world() as here:
        data = http("GET", "/v1/models").replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer x\r\n\r\n")
        assert (await raw_request(here.port, data))[0] == 400


async def test_a_body_over_its_limit_is_413_announced_or_not() -> None:
    async with world() as here:
        head = http("POST", "/v1/agent/main", b"")
        announced = head.replace(b"Content-Length: 0", b"Content-Length: 30000000")
        assert (await raw_request(here.port, announced))[0] == 413
        chunked = head.replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(chunked)
        chunk = b"x" * 1_000_000
        try:
            for _ in range(22):
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
        except ConnectionError:
            pass
        assert (await reader.readline()).split()[1] == b"413"
        writer.close()


async def test_switched_off_groups_are_not_there() -> None:
    off = EndpointConfig(enabled=False)
    config = GatewayConfig(http=HttpConfig(endpoints=EndpointsConfig(chat_completions=off, agents=off)))
    async with world(config) as here:
        for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/agents"), ("GET", "/v1/models")):
            assert (await raw_request(here.port, http(method, path)))[0] == 404


@given(
    method=st.sampled_from(["GET", "POST", "BREW"]),
    path=st.sampled_from(["/v1/models", "/health", "/v1/agent/main", "/x"]),
    name=st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True),
    value=st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_any_header_never_gives_a_5xx(method: str, path: str, name: str, value: str) -> None:
    async def attempt() -> None:
        async with world() as here:
            data = http(method, path, token=None).replace(b"\r\n\r\n", f"\r\n{name}: {value}\r\n\r\n".encode())
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(data)
            writer.write_eof()
            assert not (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 5")
            writer.close()

    asyncio.run(attempt())
