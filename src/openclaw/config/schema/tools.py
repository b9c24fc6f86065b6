"""The tools that agents may use, your own and those of others, and where they may send bytes."""

from typing import Annotated, Any, Literal

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.schema.leaf import Section, leaf

_DAY_PATTERN = "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))?$"


class ExecConfig(Section, frozen=True):
    """Which commands agents may run, and when a person is asked."""

    security: Annotated[
        Literal["deny", "allowlist", "full"],
        leaf("deny = no command; allowlist = listed ones, others by asking; full = any command.", "live"),
    ] = "allowlist"
    ask: Annotated[
        Literal["off", "on-miss", "always"],
        leaf("What is not listed: off = denied, on-miss = a person is asked; always = every command is asked.", "live"),
    ] = "on-miss"
    allowlist: Annotated[
        tuple[str, ...], leaf("Commands that run unasked: a program, and patterns of its arguments.", "live")
    ] = ()
    safe_bins: Annotated[
        tuple[str, ...],
        leaf("Programs that only read and may do so unasked, of those that are known; `*` = all of them.", "live"),
    ] = ()
    path_prepend: Annotated[
        tuple[str, ...], leaf("Directories where programs are looked for before the system's own.", "live")
    ] = ()
    env: Annotated[
        tuple[str, ...],
        leaf("Further variables that a command may be given unasked; those that choose what runs never are.", "live"),
    ] = ()
    timeout_sec: Annotated[
        int, leaf("Longest a command may run when the agent names no time.", "live", "s", ge=1, le=86_400)
    ] = 1_800
    background_ms: Annotated[
        int, leaf("How long an agent waits for a command before it goes on in the background.", "live", "ms", ge=10)
    ] = 10_000
    approval_timeout_sec: Annotated[int, leaf("How long a person has to decide.", "live", "s", ge=1, le=86_400)] = 120
    max_memory_mb: Annotated[int, leaf("Memory of one command with all its processes.", "live", "MB", ge=16)] = 2_048
    max_processes: Annotated[int, leaf("Processes of one command.", "live", ge=1, le=10_000)] = 256


class AgentExecConfig(Section, frozen=True):
    """Commands of one agent. What is unset is as in `tools.exec`; a list takes the place of the one there."""

    security: Annotated[Literal["deny", "allowlist", "full"] | None, leaf("Overrides tools.exec.security.", "live")] = (
        None
    )
    ask: Annotated[Literal["off", "on-miss", "always"] | None, leaf("Overrides tools.exec.ask.", "live")] = None
    allowlist: Annotated[tuple[str, ...] | None, leaf("Overrides tools.exec.allowlist.", "live")] = None
    safe_bins: Annotated[tuple[str, ...] | None, leaf("Overrides tools.exec.safeBins.", "live")] = None
    path_prepend: Annotated[tuple[str, ...] | None, leaf("Overrides tools.exec.pathPrepend.", "live")] = None
    env: Annotated[tuple[str, ...] | None, leaf("Overrides tools.exec.env.", "live")] = None


class ToolsConfig(Section, frozen=True):
    """The tools that any agent may use."""

    allow: Annotated[tuple[str, ...], leaf("Tools any agent may use; empty = all.", "live")] = ()
    deny: Annotated[tuple[str, ...], leaf("Tools no agent may use; wins over allow.", "live")] = ()
    tainted: Annotated[
        tuple[str, ...],
        leaf("Tools that act elsewhere and may do so unasked after an agent has read text from outside.", "live"),
    ] = ()
    exec: ExecConfig = ExecConfig()


class SkillsConfig(Section, frozen=True):
    """Folders of instructions that agents may read once they were audited."""

    on_failure: Annotated[
        Literal["block", "confine"],
        leaf("What fails its audit: block = it is not loaded; confine = whoever reads it can only read.", "live"),
    ] = "block"


class ActionConfig(Section, frozen=True):
    """A tool of your own: a Python class or function that agents can call."""

    name: Annotated[str, leaf("Tool name the model sees.", "live", pattern="^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    module: Annotated[str, leaf("Python module to import.", "live", min_length=1)]
    class_: Annotated[str, leaf("Class, or decorated function, in the module.", "live", min_length=1)] = msgspec.field(
        name="class"
    )
    args: Annotated[dict[str, Any], leaf("Keyword arguments for the class.", "live")] = {}
    path: Annotated[str, leaf("Folder added to sys.path for this import; relative to the config file.", "live")] = ""


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


class EgressClassConfig(Section, frozen=True):
    """One class of destinations: what it may reach, who answers for that, and when it is looked at again."""

    allow: Annotated[
        tuple[str, ...],
        leaf("Destinations of this class; for configured endpoints they are the whole list once there is one.", "live"),
    ] = ()
    owner: Annotated[str, leaf("Who answers for these destinations.", "live")] = ""
    review: Annotated[
        str, leaf("Day (YYYY-MM-DD) by which the list is to be looked at again.", "live", pattern=_DAY_PATTERN)
    ] = ""


class EgressClassesConfig(Section, frozen=True):
    """Destinations by what they are for."""

    inference: EgressClassConfig = EgressClassConfig()
    channels: EgressClassConfig = EgressClassConfig()
    artifacts: EgressClassConfig = EgressClassConfig()
    telemetry: EgressClassConfig = EgressClassConfig()
    tools: EgressClassConfig = EgressClassConfig()
    internal: EgressClassConfig = EgressClassConfig()


class EgressListConfig(Section, frozen=True):
    """Of what the gateway may reach, the part that is left."""

    egress_allowlist: Annotated[tuple[str, ...], leaf("All that is left; empty = nothing.", "live")] = ()


class AgentNetworkConfig(Section, frozen=True):
    """Narrows what one agent's tools may reach; it never widens."""

    egress_allowlist: Annotated[
        tuple[str, ...] | None, leaf("All that is left; unset = what tools may reach, empty = nothing.", "live")
    ] = None
    actions: Annotated[dict[str, EgressListConfig], leaf("Narrower still, by tool name.", "live")] = {}


class NetworkPolicyConfig(Section, frozen=True):
    """Where bytes may go. Private, loopback and other inner addresses are open only to entries that are addresses."""

    allow_egress: Annotated[bool, leaf("Let tools reach any public host.", "live")] = False
    egress_allowlist: Annotated[
        tuple[str, ...],
        leaf("What tools may reach: name, *.suffix, IP address or CIDR; each may end in :port.", "live"),
    ] = ()
    classes: EgressClassesConfig = EgressClassesConfig()
    actions: Annotated[dict[str, EgressListConfig], leaf("Narrower lists by tool name.", "live")] = {}


class ProxyConfig(Section, frozen=True):
    """The operator's own proxy to the outside. Where bytes may go is decided before it is asked; see docs/egress.md."""

    enabled: Annotated[bool, leaf("Whether it is used.", "process")] = True
    proxy_url: Annotated[
        str, leaf("Its address, http://host:port; empty = none.", "process", pattern=r"^(http://[^@/?#\s]+/?)?$")
    ] = ""
    authorization: Annotated[Secret | None, leaf("What it is sent as Proxy-Authorization.", "process")] = None
    lookup: Annotated[
        Literal["gateway", "proxy"],
        leaf("Who looks names up: gateway = here, each address is judged; proxy = it is given the name.", "process"),
    ] = "gateway"
    bypass: Annotated[tuple[str, ...], leaf("Hosts and *.suffixes that are reached without it.", "process")] = ()
