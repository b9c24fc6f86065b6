"""The tools of a configuration, each with the rooms that it needs, every call of them behind its door."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw.agent.errands import Errands
from openclaw.agent.service import Study
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId
from openclaw.config.load import Loaded
from openclaw.config.schema import Config
from openclaw.gateway.new_hosts import NewHosts, content_ask, whereabouts
from openclaw.models.minilm.embedder import minilm
from openclaw.net.egress import Place
from openclaw.net.http import HttpClient
from openclaw.policy.content_door import detail, host_key, listed, touches
from openclaw.policy.egress.door import Errand, egress_ask, no_place_ask
from openclaw.policy.egress.way import EgressGate, EgressWay
from openclaw.policy.exec.rules import exec_config
from openclaw.policy.files.door import KIND as FILE
from openclaw.policy.files.door import file_facts
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict, refused
from openclaw.policy.skill.confined import confined_by
from openclaw.policy.skill.door import FACT as SKILL_FACT
from openclaw.policy.skill.door import KIND as SKILL
from openclaw.policy.skill.door import Using
from openclaw.policy.tool_door import KIND as TOOL
from openclaw.store.sqlite import SqliteStore
from openclaw.tools.action import ActionTool
from openclaw.tools.api import READ_SKILL, Caller, Tool, ToolContext
from openclaw.tools.builtin.command.room import Commands
from openclaw.tools.builtin.command.tools import NAMES as COMMAND_NAMES
from openclaw.tools.builtin.command.tools import command_tools
from openclaw.tools.builtin.egress import Egress
from openclaw.tools.builtin.memory import Embedder, Meaning, Memory
from openclaw.tools.builtin.propose import ProposalPort
from openclaw.tools.builtin.rooms import room_tools
from openclaw.tools.builtin.skill import SkillPort
from openclaw.tools.builtin.subagent import subagent_tools
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.mcp.tool import McpTool
from openclaw.tools.registry import ToolRegistry, builtin_tools

OWN_TOOLS: Final = frozenset((READ_SKILL, *COMMAND_NAMES))
"""Tools of the house that need rooms: no action can take their names."""


@dataclass(frozen=True)
class Tooling:
    """Makes tool registries; `config` returns the configuration of the moment."""

    gate: Gatekeeper
    egress: EgressGate
    hosts: NewHosts
    study: Study
    store: SqliteStore
    http: HttpClient
    clock: Clock
    mcp: McpRoom
    commands: Commands
    config: Callable[[], Config]
    effective: Callable[[Config], Config] = lambda config: config
    """Returns a configuration with what is open for a time."""
    proposals: ProposalPort | None = None
    skills: SkillPort | None = None
    embedder: Embedder | None = field(default_factory=minilm)
    """Search by meaning, with the extra `embeddings`; nothing of it is loaded before the first memory."""

    def registry(self, loaded: Loaded) -> ToolRegistry:
        """Return the tools of a configuration. A tool whose door is always shut is not offered."""
        return ToolRegistry(
            loaded.config.actions,
            loaded.path.parent,
            self._ask,
            more=self._more(self.effective(loaded.config)),
            extra=self.mcp,
        )

    def _more(self, config: Config) -> Iterator[Tool]:
        errands = Errands(self.study)
        defaults = config.agents.defaults
        policy = config.network_policy
        meaning = Meaning(self.embedder, self.store) if self.embedder else None
        memory = Memory(self.store, self._keep, self.clock, meaning) if defaults.memory.enabled else None
        some = policy.allow_egress or policy.egress_allowlist or policy.classes.tools.allow
        egress = Egress(self.http, self._egress, self._no_place) if some else None
        yield from room_tools(
            memory=memory, egress=egress, sessions=errands, proposals=self.proposals, skills=self.skills
        )
        yield from subagent_tools(errands, defaults.subagents)
        ids = ("", *(agent.id for agent in config.agents.list))
        if any(exec_config(config, each).security != "deny" for each in ids):
            yield from command_tools(self.commands, self._wait_ms)

    def _wait_ms(self) -> int:
        return self.config().tools.exec.background_ms

    def _keep(self, agent_id: AgentId) -> int:
        return self.config().agents.defaults.memory.size

    async def _egress(self, caller: Caller, action: str, place: Place) -> EgressWay:
        where = whereabouts(caller)
        errand = Errand("tools", action, where.pop("agent"))
        way = await self.egress.leave(caller.principal, errand, place.host, place.port, **where)
        key = host_key(place.host, place.port)
        if caller.tainted:
            await self.hosts.admit(caller, action, key)
        else:
            await self.hosts.used(caller, key)
        return way

    async def _no_place(self, caller: Caller, action: str, why: str) -> None:
        await self.gate.require(no_place_ask(caller.principal, action, why, **whereabouts(caller)))

    async def _ask(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        name = tool.spec.name
        action, where = f"tool {name}", whereabouts(context)
        if skill := confined_by(context.tainted):
            await self.gate.require(_confined(tool, arguments, context, skill))
        approved = False
        file = file_facts(name, arguments) if tool in builtin_tools() else None
        if file is not None:
            target, facts = file
            await self.gate.require(
                Ask(kind=FILE, principal=context.principal, action=action, target=target, facts=facts, **where)
            )
        else:
            approved = await self._call(tool, arguments, context, action)
        if context.tainted:
            await self._consent(tool, arguments, context, approved=approved)

    async def _call(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext, action: str) -> bool:
        """Pass the door of tools; say whether a person has approved this call. Raises: PolicyDenied, Unavailable."""
        door = tool.capabilities.door if isinstance(tool, ActionTool) else ""
        facts: dict[str, Any] = {"safety": tool.safety, "door": door}
        if tool.safety == "dangerous":
            facts["detail"] = detail(arguments)
        ask = Ask(
            kind=TOOL,
            principal=context.principal,
            action=action,
            target=context.session_key,
            facts=facts,
            **whereabouts(context),
        )
        verdict = await self.gate.require(ask)
        approved = verdict.rule_id.startswith("approval.")
        if approved and isinstance(tool, McpTool) and not any(each is tool for each in self.mcp.tools()):
            changed = "its server describes the tool otherwise than when it was approved"
            raise refused(ask, Verdict("deny", "tool.changed", changed))
        return approved

    async def _consent(
        self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext, *, approved: bool = False
    ) -> None:
        """Ask a person about what text from outside could have led to. Raises: PolicyDenied, Unavailable.

        `approved`: one has just seen this call with its arguments, and need not be asked whether it may act at all.
        """
        name = tool.spec.name
        inward = tool.inward or listed(self.config().tools.tainted, name)
        wanted = touches(
            name, arguments, safety=tool.safety, inward=inward, network=name in ("web_fetch", "http_request")
        )
        for wish, target in wanted:
            if wish == "outward" and approved:
                continue
            action, said = f"tool {name}", detail(arguments)
            if wish != "new-host":
                await self.gate.require(content_ask(context, action, wish, target, {"detail": said}))
            elif self._may_leave(context, action, target):  # else egress refuses it, whatever a person would say
                await self.hosts.consent(context, action, target, said)

    def _may_leave(self, caller: Caller, action: str, target: str) -> bool:
        host, _, port = target.rpartition(":")
        where = whereabouts(caller)
        errand = Errand("tools", action, where.pop("agent"))
        ask = egress_ask(caller.principal, errand, host.strip("[]"), int(port), **where)
        return self.gate.judge(ask).answer == "allow"


def _confined(tool: Tool, arguments: Mapping[str, Any], context: ToolContext, skill: str) -> Ask:
    """Return the question whether a conversation that a confined skill is in may make a call."""
    name = tool.spec.name
    inner = tool in builtin_tools() or name in OWN_TOOLS
    using = Using(name, inner, alters=name == "process" and arguments.get("action") not in ("list", "poll", "log"))
    return Ask(
        kind=SKILL,
        principal=context.principal,
        action=f"tool {name}",
        target=skill,
        facts={SKILL_FACT: using},
        **whereabouts(context),
    )
