"""The room of commands, wired: who may be asked, what holds for an agent, what no command ever sees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from openclaw.agent.api import Run
from openclaw.agent.session_key import main_key
from openclaw.base.run import RunEnded, RunEvent
from openclaw.config.paths import StatePaths
from openclaw.config.schema import Config, SandboxConfig
from openclaw.gateway.new_hosts import NewHosts, whereabouts
from openclaw.net.child_proxy import open_child_proxy
from openclaw.net.pinned import Carrier
from openclaw.policy.approval import Approval, may_review
from openclaw.policy.approvals import Approvals
from openclaw.policy.content_door import listed
from openclaw.policy.egress.door import Errand
from openclaw.policy.egress.way import EgressGate
from openclaw.policy.exec.rules import exec_config
from openclaw.policy.exec.rules_file import ExecRules
from openclaw.policy.gatekeeper import Gatekeeper
from openclaw.policy.skill.confined import confined_by
from openclaw.processes.sandbox.choice import Sandboxes
from openclaw.rpc.approval_rows import SCOPES
from openclaw.rpc.hub import Hub
from openclaw.store.api import SessionRow
from openclaw.tools.api import Caller
from openclaw.tools.builtin.command.jobs import Jobs
from openclaw.tools.builtin.command.room import Commands, Settings, WayOut

SECRETS_OF_PEOPLE: Final = (
    *(".ssh", ".aws", ".gnupg", ".kube", ".docker", ".azure", ".config/gcloud", ".config/gh", ".netrc", ".npmrc"),
    *(".pypirc", ".git-credentials", ".password-store", ".openclaw", ".mozilla", ".config/google-chrome"),
)
"""What commands never see of a home folder, should a workspace hold one."""


def open_commands(
    gate: Gatekeeper,
    approvals: Approvals,
    hub: Hub,
    sandboxes: Sandboxes,
    jobs: Jobs,
    paths: StatePaths,
    leads_out: WayOut,
    config: Callable[[], Config],
) -> Commands:
    """Return the room; `config` returns the configuration of the moment."""

    def reachable(approval: Approval) -> bool:
        return hub.has_hearer(SCOPES["exec"], lambda peer: may_review(peer.principal, approval))

    return Commands(
        gate=gate,
        approvals=approvals,
        rules=ExecRules(paths.state_dir),
        sandboxes=sandboxes,
        jobs=jobs,
        settings=lambda caller: _settings(config(), caller),
        reachable=reachable,
        hidden=lambda: hidden_paths(config(), paths),
        way_out=leads_out,
    )


@asynccontextmanager
async def way_out(egress: EgressGate, hosts: NewHosts, carrier: Carrier | None, caller: Caller) -> AsyncIterator[Path]:
    """Open a socket that leads to the door of egress, as what this caller's run asks for."""
    where = whereabouts(caller)
    errand = Errand("tools", "exec", where.pop("agent"))
    door = hosts.child(caller, egress.child(caller.principal, errand, **where))
    with TemporaryDirectory(prefix="openclaw-") as folder:
        async with open_child_proxy(Path(folder) / "proxy", door, carrier=carrier) as path:
            yield path


def sandbox_of(config: Config, agent_id: str) -> SandboxConfig:
    """Return the walls that an agent is to have."""
    own = next((agent.sandbox for agent in config.agents.list if agent.id == agent_id), None)
    return own or config.agents.defaults.sandbox


def hidden_paths(config: Config, paths: StatePaths) -> tuple[Path, ...]:
    """Return what no command sees, wherever it lies: state, configuration, files with secrets."""
    files = (provider.path for provider in config.secrets.providers.values() if provider.path)
    secrets = tuple(paths.state_dir / Path(file).expanduser() for file in files)
    people = tuple(Path.home() / name for name in SECRETS_OF_PEOPLE)
    own = (paths.config_path, paths.last_good, paths.token, paths.identity, paths.env_file, Path.cwd() / ".env")
    return (paths.state_dir, *own, *secrets, *people)


def _settings(config: Config, caller: Caller) -> Settings:
    main = caller.session_key == main_key(caller.agent_id)
    sandbox, confined = sandbox_of(config, caller.agent_id), confined_by(caller.tainted)
    if confined:
        sandbox = msgspec.structs.replace(sandbox, mode="all", workspace_access="ro", network="none")
    return Settings(
        exec=exec_config(config, caller.agent_id),
        sandbox=sandbox,
        main=main,
        confined=confined,
        trusted=listed(config.tools.tainted, "exec"),
    )


@dataclass(frozen=True)
class Stopping:
    """Ends the commands of runs that are stopped. A RunObserver."""

    jobs: Jobs

    def on_run_accepted(self, run: Run, session: SessionRow) -> None:
        """Nothing has run yet."""

    def on_run_events(self, run: Run, events: Sequence[RunEvent]) -> None:
        """End what a run that was stopped has left running."""
        if any(isinstance(event, RunEnded) and event.reply.state == "aborted" for event in events):
            self.jobs.run_stopped(run.id)

    def on_session_changed(self, session: SessionRow, reason: str) -> None:
        """Commands outlive a reset of their session; their time ends them."""
