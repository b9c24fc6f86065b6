"""Every change of the files leaves a record: by hand, half-way, of several files, and taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, NotSupported
from openclaw.config.changes.book import FILE_EDIT, Book, side_of
from openclaw.config.changes.offline import Written, change, roll_back
from openclaw.config.changes.record import (
    MAX_TOLD,
    WRITTEN,
    ChangeRecord,
    Remark,
    Side,
    Wish,
    make_record,
    user_name,
)
from openclaw.config.load import Draft, Loaded, load, read_files
from openclaw.config.redaction.redact import PLACEHOLDER
from openclaw.config.writing.apply import set_in
from openclaw.config.writing.commit import write_file
from openclaw.ops.doctor.summary import remarks
from tests.config.make import Home

MAIN = "{ // ours\n  gateway: { port: 1000, auth: { token: 'sekret' } }, identity: { $include: 'part.json5' },\n}\n"
PART = "{ name: 'One' /* theirs */ }\n"


def as_it_is(loaded: Loaded, draft: Draft | None = None) -> Loaded:
    return loaded


class House:
    """A configuration of two files, and what changes it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = ManualClock()
        self.main, self.part = home.paths().config_path, home.state / "part.json5"
        home.write(MAIN)
        self.part.write_text(PART)
        self.part.chmod(0o600)
        self.book = Book(home.paths(), self.clock, remarks)
        self.look()

    def side(self) -> Side:
        try:
            return side_of(load(self.home.paths(), self.home.env()))
        except ConfigError as error:
            return error.message

    def look(self, outcome: str = "applied", reason: str = "") -> ChangeRecord | None:
        self.clock.advance(1)
        return self.book.look(self.home.env(), self.side(), outcome, reason=reason)

    def set(self, path: str, value: object) -> Written:
        self.clock.advance(1)
        wish = Wish(method="cli: config set")
        paths, env = self.home.paths(), self.home.env()
        return change(paths, env, self.clock, wish, lambda before: set_in(before, path, value), as_it_is, remarks)

    def back(self, record: ChangeRecord | None) -> ChangeRecord | None:
        assert record is not None
        self.clock.advance(1)
        wish = Wish(method="back")
        return roll_back(self.home.paths(), self.home.env(), self.clock, wish, record.id, as_it_is, remarks).record

    def files(self) -> dict[Path, bytes]:
        return dict(read_files(self.main))

    def told(self) -> list[tuple[str, str]]:
        return [(each.method, each.outcome) for each in self.book.ledger.records()]


@pytest.fixture
def house(home: Home) -> House:
    return House(home)


def test_what_was_changed_by_hand_gets_a_record_with_all_that_belongs_to_one(house: House) -> None:
    before = house.files()
    assert house.look() is None
    house.main.write_text(MAIN.replace("1000", "2000").replace("sekret", "another"))
    record = house.look(reason="noticed at the start; the file is of ")
    assert record is not None
    assert (record.method, record.owner) == (FILE_EDIT, f"{user_name(os.getuid())} (owns the file)")
    assert [each.path for each in record.diff] == ["gateway.port", "gateway.auth.token"]
    assert [(each.path, each.reload) for each in record.plan] == [
        ("gateway.port", "process"),
        ("gateway.auth.token", "live"),
    ]
    assert (record.valid, record.outcome, record.file) == (True, "applied", str(house.main))
    assert record.reason.endswith(" UTC")
    assert house.book.ledger.files(record.before) == before
    assert house.book.ledger.files(record.after) == house.files()
    assert "sekret" not in str(record)
    assert house.look() is None


def test_a_change_of_an_included_file_is_recorded_told_and_taken_back_byte_for_byte(house: House) -> None:
    before = house.files()
    house.part.write_text(PART.replace("One", "Two"))
    record = house.look()
    assert record is not None
    assert [(each.path, each.old, each.new) for each in record.diff] == [("identity.name", "One", "Two")]
    assert record.file == str(house.part)
    after = house.files()
    back = house.back(record)
    assert house.files() == before
    assert house.side().config.identity.name == "One"  # type: ignore[union-attr]
    house.back(back)
    assert house.files() == after


