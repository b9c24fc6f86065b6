"""The tables, as numbered migrations that only ever add: yesterday's code still runs on today's data.

1. A migration adds tables, indexes, or columns with a default. It never drops, renames or changes meaning.
2. `PRAGMA user_version` is the number of the last migration that ran; each runs in one transaction with its number.
3. `meta.compatible_from` is the lowest number that code must know to use this file. Additive migrations leave it alone,
   so older code opens a newer file; one that cannot be additive raises it, and older code refuses with a clear word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from openclaw.base.errors import ConfigError
from openclaw.store import budget, memory, pending, shelf, vector
from openclaw.store.audit import TABLES as AUDIT


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. `compatible_from` is set only where older code must not use the result."""

    number: int
    sql: str
    compatible_from: int | None = None


# Rows that belong to someone carry tenant and owner; steps belong by their session, whose id is never guessed.
# runs.inbound is whole while the run waits. One that starts at once has its message (and an ephemeral history) only in
# the steps first_seq..inbound_seq: what most turns write is written once.
# usage has no foreign key: the ledger outlives the sessions it tells of.
_FIRST = """
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('compatible_from', '1');

CREATE TABLE sessions (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  owner TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  ephemeral INTEGER NOT NULL DEFAULT 0,
  label TEXT NOT NULL DEFAULT '',
  model TEXT NOT NULL DEFAULT '',
  input_tokens INTEGER NOT NULL DEFAULT 0,
  output_tokens INTEGER NOT NULL DEFAULT 0,
  aborted_last_run INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE INDEX sessions_lasting ON sessions (tenant, updated_at_ms) WHERE ephemeral = 0;
CREATE INDEX sessions_ephemeral ON sessions (updated_at_ms) WHERE ephemeral = 1;

CREATE TABLE past_sessions (
  tenant TEXT NOT NULL,
  key TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT NOT NULL,
  ended_at_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, key, id)
) WITHOUT ROWID;

CREATE TABLE steps (
  num INTEGER PRIMARY KEY,
  session_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX steps_in_order ON steps (session_id, seq);

CREATE TABLE runs (
  num INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  run_id TEXT NOT NULL,
  session_key TEXT NOT NULL,
  session_id TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  accepted_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  first_seq INTEGER,
  inbound_seq INTEGER,
  inbound BLOB NOT NULL,
  reply BLOB
);
CREATE UNIQUE INDEX runs_by_id ON runs (run_id, owner, tenant);
CREATE INDEX runs_by_session ON runs (session_id);
CREATE UNIQUE INDEX runs_open ON runs (run_id) WHERE ended_at_ms IS NULL;

CREATE TABLE usage (
  num INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  run_id TEXT NOT NULL,
  session_key TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  purpose TEXT NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cache_read_tokens INTEGER NOT NULL,
  cache_write_tokens INTEGER NOT NULL,
  latency_ms INTEGER NOT NULL,
  first_token_ms INTEGER NOT NULL,
  error_code TEXT NOT NULL DEFAULT ''
);
CREATE INDEX usage_in_time ON usage (at_ms);
"""

_SESSION_THINKING = """
ALTER TABLE sessions ADD COLUMN thinking TEXT NOT NULL DEFAULT '';
"""

_SESSION_MARKS = """
ALTER TABLE sessions ADD COLUMN marks TEXT NOT NULL DEFAULT '{}';
"""

_SESSION_PROMPT = """
ALTER TABLE sessions ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0;
"""

MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, _FIRST),
    Migration(2, budget.TABLES),
    Migration(3, memory.TABLES),
    Migration(4, pending.TABLES),
    Migration(5, vector.TABLES),
    Migration(6, _SESSION_THINKING),
    Migration(7, shelf.TABLES),
    Migration(8, _SESSION_MARKS),
    Migration(9, _SESSION_PROMPT),
    Migration(10, AUDIT),
)


def migrate(db: apsw.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """Bring the schema up to the last migration. Return the number found before.

    Raises: ConfigError when the file is newer than this code and not marked as usable by it.
    """
    found = int(db.pragma("user_version"))
    known = migrations[-1].number
    if found > known:
        _check_usable(db, found, known)
        return found
    for migration in migrations:
        if migration.number <= found:
            continue
        with db:
            db.execute(migration.sql).fetchall()
            if migration.compatible_from is not None:
                db.execute(
                    "UPDATE meta SET value = ? WHERE name = 'compatible_from'", (str(migration.compatible_from),)
                )
            db.pragma("user_version", migration.number)
    return found


def _check_usable(db: apsw.Connection, found: int, known: int) -> None:
    needed = known + 1
    if db.table_exists(None, "meta"):
        needed = int(db.execute("SELECT value FROM meta WHERE name = 'compatible_from'").get or needed)
    if needed > known:
        raise ConfigError(
            f"the store was written by a newer openclaw (schema {found}); this one knows up to {known}",
            hint="Upgrade openclaw, or restore the backup made before the upgrade.",
        )
