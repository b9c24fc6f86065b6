"""docs/rpc.md, generated from the table of methods: `python -m openclaw.rpc.docs > docs/rpc.md`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.protocol.validate import Params
from openclaw.protocol.versions import CURRENT
from openclaw.rpc.build import METHODS
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.versions import CAPABILITIES, EVENTS, OLD_PARAMS

_HEAD = """# RPC methods and events

Generated from the table of methods by `python -m openclaw.rpc.docs`; a test fails when this page is stale.

A request is `{type: "req", id, method, params}`, its answer `{type: "res", id, ok, payload | error}`. Errors are
listed in [errors.md](errors.md). Each method needs the scope beside its name: `operator.write` implies reading,
`operator.admin` implies everything. Parameters that are not listed are refused. Where nothing else is said,
protocols 3 and 4 are served alike.

An `idempotencyKey` makes a call safe to repeat: a repeat does not act again, it waits for the first answer or gets it.
It belongs to its owner and method. Of `chat.send` and `agent` the key is the run's id, kept as long as the session; of
slash commands and `tools.invoke` it is kept for a day, of `node.invoke` while the gateway runs. Until then the same key
for something else is refused (`IDEMPOTENCY_KEY_REUSED`), and so is a repeat of what a crash cut off
(`OUTCOME_UNKNOWN`); what failed may be tried again with its key.

