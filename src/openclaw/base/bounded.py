"""Containers with a named limit and a drop rule: nothing in the house grows without end."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TypeVar

K = TypeVar("K")
V = TypeVar("V")

DropRule = Literal["reject-new", "drop-oldest"]


class Full(Exception):
    """A bounded container refused a new item under its `reject-new` rule."""


class BoundedMap(Generic[K, V]):
    """A map of at most `limit` entries; a new key beyond it evicts the least recently used."""

    __slots__ = ("_items", "_on_evict", "limit", "name")

    def __init__(self, name: str, limit: int, on_evict: Callable[[K, V], None] | None = None) -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self.name = name
        self.limit = limit
        self._items: OrderedDict[K, V] = OrderedDict()
        self._on_evict = on_evict

    def get(self, key: K) -> V | None:
        """Return the value and mark it as used, or None."""
        try:
            self._items.move_to_end(key)
        except KeyError:
            return None
        return self._items[key]

    def put(self, key: K, value: V) -> None:
        """Set the value; evict the oldest entries beyond the limit."""
        self._items[key] = value
        self._items.move_to_end(key)
        while len(self._items) > self.limit:
            self.evict()

    def evict(self) -> None:
        """Drop the entry used least recently. Raises: KeyError when there is none."""
        key, value = self._items.popitem(last=False)
        if self._on_evict:
            self._on_evict(key, value)

    def pop(self, key: K) -> V | None:
        """Remove and return the value, or None."""
        return self._items.pop(key, None)

    def clear(self) -> None:
        """Drop everything without calling the eviction hook."""
        self._items.clear()

    def values(self) -> list[V]:
        """Return the values, least recently used first."""
        return list(self._items.values())

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[K]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)


class BoundedQueue(Generic[V]):
    """A first-in first-out queue of at most `limit` items with an explicit drop rule."""

    __slots__ = ("_items", "dropped", "limit", "name", "rule")

    def __init__(self, name: str, limit: int, rule: DropRule = "reject-new") -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self.name = name
        self.limit = limit
        self.rule = rule
        self.dropped = 0
        self._items: deque[V] = deque()

    def put(self, item: V) -> V | None:
        """Add an item. Return the one dropped to make room, or None.

        Raises: Full under `reject-new`.
        """
        victim: V | None = None
        if len(self._items) >= self.limit:
            self.dropped += 1
            if self.rule == "reject-new":
                raise Full(self.name)
            victim = self._items.popleft()
        self._items.append(item)
        return victim

    def get(self) -> V | None:
        """Remove and return the oldest item, or None."""
        return self._items.popleft() if self._items else None

    def remove(self, item: V) -> bool:
        """Remove one item; say whether it was there."""
        try:
            self._items.remove(item)
        except ValueError:
            return False
        return True

    def __iter__(self) -> Iterator[V]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)
