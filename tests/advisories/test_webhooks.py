"""Section 7, as far as it is about webhooks: no secret = the route refuses; limits come before everything else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.config.schema import HookMapping, HookMatch, HooksConfig, HookSignature
from openclaw.listeners.hooks.api import LIMITS, MAX_BODY_BYTES
from tests.listeners.fakes import World, http, raw_request, read_answer, world

pytestmark = pytest.mark.anyio
TOKEN = "hooks-own-token-5a1f0c7be2d94e6688"
KEY = b"a key of thirty-two bytes, signed"
AT_MS = 1_800_000_000_000


def hooks(*mappings: HookMapping, token: str | None = TOKEN) -> HooksConfig:
    return HooksConfig(enabled=True, token=Secret(token) if token else None, mappings=mappings)


SIGNED = HookMapping(
    id="signed",
    match=HookMatch(path="signed"),
    message_template="{{text}}",
    signature=HookSignature(scheme="standard", secret=Secret(base64.b64encode(KEY).decode())),
)


def signature(body: bytes, message_id: str = "msg_1", at_s: int = AT_MS // 1000) -> str:
    signed = b".".join((message_id.encode(), str(at_s).encode(), body))
    return base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()


async def deliver(here: World, body: bytes, made: str, message_id: str = "msg_1", at_s: int = AT_MS // 1000) -> Any:
    headers = {"Webhook_Id": message_id, "Webhook_Timestamp": str(at_s), "Webhook_Signature": f"v1,{made}"}
    status, _, answer = await raw_request(here.port, http("POST", "/hooks/signed", body, token=None, **headers))
    return status, json.loads(answer) if answer[:1] == b"{" else answer


async def test_cve_2026_26319_without_a_secret_of_its_own_the_route_refuses_everybody() -> None:
    async with world(hooks=hooks(token=None), wake=None) as here:
        for given in ({"token": None}, {"token": ""}, {"token": "None"}, {"token": "null"}):
            status, _, _ = await raw_request(here.port, http("POST", "/hooks/agent", b'{"message": "a"}', **given))
            assert status == 401, given
        assert here.agent.inbounds == []


async def test_cve_2026_26319_a_replay_is_the_same_run_however_its_signature_is_spelled() -> None:
    body = json.dumps({"text": "transfer"}).encode()
    async with world(hooks=hooks(SIGNED), clock=ManualClock(AT_MS)) as here:
        made = signature(body)
        first = await deliver(here, body, made)
        assert first[0] == 200
        spelled = {made, made.rstrip("="), made.replace("+", "-").replace("/", "_"), f"{made} v1,{made}", f" {made}"}
        for other in spelled:
            again = await deliver(here, body, other)
            assert again[0] == 401 or again == first, other
        runs = {inbound.run_id for inbound in here.agent.inbounds}
        assert len(runs) == 1
        assert (await deliver(here, body, made, "msg_2"))[0] == 401  # the id is signed, too
        assert (await deliver(here, body + b" ", made))[0] == 401  # the raw body, not what it means
        late = AT_MS // 1000 - 3600
        assert (await deliver(here, body, signature(body, at_s=late), at_s=late))[0] == 401


@pytest.mark.parametrize("announced", [MAX_BODY_BYTES + 1, 10**12, 10**30])
@pytest.mark.parametrize("path", ["/hooks/agent", "/hooks/wake", "/hooks/signed"])
async def test_cve_2026_28478_and_ghsa_q447_a_body_that_is_too_large_is_refused_before_one_byte_of_it(
    path: str, announced: int
) -> None:
    async with world(hooks=hooks(SIGNED)) as here:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {announced}\r\n\r\n"
        status, _, _ = await raw_request(here.port, head.encode())
        assert status in (400, 413)
        assert here.agent.inbounds == []


async def test_cve_2026_28478_a_body_without_an_end_is_cut_at_the_limit() -> None:
    async with world(hooks=hooks(SIGNED)) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        head = "POST /hooks/signed HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        sent = 0
        try:
            while sent < 40 * MAX_BODY_BYTES and not reader.at_eof() and not writer.is_closing():
                writer.write(b"10000\r\n" + b"[" * 65_536 + b"\r\n")
                sent += 65_536
                await asyncio.wait_for(writer.drain(), 1)
                if reader._buffer:  # type: ignore[attr-defined]  # there is an answer already
                    break
        except (ConnectionError, TimeoutError):
            pass
        status, _, _ = await asyncio.wait_for(read_answer(reader), 10)
        writer.close()
        assert status == 413
        assert sent < 40 * MAX_BODY_BYTES


async def test_ghsa_rm59_992w_x2mv_who_has_no_credential_is_told_so_while_the_body_is_still_to_come() -> None:
    async with world(hooks=hooks()) as here:
        head = f"POST /hooks/agent HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {MAX_BODY_BYTES}\r\n\r\n"
        status, _, _ = await raw_request(here.port, head.encode())  # returns without a byte of the body
        assert status == 401


async def test_ghsa_qcc3_jqwp_5vh2_what_costs_much_to_read_costs_the_sender_its_welcome() -> None:
    bombs = (b"[" * MAX_BODY_BYTES, b'{"a":' * 50_000, b'"' + b"\\u0000" * 40_000 + b'"', b"1" * MAX_BODY_BYTES)
    async with world(hooks=hooks(SIGNED), clock=ManualClock(AT_MS)) as here:
        for bomb in bombs:
            async with asyncio.timeout(2):
                status, _ = await deliver(here, bomb[:MAX_BODY_BYTES], "AAAA")
            assert status in (400, 401, 404), bomb[:10]
        guess = b'{"text": "a"}'
        seen = [(await _as_browser(here, guess))[0] for _ in range(LIMITS.max_attempts + 1)]
        assert seen[-1] == 429


async def _as_browser(here: World, body: bytes) -> tuple[int, bytes]:
    headers = {"Webhook_Id": "m", "Webhook_Timestamp": str(AT_MS // 1000), "Webhook_Signature": "v1,AAAA"}
    request = http("POST", "/hooks/signed", body, token=None, Origin="http://127.0.0.1", **headers)
    status, _, answer = await raw_request(here.port, request)
    return status, answer


async def test_ghsa_ccx3_fw7q_rr2r_the_size_is_looked_at_before_anything_is_decoded() -> None:
    async with world(hooks=hooks(SIGNED), clock=ManualClock(AT_MS)) as here:
        async with asyncio.timeout(2):
            assert (await deliver(here, b'{"text": "a"}', "A" * 7_000))[0] == 401
            many = " ".join(["v1," + "A" * 40] * 150)
            assert (await deliver(here, b'{"text": "a"}', many))[0] == 401
        large = base64.b64encode(b"x" * MAX_BODY_BYTES)
        body = b'{"text": "' + large + b'"}'
        assert (await deliver(here, body, signature(body)))[0] == 413


async def test_ghsa_6rmx_gvvg_vh6j_another_method_is_no_failed_attempt_of_anybody() -> None:
    async with world(hooks=hooks(), wake=None) as here:
        for _ in range(3 * LIMITS.max_attempts):
            for method in ("GET", "PUT"):
                request = http(method, "/hooks/agent", token="wrong", Origin="http://127.0.0.1")
                assert (await raw_request(here.port, request))[0] == 405
        good = http("POST", "/hooks/agent", b'{"message": "a"}', token=TOKEN, Origin="http://127.0.0.1")
        assert (await raw_request(here.port, good))[0] == 200


async def test_issue_5120_a_token_in_the_url_opens_no_hook() -> None:
    async with world(hooks=hooks()) as here:
        for name in ("token", "access_token", "key", "secret"):
            for token in (None, TOKEN):
                request = http("POST", f"/hooks/agent?{name}={TOKEN}", b'{"message": "a"}', token=token)
                assert (await raw_request(here.port, request))[0] == 400
        assert here.agent.inbounds == []
