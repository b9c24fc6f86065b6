"""The tools of a configuration, each with the rooms that it needs, every call of them behind its door."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from openclaw.agent.errands import Errands
from openclaw.agent.service import Study
from openclaw.agent.skill import Skills
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId
from openclaw.config.load import Loaded
from openclaw.config.schema import Config
from openclaw.models.minilm.embedder import minilm
from openclaw.net.egress import Place
from openclaw.net.http import HttpClient
from openclaw.policy.content_door import KIND as CONTENT
from openclaw.policy.content_door import Wish, detail, host_key, listed, named, touches
from openclaw.policy.egress_door import Errand, egress_ask
from openclaw.policy.egress_way import EgressGate, EgressWay
from openclaw.policy.exec.rules import exec_config
from openclaw.policy.files.door import KIND as FILE
from openclaw.policy.files.door import file_facts
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict, refused
from openclaw.policy.known_hosts import KnownHosts
from openclaw.policy.tool_door import KIND as TOOL
from openclaw.store.sqlite import SqliteStore
from openclaw.tools.action import ActionTool
from openclaw.tools.api import Caller, Tool, ToolContext
from openclaw.tools.builtin.command.room import Commands
from openclaw.tools.builtin.command.tools import command_tools
from openclaw.tools.builtin.egress import Egress
from openclaw.tools.builtin.memory import Embedder, Meaning, Memory
from openclaw.tools.builtin.propose import ProposalPort
from openclaw.tools.builtin.rooms import room_tools
from openclaw.tools.builtin.subagent import subagent_tools
from openclaw.tools.mcp.room import McpRoom
from openclaw.tools.mcp.tool import McpTool
from openclaw.tools.registry import ToolRegistry, builtin_tools


@dataclass(frozen=True)
class Tooling:
    """Makes tool registries; `config` returns the configuration of the moment."""

    gate: Gatekeeper
    egress: EgressGate
    hosts: KnownHosts
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
    skills: Skills | None = None
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
        egress = Egress(self.http, self._egress) if some else None
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
        where = _where(caller)
        errand = Errand("tools", action, where.pop("agent"))
        way = await self.egress.leave(caller.principal, errand, place.host, place.port, **where)
        key = host_key(place.host, place.port)
        if not caller.tainted:
            await self.hosts.remember(caller.agent_id, key)
            return way
        # Nobody is asked within a call, whose time is short: what was asked before it is known by now.
        ask = self._content(caller, action, "new-host", key)
        verdict = await self.gate.admit(ask)
        if verdict.answer != "allow":
            raise refused(ask, verdict)
        return way

    async def _ask(self, tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> None:
        name = tool.spec.name
        action, where = f"tool {name}", _where(context)
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
            **_where(context),
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
            if wish == "new-host" and not self._may_leave(context, f"tool {name}", target):
                continue  # the door of egress refuses it, whatever a person would say
            ask = self._content(context, f"tool {name}", wish, target, detail(arguments))
            verdict = await self.gate.require(ask)
            if wish == "new-host" and verdict.rule_id == "approval.allow-always":
                await self.hosts.remember(context.agent_id, target)
            elif wish == "new-host":
                self.hosts.lend(context.run_id, target)

    def _may_leave(self, caller: Caller, action: str, target: str) -> bool:
        host, _, port = target.rpartition(":")
        where = _where(caller)
        errand = Errand("tools", action, where.pop("agent"))
        ask = egress_ask(caller.principal, errand, host.strip("[]"), int(port), **where)
        return self.gate.judge(ask).answer == "allow"

    def _content(self, caller: Caller, action: str, wish: Wish, target: str, detail: str = "") -> Ask:
        facts: dict[str, Any] = {"wish": wish, "source": caller.tainted, "detail": detail}
        if wish == "new-host":
            policy = self.config().network_policy
            by_name = named((*policy.egress_allowlist, *policy.classes.tools.allow), target)
            facts["known"] = by_name or self.hosts.knows(caller.agent_id, caller.run_id, target)
            facts["lasting"] = True
        return Ask(
            kind=CONTENT,
            principal=caller.principal,
            action=action,
            target=target,
            facts=facts,
            written={"wish": wish, "source": caller.tainted},
            **_where(caller),
        )


def _where(caller: Caller) -> dict[str, Any]:
    return {
        "agent": caller.agent_id,
        "session": caller.session_key,
        "run": caller.run_id,
        "tainted": bool(caller.tainted),
    }
