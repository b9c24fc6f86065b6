"""A running gateway keeps the history of its configuration, whoever changes it and how."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.client.ws import GatewayClient
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.offline import roll_back
from openclaw.config.changes.record import ChangeRecord, Wish
from openclaw.config.env import load_environment
from openclaw.config.load import read_files
from openclaw.config.paths import resolve_paths
from openclaw.ops.doctor.summary import remarks
from tests.gateway.process import TOKEN, GatewayProcess, free_port

pytestmark = pytest.mark.anyio


class House:
    """A configuration of two files, and its history."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.main, self.part = folder / "openclaw.json", folder / "part.json5"
        self.main.touch(mode=0o600)
        self.main.write_text(
            f'{{ gateway: {{ port: {port}, auth: {{ token: "{TOKEN}" }} }}, // ours\n'
            ' agents: { defaults: { model: "fake/echo" } }, identity: { $include: "part.json5" } }'
        )
        self.part.touch(mode=0o600)
        self.part.write_text('{ name: "One" } // theirs')

    async def record(self, client: GatewayClient, wanted: Callable[[ChangeRecord], bool]) -> ChangeRecord:
        """Wait for a record at the head of the history; each look waits for the gateway's answer."""
        async with asyncio.timeout(10):
            while not (records := Ledger(self.folder, SYSTEM_CLOCK).records()) or not wanted(records[0]):
                await client.call("config.get")
        return records[0]

    def roll_back(self, record: ChangeRecord) -> None:
        env = load_environment(self.folder, None, {"OPENCLAW_STATE_DIR": str(self.folder), "HOME": str(self.folder)})
        roll_back(
            resolve_paths(env),
            env,
            SYSTEM_CLOCK,
            Wish(method="back"),
            record.id,
            lambda loaded, _=None: loaded,
            remarks,
        )


def _open_to_others(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.lstat().st_mode & 0o077]


async def _started(folder: Path, port: int) -> GatewayProcess:
    old = os.umask(0)
    try:
        running = await GatewayProcess.start(folder, port)
    finally:
        os.umask(old)
    await running.ready()
    return running


async def test_edits_by_hand_are_recorded_refused_taken_back_and_noticed_at_the_next_start(tmp_path: Path) -> None:
    port = free_port()
    house = House(tmp_path, port)
    before = read_files(house.main)
    running = await _started(tmp_path, port)
    try:
        async with await running.connect() as client:
            house.part.write_text('{ name: "Two" } // theirs')
            edit = await house.record(client, lambda record: record.outcome == "applied")
            assert [(each.path, each.old, each.new) for each in edit.diff] == [("identity.name", "One", "Two")]
            good = house.main.read_bytes()
            house.main.write_text("{ broken")
            refused = await house.record(client, lambda record: record.outcome.startswith("refused: "))
            assert (refused.method, refused.valid) == ("file edit", False)
            house.roll_back(refused)
            assert house.main.read_bytes() == good
            await house.record(client, lambda record: (record.method, record.outcome) == ("back", "applied"))
            house.roll_back(edit)
            assert read_files(house.main) == before
            await house.record(client, lambda record: len(record.diff) == 1 and record.outcome == "applied")
            assert (await client.call("config.get"))["runtimeConfig"]["identity"]["name"] == "One"
    finally:
        await running.stop()
    house.main.write_text(house.main.read_text().replace("fake/echo", "fake/fake-n3"))
    running = await _started(tmp_path, port)
    try:
        async with await running.connect() as client:
            last = await house.record(client, lambda record: record.method == "file edit")
            assert (last.outcome, [each.path for each in last.diff]) == ("applied", ["agents.defaults.model"])
            assert last.reason.startswith("noticed at the start")
            rows = (await client.call("audit.query", {"kinds": ["config"]}))["rows"]
            assert {row["action"] for row in rows} == {"file edit", "back"}
            assert rows[0]["facts"]["change"] == last.id
            assert rows[0]["facts"]["settings"] == "agents.defaults.model"
            told = json.dumps(rows)
            assert all(value not in told for value in ("fake-n3", '"Two"', '"One"', TOKEN))
    finally:
        await running.stop()
    assert _open_to_others(tmp_path) == ["gateway.out"]  # the test's own
    assert TOKEN not in "".join(map(str, Ledger(tmp_path, SYSTEM_CLOCK).records()))
