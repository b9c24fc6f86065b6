"""logs.tail: the end of the gateway's log, page by page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.telemetry.log import LOG_FILE

NO_CURSOR: Final = -1

_OWN: Final = frozenset(("time", "level", "event", "component"))
"""What every line of our log says; the rest are fields of its event."""

_LEVELS: Final = {"warning": "WARN", "critical": "FATAL"}
"""Levels that log viewers call by another name than ours in capitals."""


class LogsTailParams(Params, frozen=True):
    """`cursor` is the one of the last answer; without it the end of the file is returned."""

    cursor: Annotated[int, Meta(ge=0)] = NO_CURSOR
    limit: Annotated[int, Meta(ge=1, le=5000)] = 500
    max_bytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 250_000


async def logs_tail(room: Room, peer: Peer, params: LogsTailParams) -> dict[str, Any]:
    """Read in a thread: a log on a slow disk must not hold the loop."""
    path = room.deps.logs_dir / LOG_FILE
    return await asyncio.to_thread(tail, path, params.cursor, params.limit, params.max_bytes)


def tail(path: Path, cursor: int, limit: int, max_bytes: int) -> dict[str, Any]:
    """Return the whole lines after `cursor`, at most the last `max_bytes` and `limit` of them.

    Shape: `reset` when the file is shorter than the cursor (it was rotated); `truncated` when lines were left out.
    """
    answer: dict[str, Any] = {"file": str(path), "cursor": 0, "size": 0, "lines": [], "truncated": False}
    answer["reset"] = cursor > 0
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            reset = cursor > size
            start = 0 if reset or cursor == NO_CURSOR else cursor
            from_byte = max(start, size - max_bytes)
            # One byte earlier: whether a line begins at from_byte shows in the byte before it.
            file.seek(max(0, from_byte - 1))
            data = file.read(size - max(0, from_byte - 1))
    except FileNotFoundError:
        return answer
    if from_byte > 0:
        before, data = data[:1], data[1:]
        if before != b"\n":
            data = data[data.find(b"\n") + 1 :] if b"\n" in data else b""
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].decode("utf-8", "replace").split("\n")[:-1]
    answer["cursor"] = size - (len(data) - whole)
    answer["size"] = size
    answer["truncated"] = from_byte > start or len(lines) > limit
    answer["lines"] = [as_clients_read(line) for line in lines[-limit:]]
    answer["reset"] = reset
    return answer


def as_clients_read(line: str) -> str:
    """Return a line of our log with the keys that clients look for beside its own; another line as it is.

    Clients read the text from `message` or `1`, and the level and the component from `_meta` or `0`.
    """
    try:
        fields = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    if not isinstance(fields, dict) or not _OWN.issubset(fields):
        return line
    more = " ".join(f"{name}={value}" for name, value in fields.items() if name not in _OWN)
    text = f"{fields['event']} {more}" if more else str(fields["event"])
    subsystem = msgspec.json.encode({"subsystem": fields["component"]}).decode()
    level = str(fields["level"])
    meta = {"logLevelName": _LEVELS.get(level, level.upper()), "date": fields["time"], "name": subsystem}
    return msgspec.json.encode({**fields, "0": subsystem, "1": text, "message": text, "_meta": meta}).decode()


METHODS = (
    MethodSpec(
        "logs.tail",
        LogsTailParams,
        "operator.read",
        logs_tail,
        "Returns the end of the gateway's log, or what came after `cursor`.",
        "`{file, cursor, size, lines[], truncated, reset}`; lines are the JSON objects of the log, with the keys `0` "
        "(`{subsystem}`), `1` and `message` (the text) and `_meta{logLevelName, date, name}` added for log viewers.",
        rate=Rate(60, 20),
        passing="large",
    ),
)
