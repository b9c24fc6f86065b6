"""The door before every use of the workspace's files by a tool.

The name is judged here; what it leads to is judged when it is opened, on the descriptor (`policy.files.descriptor`).
Reading leaves no row in the ledger. A change does, before it is made: the path, and nothing of the content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.base.errors import ToolError
from openclaw.policy.files.path import components, file_components
from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "file"
OPS: Final[Mapping[str, str]] = {
    "read_file": "read",
    "read_image": "read",
    "list_files": "list",
    "search_files": "list",
    "write_file": "write",
    "edit_file": "patch",
}
"""What the built-in tools do with the path that they are given."""
READS: Final = frozenset(("read", "list"))
MAX_SHOWN: Final = 200


def file_verdict(ask: Ask) -> Verdict:
    """Decide by the name: only relative paths that stay below the workspace. `facts`: op, path."""
    op, path = ask.facts.get("op"), ask.facts.get("path")
    if not isinstance(path, str) or op not in OPS.values():
        return Verdict("deny", "file.unknown", "the call names no file")
    try:
        components(path) if op == "list" else file_components(path)
    except ToolError:  # its words would bring the path into the ledger, and with it whatever was put there
        return Verdict("deny", "file.path", "only relative paths that stay below the workspace are opened")
    return Verdict("allow", "file.workspace", "it stays in the workspace", quiet=op in READS)


def file_facts(tool: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Return (target, facts) for a call of a file tool; None for other tools, and for a call without a path."""
    op = OPS.get(tool)
    path = arguments.get("path", "." if op == "list" else None)
    if op is None or not isinstance(path, str):
        return None
    if op == "list" and not path:  # how many models name the workspace itself; the tools read it so too
        path = "."
    try:
        target = "/".join(components(path))
    except ToolError:
        target = ""
    return target[:MAX_SHOWN], {"op": op, "path": path}
