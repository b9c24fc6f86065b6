"""The configured agents, ready to run: names resolved, workspaces placed, tools chosen. Rebuilt whole on reload."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from openclaw.agent.turn import Limits
from openclaw.base.errors import NotFound, OpenClawError
from openclaw.base.ids import AgentId
from openclaw.base.model import ModelInfo
from openclaw.base.thinking import Thinking, thinking_level
from openclaw.config.schema import (
    AgentConfig,
    AgentDefaults,
    CompactionConfig,
    Config,
    LimitsConfig,
    ModelChoice,
    QueueConfig,
)
from openclaw.models.client import LLMClient
from openclaw.tools.api import ToolBox

MAIN_AGENT = AgentId("main")


class Resolved(Protocol):
    """A model that can be called."""

    @property
    def client(self) -> LLMClient: ...

    @property
    def info(self) -> ModelInfo: ...


class Models(Protocol):
    """What the study needs of the model registry."""

    def resolve(self, ref: str) -> Resolved:
        """Raises: ModelUnavailable, ModelNotFound."""
        ...

    def default_ref(self) -> str: ...


class Tools(Protocol):
    """What the study needs of the tool registry."""

    def toolbox(self, allow: tuple[str, ...], deny: tuple[str, ...]) -> ToolBox: ...

    def actions(self) -> frozenset[str]:
        """Return the names of the tools that are not built in."""
        ...


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One agent, everything resolved but the model (which may change while the gateway runs)."""

    id: AgentId
    name: str
    model: ModelChoice
    """Primary and fallbacks; an empty primary is the registry's default."""
    workspace: Path
    system_prompt: str
    limits: Limits
    queue: QueueConfig
    compaction: CompactionConfig
    memory: bool
    """Whether MEMORY.md stands in its prompt."""
    toolbox: ToolBox
    max_concurrent: int
    context_tokens: int
    max_tokens: int
    thinking: Thinking = ""


class Directory:
    """The agents of one configuration."""

    def __init__(self, specs: tuple[AgentSpec, ...], default: AgentId, total_cap: int) -> None:
        self._specs = {spec.id: spec for spec in specs}
        self.default = default
        self.total_cap = total_cap

    @classmethod
    def empty(cls) -> Directory:
        """Return the directory of a house that is still being furnished: its tools need the study, and it the tools."""
        return cls((), MAIN_AGENT, 1)

    def specs(self) -> list[AgentSpec]:
        """Return the agents, the default first."""
        return sorted(self._specs.values(), key=lambda spec: spec.id != self.default)

    def get(self, agent_id: AgentId) -> AgentSpec | None:
        """Return an agent, or None."""
        return self._specs.get(agent_id)

    def require(self, agent_id: AgentId) -> AgentSpec:
        """Return an agent. Raises: NotFound."""
        spec = self._specs.get(agent_id)
        if spec is None:
            known = ", ".join(sorted(self._specs))
            raise NotFound(f"Unknown agent '{agent_id}'.", hint=f"Configured agents: {known}.")
        return spec

    def resolve(self, name: str) -> AgentId:
        """Return the agent for a name; empty and `default` mean the default one. Raises: NotFound."""
        if AgentId(name) in self._specs:
            return AgentId(name)
        if name in {"", "default"}:
            return self.default
        return self.require(AgentId(name)).id


def build_directory(config: Config, tools: Tools, *, workspace: Path, state_dir: Path) -> Directory:
    """Return the directory for a configuration; without `agents.list` there is one agent, `main`."""
    configured = config.agents.list or (AgentConfig(id=MAIN_AGENT, default=True),)
    specs = tuple(_spec(agent, config, tools, workspace, state_dir, first=i == 0) for i, agent in enumerate(configured))
    flagged = [agent.id for agent in configured if agent.default]
    default = AgentId(flagged[0] if flagged else configured[0].id)
    return Directory(specs, default, config.agents.defaults.max_concurrent)


def _spec(agent: AgentConfig, config: Config, tools: Tools, workspace: Path, state: Path, *, first: bool) -> AgentSpec:
    defaults = config.agents.defaults
    return AgentSpec(
        id=AgentId(agent.id),
        name=agent.name or (config.identity.name if first else agent.id),
        model=_choice(agent.model, defaults.model),
        workspace=_workspace(agent, defaults, workspace, state, first=first),
        system_prompt=agent.system_prompt or defaults.system_prompt,
        limits=_limits(agent.limits or defaults.limits, defaults),
        queue=agent.queue or defaults.queue,
        compaction=defaults.compaction,
        memory=defaults.memory.enabled,
        toolbox=_toolbox(agent, config, tools),
        max_concurrent=agent.max_concurrent,
        context_tokens=defaults.context_tokens,
        max_tokens=defaults.max_tokens,
        thinking=thinking_level(agent.thinking_default or defaults.thinking_default),
    )


def _choice(own: str | ModelChoice, defaults: str | ModelChoice) -> ModelChoice:
    """Return the agent's models; what it leaves open is the defaults'."""
    mine = ModelChoice(primary=own) if isinstance(own, str) else own
    theirs = ModelChoice(primary=defaults) if isinstance(defaults, str) else defaults
    return ModelChoice(primary=mine.primary or theirs.primary, fallbacks=mine.fallbacks or theirs.fallbacks)


def _workspace(agent: AgentConfig, defaults: AgentDefaults, workspace: Path, state: Path, *, first: bool) -> Path:
    chosen = agent.workspace or (defaults.workspace if first else "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return workspace if first else state / f"workspace-{agent.id}"


def _limits(limits: LimitsConfig, defaults: AgentDefaults) -> Limits:
    return Limits(
        steps=limits.steps,
        tool_calls=limits.tool_calls,
        wall_s=min(limits.wall_seconds, defaults.timeout_seconds),
        identical_outcomes=limits.identical_outcomes,
    )


def _toolbox(agent: AgentConfig, config: Config, tools: Tools) -> ToolBox:
    """Narrow only: an agent's allow list cannot bring back what the house denies."""
    unwanted = tools.actions() - set(agent.actions) if agent.actions else frozenset()
    own_exec = agent.tools.exec
    security = (own_exec.security if own_exec else None) or config.tools.exec.security
    shut = ("exec", "process") if security == "deny" else ()
    deny = {*config.tools.deny, *agent.tools.deny, *unwanted, *shut}
    house, own = set(config.tools.allow), set(agent.tools.allow)
    allow = house & own if house and own else house or own
    if house and own and not allow:
        return _NO_TOOLS
    return tools.toolbox(tuple(sorted(allow)), tuple(sorted(deny)))


class _NoTools:
    """A toolbox without tools."""

    def specs(self) -> tuple[()]:
        return ()

    async def call(self, name: str, arguments: str, context: object) -> tuple[str, bool]:
        return f"unknown tool: {name}", True


_NO_TOOLS = _NoTools()


def problem_of(spec: AgentSpec, models: Models) -> str:
    """Return why the agent cannot run now, or an empty text."""
    try:
        models.resolve(spec.model.primary or models.default_ref())
    except OpenClawError as error:
        return error.message
    return ""
