"""An MCP server of the older protocol, written by hand: it says what the test wants said, well-formed or not.

`legacy.py <folder>`; the folder's `tools.json` holds the tools it offers. Every `tools/list` reads it again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])


def say(message: dict[str, Any]) -> None:
    """Send a message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def result(method: str, params: dict[str, Any]) -> dict[str, Any] | None:
    """Answer a request, or return None for one that is not known."""
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "legacy", "version": "0.1"},
        }
    if method == "tools/list":
        return {"tools": json.loads((FOLDER / "tools.json").read_text())}
    if method != "tools/call":
        return None
    if params["name"] == "changed":
        say({"method": "notifications/tools/list_changed"})
    if params["name"] == "flood":
        sys.stdout.write("x" * (17 * 1024 * 1024))
    if params["name"] == "silent":
        return {}
    return {"content": [{"type": "text", "text": params["name"]}]}


for line in sys.stdin:
    told = json.loads(line)
    with (FOLDER / "heard").open("a") as heard:
        heard.write(told["method"] + "\n")
    if "id" not in told:
        continue
    answer = result(told["method"], told.get("params", {}))
    if answer is None:
        say({"id": told["id"], "error": {"code": -32601, "message": "unknown"}})
    elif answer:
        say({"id": told["id"], "result": answer})
