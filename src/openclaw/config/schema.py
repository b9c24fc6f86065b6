"""The configuration as types. One leaf, one declaration: type, default, reload class, unit, one line of doc.

Wire names are camelCase (`rename="camel"`), attributes snake_case. `live` leaves take effect at once, `room` leaves
rebuild the room that owns them without losing a turn, `process` leaves need a restart of the gateway.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openclaw.base.secret import Secret
from openclaw.base.thinking import AnyThinking

ReloadClass = Literal["live", "room", "process"]


def leaf(doc: str, reload: ReloadClass, unit: str = "", **bounds: Any) -> Meta:
    """Declare a leaf: its one-line doc, reload class, unit and bounds (ge, le, min_length, pattern …)."""
    extra: dict[str, str] = {"reload": reload}
    if unit:
        extra["unit"] = unit
    return Meta(description=doc, extra=extra, **bounds)


class Section(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all sections. Unknown keys never reach here: load quarantines them first."""


class RateLimitConfig(Section, frozen=True):
    """How many failed sign-ins an address may have before it has to wait."""

    max_attempts: Annotated[int, leaf("Failed sign-ins from one address before a lockout.", "live", ge=1)] = 10
    window_ms: Annotated[int, leaf("Window in which failures are counted.", "live", "ms", ge=1000)] = 60_000
    lockout_ms: Annotated[int, leaf("How long an address is locked out.", "live", "ms", ge=1000)] = 300_000


class AuthConfig(Section, frozen=True):
    """Who may connect: the shared secret, and how guessing it is slowed down."""

    mode: Annotated[
        Literal["token", "password", "none"],
        leaf("How callers prove who they are. `none` works on loopback only.", "live"),
    ] = "token"
    token: Annotated[
        Secret | None, leaf("The shared gateway token. Another one closes the clients that came by the old.", "live")
    ] = None
    password: Annotated[Secret | None, leaf("The shared password, for mode `password`.", "live")] = None
    rate_limit: RateLimitConfig = RateLimitConfig()


class RemoteConfig(Section, frozen=True):
    """The gateway elsewhere that commands talk to in mode `remote`."""

    url: Annotated[str, leaf("WebSocket URL of a gateway elsewhere, for mode `remote`.", "live")] = ""
    token: Annotated[Secret | None, leaf("Token of that gateway.", "live")] = None
    tls_fingerprint: Annotated[str, leaf("SHA-256 of its certificate, hex; then nothing else is believed.", "live")] = (
        ""
    )


class ControlUiConfig(Section, frozen=True):
    """Browser access to the gateway."""

    enabled: Annotated[bool, leaf("Serve a page for browsers at /.", "process")] = True
    root: Annotated[str, leaf("Folder of a built UI to serve instead of our own page.", "process")] = ""
    allowed_origins: Annotated[
        tuple[str, ...], leaf("Origins besides the gateway's own that browsers may connect from.", "live")
    ] = ()


class EndpointConfig(Section, frozen=True):
    """One group of HTTP routes."""

    enabled: Annotated[bool, leaf("Serve this group of HTTP routes.", "process")] = True


class EndpointsConfig(Section, frozen=True):
    """The groups of HTTP routes, each of which can be switched off."""

    chat_completions: EndpointConfig = EndpointConfig()
    responses: EndpointConfig = EndpointConfig()
    embeddings: EndpointConfig = EndpointConfig()
    agents: EndpointConfig = EndpointConfig()
    tools: EndpointConfig = EndpointConfig()
    docs: EndpointConfig = EndpointConfig()


class HttpConfig(Section, frozen=True):
    """The HTTP side of the gateway."""

    endpoints: EndpointsConfig = EndpointsConfig()


class ReloadConfig(Section, frozen=True):
    """What happens when the configuration file changes."""

    mode: Annotated[Literal["hybrid", "hot", "restart", "off"], leaf("What to do when the file changes.", "live")] = (
        "hybrid"
    )
    debounce_ms: Annotated[int, leaf("Quiet time before a change is read.", "live", "ms", ge=50, le=60_000)] = 300


