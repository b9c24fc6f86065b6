"""The protocol package's own JSON Schema, and which of its definitions says what a method answers or an event carries.

The schema names its definitions after the methods (`sessions.resolve` → `SessionsResolveResult`) but nowhere says so:
the rule, its exceptions (NAMED, PARTS) and the methods whose answers it leaves open (UNDEFINED) are written down here.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from tests.npm.toolchain import SCHEMA

NAMED: Final = {
    "agent.identity.get": "AgentIdentityResult",
    "config.schema": "ConfigSchemaResponse",
    "cron.get": "CronJob",
    "cron.update": "CronJob",
    "exec.approvals.get": "ExecApprovalsSnapshot",
    "exec.approvals.node.get": "ExecApprovalsNodeSnapshot",
    "exec.approvals.node.set": "ExecApprovalsNodeSnapshot",
    "exec.approvals.set": "ExecApprovalsSnapshot",
    "session.members.add": "SessionMemberMutationResult",
    "session.members.remove": "SessionMemberMutationResult",
    "sessions.github.options": "SessionGitHubOptionsResult",
    "sessions.github.status": "SessionGitHubStatusResult",
    "sessions.groups.delete": "SessionsGroupsMutationResult",
    "sessions.groups.put": "SessionsGroupsMutationResult",
    "sessions.groups.rename": "SessionsGroupsMutationResult",
    "sessions.viewers.set": "SessionsViewerPresenceSetResult",
    "tasks.dismiss": "TasksRecoveryResult",
    "tasks.retry": "TasksRecoveryResult",
}

PARTS: Final = {
    "cron.list": ("jobs", "CronJob"),
    "cron.runs": ("entries", "CronRunLogEntry"),
}
"""Answers that are open themselves but list things that are defined."""

_OPEN: Final = """
    policy.narrow policy.widen policy.widenings channels.pairing.remove channels.pairing.senders
    agent agent.wait assistant.media.get attach.grant attach.revoke audit.query audit.verify board.action
    board.data.read board.event board.get board.prompt.authorize board.update board.widget.grant browser.request
    canvas.document.preview canvas.document.view channels.logout channels.start channels.stop chat.abort chat.history
    chat.inject
    chat.metadata chat.send chat.startup claws.monitors claws.packages.remove computer.invoke computer.status
    config.apply config.get config.openFile config.patch config.set connect controlUi.githubDetail
    controlUi.githubPreview controlUi.linkPreview controlUi.sessionPreview controlUi.sessionPullRequests.checks
    controlUi.sessionPullRequests.subscribe conversations.list conversations.send conversations.turn
    conversations.turn.cancel cron.list cron.remove cron.run cron.runs cron.status desktop.launch desktop.release
    device.pair.approve device.pair.list device.pair.reject device.pair.remove device.pair.rename
    device.pair.setupList device.pair.setupRevoke device.scopes.requestUpgrade device.scopes.waitUpgrade
    device.token.revoke diagnostics.cpuProfile diagnostics.heapProfile diagnostics.lanes diagnostics.stability
    doctor.memory.backfillDreamDiary doctor.memory.dedupeDreamDiary doctor.memory.dreamDiary
    doctor.memory.repairDreamingArtifacts doctor.memory.resetDreamDiary doctor.memory.resetGroundedShortTerm
    doctor.memory.status environments.prepare environments.session.create environments.session.destroy
    environments.session.exec environments.session.status exec.approval.get exec.approval.list exec.approval.request
    exec.approval.resolve exec.approval.waitDecision gateway.identity.get gateway.restart.preflight
    gateway.restart.request gateway.suspend.handoff github.detail github.image github.preview health hooks.status
    last-heartbeat mcp.app.callTool mcp.app.listResourceTemplates mcp.app.listResources mcp.app.listTools
    mcp.app.readResource mcp.app.updateModelContext mcp.app.view memory.search memory.sessionBackfill.apply
    memory.sessionBackfill.preview memory.sessionBackfill.rollback mentions.dismiss mentions.list message.action
    models.authLogin models.authLogout models.authOrderSet models.authRefresh models.authSetApiKey models.authStatus
    nativeHook.invoke node.describe node.invoke node.invoke.progress node.invoke.result node.list node.pair.approve
    node.pair.list node.pair.reject node.pair.remove node.pair.request node.pair.verify node.pending.ack
    node.pending.pull node.pluginSurface.refresh node.pluginTools.update node.rename node.runnerInventory.update
    node.skills.update openclaw.approval.list openclaw.changes.list openclaw.chat openclaw.chat.history
    openclaw.setup.activate openclaw.setup.activate.start openclaw.setup.auth.start openclaw.setup.detect
    openclaw.setup.prepare.start openclaw.setup.verify plugin.approval.list plugin.approval.request
    plugin.approval.resolve plugin.approval.waitDecision plugin.surface.refresh plugins.catalog.browse
    plugins.catalog.categories plugins.catalog.get plugins.controlUi.list plugins.controlUi.reload
    plugins.controlUi.report plugins.controlUi.status plugins.credentials.inspect plugins.reload plugins.skills.read
    poll progressCard.refresh push.web.preferences.get push.web.preferences.set push.web.subscribe push.web.test
    push.web.unsubscribe push.web.vapidPublicKey secrets.reload secrets.status secrets.store.delete
    secrets.store.set send session.publicShare.set sessions.abort sessions.activitySummary.ensure sessions.cleanup
    sessions.compact sessions.export
    sessions.describe sessions.get sessions.github.confirm sessions.github.publish sessions.goal.clear
    sessions.goal.update sessions.list sessions.messages.subscribe sessions.messages.unsubscribe sessions.patch
    sessions.preview sessions.providerReview.continue sessions.reset sessions.send sessions.setInvolvement
    sessions.steer sessions.storage.run sessions.storage.status sessions.subscribe sessions.unsubscribe sessions.usage
    sessions.usage.logs sessions.usage.timeseries set-heartbeats skills.curator.pin skills.curator.restore
    skills.audit skills.curator.unpin skills.install skills.library.activate skills.library.import
    skills.library.list skills.lock
    skills.library.mutate skills.library.read skills.library.save skills.library.upload skills.proposals.apply
    skills.proposals.create skills.proposals.evaluate skills.proposals.events.list skills.proposals.historyScan
    skills.proposals.historyStatus skills.proposals.inspect skills.proposals.quarantine skills.proposals.reject
    skills.proposals.requestRevision skills.proposals.revise skills.proposals.update skills.remove
    skills.status skills.update
    skills.upload.begin skills.upload.chunk skills.upload.commit skills.workshop.read status system-event
    system-presence talk.client.close talk.client.steer talk.client.transcript talk.mode talk.session.acknowledgeMark
    talk.session.appendAudio talk.session.close talk.session.steer talk.session.submitToolResult talk.voice.complete
    talk.voice.get talk.voice.set tasks.history terminal.close terminal.input terminal.resize themes.get themes.import
    themes.list themes.set tools.github.configure transcripts.export transcripts.get transcripts.list
    transcripts.status transcripts.summarize tts.convert tts.disable tts.enable tts.personas tts.providers
    tts.setPersona tts.setProvider tts.status update.report update.run update.runs.get update.runs.list usage.cost
    usage.status usage.totals users.authConnect.answer users.authConnect.cancel users.authConnect.catalog
    users.authConnect.start users.authConnect.status users.linkAuthProfile users.linkChannelIdentity users.linkEmail
    users.list users.listAuthLinks users.listChannelIdentities users.listModelAccounts users.mentionable
    users.prefs.get users.prefs.set users.selectModelAccount users.self users.setAvatar users.setDisplayName
    users.setRole users.unlinkAuthProfile users.unlinkChannelIdentity voicewake.get voicewake.routing.get
    voicewake.set wake web.login.start web.login.wait webSearch.status webSearch.test wizard.cancel worktrees.create
    worktrees.restore
