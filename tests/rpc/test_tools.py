"""The tool desk over a real toolbox, and the methods over the desk."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest

from openclaw.agent.directory import Directory, build_directory
from openclaw.base.errors import InvalidRequest, NotFound, PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import AgentConfig, AgentsConfig, Config, ToolsConfig
from openclaw.rpc.build import build_counter
from openclaw.rpc.tool_desk import ToolDesk
from openclaw.tools.api import Tool
from openclaw.tools.registry import ToolRegistry
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio


def directory(folder: Path, deny: tuple[str, ...] = ()) -> Directory:
    async def gate(tool: Tool, arguments: Any, context: Any) -> None:
        if tool.spec.name == "write_file":
            raise PolicyDenied("writing is not allowed")

    config = Config(agents=AgentsConfig(list=(AgentConfig(id="main"),)), tools=ToolsConfig(deny=deny))
    (folder / "w").mkdir(exist_ok=True)
    (folder / "w" / "notes.txt").write_text("remember")
    return build_directory(config, ToolRegistry((), folder, gate), workspace=folder / "w", state_dir=folder)


def desk(folder: Path, bench: Bench, deny: tuple[str, ...] = ()) -> ToolDesk:
    found = directory(folder, deny)
    return ToolDesk(lambda: found, bench.agent)


async def test_a_tool_is_called_in_its_agents_workspace(tmp_path: Path, bench: Bench) -> None:
    answer = await desk(tmp_path, bench).invoke(LOCAL_OPERATOR, "read_file", {"path": "notes.txt"})
    assert not answer.is_error
    assert "remember" in answer.text


async def test_status_tells_the_session_that_was_named(tmp_path: Path, bench: Bench) -> None:
    answer = await desk(tmp_path, bench).invoke(LOCAL_OPERATOR, "session_status", {}, session_key="agent:main:x")
    assert msgspec.json.decode(answer.text)["session"] == "agent:main:x"


@pytest.mark.parametrize("name", ["nope", "write_file", "list_files"])
async def test_unknown_denied_and_forbidden_tools_are_not_there(tmp_path: Path, bench: Bench, name: str) -> None:
    with pytest.raises(NotFound, match=f"Tool not available: {name}"):
        await desk(tmp_path, bench, deny=("list_files",)).invoke(LOCAL_OPERATOR, name, {"path": "x", "content": "y"})


async def test_a_door_that_stays_shut_within_a_tool_is_told_with_its_rule(tmp_path: Path, bench: Bench) -> None:
    async def gate(tool: Tool, arguments: Any, context: Any) -> None:
        said = "a.example is not named in networkPolicy.egressAllowlist"
        raise PolicyDenied(said, details={"rule": "egress.unlisted", "kind": "egress"})

    (tmp_path / "w").mkdir()
    config = Config(agents=AgentsConfig(list=(AgentConfig(id="main"),)))
    found = build_directory(config, ToolRegistry((), tmp_path, gate), workspace=tmp_path / "w", state_dir=tmp_path)
    tools = ToolDesk(lambda: found, bench.agent)
    answer = await tools.invoke(LOCAL_OPERATOR, "read_file", {"path": "x"})
    assert (answer.is_error, answer.rule, "networkPolicy.egressAllowlist" in answer.text) == (
        True,
        "egress.unlisted",
        True,
    )
    await bench.counter.close()
    bench.counter = build_counter(dataclasses.replace(bench.deps, tools=tools))
    told = (await bench.ask(FakePeer(), "tools.invoke", {"name": "read_file"}))["payload"]
    assert (told["ok"], told["error"]["code"], told["error"]["details"]) == (
        False,
        "policy_denied",
        {"rule": "egress.unlisted"},
    )


async def test_a_dry_run_calls_nothing_and_a_wrong_argument_is_told(tmp_path: Path, bench: Bench) -> None:
    tools = desk(tmp_path, bench)
    assert (await tools.invoke(LOCAL_OPERATOR, "write_file", {}, dry_run=True)).text == ""
    assert (await tools.invoke(LOCAL_OPERATOR, "read_file", {"path": 5})).is_error
    with pytest.raises(NotFound):
        await tools.invoke(LOCAL_OPERATOR, "read_file", {}, session_key="agent:nobody:main")
    with pytest.raises(InvalidRequest):
        await tools.invoke(LOCAL_OPERATOR, "read_file", {}, session_key="agent:main:")


async def test_the_methods_list_and_call_what_the_desk_has(tmp_path: Path) -> None:
    bench = Bench()
    bench.deps = dataclasses.replace(bench.deps, tools=desk(tmp_path, bench))
    await bench.counter.close()
    bench.counter = build_counter(bench.deps)
    peer = FakePeer(4, ("operator.write", "operator.read"))
    listed = await bench.ask(peer, "tools.effective", {"sessionKey": "main"})
    names = [tool["id"] for tool in listed["payload"]["groups"][0]["tools"]]
    catalogue = await bench.ask(peer, "tools.catalog")
    assert [tool["id"] for tool in catalogue["payload"]["groups"][0]["tools"]] == names
    assert {"read_file", "session_status"} <= set(names)
    read = await bench.ask(peer, "tools.invoke", {"name": "read_file", "args": {"path": "notes.txt"}})
    assert read["payload"]["ok"]
    assert "remember" in read["payload"]["output"]["content"][0]["text"]
    for name, code in (("nope", "not_found"), ("read_file", "tool_error")):
        failed = await bench.ask(peer, "tools.invoke", {"name": name})
        assert (failed["payload"]["ok"], failed["payload"]["error"]["code"]) == (False, code)
    await bench.close()


async def test_a_call_with_a_key_is_made_once(tmp_path: Path, bench: Bench) -> None:
    bench.counter = build_counter(dataclasses.replace(bench.deps, tools=desk(tmp_path, bench)))
    call = {"name": "read_file", "args": {"path": "notes.txt"}, "idempotencyKey": "k"}
    first = (await bench.ask(FakePeer(), "tools.invoke", call))["payload"]
    (tmp_path / "w" / "notes.txt").write_text("something else")
    assert (await bench.ask(FakePeer(), "tools.invoke", call))["payload"] == first
    other = await bench.ask(FakePeer(), "tools.invoke", {**call, "args": {"path": "other.txt"}})
    assert other["error"]["details"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    missing = {"name": "nope", "idempotencyKey": "m"}
    for _ in range(2):
        assert (await bench.ask(FakePeer(), "tools.invoke", missing))["payload"]["error"]["code"] == "not_found"
