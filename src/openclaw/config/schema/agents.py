"""The agents: who they are, what they work with, and where a run ends."""

from typing import Annotated, Literal

from openclaw.base.thinking import AnyThinking
from openclaw.config.schema.leaf import Section, leaf
from openclaw.config.schema.sandbox import SandboxConfig
from openclaw.config.schema.tools import AgentExecConfig, AgentNetworkConfig

_CLOCK_PATTERN = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"


class LimitsConfig(Section, frozen=True):
    """Caps on one run, so that a loop of tool calls ends."""

    steps: Annotated[int, leaf("Model calls in one run.", "live", ge=1)] = 50
    tool_calls: Annotated[int, leaf("Tool calls in one run.", "live", ge=0)] = 100
    wall_seconds: Annotated[int, leaf("Wall time of one run.", "live", "s", ge=1)] = 600
    identical_outcomes: Annotated[int, leaf("Same tool, same arguments, same result in a row.", "live", ge=2)] = 4


class QueueConfig(Section, frozen=True):
    """What happens to messages that arrive while a run is going."""

    mode: Annotated[
        Literal["followup", "collect", "steer", "interrupt", "reject"],
        leaf("What a message does that arrives during a run.", "live"),
    ] = "followup"
    cap: Annotated[int, leaf("Messages waiting per session.", "live", ge=1, le=1000)] = 20
    drop: Annotated[
        Literal["reject-new", "drop-oldest", "summarise"], leaf("What happens to messages over the cap.", "live")
    ] = "reject-new"


class ModelChoice(Section, frozen=True):
    """A model and the ones that stand in for it."""

    primary: Annotated[str, leaf("`provider/model`.", "live")] = ""
    fallbacks: Annotated[tuple[str, ...], leaf("Tried in order when the primary fails.", "live")] = ()


class CompactionConfig(Section, frozen=True):
    """How a conversation that outgrows the model's context is made smaller."""

    enabled: Annotated[bool, leaf("Summarise old messages; without it they are dropped.", "live")] = True
    model: Annotated[
        str, leaf("`provider/model` that summarises; empty = models.tiers.summary, else the agent's.", "live")
    ] = ""
    keep_recent_tokens: Annotated[int, leaf("Latest messages that are never summarised.", "live", "tokens", ge=100)] = (
        4_000
    )


class MemoryConfig(Section, frozen=True):
    """What an agent remembers beyond a session."""

    enabled: Annotated[bool, leaf("Offer memory tools and MEMORY.md.", "live")] = True
    size: Annotated[int, leaf("Memories kept per owner; the oldest go first.", "live", ge=0, le=1_000_000)] = 1_000


class SubagentsConfig(Section, frozen=True):
    """Agents that an agent may start."""

    max_depth: Annotated[int, leaf("How deep agents may start agents; 0 = not at all.", "live", ge=0, le=8)] = 1
    max_children: Annotated[int, leaf("Agents that one run may start.", "live", ge=1, le=100)] = 8


