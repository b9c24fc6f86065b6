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
    "device.pair.approve": {"requestId": "nope"},
    "device.pair.reject": {"requestId": "nope"},
    "device.pair.remove": {"deviceId": "nope"},
    "device.pair.rename": {"deviceId": "nope", "label": "L"},
    "device.token.rotate": {"deviceId": "nope", "role": "operator"},
    "device.token.revoke": {"deviceId": "nope", "role": "operator"},
    "device.scopes.requestUpgrade": {"scopes": ["operator.write"]},
    "device.scopes.waitUpgrade": {"requestId": "nope"},
    "device.pair.setupStatus": {"setupId": "nope"},
    "device.pair.setupRevoke": {"setupId": "nope"},
    "node.describe": {"nodeId": "x"},
    "node.rename": {"nodeId": "x", "displayName": "Lamp"},
    "node.invoke": {"nodeId": "x", "command": "system.which", "params": {}, "idempotencyKey": "i"},
    "node.pending.enqueue": {"nodeId": "x", "type": "status.request"},
    "node.pair.request": {"nodeId": "x", "commands": ["system.which"]},
    "node.pair.verify": {"nodeId": "x", "token": "t"},
    "node.pair.approve": {"requestId": "x"},
    "node.pair.reject": {"requestId": "x"},
    "node.pair.remove": {"nodeId": "x"},
    "node.invoke.result": {"id": "x", "nodeId": "test", "ok": True},
    "node.invoke.progress": {"invokeId": "x", "nodeId": "test", "seq": 0, "chunk": "."},
    "node.event": {"event": "node.presence.alive", "payload": {"trigger": "manual"}},
    "node.pending.ack": {"ids": ["x"]},
    "node.pluginSurface.refresh": {"surface": "canvas"},
    "node.pluginTools.update": {"tools": [{"pluginId": "p", "name": "t", "description": "d"}]},
    "node.skills.update": {"skills": [{"name": "s", "description": "d", "content": "c"}]},
    "exec.approvals.node.get": {"nodeId": "x"},
    "exec.approvals.node.set": {"nodeId": "x", "file": {"version": 1}},
}

REFUSALS: Final[dict[str, str]] = {
    "device.pair.approve": "INVALID_REQUEST",
    "device.pair.reject": "INVALID_REQUEST",
    "device.pair.remove": "NOT_FOUND",
    "device.pair.rename": "NOT_FOUND",
    "device.token.rotate": "INVALID_REQUEST",
    "device.token.revoke": "INVALID_REQUEST",
    "device.scopes.requestUpgrade": "DEVICE_IDENTITY_REQUIRED",
    "device.scopes.waitUpgrade": "DEVICE_IDENTITY_REQUIRED",
    "device.pair.setupRevoke": "NOT_FOUND",
    "node.describe": "INVALID_REQUEST",
    "node.rename": "INVALID_REQUEST",
    "node.invoke": "NOT_CONNECTED",
    "node.pending.enqueue": "INVALID_REQUEST",
    "node.pair.approve": "INVALID_REQUEST",
    "node.pair.reject": "INVALID_REQUEST",
    "node.pair.remove": "INVALID_REQUEST",
    "node.pluginSurface.refresh": "NOT_SUPPORTED",
    "exec.approvals.node.get": "NOT_CONNECTED",
    "exec.approvals.node.set": "NOT_CONNECTED",
}
