"""The book of nodes: who was ever here, what an operator approved, what waits. In memory, and on the shelf.

1. A record whose id nobody proved is in memory only and goes with its connection.
2. Approvals, names and removals are durable when the call returns; when a node was last seen is written behind it.
3. One request waits per node; what the node offers now takes the place of what it offered before, under a new id, so
   that nobody approves something else than they were shown.
4. The book is bounded. When it is full, the node that was seen least lately, never approved and is away, makes room.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, OpenClawError, Unavailable
from openclaw.base.ids import new_id
from openclaw.base.secret import Secret
from openclaw.base.tasks import TaskSet
from openclaw.rpc.nodes.record import NodeInfo, NodeRecord, PairRequest, Surface
from openclaw.store.shelf import Change, Shelf

KIND: Final = "node"
MAX_NODES: Final = 512
_log = logging.getLogger("openclaw.nodes")


class NodeBook:
    """The records by node id. `away` says whether a node is not connected now; without a shelf nothing lasts."""

    def __init__(self, shelf: Shelf | None, clock: Clock, tasks: TaskSet, away: Callable[[str], bool]) -> None:
        self._shelf = shelf
        self._clock = clock
        self._tasks = tasks
        self._away = away
        self._records: dict[str, NodeRecord] = {}
        self._unsaved: set[str] = set()
        self._save_due = False
        self._writing = asyncio.Lock()

    async def load(self) -> None:
        """Read what earlier gateways kept. A record that cannot be read is left alone and not used."""
        if self._shelf is None:
            return
        for row in await self._shelf.list(KIND, limit=MAX_NODES):
            try:
                self._records[row.id] = msgspec.json.decode(row.body, type=NodeRecord)
            except msgspec.MsgspecError:
                _log.warning("node_record_unreadable", extra={"fields": {"node": row.id[:128]}})

    def get(self, node_id: str) -> NodeRecord | None:
        """Return a node's record, or None."""
        return self._records.get(node_id)

    def all(self) -> list[NodeRecord]:
        """Return every record."""
        return list(self._records.values())

    def greet(self, node_id: str, info: NodeInfo, offered: Surface, *, lasting: bool) -> PairRequest | None:
        """Note that a node has connected. Return its request when that is new, else None."""
        now_ms = self._clock.now_ms()
        record = self._records.get(node_id)
        if record is None:
            if not self._make_room():
                return None
            record = NodeRecord(node_id=node_id, info=info, created_at_ms=now_ms, lasting=lasting)
        asked = self._request(record, offered)
        pending = None if record.approved and record.approved.covers(offered) else asked or record.pending
        self._keep(
            replace(
                record,
                info=info,
                pending=pending,
                last_connected_at_ms=now_ms,
                last_seen_at_ms=now_ms,
                last_seen_reason="connect",
            )
        )
        return asked

    def _request(self, record: NodeRecord, offered: Surface, *, silent: bool = True) -> PairRequest | None:
        if record.approved is not None and record.approved.covers(offered):
            return None
        if record.pending is not None and record.pending.surface == offered:
            return None
        return PairRequest(new_id(), offered, self._clock.now_ms(), silent)

    def forget_approval(self, node_id: str, *, before_ms: int) -> None:
        """Drop an approval that is older than the pairing of the node's device: that device was removed meanwhile."""
        record = self._records.get(node_id)
        if record is not None and record.approved is not None and record.approved_at_ms < before_ms:
            self._keep(replace(record, approved=None, approved_at_ms=0, token_hash=""))

    def seen(self, node_id: str, reason: str) -> None:
        """Note that a node gave a sign of life, or left (`disconnect`)."""
        record = self._records.get(node_id)
        if record is None:
            return
        now_ms = self._clock.now_ms()
        gone_ms = now_ms if reason == "disconnect" else record.last_disconnected_at_ms
        self._keep(replace(record, last_seen_at_ms=now_ms, last_seen_reason=reason, last_disconnected_at_ms=gone_ms))

    def forget_passing(self, node_id: str) -> None:
        """Drop the record of a node that proved nothing."""
        record = self._records.get(node_id)
        if record is not None and not record.lasting:
            del self._records[node_id]

    async def ask(self, node_id: str, info: NodeInfo, offered: Surface) -> tuple[NodeRecord, PairRequest, bool]:
        """Make a request in a node's name (protocol 3). Return the record, the request, and whether it is new.

        Raises: Unavailable when the book is full, InvalidRequest when the node is approved for all of it already.
        """
        record = self._records.get(node_id)
        if record is None:
            if not self._make_room():
                raise Unavailable("the book of nodes is full", hint="Remove nodes that are no longer used.")
            record = NodeRecord(node_id=node_id, info=info, created_at_ms=self._clock.now_ms())
        asked = self._request(record, offered, silent=False)
        request = asked or record.pending
        if request is None:
            raise InvalidRequest("node already paired")
        record = replace(record, pending=request)
        self._keep(record)
        await self._save()
        return record, request, asked is not None

    def waiting(self, request_id: str) -> tuple[NodeRecord, PairRequest]:
        """Return the request of that id, and whose it is. Raises: InvalidRequest."""
        for record in self._records.values():
            if record.pending is not None and record.pending.request_id == request_id:
                return record, record.pending
        raise InvalidRequest("unknown requestId")

    async def approve(self, request_id: str) -> tuple[NodeRecord, str]:
        """Approve what waits. Return the record and, for a request made in words, the node's new token, else "".

        Raises: InvalidRequest when it is gone or was decided meanwhile.
        """
        async with self._writing:
            record, request = self.waiting(request_id)
            token = "" if request.silent else secrets.token_urlsafe(32)
            now_ms = self._clock.now_ms()

            def granted(now: NodeRecord) -> NodeRecord:
                still = None if now.pending is None or now.pending.request_id == request_id else now.pending
                token_hash = _hash(token) if token else now.token_hash
                return replace(
                    now, approved=request.surface, approved_at_ms=now_ms, pending=still, token_hash=token_hash
                )

            await self._put(granted(record))
            # Only now, when it is durable; the node may have come, gone or offered more meanwhile.
            current = self._records.get(record.node_id)
            if current is None:  # removed meanwhile: whoever did so writes that next
                raise InvalidRequest("unknown requestId")
            self._keep(granted(current))
        return granted(current), token

    async def reject(self, request_id: str) -> NodeRecord:
        """Refuse what waits; what was approved before stays so. Raises: InvalidRequest."""
        record, _ = self.waiting(request_id)
        if record.approved is None and self._away(record.node_id):
            await self.remove(record.node_id)
            return record
        self._keep(replace(record, pending=None))
        await self._save()
        return record

    async def rename(self, node_id: str, name: str) -> None:
        """Give a node the operator's name for it. Raises: InvalidRequest."""
        self._keep(replace(self.known(node_id), name=name))
        await self._save()

    async def remove(self, node_id: str) -> None:
        """Forget a node and every approval of it. Raises: InvalidRequest."""
        del self._records[self.known(node_id).node_id]
        self._unsaved.add(node_id)
        await self._save()

    def known(self, node_id: str) -> NodeRecord:
        """Return a node's record. Raises: InvalidRequest."""
        record = self._records.get(node_id)
        if record is None:
            raise InvalidRequest("unknown nodeId")
        return record

    def verifies(self, node_id: str, token: str) -> bool:
        """Say whether a token is the one that an approval gave to that node."""
        record = self._records.get(node_id)
        if record is None or record.approved is None or not record.token_hash:
            return False
        return Secret(record.token_hash).matches(_hash(token))

    def _make_room(self) -> bool:
        if len(self._records) < MAX_NODES:
            return True
        idle = [each for each in self._records.values() if each.approved is None and self._away(each.node_id)]
        if not idle:
            return False
        oldest = min(idle, key=lambda each: each.last_seen_at_ms)
        del self._records[oldest.node_id]
        self._unsaved.add(oldest.node_id)
        return True

    def _keep(self, record: NodeRecord) -> None:
        """Take a record into the book and have it written soon."""
        self._records[record.node_id] = record
        if self._shelf is None or not record.lasting:
            return
        self._unsaved.add(record.node_id)
        if not self._save_due:
            self._save_due = True
            with contextlib.suppress(RuntimeError):  # closing: close() writes what is left
                self._tasks.spawn(self._save_quietly(), "save")

    async def _save_quietly(self) -> None:
        self._save_due = False
        try:
            await self._save()
        except OpenClawError as error:
            _log.warning("node_records_unsaved", extra={"fields": {"code": error.code}})

    async def _save(self) -> None:
        """Write what has changed. Raises: what the shelf raises; the changes then wait for the next time."""
        async with self._writing:
            ids, self._unsaved = self._unsaved, set()
            if self._shelf is None or not ids:
                return
            try:
                await self._shelf.apply([self._change(node_id) for node_id in sorted(ids)], self._clock.now_ms())
            except BaseException:
                self._unsaved |= ids
                raise

    def _change(self, node_id: str) -> Change:
        record = self._records.get(node_id)
        return Change(KIND, node_id, msgspec.json.encode(record) if record and record.lasting else None)

    async def _put(self, record: NodeRecord) -> None:
        if self._shelf is not None and record.lasting:
            await self._shelf.apply([Change(KIND, record.node_id, msgspec.json.encode(record))], self._clock.now_ms())

    async def close(self) -> None:
        """Write what is not written yet."""
        await self._save_quietly()


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
