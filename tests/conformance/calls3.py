"""Conversations with a gateway of protocol 3, re-told: what its clients ask and count on."""

from __future__ import annotations

from typing import Final

from tests.conformance.calls import Call, Either, Error, Event, Exactly, Has, Maybe, Text

MAIN: Final = "agent:main:main"
TEXT: Final = [{"type": "text", "text": str}]
ASSISTANT: Final = {"role": "assistant", "content": TEXT, "timestamp": int}

HEALTH: Final = {
    "ok": True,
    "ts": int,
    "durationMs": float,
    "channels": dict,
    "channelOrder": [str],
    "channelLabels": dict,
    "heartbeatSeconds": int,
    "defaultAgentId": "main",
    "agents": Has({"agentId": "main", "isDefault": True, "heartbeat": dict, "sessions": {"path": str, "count": int}}),
    "sessions": {"path": str, "count": int, "recent": list},
}
CHANNELS: Final = {
    "ts": int,
    "channelOrder": [str],
    "channelLabels": dict,
    "channelDetailLabels": dict,
    "channelSystemImages": dict,
    "channelMeta": list,
    "channels": dict,
    "channelAccounts": dict,
    "channelDefaultAccountId": dict,
}
ROW: Final = {
    "key": Text("^agent:main:"),
    "kind": str,
    "updatedAt": int,
    "sessionId": str,
    "abortedLastRun": Maybe(bool),
    "inputTokens": Maybe(int),
    "outputTokens": Maybe(int),
    "totalTokens": Maybe(int),
    "modelProvider": str,
    "model": str,
    "contextTokens": Maybe(int),
}
SESSIONS: Final = Exactly(
    {
        "ts": int,
        "path": str,
        "count": int,
        "defaults": {"modelProvider": str, "model": str, "contextTokens": Either((None, int))},
        "sessions": [ROW],
    }
)
JOB: Final = {
    "id": str,
    "name": "job1",
    "enabled": bool,
    "createdAtMs": int,
    "updatedAtMs": int,
    "schedule": {"kind": "every", "everyMs": 3_600_000, "anchorMs": int},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "do it"},
    "delivery": {"mode": "announce"},
    "state": dict,
}
NEW_JOB: Final = {
    "name": "job1",
    "schedule": {"kind": "every", "everyMs": 3_600_000},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "do it"},
}
TOTALS: Final = {
    "input": int,
    "output": int,
    "cacheRead": int,
    "cacheWrite": int,
    "totalTokens": int,
    "totalCost": float,
    "missingCostEntries": int,
}
APPROVALS: Final = {"path": str, "exists": bool, "hash": str, "file": {"version": 1, "defaults": dict, "agents": dict}}
FILE: Final = {"name": "AGENTS.md", "path": str, "missing": False, "size": int, "updatedAtMs": int}
SLOW: Final = {"sessionKey": MAIN, "message": "slow please", "idempotencyKey": "idem-slow"}


def unknown(method: str) -> Call:
    """A method that came after protocol 3."""
    return Call(method, answer=Error(f"^unknown method: {method}$"))


