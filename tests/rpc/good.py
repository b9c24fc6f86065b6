"""One call of each method that its handler serves, for the tests that are generated from the table.

A method without a row is called without parameters. A method that this gateway refuses by design, or whose row names
something that is not there, has its `details.code` (else its code) in REFUSALS: it got past its scope all the same.
"""

from __future__ import annotations

from typing import Any, Final

GOOD: Final[dict[str, dict[str, Any]]] = {
    "chat.send": {"sessionKey": "main", "message": "/help", "idempotencyKey": "r1"},
    "chat.history": {"sessionKey": "main"},
    "chat.abort": {"sessionKey": "main"},
    "agent": {"message": "hi", "idempotencyKey": "r2"},
    "agent.wait": {"runId": "nobody", "timeoutMs": 1},
    "sessions.reset": {"key": "agent:main:known"},
    "sessions.delete": {"key": "agent:main:known"},
    "sessions.patch": {"key": "agent:main:known", "label": "L"},
    "sessions.describe": {"key": "agent:main:known"},
    "tools.effective": {"sessionKey": "main"},
    "tools.invoke": {"name": "session_status"},
    "sessions.get": {"key": "agent:main:known"},
    "sessions.preview": {"keys": ["agent:main:known"]},
    "sessions.resolve": {"key": "agent:main:known"},
    "sessions.compact": {"key": "agent:main:known"},
    "chat.inject": {"sessionKey": "agent:main:known", "message": "a note"},
    "cron.add": {
        "name": "tea",
        "schedule": {"kind": "every", "everyMs": 60_000},
        "sessionTarget": "isolated",
        "payload": {"kind": "agentTurn", "message": "make tea"},
    },
    "cron.get": {"id": "known"},
    "cron.update": {"id": "known", "patch": {"enabled": False}},
    "cron.remove": {"jobId": "known"},
    "cron.run": {"id": "known"},
    "cron.scratch.get": {"id": "known"},
    "cron.scratch.set": {"id": "known", "content": "a note"},
    "wake": {"mode": "next-heartbeat", "text": "look"},
    "system-event": {"text": "look"},
    "set-heartbeats": {"enabled": True},
}

REFUSALS: Final[dict[str, str]] = {}
