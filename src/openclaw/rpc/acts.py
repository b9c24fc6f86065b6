"""Which methods leave a row in the audit ledger before they run: whatever changes who may do what, and admin reads.

A method with the scope admin, pairing or approvals is in exactly one of ACTS and READS; a test holds us to it. A
refusal for want of a scope is a row too, once a minute for the same caller and method.
"""

from __future__ import annotations

from typing import Any, Final

from openclaw.base.audit import Fact, Kind
from openclaw.base.bounded import BoundedMap
from openclaw.base.principal import Principal
from openclaw.policy.ledger import Ledger

_KINDS: Final[dict[Kind, tuple[str, ...]]] = {
    "config": (
        *("config.set", "config.patch", "config.apply", "agents.create", "agents.update", "agents.delete"),
        *("agents.files.set", "exec.approvals.set", "exec.approvals.node.set", "set-heartbeats", "secrets.reload"),
        *("models.authLogout", "wizard.start", "wizard.next", "wizard.cancel", "update.run"),
        *("channels.start", "channels.stop", "channels.logout"),
        *("cron.add", "cron.update", "cron.remove"),
    ),
    "pairing": (
        *("device.pair.approve", "device.pair.reject", "device.pair.remove", "device.pair.rename"),
        *("channels.pairing.approve", "channels.pairing.dismiss", "channels.pairing.remove"),
        *("device.token.rotate", "device.token.revoke", "device.pair.setupCode", "device.pair.setupRevoke"),
        *("node.pair.approve", "node.pair.reject", "node.pair.remove", "node.rename"),
    ),
    "policy": ("policy.widen", "policy.narrow"),
    "approval": (
        *("approval.resolve", "exec.approval.request", "exec.approval.resolve", "exec.approval.grants.revoke"),
        *("plugin.approval.request", "plugin.approval.resolve"),
    ),
    "skill": (*("skills.install", "skills.update", "skills.remove", "skills.lock"),),
    "admin": (
        *("secrets.resolve", "exec.approvals.get", "exec.approvals.node.get", "cron.scratch.get", "cron.scratch.set"),
        *("audit.query", "audit.verify", "sessions.delete", "sessions.reset", "sessions.rewind", "chat.inject"),
        *("cron.run", "system-event"),
        *("gateway.restart.request", "gateway.suspend.prepare", "gateway.suspend.resume"),
    ),
}
ACTS: Final[dict[str, Kind]] = {name: kind for kind, names in _KINDS.items() for name in names}

READS: Final = frozenset(
    {
        *("skills.upload.begin", "skills.upload.chunk", "skills.upload.commit"),
        *("approval.get", "approval.history", "exec.approval.get", "exec.approval.list", "exec.approval.waitDecision"),
        *("exec.approval.grants.list", "openclaw.approval.list", "plugin.approval.list"),
        *(
            "plugin.approval.waitDecision",
            "channels.pairing.list",
            "channels.pairing.senders",
            "device.pair.list",
            "node.pair.list",
        ),
        *("device.pair.setupList", "device.pair.setupStatus", "node.pair.request", "node.pair.verify"),
        *("update.status", "wizard.status", "secrets.status", "policy.widenings"),
    }
)
"""Methods of these scopes that show what their scope is there to see, and change nothing that lasts."""

_TARGETS: Final = (
    "request_id",
    "sender_id",
    "id",
    "device_id",
    "node_id",
    "key",
    "session_key",
    "agent_id",
    "setup_id",
    "name",
    "slug",
    "skill_key",
)
_BY_CODE: Final = frozenset(("channels.pairing.approve", "channels.pairing.dismiss"))
"""What names its target by a code, which stays out of the ledger while somebody may still use it."""
DENIED_EVERY_S: Final = 60.0
MAX_DENIED: Final = 1024


class Acts:
    """Writes the rows of methods."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._denied: BoundedMap[tuple[str, ...], float] = BoundedMap("rpc.denied", MAX_DENIED)

    async def doing(self, principal: Principal, method: str, params: Any, request: str = "") -> None:
        """Write that somebody is about to do this. Raises: Unavailable; then it is not done."""
        kind, target = ACTS[method], "" if method in _BY_CODE else _target(params)
        await self._ledger.note(principal, kind, method, target, answer="allow", rule="scope", request=request)

    def unheard(self, principal: Principal, method: str, now_s: float) -> bool:
        """Say whether this refusal is to be written: it was not in the last minute."""
        key = (principal.tenant, principal.owner, principal.device, principal.method, method)
        last_s = self._denied.get(key)
        if last_s is not None and now_s - last_s < DENIED_EVERY_S:
            return False
        self._denied.put(key, now_s)
        return True

    async def denied(self, principal: Principal, method: str, missing: str) -> None:
        """Write that somebody may not do this. Raises: Unavailable."""
        facts: dict[str, Fact] = {"missingScope": missing}
        kind = ACTS.get(method, "admin")
        await self._ledger.note(principal, kind, method, answer="deny", rule="scope.missing", facts=facts)


def _target(params: Any) -> str:
    """Return what a method is about, by the parameter that names it."""
    found = (getattr(params, name, "") for name in _TARGETS)
    return next((text for text in found if isinstance(text, str) and text), "")
