"""The one writer: what is queued becomes one transaction, so that many waiters share one fsync.

1. Never wait for company: the group is what is queued when the last commit is done, at most GROUP_LIMIT jobs.
2. Each job has its own savepoint: one that fails takes nothing of its neighbours with it.
3. Nobody is told before the commit is on the disk. If it fails, all of the group failed and nothing was written.
4. Checkpoints run in another thread, and only a log of BACKSTOP_PAGES makes the writer do one itself.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

import apsw

from openclaw.store.thread import DatabaseThread, Outcome, Waiting

CHECKPOINT_PAGES = 1000
"""New pages in the log (4 MB) that are worth moving into the database file: each time costs an fsync of its own."""
BACKSTOP_PAGES = 4000
"""Pages (16 MB) at which the writer itself checkpoints: under endless load the other thread never catches up."""

_log = logging.getLogger("openclaw.store")


class Writer(DatabaseThread):
    """The thread that owns the only writing connection. It closes `checkpoints`' connection too."""

    def __init__(self, db: apsw.Connection, checkpoints: apsw.Connection) -> None:
        self._log_pages = 0
        self._moved_pages = 0
        self._checkpointer = Checkpointer(checkpoints)
        db.set_wal_hook(self._on_commit)
        super().__init__("writer", db)

    def _on_commit(self, _db: apsw.Connection, _schema: str, pages: int) -> int:
        self._log_pages = pages
        return apsw.SQLITE_OK

    def _let_go(self) -> None:
        self._checkpointer.stop()
        super()._let_go()

    def _serve(self, group: list[Waiting]) -> list[Outcome]:
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            outcomes = [self._serve_one(group[0])] if len(group) == 1 else self._serve_many(group)
            if db.in_transaction:
                db.execute("COMMIT")
        except apsw.Error as error:
            outcomes = self._fail(group, error)
        self._look_after_log()
        return outcomes

    def _serve_one(self, waiting: Waiting) -> Outcome:
        """The transaction is savepoint enough for a job that is alone."""
        outcome = self._attempt(waiting)
        if outcome[2] is not None and self._db.in_transaction:
            self._db.execute("ROLLBACK")
        return outcome

    def _serve_many(self, group: list[Waiting]) -> list[Outcome]:
        db = self._db
        outcomes: list[Outcome] = []
        for waiting in group:
            db.execute("SAVEPOINT job")
            outcome = self._attempt(waiting)
            error = outcome[2]
            if error is not None:
                if not db.in_transaction:  # a full disk makes SQLite roll back everything by itself
                    return self._fail(group, error)
                db.execute("ROLLBACK TO job")
            db.execute("RELEASE job")
            outcomes.append(outcome)
        return outcomes

    def _fail(self, group: list[Waiting], error: BaseException) -> list[Outcome]:
        if self._db.in_transaction:
            with suppress(apsw.Error):
                self._db.execute("ROLLBACK")
        _log.error("store_commit_failed", extra={"fields": {"jobs": len(group), "error": str(error)}})
        return [(waiting, None, error) for waiting in group]

    def _look_after_log(self) -> None:
        pages = self._log_pages
        if pages < self._moved_pages:
            self._moved_pages = 0  # the log started anew
        if pages - self._moved_pages < CHECKPOINT_PAGES:
            return
        self._moved_pages = pages
        if pages < BACKSTOP_PAGES:
            self._checkpointer.wake()
        else:
            self._checkpointer.catch_up(self._db)


class Checkpointer:
    """A thread that moves the log into the database file while the writer goes on."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db
        self._wanted = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="openclaw-store-checkpoint", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Ask for a checkpoint soon; asking again while one runs is free."""
        if not self._wanted.is_set():
            self._wanted.set()

    def catch_up(self, db: apsw.Connection) -> None:
        """Let a checkpoint that runs end, then do the rest on the caller's connection: the log starts anew."""
        with self._one_at_a_time:
            _checkpoint(db)

    def stop(self) -> None:
        """End the thread, after the checkpoint that runs, and close its connection."""
        self._stopping = True
        self._wanted.set()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping:
                return
            with self._one_at_a_time:
                _checkpoint(self._db)


def _checkpoint(db: apsw.Connection) -> None:
    """Move what can be moved without waiting for anyone. If it fails, the log only grows until the next one."""
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.Error as error:
        _log.warning("store_checkpoint_failed", extra={"fields": {"error": str(error)}})
