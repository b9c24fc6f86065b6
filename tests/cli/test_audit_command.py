"""`openclaw audit export` into a file: whole, or nothing there."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.ledger import Ledger
from openclaw.store.sqlite import SqliteStore
from tests.cli.conftest import Run


@pytest.fixture
def two_rows(home: Path) -> None:
    async def write() -> None:
        store = await SqliteStore.open(home / "openclaw.db", clock=SYSTEM_CLOCK)
        ledger = Ledger(store.audit, SYSTEM_CLOCK)
        for action in ("one", "two"):
            await ledger.note(LOCAL_OPERATOR, "policy", action)
        await store.close()

    anyio.run(write)


def test_without_a_store_no_file_is_made(command: Run, tmp_path: Path) -> None:
    ran = command("audit", "export", "--out", str(tmp_path / "rows"))
    assert (ran.code, "Code: NOT_FOUND" in ran.err, (tmp_path / "rows").exists()) == (1, True, False)


def test_a_store_without_a_ledger_is_said(command: Run, home: Path) -> None:
    (home / "openclaw.db").touch()
    for words in (("verify",), ("query",), ("tail",), ("export",)):
        ran = command("audit", *words)
        assert (ran.code, "has no ledger" in ran.err) == (1, True)
    assert command("policy", "egress", "observed").code == 0


@pytest.mark.usefixtures("two_rows")
def test_rows_go_into_a_new_file_alone(command: Run, tmp_path: Path) -> None:
    file = tmp_path / "rows"
    assert command("audit", "export", "--out", str(file)).out == f"2 rows written to {file}.\n"
    kept = file.read_bytes()
    assert kept.count(b"\n") == 2
    ran = command("audit", "export", "--out", str(file))
    assert (ran.code, "Code: CONFLICT" in ran.err, file.read_bytes()) == (1, True, kept)
    assert "there is no folder" in command("audit", "export", "--out", str(tmp_path / "no" / "rows")).err
    assert command("audit", "export", "--kind", "node", "--out", str(tmp_path / "none")).out.startswith("0 rows")
    assert "s3://" in command("audit", "export", "--to", "ftp://a.example/x").err