def test_an_included_file_that_is_gone_comes_back_and_one_that_is_foreign_by_now_is_kept(house: House) -> None:
    before = house.files()
    house.main.write_text("{ gateway: { port: 1000 } }")
    house.part.write_text("somebody else's")
    alone = house.look()
    back = house.back(alone)
    assert house.files() == before
    house.back(back)
    assert (house.main.read_text(), house.part.read_text()) == ("{ gateway: { port: 1000 } }", "somebody else's")
    house.back(alone)
    house.part.unlink()
    house.look("refused: no such file")
    house.back(house.book.ledger.get("last"))
    assert house.files() == before


def test_a_file_that_was_broken_by_hand_is_recorded_as_refused_and_taken_back(house: House) -> None:
    before = house.files()
    house.main.write_text("{ broken")
    record = house.look("refused: it cannot be parsed")
    assert record is not None
    assert (record.valid, record.diff, record.plan) == (False, (), ())
    assert "cannot be parsed" in record.issues[0]
    assert house.book.ledger.files(record.after) == {house.main: b"{ broken"}
    back = house.back(record)
    assert house.files() == before
    assert back is not None
    with pytest.raises(ConfigError):  # to what cannot be read there is no way back
        house.back(back)
    assert house.files() == before


def test_a_change_by_a_command_records_what_was_edited_before_it(house: House) -> None:
    house.main.write_text(MAIN.replace("ours", "by hand"))
    edited = house.files()
    record = house.set("gateway.port", 3000).record
    assert record is not None
    assert house.told() == [("cli: config set", WRITTEN), (FILE_EDIT, WRITTEN)]
    assert house.book.ledger.files(record.before) == edited
    assert house.look("applied") is None
    assert house.told() == [("cli: config set", "applied"), (FILE_EDIT, "applied")]


def test_a_refusal_is_told_of_the_last_change_only(house: House) -> None:
    house.set("gateway.port", 3000)
    house.set("gateway.port", 3001)
    house.look("refused: no")
    assert [outcome for _, outcome in house.told()] == ["refused: no", WRITTEN]


def test_what_changes_again_while_it_is_looked_at_is_left_for_the_next_look(house: House) -> None:
    house.main.write_text(MAIN.replace("1000", "2000"))
    side = house.side()
    house.main.write_text(MAIN.replace("1000", "3000"))
    assert house.book.look(house.home.env(), side, "applied") is None
    record = house.look()
    assert record is not None
    assert [each.new for each in record.diff] == [3000]