"""
UNDEFINED: Final = frozenset(_OPEN.split())
"""Methods whose answers the schema leaves open: those of the protocol, some of protocol 3's alone, some of our own."""

EVENTS: Final = {
    "agent": "AgentEvent",
    "chat": "ChatEvent",
    "device.pair.requested": "DevicePairRequestedEvent",
    "device.pair.resolved": "DevicePairResolvedEvent",
    "node.invoke.request": "NodeInvokeRequestEvent",
    "session.operation": "SessionOperationEvent",
    "shutdown": "ShutdownEvent",
    "tick": "TickEvent",
}

BEYOND: Final = {
    "agent": frozenset(("sessionKey", "agentId", "sessionId", "lane", "session")),
    "cron.list": frozenset(("effectiveAgentId",)),
}
"""What gateways of the field send with an event or a part although its definition is closed; their clients read it."""


_WELL_FORMED: Final = rb"(?:[^\\uD800-\\uDFFF]|[\\uD800-\\uDBFF][\\uDC00-\\uDFFF])+$"
"""The end of some patterns: text without halves of surrogate pairs, which only JavaScript has. Rust cannot read it."""


@cache
def document() -> dict[str, Any]:
    """Return the schema as shipped."""
    found: dict[str, Any] = msgspec.json.decode(SCHEMA.read_bytes().replace(_WELL_FORMED, b"(?s:.)+$"))
    return found