class NodeCommandsConfig(Section, frozen=True):
    """Which of the commands that nodes offer may be invoked."""

    allow: Annotated[
        tuple[str, ...], leaf("Commands to let through besides the harmless ones, e.g. camera.snap.", "live")
    ] = ()
    deny: Annotated[tuple[str, ...], leaf("Commands never to let through, `*` = all; wins over allow.", "live")] = ()


class NodesConfig(Section, frozen=True):
    """What the machines and phones that attach as nodes may do."""

    commands: NodeCommandsConfig = NodeCommandsConfig()
    sessions: Annotated[
        Literal["own", "any"],
        leaf("Sessions that an approved node may follow and write to: its own (`node-<id>`), or any.", "live"),
    ] = "own"


class GatewayConfig(Section, frozen=True):
    """Where the gateway listens and who may connect."""

    mode: Annotated[Literal["local", "remote"], leaf("Run a gateway here, or talk to one elsewhere.", "process")] = (
        "local"
    )
    port: Annotated[int, leaf("TCP port of the gateway.", "process", ge=1, le=65_535)] = 18_789
    bind: Annotated[
        Literal["loopback", "lan", "custom"],
        leaf("Which addresses to listen on. 127.0.0.1, 0.0.0.0 and * are accepted and normalised.", "process"),
    ] = "loopback"
    custom_bind_host: Annotated[str, leaf("Address for bind `custom`.", "process")] = ""
    auth: AuthConfig = AuthConfig()
    remote: RemoteConfig = RemoteConfig()
    trusted_proxies: Annotated[
        tuple[str, ...], leaf("Addresses whose forwarding headers are believed.", "process")
    ] = ()
    public_base_url: Annotated[str, leaf("How the gateway is reached from outside.", "live")] = ""
    control_ui: ControlUiConfig = ControlUiConfig()
    http: HttpConfig = HttpConfig()
    reload: ReloadConfig = ReloadConfig()
    nodes: NodesConfig = NodesConfig()


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
        int, leaf("Text beside HEARTBEAT_OK up to which an answer counts as silence.", "live", ge=0, le=10_000)
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
        int, leaf("Cap on the context given to the model; 0 = the model's own.", "live", ge=0)
    ] = 0
    max_tokens: Annotated[int, leaf("Longest answer; 0 = the model's own limit.", "live", ge=0)] = 0
    thinking_default: Annotated[
        AnyThinking, leaf("How much models that can think do so before they answer; empty = as they do.", "live")
    ] = ""
    limits: LimitsConfig = LimitsConfig()
    queue: QueueConfig = QueueConfig()
    compaction: CompactionConfig = CompactionConfig()
    memory: MemoryConfig = MemoryConfig()
    subagents: SubagentsConfig = SubagentsConfig()
    user_timezone: Annotated[str, leaf("IANA zone of jobs and hours that name none; empty = UTC.", "live")] = ""
    heartbeat: HeartbeatConfig | None = None


class ToolSelection(Section, frozen=True):
    """The tools of one agent; the global lists apply as well."""

    allow: Annotated[tuple[str, ...], leaf("Tools to offer; empty = all.", "live")] = ()
    deny: Annotated[tuple[str, ...], leaf("Tools never to offer; wins over allow.", "live")] = ()


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


class AgentsConfig(Section, frozen=True):
    """The agents. With an empty list there is one, `default`."""

    defaults: AgentDefaults = AgentDefaults()
    list: tuple[AgentConfig, ...] = ()


