"""Conversations with a gateway of protocol 4, re-told: what its clients ask and count on."""

from __future__ import annotations

from typing import Final

from tests.conformance import calls3
from tests.conformance.calls import Call, Either, Error, Event, Exactly, Has, Maybe, Text
from tests.conformance.calls3 import APPROVALS, ASSISTANT, CHANNELS, FILE, JOB, MAIN, NEW_JOB, ROW, SLOW, TEXT, TOTALS

HEALTH: Final = {
    **calls3.HEALTH,
    "plugins": {"loaded": [str], "errors": list, "unavailable": list},
    "configReload": {"hotReloadStatus": str},
}
SESSIONS: Final = {
    "ts": int,
    "path": str,
    "count": int,
    "totalCount": int,
    "limitApplied": int,
    "nextOffset": Either((None, int)),
    "hasMore": bool,
    "defaults": {"modelProvider": str, "model": str, "contextTokens": Either((None, int))},
    "sessions": [ROW],
}
MODEL: Final = {
    "id": str,
    "name": str,
    "provider": str,
    "contextWindow": int,
    "reasoning": bool,
    "available": Maybe(bool),
    "tags": Maybe([str]),
}
MESSAGE: Final = Event("session.message", {"sessionKey": MAIN, "agentId": "main", "message": {"role": str}})


def changed(reason: str, key: str = MAIN) -> Event:
    """What lists of sessions are refreshed by."""
    return Event("sessions.changed", {"sessionKey": key, "agentId": "main", "reason": reason, "ts": int})


