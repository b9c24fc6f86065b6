"""Who may call what, pinned beside the code, not made from it: a line of judgement for each method and route.

What is not here makes a test fail, and so does what asks for another scope than is said here.
"""

from __future__ import annotations

from typing import Final

_METHODS: Final[dict[str, str]] = {
    "any operator": """
        health
    """,
    "nodes only": """
        node.event node.invoke.progress node.invoke.result node.pending.ack node.pending.drain node.pending.pull
        node.pluginSurface.refresh node.pluginTools.update node.skills.update skills.bins
    """,
    "operator.admin": """
        agents.create agents.delete agents.files.set agents.update audit.query audit.verify channels.logout
        channels.start channels.stop chat.inject config.apply config.patch config.set cron.add cron.remove cron.run
        cron.scratch.get cron.scratch.set cron.update device.pair.setupCode device.pair.setupList
        device.pair.setupRevoke device.pair.setupStatus exec.approvals.get exec.approvals.node.get
        exec.approvals.node.set exec.approvals.set gateway.restart.request gateway.suspend.prepare
        gateway.suspend.resume models.authLogout secrets.reload secrets.resolve secrets.status sessions.delete
        sessions.reset sessions.rewind set-heartbeats skills.install skills.update system-event update.run
        update.status wizard.cancel wizard.next wizard.start wizard.status policy.narrow policy.widen policy.widenings
        skills.lock skills.remove skills.upload.begin skills.upload.chunk skills.upload.commit
    """,
    "operator.approvals": """
        approval.get approval.history approval.resolve exec.approval.get exec.approval.grants.list
        exec.approval.grants.revoke exec.approval.list exec.approval.request exec.approval.resolve
        exec.approval.waitDecision openclaw.approval.list plugin.approval.list plugin.approval.request
        plugin.approval.resolve plugin.approval.waitDecision
    """,
    "operator.pairing": """
        channels.pairing.approve channels.pairing.dismiss channels.pairing.list channels.pairing.remove
        channels.pairing.senders device.pair.approve device.pair.list device.pair.reject device.pair.remove
        device.pair.rename device.token.revoke device.token.rotate node.pair.approve node.pair.list node.pair.reject
        node.pair.remove node.pair.request node.pair.verify node.rename
    """,
    "operator.questions": """
        question.get question.list question.request question.resolve question.waitAnswer
    """,
    "operator.read": """
        agent.identity.get agents.files.get agents.files.list agents.list agents.workspace.get agents.workspace.list
        artifacts.list audit.list board.get channels.status chat.history chat.message.get chat.metadata chat.startup
        commands.list config.get config.schema config.schema.lookup controlUi.sessionPullRequests.subscribe cron.get
        cron.list cron.runs cron.status device.scopes.requestUpgrade device.scopes.waitUpgrade diagnostics.lanes
        diagnostics.stability doctor.memory.status environments.list environments.status gateway.identity.get
        gateway.restart.preflight gateway.suspend.status hooks.status last-heartbeat logs.tail memory.search
        mentions.list models.authStatus models.list node.describe node.list plugin.surface.refresh
        plugins.catalog.browse plugins.controlUi.list plugins.list plugins.uiDescriptors progressCard.get
        projects.list session.discussion.info session.members.list session.members.listEvidence
        session.suggestions.list sessions.branches.list sessions.catalog.list sessions.companion.state
        sessions.describe sessions.export sessions.get sessions.github.options sessions.groups.list sessions.list
        sessions.messages.subscribe sessions.messages.unsubscribe sessions.observer.visibility sessions.preview
        sessions.resolve sessions.search sessions.storage.status sessions.subscribe sessions.unsubscribe
        sessions.usage sessions.usage.logs sessions.usage.timeseries sessions.viewers.set skills.audit skills.detail
        skills.library.list skills.search skills.securityVerdicts skills.status status system-presence system.info
        talk.catalog talk.config taskSuggestions.list tasks.get tasks.list themes.list tools.catalog tools.effective
        tts.personas tts.providers tts.status usage.cost usage.status usage.totals users.list users.prefs.get
        voicewake.get voicewake.routing.get worktrees.list
    """,
    "operator.write": """
        agent agent.wait browser.request chat.abort chat.send chat.toolTitles message.action node.invoke
        node.pending.enqueue send session.typing sessions.abort sessions.compact sessions.create sessions.fork
        sessions.groups.defaults sessions.groups.delete sessions.groups.put sessions.groups.rename
        sessions.groups.update sessions.patch sessions.patchMany sessions.send talk.mode talk.speak tools.invoke
        tts.convert tts.disable tts.enable tts.setPersona tts.setProvider tts.speak users.prefs.set users.self
        voicewake.set wake
    """,
}
METHODS: Final = {name: who for who, names in _METHODS.items() for name in names.split()}
"""Method → the scope that it takes, `any operator`, or `nodes only`."""