def test_of_two_writers_that_began_with_the_same_file_one_wins(house: House) -> None:
    both, results = threading.Barrier(2), list[object]()

    def write(port: int) -> None:
        def rewrite(before: Loaded) -> str:
            both.wait()
            return set_in(before, "gateway.port", port)

        try:
            wish = Wish(method=str(port))
            results.append(change(house.home.paths(), house.home.env(), house.clock, wish, rewrite, as_it_is, remarks))
        except Conflict as error:
            results.append(error)

    threads = [threading.Thread(target=write, args=(port,)) for port in (4000, 5000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = (each for each in results if isinstance(each, Written))
    assert sum(isinstance(each, Conflict) for each in results) == 1
    assert house.home.load().config.gateway.port == won.after.config.gateway.port
    assert len(house.told()) == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from openclaw.base.clock import ManualClock
from openclaw.config.changes import book
from openclaw.config.changes.offline import roll_back
from openclaw.config.changes.record import Wish
from openclaw.ops.doctor.summary import remarks
from tests.config.changes.test_book import as_it_is
from tests.config.make import Home

state, change_id, stage = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
real, written = book.write_file, []

def dying(*args, **more):
    if len(written) == stage:
        os.kill(os.getpid(), signal.SIGKILL)
    real(*args, **more)
    written.append(args)

book.write_file = dying
home = Home.__new__(Home)
home.folder, home.state = state.parent, state
home.variables = {"HOME": str(state.parent), "OPENCLAW_STATE_DIR": str(state)}
if stage == 2:
    book.Book._end = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
roll_back(home.paths(), home.env(), ManualClock(1_900_000_000_000), Wish(method="back"), change_id, as_it_is, remarks)
"""


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        (0, "broken off: nothing was written"),
        (1, "broken off: what had been written by then stands"),
        (2, WRITTEN),
    ],
)
def test_a_writer_that_is_killed_leaves_whole_files_and_a_record_that_says_so(
    house: House, stage: int, outcome: str
) -> None:
    old = house.files()
    house.main.write_text(MAIN.replace("1000", "2000"))
    house.part.write_text(PART.replace("One", "Two"))
    edit = house.look()
    assert edit is not None
    new = house.files()
    command = [sys.executable, "-c", _KILLED, str(house.home.state), edit.id, str(stage)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    now = house.files()
    assert all(data in (old[path], new[path]) for path, data in now.items())
    assert sum(now[path] == old[path] for path in now) == stage
    house.look("applied")
    record = house.book.ledger.get("last")
    assert record.method == "back"
    assert record.outcome == ("applied" if outcome == WRITTEN else outcome)
    assert house.book.ledger.files(record.after) == now
    house.back(record)
    assert house.files() == new


def test_what_fails_half_way_is_put_back_and_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.main.write_text(MAIN.replace("1000", "2000"))
    house.part.write_text(PART.replace("One", "Two"))
    edit = house.look()
    after = house.files()

    def full(path: Path, *args: object, **more: object) -> None:
        if path == house.main:
            raise OSError(28, "No space left on device")
        write_file(path, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("openclaw.config.changes.book.write_file", full)
    with pytest.raises(OSError, match="No space"):
        house.back(edit)
    assert house.files() == after
    assert house.told()[0] == ("back", "reverted: [Errno 28] No space left on device")


def test_no_writer_of_the_book_writes_in_read_only_mode_or_a_placeholder(house: House) -> None:
    record = house.set("gateway.port", 5000).record
    assert record is not None
    files, told = house.files(), house.told()
    after = house.side()
    assert isinstance(after, Loaded)
    wish = Wish(method="x")
    text = f"{{ gateway: {{ auth: {{ token: '{PLACEHOLDER}' }} }} }}".encode()
    house.clock.advance(1)
    with pytest.raises(InvalidRequest, match=PLACEHOLDER):
        house.book.write(wish, house.home.env(), after, after, {house.main: text})
    assert house.told() == [("x", f"reverted: {house.book.ledger.get('last').outcome[10:]}"), *told]
    house.home.variables["OPENCLAW_CONFIG_READONLY"] = "1"
    for attempt in (lambda: house.set("gateway.port", 6000), lambda: house.back(record)):
        with pytest.raises(NotSupported):
            attempt()
    with pytest.raises(NotSupported):
        house.book.write(wish, house.home.env(), after, after, {house.main: b"{}"})
    assert house.files() == files


def test_another_file_is_no_edit_of_this_one(house: House) -> None:
    house.home.variables["OPENCLAW_CONFIG_PATH"] = str(other := house.home.folder / "other.json5")
    other.write_text("{}")
    elsewhere = Book(house.home.paths(), house.clock, remarks)
    assert elsewhere.look(house.home.env(), house.side(), "applied") is None
    other.write_text("{ ui: {} }")
    assert elsewhere.look(house.home.env(), house.side(), "applied") is not None
    del house.home.variables["OPENCLAW_CONFIG_PATH"]
    assert house.look() is None


def test_an_edit_in_the_middle_of_a_write_is_noticed_after_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, *args: object, **more: object) -> None:
        write_file(path, *args, **more)  # type: ignore[arg-type]
        house.part.write_text(PART.replace("One", "Two"))

    monkeypatch.setattr("openclaw.config.changes.book.write_file", interrupted)
    made = house.set("gateway.port", 3000).record
    assert made is not None
    edit = house.look()
    assert edit is not None
    assert (edit.before, [each.path for each in edit.diff]) == (made.after, ["identity.name"])


def test_an_edit_after_a_writer_was_killed_is_told_apart_from_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr("openclaw.config.changes.book.write_file", killed)
    monkeypatch.setattr(Book, "_end", killed)
    with pytest.raises(SystemExit):
        house.set("gateway.port", 3000)
    monkeypatch.undo()
    house.part.write_text(PART.replace("One", "Two"))
    house.look()
    assert house.told() == [(FILE_EDIT, "applied"), ("cli: config set", "broken off: nothing was written")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_changes_stays_its_owners(house: House) -> None:
    for path in (house.home.state, *house.home.state.rglob("*")):
        os.chown(path, 4242, 4242)
    house.set("gateway.port", 3000)
    assert {path.stat().st_uid for path in house.home.state.rglob("*")} == {4242}


def test_records_of_another_file_are_not_put_in_place_of_this_one(house: House) -> None:
    record = house.set("gateway.port", 5000).record
    assert record is not None
    house.home.variables["OPENCLAW_CONFIG_PATH"] = str(other := house.home.folder / "other.json5")
    other.write_text("{}")
    with pytest.raises(ConfigError, match="is one of") as caught:
        house.back(msgspec.structs.replace(record))
    assert "OPENCLAW_CONFIG_PATH" in caught.value.hint
    assert other.read_text() == "{}"


def _summary(before: Side, after: Side, said: dict[int, list[str]]) -> tuple[int, int, list[tuple[str, bool]]]:
    def doctor(side: Side) -> list[Remark]:
        return [Remark(id=one, severity="error" if one < "n" else "warning", seen=one) for one in said[id(side)]]

    record = make_record(Wish(method="m"), before, after, doctor, file=Path("f"), record_id="1", at_ms=1)
    assert record.doctor is not None
    told = [(one.id, one.new) for one in record.doctor.remarks]
    return record.doctor.errors, record.doctor.warnings, told


def test_a_record_counts_what_the_doctor_minds_and_marks_what_is_new(home: Home) -> None:
    one, two, broken = home.load("{}"), home.load("{ui: {}}"), "cannot be read"
    said = {id(one): ["old", "gone"], id(two): ["old", "new", "bad"], id(broken): ["file"]}
    assert _summary(one, two, said) == (1, 2, [("new", True), ("bad", True), ("old", False)])
    assert _summary(one, one, said) == (1, 1, [("old", False), ("gone", False)])
    assert _summary(one, broken, said) == (1, 0, [("file", True)])
    assert _summary(broken, two, said) == (1, 2, [("old", False), ("new", False), ("bad", False)])
    said[id(two)] = [f"x{number}" for number in range(2 * MAX_TOLD)]
    errors, warnings, told = _summary(one, two, said)
    assert (errors, warnings, len(told)) == (0, 2 * MAX_TOLD, MAX_TOLD)


def test_what_was_changed_by_hand_is_looked_at_by_the_doctor_too(house: House) -> None:
    house.main.write_text(MAIN.replace("},\n}", "},\n networkPolicy: { allowEgress: true } }"))
    record = house.look()
    assert record is not None
    assert record.doctor is not None
    assert [one.id for one in record.doctor.new()] == ["exposure.egress"]
    assert "gateway.token" in [one.id for one in record.doctor.remarks], "that it is weak is not new"
    back = house.back(record)
    assert back is not None
    assert back.doctor is not None
    assert back.doctor.new() == ()
