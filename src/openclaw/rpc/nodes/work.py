"""Work that waits until a node comes for it: a phone in somebody's pocket is asked when its app is open again.

Two queues per node, both bounded and forgotten in time: *actions* are invokes that the node could not carry out in the
background (it pulls, then acknowledges them); *items* are requests for its status or place (it drains them).
In memory only: what waits is out of date long before a restart matters.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal

MAX_QUEUES: Final = 256
MAX_ACTIONS: Final = 64
MAX_ITEMS: Final = 32
MAX_ACTION_BYTES: Final = 16 * 1024
ACTION_LIFE_MS: Final = 600_000
ITEM_LIFE_MS: Final = 600_000

ItemType = Literal["status.request", "location.request"]
Priority = Literal["normal", "high"]


class Action(msgspec.Struct, frozen=True):
    """A command that waits for the node to come to the foreground."""

    id: str
    command: str
    params_json: str | None
    key: str
    at_ms: int
    principal: Principal
    """Who asked: the door is passed anew when the node comes for it."""


class Item(msgspec.Struct, frozen=True):
    """A request for a node's status or place."""

    id: str
    type: ItemType
    priority: Priority
    at_ms: int
    expires_at_ms: int


class _Queue:
    __slots__ = ("actions", "items", "revision")

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.items: list[Item] = []
        self.revision = 0


class NodeWork:
    """The queues by node id."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: BoundedMap[str, _Queue] = BoundedMap("rpc.node_work", MAX_QUEUES)

    def put_action(
        self, node_id: str, command: str, params_json: str | None, key: str, asker: Principal
    ) -> Action | None:
        """Queue a command; the oldest goes when there are too many. Return None when it is too big to wait."""
        if len(params_json or "") > MAX_ACTION_BYTES:
            return None
        queue = self._queue(node_id)
        known = next((action for action in queue.actions if action.key == key), None)
        if known is not None:
            return known
        action = Action(new_id(), command, params_json, key, self._clock.now_ms(), asker)
        queue.actions = [*queue.actions, action][-MAX_ACTIONS:]
        return action

    def actions(self, node_id: str) -> list[Action]:
        """Return the commands that wait, oldest first."""
        return list(self._queue(node_id).actions)

    def acknowledge(self, node_id: str, ids: frozenset[str]) -> int:
        """Take commands off the queue. Return how many are left."""
        queue = self._queue(node_id)
        queue.actions = [action for action in queue.actions if action.id not in ids]
        return len(queue.actions)

    def put_item(self, node_id: str, kind: ItemType, priority: Priority, life_ms: int) -> tuple[Item, int]:
        """Queue a request, once per type. Return it and the queue's revision."""
        queue = self._queue(node_id)
        known = next((item for item in queue.items if item.type == kind), None)
        if known is not None:
            return known, queue.revision
        now_ms = self._clock.now_ms()
        item = Item(new_id(), kind, priority, now_ms, now_ms + (life_ms or ITEM_LIFE_MS))
        queue.items = [*queue.items, item][-MAX_ITEMS:]
        queue.revision += 1
        return item, queue.revision

    def drain(self, node_id: str, most: int) -> tuple[list[Item], int, bool]:
        """Take requests off the queue, urgent ones first. Return them, the revision, and whether more wait."""
        queue = self._queue(node_id)
        ordered = sorted(queue.items, key=lambda item: (item.priority != "high", item.at_ms))
        taken, queue.items = ordered[:most], ordered[most:]
        queue.revision += bool(taken)
        return taken, queue.revision, bool(queue.items)

    def forget(self, node_id: str) -> None:
        """Drop everything that waits for a node."""
        self._queues.pop(node_id)

    def _queue(self, node_id: str) -> _Queue:
        queue = self._queues.get(node_id)
        if queue is None:
            queue = _Queue()
            self._queues.put(node_id, queue)
        now_ms = self._clock.now_ms()
        queue.actions = [action for action in queue.actions if now_ms - action.at_ms < ACTION_LIFE_MS]
        queue.items = [item for item in queue.items if item.expires_at_ms > now_ms]
        return queue


def item_row(item: Item) -> dict[str, Any]:
    """Return a request as the wire shows it."""
    return {
        "id": item.id,
        "type": item.type,
        "priority": item.priority,
        "createdAtMs": item.at_ms,
        "expiresAtMs": item.expires_at_ms,
    }
