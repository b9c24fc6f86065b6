"""config.get: the configuration in use, with every secret replaced."""

from __future__ import annotations

from typing import Any

from openclaw.base.errors import ConfigError
from openclaw.config.paths import is_yaml
from openclaw.config.redact import redacted, redacted_text
from openclaw.protocol.validate import NoParams
from openclaw.rpc.deps import ConfigIssue
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


def config_get(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return text, parsed form and resolved form; placeholders stand for secrets in each."""
    loaded = room.deps.config()
    parsed = redacted(loaded.parsed)
    resolved = redacted(loaded.config)
    return {
        "path": str(loaded.path),
        "exists": loaded.exists,
        "raw": "" if is_yaml(loaded.path) else _shown(loaded.raw),  # secrets are found in JSON5 only
        "parsed": parsed,
        "resolved": resolved,
        "sourceConfig": parsed,
        "runtimeConfig": resolved,
        "valid": loaded.valid,
        "config": resolved,
        "hash": loaded.hash,
        "configRevisionHash": loaded.hash,
        "appliedConfigHash": loaded.hash,
        "issues": [_issue(issue) for issue in loaded.issues if issue.severity == "error"],
        "warnings": [_issue(issue) for issue in loaded.issues if issue.severity != "error"],
        "legacyIssues": [],
    }


def _shown(raw: str) -> str:
    try:
        return redacted_text(raw)
    except ConfigError:
        return ""  # secrets cannot be told from the rest of a text that does not parse


def _issue(issue: ConfigIssue) -> dict[str, str]:
    return {"path": issue.path, "message": issue.message}


METHODS = (
    MethodSpec(
        "config.get",
        NoParams,
        "operator.read",
        config_get,
        "Returns the configuration in use; secrets are `__OPENCLAW_REDACTED__`.",
        "`{path, exists, raw, parsed, resolved, valid, config, hash, issues[], warnings[], legacyIssues[]}`; "
        "protocol 4 adds `sourceConfig`, `runtimeConfig`, `configRevisionHash`, `appliedConfigHash`.",
    ),
)
