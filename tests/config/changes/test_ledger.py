"""The records of changes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, NotFound, NotSupported
from openclaw.config.changes.ledger import KEPT, KEPT_DAYS, Ledger
from openclaw.config.changes.offline import Written, change, roll_back
from openclaw.config.changes.record import MAX_TOLD, ChangeRecord, Kept, Wish, by_user, user_name
from openclaw.config.env import Environment
from openclaw.config.load import Draft, Loaded
from openclaw.config.writing.apply import set_in
from openclaw.ops.doctor.summary import remarks
from tests.config.make import Home

WISH = Wish(method="fix: file-modes", owner="me", reason="because", ticket="T-1")


def write(home: Home, clock: ManualClock, path: str, value: object) -> Written:
    return change(home.paths(), home.env(), clock, WISH, lambda before: set_in(before, path, value), as_it_is, remarks)


def as_it_is(loaded: Loaded, draft: Draft | None = None) -> Loaded:
    return loaded


def test_a_change_without_a_gateway_leaves_the_whole_record_and_both_texts(home: Home) -> None:
    clock, old = ManualClock(), "{ gateway: { auth: { token: 'sekret-old' } } } // keep\n"
    home.write(old)
    record = write(home, clock, "gateway.auth.token", "sekret-new").record
    assert record is not None
    ledger = Ledger(home.state, clock)
    assert (
        ledger.records() == [record] == [ledger.get(record.id)] == [ledger.get("last")] == [ledger.get(record.id[:9])]
    )
    assert (record.method, record.owner, record.reason, record.ticket) == ("fix: file-modes", "me", "because", "T-1")
    assert (record.outcome, record.valid, record.at_ms) == ("written", True, clock.now_ms())
    assert [(each.path, each.reload) for each in record.plan] == [("gateway.auth.token", "live")]
    assert [each.path for each in record.diff] == ["gateway.auth.token"]
    path = home.paths().config_path
    assert ledger.files(record.before) == {path: old.encode()}
    assert ledger.files(record.after) == {path: old.replace("old", "new").encode()}
    assert "sekret" not in (ledger.folder / f"{record.id}.json").read_text()
    made = [home.state / "snapshots", *(home.state / "snapshots").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}


def test_the_first_file_has_no_text_before_it(home: Home) -> None:
    clock = ManualClock()
    record = write(home, clock, "gateway.port", 5).record
    assert record is not None
    assert record.before == ()
    with pytest.raises(NotFound, match="there was no file"):
        rolled_back(home, clock, record.id)


def test_a_section_that_came_is_told_setting_by_setting(home: Home) -> None:
    record = write(home, ManualClock(), "gateway", {"port": 5, "auth": {"token": "sekret"}}).record
    assert record is not None
    assert [(each.path, each.new) for each in record.diff] == [
        ("gateway.port", 5),
        ("gateway.auth.token", "__OPENCLAW_REDACTED__"),
    ]


def test_nothing_to_change_leaves_no_record(home: Home) -> None:
    clock = ManualClock()
    home.write("{ gateway: { port: 5 } }")
    assert write(home, clock, "gateway.port", 5).record is None
    assert Ledger(home.state, clock).records() == []


def test_what_makes_something_worse_is_neither_written_nor_recorded(home: Home) -> None:
    clock, text = ManualClock(), "{ gateway: { port: 5 } }"
    home.write(text)
    with pytest.raises(ConfigError, match="Nothing was written"):
        write(home, clock, "gateway.port", "many")
    with pytest.raises(ConfigError, match="would listen beyond this machine"):
        write(home, clock, "gateway.bind", "lan")
    home.variables["OPENCLAW_CONFIG_READONLY"] = "1"
    with pytest.raises(NotSupported):
        write(home, clock, "gateway.port", 6)
    assert home.paths().config_path.read_text() == text
    assert Ledger(home.state, clock).records() == []


def test_a_file_that_changes_meanwhile_is_left_alone(home: Home) -> None:
    home.write("{}")

    def rewrite(_: object) -> str:
        home.write("{ gateway: { port: 7 } }")
        return "{ gateway: { port: 8 } }"

    with pytest.raises(Conflict):
        change(home.paths(), home.env(), ManualClock(), WISH, rewrite, as_it_is, remarks)
    assert home.load().config.gateway.port == 7


def test_a_large_change_is_told_in_part(home: Home) -> None:
    clock, names = ManualClock(), {f"n{number}": {"baseUrl": "http://x"} for number in range(MAX_TOLD + 9)}
    home.write("{ models: { providers: {} } }")
    record = write(home, clock, "models.providers", names).record
    assert record is not None
    assert (len(record.diff), record.more) == (MAX_TOLD, True)


def test_old_records_go_by_count_and_by_age_and_take_their_texts_along(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # two hundred times
    clock = ManualClock()
    ledger = Ledger(home.state, clock)
    first = write(home, clock, "gateway.port", 1000).record
    assert first is not None
    with ledger.lock():
        for number in range(1, KEPT + 6):
            clock.advance(2)
            kept = ledger.keep({Path("/x"): b"%d" % number})
            ledger.put(_copy(first, ledger.new_id(), clock, number, kept))
        assert len(ledger.records()) == KEPT
        assert len(list((ledger.folder / "texts").iterdir())) == KEPT + 1  # and the configuration as it is
        clock.advance((KEPT_DAYS + 1) * 86_400)
        last = _copy(first, ledger.new_id(), clock, 0, ())
        ledger.put(last)
    assert ledger.records() == [last]
    assert len(list((ledger.folder / "texts").iterdir())) == 1


def test_old_records_go_when_they_take_too_much_of_the_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw.config.changes.ledger.KEPT_BYTES", 3000)
    clock = ManualClock()
    home.write("{}")
    for number in range(9):
        home.write(f"{{ gateway: {{ port: {1000 + number} }} }} // {'x' * 900}")
        clock.advance(1)
        assert write(home, clock, "gateway.port", 2000 + number).record is not None
    ledger = Ledger(home.state, clock)
    assert 1 <= len(ledger.records()) <= 3
    assert sum(each.stat().st_size for each in (ledger.folder / "texts").iterdir()) <= 4000
    rolled_back(home, clock, "last")


def _copy(
    record: ChangeRecord, record_id: str, clock: ManualClock, number: int, kept: tuple[Kept, ...]
) -> ChangeRecord:
    return msgspec.structs.replace(record, id=record_id, at_ms=clock.now_ms(), reason=str(number), after=kept)


def rolled_back(home: Home, clock: ManualClock, change_id: str) -> Written:
    return roll_back(home.paths(), home.env(), clock, Wish(method="back"), change_id, as_it_is, remarks)


def test_an_id_that_names_none_or_several_is_said(home: Home) -> None:
    clock = ManualClock()
    ledger = Ledger(home.state, clock)
    with pytest.raises(NotFound, match="no change 'last'"):
        ledger.get("last")
    write(home, clock, "gateway.port", 1000)
    write(home, clock, "gateway.port", 1001)
    with pytest.raises(InvalidRequest, match="Several changes"):
        ledger.get("1970" if ledger.records()[0].id.startswith("1970") else ledger.records()[0].id[:4])
    for unsafe in ("", "../../x", "*"):
        with pytest.raises(NotFound):
            ledger.get(unsafe)


def test_a_damaged_record_hides_no_other(home: Home) -> None:
    clock = ManualClock()
    write(home, clock, "gateway.port", 1000)
    ledger = Ledger(home.state, clock)
    (ledger.folder / "20200101-000000-abcd.json").write_text("{")
    assert len(ledger.records()) == 1
    with pytest.raises(NotFound, match="cannot be read"):
        ledger.get("20200101-000000-abcd")


def test_whoever_became_root_is_named_as_who_they_are() -> None:
    env = Environment((("process", {"SUDO_USER": "ann", "USER": "root"}),))
    assert by_user(WISH, env).owner == "ann"
    assert by_user(WISH, Environment(())).owner == user_name(os.getuid())
    assert user_name(2**30) == "uid 1073741824"
