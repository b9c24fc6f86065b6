"""What the doors need of the rooms below; gateway/build.py fills it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openclaw.agent.api import AgentService
from openclaw.base.clock import Clock
from openclaw.config.schema import GatewayConfig
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.devices.book import Devices
from openclaw.listeners.control_ui.pages import UiDeps
from openclaw.listeners.hooks.api import HookDeps
from openclaw.listeners.openai_api.embeddings import Embedder
from openclaw.listeners.setup.pages import SetupDeps
from openclaw.listeners.ws_connection import Counter, Hub
from openclaw.rpc.tool_desk import ToolPort
from openclaw.telemetry.health import HealthBoard


@dataclass(frozen=True, slots=True)
class ListenerDeps:
    """Shape: `resolve_model` raises an OpenClawError for a `provider/model` that nothing serves; `metrics` returns
    Prometheus text; `loopback_bind` says that only loopback addresses are listened on; without `embedder` or `tools`
    their routes answer 404, without `hooks`, `ui` or `setup` there are none.
    """

    agent: AgentService
    counter: Counter
    hub: Hub
    authenticator: Authenticator
    devices: Devices
    health: HealthBoard
    clock: Clock
    version: str
    config: Callable[[], GatewayConfig]
    resolve_model: Callable[[str], Any]
    metrics: Callable[[], str]
    loopback_bind: bool = True
    embedder: Embedder | None = None
    tools: ToolPort | None = None
    hooks: HookDeps | None = None
    ui: UiDeps | None = None
    setup: SetupDeps | None = None
