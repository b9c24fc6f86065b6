"""Kills a writing process again and again, and checks after each kill that nothing acknowledged is gone.

Run: `python -m tests.store.crash_driver DB KILLS SEED`. This process stays free of threads and forks each worker, so
that a worker costs milliseconds instead of an interpreter's start. A worker first checks, through a real store, all
that was acknowledged before it; then it writes and acknowledges each write on a pipe until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import traceback
from pathlib import Path

import apsw
import uvloop

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.ids import RunId, SessionKey
from openclaw.store.sqlite import SqliteStore
from openclaw.store.transcript import check_complete
from tests.store.build import answer, inbound, reply, tool_step

WAITERS = 6
SESSIONS = 3


class Acknowledged:
    """What the store said is durable."""

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        self.steps: dict[str, list[tuple[int, str]]] = {}

    def take(self, line: str) -> None:
        kind, run_id, *rest = line.split()
        if kind == "step":
            self.steps.setdefault(rest[0], []).append((int(rest[1]), run_id))
        else:
            self.runs[run_id] = kind

    async def check(self, store: SqliteStore) -> None:
        """Compare with the archive: at least this much must be there."""
        open_ids = {run.id for run in await store.open_runs()}
        for run_id, last in self.runs.items():
            run = await store.run(RunId(run_id))
            assert run is not None, f"accepted run {run_id} is gone"
            assert run.inbound.message.text == f"hello {run_id}"
            if last == "finished":
                assert run.reply is not None, f"the reply of {run_id} is gone"
                assert run.state == "ok"
            assert (run.reply is None) == (run_id in open_ids)
        for number in range(SESSIONS):
            await self._check_session(store, SessionKey(f"agent:default:{number}"))

    async def _check_session(self, store: SqliteStore, key: SessionKey) -> None:
        session = await store.session(key)
        if session is None:
            assert not self.steps.get(key)
            return
        steps = await store.steps(session.id, limit=1_000_000)
        assert [step.seq for step in steps] == list(range(1, len(steps) + 1))
        check_complete(message for step in steps for message in step.messages)
        have = {(step.seq, str(step.run_id)) for step in steps}
        assert have.issuperset(self.steps.get(key, ())), "an acknowledged step is gone"


async def _work(db_path: Path, before: Acknowledged, generation: int, pipe: int, *, only_check: bool) -> None:
    store = await SqliteStore.open(db_path, clock=SYSTEM_CLOCK)
    await before.check(store)
    os.write(pipe, b"checked -\n")
    if not only_check:
        await asyncio.gather(*(_client(store, f"{generation}.{number}", pipe) for number in range(WAITERS)))
    await store.close()


async def _client(store: SqliteStore, name: str, pipe: int) -> None:
    for turn in range(1_000_000):
        run_id = f"{name}.{turn}"
        key = f"agent:default:{turn % SESSIONS}"
        start = turn % 2 == 0
        await store.accept(inbound(run_id, f"hello {run_id}", key=key), turn, start=start)
        os.write(pipe, f"accepted {run_id}\n".encode())
        if not start:
            await store.begin_run(RunId(run_id), turn)
        seq = await store.commit_step(RunId(run_id), tool_step(), turn)
        os.write(pipe, f"step {run_id} {key} {seq}\n".encode())
        await store.finish_run(RunId(run_id), reply(run_id, key=key), answer(), turn)
        os.write(pipe, f"finished {run_id}\n".encode())


def _worker(db_path: Path, before: Acknowledged, generation: int, pipe: int, *, only_check: bool) -> None:
    try:
        uvloop.run(_work(db_path, before, generation, pipe, only_check=only_check))
    except BaseException:  # noqa: BLE001  # a forked child: it must not return into its parent's stack
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _one(db_path: Path, acks: Acknowledged, generation: int, kill_after: int | None) -> None:
    """Fork a worker, kill it after that many acknowledged writes (None: let it check and end), and take its word."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(out)
        _worker(db_path, acks, generation, into, only_check=kill_after is None)
    os.close(into)
    heard = []
    with os.fdopen(out) as lines:
        for line in lines:
            heard.append(line)
            if kill_after is not None and len(heard) > kill_after:
                os.kill(pid, signal.SIGKILL)
                kill_after = 1 << 30
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.waitstatus_to_exitcode(status) == 0, f"worker {generation} failed"
    assert heard, f"worker {generation} never opened the store"
    for line in heard[1:]:
        acks.take(line)


def _check_integrity(db_path: Path) -> None:
    db = apsw.Connection(str(db_path))
    assert db.pragma("integrity_check") == "ok"
    db.close()


def main(db_path: Path, kills: int, seed: int) -> None:
    """Kill, check, and print a summary as JSON."""
    dice = random.Random(seed)
    acks = Acknowledged()
    for generation in range(kills):
        _one(db_path, acks, generation, dice.choice((0, 1, 2, dice.randrange(60), dice.randrange(60))))
        _check_integrity(db_path)
    _one(db_path, acks, kills, None)
    print(json.dumps({"kills": kills, "runs": len(acks.runs), "steps": sum(map(len, acks.steps.values()))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
