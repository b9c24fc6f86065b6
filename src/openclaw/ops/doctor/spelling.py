"""Settings under the name that older versions gave them. They still work; the newer name is the documented one."""

from __future__ import annotations

from typing import Any, Final

RENAMED: Final = (
    (("gateway", "nodes", "allowCommands"), ("gateway", "nodes", "commands", "allow")),
    (("gateway", "nodes", "denyCommands"), ("gateway", "nodes", "commands", "deny")),
)


def at(parsed: Any, path: tuple[str, ...]) -> Any:
    """Return what a parsed text holds at a path, or None."""
    for key in path:
        parsed = parsed.get(key) if isinstance(parsed, dict) else None
    return parsed


def old_spellings(parsed: Any) -> list[tuple[str, str]]:
    """Return (old, new) key paths that a configuration uses."""
    return [(".".join(old), ".".join(new)) for old, new in RENAMED if at(parsed, old) is not None]
