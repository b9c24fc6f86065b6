"""logs.tail: the end of the gateway's log, page by page."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta

from openclaw.base import own_names
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.snapshot import of_operator
from openclaw.telemetry.log import LOG_FILE
from openclaw.telemetry.tail import NO_CURSOR, tail


class LogsTailParams(Params, frozen=True):
    """`cursor` is the one of the last answer; without it the end of the file is returned."""

    cursor: Annotated[int, Meta(ge=0)] = NO_CURSOR
    limit: Annotated[int, Meta(ge=1, le=5000)] = 500
    max_bytes: Annotated[int, Meta(ge=1, le=1_000_000)] = 250_000


async def logs_tail(room: Room, peer: Peer, params: LogsTailParams) -> dict[str, Any]:
    """Read in a thread: a log on a slow disk must not hold the loop."""
    path = room.deps.logs_dir / LOG_FILE
    page = await asyncio.to_thread(tail, path, params.cursor, params.limit, params.max_bytes)
    if not of_operator(peer.principal):
        own = own_names.mark(peer.principal.owner)
        page["lines"] = [line for line in page["lines"] if own in line]
    return page


METHODS = (
    MethodSpec(
        "logs.tail",
        LogsTailParams,
        "operator.read",
        logs_tail,
        "Returns the end of the gateway's log, or what came after `cursor`; to a user who signs in by a provider, only "
        "the lines that are about their own sessions and runs.",
        "`{file, cursor, size, lines[], truncated, reset}`; lines are the JSON objects of the log, with the keys `0` "
        "(`{subsystem}`), `1` and `message` (the text) and `_meta{logLevelName, date, name}` added for log viewers. A "
        "cursor outlives the log's rotation.",
        rate=Rate(60, 20),
        passing="large",
    ),
)
