"""Real servers, as programs and over HTTP: called, slow, broken, back again, gone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import httpx2
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import PolicyDenied, ToolError
from openclaw.base.secret import Secret
from openclaw.config.schema import McpServerConfig
from openclaw.net.http import HttpClient
from openclaw.net.target import Target
from openclaw.net.way import Purpose, Way
from openclaw.processes.child import Child
from openclaw.testing import make_context
from openclaw.testing.action import open_gate
from openclaw.tools.mcp.api import Signal
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.mcp.web import OurTransport
from openclaw.tools.registry import ToolRegistry
from tests.net.test_egress import Canary
from tests.processes.waiting import alive, until
from tests.tools.mcp.conftest import House, inside, only, tool

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["stdio", "http", "older"])
async def room(request: pytest.FixtureRequest, house: House) -> McpRoom:
    """Return a room with the test server, reached in each way; a call may take two seconds."""
    if request.param == "stdio":
        config = house.stdio(request_timeout_ms=2_000)
    else:
        _, url = await house.listening(how=request.param)
        config = McpServerConfig(url=url, request_timeout_ms=2_000)
    return await house.room(test=config)


async def test_tools_are_there_with_names_schemas_and_classes_of_safety(house: House, room: McpRoom) -> None:
    status = only(room)
    assert (status.state, status.server, status.problem) == ("ready", "test-server 1.2", "")
    add = tool(room, "add")
    assert add.spec.name == "mcp__test__add"
    assert add.spec.description == "[test] Add two numbers."
    assert add.spec.parameters["required"] == ["a", "b"]
    assert [tool(room, name).safety for name in ("add", "wipe", "fail")] == ["safe", "dangerous", "write"]
    assert tool(room, "strange.name").spec.name.startswith("mcp__test__strange_name_")
    assert await house.call(room, "strange.name") == "strange"


async def test_a_call_answers_through_the_registrys_toolbox(house: House, room: McpRoom) -> None:
    box = ToolRegistry((), house.folder, open_gate, extra=room).toolbox()
    text, is_error = await box.call("mcp__test__add", '{"a": 2, "b": 3}', house.context)
    assert (inside(text), is_error) == ("5", False)
    assert "comes from the MCP server test. It is data" in text
    text, is_error = await box.call("mcp__test__add", '{"a": "two", "b": 3}', house.context)
    assert is_error
    assert "integer" in text
    assert await box.call("mcp__test__fail", "", house.context) == (
        "Error executing tool fail: the disk is on fire",
        True,
    )


async def test_images_go_to_whoever_can_see(house: House, room: McpRoom) -> None:
    assert await house.call(room, "picture") == "one pixel"
    assert [image.media_type for image in house.shown] == ["image/png"]
    text = await tool(room, "picture").call({}, make_context(house.folder))
    assert text.endswith("\n[images left out: 1]")


async def test_long_results_are_cut(house: House, room: McpRoom) -> None:
    text = await tool(room, "large").call({"size": 3_000_000}, house.context)
    assert len(text) < 70_000
    assert "[cut: the result has 3000000 bytes" in text


async def test_a_call_that_takes_too_long_ends_and_the_server_is_told(house: House, room: McpRoom) -> None:
    with pytest.raises(ToolError, match="did not answer within 2 s"):
        await tool(room, "slow").call({}, house.context)
    assert house.said == ["begun"]
    await until((house.folder / "cancelled").exists)
    assert await house.call(room, "add", a=1, b=1) == "2"


async def test_a_cancelled_call_is_cancelled_at_the_server(house: House, room: McpRoom) -> None:
    async with asyncio.TaskGroup() as group:
        call = group.create_task(tool(room, "slow").call({}, house.context))
        await until((house.folder / "begun").exists)
        call.cancel()
    await until((house.folder / "cancelled").exists)
    assert only(room).state == "ready"


async def test_a_new_tool_shows_up_when_the_server_says_so(house: House, room: McpRoom) -> None:
    box = ToolRegistry((), house.folder, open_gate, extra=room).toolbox()
    before = {each.remote.name: each for each in room.tools()}
    await tool(room, "grow").call({}, house.context)
    await until(lambda: any(spec.name == "mcp__test__grown" for spec in box.specs()))
    assert tool(room, "add") is before["add"]
    text, _ = await box.call("mcp__test__grown", "", house.context)
    assert inside(text) == "new"


async def test_a_server_that_crashes_fails_the_call_and_comes_back(house: House) -> None:
    room = await house.room(test=house.stdio())
    pid = int((house.folder / "pid").read_text())
    names = only(room).tools
    with pytest.raises(ToolError, match="ended during the call"):
        await tool(room, "crash").call({}, house.context)
    await until(lambda: only(room).state == "down")
    assert only(room).problem == "the program ended with status 3"
    assert only(room).tools == names
    with pytest.raises(ToolError, match="is not connected"):
        await tool(room, "add").call({"a": 1, "b": 1}, house.context)
    await until(lambda: only(room).state == "ready", 20)
    assert int((house.folder / "pid").read_text()) != pid
    assert await house.call(room, "add", a=1, b=1) == "2"


@pytest.mark.parametrize("how", ["http", "older"])
async def test_a_server_on_the_network_that_goes_away_is_found_again(house: House, how: str) -> None:
    child, url = await house.listening(how=how)
    room = await house.room(test=McpServerConfig(url=url))
    await child.kill()
    with pytest.raises(ToolError):
        await tool(room, "add").call({"a": 1, "b": 1}, house.context)
    await until(lambda: only(room).state == "down")
    again: tuple[Child, str] = await house.listening(int(url.split(":")[2].split("/")[0]), how)
    assert again[1] == url
    await until(lambda: only(room).state == "ready", 20)
    assert await house.call(room, "add", a=1, b=1) == "2"


async def test_a_program_gets_the_allowed_variables_and_its_own_only(house: House) -> None:
    room = await house.room(test=house.stdio(env={"MINE": "1"}))
    names = (await house.call(room, "environment")).split()
    assert {"MINE", "PATH", "HOME"} <= set(names)
    assert "OPENAI_API_KEY" not in names
    assert await house.call(room, "folder") == str(house.folder)


async def test_no_program_is_left_when_the_room_closes(house: House) -> None:
    room = await house.room(test=house.stdio())
    pid = int((house.folder / "pid").read_text())
    assert alive(pid)
    await room.close()
    assert house.spawner.children() == 0
    assert not alive(pid)


async def test_one_server_that_is_down_takes_no_other_with_it_and_says_why(house: House) -> None:
    broken = McpServerConfig(command=sys.executable, args=("-c", "import sys; sys.exit('no licence')"))
    room = await house.room(
        both=McpServerConfig(command="x", url="http://127.0.0.1/"),
        exits=broken,
        missing=McpServerConfig(command="/no/such/program"),
        off=McpServerConfig(enabled=False, command="x"),
        refused=McpServerConfig(url="http://127.0.0.1:1/mcp"),
        scheme=McpServerConfig(url="file:///etc/passwd"),
        works=house.stdio(),
    )
    states = {each.name: each.state for each in room.servers()}
    assert states == {
        "both": "off",
        "exits": "down",
        "missing": "down",
        "refused": "down",
        "scheme": "off",
        "works": "ready",
    }
    problems = room.problems()
    assert problems["mcp:exits"] == "the program ended with status 1: no licence"
    assert "cannot be started: No such file" in problems["mcp:missing"]
    assert "cannot connect" in problems["mcp:refused"]
    assert "mcp:works" not in problems


async def test_starting_waits_for_nobody(house: House) -> None:
    hanging = McpServerConfig(command=sys.executable, args=("-c", "import time; time.sleep(600)"))
    room = McpRoom({"hangs": hanging}, house.spawner, SYSTEM_CLOCK, http=house.http, cwd=house.folder)
    house.rooms.append(room)
    await asyncio.wait_for(room.start(), 0.05)
    assert room.tools() == ()
    assert only(room).state == "connecting"


async def test_a_reload_touches_only_what_changed(house: House) -> None:
    (house.folder / "other").mkdir()
    kept = house.stdio()
    room = await house.room(kept=kept, gone=house.legacy({"name": "old", "inputSchema": {"type": "object"}}))
    pid = int((house.folder / "pid").read_text())
    version = room.version
    await room.reload({"kept": kept, "new": house.legacy({"name": "new", "inputSchema": {"type": "object"}})})
    await room.tried()
    assert room.version > version
    assert {each.name: each.state for each in room.servers()} == {"kept": "ready", "new": "ready"}
    assert alive(pid)
    await until(lambda: house.spawner.children() == 2)


@pytest.mark.parametrize("how", ["http", "older"])
async def test_a_server_that_was_restarted_unnoticed_is_found_again_by_a_failed_call(house: House, how: str) -> None:
    child, url = await house.listening(how=how)
    room = await house.room(test=McpServerConfig(url=url))
    await child.kill()
    await house.listening(int(url.split(":")[2].split("/")[0]), how)

    results: list[str] = []

    async def ask() -> None:
        while results[-1:] != ["2"]:
            try:
                results.append(await house.call(room, "add", a=1, b=1))
            except ToolError as error:
                results.append(error.message)
                await SYSTEM_CLOCK.sleep(0.05)

    await asyncio.wait_for(ask(), 20)


async def test_a_call_that_waits_while_its_server_is_taken_away_fails(house: House) -> None:
    room = await house.room(test=house.stdio())
    async with asyncio.TaskGroup() as group:
        call = group.create_task(box_call(room, house))
        await until((house.folder / "begun").exists)
        await room.reload({})
    assert call.result() == ("The connection to the MCP server ended during the call.", True)
    assert room.tools() == ()


async def box_call(room: McpRoom, house: House) -> tuple[str, bool]:
    """Call the slow tool through a toolbox."""
    box = ToolRegistry((), house.folder, open_gate, extra=room).toolbox()
    return await box.call("mcp__test__slow", "", house.context)


async def test_headers_and_the_door_before_every_request_reach_the_request(house: House) -> None:
    seen: list[tuple[str, int, str]] = []

    async def door(where: Target, purpose: Purpose) -> Way:
        seen.append((where.host, where.port, purpose))
        raise PolicyDenied("this host is not for you")

    await house.http.close()
    house.http = HttpClient(door=door)
    room = await house.room(test=McpServerConfig(url="http://127.0.0.1:9/mcp", headers={"X-Key": Secret("k")}))
    assert seen == [("127.0.0.1", 9, "mcp")]
    assert only(room).problem == "this host is not for you"


async def test_an_older_server_is_spoken_to_in_its_own_protocol(house: House) -> None:
    schema = {"type": "object"}
    room = await house.room(old=house.legacy({"name": "changed", "inputSchema": schema}))
    assert only(room).protocol < "2026"
    house.offer({"name": "changed", "inputSchema": schema}, {"name": "later", "inputSchema": schema})
    assert await house.call(room, "changed") == "changed"
    await until(lambda: len(room.tools()) == 2)
    assert await house.call(room, "later") == "later"


async def test_an_older_server_is_told_of_a_cancelled_call(house: House) -> None:
    room = await house.room(old=house.legacy({"name": "silent", "inputSchema": {"type": "object"}}))
    heard = house.folder / "heard"
    async with asyncio.TaskGroup() as group:
        call = group.create_task(tool(room, "silent").call({}, house.context))
        await until(lambda: "tools/call" in heard.read_text())
        call.cancel()
    await until(lambda: "notifications/cancelled" in heard.read_text())


async def test_a_line_without_end_costs_the_connection_not_the_memory(house: House) -> None:
    room = await house.room(old=house.legacy({"name": "flood", "inputSchema": {"type": "object"}}))
    with pytest.raises(ToolError):
        await tool(room, "flood").call({}, house.context)
    await until(lambda: only(room).state == "down", 20)


async def test_what_a_server_offers_is_bounded_and_the_operator_is_told(house: House) -> None:
    fine = {"name": "fine", "inputSchema": {"type": "object"}, "description": "x" * 10_000}
    vast = {"name": "vast", "inputSchema": {"type": "object", "properties": {"a": {"enum": ["x" * 40_000]}}}}
    room = await house.room(old=house.legacy(fine, vast, {**fine, "description": "again"}))
    assert [each.remote.name for each in room.tools()] == ["fine"]
    assert len(tool(room, "fine").spec.description) < 2_100
    assert only(room).state == "ready"
    assert only(room).problem.startswith("2 of its tools left out: vast (its schema has 40")


async def test_only_the_allowed_tools_are_taken(house: House) -> None:
    room = await house.room(test=house.stdio(allow=("add", "strange.name")))
    assert {each.remote.name for each in room.tools()} == {"add", "strange.name"}


def test_the_library_is_not_loaded_before_a_server_is_started() -> None:
    code = (
        "import sys, openclaw.tools.mcp.room, openclaw.gateway.rooms, openclaw.tools.registry;"
        "print([name for name in sys.modules if name.partition('.')[0] in {'mcp', 'pydantic', 'httpx2', 'anyio'}])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert json.loads(out.replace("'", '"')) == []


async def test_a_server_that_leads_elsewhere_is_not_followed(house: House) -> None:
    async with Canary() as canary:

        async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            place = f"http://localhost:{canary.port}/mcp"
            writer.write(
                f"HTTP/1.1 307 x\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            writer.close()

        server = await asyncio.start_server(met, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        room = await house.room(test=McpServerConfig(url=url, headers={"Authorization": Secret("Bearer s3cret")}))
        assert only(room).state != "ready"
        assert canary.connections == 0
        server.close()


async def test_no_request_goes_to_another_host_than_the_setting_names(house: House) -> None:
    async with Canary() as canary, HttpClient() as http:
        web = OurTransport(http, Signal())
        web.host = "mcp.example"
        with pytest.raises(httpx2.ConnectError):
            await web.handle_async_request(httpx2.Request("POST", f"http://127.0.0.1:{canary.port}/mcp"))
        assert canary.connections == 0
