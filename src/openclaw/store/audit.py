"""The audit ledger: what doors decided and operators did, as rows that only grow, each bound to the one before it.

1. `hash` is SHA-256 of the previous row's hash, the row's number (8 bytes, big-endian) and its body; 32 zero bytes
   stand before the first row. Numbers have no gaps.
2. `audit_head` repeats the last number and hash, and those of the last row that retention removed: rows that are
   missing at either end are found, as are changed ones between.
3. The other columns are for queries alone and repeat the body; `verify` compares them too.
4. A chain shows that rows were changed, lost or put in between. Whoever may write the file can forge a whole new one:
   that is found by comparing with a head that was written down elsewhere (logs, exports).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw
import msgspec

from openclaw.base.audit import Entry, Fact, Head
from openclaw.base.errors import Unavailable
from openclaw.base.ids import OwnerId, TenantId
from openclaw.store.connect import open_idle
from openclaw.store.fault import fault
from openclaw.store.writer import Writer

TABLES = """
CREATE TABLE audit (
  seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  owner TEXT NOT NULL,
  kind TEXT NOT NULL,
  body BLOB NOT NULL,
  hash BLOB NOT NULL
);
CREATE TABLE audit_head (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  seq INTEGER NOT NULL,
  hash BLOB NOT NULL,
  removed_seq INTEGER NOT NULL,
  removed_hash BLOB NOT NULL
);
INSERT INTO audit_head VALUES (1, 0, zeroblob(32), 0, zeroblob(32));
"""

MAX_PAGE: Final = 1000
PRUNE_AT_ONCE: Final = 5_000

_NO_HEAD: Final = "the head cannot be read"
_HEAD: Final = "SELECT seq, hash FROM audit_head"
_MOVE_HEAD: Final = "UPDATE audit_head SET seq = ?, hash = ?"
_INSERT: Final = "INSERT INTO audit (seq, at_ms, tenant, owner, kind, body, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
_OLDEST: Final = "SELECT seq, at_ms, hash FROM audit ORDER BY seq LIMIT ?"
_ROWS: Final = "SELECT seq, at_ms, tenant, owner, kind, body, hash FROM audit ORDER BY seq"

T = TypeVar("T")


class Row(msgspec.Struct, frozen=True):
    """An entry in its place: `hash` is hexadecimal."""

    seq: int
    hash: str
    entry: Entry


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the whole chain found: `problem` is empty when it holds."""

    rows: int
    first: int
    head: Head
    problem: str = ""
    at: int = 0
    """The number of the row that the problem is about, 0 for none."""


class Kept(msgspec.Struct, frozen=True):
    """How much the ledger holds: its rows by number, the first 0 when there are none."""

    first: int
    head: Head

    @property
    def rows(self) -> int:
        """How many there are."""
        return self.head.seq - self.first + 1 if self.first else 0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows a query returns; the empty value of each field is "all"."""

    kinds: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    tenant: TenantId | None = None
    owner: OwnerId | None = None
    agent: str = ""
    session: str = ""
    run: str = ""
    text: str = ""
    """Somewhere in action, target or rule."""
    since_ms: int = 0
    before_ms: int = 0
    after_seq: int = 0
    before_seq: int = 0
    last_first: bool = True
    limit: int = 100


class Audit:
    """The ledger of one store, every tenant's: tenants share the chain, and queries name whose rows they want."""

    def __init__(self, writer: Writer, path: Path) -> None:
        self._writer = writer
        self._path = path

    async def append(self, entries: Sequence[Entry]) -> Head:
        """Write entries in their order. They are durable when this returns. Raises: Unavailable."""
        return await self._writer.submit(lambda db: append(db, entries), "audit")

    async def query(self, wanted: Wanted) -> list[Row]:
        """Return rows, the last first unless asked otherwise; at most MAX_PAGE."""
        return await self._apart(lambda db: query(db, wanted))

    async def verify(self, heads: Iterable[Head] = ()) -> Verification:
        """Check every row against the one before it, and the chain against heads that were written down elsewhere."""
        return await self._apart(lambda db: verify(db, heads))

    async def kept(self) -> Kept:
        """Return how much there is."""
        return await self._apart(kept)

    async def prune(self, before_ms: int, now_ms: int) -> int:
        """Remove the oldest rows up to a time, at most PRUNE_AT_ONCE, and say so in a row. Return how many went."""
        return await self._writer.submit(lambda db: prune(db, before_ms, now_ms), "audit_prune")

    async def _apart(self, job: Callable[[apsw.Connection], T]) -> T:
        """Run a job on a connection of its own: a long look at the ledger must not keep the store's readers waiting."""
        return await asyncio.to_thread(in_file, self._path, job)