@cache
def _registry() -> jsonschema_rs.Registry:
    whole = document()
    parts = {"$schema": whole["$schema"], "$id": whole["$id"], "definitions": whole["definitions"]}
    return jsonschema_rs.Registry([(whole["$id"], parts)], draft=jsonschema_rs.Draft7)


@cache
def _validator(name: str) -> jsonschema_rs.Draft7Validator:
    reference = {"$ref": f"{document()['$id']}#/definitions/{name}"}
    return jsonschema_rs.Draft7Validator(reference, registry=_registry())


@cache
def _spelled() -> dict[str, str]:
    return {name.lower(): name for name in document()["definitions"]}


def faults(definition: str, value: Any) -> list[str]:
    """Return what a definition says against a value, `[]` when nothing."""
    return [
        f"{definition} at /{'/'.join(map(str, e.instance_path))}: {e.message}"
        for e in _validator(definition).iter_errors(value)
    ]


def definition_of(method: str, kind: str = "Result") -> str | None:
    """Return the definition of a method's result or params; None when the schema has none."""
    if kind == "Result" and method in NAMED:
        return NAMED[method]
    return _spelled().get("".join(re.split(r"[.\-]", method)).lower() + kind.lower())


def result_faults(method: str, payload: Any) -> list[str]:
    """Return what the schema says against an answer of protocol 4."""
    if method in PARTS:
        name, definition = PARTS[method]
        beyond = BEYOND.get(method, frozenset())
        known = ({key: value for key, value in part.items() if key not in beyond} for part in payload[name])
        return [fault for part in known for fault in faults(definition, part)]
    definition_name = definition_of(method)
    return faults(definition_name, payload) if definition_name else []


def frame_faults(frame: dict[str, Any]) -> list[str]:
    """Return what the schema says against a frame of protocol 4 that a gateway sent."""
    if frame["type"] == "res":
        return faults("ResponseFrame", frame) + (faults("ErrorShape", frame["error"]) if "error" in frame else [])
    name, payload = frame["event"], frame.get("payload") or {}
    if name in EVENTS:
        known = {key: value for key, value in payload.items() if key not in BEYOND.get(name, ())}
        return faults("EventFrame", frame) + faults(EVENTS[name], known)
    return faults("EventFrame", frame)


def hello_faults(payload: dict[str, Any]) -> list[str]:
    """Return what the schema says against a greeting, but for how the client was known (recorded in the field)."""
    auth = {key: value for key, value in payload["auth"].items() if key != "method"}
    return faults("HelloOk", {**payload, "auth": auth})


def properties(definition: str) -> set[str]:
    """Return every property that a definition's alternatives name."""
    whole = document()["definitions"]

    def named(part: dict[str, Any]) -> set[str]:
        if "$ref" in part:
            return named(whole[part["$ref"].rsplit("/", 1)[-1]])
        found = set(part.get("properties", ()))
        for key in ("anyOf", "oneOf", "allOf"):
            found.update(*(named(inner) for inner in part.get(key, ())))
        return found

    return named(whole[definition])
