"""Memories: rows of one owner and agent each, with a full-text index that follows them by triggers.

1. Every statement names tenant, owner and agent: there is no way to ask for everybody's memories.
2. A query is only words: they are taken out of the text and quoted here, so that no text is a syntax error of FTS5.
3. A word matches by its beginning (`deploy` finds `deployment`); any suffices, more and rarer ones rank higher.
"""

# ruff: noqa: S608  # statements are joined from this file's constants; every value is bound

from __future__ import annotations

import unicodedata

import apsw
import msgspec

from openclaw.base.ids import AgentId, OwnerId, TenantId
from openclaw.store.api import MemoryRow

# The index keeps no copy of the texts. secure-delete: what is forgotten also leaves the index's pages.
TABLES = """
CREATE TABLE memories (
  num INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  agent_id TEXT NOT NULL,
  id TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  source TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX memories_by_id ON memories (tenant, owner, agent_id, id);
CREATE INDEX memories_in_time ON memories (tenant, owner, agent_id, created_at_ms);

CREATE VIRTUAL TABLE memory_words USING fts5 (
  text, content = 'memories', content_rowid = 'num', tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER memories_added AFTER INSERT ON memories BEGIN
  INSERT INTO memory_words (rowid, text) VALUES (new.num, new.text);
END;
CREATE TRIGGER memories_gone AFTER DELETE ON memories BEGIN
  INSERT INTO memory_words (memory_words, rowid, text) VALUES ('delete', old.num, old.text);
END;
"""

MAX_QUERY_WORDS = 16
"""Each word walks its part of the index; a pasted page must not walk all of it."""
MAX_WORD_CHARS = 64
MAX_QUERY_CHARS = 4096

_OWN = "tenant = ?1 AND owner = ?2 AND agent_id = ?3"
_ADD = (
    "INSERT INTO memories (tenant, owner, agent_id, id, text, created_at_ms, source)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING"
)
_DROP_OLDEST = (
    f"DELETE FROM memories WHERE num IN (SELECT num FROM memories WHERE {_OWN}"
    " ORDER BY created_at_ms DESC, num DESC LIMIT -1 OFFSET ?4)"
)
_FORGET = f"DELETE FROM memories WHERE {_OWN} AND id = ?4 RETURNING 1"
_RECALL = (
    "SELECT CAST('[' || group_concat(row, ',') || ']' AS BLOB) FROM (SELECT json_object('id', id, 'agent_id', agent_id,"
    " 'tenant', tenant, 'owner', owner, 'text', memories.text, 'created_at_ms', created_at_ms, 'source', source,"
    " 'score', -bm25(memory_words)) AS row FROM memory_words JOIN memories ON num = memory_words.rowid"
    f" WHERE memory_words MATCH ?4 AND {_OWN} ORDER BY bm25(memory_words), created_at_ms DESC, num DESC LIMIT ?5)"
)
_rows = msgspec.json.Decoder(list[MemoryRow])


def remember(db: apsw.Connection, row: MemoryRow, keep: int) -> None:
    """Add a memory, then drop the oldest of its owner and agent beyond `keep`. An id that is there changes nothing."""
    db.execute(_ADD, (row.tenant, row.owner, row.agent_id, row.id, row.text, row.created_at_ms, row.source))
    db.execute(_DROP_OLDEST, (row.tenant, row.owner, row.agent_id, keep))


def forget(db: apsw.Connection, tenant: TenantId, owner: OwnerId, agent_id: AgentId, memory_id: str) -> bool:
    """Delete a memory of this owner and agent. Say whether it was there."""
    return db.execute(_FORGET, (tenant, owner, agent_id, memory_id)).get is not None


def recall(
    db: apsw.Connection, tenant: TenantId, owner: OwnerId, agent_id: AgentId, query: str, limit: int
) -> list[MemoryRow]:
    """Return the memories that fit best, best first; among equals the newest. Nothing fits a text without words."""
    words = match_expression(query)
    found = db.execute(_RECALL, (tenant, owner, agent_id, words, limit)).get if words else None
    return _rows.decode(found) if found else []


def match_expression(query: str) -> str:
    """Return the query's words as an FTS5 expression, "" when it has none. The tokeniser folds case and accents."""
    plain = "".join(" " if _separates(char) else char for char in query[:MAX_QUERY_CHARS])
    words = dict.fromkeys(word[:MAX_WORD_CHARS] for word in plain.split())
    return " OR ".join(f'"{word}"*' for word in list(words)[:MAX_QUERY_WORDS])


def _separates(char: str) -> bool:
    """Leave to the tokeniser what is not surely between words: it knows another version of Unicode."""
    category = unicodedata.category(char)
    return category[0] in "PSZ" or category in ("Cc", "Cs")
