"""`openclaw policy egress`: a verdict beforehand, and the ledger against the lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.store.lock import StateLock
from openclaw.store.sqlite import SqliteStore
from tests.cli.conftest import Run
from tests.policy.egress.test_observed import row

pytestmark = pytest.mark.anyio


def write(home: Path, **policy: Any) -> None:
    path = home / "openclaw.json"
    path.write_text(json.dumps({"networkPolicy": policy}))
    path.chmod(0o600)


def test_a_verdict_is_explained_and_nothing_is_looked_up_without_being_asked(home: Path, command: Run) -> None:
    write(home, egress_allowlist=["a.example", "localhost:9", "127.0.0.1:9"])
    assert command("policy", "egress", "test", "https://a.example/x").code == 0
    refused = command("policy", "egress", "test", "https://b.example/", "--json")
    assert refused.code == 1
    assert refused.json["rule"] == "egress.unlisted"
    assert "openclaw config set networkPolicy.egressAllowlist" in refused.json["reason"]
    assert refused.json["addresses"] == {}
    looked = command("policy", "egress", "test", "http://localhost:9/", "--lookup", "--json")
    assert "127.0.0.1" in looked.json["addresses"]["localhost"]
    assert command("policy", "egress", "test", "http://user@a.example/").code == 1
    assert command("policy", "egress", "test", "http://127.0.0.1:11434", "--configured").code == 0


async def test_the_ledger_is_compared_with_the_lists(home: Path, command: Run) -> None:
    assert command("policy", "egress", "observed").out == "The ledger has no request of that time.\n"
    lock = StateLock(home)
    lock.acquire()
    store = await SqliteStore.open(home / "openclaw.db", clock=SYSTEM_CLOCK, lock=lock)
    now_ms = SYSTEM_CLOCK.now_ms()
    rows = [row("a.example:443", at_ms=now_ms), row("b.example:443", "deny", at_ms=now_ms, action="tool web_fetch")]
    await store.audit.append([*rows, row("old.example:443", "deny", at_ms=now_ms - 90 * 86_400_000)] * 700)
    await store.close()
    lock.release()
    write(home, egressAllowlist=["a.example", "c.example"])
    found = command("policy", "egress", "observed", "--json").json
    assert [(each["host"], each["times"], each["answer"]) for each in found["seen"]] == [
        ("a.example", 700, "allow"),
        ("b.example", 700, "deny"),
    ]
    diff = command("policy", "egress", "observed", "--diff")
    assert diff.code == 1
    assert [line[:11] for line in diff.out.splitlines()] == ["+ b.example", "- c.example"]
    write(home, egressAllowlist=["a.example", "b.example"])
    assert command("policy", "egress", "observed", "--diff").code == 0
