"""Heads of the audit ledger as the gateway's log has them: who forges a whole chain has to forge the logs as well.

The log is written elsewhere than the store, and often leaves the machine: a head in it binds every row before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.audit import Head
from openclaw.telemetry.log import LOG_FILE

EVENT: Final = "audit_head"
MAX_LINE: Final = 4096
MAX_HEADS: Final = 20_000
_MARK: Final = f'"event": "{EVENT}"'.encode()


class _Line(msgspec.Struct):
    event: str
    seq: int
    hash: str


def heads_in(logs_dir: Path) -> list[Head]:
    """Return the heads that the log files name. It reads them all: call it off the loop."""
    found: list[Head] = []
    for path in sorted(logs_dir.glob(f"{LOG_FILE}*")):
        found += islice(_heads(path), MAX_HEADS - len(found))
    return found


def _heads(path: Path) -> Iterator[Head]:
    try:
        with path.open("rb") as file:
            for line in iter(lambda: file.readline(MAX_LINE), b""):
                if _MARK in line:
                    try:
                        told = msgspec.json.decode(line, type=_Line)
                    except msgspec.MsgspecError:
                        continue
                    if told.event == EVENT:
                        yield Head(told.seq, told.hash)
    except OSError:
        return
