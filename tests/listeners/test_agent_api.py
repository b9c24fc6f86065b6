from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from openclaw.base.errors import LaneBusy, ModelTimeout
from openclaw.base.secret import Secret
from tests.listeners.fakes import BEARER, TOKEN, World, http, raw_request, until, world

pytestmark = pytest.mark.anyio


async def post(here: World, body: Any, agent: str = "main", **headers: Any) -> tuple[int, dict[str, str], bytes]:
    return await raw_request(here.port, http("POST", f"/v1/agent/{agent}", json.dumps(body).encode(), **headers))


async def test_agents_are_listed() -> None:
    async with world() as here:
        status, _, body = await raw_request(here.port, http("GET", "/v1/agents"))
        rows = json.loads(body)["agents"]
        assert (status, [row["id"] for row in rows], rows[0]["default"]) == (200, ["main", "coder"], True)


@pytest.mark.parametrize("name", ["main", "default", "coder"])
async def test_a_prompt_is_answered(name: str) -> None:
    async with world() as here:
        status, _, raw = await post(here, {"prompt": "hi", "metadata": {"a": 1}, "max_tokens": 5}, name)
        body = json.loads(raw)
        assert (status, body["output"], body["finish_reason"]) == (200, "Tokyo is the capital.", "stop")
        assert body["agent"] == ("main" if name == "default" else name)
        assert body["usage"]["total_tokens"] == 30
        assert (body["model"], body["provider"], body["actions"]) == ("fake", "fake", [])
        assert here.agent.inbounds[0].ephemeral


async def test_a_session_id_we_gave_can_be_continued() -> None:
    async with world() as here:
        first = json.loads((await post(here, {"prompt": "hi"}))[2])
        again = json.loads((await post(here, {"prompt": "more", "session_id": first["session_id"]}))[2])
        assert again["session_id"] == first["session_id"]
        one, two = here.agent.inbounds
        assert one.session_key == two.session_key == f"agent:main:http:{first['session_id']}"
        assert (one.ephemeral, two.ephemeral) == (True, False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"prompt": ""}, 400),
        ({"prompt": 5}, 400),
        ({"prompt": "x", "session_id": "../x"}, 400),
        ({"prompt": "x", "session_id": ""}, 400),
        ({"prompt": "x", "max_tokens": 0}, 400),
        ({"prompt": "x", "temperature": -1}, 400),
        ({"prompt": "x", "model": "no/no"}, 404),
        ([], 400),
    ],
)
async def test_bad_input_is_refused(body: Any, status: int) -> None:
    async with world() as here:
        assert (await post(here, body))[0] == status


async def test_an_unknown_agent_is_404() -> None:
    async with world() as here:
        assert (await post(here, {"prompt": "x"}, "nope"))[0] == 404


def frames(body: bytes) -> list[dict[str, Any]]:
    blocks = [block for block in body.decode().split("\n\n") if block]
    assert blocks[-1] == "data: [DONE]"
    out = []
    for block in blocks[:-1]:
        event, data = block.split("\n")
        frame = json.loads(data.removeprefix("data: "))
        assert event == f"event: {frame['type']}"
        out.append(frame)
    return out


@pytest.mark.parametrize("how", [{"stream": True}, {}])
async def test_a_prompt_is_streamed_with_its_tool_use(how: dict[str, Any]) -> None:
    async with world() as here:
        here.agent.uses_tool = True
        accept: dict[str, Any] = {} if how else {"Accept": "text/event-stream"}
        status, head, body = await post(here, {"prompt": "hi", **how}, **accept)
        assert (status, head["content-type"]) == (200, "text/event-stream; charset=utf-8")
        got = frames(body)
        assert [frame["type"] for frame in got] == ["start", "tool", "tool", *["delta"] * 4, "final"]
        assert got[1]["name"] == "list_files"
        assert got[2]["result"] == "notes.txt"
        assert "".join(frame.get("text", "") for frame in got) == got[-1]["output"]
        assert got[0]["session_id"] == got[-1]["session_id"]


async def test_a_failed_run_is_an_error_frame_or_status() -> None:
    async with world() as here:
        here.agent.error = ModelTimeout("late")
        assert frames((await post(here, {"prompt": "hi", "stream": True}))[2])[-1]["error"]["code"] == "MODEL_TIMEOUT"
        assert (await post(here, {"prompt": "hi"}))[0] == 504
        here.agent.refusal = LaneBusy("full")
        assert (await post(here, {"prompt": "hi", "stream": True}))[0] == 429


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return frame


async def until_end(socket: ClientConnection) -> list[dict[str, Any]]:
    got = [await receive(socket)]
    while got[-1]["type"] not in ("final", "error"):
        got.append(await receive(socket))
    return got


