"""The ledger's commands beside a real gateway: what it holds, and what tampering looks like."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.gateway_process import Place


def answer(place: Place, *arguments: str) -> tuple[int, Any]:
    done = place.run(*arguments, "--json")
    return done.returncode, json.loads(done.stdout)


def critical(place: Place) -> set[str]:
    _, told = answer(place, "security", "audit")
    return {one["checkId"] for one in told["findings"] if one["severity"] == "critical"}


def _change(db: sqlite3.Connection) -> None:
    first = "(SELECT min(seq) FROM audit WHERE kind = 'config')"
    db.execute(f"UPDATE audit SET body = replace(body, '\"config\"', '\"policy\"') WHERE seq = {first}")


def _forge(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM audit")
    db.execute("UPDATE audit_head SET seq = 0, hash = zeroblob(32), removed_seq = 0, removed_hash = zeroblob(32)")


@pytest.mark.parametrize(
    ("damage", "doctor_id", "audit_id"),
    [(_change, "audit.chain", "ledger.chain_broken"), (_forge, "audit.head", "ledger.chain_replaced")],
)
def test_what_was_done_is_told_and_tampering_is_found_everywhere(
    tmp_path: Path, damage: Callable[[sqlite3.Connection], None], doctor_id: str, audit_id: str
) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    with place.serving("gateway"):
        assert place.run("config", "set", "identity.name", "Ann").returncode == 0
        assert place.run("gateway", "token", "rotate").returncode == 0
        assert place.run("devices", "list").returncode == 0
    with place.serving("gateway"):  # its start writes the head to the log
        code, found = answer(place, "audit", "verify")
        assert (code, found["ok"], found["headsInLog"]) == (0, True, 2)
        assert found["rows"] >= 2, (answer(place, "audit", "query"), answer(place, "config", "history"))
        _, rows = answer(place, "audit", "query")
        acts = {(row["kind"], row["action"], row.get("facts", {}).get("settings", "")) for row in rows}
        assert ("config", "cli: config set", "identity.name") in acts
        assert ("identity", "credential replaced", "") in acts
        _, status = answer(place, "status")
        assert status["audit"].startswith(f"{found['rows']} row")
    assert critical(place) == set()
    head = f"{found['head']['seq']}:{found['head']['hash']}"
    assert answer(place, "audit", "verify", "--head", head)[0] == 0
    code, other = answer(place, "audit", "verify", "--head", f"1:{'0' * 64}")
    assert (code, other["at"]) == (1, 1)
    archive = str(tmp_path / "archive")
    with sqlite3.connect(place.state / "openclaw.db") as db:
        damage(db)
    db.close()
    assert answer(place, "audit", "verify")[0] == 1
    code, told = answer(place, "doctor", "audit")
    assert (code, [one["id"] for one in told["findings"]]) == (1, [doctor_id])
    assert critical(place) == {audit_id}
    if audit_id == "ledger.chain_broken":
        assert place.run("backup", "create", "-d", archive).returncode == 0
        code, told = answer(place, "backup", "verify", "latest", "-d", archive)
        assert (code, told["ok"]) == (1, False)
        assert "was changed" in told["auditProblem"]