class ActiveHoursConfig(Section, frozen=True):
    """The hours in which heartbeats may come; a start later than the end spans midnight."""

    start: Annotated[str, leaf("First minute, HH:MM.", "live", pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "00:00"
    end: Annotated[
        str, leaf("Minute before which they end, HH:MM; 24:00 is midnight.", "live", pattern=_CLOCK_PATTERN)
    ] = "24:00"
    timezone: Annotated[str, leaf("IANA zone; empty = agents.defaults.userTimezone.", "live")] = ""


class HeartbeatConfig(Section, frozen=True):
    """Turns that an agent takes on its own when something waits for it. Off without `every`."""

    every: Annotated[
        str, leaf("How often, e.g. 30m or 1h; empty or 0m = never.", "live", pattern="^([0-9]{1,6}(ms|s|m|h|d)?)?$")
    ] = ""
    prompt: Annotated[str, leaf("What the agent is asked; empty = the built-in question.", "live")] = ""
    target: Annotated[str, leaf("Where an answer is told besides the session; shown to clients.", "live")] = "none"
    ack_max_chars: Annotated[
        int,
        leaf(
            "Text beside HEARTBEAT_OK up to which an answer counts as silence.", "live", "characters", ge=0, le=10_000
        ),
    ] = 300
    active_hours: ActiveHoursConfig | None = None
    model: Annotated[str, leaf("`provider/model`; empty = models.tiers.heartbeat, else the agent's.", "live")] = ""
    session: Annotated[str, leaf("Session it speaks in; empty = the main one.", "live")] = ""
    timeout_seconds: Annotated[int, leaf("Wall time of one; 0 = as any run.", "live", "s", ge=0)] = 0


class AgentDefaults(Section, frozen=True):
    """What every agent uses unless it says otherwise."""

    model: Annotated[str | ModelChoice, leaf("`provider/model`, or {primary, fallbacks}.", "live")] = ""
    workspace: Annotated[str, leaf("Folder that file tools work in; default <state>/workspace.", "live")] = ""
    system_prompt: Annotated[str, leaf("Instructions that open every prompt.", "live")] = ""
    max_concurrent: Annotated[int, leaf("Runs at once over all agents.", "live", ge=1, le=10_000)] = 64
    timeout_seconds: Annotated[
        int, leaf("Wall time of one run; the smaller of this and limits.", "live", "s", ge=1)
    ] = 600
    context_tokens: Annotated[
        int, leaf("Cap on the context given to the model; 0 = the model's own.", "live", "tokens", ge=0)
    ] = 0
    max_tokens: Annotated[int, leaf("Longest answer; 0 = the model's own limit.", "live", "tokens", ge=0)] = 0
    thinking_default: Annotated[
        AnyThinking, leaf("How much models that can think do so before they answer; empty = as they do.", "live")
    ] = ""
    limits: LimitsConfig = LimitsConfig()
    queue: QueueConfig = QueueConfig()
    compaction: CompactionConfig = CompactionConfig()
    memory: MemoryConfig = MemoryConfig()
    subagents: SubagentsConfig = SubagentsConfig()
    sandbox: SandboxConfig = SandboxConfig()
    user_timezone: Annotated[str, leaf("IANA zone of jobs and hours that name none; empty = UTC.", "live")] = ""
    heartbeat: HeartbeatConfig | None = None
    skills: Annotated[tuple[str, ...] | None, leaf("Skills any agent may use; unset = all.", "live")] = None


class ToolSelection(Section, frozen=True):
    """The tools of one agent; the global lists apply as well."""

    allow: Annotated[tuple[str, ...], leaf("Tools to offer; empty = all.", "live")] = ()
    deny: Annotated[tuple[str, ...], leaf("Tools never to offer; wins over allow.", "live")] = ()
    exec: AgentExecConfig | None = None


class AgentConfig(Section, frozen=True):
    """One agent: who it is, its model, its workspace and its tools."""

    id: Annotated[str, leaf("Lower-case letters, digits, - and _.", "live", pattern="^[a-z0-9][a-z0-9_-]{0,63}$")]
    name: Annotated[str, leaf("Shown to people.", "live")] = ""
    default: Annotated[bool, leaf("This agent answers when none is named.", "live")] = False
    model: Annotated[str | ModelChoice, leaf("Overrides agents.defaults.model.", "live")] = ""
    workspace: Annotated[str, leaf("Overrides agents.defaults.workspace.", "live")] = ""
    system_prompt: Annotated[str, leaf("Overrides agents.defaults.systemPrompt.", "live")] = ""
    thinking_default: Annotated[AnyThinking, leaf("Overrides agents.defaults.thinkingDefault.", "live")] = ""
    max_concurrent: Annotated[int, leaf("Runs at once of this agent; 0 = no own cap.", "live", ge=0)] = 0
    tools: ToolSelection = ToolSelection()
    actions: Annotated[tuple[str, ...], leaf("Names of actions offered; empty = all.", "live")] = ()
    limits: LimitsConfig | None = None
    queue: QueueConfig | None = None
    heartbeat: HeartbeatConfig | None = None
    network_policy: AgentNetworkConfig | None = None
    skills: Annotated[
        tuple[str, ...] | None, leaf("Of agents.defaults.skills, those of this agent; unset = all of them.", "live")
    ] = None
    sandbox: SandboxConfig | None = None


class AgentsConfig(Section, frozen=True):
    """The agents. With an empty list there is one, `default`."""

    defaults: AgentDefaults = AgentDefaults()
    list: tuple[AgentConfig, ...] = ()
