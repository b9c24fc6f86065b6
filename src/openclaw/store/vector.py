"""Vectors of memories, beside their texts: one per memory and model, gone with the memory."""

# ruff: noqa: S608  # statements are joined from this file's constants; every value is bound

from __future__ import annotations

import apsw
import msgspec

from openclaw.base.ids import AgentId, OwnerId, TenantId
from openclaw.store.api import MemoryRow

TABLES = """
CREATE TABLE memory_vectors (
  num INTEGER PRIMARY KEY,
  model TEXT NOT NULL,
  vector BLOB NOT NULL
);
CREATE TRIGGER memory_vectors_gone AFTER DELETE ON memories BEGIN
  DELETE FROM memory_vectors WHERE num = old.num;
END;
"""

NEWEST = 5_000
"""Vectors that a search compares, the newest first: 8 MB, and some milliseconds."""

_OWN = "tenant = ?1 AND owner = ?2 AND agent_id = ?3"
_PUT = (
    f"INSERT INTO memory_vectors (num, model, vector) SELECT num, ?5, ?6 FROM memories WHERE {_OWN} AND id = ?4"
    " ON CONFLICT (num) DO UPDATE SET model = excluded.model, vector = excluded.vector RETURNING 1"
)
# One row of JSON, as in `read`: stepping through thousands of rows would take the interpreter lock for each.
_LIST = (
    "SELECT CAST('[' || group_concat(row, ',') || ']' AS BLOB) FROM (SELECT json_array(id, hex(vector)) AS row"
    f" FROM memories JOIN memory_vectors USING (num) WHERE {_OWN} AND model = ?4"
    f" ORDER BY created_at_ms DESC, num DESC LIMIT {NEWEST})"
)
_BY_ID = (
    "SELECT CAST('[' || group_concat(row, ',') || ']' AS BLOB) FROM (SELECT json_object('id', id, 'agent_id', agent_id,"
    " 'tenant', tenant, 'owner', owner, 'text', text, 'created_at_ms', created_at_ms, 'source', source) AS row"
    f" FROM memories WHERE {_OWN} AND id IN (SELECT value FROM json_each(?4)))"
)
_pairs = msgspec.json.Decoder(list[tuple[str, str]])
_rows = msgspec.json.Decoder(list[MemoryRow])


def put(
    db: apsw.Connection, tenant: TenantId, owner: OwnerId, agent_id: AgentId, memory_id: str, model: str, vector: bytes
) -> bool:
    """Set a memory's vector. Say whether the memory was there."""
    return db.execute(_PUT, (tenant, owner, agent_id, memory_id, model, vector)).get is not None


def vectors(
    db: apsw.Connection, tenant: TenantId, owner: OwnerId, agent_id: AgentId, model: str
) -> list[tuple[str, bytes]]:
    """Return (memory id, vector) of the newest memories that have one of this model."""
    found = db.execute(_LIST, (tenant, owner, agent_id, model)).get
    return [(id_, bytes.fromhex(vector)) for id_, vector in _pairs.decode(found)] if found else []


def by_id(db: apsw.Connection, tenant: TenantId, owner: OwnerId, agent_id: AgentId, ids: list[str]) -> list[MemoryRow]:
    """Return those memories, in the order of the ids."""
    found = db.execute(_BY_ID, (tenant, owner, agent_id, msgspec.json.encode(ids).decode())).get
    rows = {row.id: row for row in _rows.decode(found)} if found else {}
    return [rows[id_] for id_ in ids if id_ in rows]
