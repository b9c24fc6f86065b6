"""What clients of the field call, as data: on connecting, on a command, on a page.

A row that clients expect to be refused has the code in `refused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

MAIN: Final = "agent:main:main"
OF_MAIN: Final[dict[str, Any]] = {"sessionKey": MAIN}


class Call(NamedTuple):
    """One call of a client."""

    method: str
    params: Mapping[str, Any] = MappingProxyType({})
    refused: str = ""


class Visit(NamedTuple):
    """What one client does on one connection, whoever it says it is."""

    name: str
    protocol: int
    calls: tuple[Call, ...]


TUI: Final = (
    Call("sessions.subscribe"),
    Call("agents.list"),
    Call("question.list"),
    Call("plugin.approval.list"),
    Call("taskSuggestions.list"),
    Call("chat.history", {**OF_MAIN, "limit": 200}),
    Call("commands.list", {"agentId": "main", "scope": "text", "includeArgs": False}),
    Call("sessions.describe", {"key": MAIN}),
    Call("sessions.list", {"includeDerivedTitles": True, "includeLastMessage": True, "agentId": "main"}),
)

CLI: Final = (
    Call("health"),
    Call("health", {"probe": True}),
    Call("status"),
    Call("system-presence"),
    Call("config.get"),
    Call("usage.cost", {"days": 30}),
    Call("diagnostics.stability", {"limit": 25}),
    Call("logs.tail", {"limit": 200, "maxBytes": 250_000}),
    Call("device.pair.list"),
    Call("node.list"),
    Call("node.pair.list"),
    Call("cron.list", {"includeDisabled": False, "limit": 200, "offset": 0}),
    Call("cron.status"),
    Call("last-heartbeat"),
    Call("exec.approvals.get"),
    Call("status", {"includeChannelSummary": False}),
    Call("status", {"includeChannelSummary": False, "includeCliProjection": True}),
    Call("channels.status", {"probe": False, "timeoutMs": 8000}),
    Call("models.list", {"view": "default", "includeDetails": True}),
    Call("skills.status", {"agentId": "main"}),
    Call("doctor.memory.status", {"probe": False}),
)

UI_LOAD: Final = (
    Call("sessions.subscribe"),
    Call("sessions.list", {"limit": 50, "includeGlobal": True, "includeUnknown": True, "configuredAgentsOnly": True}),
    Call("config.get"),
    Call("update.status"),
    Call("plugins.controlUi.list"),
    Call("agents.list"),
    Call("exec.approval.list"),
    Call("plugin.approval.list"),
    Call("openclaw.approval.list"),
    Call("sessions.observer.visibility", {"visible": True}),
    Call("plugin.surface.refresh", {"surface": "canvas", "observedUrl": "http://127.0.0.1/"}, refused="NOT_SUPPORTED"),
    Call("users.prefs.get", {"keys": ["ui.theme"]}),
    Call("question.list"),
    Call("agent.identity.get", {"sessionKey": MAIN}),
    Call("models.authStatus"),
    Call("controlUi.sessionPullRequests.subscribe", {"sessionKeys": [MAIN]}),
    Call("sessions.groups.list"),
    Call("sessions.groups.defaults"),
    Call("board.get", OF_MAIN),
    Call("projects.list"),
    Call("chat.startup", {**OF_MAIN, "limit": 80, "maxBytes": 262_144}),
    Call("sessions.viewers.set", {"sessionKeys": [MAIN]}),
    Call("sessions.github.options", OF_MAIN),
    Call("talk.catalog"),
    Call("session.members.listEvidence", OF_MAIN),
    Call("sessions.messages.subscribe", {"key": MAIN, "includeApprovals": True}),
    Call("cron.list"),
    Call("cron.status"),
    Call("mentions.list"),
    Call("progressCard.get", OF_MAIN),
    Call("taskSuggestions.list", OF_MAIN),
    Call("system.info"),
    Call("sessions.branches.list", OF_MAIN),
    Call("session.discussion.info", {**OF_MAIN, "agentId": "main"}),
    Call("sessions.companion.state", OF_MAIN),
    Call("tasks.list", {**OF_MAIN, "agentId": "main", "status": ["queued", "running"], "limit": 100}),
    Call("tasks.list", {**OF_MAIN, "status": ["completed", "failed"], "sortBy": "endedAt", "limit": 50}),
    Call("sessions.catalog.list", {"agentId": "main", "limitPerHost": 40, "allowPartialResults": True}),
    Call("sessions.describe", {"key": MAIN, "agentId": "main"}),
    Call("chat.history", {**OF_MAIN, "limit": 80}),
    Call("chat.metadata", OF_MAIN),
    Call("sessions.list", {"archived": "all", "includePeople": True, "sortBy": "activity", "excludeSubagents": True}),
    Call("worktrees.list"),
    Call("artifacts.list", OF_MAIN),
)

UI_PAGES: Final = (
    Call("channels.status", {"probe": False, "timeoutMs": 8000}),
    Call("channels.pairing.list"),
    Call("config.schema"),
    Call("plugins.list"),
    Call("plugins.catalog.browse", {"intent": "all", "pageSize": 100}),
    Call("cron.runs", {"limit": 50}),
    Call("cron.list", {"includeDisabled": True}),
    Call("models.list", {"view": "configured"}),
    Call("skills.library.list"),
    Call("skills.status"),
    Call("skills.search"),
    Call("environments.list", {"includeDesktopSetup": True}),
    Call("node.list"),
    Call("device.pair.list"),
    Call("exec.approvals.get"),
    Call("system-presence"),
    Call("themes.list"),
    Call("logs.tail", {"limit": 500}),
    Call("diagnostics.lanes"),
    Call("status"),
    Call("health"),
    Call("last-heartbeat"),
    Call("tools.catalog", {"includePlugins": True}),
    Call("tools.effective", {**OF_MAIN, "agentId": "main"}),
    Call("memory.search", {"query": "tea", "agentId": "main"}),
    Call("sessions.search", {"query": "hello", "limit": 25, "scope": {"archived": "all", "sortBy": "activity"}}),
    Call("hooks.status"),
    Call("plugins.uiDescriptors"),
    Call("audit.list", {"limit": 50}),
)

OLD_UI_ANY: Final = (
    Call("agent.identity.get", {"sessionKey": "main"}),
    Call("agents.list"),
    Call("node.list"),
    Call("device.pair.list"),
)

OLD_UI_PAGES: Final = (
    Call("chat.history", {"sessionKey": "main", "limit": 200}),
    Call("sessions.list", {"includeGlobal": True, "includeUnknown": False, "activeMinutes": 120, "limit": 120}),
    Call("channels.status", {"probe": True}),
    Call("system-presence"),
    Call("cron.status"),
    Call("cron.list", {"includeDisabled": True}),
    Call("status"),
    Call("health"),
    Call("models.list"),
    Call("last-heartbeat"),
    Call("config.schema"),
    Call("config.get"),
    Call("skills.status"),
    Call("exec.approvals.get"),
    Call("logs.tail", {"limit": 500, "maxBytes": 250_000}),
)

VISITS: Final = (
    Visit("terminal interface", 4, TUI),
    Visit("commands", 4, CLI),
    Visit("browser interface, opening", 4, UI_LOAD),
    Visit("browser interface, pages", 4, UI_PAGES),
    Visit("old browser interface", 3, OLD_UI_ANY + OLD_UI_PAGES),
    Visit("old terminal interface", 3, (OLD_UI_ANY[1], *OLD_UI_PAGES[:2])),
)
