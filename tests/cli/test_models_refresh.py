"""`openclaw models refresh` takes a newer catalog, and every later command reckons with it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from openclaw.models.catalog import builtin
from tests.cli.conftest import Run

ROW = {"provider": "fake", "id": "echo", "context_tokens": 9}
PRICED = {"provider": "openai", "id": "gpt-6-sol", "input_usd_micros": 1_500_000, "output_usd_micros": 7_000_000}


def catalog(path: Path, date: str) -> str:
    path.write_bytes(msgspec.json.encode({"date": date, "sources": [], "defaults": {}, "models": [ROW, PRICED]}))
    return str(path)


def next_day() -> str:
    """The day after the program's own catalog: later than that is the future while the program is new."""
    from datetime import date, timedelta

    return (date.fromisoformat(builtin().date) + timedelta(days=1)).isoformat()


def test_a_newer_catalog_is_kept_and_used(command: Run, home: Path, tmp_path: Path) -> None:
    (home / "openclaw.json").write_text('{ models: { providers: { openai: { apiKey: "k" } } } }')
    source = catalog(tmp_path / "new.json", next_day())
    assert command("models", "refresh", "--from", source).out.startswith("Kept the catalog")
    assert (home / "model-catalog.json").exists()
    listed = command("models", "list").out
    assert "1.5 in, 7 out" in listed
    assert "free" in listed
    again = command("models", "refresh", "--from", source, "--json").json
    assert again == {"date": next_day(), "previous": next_day(), "models": 1, "kept": False}


def test_the_configured_source_is_the_default(command: Run, home: Path, tmp_path: Path) -> None:
    source = catalog(tmp_path / "old.json", "2020-01-01")
    assert command("models", "refresh").code == 78
    (home / "openclaw.json").write_text(msgspec.json.encode({"models": {"catalogRefresh": {"url": source}}}).decode())
    done = command("models", "refresh")
    assert (done.code, "Nothing changed" in done.out) == (0, True)


def test_a_bad_catalog_is_refused(command: Run, home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    refused = command("models", "refresh", "--from", str(bad))
    assert (refused.code, "no model catalog" in refused.err) == (1, True)
    assert not (home / "model-catalog.json").exists()
