"""The room of commands with real files, real programs and real rows; only the people are played."""

from __future__ import annotations

from pathlib import Path

from openclaw.base.audit import Entry
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.config.schema import ExecConfig, SandboxConfig
from openclaw.policy.approval import Approval
from openclaw.policy.approvals import Approvals
from openclaw.policy.exec.door import KIND, exec_rule
from openclaw.policy.exec.rules_file import ExecRules
from openclaw.processes.sandbox.choice import Sandboxes
from openclaw.processes.spawner import Spawner
from openclaw.tools.api import Tool, ToolContext
from openclaw.tools.builtin.command.jobs import Jobs
from openclaw.tools.builtin.command.room import Commands, Settings
from openclaw.tools.builtin.command.tools import command_tools
from openclaw.tools.toolbox import Box
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.fakes.memory_shelf import MemoryShelf


class Bench:
    """`present`: a person can be asked. Without `sandbox` there are no walls, because the operator wants none."""

    def __init__(self, folder: Path, spawner: Spawner, clock: Clock, sandbox: SandboxConfig | None = None) -> None:
        self.state = folder / "state"
        self.workspace = folder / "ws"
        for each in (self.state, self.workspace):
            each.mkdir()
        self.exec = ExecConfig(approval_timeout_sec=30, safe_bins=("*",))
        self.sandbox = sandbox or SandboxConfig(mode="off")
        self.present = True
        self.ledger = LedgerRows()
        self.rules = ExecRules(self.state)
        self.approvals = Approvals(MemoryShelf(), clock)
        self.asked: list[Approval] = []
        self.approvals.observe(self._note)
        self.sandboxes = Sandboxes(spawner, clock)
        self.jobs = Jobs(clock)
        self.commands = Commands(
            gate=gatekeeper({KIND: exec_rule}, self.ledger),
            approvals=self.approvals,
            rules=self.rules,
            sandboxes=self.sandboxes,
            jobs=self.jobs,
            settings=lambda caller: Settings(
                exec=self.exec, sandbox=self.sandbox, main=caller.session_key == "agent:main:main"
            ),
            reachable=lambda _: self.present,
            hidden=lambda: (self.state,),
        )
        self.tools: dict[str, Tool] = {
            tool.spec.name: tool for tool in command_tools(self.commands, lambda: self.exec.background_ms)
        }
        self.box = Box(self.tools.values(), self._gate)

    async def _gate(self, *_: object) -> None:
        """The door of tools is tested elsewhere."""

    def _note(self, approval: Approval) -> None:
        if approval.status == "pending":
            self.asked.append(approval)

    def context(
        self, session: str = "agent:main:main", run: str = "run-1", principal: Principal = LOCAL_OPERATOR
    ) -> ToolContext:
        """Return who calls."""
        return ToolContext(
            principal=principal,
            agent_id=AgentId("main"),
            session_key=SessionKey(session),
            run_id=RunId(run),
            workspace=self.workspace,
        )

    @property
    def rows(self) -> list[Entry]:
        """What is in the ledger."""
        return self.ledger.entries

    async def close(self) -> None:
        await self.jobs.close()
        await self.approvals.close()
