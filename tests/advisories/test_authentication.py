"""Authentication, proxies, rate limits (advisories, part 2)."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import openclaw.policy.gatekeeper as policy
from openclaw.base.clock import ManualClock
from openclaw.base.errors import InvalidRequest, RateLimited, Unauthorized
from openclaw.base.principal import Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import GatewayConfig, HooksConfig, RateLimitConfig, TrustedProxyConfig
from openclaw.identity.authenticate import Authenticator, Evidence
from openclaw.identity.devices.record import Ask
from openclaw.identity.locality import Source, TrustedProxies, client_key, locate
from openclaw.listeners.router import Router, canonical_segments
from openclaw.policy.tool_door import tool_verdict
from openclaw.rpc.build import METHODS
from tests.advisories.test_browser import shake
from tests.fakes.devices import no_devices
from tests.gateway.process import TOKEN as GATEWAY_TOKEN
from tests.gateway.process import GatewayProcess, free_port, gateway, write_config
from tests.listeners.fakes import BEARER, TOKEN, raw_request, world

pytestmark = pytest.mark.anyio

REMOTE = Source("9.9.9.9", False)


async def test_cve_2026_25593_ghsa_g55j_c2v4_pjcg_no_method_runs_before_the_caller_is_known() -> None:
    async with world() as here:
        for spec in METHODS:
            if spec.name == "health":
                continue
            async with connect(here.ws_url, proxy=None) as socket:
                await socket.recv()
                await socket.send(json.dumps({"type": "req", "id": "1", "method": spec.name, "params": {}}))
                answer = json.loads(await socket.recv())
                assert answer["error"]["message"] == "invalid handshake: first request must be connect", spec.name
                with pytest.raises(ConnectionClosed):
                    await socket.recv()
        assert not here.hub.peers


async def test_cve_2026_28472_a_field_that_is_there_proves_nothing() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    door = Authenticator("token", Secret("s3cret"), None, RateLimitConfig, clock, devices)
    for evidence in (
        Evidence(token=""),
        Evidence(token="x"),
        Evidence(device_token="x"),
        Evidence(bootstrap_token="x"),
        Evidence(token="x", password="y", device_token="z", bootstrap_token="w"),
    ):
        with pytest.raises(Unauthorized):
            door.connect(evidence, REMOTE, "operator", ("operator.admin",), 4, "a-device-that-proved-its-key")
    async with world() as here, connect(here.ws_url, proxy=None) as socket:
        client = {"id": "openclaw-control-ui", "version": "1", "platform": "linux", "mode": "ui"}
        answer = await shake(socket, here, client=client, auth={"token": TOKEN})
        assert answer["ok"] is False  # the token is right, and yet a UI brings its device


async def test_pr_57647_whatever_is_sent_beside_it_a_guess_is_counted() -> None:
    clock = ManualClock()
    limits = RateLimitConfig(max_attempts=3)
    beside: tuple[dict[str, Any], ...] = (
        {"device_token": "bogus"},
        {"bootstrap_token": "bogus"},
        {"password": "bogus", "device_token": "bogus"},
    )
    for more in beside:
        door = Authenticator("token", Secret("s3cret"), None, lambda: limits, clock, no_devices(clock))
        for number in range(3):
            with pytest.raises(Unauthorized):
                door.connect(Evidence(token=f"guess-{number}", **more), REMOTE, "operator", (), 4, "d")
        with pytest.raises(RateLimited):
            door.connect(Evidence(token="s3cret", **more), REMOTE, "operator", (), 4, "d")


async def test_ghsa_5847_rm3g_23mw_an_address_is_one_client_however_it_is_written() -> None:
    assert (
        len({client_key(text) for text in ("1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "[::ffff:1.2.3.4]:80")}) == 1
    )
    assert len({client_key(text) for text in ("2001:db8::1", "2001:DB8:0::ffff", "2001:db8::1%eth0")}) == 1
    assert client_key("2001:db8::1") != client_key("2001:db8:0:1::1")
    proxy = GatewayConfig(trusted_proxies=("127.0.0.1",))
    async with world(proxy, attempts=3) as here, aiohttp.ClientSession() as http:

        async def status(token: str, client: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": client}
            async with http.get(here.url + "/v1/models", headers=headers) as answer:
                return answer.status

        assert [await status("no", each) for each in ("1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304")] == [401] * 3
        assert await status(TOKEN, "1.2.3.4") == await status(TOKEN, "::ffff:1.2.3.4") == 429
        assert await status(TOKEN, "1.2.3.5") == 200


async def test_ghsa_6rmx_gvvg_vh6j_a_wrong_method_never_counts_and_no_client_locks_out_another() -> None:
    hooks = HooksConfig(enabled=True, token=Secret("hook-secret-0123456789-0123456789"))
    config = GatewayConfig(trusted_proxies=("127.0.0.1",))
    async with world(config, attempts=3, hooks=hooks) as here, aiohttp.ClientSession() as http:
        mine, theirs = {"X-Forwarded-For": "8.8.8.8"}, {"X-Forwarded-For": "9.9.9.9"}
        for _ in range(20):
            for path in ("/hooks/agent", "/v1/chat/completions", "/tools/invoke", "/v1/responses"):
                headers = {"Authorization": "Bearer wrong", **mine}
                async with http.get(here.url + path, headers=headers) as answer:
                    assert answer.status == 405
        async with http.get(here.url + "/v1/models", headers={**BEARER, **mine}) as answer:
            assert answer.status == 200
        for _ in range(5):
            async with http.get(here.url + "/v1/models", headers={"Authorization": "Bearer wrong", **theirs}) as answer:
                assert answer.status in (401, 429)
        async with http.get(here.url + "/v1/models", headers={**BEARER, **mine}) as answer:
            assert answer.status == 200


async def test_cve_2026_28475_credentials_are_compared_as_hashes_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def watching(a: Any, b: Any) -> bool:
        compared.append((len(a), len(b)))
        return real(a, b)

    clock = ManualClock()
    devices = no_devices(clock)
    issued = await devices.pair(Ask(device_id="d", public_key="k", role="operator", scopes=("operator.read",)))
    door = Authenticator("token", Secret("s3cret"), None, lambda: RateLimitConfig(max_attempts=99), clock, devices)
    monkeypatch.setattr(hmac, "compare_digest", watching)
    counts = set()
    for token in ("", "s", "s3cre", "s3cret", "s3cret!", "x" * 4096, issued.token[:-1], issued.token):
        compared.clear()
        try:
            door.http({b"authorization": b"Bearer " + (token or "-").encode()}, REMOTE)
        except Unauthorized:
            counts.add(len(compared))
        assert {a == b for a, b in compared} == {True}  # of one length: hashes, never what was sent
    assert len(counts) == 1  # every wrong one is compared with the same number of things


def test_cve_2026_35656_a_forged_hop_makes_nobody_local() -> None:
    trusted = TrustedProxies(("10.0.0.1",))
    for hops in (b"127.0.0.1", b"127.0.0.1, 9.9.9.9", b"::1", b"localhost", b"9.9.9.9, 127.0.0.1", b"::ffff:127.0.0.1"):
        for peer in ("10.0.0.1", "127.0.0.1", "9.9.9.9"):
            found = locate(peer, {b"x-forwarded-for": hops}, trusted)
            assert not found.direct
            assert not found.local
            assert found.attributed is (peer == "10.0.0.1")
    assert locate("10.0.0.1", {b"x-forwarded-for": b"127.0.0.1, 9.9.9.9"}, trusted).key == "9.9.9.9"
    chained = TrustedProxies(("10.0.0.0/8",))
    assert locate("10.0.0.1", {b"x-forwarded-for": b"1.1.1.1, 9.9.9.9, 10.2.2.2"}, chained).key == "9.9.9.9"


async def test_cve_2026_53832_a_program_on_this_machine_cannot_pose_as_the_proxy(tmp_path: Path) -> None:
    proxy = {"userHeader": "X-Forwarded-User", "allowUsers": ["root"]}
    section = {"auth": {"mode": "trusted-proxy", "token": GATEWAY_TOKEN, "trustedProxy": proxy}}
    roles = {"admin": {"users": ["root"]}}
    async with aiohttp.ClientSession() as http:
        port = free_port()
        write_config(tmp_path, port, gateway={"port": port, "trustedProxies": ["127.0.0.1"], "roles": roles, **section})
        running = await (await GatewayProcess.start(tmp_path, port)).ready()
        try:
            for more in ({}, {"X-Forwarded-For": "9.9.9.9"}, {"X-OpenClaw-Proxy-Secret": ""}):
                headers = {"X-Forwarded-User": "root", **more}
                async with http.get(running.http_url + "/v1/models", headers=headers) as answer:
                    assert answer.status in (401, 403), more
        finally:
            await running.stop()
    assert TrustedProxyConfig().secret is None  # so that nobody on this machine counts until one is agreed


@pytest.mark.parametrize("advisory", ["rotated", "revoked"])
async def test_ghsa_m8wm_r5vq_qjpg_cve_2026_45005_ghsa_q8ff_7ffm_m3r9_what_was_replaced_opens_nothing(
    tmp_path: Path, advisory: str
) -> None:
    async with gateway(tmp_path) as running, aiohttp.ClientSession() as http, await running.connect() as client:
        bearer = {"Authorization": f"Bearer {GATEWAY_TOKEN}"}
        stream = await http.get(running.http_url + "/api/mirror/stream?gapMs=60000", headers=bearer)
        assert await stream.content.readline() == b"data: 0\n"
        socket = await connect(running.ws_url + "/v1/agent/main", additional_headers=bearer, proxy=None)
        shown = await client.call("config.get")
        fresh = "another-token-another-token-0123456789"
        auth = f"{{token: '{fresh}'}}" if advisory == "rotated" else "{mode: 'password', password: 'pass-0123456789'}"
        await client.call("config.patch", {"raw": f"{{gateway: {{auth: {auth}}}}}", "baseHash": shown["hash"]})
        async with asyncio.timeout(1):
            async with http.get(running.http_url + "/v1/models", headers=bearer) as answer:
                assert answer.status == 401
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            with pytest.raises(aiohttp.ClientError):
                await stream.content.read()
        stream.close()


HIDDEN = (
    *(
        b"/v1/%6dodels",
        b"/V1/models",
        b"/v1//models",
        b"/v1/./models",
        b"/v1/x/../models",
        b"/v1/models/",
        b"//v1/models",
    ),
    *(b"/v1%2fmodels", b"/v1%252fmodels", b"/v1%25252fmodels", b"/%2e%2e/v1/models", b"/v1\\models", b"/v1/models%00"),
    *(b"/tools%2finvoke", b"/TOOLS/invoke", b"/hooks%2fagent", b"/setup%2fstate", b"/api%5cmirror"),
)


async def test_ghsa_8j2w_6fmm_m587_cve_2026_32004_ghsa_v865_p3gq_hw6m_a_path_has_one_spelling() -> None:
    async with world(ui=True) as here:
        for path in HIDDEN:
            lines = [b"GET %b HTTP/1.1" % path, b"Host: 127.0.0.1", b"Connection: close", b"", b""]
            status, _, body = await raw_request(here.port, b"\r\n".join(lines))
            assert status in (400, 401, 404), (path, status)
            assert b'"object":"list"' not in body
    for path in (b"/a%25252fb", b"/a%252fb", b"/a/%2e/b", b"/a//b", b"/a\\b", b"/a%5cb", b"/%ff", b"/a%00"):
        with pytest.raises(InvalidRequest):
            canonical_segments(path)
    with pytest.raises(InvalidRequest):
        Router(()).match("GET", b"/a%2fb")


async def test_ghsa_943q_mwmv_hhvh_over_http_only_an_agents_own_tools_are_called() -> None:
    async with world() as here, aiohttp.ClientSession() as http:
        for name in (
            "sessions_spawn",
            "sessions_send",
            "run_agent",
            "exec",
            "process",
            "gateway",
            "sessions_send ",
            "SESSIONS_SEND",
            "read_file\x00",
            "../exec",
        ):
            async with http.post(here.url + "/tools/invoke", json={"tool": name}, headers=BEARER) as answer:
                assert answer.status == 404
    for safety in ("Dangerous", "Safe", "safe ", "unsafe", "", None, True):  # kinds are exact words, not substrings
        facts = {"safety": safety}
        ask = policy.Ask(kind="tool", principal=Principal(), action="tool exec", target="safe", facts=facts)
        assert tool_verdict(ask).answer == "deny"
