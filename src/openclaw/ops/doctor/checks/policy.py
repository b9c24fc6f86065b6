"""The policy: what is open for a time, and lists of senders that name nobody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.policy.dm_door import names_among
from openclaw.policy.widening import Widening
from openclaw.policy.widenings import KIND as WIDENING
from openclaw.store.inspect import records

MAX_TOLD = 20


def open_widenings(db_path: Path, now_ms: int) -> Iterator[Widening]:
    """Yield what the store of a gateway, running or not, says is open for a time."""
    for body in records(db_path, WIDENING) if db_path.is_file() else []:
        try:
            widening = msgspec.json.decode(body, type=Widening)
        except msgspec.MsgspecError:
            continue
        if not widening.end and now_ms < widening.ends_at_ms:
            yield widening


def widening_findings(scene: Scene) -> Iterator[Finding]:
    """Report every door that is open for a time."""
    for widening in open_widenings(scene.paths.db_path, scene.now_ms):
        minutes = -(-(widening.ends_at_ms - scene.now_ms) // 60_000)
        what = f"{widening.door} is open to {widening.value!r}"
        yield Finding(
            id="policy.widened",
            severity="warning",
            evidence=f"{what} for {minutes} minutes more ({widening.ticket})",
            fix=f"openclaw policy narrow {widening.id}",
        )


def sender_findings(scene: Scene) -> Iterator[Finding]:
    """Report entries of the lists of who may write that are names, and so let nobody in."""
    config = scene.loaded.config
    for setting, entry in islice(names_among(config.dm_policy, config.channels), MAX_TOLD):
        yield Finding(
            id="policy.sender",
            severity="warning",
            evidence=f"{entry!r} in {setting} is no id of that platform: it lets nobody in",
            fix="Write the id that the platform gave, e.g. telegram:123456; names can be changed by anybody.",
        )