def in_file(path: Path, job: Callable[[apsw.Connection], T]) -> T:
    """Run a reading job on the file, whether a gateway uses it or not. Raises: Unavailable."""
    try:
        with closing(open_idle(path)) as db:
            db.execute("BEGIN")
            return job(db)
    except apsw.Error as error:
        raise fault(error, f"reading {path}") from error


def append(db: apsw.Connection, entries: Sequence[Entry]) -> Head:
    """Write entries within the caller's transaction, so that they are true exactly when its other rows are."""
    seq, previous = db.execute(_HEAD).get
    for entry in entries:
        seq, body = seq + 1, msgspec.json.encode(entry)
        previous = digest(previous, seq, body)
        db.execute(_INSERT, (seq, entry.at_ms, entry.tenant, entry.owner, entry.kind, body, previous))
    db.execute(_MOVE_HEAD, (seq, previous))
    return Head(seq, previous.hex())


def digest(previous: bytes, seq: int, body: bytes) -> bytes:
    """Return the hash of a row."""
    return sha256(previous + seq.to_bytes(8) + body).digest()


def is_kept(db: apsw.Connection) -> bool:
    """Whether a store has a ledger: those from before it have none until they are migrated."""
    return db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'audit_head'").get is not None


def verify(db: apsw.Connection, heads: Iterable[Head] = ()) -> Verification:
    """Check every row against the one before it, and both ends against what the head says.

    With `heads` that were written down elsewhere it also has to be the chain that they are of.
    """
    found = _verified(db)
    other = differing(db, heads) if not found.problem else None
    if other is None:
        return found
    problem = f"row {other.seq} is another than was written down: the chain was replaced, or an older backup restored"
    return msgspec.structs.replace(found, problem=problem, at=other.seq)


def _verified(db: apsw.Connection) -> Verification:
    head = _head(db)
    if head is None:
        return Verification(rows=0, first=0, head=Head(0, ""), problem=_NO_HEAD)
    seq, last, removed_seq, previous = head
    number, count, at, problem = removed_seq, 0, 0, ""
    try:
        for row in db.execute(_ROWS):
            number, at = number + 1, row[0]
            if problem := _wrong(row, number, previous):
                break
            previous, count, at = row[6], count + 1, 0
        else:
            if number != seq:
                problem, at = f"the last row is {number}, but there were {seq}", seq
            elif previous != last:
                problem, at = "the head does not match the last row", seq
    except UnicodeDecodeError:  # a column of text that is none
        problem, at = f"row {number + 1} cannot be read", number + 1
    return Verification(rows=count, first=removed_seq + 1, head=Head(seq, last.hex()), problem=problem, at=at)


def query(db: apsw.Connection, wanted: Wanted) -> list[Row]:
    """Return the rows that a query wants. Raises: Unavailable for one that cannot be read."""
    limit = min(max(wanted.limit, 0), MAX_PAGE)
    found: list[Row] = []
    for seq, body, hash_ in _candidates(db, wanted):
        if len(found) >= limit:
            break
        row = _row(seq, body, hash_)
        if _matches(row.entry, wanted):
            found.append(row)
    return found


def _row(seq: int, body: Any, hash_: Any) -> Row:
    try:
        return Row(seq, bytes.hex(hash_), _decoder.decode(body))
    except (msgspec.MsgspecError, TypeError) as error:
        raise Unavailable(
            f"row {seq} of the audit ledger cannot be read", hint="`openclaw audit verify` says what was changed."
        ) from error


def _head(db: apsw.Connection) -> tuple[int, bytes, int, bytes] | None:
    """Return the head, None for what cannot be one."""
    try:
        rows: list[Any] = db.execute("SELECT seq, hash, removed_seq, removed_hash FROM audit_head").fetchall()
    except UnicodeDecodeError:
        return None
    kinds = [[type(value) for value in row] for row in rows]
    return rows[0] if kinds == [[int, bytes, int, bytes]] else None


