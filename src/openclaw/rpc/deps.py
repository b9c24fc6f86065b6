"""What the counter needs of the rooms below; gateway/build.py fills it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from openclaw.agent.api import AgentService
from openclaw.agent.skill import Skills
from openclaw.automation.room import Automation
from openclaw.base.clock import Clock
from openclaw.base.ids import AgentId, OwnerId, TenantId
from openclaw.base.model import ModelInfo
from openclaw.config.schema import Config
from openclaw.identity.devices.book import Devices
from openclaw.ops.skill_desk import SkillDesk
from openclaw.policy.approvals import Approvals
from openclaw.policy.ledger import Ledger
from openclaw.policy.senders import Senders
from openclaw.policy.widenings import Widenings
from openclaw.rpc.config_port import ConfigPort
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.tool_desk import ToolPort
from openclaw.rpc.upkeep_port import UpkeepPort
from openclaw.store.api import Cap, MemoryRow, UsageBy, UsageTotal
from openclaw.store.audit import Audit
from openclaw.store.shelf import Shelf
from openclaw.telemetry.health import HealthBoard


class ConfigIssue(Protocol):
    """One thing wrong with the configuration file."""

    @property
    def path(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def severity(self) -> str: ...


class LoadedConfig(Protocol):
    """The configuration in use, with the text it came from (config.load.Loaded)."""

    @property
    def config(self) -> Config: ...

    @property
    def issues(self) -> Sequence[ConfigIssue]: ...

    @property
    def raw(self) -> str: ...

    @property
    def hash(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def exists(self) -> bool: ...

    @property
    def valid(self) -> bool: ...

    @property
    def parsed(self) -> Mapping[str, Any]: ...


class ModelCatalogue(Protocol):
    """The models that the gateway can name (models.registry.ModelRegistry)."""

    def models(self) -> list[ModelInfo]: ...

    def problems(self) -> Mapping[str, str]: ...


class UsageLedger(Protocol):
    """What calls used and cost (store.api.Store)."""

    async def usage_totals(
        self,
        by: Sequence[UsageBy],
        *,
        since_ms: int = 0,
        before_ms: int | None = None,
        owner: OwnerId | None = None,
        limit: int = 1000,
    ) -> list[UsageTotal]: ...

    async def spent(self, cap: Cap) -> tuple[int, int]: ...


class Memories(Protocol):
    """What agents remember (store.api.Store)."""

    async def recall(
        self, query: str, *, owner: OwnerId, agent_id: AgentId, tenant: TenantId, limit: int = 10
    ) -> list[MemoryRow]: ...


@dataclass(frozen=True, slots=True)
class RpcDeps:
    """`config` returns the configuration of this moment; `state_dir` is only shown, never read."""

    agent: AgentService
    hub: Hub
    config: Callable[[], LoadedConfig]
    models: ModelCatalogue
    health: HealthBoard
    logs_dir: Path
    clock: Clock
    version: str
    state_dir: Path | None = None
    usage: UsageLedger | None = None
    tools: ToolPort | None = None
    devices: Devices | None = None
    nodes: Nodes | None = None
    automation: Automation | None = None
    config_desk: ConfigPort | None = None
    upkeep: UpkeepPort | None = None
    shelf: Shelf | None = None
    approvals: Approvals | None = None
    widenings: Widenings | None = None
    senders: Senders | None = None
    skills: Skills | None = None
    skill_desk: SkillDesk | None = None
    memories: Memories | None = None
    audit: Audit | None = None
    ledger: Ledger | None = None
    """Where it is written what operators do."""
