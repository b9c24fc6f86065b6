"""An answer whose tools are running: durable before the first of them acts, gone with the step that commits it.

It is no part of the transcript: a crash finds here what was asked and which outcomes are known, so that no tool that
has given its outcome acts a second time.
"""

from __future__ import annotations

import apsw
import msgspec

from openclaw.base.ids import RunId
from openclaw.store.api import PendingStep

TABLES = """
CREATE TABLE pending_steps (
  run_id TEXT NOT NULL PRIMARY KEY,
  body BLOB NOT NULL
) WITHOUT ROWID;
"""
_PUT = "INSERT INTO pending_steps (run_id, body) VALUES (?, ?) ON CONFLICT (run_id) DO UPDATE SET body = excluded.body"
_GET = "SELECT body FROM pending_steps WHERE run_id = ?"
_DROP = "DELETE FROM pending_steps WHERE run_id = ?"
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(PendingStep)


def encode(step: PendingStep) -> bytes:
    """Return the row's body."""
    return _encoder.encode(step)


def put(db: apsw.Connection, run_id: RunId, body: bytes) -> None:
    """Write or replace a run's pending step."""
    db.execute(_PUT, (run_id, body))


def get(db: apsw.Connection, run_id: RunId) -> PendingStep | None:
    """Return a run's pending step, or None."""
    found = db.execute(_GET, (run_id,)).get
    return None if found is None else _decoder.decode(found)


def drop(db: apsw.Connection, run_id: RunId) -> None:
    """Forget a run's pending step: it is committed, or its run has ended."""
    db.execute(_DROP, (run_id,))