ONLY_3: Final = frozenset(["node.pair.request", "node.pair.verify"])
ONLY_4: Final = frozenset(
    [
        "agents.workspace.get",
        "agents.workspace.list",
        "approval.get",
        "approval.history",
        "approval.resolve",
        "artifacts.list",
        "audit.list",
        "board.get",
        "channels.pairing.approve",
        "channels.pairing.dismiss",
        "channels.pairing.list",
        "channels.pairing.remove",
        "channels.pairing.senders",
        "skills.upload.begin",
        "skills.upload.chunk",
        "skills.upload.commit",
        "channels.start",
        "channels.stop",
        "chat.message.get",
        "chat.metadata",
        "chat.startup",
        "chat.toolTitles",
        "commands.list",
        "config.schema.lookup",
        "controlUi.sessionPullRequests.subscribe",
        "cron.get",
        "cron.scratch.get",
        "cron.scratch.set",
        "device.pair.remove",
        "device.pair.rename",
        "device.pair.setupCode",
        "device.pair.setupList",
        "device.pair.setupRevoke",
        "device.pair.setupStatus",
        "device.scopes.requestUpgrade",
        "device.scopes.waitUpgrade",
        "diagnostics.lanes",
        "diagnostics.stability",
        "doctor.memory.status",
        "environments.list",
        "environments.status",
        "exec.approval.get",
        "exec.approval.grants.list",
        "exec.approval.grants.revoke",
        "exec.approval.list",
        "exec.approval.waitDecision",
        "gateway.identity.get",
        "gateway.restart.preflight",
        "gateway.restart.request",
        "gateway.suspend.prepare",
        "gateway.suspend.resume",
        "gateway.suspend.status",
        "hooks.status",
        "memory.search",
        "mentions.list",
        "message.action",
        "models.authLogout",
        "models.authStatus",
        "node.invoke.progress",
        "node.pair.remove",
        "node.pending.ack",
        "node.pending.drain",
        "node.pending.enqueue",
        "node.pending.pull",
        "node.pluginSurface.refresh",
        "node.pluginTools.update",
        "node.skills.update",
        "openclaw.approval.list",
        "plugin.approval.list",
        "plugin.approval.request",
        "plugin.approval.resolve",
        "plugin.approval.waitDecision",
        "plugin.surface.refresh",
        "plugins.catalog.browse",
        "plugins.controlUi.list",
        "plugins.list",
        "plugins.uiDescriptors",
        "progressCard.get",
        "projects.list",
        "question.get",
        "question.list",
        "question.request",
        "question.resolve",
        "question.waitAnswer",
        "secrets.reload",
        "secrets.resolve",
        "secrets.status",
        "session.discussion.info",
        "session.members.list",
        "session.members.listEvidence",
        "session.suggestions.list",
        "session.typing",
        "sessions.abort",
        "sessions.branches.list",
        "sessions.catalog.list",
        "sessions.companion.state",
        "sessions.create",
        "sessions.describe",
        "sessions.export",
        "sessions.fork",
        "sessions.get",
        "sessions.github.options",
        "sessions.groups.defaults",
        "sessions.groups.delete",
        "sessions.groups.list",
        "sessions.groups.put",
        "sessions.groups.rename",
        "sessions.groups.update",
        "sessions.messages.subscribe",
        "sessions.messages.unsubscribe",
        "sessions.observer.visibility",
        "sessions.patchMany",
        "sessions.rewind",
        "sessions.search",
        "sessions.send",
        "sessions.storage.status",
        "sessions.subscribe",
        "sessions.unsubscribe",
        "sessions.viewers.set",
        "skills.detail",
        "skills.library.list",
        "skills.search",
        "skills.securityVerdicts",
        "system.info",
        "talk.catalog",
        "talk.config",
        "talk.speak",
        "taskSuggestions.list",
        "tasks.get",
        "tasks.list",
        "themes.list",
        "tools.catalog",
        "tools.effective",
        "tools.invoke",
        "tts.personas",
        "tts.setPersona",
        "tts.speak",
        "update.status",
        "users.list",
        "users.prefs.get",
        "users.prefs.set",
        "users.self",
        "voicewake.routing.get",
        "worktrees.list",
    ]
)
"""Methods that one protocol alone has."""

_ROUTES: Final[dict[tuple[str, str], str]] = {
    ("anyone", ""): """
        GET /health
        GET /healthz
        GET /setup
        GET /setup/export
        GET /setup/file/{name}
        GET /setup/state
        GET /v1/health
        POST /hooks/agent
        POST /hooks/wake
        POST /hooks/{name}
        POST /hooks/{name}/{more}
        POST /setup/approve
        POST /setup/export
        POST /setup/import
        POST /setup/login
        POST /setup/pair
        POST /setup/provider
    """,
    ("caller", ""): """
        GET /__openclaw/control-ui-config.json
        GET /__openclaw__/control-ui-config.json
        GET /api/auth/check
        GET /api/mirror
        GET /api/mirror/stream
        GET /avatar/{agent}
        GET /control-ui-config.json
        POST /api/mirror
    """,
    ("caller", "operator.read"): """
        GET /v1/agents
        GET /v1/models
        GET /v1/models/openclaw/{agent}
        GET /v1/models/{model}
        GET /v1/responses/{id}
    """,
    ("caller", "operator.write"): """
        DELETE /v1/responses/{id}
        POST /tools/invoke
        POST /v1/agent/{name}
        POST /v1/chat/completions
        POST /v1/embeddings
        POST /v1/responses
        POST /v1/responses/{id}/cancel
    """,
    ("here", ""): """
        GET /ready
        GET /readyz
        GET /startupz
    """,
    ("here", "operator.read"): """
        GET /docs
        GET /metrics
        GET /openapi.json
    """,
}
ROUTES: Final = {line.strip(): who for who, lines in _ROUTES.items() for line in lines.strip().splitlines()}
"""`METHOD path` → whom it is for (anyone; programs here and callers; callers), and the scope that callers need."""
