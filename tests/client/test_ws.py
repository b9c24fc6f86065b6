"""The client against a real counter on a loopback socket."""

from __future__ import annotations

import socket

import pytest

from openclaw.base.errors import Unauthorized, Unavailable
from openclaw.base.secret import Secret
from openclaw.client.errors import GatewayDown, RpcError
from openclaw.client.ws import GatewayClient
from tests.client.support import gateway
from tests.rpc.support import Bench

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_call_an_event_and_a_two_stage_answer(protocol: int, bench: Bench) -> None:
    async with (
        gateway(bench) as url,
        await GatewayClient.connect(url, token=Secret("right"), max_protocol=protocol) as client,
    ):
        assert client.protocol == protocol
        assert (await client.call("health"))["ok"] is True
        params = {"sessionKey": "main", "message": "hi", "idempotencyKey": "r1"}
        assert (await client.call("chat.send", params))["status"] == "started"
        async for event in client.events():
            if event.name == "chat" and event.payload["state"] == "final":
                assert event.payload["message"]["content"][0]["text"] == "Tokyo."
                assert event.seq > 0
                break
        final = await client.call("agent", {"message": "hi", "idempotencyKey": "r2"}, final=True)
        assert final["result"]["payloads"][0]["text"] == "Tokyo."


async def test_a_refusal_carries_code_message_and_details(bench: Bench) -> None:
    async with gateway(bench) as url, await GatewayClient.connect(url, token="right") as client:
        with pytest.raises(RpcError) as caught:
            await client.call("nope")
        assert caught.value.as_dict()["code"] == "INVALID_REQUEST"
        assert caught.value.message == "unknown method: nope"


async def test_a_wrong_token_is_named_with_its_source_and_never_shown(bench: Bench) -> None:
    async with gateway(bench) as url:
        with pytest.raises(Unauthorized) as caught:
            await GatewayClient.connect(url, token="wr0ng-secret", token_source="environment variable X")
        assert "the token from environment variable X was refused" in caught.value.message
        assert caught.value.details["code"] == "AUTH_TOKEN_MISMATCH"
        assert "wr0ng-secret" not in str(caught.value.as_dict())
        with pytest.raises(Unauthorized, match="no token was sent"):
            await GatewayClient.connect(url, token_source="nowhere")


async def test_nothing_at_the_url_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(GatewayDown, match="no gateway answers at"):
            await GatewayClient.connect(url)
    with pytest.raises(GatewayDown, match="not a WebSocket URL"):
        await GatewayClient.connect("http://127.0.0.1:1")


async def test_a_call_has_a_deadline_and_ends_with_the_connection(bench: Bench) -> None:
    bench.agent.answer = None
    async with gateway(bench) as url, await GatewayClient.connect(url, token="right") as client:
        with pytest.raises(Unavailable, match="was not answered within"):
            await client.call("agent", {"message": "x", "idempotencyKey": "1"}, timeout_s=0.05, final=True)
        await bench.hub.shutdown("test", 1500)
        names = [event.name async for event in client.events()]
        assert names[-1] == "shutdown"
        with pytest.raises(GatewayDown, match="1012 service restart"):
            await client.call("health")