Events count per connection in `seq`. A client that reads too slowly is spared text deltas once a megabyte waits for it
(it sees no gap in `seq`) and is closed with 1008 `slow consumer` over `policy.maxBufferedBytes`, or when such clients
hold too much together.
"""

_EVENTS = {
    "connect.challenge": "`{nonce, ts}`: the first frame of every connection.",
    "agent": "`{runId, sessionKey, seq, stream, data, ts}`: a run in detail. Streams: `lifecycle`, `assistant` "
    "(`{text, delta}`), `thinking`, `tool` (phases `start`, `update`, `result`; an update's `partialResult` is what "
    "the call has to show by now, in place of the one before), `compaction` (`{messages, summary}`: older messages "
    "that the model is no longer shown, and what it is shown instead; empty when they were dropped); protocol 4 adds "
    "`run_status` and `usage`.",
    "chat": "`{runId, sessionKey, seq, state, message?}`: a run as chat clients show it. States: `delta`, `final`, "
    "`aborted`, `error`; protocol 4 adds `status` and `deltaText`. Protocol 3 gets deltas at most every 150 ms. A "
    "client that reads too slowly is spared deltas; the next one has `replace: true` and all the text as `deltaText`.",
    "session.message": "`{sessionKey, agentId, messageId, message}`: a message of a transcript, after "
    "`sessions.subscribe` or `sessions.messages.subscribe`.",
    "session.tool": "The `tool` stream of `agent`, to whoever gets `session.message`; `agent` itself tells it to "
    "clients with the capability `tool-events`.",
    "session.operation": '`{operationId, operation: "compact", phase, sessionKey, agentId, ts, completed?, reason?}`: '
    "the start and the end of a compaction that somebody asked for.",
    "sessions.changed": "`{sessionKey, agentId, reason, ts, session}`, after `sessions.subscribe`; `session` is the "
    "row of sessions.list. A run has `phase` (`start`, `end`, `error`) and `runId` instead of a reason.",
    "config.changed": "`{path, hash, ts}`: the gateway has taken up another configuration, from whoever wrote it.",
    "chat.metadata.changed": "`{}`: agents or models may be others now: lists of them are to be asked for again.",
    "usage.notice": "`{scope, subject, window, text}`: most of a budget is gone; told to whoever made the call and to "
    "administrators, once per cap and window.",
    "users.prefs.changed": "`{profileId, keys[]}`: another client of the same person has kept something.",
    "presence": "`{presence[]}`: somebody came or went, or left a line (`system-event`).",
    "tick": "`{ts}`, every 30 s; two missing ones mean that the connection is dead.",
    "shutdown": "`{reason, restartExpectedMs?}`, before the gateway closes each connection with 1012.",
    "heartbeat": "`{ts, status, durationMs, reason?, preview?}`: what became of a heartbeat, as in `last-heartbeat`. "
    "One with a preview is told to administrators only.",
    "cron": "`{jobId, action, job, runAtMs?, status?, summary?, error?, …}`: a job was `added`, `updated`, `removed`, "
    "`started` or `finished`; told to its owner and to administrators. Protocol 3 gets `nextRunAtMs` instead of `job`.",
    "health": "The answer of `health`, once a minute and after a probe.",
    "device.pair.requested": "A request as `device.pair.list` shows it: a device waits for a decision. To "
    "`operator.pairing`, like the next two.",
    "device.pair.resolved": "`{requestId, deviceId, decision, ts}`: it waits no longer. Decisions: `approved`, "
    "`rejected`, `expired` (also when the device asked for something else meanwhile).",
    "device.pair.changed": "`{deviceId, ts}`: a paired device came, went, or has another name, role, scope or token.",
    "device.pair.setup.completed": "`{setupId, deviceId, deviceName?, access, ts}`: a setup code has paired a device. "
    "To `operator.admin`.",
    "node.pair.requested": "A row of `pending` in node.pair.list: a node offers what nobody has approved. To "
    "`operator.pairing`, like the next.",
    "node.pair.resolved": '`{requestId, nodeId, decision: "approved"|"rejected"|"removed", ts}`, also to the '
    "node itself.",
    "node.presence": "`{nodeId, lastActiveAtMs?, presenceUpdatedAtMs}`: when a node was last used.",
    "node.invoke.request": "`{id, nodeId, command, paramsJSON?, timeoutMs, idempotencyKey}`, to that node alone and "
    "without `seq`; it answers with node.invoke.result.",
    "node.invoke.cancel": "`{invokeId, nodeId}`, to that node alone: nobody waits for it any more.",
    "talk.mode": "`{enabled, phase, ts}`: another client of the same owner began or ended talking.",
    "voicewake.changed": "`{triggers[]}`: the wake words are others now.",
    "exec.approval.requested": "`{approvalKind, id, request, createdAtMs, expiresAtMs}`: a command waits for a "
    "decision; told to who may decide it. Protocol 3 has no `approvalKind` and less of the request.",
    "exec.approval.resolved": "`{approvalKind, id, decision, resolvedBy, ts, request}`: somebody decided. Protocol 3 "
    "has no kind and no request.",
    "plugin.approval.requested": "As exec.approval.requested, for an act of a plugin or a tool.",
    "plugin.approval.resolved": "As exec.approval.resolved.",
    "question.requested": "A set of questions, as in question.get; told to who may answer.",
    "question.resolved": "`{id, status, answers?}`: it was answered, cancelled, or its time is over.",
    "policy.widened": "A row of policy.widenings: a door was opened for a time. To `operator.admin`, like the next.",
    "policy.narrowed": "The same row with its end: `time`, `narrowed` (by hand) or `clock` (the clock was set back).",
}


def render() -> str:
    """Return the whole page."""
    parts = [_HEAD, "## Methods\n"]
    parts += [_method(spec) for spec in sorted(METHODS, key=lambda spec: spec.name)]
    parts.append("## Events\n")
    for name, text in _EVENTS.items():
        only = "" if name in EVENTS[3] else " Protocol 4 only."
        parts.append(f"- **{name}** {text}{only}")
    parts.append(f"\nCapabilities announced to protocol 4: {', '.join(f'`{name}`' for name in CAPABILITIES)}.\n")
    return "\n".join(parts)


def _method(spec: MethodSpec) -> str:
    lines = [f"### {spec.name} · {_who(spec)}\n", spec.summary]
    if spec.since > 3:
        lines.append(f"Since protocol {spec.since}.")
    if spec.until < CURRENT:
        lines.append(f"Protocol {spec.until} only.")
    if spec.rate is not None:
        lines.append(f"Rate per principal: {spec.rate.burst} at once, then {spec.rate.per_s:g} a second.")
    if spec.name in OLD_PARAMS:
        lines.append(_old_params(OLD_PARAMS[spec.name]))
    lines.append("")
    schemas, definitions = msgspec.json.schema_components((spec.params,))
    shape = definitions[schemas[0]["$ref"].rsplit("/", 1)[-1]]
    required = shape.get("required", ())
    for name, schema in shape["properties"].items():
        must = " (required)" if name in required else ""
        lines.append(f"- `{name}`: {_kind(schema)}{must}")
    lines.append(f"\nResult: {spec.result}\n")
    return "\n".join(lines)


def _old_params(params: type[Params]) -> str:
    names = [f"`{name}`" for name in params.__struct_encode_fields__]
    return f"Protocol 3 takes only {', '.join(names)}." if names else "Protocol 3 takes no parameters."


def _who(spec: MethodSpec) -> str:
    if spec.role == "node":
        return "nodes only"
    scope = f"`{spec.scope}`" if spec.scope else "any operator"
    return f"{scope}, or a node" if spec.role == "any" else scope


def _kind(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"`{value}`" for value in schema["enum"])
    kind = str(schema.get("type", "object" if "$ref" in schema else "any"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return f"{kind} ({', '.join(bounds)})" if bounds else kind


_BOUNDS = {"minimum": "≥", "maximum": "≤", "minLength": "length ≥", "maxLength": "length ≤"}

if __name__ == "__main__":
    sys.stdout.write(render())