def kept(db: apsw.Connection) -> Kept:
    """Return how much there is, without a look at every row. Raises: Unavailable."""
    head = _head(db)
    if head is None:
        raise Unavailable(_NO_HEAD, hint="Keep this store as evidence and restore a backup.")
    seq, hash_, removed, _ = head
    return Kept(removed + 1 if seq > removed else 0, Head(seq, hash_.hex()))


def differing(db: apsw.Connection, heads: Iterable[Head]) -> Head | None:
    """Return the first of some heads, written down earlier elsewhere, that this chain has never had; None for none.

    What retention has removed since is not told, nor anything of a head that `verify` finds unreadable.
    """
    last = _head(db)
    if last is None:
        return None
    for head in sorted(heads, key=lambda each: each.seq):
        if head.seq > last[2]:
            row: Any = db.execute("SELECT hash FROM audit WHERE seq = ?", (head.seq,)).get
            if not isinstance(row, bytes) or row.hex() != head.hash:
                return head
    return None


def prune(db: apsw.Connection, before_ms: int, now_ms: int) -> int:
    """Remove the oldest rows within the caller's transaction; see Audit.prune."""
    oldest: list[Any] = db.execute(_OLDEST, (PRUNE_AT_ONCE,)).fetchall()
    gone = next((place for place, row in enumerate(oldest) if row[1] >= before_ms), len(oldest))
    if not gone:
        return 0
    seq, _, hash_ = oldest[gone - 1]
    db.execute("DELETE FROM audit WHERE seq <= ?", (seq,))
    db.execute("UPDATE audit_head SET removed_seq = ?, removed_hash = ?", (seq, hash_))
    facts: dict[str, Fact] = {"rows": gone, "upTo": seq, "hash": hash_.hex()}
    append(db, [Entry(at_ms=now_ms, kind="ledger", action="pruned", facts=facts)])
    return gone


def _candidates(db: apsw.Connection, wanted: Wanted) -> Iterator[tuple[Any, ...]]:
    terms = ["seq > ?"]
    values: list[int | str] = [wanted.after_seq]
    for term, value in (
        ("seq < ?", wanted.before_seq),
        ("at_ms >= ?", wanted.since_ms),
        ("at_ms < ?", wanted.before_ms),
        ("tenant = ?", wanted.tenant),
        ("owner = ?", wanted.owner),
    ):
        if value:
            terms.append(term)
            values.append(value)
    if wanted.kinds:
        terms.append(f"kind IN ({', '.join('?' * len(wanted.kinds))})")
        values.extend(wanted.kinds)
    order = "DESC" if wanted.last_first else "ASC"
    where = " AND ".join(terms)
    return db.execute(f"SELECT seq, body, hash FROM audit WHERE {where} ORDER BY seq {order}", values)  # noqa: S608  # constants; every value is bound


def _matches(entry: Entry, wanted: Wanted) -> bool:
    return (
        (not wanted.answers or entry.answer in wanted.answers)
        and (not wanted.agent or entry.agent == wanted.agent)
        and (not wanted.session or entry.session == wanted.session)
        and (not wanted.run or entry.run == wanted.run)
        and (not wanted.text or any(wanted.text in one for one in (entry.action, entry.target, entry.rule)))
    )


def _wrong(row: tuple[Any, ...], number: int, previous: bytes) -> str:
    """Say what is wrong with a row, "" for nothing."""
    seq, at_ms, tenant, owner, kind, body, hash_ = row
    if seq != number:
        return f"row {number} is missing"
    if not isinstance(body, bytes) or hash_ != digest(previous, seq, body):
        return f"row {seq} was changed, or a row before it"
    try:
        entry = _decoder.decode(body)
    except msgspec.MsgspecError:
        return f"row {seq} cannot be read"
    if (at_ms, tenant, owner, kind) != (entry.at_ms, entry.tenant, entry.owner, entry.kind):
        return f"the columns of row {seq} were changed"
    return ""


_decoder = msgspec.json.Decoder(Entry)
