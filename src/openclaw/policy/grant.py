"""Standing grants: what a person allowed an automation once and for all, until it expires or is taken back."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import Conflict, Unavailable
from openclaw.base.ids import OwnerId, TenantId, new_id
from openclaw.base.principal import Principal
from openclaw.policy.approval import Approval
from openclaw.store.shelf import ABSENT, Change, Record, Shelf

KIND: Final = "approval-grant"
MAX_GRANTS: Final = 500
DAY_MS: Final = 86_400_000

Revocation = Literal["revoked", "already-revoked", "not-found"]


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One grant: this command of this automation of this agent. Times are Unix ms; 0 means never."""

    id: str
    tenant: TenantId
    owner: OwnerId
    approval_id: str
    agent_id: str
    automation: str
    command: str
    cwd: str = ""
    created_at_ms: int
    expires_at_ms: int = 0
    revoked_at_ms: int = 0
    revoked_by: str = ""
    last_used_at_ms: int = 0
    uses: int = 0


class Grants:
    """One tenant's grants, on the shelf."""

    def __init__(self, shelf: Shelf, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock

    async def minted(self, approval: Approval, days: int | None) -> tuple[Change, ...]:
        """Return what to write with an `allow-always`; nothing when the request asks for no standing grant.

        Raises: Unavailable when there are too many grants; those that hold no longer make room.
        """
        scope = approval.request.get("scope")
        if not isinstance(scope, dict) or scope.get("kind") != "standing-grant" or not approval.agent_id:
            return ()
        now_ms = self._clock.now_ms()
        room: list[Change] = []
        grants = [_decode(record) for record in await self._shelf.list(KIND, limit=MAX_GRANTS)]
        if len(grants) >= MAX_GRANTS:
            dead = [grant for grant in grants if grant.revoked_at_ms or 0 < grant.expires_at_ms <= now_ms]
            if not dead:
                raise Unavailable(f"there are {MAX_GRANTS} standing grants", hint="Revoke those that nobody needs.")
            room.append(Change(KIND, min(dead, key=lambda grant: grant.created_at_ms).id, None))
        lasting = days or scope.get("expiresInDays")
        grant = Grant(
            id=new_id(),
            tenant=approval.tenant,
            owner=approval.owner,
            approval_id=approval.id,
            agent_id=approval.agent_id,
            automation=str(scope["automation"]),
            command=str(scope["command"]),
            cwd=str(approval.request.get("cwd") or ""),
            created_at_ms=now_ms,
            expires_at_ms=now_ms + int(lasting) * DAY_MS if lasting else 0,
        )
        return (*room, Change(KIND, grant.id, msgspec.json.encode(grant), ABSENT))

    async def list(self, viewer: Principal, limit: int) -> list[Grant]:
        """Return the grants that somebody may see, the latest first."""
        grants = [_decode(record) for record in await self._shelf.list(KIND, limit=MAX_GRANTS)]
        seen = [grant for grant in grants if _sees(viewer, grant)]
        return sorted(seen, key=lambda grant: grant.created_at_ms, reverse=True)[:limit]

    async def revoke(self, viewer: Principal, grant_id: str, by: str) -> Revocation:
        """Take a grant back; it stays listed."""
        record = await self._shelf.get(KIND, grant_id)
        grant = None if record is None else _decode(record)
        if record is None or grant is None or not _sees(viewer, grant):
            return "not-found"
        if grant.revoked_at_ms:
            return "already-revoked"
        now_ms = self._clock.now_ms()
        revoked = msgspec.structs.replace(grant, revoked_at_ms=now_ms, revoked_by=by)
        try:
            await self._shelf.apply([Change(KIND, grant.id, msgspec.json.encode(revoked), record.version)], now_ms)
        except Conflict:  # somebody else was faster, or it was just used: look again
            return await self.revoke(viewer, grant_id, by)
        return "revoked"


def _decode(record: Record) -> Grant:
    return msgspec.json.decode(record.body, type=Grant)


def _sees(viewer: Principal, grant: Grant) -> bool:
    return viewer.tenant == grant.tenant and (viewer.owner == grant.owner or viewer.may("operator.admin"))