class ActionConfig(Section, frozen=True):
    """A tool of your own: a Python class or function that agents can call."""

    name: Annotated[str, leaf("Tool name the model sees.", "live", pattern="^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    module: Annotated[str, leaf("Python module to import.", "live", min_length=1)]
    class_: Annotated[str, leaf("Class, or decorated function, in the module.", "live", min_length=1)] = msgspec.field(
        name="class"
    )
    args: Annotated[dict[str, Any], leaf("Keyword arguments for the class.", "live")] = {}
    path: Annotated[str, leaf("Folder added to sys.path for this import; relative to the config file.", "live")] = ""


class ModelCost(Section, frozen=True):
    """Prices of a model."""

    input: Annotated[float, leaf("Price of input.", "live", "USD per million tokens", ge=0)] = 0.0
    output: Annotated[float, leaf("Price of output.", "live", "USD per million tokens", ge=0)] = 0.0
    cache_read: Annotated[
        float, leaf("Price of input read from the cache; 0 = as input.", "live", "USD per million tokens", ge=0)
    ] = 0.0
    cache_write: Annotated[
        float, leaf("Price of input written to the cache; 0 = as input.", "live", "USD per million tokens", ge=0)
    ] = 0.0


class ModelTimeouts(Section, frozen=True):
    """How long to wait for a provider at each stage."""

    connect_ms: Annotated[int, leaf("Time to connect.", "live", "ms", ge=1)] = 10_000
    first_token_ms: Annotated[int, leaf("Time to the first event of an answer.", "live", "ms", ge=1)] = 60_000
    idle_ms: Annotated[int, leaf("Longest silence within an answer.", "live", "ms", ge=1)] = 60_000
    total_ms: Annotated[int, leaf("Time for a whole answer.", "live", "ms", ge=1)] = 600_000


class ModelEntry(Section, frozen=True):
    """One model of a provider."""

    id: Annotated[str, leaf("Model id at the provider.", "live", min_length=1)]
    name: Annotated[str, leaf("Shown to people.", "live")] = ""
    context_window: Annotated[int, leaf("Context size.", "live", "tokens", ge=256)] = 128_000
    max_tokens: Annotated[int, leaf("Longest answer.", "live", "tokens", ge=1)] = 8_192
    tools: Annotated[bool, leaf("Whether the model can call tools.", "live")] = True
    input: Annotated[tuple[str, ...], leaf("Kinds of input: text, image.", "live")] = ("text",)
    reasoning: Annotated[bool, leaf("Whether the model thinks before it answers.", "live")] = False
    cost: ModelCost | None = None


class ProviderConfig(Section, frozen=True):
    """One model provider: its wire API, address and credential."""

    api: Annotated[
        Literal[
            "",
            "openai-completions",
            "openai-responses",
            "anthropic-messages",
            "bedrock-converse",
            "ollama",
            "embedded",
            "fake",
        ],
        leaf("The wire API; empty = the one of the built-in provider of this name, else openai-completions.", "live"),
    ] = ""
    base_url: Annotated[str, leaf("Root of the API, e.g. https://api.example.com/v1.", "live")] = ""
    api_key: Annotated[Secret | None, leaf("Credential for the provider.", "live")] = None
    models: Annotated[tuple[ModelEntry, ...], leaf("Models that the provider offers.", "live")] = ()
    timeouts: ModelTimeouts = ModelTimeouts()
    region: Annotated[str, leaf("AWS region, for bedrock; a model's ARN names its own.", "live")] = ""
    aws_profile: Annotated[str, leaf("Named AWS profile, for bedrock.", "live")] = ""
    num_ctx: Annotated[
        int, leaf("Context that Ollama is asked to load, at most the model's; 0 = 16384.", "live", "tokens", ge=0)
    ] = 0
    keep_alive: Annotated[str, leaf("How long Ollama keeps the model loaded, e.g. 5m.", "live")] = ""


class TiersConfig(Section, frozen=True):
    """Which model does which kind of work; an empty one means the agent's own."""

    probe: Annotated[str, leaf("`provider/model` that tests whether a provider works.", "live")] = ""
    summary: Annotated[str, leaf("`provider/model` that summarises old conversation.", "live")] = ""
    interactive: Annotated[str, leaf("`provider/model` for turns without tools.", "live")] = ""
    tools: Annotated[str, leaf("`provider/model` for turns with tools.", "live")] = ""
    heartbeat: Annotated[str, leaf("`provider/model` for scheduled turns.", "live")] = ""


class RouteWhen(Section, frozen=True):
    """What a route goes by; everything that is set must hold."""

    purpose: Annotated[str, leaf("Kind of work: interactive, tools, summary, probe or heartbeat.", "live")] = ""
    agent: Annotated[str, leaf("Agent id.", "live")] = ""
    channel: Annotated[str, leaf("Where the message came from: rpc, http, cli, or a channel's name.", "live")] = ""
    group: Annotated[bool | None, leaf("Whether the session is a group's.", "live")] = None
    contains: Annotated[str, leaf("Text in the message, letter case ignored.", "live")] = ""
    tokens: Annotated[int, leaf("Prompts of at least this size.", "live", "tokens", ge=0)] = 0


class RouteConfig(Section, frozen=True):
    """One rule that picks a model; the first that holds wins over the agent's model."""

    use: Annotated[str, leaf("`provider/model` to use.", "live", min_length=1)]
    when: RouteWhen = RouteWhen()


class BudgetConfig(Section, frozen=True):
    """A cap on money. A call whose price is unknown is denied while a budget applies to it."""

    usd: Annotated[float, leaf("The cap.", "live", "USD", ge=0)]
    window: Annotated[Literal["day", "month"], leaf("Time that the cap is for, in UTC.", "live")] = "day"
    scope: Annotated[
        Literal["total", "tenant", "principal", "agent", "channel"], leaf("Whose calls count together.", "live")
    ] = "total"
    subject: Annotated[str, leaf("Which one of the scope; empty = each one on its own.", "live")] = ""
    notice_percent: Annotated[int, leaf("Share of the cap at which a notice is given.", "live", "%", ge=1, le=100)] = 80


class ReviewConfig(Section, frozen=True):
    """A second model that looks at an answer before it is sent."""

    model: Annotated[str, leaf("`provider/model` that reviews; empty = no review.", "live")] = ""
    prompt: Annotated[str, leaf("What it is asked; it answers ALLOW, or REJECT and why.", "live")] = (
        "Review the draft answer. Reply with ALLOW if it may be sent, or REJECT: and the reason."
    )
    agents: Annotated[tuple[str, ...], leaf("Agents whose answers are reviewed; empty = all.", "live")] = ()


class CatalogRefreshConfig(Section, frozen=True):
    """Where `openclaw models refresh` takes a newer catalog from."""

    url: Annotated[str, leaf("https address or file of a catalog.", "live")] = ""


class ModelsConfig(Section, frozen=True):
    """Where models come from."""

    providers: Annotated[dict[str, ProviderConfig], leaf("Providers by id.", "live")] = {}
    tiers: TiersConfig = TiersConfig()
    routes: Annotated[tuple[RouteConfig, ...], leaf("Rules that pick a model, in order.", "live")] = ()
    budgets: Annotated[tuple[BudgetConfig, ...], leaf("Caps on money; every one that applies must hold.", "live")] = ()
    review: ReviewConfig = ReviewConfig()
    catalog_refresh: CatalogRefreshConfig = CatalogRefreshConfig()


class SessionConfig(Section, frozen=True):
    """How conversations are kept apart."""

    dm_scope: Annotated[
        Literal["main", "per-peer", "per-channel-peer"], leaf("What direct messages share a session.", "live")
    ] = "per-channel-peer"
    ephemeral_hours: Annotated[
        int, leaf("How long the sessions of stateless HTTP calls are kept.", "live", "h", ge=1)
    ] = 24


class ToolsConfig(Section, frozen=True):
    """The tools that any agent may use."""

    allow: Annotated[tuple[str, ...], leaf("Tools any agent may use; empty = all.", "live")] = ()
    deny: Annotated[tuple[str, ...], leaf("Tools no agent may use; wins over allow.", "live")] = ()


class McpServerConfig(Section, frozen=True):
    """One MCP server whose tools agents may use: a program (`command`) or an address (`url`)."""

    enabled: Annotated[bool, leaf("Whether it is used.", "live")] = True
    command: Annotated[str, leaf("Program that speaks MCP on its standard streams.", "live")] = ""
    args: Annotated[tuple[str, ...], leaf("Its arguments.", "live")] = ()
    env: Annotated[dict[str, str], leaf("Variables it is given besides the basic ones.", "live")] = {}
    cwd: Annotated[str, leaf("Folder it starts in; default the workspace.", "live")] = ""
    url: Annotated[str, leaf("Address of a server that speaks MCP over HTTP.", "live")] = ""
    headers: Annotated[dict[str, Secret], leaf("Headers sent to that address.", "live")] = {}
    request_timeout_ms: Annotated[int, leaf("Longest a call may take.", "live", "ms", ge=100)] = 60_000
    allow: Annotated[tuple[str, ...], leaf("Tools to take from it; empty = all.", "live")] = ()


class McpConfig(Section, frozen=True):
    """Tools from elsewhere by the Model Context Protocol."""

    servers: Annotated[dict[str, McpServerConfig], leaf("Servers by name.", "live")] = {}


class CronConfig(Section, frozen=True):
    """Jobs that run at their times."""

    enabled: Annotated[bool, leaf("Run jobs at their times.", "live")] = True
    max_concurrent_runs: Annotated[int, leaf("Jobs that run at once.", "live", ge=1, le=100)] = 4
    skip_missed_jobs: Annotated[
        bool, leaf("Whether times that passed while the gateway was down are left out instead of run once.", "live")
    ] = False
    max_missed_age_ms: Annotated[
        int, leaf("Age beyond which a missed time is not made up for.", "live", "ms", ge=0)
    ] = 86_400_000


class NetworkPolicyConfig(Section, frozen=True):
    """Where tools may send bytes. Private, loopback and metadata addresses are never reached."""

    allow_egress: Annotated[bool, leaf("Let tools reach any public host.", "live")] = False
    egress_allowlist: Annotated[
        tuple[str, ...], leaf("Hosts that tools may reach: name, *.suffix or name:port.", "live")
    ] = ()


class LoggingConfig(Section, frozen=True):
    """What is logged, and how much of it is kept."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], leaf("Least severe line that is written.", "live")
    ] = "info"
    console_style: Annotated[
        Literal["auto", "pretty", "json"], leaf("Form of lines on stderr; auto = pretty on a terminal.", "live")
    ] = "auto"
    max_file_bytes: Annotated[int, leaf("Size at which a log file is rotated.", "live", "bytes", ge=10_000)] = (
        10_000_000
    )
    max_files: Annotated[int, leaf("Rotated files kept.", "live", ge=1, le=100)] = 5


class IdentityConfig(Section, frozen=True):
    """How the assistant introduces itself."""

    name: Annotated[str, leaf("The assistant's name.", "live")] = "Assistant"
    avatar: Annotated[str, leaf("URL or text of its picture.", "live")] = ""


class EnvConfig(Section, frozen=True):
    """Variables for this gateway only; the real environment comes first."""

    vars: Annotated[dict[str, str], leaf("Variables used where the environment has none.", "process")] = {}


HookScheme = Literal["github", "stripe", "slack", "standard"]


class HookSignature(Section, frozen=True):
    """How the sender of a webhook proves itself when it cannot send the token."""

    scheme: Annotated[HookScheme, leaf("Whose way of signing; `standard` is Standard Webhooks.", "live")]
    secret: Annotated[Secret, leaf("The secret shared with the sender.", "live")]
    tolerance_seconds: Annotated[
        int, leaf("How old, or ahead, a signature's time may be.", "live", "s", ge=1, le=3600)
    ] = 300


class HookMatch(Section, frozen=True):
    """Which deliveries a mapping is for; what is set must hold."""

    path: Annotated[str, leaf("Path below hooks.path, e.g. `github`.", "live")] = ""
    source: Annotated[str, leaf("Value of `source` in the payload.", "live")] = ""


class HookMapping(Section, frozen=True):
    """What becomes of one kind of webhook. The first mapping that matches wins."""

    id: Annotated[str, leaf("Name in logs.", "live")] = ""
    match: HookMatch = HookMatch()
    action: Annotated[Literal["agent", "wake"], leaf("Run the agent, or leave it a note.", "live")] = "agent"
    wake_mode: Annotated[Literal["now", "next-heartbeat"], leaf("When a note is looked at.", "live")] = "now"
    name: Annotated[str, leaf("What the sender is called in the message.", "live")] = ""
    agent_id: Annotated[str, leaf("Agent that runs; empty = the default one.", "live")] = ""
    session_key: Annotated[str, leaf("Session, may have {{fields}}; empty = hooks.defaultSessionKey.", "live")] = ""
    message_template: Annotated[str, leaf("Message, with {{fields}}; empty = the payload itself.", "live")] = ""
    text_template: Annotated[str, leaf("Note for action `wake`, with {{fields}}.", "live")] = ""
    model: Annotated[str, leaf("`provider/model` for the run.", "live")] = ""
    thinking: Annotated[AnyThinking, leaf("How much to think.", "live")] = ""
    timeout_seconds: Annotated[int, leaf("Wall time of the run; 0 = the agent's.", "live", "s", ge=0)] = 0
    allow_unsafe_external_content: Annotated[
        bool, leaf("Put the payload's values into the message without marking them as data.", "live")
    ] = False
    signature: HookSignature | None = None


class HooksConfig(Section, frozen=True):
    """Webhooks: other programs that wake the agent or give it a task."""

    enabled: Annotated[bool, leaf("Take webhooks in.", "live")] = False
    path: Annotated[str, leaf("Path of the hooks.", "process", pattern="^/[A-Za-z0-9_-]+$")] = "/hooks"
    token: Annotated[Secret | None, leaf("Their token; must not be the gateway's own.", "live")] = None
    default_session_key: Annotated[str, leaf("Session of runs; empty = a fresh one each.", "live")] = ""
    allow_request_session_key: Annotated[bool, leaf("Let senders name the session.", "live")] = False
    allowed_session_key_prefixes: Annotated[
        tuple[str, ...], leaf("How session keys from senders and templates must begin; empty = any.", "live")
    ] = ()
    allowed_agent_ids: Annotated[
        tuple[str, ...], leaf("Agents that senders may name; empty or `*` = all.", "live")
    ] = ()
    mappings: Annotated[tuple[HookMapping, ...], leaf("What becomes of other webhooks, in order.", "live")] = ()


class Config(Section, frozen=True):
    """The whole configuration, frozen. Rooms get the section they need, never the file."""

    identity: IdentityConfig = IdentityConfig()
    gateway: GatewayConfig = GatewayConfig()
    agents: AgentsConfig = AgentsConfig()
    actions: tuple[ActionConfig, ...] = ()
    models: ModelsConfig = ModelsConfig()
    session: SessionConfig = SessionConfig()
    tools: ToolsConfig = ToolsConfig()
    mcp: McpConfig = McpConfig()
    cron: CronConfig = CronConfig()
    network_policy: NetworkPolicyConfig = NetworkPolicyConfig()
    hooks: HooksConfig = HooksConfig()
    logging: LoggingConfig = LoggingConfig()
    env: EnvConfig = EnvConfig()
    channels: Annotated[
        dict[str, dict[str, Any]],
        leaf("Chat channels by name. Accepted and kept; none is available in this version.", "process"),
    ] = {}