CALLS: Final[tuple[Call, ...]] = (
    Call("health", answer=HEALTH),
    Call("health", {"probe": True}, HEALTH, note="probed"),
    Call(
        "status",
        answer={
            "runtimeVersion": str,
            "heartbeat": {"defaultAgentId": "main", "agents": list},
            "channelSummary": list,
            "queuedSystemEvents": list,
            "tasks": dict,
            "sessions": {"count": int, "recent": list, "byAgent": list},
        },
    ),
    Call(
        "system-presence", answer=Has({"mode": "gateway", "reason": "self", "text": str, "ts": int, "instanceId": str})
    ),
    Call("last-heartbeat", answer=Either((None, {"ts": int, "status": str}))),
    Call(
        "gateway.identity.get",
        answer={"deviceId": Text("^[0-9a-f]{64}$"), "publicKey": Text("^[A-Za-z0-9_-]{43}$")},
    ),
    Call(
        "agents.list",
        answer={
            "defaultId": "main",
            "mainKey": "main",
            "scope": "per-sender",
            "ownership": str,
            "selectionRequired": bool,
            "agents": Has({"id": "main", "workspace": str, "model": {"primary": "fake/fake-n20"}}),
        },
    ),
    Call("agent.identity.get", answer={"agentId": "main", "name": str, "avatar": str}),
    Call("models.list", answer={"models": [MODEL]}),
    Call("models.list", {"view": "all"}, {"models": [MODEL]}, note="all"),
    Call("models.authStatus", answer={"ts": int, "providers": list}),
    Call("channels.status", answer={**CHANNELS, "eventLoop": Maybe(dict)}),
    Call("channels.status", {"probe": True, "timeoutMs": 2000}, CHANNELS, note="probed"),
    Call("sessions.list", answer=SESSIONS),
    Call("sessions.subscribe", answer={"subscribed": True}),
    Call(
        "chat.send",
        {"sessionKey": MAIN, "message": "hello", "idempotencyKey": "quick"},
        Exactly({"runId": "quick", "status": "started"}),
        events=(
            Event("session.message", {"sessionKey": MAIN, "agentId": "main", "message": {"role": "user"}}),
            Event("chat", {"runId": "quick", "agentId": "main", "state": "status", "phase": "starting_model"}),
            Event("agent", {"stream": "run_status", "data": {"phase": "starting_model"}, "isHeartbeat": False}),
            Event("agent", {"stream": "lifecycle", "data": {"phase": "start", "startedAt": int}, "agentId": "main"}),
            Event("agent", {"stream": "lifecycle", "data": {"phase": "model", "provider": "fake", "model": str}}),
            Event("agent", {"stream": "assistant", "data": {"text": str, "delta": str, "itemId": str}}),
            Event("chat", {"runId": "quick", "state": "delta", "deltaText": str, "message": ASSISTANT}),
            Event("agent", {"stream": "usage", "data": {"outputTokens": int}}),
            Event("chat", {"runId": "quick", "state": "final", "stopReason": "stop", "message": ASSISTANT}),
            Event("session.message", {"sessionKey": MAIN, "message": {"role": "assistant"}}),
        ),
    ),
    Call(
        "chat.send",
        {"sessionKey": MAIN, "message": "once more", "idempotencyKey": "changes"},
        {"runId": "changes", "status": "started"},
        events=(
            changed("send"),
            Event(
                "sessions.changed", {"sessionKey": MAIN, "phase": "end", "runId": "changes", "session": {"key": MAIN}}
            ),
            changed("agent.input.settled"),
        ),
        note="changes of the session",
    ),
    Call(
        "chat.history",
        {"sessionKey": MAIN, "limit": 50},
        {
            "sessionKey": MAIN,
            "sessionId": str,
            "messages": Has(
                {
                    "role": "assistant",
                    "content": TEXT,
                    "timestamp": int,
                    "provider": "fake",
                    "model": str,
                    "usage": {"input": int, "output": int, "totalTokens": int},
                    "stopReason": "stop",
                }
            ),
        },
    ),
    Call(
        "chat.send",
        {"sessionKey": MAIN, "message": "/model fake/fake-n100-d20", "idempotencyKey": "slash"},
        {"runId": "slash", "status": "started"},
        events=(Event("chat", {"runId": "slash", "state": "final", "message": ASSISTANT}),),
        note="slash command",
    ),
    Call(
        "chat.send",
        SLOW,
        {"runId": "idem-slow", "status": "started"},
        events=(Event("chat", {"runId": "idem-slow", "state": "delta", "deltaText": str, "message": ASSISTANT}),),
        note="slow",
    ),
    Call("chat.send", SLOW, Exactly({"runId": "idem-slow", "status": "in_flight"}), note="again while it runs"),
    Call(
        "chat.abort",
        {"sessionKey": MAIN, "runId": "idem-slow"},
        Exactly({"ok": True, "aborted": True, "runIds": ["idem-slow"]}),
        events=(
            Event("chat", {"runId": "idem-slow", "state": "aborted", "stopReason": "rpc", "message": ASSISTANT}),
            Event("agent", {"stream": "lifecycle", "data": {"phase": "end", "aborted": True, "stopReason": "rpc"}}),
        ),
    ),
    Call(
        "chat.send",
        SLOW,
        {"runId": "idem-slow", "status": "timeout", "summary": "aborted", "stopReason": "rpc", "endedAt": int},
        note="again after the abort",
    ),
    Call("chat.abort", {"sessionKey": MAIN}, Exactly({"ok": True, "aborted": False, "runIds": []}), note="of nothing"),
    Call(
        "chat.inject",
        {"sessionKey": MAIN, "message": "injected note"},
        Exactly({"ok": True, "messageId": str}),
        events=(
            Event(
                "chat", {"runId": Text("^inject-"), "agentId": "main", "seq": 0, "state": "final", "message": ASSISTANT}
            ),
            MESSAGE,
        ),
    ),
    Call(
        "chat.history",
        {"sessionKey": MAIN},
        {"messages": Has({"content": [{"type": "text", "text": "injected note"}]})},
        note="injected",
    ),
    Call(
        "chat.history",
        {"sessionKey": "agent:main:doesnotexist"},
        {"sessionKey": "agent:main:doesnotexist", "messages": []},
        note="of no session",
    ),
    Call(
        "chat.history",
        {"sessionKey": MAIN, "limit": 1},
        {"messages": list, "hasMore": True, "defaults": dict, "sessionInfo": dict},
        note="in parts",
    ),
    Call(
        "agent",
        {"message": "hi agent", "agentId": "main", "sessionKey": "agent:main:rpc1", "idempotencyKey": "agent-1"},
        {
            "runId": "agent-1",
            "sessionKey": "agent:main:rpc1",
            "agentId": "main",
            "status": "accepted",
            "acceptedAt": int,
        },
        then={
            "runId": "agent-1",
            "status": "ok",
            "summary": "completed",
            "result": {
                "payloads": [{"text": str, "mediaUrl": None}],
                "meta": {
                    "durationMs": float,
                    "agentMeta": {"sessionId": str, "provider": "fake", "usage": {"input": int, "output": int}},
                },
            },
        },
        events=(Event("chat", {"runId": "agent-1", "sessionKey": "agent:main:rpc1", "state": "final"}),),
    ),
    Call(
        "agent",
        {"message": "hi agent", "sessionKey": "agent:main:rpc2", "idempotencyKey": "agent-2"},
        {"runId": "agent-2", "status": "accepted"},
        note="first answer",
    ),
    Call(
        "agent.wait",
        {"runId": "agent-2", "timeoutMs": 15_000},
        {"status": "ok", "startedAt": int, "endedAt": int, "stopReason": "stop"},
    ),
    Call("agent.wait", {"runId": "nobody", "timeoutMs": 50}, {"runId": "nobody", "status": "timeout"}, note="unknown"),
    Call(
        "agent",
        {"message": "x"},
        Error("^invalid agent params: must have required property 'idempotencyKey'$"),
        note="without a key",
    ),
    Call(
        "agent",
        {"message": "x", "agentId": "nope", "idempotencyKey": "z1"},
        Error('^invalid agent params: unknown agent id "nope"$'),
        note="unknown agent",
    ),
    Call("chat.send", {}, Error("", details={"code": "SESSION_MUTATION_TARGET_REQUIRED"}), note="without a session"),
    Call(
        "sessions.list",
        {"limit": 1, "includeDerivedTitles": True, "includeLastMessage": True},
        {**SESSIONS, "count": 1, "limitApplied": 1, "nextOffset": 1, "hasMore": True},
        note="one of many",
    ),
    Call(
        "sessions.list", {"activeMinutes": 60, "includeGlobal": True, "includeUnknown": False}, SESSIONS, note="active"
    ),
    Call(
        "sessions.preview",
        {"keys": [MAIN], "limit": 3, "maxChars": 80},
        {"ts": int, "previews": [{"key": MAIN, "status": "ok", "items": [{"role": str, "text": str}]}]},
    ),
    Call("sessions.resolve", {"key": MAIN}, {"ok": True, "key": MAIN, "agentId": "main"}),
    Call("sessions.describe", {"key": MAIN}, {"session": {"key": MAIN, "kind": str}}),
    Call("sessions.get", {"key": MAIN}, {"messages": [{"role": str, "timestamp": int}]}),
    Call(
        "sessions.patch",
        {"key": MAIN, "label": "my label"},
        {"ok": True, "path": str, "key": MAIN, "entry": {"sessionId": str, "updatedAt": int, "label": "my label"}},
        events=(changed("patch"),),
    ),
    Call(
        "sessions.patch", {"key": MAIN, "model": "fake/fake"}, {"ok": True, "entry": {"sessionId": str}}, note="model"
    ),
    Call(
        "sessions.create",
        {"label": "created one"},
        {
            "ok": True,
            "key": Text("^agent:main:"),
            "sessionId": str,
            "entry": {"sessionId": str, "label": "created one"},
        },
        events=(Event("sessions.changed", {"reason": "create"}),),
    ),
    Call("sessions.messages.subscribe", {"key": MAIN}, {"subscribed": True, "key": MAIN}),
    Call(
        "sessions.compact",
        {"key": MAIN},
        {"ok": bool, "key": MAIN, "compacted": bool},
        events=(
            Event("session.operation", {"operation": "compact", "phase": "start", "operationId": str}),
            Event("session.operation", {"operation": "compact", "phase": "end", "completed": bool, "sessionKey": MAIN}),
        ),
    ),
    Call(
        "sessions.usage",
        answer={
            "updatedAt": int,
            "startDate": Text(r"^\d{4}-"),
            "endDate": Text(r"^\d{4}-"),
            "sessions": [{"key": str}],
        },
    ),
    Call(
        "sessions.reset",
        {"key": "agent:main:rpc2"},
        {"ok": True, "key": "agent:main:rpc2", "entry": {"sessionId": str}},
        events=(changed("reset", "agent:main:rpc2"),),
    ),
    Call(
        "sessions.delete",
        {"key": "agent:main:rpc2"},
        {"ok": True, "key": "agent:main:rpc2", "deleted": True, "archived": list},
        events=(changed("delete", "agent:main:rpc2"),),
    ),
    Call(
        "sessions.delete", {"key": MAIN}, Error(r"^Cannot delete the main session \(agent:main:main\)\.$"), note="main"
    ),
    Call(
        "config.get",
        answer={
            "path": str,
            "exists": True,
            "raw": str,
            "parsed": dict,
            "valid": True,
            "config": dict,
            "sourceConfig": dict,
            "runtimeConfig": dict,
            "hash": str,
            "issues": list,
            "warnings": list,
            "legacyIssues": list,
        },
        keep={"hash": "hash", "raw": "raw"},
    ),
    Call(
        "config.get",
        answer={"hash": Text("^hmac-sha256:v1:")},
        note="keyed hash",
    ),
    Call(
        "config.schema.lookup",
        {"path": "gateway.auth"},
        {
            "path": "gateway.auth",
            "schema": {"type": "object"},
            "reloadKind": Text("^(hot|restart|none)$"),
            "hint": {"label": str, "help": str},
            "children": list,
        },
    ),
    Call(
        "config.schema",
        answer={"schema": {"type": "object", "properties": dict}, "uiHints": dict, "version": str, "generatedAt": str},
    ),
    Call(
        "config.patch",
        {"raw": '{"ui":{"assistant":{"name":"Zed"}}}'},
        Error("^config base hash required for .*; re-run config.get and retry with baseHash$"),
        note="without a hash",
    ),
    Call(
        "config.patch",
        {"raw": '{"ui":{"assistant":{"name":"Zed"}}}', "baseHash": "bad"},
        Error("^config changed since last load; re-run config.get and retry$"),
        note="with a stale hash",
    ),
    Call(
        "config.patch",
        {"raw": '{"bogusKey":1}', "baseHash": "$hash"},
        Error(
            "^invalid config: <root>: Unrecognized key",
            details={"issues": [{"path": str, "message": Text("bogusKey")}]},
        ),
        note="unknown key",
    ),
    Call("config.patch", {"raw": "{not json", "baseHash": "$hash"}, Error("JSON5"), note="no JSON"),
    Call(
        "config.set",
        {"raw": "$raw", "baseHash": "$hash"},
        {"ok": True, "path": str, "hash": str, "config": dict},
        note="the same",
    ),
    Call(
        "logs.tail",
        {"limit": 5},
        {"file": str, "cursor": int, "size": int, "lines": [str], "truncated": bool, "reset": bool},
    ),
    Call(
        "logs.tail", {"cursor": 0, "limit": 2, "maxBytes": 2000}, {"lines": [str], "cursor": int}, note="from a place"
    ),
    Call(
        "cron.status",
        answer={"enabled": bool, "storePath": str, "jobs": int, "nextWakeAtMs": Either((None, int))},
    ),
    Call("cron.list", answer={"jobs": list}),
    Call(
        "cron.add",
        NEW_JOB,
        {**JOB, "enabled": True, "state": {"nextRunAtMs": int}},
        events=(Event("cron", {"jobId": str, "action": "added", "job": JOB}),),
        keep={"job": "id"},
    ),
    Call(
        "cron.add",
        {"name": "bad"},
        Error("^invalid cron.add params: must have required property 'schedule'"),
        note="bad",
    ),
    Call("cron.list", {"includeDisabled": True}, {"jobs": Has(JOB)}, note="all"),
    Call("cron.get", {"id": "$job"}, JOB),
    Call(
        "cron.update",
        {"id": "$job", "patch": {"enabled": False}},
        {**JOB, "enabled": False},
        events=(Event("cron", {"action": "updated", "job": {"enabled": False}}),),
    ),
    Call(
        "cron.run",
        {"id": "$job", "mode": "force"},
        {"ok": True, "enqueued": True, "runId": str},
        events=(Event("cron", {"action": "started"}), Event("cron", {"action": "finished"})),
    ),
    Call(
        "cron.runs",
        {"id": "$job", "limit": 5},
        {
            "entries": Has(
                {"ts": int, "jobId": str, "action": "finished", "status": str, "runAtMs": int, "durationMs": float}
            )
        },
    ),
    Call(
        "cron.remove",
        {"id": "$job"},
        {"ok": True, "removed": True},
        events=(Event("cron", {"action": "removed"}),),
    ),
    Call(
        "cron.remove",
        {"id": "nope"},
        Error("nope", details={"code": "CRON_JOB_NOT_FOUND", "jobId": "nope"}),
        note="unknown",
    ),
    Call("wake", {"mode": "now", "text": "wake up"}, Exactly({"ok": True})),
    Call("set-heartbeats", {"enabled": False}, {"ok": True}),
    Call("device.pair.list", answer={"pending": [], "paired": list}),
    Call("device.pair.approve", {"requestId": "nope"}, Error("^unknown requestId$")),
    Call("device.pair.reject", {"requestId": "nope"}, Error("^unknown requestId$")),
    Call("device.token.rotate", {"deviceId": "x", "role": "operator"}, Error("denied")),
    Call("device.token.revoke", {"deviceId": "x", "role": "operator"}, Error("denied")),
    Call("node.list", answer={"ts": int, "nodes": []}),
    Call("node.pair.list", answer={"pending": [], "paired": []}),
    Call("node.describe", {"nodeId": "x"}, Error("^unknown nodeId$")),
    Call(
        "node.invoke",
        {"nodeId": "x", "command": "system.which", "params": {}, "idempotencyKey": "i"},
        Error("node", "UNAVAILABLE", {"code": Text("^(NOT_CONNECTED|PAIRING_CHANGED)$")}),
    ),
    Call("node.pair.approve", {"requestId": "x"}, Error("^unknown requestId$")),
    Call("exec.approvals.get", answer=APPROVALS, keep={"approvals": "hash"}),
    Call(
        "exec.approvals.set",
        {
            "file": {"version": 1, "defaults": {"security": "allowlist", "ask": "on-miss"}, "agents": {}},
            "baseHash": "$approvals",
        },
        {**APPROVALS, "file": {"version": 1, "defaults": {"security": "allowlist", "ask": "on-miss"}}},
    ),
    Call("exec.approvals.get", answer={**APPROVALS, "exists": True}, note="after the change"),
    Call(
        "exec.approval.request",
        {
            "id": "appr1",
            "command": "ls -la",
            "cwd": "/tmp",
            "host": "gateway",
            "security": "allowlist",
            "ask": "on-miss",
            "agentId": "main",
            "sessionKey": MAIN,
            "timeoutMs": 3000,
            "twoPhase": True,
        },
        {"id": "appr1", "decision": None, "createdAtMs": int, "expiresAtMs": int},
        note="with nobody to decide",
    ),
    Call("exec.approval.list", answer=[]),
    Call(
        "exec.approval.resolve",
        {"id": "appr1", "decision": "allow-once"},
        Error("^approval already resolved$", details={"reason": "APPROVAL_ALREADY_RESOLVED"}),
        note="twice",
    ),
    Call(
        "exec.approval.resolve",
        {"id": "nope", "decision": "deny"},
        Error("^unknown or expired approval id$", details={"reason": "APPROVAL_NOT_FOUND"}),
    ),
    Call(
        "exec.approval.resolve",
        {"id": "nope", "decision": "bogus"},
        Error("^invalid decision$"),
        note="bad",
    ),
    Call(
        "exec.approval.waitDecision",
        {"id": "appr1"},
        {"id": "appr1", "decision": None, "terminalReason": "no-route"},
    ),
    Call(
        "skills.status",
        answer={"workspaceDir": str, "managedSkillsDir": str, "agentId": "main", "skills": list},
    ),
    Call(
        "skills.securityVerdicts",
        answer={"schema": "openclaw.skills.security-verdicts.v1", "items": list},
    ),
    Call("skills.bins", answer=Error("^unauthorized role: operator$")),
    Call("tools.catalog", answer={"agentId": "main", "profiles": [{"id": str, "label": str}], "groups": list}),
    Call("tools.effective", {"sessionKey": MAIN}, {"agentId": "main", "profile": str, "groups": list}),
    Call(
        "tools.invoke",
        {"name": "session_status", "args": {}, "sessionKey": MAIN},
        {"ok": True, "toolName": "session_status", "output": {"content": TEXT}},
    ),
    Call(
        "commands.list",
        answer={
            "commands": Has(
                {
                    "name": "help",
                    "textAliases": ["/help"],
                    "description": str,
                    "source": str,
                    "scope": str,
                    "acceptsArgs": False,
                }
            )
        },
    ),
    Call(
        "agents.files.list",
        {"agentId": "main"},
        {"agentId": "main", "workspace": str, "files": [{"name": str, "path": str, "missing": bool}]},
    ),
    Call(
        "agents.files.set",
        {"agentId": "main", "name": "AGENTS.md", "content": "# hi"},
        {"ok": True, "agentId": "main", "workspace": str, "file": {**FILE, "size": 4}},
    ),
    Call(
        "agents.files.get",
        {"agentId": "main", "name": "AGENTS.md"},
        {"agentId": "main", "file": {**FILE, "content": "# hi"}},
    ),
    Call(
        "agents.files.get",
        {"agentId": "main", "name": "../../etc/passwd"},
        Error('^unsupported file "../../etc/passwd"$'),
        note="outside",
    ),
    Call(
        "agents.create",
        {"name": "Bob", "workspace": "$bob"},
        {"ok": True, "agentId": "bob", "name": "Bob", "workspace": str},
        events=(Event("config.changed", {"path": str, "hash": str, "ts": int}),),
    ),
    Call(
        "agents.list",
        answer={"agents": Has({"id": "bob", "name": "Bob"})},
        note="with Bob",
    ),
    Call("agents.update", {"agentId": "bob", "name": "Bobby"}, {"ok": True, "agentId": "bob"}),
    Call("agents.delete", {"agentId": "bob"}, {"ok": True, "agentId": "bob", "removedBindings": 0}),
    Call("usage.status", answer={"updatedAt": int, "providers": list}),
    Call("usage.cost", answer={"updatedAt": int, "days": 30, "daily": [{"date": str, **TOTALS}], "totals": TOTALS}),
    Call("tts.status", answer={"enabled": False, "provider": str, "providerStates": list}),
    Call("voicewake.get", answer={"triggers": [str]}),
    Call("secrets.reload", answer={"ok": True, "warningCount": int}),
    Call("update.status", answer={"sentinel": None, "updateAvailable": None}),
    Call(
        "send",
        {"to": "1", "message": "x", "channel": "telegram", "idempotencyKey": "s1"},
        Error("(?i)telegram", Text("^(UNAVAILABLE|INVALID_REQUEST)$")),
    ),
    Call(
        "system-event",
        {"text": "evt"},
        Exactly({"ok": True}),
        events=(Event("presence", {"presence": Has({"text": "evt", "ts": int})}),),
    ),
    Call("talk.config", answer={"config": dict}),
    Call("talk.catalog", answer={"modes": list, "transports": list, "speech": {"providers": list}}),
    Call("tasks.list", answer={"tasks": list}),
    Call("users.self", answer=Error("users.self requires an authenticated user", "FORBIDDEN")),
    Call("environments.list", answer={"environments": Has({"id": "gateway", "type": "local"})}),
    Call("plugins.list", answer={"plugins": list}),
    Call("chat.startup", {"sessionKey": MAIN}, {"sessionKey": MAIN, "sessionId": str, "messages": list}),
    Call("chat.metadata", answer={"models": [MODEL]}),
    Call(
        "diagnostics.stability",
        answer={"generatedAt": str, "capacity": int, "count": int, "events": list},
    ),
    Call("memory.search", {"query": "hello"}, {"agentId": "main", "results": []}),
    Call(
        "gateway.restart.preflight",
        answer={"safe": bool, "counts": dict, "blockers": list, "summary": str},
    ),
    Call("hooks.status", answer={"workspaceDir": str, "hooks": list}),
    Call("doctor.memory.status", answer={"agentId": "main", "embedding": {"ok": bool}}),
    Call("config.get", answer={"hash": str}, keep={"hash": "hash"}, note="at the end"),
    Call(
        "config.patch",
        {"raw": '{"ui":null}', "baseHash": "$hash"},
        {"ok": True, "noop": True, "changedPaths": [], "config": dict},
        note="null deletes",
    ),
)
