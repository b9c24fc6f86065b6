"""Sessions, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Results, without

_ROW: Final = frozenset(
    [
        "key",
        "kind",
        "label",
        "displayName",
        "derivedTitle",
        "lastMessagePreview",
        "chatType",
        "updatedAt",
        "sessionId",
        "systemSent",
        "abortedLastRun",
        "inputTokens",
        "outputTokens",
        "totalTokens",
        "modelProvider",
        "model",
        "contextTokens",
        "thinkingLevel",
    ]
)
_DEFAULTS: Final = frozenset(("modelProvider", "model", "contextTokens"))
_ENTRY_ONLY_4: Final = without(
    *("lifecycleRevision", "createdAt", "archivedAt", "pinnedAt", "markedUnreadAt", "lastReadAt", "category", "icon"),
    *("color", "boardFace", "parentSessionKey", "forkedFromParent", "agentStatus"),
)


_HISTORY_ONLY_4: Final = without(
    "hasMore", "totalMessages", "pendingInputs", "inputReceipts", "defaults", "sessionInfo"
)


def _only(names: frozenset[str], row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in names}


def _list(result: dict[str, Any]) -> dict[str, Any]:
    kept = {name: result[name] for name in ("ts", "path", "count")}
    rows = [_only(_ROW, row) for row in result["sessions"]]
    return {**kept, "defaults": _only(_DEFAULTS, result["defaults"]), "sessions": rows}


def _entry(result: dict[str, Any]) -> dict[str, Any]:
    return {**result, "entry": _ENTRY_ONLY_4(result["entry"])}


def _history(result: dict[str, Any]) -> dict[str, Any]:
    """Messages have no ids; a compaction is still marked."""
    for message in result.get("messages", ()):
        message.pop("idempotencyKey", None)
        if "kind" not in message["__openclaw"]:
            del message["__openclaw"]
    kept: dict[str, Any] = _HISTORY_ONLY_4(result)
    return kept


RESULTS: Final[Results] = {
    "chat.history": _history,
    "sessions.list": _list,
    "sessions.patch": _entry,
    "sessions.reset": _entry,
    "sessions.resolve": without("agentId", "displayName", "candidates"),
    "sessions.compact": without("reason", "result"),
}