CALLS: Final[tuple[Call, ...]] = (
    Call("health", answer=HEALTH),
    Call("health", {"probe": True}, HEALTH, note="probed"),
    Call("status", answer={"heartbeat": dict, "channelSummary": list, "queuedSystemEvents": list, "sessions": dict}),
    Call("system-presence", answer=Has({"mode": "gateway", "reason": "self", "text": str, "ts": int, "host": str})),
    Call("last-heartbeat", answer=Either((None, {"ts": int, "status": str}))),
    unknown("gateway.identity.get"),
    Call(
        "agents.list",
        answer=Exactly({"defaultId": "main", "mainKey": "main", "scope": "per-sender", "agents": [{"id": str}]}),
    ),
    Call("agent.identity.get", answer=Exactly({"agentId": "main", "name": str, "avatar": str})),
    Call(
        "models.list",
        answer={"models": [{"id": str, "name": str, "provider": str, "contextWindow": int, "reasoning": bool}]},
    ),
    Call("models.list", {"view": "all"}, Error("^invalid models.list params: at root: unexpected property 'view'$")),
    unknown("models.authStatus"),
    Call("channels.status", answer=CHANNELS),
    Call("channels.status", {"probe": True, "timeoutMs": 2000}, CHANNELS, note="probed"),
    Call("sessions.list", answer=SESSIONS),
    unknown("sessions.subscribe"),
    Call(
        "chat.send",
        {"sessionKey": MAIN, "message": "hello", "idempotencyKey": "quick"},
        Exactly({"runId": "quick", "status": "started"}),
        events=(
            Event("agent", {"stream": "lifecycle", "data": {"phase": "start", "startedAt": int}, "sessionKey": MAIN}),
            Event("agent", {"stream": "assistant", "data": Exactly({"text": str, "delta": str}), "seq": int}),
            Event(
                "chat",
                Exactly({"runId": "quick", "sessionKey": MAIN, "seq": int, "state": "delta", "message": ASSISTANT}),
            ),
            Event("agent", {"stream": "lifecycle", "data": {"phase": "end", "endedAt": int}, "ts": int}),
            Event("chat", {"runId": "quick", "sessionKey": MAIN, "state": "final", "message": ASSISTANT}),
        ),
    ),
    Call(
        "chat.history",
        {"sessionKey": MAIN, "limit": 50},
        {
            "sessionKey": MAIN,
            "sessionId": str,
            "messages": [{"role": Text("^(user|assistant)$"), "content": TEXT, "timestamp": int}],
            "thinkingLevel": str,
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
        events=(Event("chat", {"runId": "idem-slow", "state": "delta", "message": ASSISTANT}),),
        note="slow",
    ),
    Call("chat.send", SLOW, Exactly({"runId": "idem-slow", "status": "in_flight"}), note="again while it runs"),
    Call(
        "chat.abort",
        {"sessionKey": MAIN, "runId": "idem-slow"},
        Exactly({"ok": True, "aborted": True, "runIds": ["idem-slow"]}),
        events=(Event("chat", {"runId": "idem-slow", "state": "aborted", "message": ASSISTANT}),),
    ),
    Call("chat.send", SLOW, {"runId": "idem-slow", "status": str}, note="again after the abort"),
    Call("chat.abort", {"sessionKey": MAIN}, Exactly({"ok": True, "aborted": False, "runIds": []}), note="of nothing"),
    Call(
        "chat.inject",
        {"sessionKey": MAIN, "message": "injected note"},
        Exactly({"ok": True, "messageId": str}),
        events=(Event("chat", {"runId": Text("^inject-"), "seq": 0, "state": "final", "message": ASSISTANT}),),
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
        Exactly({"sessionKey": "agent:main:doesnotexist", "messages": [], "thinkingLevel": str}),
        note="of no session",
    ),
    Call(
        "agent",
        {"message": "hi agent", "agentId": "main", "sessionKey": "agent:main:rpc1", "idempotencyKey": "agent-1"},
        Exactly({"runId": "agent-1", "status": "accepted", "acceptedAt": int}),
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
    Call("agent.wait", {"runId": "agent-2", "timeoutMs": 15_000}, {"status": "ok", "startedAt": int, "endedAt": int}),
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
    Call(
        "sessions.list",
        {"limit": 10, "includeDerivedTitles": True, "includeLastMessage": True},
        SESSIONS,
        note="titles",
    ),
    Call(
        "sessions.list", {"activeMinutes": 60, "includeGlobal": True, "includeUnknown": False}, SESSIONS, note="active"
    ),
    Call(
        "sessions.preview",
        {"keys": [MAIN], "limit": 3, "maxChars": 80},
        {"ts": int, "previews": [{"key": MAIN, "status": "ok", "items": [{"role": str, "text": str}]}]},
    ),
    Call("sessions.resolve", {"key": MAIN}, Exactly({"ok": True, "key": MAIN})),
    unknown("sessions.describe"),
    unknown("sessions.get"),
    Call(
        "sessions.patch",
        {"key": MAIN, "label": "my label"},
        {"ok": True, "path": str, "key": MAIN, "entry": {"sessionId": str, "updatedAt": int, "label": "my label"}},
    ),
    Call(
        "sessions.patch", {"key": MAIN, "model": "fake/fake"}, {"ok": True, "entry": {"sessionId": str}}, note="model"
    ),
    unknown("sessions.create"),
    unknown("sessions.messages.subscribe"),
    Call("sessions.compact", {"key": MAIN}, {"ok": bool, "key": MAIN, "compacted": bool}),
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
    ),
    Call(
        "sessions.delete",
        {"key": "agent:main:rpc2"},
        Exactly({"ok": True, "key": "agent:main:rpc2", "deleted": True, "archived": list}),
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
            "hash": Text("^[0-9a-f]{64}$"),
            "issues": list,
            "warnings": list,
            "legacyIssues": list,
        },
        keep={"hash": "hash", "raw": "raw"},
    ),
    unknown("config.schema.lookup"),
    Call(
        "config.schema",
        answer={"schema": {"type": "object", "properties": dict}, "uiHints": dict, "version": str, "generatedAt": str},
    ),
    Call(
        "config.patch",
        {"raw": '{"ui":{"assistant":{"name":"Zed"}}}'},
        Error("^config base hash required.*re-run config.get and retry"),
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
        Error("^invalid config", details={"issues": [{"path": str, "message": Text("bogusKey")}]}),
        note="unknown key",
    ),
    Call("config.patch", {"raw": "{not json", "baseHash": "$hash"}, Error("JSON5"), note="no JSON"),
    Call(
        "config.patch",
        {"raw": '{"ui":{"assistant":{"name":"Zed"}}}', "baseHash": "$hash"},
        {"ok": True, "path": str, "config": {"ui": {"assistant": {"name": "Zed"}}}},
    ),
    Call("config.get", answer={"raw": Text("gateway")}, keep={"raw": "raw", "hash": "hash"}, note="after the patch"),
    Call(
        "config.set",
        {"raw": "$raw", "baseHash": "$hash"},
        {"ok": True, "path": str, "config": dict},
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
    Call("cron.list", answer={"jobs": []}),
    Call(
        "cron.add",
        NEW_JOB,
        {**JOB, "enabled": True, "state": {"nextRunAtMs": int}},
        events=(Event("cron", {"jobId": str, "action": "added", "nextRunAtMs": int}),),
        keep={"job": "id"},
    ),
    Call(
        "cron.add",
        {"name": "bad"},
        Error("^invalid cron.add params: must have required property 'schedule'"),
        note="bad",
    ),
    Call("cron.list", {"includeDisabled": True}, {"jobs": Has(JOB)}, note="all"),
    unknown("cron.get"),
    Call(
        "cron.update",
        {"id": "$job", "patch": {"enabled": False}},
        {**JOB, "enabled": False},
        events=(Event("cron", {"action": "updated"}),),
    ),
    Call(
        "cron.run",
        {"id": "$job", "mode": "force"},
        Exactly({"ok": True, "ran": True}),
        events=(Event("cron", {"action": "started", "runAtMs": int}), Event("cron", {"action": "finished"})),
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
        Exactly({"ok": True, "removed": True}),
        events=(Event("cron", {"action": "removed"}),),
    ),
    Call("cron.remove", {"id": "nope"}, Exactly({"ok": True, "removed": False}), note="unknown"),
    Call("wake", {"mode": "now", "text": "wake up"}, Exactly({"ok": True})),
    Call("set-heartbeats", {"enabled": False}, {"ok": True}),
    Call("device.pair.list", answer={"pending": [], "paired": list}),
    Call("device.pair.approve", {"requestId": "nope"}, Error("^unknown requestId$")),
    Call("device.pair.reject", {"requestId": "nope"}, Error("^unknown requestId$")),
    Call("device.token.rotate", {"deviceId": "x", "role": "operator"}, Error("^unknown deviceId/role$")),
    Call("device.token.revoke", {"deviceId": "x", "role": "operator"}, Error("^unknown deviceId/role$")),
    Call("node.list", answer={"ts": int, "nodes": []}),
    Call("node.pair.list", answer={"pending": [], "paired": []}),
    Call("node.describe", {"nodeId": "x"}, Error("^unknown nodeId$")),
    Call(
        "node.invoke",
        {"nodeId": "x", "command": "system.which", "params": {}, "idempotencyKey": "i"},
        Error("^node not connected$", "UNAVAILABLE", {"code": "NOT_CONNECTED"}),
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
        {"command": "ls -la", "twoPhase": True},
        Error("^invalid exec.approval.request params: at root: unexpected property 'twoPhase'"),
        note="in two phases",
    ),
    unknown("exec.approval.list"),
    Call("exec.approval.resolve", {"id": "nope", "decision": "deny"}, Error("^unknown approval id$")),
    Call(
        "exec.approval.resolve",
        {"id": "nope", "decision": "bogus"},
        Error("^invalid decision$"),
        note="bad",
    ),
    unknown("exec.approval.waitDecision"),
    Call("skills.status", answer={"workspaceDir": str, "managedSkillsDir": str, "skills": list}),
    Call("skills.bins", answer=Error("^unauthorized role: operator$")),
    unknown("tools.catalog"),
    unknown("tools.effective"),
    unknown("tools.invoke"),
    unknown("commands.list"),
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
    ),
    Call(
        "agents.list",
        answer={"agents": Has({"id": "bob", "name": "Bob"})},
        note="with Bob",
    ),
    Call("agents.update", {"agentId": "bob", "name": "Bobby"}, Exactly({"ok": True, "agentId": "bob"})),
    Call("agents.delete", {"agentId": "bob"}, {"ok": True, "agentId": "bob", "removedBindings": 0}),
    Call("usage.status", answer={"updatedAt": int, "providers": list}),
    Call("usage.cost", answer={"updatedAt": int, "days": int, "daily": [{"date": str, **TOTALS}], "totals": TOTALS}),
    Call("tts.status", answer={"enabled": False, "provider": str, "fallbackProviders": list}),
    Call("voicewake.get", answer={"triggers": [str]}),
    unknown("secrets.reload"),
    unknown("update.status"),
    Call(
        "send",
        {"to": "1", "message": "x", "channel": "telegram", "idempotencyKey": "s1"},
        Error("^unsupported channel: telegram$"),
    ),
    Call(
        "system-event",
        {"text": "evt"},
        Exactly({"ok": True}),
        events=(Event("presence", {"presence": Has({"text": "evt", "ts": int})}),),
    ),
    *map(
        unknown,
        (
            "talk.config",
            "talk.catalog",
            "tasks.list",
            "users.self",
            "environments.list",
            "plugins.list",
            "chat.startup",
            "chat.metadata",
            "diagnostics.stability",
            "memory.search",
            "gateway.restart.preflight",
            "hooks.status",
            "doctor.memory.status",
        ),
    ),
    Call("config.get", answer={"hash": str}, keep={"hash": "hash"}, note="at the end"),
    Call(
        "config.patch",
        {"raw": '{"ui":null}', "baseHash": "$hash"},
        {"ok": True, "config": dict},
        note="null deletes",
    ),
)
