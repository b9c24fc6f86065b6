"""Opens what is kept, and what was opened for a time: nothing else is asked before their ends are written down."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import NamedTuple

from openclaw.base.clock import Clock, boot_id
from openclaw.config.paths import StatePaths
from openclaw.policy.ledger import Ledger
from openclaw.policy.senders import Senders
from openclaw.policy.widenings import Widenings
from openclaw.store.lock import StateLock
from openclaw.store.sqlite import SqliteStore


class Archive(NamedTuple):
    """The store, and what reads its own part of it at the start."""

    store: SqliteStore
    ledger: Ledger
    widenings: Widenings
    senders: Senders


async def open_archive(stack: AsyncExitStack, paths: StatePaths, clock: Clock, lock: StateLock) -> Archive:
    """Open it; `stack` closes it. Raises: StateLocked, Unavailable."""
    store = await SqliteStore.open(paths.db_path, clock=clock, lock=lock)
    stack.push_async_callback(store.close)
    ledger = Ledger(store.audit, clock)
    widenings = Widenings(store.shelf, ledger, clock, paths.state_dir, boot_id())
    stack.push_async_callback(widenings.close)
    await widenings.open()
    senders = Senders(store.shelf, clock)
    await senders.open()
    return Archive(store, ledger, widenings, senders)
