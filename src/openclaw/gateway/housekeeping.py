"""What goes away by itself: sessions that nobody comes back to, old model calls, files beyond their quota."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from openclaw.base.errors import OpenClawError
from openclaw.ops import quotas
from openclaw.ops.audit_heads import EVENT

if TYPE_CHECKING:
    from openclaw.gateway.rooms import Rooms

PRUNE_EVERY_S = 600.0
PRUNE_BATCH = 1000
HEAD_EVERY_S = 3600.0
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_log = logging.getLogger("openclaw.gateway")


async def prune_records(rooms: Rooms) -> None:
    """Delete records that are due, a batch at a time, until cancelled."""
    while True:
        config, now_ms = rooms.config, rooms.clock.now_ms()
        sessions = await rooms.store.prune_ephemeral(now_ms - config.session.ephemeral_hours * _HOUR_MS, PRUNE_BATCH)
        kept = config.storage.quotas
        calls = await rooms.store.prune_usage(now_ms - kept.ledger_days * _DAY_MS, PRUNE_BATCH)
        audited = await rooms.store.audit.prune(now_ms - kept.audit_days * _DAY_MS, now_ms)
        unused = 0
        if kept.transcript_days:
            unused = await rooms.store.prune_transcripts(now_ms - kept.transcript_days * _DAY_MS, PRUNE_BATCH)
        if max(sessions, calls, audited, unused) < PRUNE_BATCH:
            await rooms.clock.sleep(PRUNE_EVERY_S)


async def prune_files(rooms: Rooms) -> None:
    """Remove files that are beyond their room's quota, now and then, until cancelled."""
    while True:
        await prune_files_once(rooms)
        await rooms.clock.sleep(PRUNE_EVERY_S)


async def prune_containers(rooms: Rooms) -> None:
    """Remove containers that a killed gateway has left at work, then those that nobody uses, until cancelled."""
    docker, swept = rooms.sandboxes.docker, False
    while True:
        try:
            gone = 0
            if _has_containers(rooms):
                gone = await docker.prune() + (0 if swept else await docker.sweep())
                swept = True
        except OpenClawError as error:
            _log.warning("containers_not_pruned", extra={"fields": {"error": error.message}})
        else:
            if gone:
                _log.info("containers_pruned", extra={"fields": {"count": gone}})
        await rooms.clock.sleep(PRUNE_EVERY_S)


def _has_containers(rooms: Rooms) -> bool:
    agents = rooms.config.agents
    sandboxes = (agents.defaults.sandbox, *(agent.sandbox for agent in agents.list if agent.sandbox))
    return {each.docker.image for each in sandboxes} != {""}


async def prune_files_once(rooms: Rooms) -> None:
    """Remove what is beyond the quotas and log each."""
    caps, now_s = rooms.config.storage.quotas, rooms.clock.now_ms() / 1000
    for gone in await asyncio.to_thread(quotas.prune, rooms.paths.state_dir, caps, now_s=now_s):
        fields = {"room": gone.room, "path": gone.path, "bytes": gone.bytes}
        _log.info("quota_pruned", extra={"fields": fields})


async def tell_heads(rooms: Rooms) -> None:
    """Write the audit ledger's head to the log, at once and then hourly, until cancelled."""
    while True:
        await tell_head(rooms)
        await rooms.clock.sleep(HEAD_EVERY_S)


async def tell_head(rooms: Rooms) -> None:
    """Write the head to the log."""
    head = (await rooms.store.audit.kept()).head
    _log.info(EVENT, extra={"fields": {"seq": head.seq, "hash": head.hash}})
