"""GHSA-7jm2-g593-4qrc: what a model wrote reached sandbox, sign-in, egress and hooks by way of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from openclaw.base.errors import OpenClawError
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.principal import Principal
from openclaw.policy.loosening import changes_between
from openclaw.tools.api import Tool, ToolContext
from openclaw.tools.builtin.rooms import room_tools
from openclaw.tools.registry import builtin_tools
from tests.config.make import Home
from tests.gateway.test_proposals import ANN, ROOT, made

pytestmark = pytest.mark.anyio

LOOSENING: Final[tuple[dict[str, Any], ...]] = (
    {"networkPolicy": {"allowEgress": True}},
    {"networkPolicy": {"egressAllowlist": ["evil.example.com"]}},
    {"tools": {"exec": {"security": "full"}}},
    {"tools": {"exec": {"ask": "off"}}},
    {"tools": {"exec": {"allowlist": ["*"]}}},
    {"tools": {"exec": {"pathPrepend": ["/tmp/evil"]}}},
    {"tools": {"allow": ["*"]}},
    {"agents": {"list": [{"id": "main", "tools": {"allow": ["*"]}}]}},
    {"agents": {"list": [{"id": "main", "workspace": "/"}]}},
    {"agents": {"defaults": {"workspace": "/"}}},
    {"gateway": {"bind": "lan"}},
    {"gateway": {"controlUi": {"allowedOrigins": ["*"]}}},
    {"gateway": {"controlUi": {"root": "/"}}},
    {"gateway": {"trustedProxies": ["0.0.0.0/0"]}},
    {"gateway": {"nodes": {"commands": {"allow": ["system.run"]}}}},
    {"mcp": {"servers": {"a": {"command": "/bin/sh", "args": ["-c", "id"]}}}},
    {"models": {"providers": {"p": {"baseUrl": "http://169.254.169.254"}}}},
    {"actions": [{"name": "a", "module": "os", "class": "system"}]},
    {"hooks": {"mappings": [{"id": "a", "match": {"path": "x"}}]}},
    {"dmPolicy": {"mode": "open", "allowIds": ["*"]}},
    {"channels": {"telegram": {"dmPolicy": "open", "allowFrom": ["*"]}}},
    {"cron": {"maxConcurrentRuns": 100}},
)


async def test_ghsa_7jm2_g593_4qrc_a_looser_setting_that_a_model_proposes_is_marked_and_waits(tmp_path: Path) -> None:
    async with made(tmp_path) as desk:
        before = desk.text
        for patch in LOOSENING:
            proposal = await desk.propose(patch)
            assert proposal.request["severity"] == "critical", patch
            assert "LOOSER" in proposal.request["detail"].splitlines()[0]
            assert desk.approvals.pending(ANN, "plugin") == []
            assert desk.approvals.pending(ROOT, "plugin") == [proposal]
            assert desk.text == before
            await desk.decide(proposal, decision="deny")
        assert desk.text == before


def test_array_entries_and_agents_are_compared_by_what_is_in_force(tmp_path: Path) -> None:
    home = Home(tmp_path)
    plain = home.load('{agents: {list: [{id: "main", tools: {deny: ["*"]}}, {id: "b"}]}}').config
    wider = home.load('{agents: {list: [{id: "main"}, {id: "b"}]}}').config
    found = changes_between(plain, wider)
    assert [each.path for each in found if each.looser]


class Refusing:
    """A desk of proposals, or any other room, that must not be reached."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was reached")


def tools() -> tuple[Tool, ...]:
    nothing: Any = Refusing()
    return (*builtin_tools(), *room_tools(proposals=nothing))


def values(state: Path, schema: dict[str, Any]) -> list[Any]:
    """Return what an attacker would put into a parameter to reach the configuration."""
    config = state / "openclaw.json"
    if schema.get("type") != "string":
        return [{"gateway": {"auth": {"mode": "none"}}}] if schema.get("type") == "object" else []
    return [
        *(str(config), "../openclaw.json", "../../openclaw.json", "link.json", "hard.json", "folder/openclaw.json"),
        *(f"{state}/workspace/../openclaw.json", "file:///proc/self/cwd/../openclaw.json", "./../openclaw.json\x00"),
    ]


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.spec.name)
async def test_no_tool_reads_or_writes_the_configuration(tmp_path: Path, tool: Tool) -> None:
    config, workspace = tmp_path / "openclaw.json", tmp_path / "workspace"
    workspace.mkdir()
    config.write_text('{"canary": "sekret-sekret"}')
    (workspace / "link.json").symlink_to(config)
    (workspace / "folder").symlink_to(tmp_path)
    (workspace / "hard.json").hardlink_to(config)
    context = ToolContext(
        principal=Principal(scopes=frozenset(("operator.admin",))),
        agent_id=AgentId("main"),
        session_key=SessionKey("agent:main:main"),
        run_id=RunId("r"),
        workspace=workspace,
    )
    properties = tool.spec.parameters["properties"]
    for name, schema in properties.items():
        for value in values(tmp_path, schema):
            rest = {each: filler(of) for each, of in properties.items() if each != name}
            try:
                said = await tool.call({**rest, name: value}, context)
            except (OpenClawError, AssertionError):
                continue
            assert "sekret-sekret" not in said
    assert config.read_text() == '{"canary": "sekret-sekret"}'


def filler(schema: dict[str, Any]) -> Any:
    """Return something that fits a parameter which is not the point."""
    return {"string": "canary", "integer": 1, "boolean": False, "object": {}, "array": []}.get(
        schema.get("type", ""), "x"
    )
