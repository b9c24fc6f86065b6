"""The link: it comes back, believes the gateway, gives up when no try helps, and repeats only what may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import OpenClawError, Unauthorized, Unavailable
from openclaw.base.secret import Secret
from openclaw.client import Credentials, DeviceStore, Down, Event, GatewayDown, GatewayLink, Role, Up, chat
from openclaw.client.link import FIRST_S, LONGEST_S, PAIRING_S, Told
from tests.client.scripted import HELLO, Frame, Line, echo, refusal, scripted

pytestmark = pytest.mark.anyio
GIVEN = Credentials(token=Secret("shared"))
ROLE = Role(min_protocol=4)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def next_(told: AsyncIterator[Told], kind: type[Told]) -> Told:
    """Return the next thing of a kind."""
    async with asyncio.timeout(5):
        async for each in told:
            if isinstance(each, kind):
                return each
    raise AssertionError("the link ended")


async def hang_up(line: Line, request: Frame) -> None:
    """Close the first connection at its first request."""
    if line.number == 0:
        await line.socket.close(1011, "oops")
    else:
        await echo(line, request)


async def sleeping(clock: ManualClock, seconds: float) -> None:
    """Let the link fall asleep, then pass the time."""
    for _ in range(20):
        await asyncio.sleep(0)
    clock.advance(seconds)


async def test_it_comes_back_after_a_loss_and_subscribes_again(clock: ManualClock) -> None:
    async with (
        scripted(serving=hang_up_after_subscribe) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, subscribe=("sessions.subscribe",), clock=clock) as link,
        link.listen() as told,
    ):
        assert await next_(told, Up) == Up(HELLO)
        down = await next_(told, Down)
        assert isinstance(down, Down)
        assert FIRST_S / 2 <= down.retry_s <= FIRST_S
        assert "1011 oops" in down.why.message
        await sleeping(clock, FIRST_S)
        assert isinstance(await next_(told, Up), Up)
        assert [request["method"] for request in gateway.requests] == ["sessions.subscribe", "sessions.subscribe"]


async def hang_up_after_subscribe(line: Line, request: Frame) -> None:
    await line.answer(request, {"subscribed": True})
    if line.number == 0:
        await line.socket.close(1011, "oops")


async def test_waits_grow_to_a_limit_while_nobody_is_there(clock: ManualClock) -> None:
    async with GatewayLink("ws://127.0.0.1:9", ROLE, GIVEN, clock=clock) as link, link.listen() as told:
        waits = []
        for _ in range(8):
            down = await next_(told, Down)
            assert isinstance(down, Down)
            waits.append(down.retry_s)
            await sleeping(clock, LONGEST_S)
        assert waits[0] <= FIRST_S
        assert all(LONGEST_S / 2 <= wait <= LONGEST_S for wait in waits[5:])


async def test_a_gateway_that_says_when_it_is_back_is_believed(clock: ManualClock) -> None:
    async def restart(line: Line, request: Frame) -> None:
        await line.tell("shutdown", {"reason": "service restart", "restartExpectedMs": 7000}, 1)
        await line.socket.close(1012, "service restart")

    async with (
        scripted(serving=restart) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link,
        link.listen() as told,
    ):
        await next_(told, Up)
        with pytest.raises(GatewayDown, match="1012 service restart"):
            await link.call("health")
        down = await next_(told, Down)
        assert isinstance(down, Down)
        assert down.retry_s == 7.0


@pytest.mark.parametrize(
    ("code", "kind"), [("AUTH_TOKEN_MISMATCH", Unauthorized), ("PROTOCOL_MISMATCH", OpenClawError)]
)
async def test_a_refusal_that_time_does_not_mend_ends_the_link(
    code: str, kind: type[OpenClawError], clock: ManualClock
) -> None:
    async with (
        scripted(lambda params, number: refusal(code, "no")) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link,
    ):
        with pytest.raises(kind):
            await link.call("health")
        assert link.ended is not None
        assert len(gateway.connects) == 1


async def test_a_device_that_waits_for_approval_goes_on_asking(clock: ManualClock, tmp_path: Path) -> None:
    def approve_third(params: Frame, number: int) -> Frame:
        return HELLO if number == 2 else refusal("PAIRING_REQUIRED", "pairing required", requestId="r")

    async with (
        scripted(approve_third) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, device=DeviceStore(tmp_path), clock=clock) as link,
        link.listen() as told,
    ):
        for _ in range(2):
            down = await next_(told, Down)
            assert isinstance(down, Down)
            assert (down.retry_s, down.why.details["requestId"]) == (PAIRING_S, "r")
            await sleeping(clock, PAIRING_S)
        await next_(told, Up)
        ids = {params["device"]["id"] for params in gateway.connects}
        assert ids == {DeviceStore(tmp_path).key().device_id}
        assert [params["device"]["nonce"] for params in gateway.connects] == ["nonce-0", "nonce-1", "nonce-2"]


async def test_the_devices_own_token_is_kept_and_used_when_none_is_given(clock: ManualClock, tmp_path: Path) -> None:
    def give(params: Frame, number: int) -> Frame:
        return {**HELLO, "auth": {"deviceToken": f"own-{number}"}}

    store = DeviceStore(tmp_path)
    async with scripted(give) as gateway:
        for credentials in (GIVEN, Credentials()):
            async with GatewayLink(gateway.url, ROLE, credentials, device=store, clock=clock) as link:
                await link.ready()
        assert [params["auth"] for params in gateway.connects] == [{"token": "shared"}, {"deviceToken": "own-0"}]
        assert store.token(gateway.url, "operator") == Secret("own-1")


async def test_a_wrong_shared_token_falls_back_once_to_the_devices_own(clock: ManualClock, tmp_path: Path) -> None:
    def only_own(params: Frame, number: int) -> Frame:
        if params["auth"] == {"deviceToken": "own"}:
            return HELLO
        return refusal("AUTH_TOKEN_MISMATCH", canRetryWithDeviceToken=True)

    store = DeviceStore(tmp_path)
    async with scripted(only_own) as gateway:
        store.keep_token(gateway.url, "operator", Secret("own"))
        async with GatewayLink(gateway.url, ROLE, GIVEN, device=store, clock=clock) as link:
            await link.ready()
        assert len(gateway.connects) == 2


async def test_a_device_token_that_is_no_longer_good_is_forgotten(clock: ManualClock, tmp_path: Path) -> None:
    store = DeviceStore(tmp_path)
    async with scripted(lambda params, number: refusal("AUTH_DEVICE_TOKEN_MISMATCH")) as gateway:
        store.keep_token(gateway.url, "operator", Secret("old"))
        async with GatewayLink(gateway.url, ROLE, Credentials(), device=store, clock=clock) as link:
            with pytest.raises(Unauthorized):
                await link.ready()
        assert store.token(gateway.url, "operator") is None


async def test_what_took_back_our_right_to_be_here_ends_the_link(clock: ManualClock) -> None:
    async def remove(line: Line, request: Frame) -> None:
        await line.socket.close(4001, "device removed")

    async with scripted(serving=remove) as gateway, GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link:
        with pytest.raises(GatewayDown, match="4001 device removed"):
            await link.call("health", {"idempotencyKey": "k"})
        assert len(gateway.connects) == 1


async def test_only_what_has_an_idempotency_key_is_sent_again(clock: ManualClock) -> None:
    async with (
        scripted(serving=hang_up) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link,
        link.listen() as told,
    ):
        call = asyncio.ensure_future(link.call("chat.send", {"idempotencyKey": "k"}))
        await next_(told, Down)
        await sleeping(clock, FIRST_S)
        assert await call == {"idempotencyKey": "k"}
        assert len(gateway.requests) == 2
    async with scripted(serving=hang_up) as gateway, GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link:
        with pytest.raises(GatewayDown, match="1011 oops"):
            await link.call("sessions.reset", {"key": "main"})
        assert len(gateway.requests) == 1


async def test_a_call_waits_for_the_connection_but_not_for_ever(clock: ManualClock) -> None:
    async with GatewayLink("ws://127.0.0.1:9", ROLE, GIVEN, clock=clock) as link:
        with pytest.raises(Unavailable, match="health was not answered within"):
            await link.call("health", timeout_s=0.05)


async def test_gaps_in_the_events_are_counted(clock: ManualClock) -> None:
    async def skip(line: Line, request: Frame) -> None:
        for seq in (1, 2, 5):
            await line.tell("tick", {}, seq)
        await line.answer(request, {})

    async with scripted(serving=skip) as gateway, GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link:
        client = await link.ready()
        await link.call("health")
        assert client.missed == 2


async def test_a_chat_is_read_to_its_end(clock: ManualClock) -> None:
    async def answer(line: Line, request: Frame) -> None:
        run_id = request["params"]["idempotencyKey"]
        await line.answer(request, {"runId": run_id, "status": "started"})
        for other in ("someone-else", run_id):
            for state, text in (("delta", "To"), ("final", "Tokyo")):
                message = {"role": "assistant", "content": [{"type": "text", "text": text}]}
                await line.tell("chat", {"runId": other, "state": state, "message": message})

    async with scripted(serving=answer) as gateway, GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link:
        updates = [(update.state, update.text) async for update in chat(link, "capital of Japan?")]
        assert updates == [("delta", "To"), ("final", "Tokyo")]


async def test_a_chat_survives_the_loss_of_its_connection(clock: ManualClock) -> None:
    async def lose(line: Line, request: Frame) -> None:
        method = request["method"]
        if method == "chat.send":
            await line.answer(request, {"runId": request["params"]["idempotencyKey"], "status": "started"})
            await line.tell("chat", {"runId": request["params"]["idempotencyKey"], "state": "delta", "message": "To"})
            await line.socket.close(1011, "oops")
        elif method == "agent.wait":
            await line.answer(request, {"runId": "x", "status": "ok", "endedAt": 1})
        else:
            content = [{"type": "text", "text": "Tokyo"}]
            await line.answer(request, {"messages": [{"role": "assistant", "content": content}]})

    async with (
        scripted(serving=lose) as gateway,
        GatewayLink(gateway.url, ROLE, GIVEN, clock=clock) as link,
        link.listen() as told,
    ):
        texts = []
        async for update in chat(link, "capital of Japan?"):
            texts.append((update.state, update.text))
            if update.state == "delta":
                await next_(told, Down)
                await sleeping(clock, FIRST_S)
        assert texts[-1] == ("final", "Tokyo")


async def test_leaving_ends_listeners_and_calls(clock: ManualClock) -> None:
    async with scripted() as gateway:
        link = GatewayLink(gateway.url, ROLE, GIVEN, clock=clock)
        async with link:
            await link.ready()
        async with link.listen() as told:
            assert [each async for each in told if isinstance(each, Event)] == []
        with pytest.raises(Unavailable, match="closed"):
            await link.call("health")