async def test_a_socket_with_the_header_takes_prompts_at_once() -> None:
    async with world() as here:
        async with connect(f"{here.ws_url}/v1/agent/default", additional_headers=BEARER, proxy=None) as socket:
            await socket.send('{"prompt":"hi"}')
            got = await until_end(socket)
            assert [frame["type"] for frame in got] == ["start", *["delta"] * 4, "final"]
            assert got[-1]["output"] == "Tokyo is the capital."
            await socket.send('{"type":"prompt","prompt":"more"}')
            assert (await until_end(socket))[-1]["session_id"] == got[-1]["session_id"]
            await socket.send('{"prompt":"x","session_id":"mine"}')
            assert (await until_end(socket))[-1]["session_id"] == "mine"
        assert [inbound.ephemeral for inbound in here.agent.inbounds] == [True, True, False]


async def test_a_socket_signs_in_by_its_first_frame() -> None:
    async with world() as here, connect(f"{here.ws_url}/v1/agent/main", proxy=None) as socket:
        await socket.send(json.dumps({"type": "auth", "token": TOKEN}))
        assert (await receive(socket))["type"] == "ready"
        await socket.send('{"prompt":"hi"}')
        assert (await until_end(socket))[-1]["type"] == "final"


@pytest.mark.parametrize("first", ['{"type":"auth","token":"no"}', '{"type":"auth"}', '{"prompt":"hi"}', "junk", "[]"])
async def test_a_socket_without_the_token_is_closed(first: str) -> None:
    async with world() as here, connect(f"{here.ws_url}/v1/agent/main", proxy=None) as socket:
        await socket.send(first)
        assert (await receive(socket))["type"] == "error"
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008
        assert here.agent.inbounds == []


async def test_a_socket_is_closed_when_the_token_it_came_by_is_no_more() -> None:
    async with world() as here:
        authenticator = here.app._deps.authenticator
        async with connect(f"{here.ws_url}/v1/agent/main", proxy=None) as late:
            await late.send(json.dumps({"type": "auth", "token": TOKEN}))
            assert (await receive(late))["type"] == "ready"
            async with connect(f"{here.ws_url}/v1/agent/main", additional_headers=BEARER, proxy=None) as early:
                await early.send('{"prompt":"hi"}')
                await until_end(early)
                authenticator.renew("token", Secret("another"), None)
                for socket in (late, early):
                    with pytest.raises(ConnectionClosed) as caught:
                        await socket.recv()
                    assert caught.value.rcvd is not None
                    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4001, "gateway auth changed")
        await until(lambda: not authenticator.holders)


async def test_a_wrong_header_a_foreign_page_or_a_wrong_path_gets_no_socket() -> None:
    async with world() as here:
        cases: list[tuple[str, dict[str, str], int]] = [
            ("/v1/agent/main", {"Authorization": "Bearer no"}, 401),
            ("/v1/agent/main", {**BEARER, "Origin": "http://evil.example"}, 403),
            ("/v1/agent/main/x", BEARER, 404),
            ("/v1/agent//", BEARER, 400),
        ]
        for path, headers, status in cases:
            with pytest.raises(InvalidStatus) as caught:
                await connect(here.ws_url + path, additional_headers=headers, proxy=None)
            assert caught.value.response.status_code == status


async def test_abort_overtakes_the_answer() -> None:
    async with world() as here:
        here.agent.hold = True
        async with connect(f"{here.ws_url}/v1/agent/main", additional_headers=BEARER, proxy=None) as socket:
            await socket.send('{"prompt":"hi"}')
            assert [(await receive(socket))["type"] for _ in range(2)] == ["start", "delta"]
            await socket.send('{"type":"abort"}')
            assert (await until_end(socket))[-1]["type"] == "error"
        assert here.agent.aborts[0][2] == "abort"


async def test_hanging_up_stops_what_nobody_can_come_back_to() -> None:
    async with world() as here:
        here.agent.hold = True
        async with connect(f"{here.ws_url}/v1/agent/main", additional_headers=BEARER, proxy=None) as socket:
            await socket.send('{"prompt":"hi"}')
            await socket.send('{"prompt":"hi","session_id":"mine"}')
            assert {(await receive(socket))["type"] for _ in range(4)} == {"start", "delta"}
        fresh, kept = here.agent.runs.values()
        await asyncio.wait_for(fresh.ended.wait(), 5)
        assert not kept.ended.is_set()
        kept.gate.set()
        await asyncio.wait_for(kept.ended.wait(), 5)


@pytest.mark.parametrize("bad", ["junk", '{"type":"dance"}', '{"prompt":""}', '{"prompt":5}', "{}", "5"])
async def test_a_bad_frame_is_answered_and_the_socket_lives(bad: str) -> None:
    async with (
        world() as here,
        connect(f"{here.ws_url}/v1/agent/main", additional_headers=BEARER, proxy=None) as socket,
    ):
        await socket.send(bad)
        assert (await receive(socket))["error"]["code"] == "INVALID_REQUEST"
        await socket.send('{"prompt":"hi"}')
        assert (await until_end(socket))[-1]["type"] == "final"
