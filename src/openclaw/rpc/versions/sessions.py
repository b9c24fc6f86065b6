"""Sessions, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Results, without

_ROW_ONLY_4: Final = ("agentId", "isMain", "createdAt", "totalTokensFresh", "archived", "pinned", "status", "lastRunId")


def _list(result: dict[str, Any]) -> dict[str, Any]:
    drop = without(*_ROW_ONLY_4)
    kept = without("totalCount", "limitApplied", "nextOffset", "hasMore", "owners")(result)
    return {**kept, "sessions": [drop(row) for row in result["sessions"]]}


RESULTS: Final[Results] = {
    "sessions.list": _list,
    "sessions.resolve": without("agentId", "displayName", "candidates"),
    "sessions.compact": without("reason", "result"),
}
