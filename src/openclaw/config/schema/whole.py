"""The whole file, and the small sections that belong to no other part."""

from typing import Annotated, Any, Literal

from openclaw.config.schema.agents import AgentsConfig
from openclaw.config.schema.automation import CronConfig, HooksConfig
from openclaw.config.schema.backup import BackupConfig
from openclaw.config.schema.gateway import GatewayConfig
from openclaw.config.schema.leaf import Section, leaf
from openclaw.config.schema.models import ModelsConfig
from openclaw.config.schema.secrets import SecretsConfig
from openclaw.config.schema.storage import StorageConfig
from openclaw.config.schema.tools import (
    ActionConfig,
    McpConfig,
    NetworkPolicyConfig,
    ProxyConfig,
    SkillsConfig,
    ToolsConfig,
)


class SessionConfig(Section, frozen=True):
    """How long conversations are kept."""

    ephemeral_hours: Annotated[
        int, leaf("How long the sessions of stateless HTTP calls are kept.", "live", "h", ge=1)
    ] = 24


class DmPolicyConfig(Section, frozen=True):
    """Who may write to agents over chat channels, unless a channel says otherwise."""

    mode: Annotated[
        Literal["allowlist", "pairing", "open", "disabled"],
        leaf("pairing = strangers get a code; open = everybody, with `*` among the ids; disabled = nobody.", "live"),
    ] = "allowlist"
    allow_ids: Annotated[
        tuple[str, ...], leaf("Who may write, as channel:id; names that people choose open nothing.", "live")
    ] = ()
    unknown_reply: Annotated[
        str,
        leaf("What a stranger is answered; empty = nothing. A pairing code is sent anyway.", "live", max_length=1000),
    ] = ""


class LoggingConfig(Section, frozen=True):
    """What is logged, and how much of it is kept."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], leaf("Least severe line that is written.", "live")
    ] = "info"
    console_style: Annotated[
        Literal["auto", "pretty", "json"], leaf("Form of lines on stderr; auto = pretty on a terminal.", "live")
    ] = "auto"
    max_file_bytes: Annotated[
        int, leaf("Size at which a log file is rotated.", "live", "bytes", ge=10_000, le=4_000_000_000)
    ] = 10_000_000
    max_files: Annotated[int, leaf("Rotated files kept.", "live", ge=1, le=100)] = 5


class IdentityConfig(Section, frozen=True):
    """How the assistant introduces itself."""

    name: Annotated[str, leaf("The assistant's name.", "live")] = "Assistant"
    avatar: Annotated[str, leaf("URL or text of its picture.", "live")] = ""


class ShellEnvConfig(Section, frozen=True):
    """Keys that only the login shell knows: a desktop starts programs without them."""

    enabled: Annotated[bool, leaf("Ask the login shell once for expected variables nobody else has.", "live")] = False
    timeout_ms: Annotated[int, leaf("Longest that the shell may take.", "live", "ms", ge=100, le=120_000)] = 15_000


class EnvConfig(Section, frozen=True):
    """Variables for this gateway only; the real environment comes first."""

    vars: Annotated[dict[str, str], leaf("Variables used where the environment has none.", "live")] = {}
    shell_env: ShellEnvConfig = ShellEnvConfig()


class Config(Section, frozen=True):
    """The whole configuration, frozen. Rooms get the section they need, never the file."""

    identity: IdentityConfig = IdentityConfig()
    gateway: GatewayConfig = GatewayConfig()
    agents: AgentsConfig = AgentsConfig()
    actions: tuple[ActionConfig, ...] = ()
    models: ModelsConfig = ModelsConfig()
    session: SessionConfig = SessionConfig()
    dm_policy: DmPolicyConfig = DmPolicyConfig()
    tools: ToolsConfig = ToolsConfig()
    skills: SkillsConfig = SkillsConfig()
    mcp: McpConfig = McpConfig()
    cron: CronConfig = CronConfig()
    network_policy: NetworkPolicyConfig = NetworkPolicyConfig()
    proxy: ProxyConfig = ProxyConfig()
    hooks: HooksConfig = HooksConfig()
    secrets: SecretsConfig = SecretsConfig()
    backup: BackupConfig = BackupConfig()
    logging: LoggingConfig = LoggingConfig()
    storage: StorageConfig = StorageConfig()
    env: EnvConfig = EnvConfig()
    channels: Annotated[
        dict[str, dict[str, Any]],
        leaf("Chat channels by name. Accepted and kept; none is available in this version.", "live"),
    ] = {}
