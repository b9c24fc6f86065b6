"""JSON lines in bulk: bytes as the network gave them in, complete lines out."""

from __future__ import annotations

from openclaw.models.transport.sse import EVENT_LIMIT_BYTES, EventTooLarge


class LineSplitter:
    """Cuts a byte stream into lines; keeps the unfinished one for the next piece. Blank lines give nothing."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that this piece completes, in order. Raises: EventTooLarge."""
        head, newline, rest = piece.partition(b"\n")
        self._tail.append(head)
        if not newline:
            if sum(map(len, self._tail)) > EVENT_LIMIT_BYTES:
                raise EventTooLarge
            return []
        lines = [b"".join(self._tail), *rest.split(b"\n")]
        self._tail = [lines.pop()]
        return [line for line in lines if line and not line.isspace()]

    @property
    def unfinished(self) -> bool:
        """True when bytes are left that no newline followed."""
        return any(piece and not piece.isspace() for piece in self._tail)
