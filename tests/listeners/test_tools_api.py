from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.base.ids import AgentId
from openclaw.base.model import ToolSpec
from openclaw.base.principal import Principal
from openclaw.rpc.tool_desk import ToolAnswer
from tests.listeners.fakes import World, http, raw_request, world

pytestmark = pytest.mark.anyio


class FakeTools:
    """Has `echo`, which tells its arguments, and `broken`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, bool]] = []

    def tools(self, principal: Principal, session_key: str, agent_id: str) -> tuple[AgentId, tuple[ToolSpec, ...]]:
        return AgentId("main"), ()

    async def invoke(
        self,
        principal: Principal,
        name: str,
        arguments: Mapping[str, Any],
        *,
        session_key: str = "",
        agent_id: str = "",
        dry_run: bool = False,
    ) -> ToolAnswer:
        self.calls.append((name, session_key, agent_id, dry_run))
        if session_key == "bad":
            raise InvalidRequest("bad session key")
        if name == "shut":
            return ToolAnswer(name, "add a.example to networkPolicy.egressAllowlist", True, "egress.unlisted")
        if name not in ("echo", "broken"):
            raise NotFound(f"Tool not available: {name}")
        text = arguments.get("text") or json.dumps(dict(arguments))
        return ToolAnswer(name, text, name == "broken")


async def invoke(here: World, body: Any) -> tuple[int, Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, answer = await raw_request(here.port, http("POST", "/tools/invoke", raw))
    return status, json.loads(answer)


async def test_a_tool_is_called_by_either_name() -> None:
    tools = FakeTools()
    async with world(tools=tools) as here:
        for key in ("tool", "name"):
            status, answer = await invoke(here, {key: "echo", "args": {"text": "hi"}, "sessionKey": "main"})
            assert (status, answer) == (200, {"ok": True, "result": {"content": [{"type": "text", "text": "hi"}]}})
        assert tools.calls == [("echo", "main", "", False)] * 2


async def test_json_results_are_also_given_decoded_and_the_action_is_an_argument() -> None:
    async with world(tools=FakeTools()) as here:
        _, answer = await invoke(here, {"tool": "echo", "args": {"a": 1}, "action": "list"})
        assert answer["result"]["details"] == {"a": 1, "action": "list"}


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ({}, 400, "invalid_request"),
        ({"tool": "nope"}, 404, "not_found"),
        ({"tool": "echo", "sessionKey": "bad"}, 400, "invalid_request"),
        ({"tool": "broken"}, 400, "tool_error"),
    ],
)
async def test_a_failure_says_what_kind_it_is(body: Any, status: int, kind: str) -> None:
    async with world(tools=FakeTools()) as here:
        got, answer = await invoke(here, body)
        assert (got, answer["ok"], answer["error"]["type"]) == (status, False, kind)


async def test_what_a_tool_may_not_reach_is_a_denial_with_its_rule() -> None:
    async with world(tools=FakeTools()) as here:
        status, answer = await invoke(here, {"tool": "shut"})
    assert (status, answer["error"]) == (
        403,
        {
            "type": "policy_denied",
            "message": "add a.example to networkPolicy.egressAllowlist",
            "code": "POLICY_DENIED",
            "rule": "egress.unlisted",
        },
    )


async def test_a_body_over_its_limit_is_413() -> None:
    async with world(tools=FakeTools()) as here:
        assert (await invoke(here, b'{"tool":"' + b"x" * 2_000_000 + b'"}'))[0] == 413


async def test_without_tools_nothing_is_available() -> None:
    async with world() as here:
        assert (await invoke(here, {"tool": "echo"}))[0] == 404
