"""What the doctor says of settings alone: the table's own words, in one line each, cheap and without secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.config.changes.ledger import Ledger
from openclaw.ops.doctor.mend import mend
from openclaw.ops.doctor.summary import MAX_CHARS, remarks, settings_checks
from openclaw.ops.doctor.table import CHECKS, examine
from tests.ops.doctor.place import STRONG, Place
from tests.ops.doctor.test_every_check import ROWS, broken

AUTH = f"auth: {{token: '{STRONG}'}}"
HEAVY = ("apsw", "cryptography", "aiohttp", "openclaw.store.sqlite", "openclaw.processes.spawner")


def test_each_of_its_checks_is_one_of_the_tables() -> None:
    assert {check.run for check in CHECKS} > set(settings_checks())


@pytest.mark.parametrize(
    "id_", ["config.unknown-key", "config.deprecated", "gateway.refuses", "token.duplicate", "exposure.egress"]
)
def test_it_says_what_the_whole_doctor_says_of_the_settings(tmp_path: Path, id_: str) -> None:
    with broken(tmp_path, ROWS[id_]) as look:
        scene = look()
    whole = {one.id for one in examine(scene) if one.severity == ROWS[id_].severity}
    said = [one for one in remarks(scene.loaded) if one.id == id_]
    assert any(ROWS[id_].evidence in one.seen for one in said)
    assert {one.severity for one in said} == {ROWS[id_].severity}
    assert {one.id for one in said} <= whole


def test_errors_come_first_and_lines_and_secrets_of_the_file_are_left_out(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    origin = f"'https://me:{STRONG}@chat.example/a{'b' * MAX_CHARS}'"
    place.write(
        "openclaw.json",
        f"{{\n gateway: {{{AUTH}, controlUi: {{allowedOrigins: [{origin}]}}, port: 'x', nope: 1}},\n"
        f" networkPolicy: {{allowEgress: true}}, hooks: {{enabled: true, token: '{STRONG}'}} }}",
    )
    found = remarks(place.scene().loaded)
    assert [one.id for one in found] == [
        "config.invalid-value",
        "config.invalid-value",
        "token.duplicate",
        "config.unknown-key",
        "exposure.origins",
        "exposure.egress",
    ]
    assert STRONG not in str(found)
    assert all("\n" not in one.seen and len(one.seen) <= MAX_CHARS for one in found)
    assert not any("line " in one.seen for one in found)


def test_a_file_that_cannot_be_read_is_all_that_is_said() -> None:
    (said,) = remarks("line 1: this is\nno JSON5")
    assert (said.id, said.severity, said.seen) == ("config.file", "error", "line 1: this is no JSON5")


def test_it_brings_in_nothing_that_takes_long() -> None:
    code = "import sys; from openclaw.ops.doctor.summary import settings_checks; settings_checks(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY).intersection(done.stdout.split())


def test_a_fix_says_what_is_left_and_nothing_that_was_there_is_new(tmp_path: Path) -> None:
    place = Place(tmp_path).make()
    place.write(
        "openclaw.json",
        f"{{gateway: {{{AUTH}, controlUi: {{allowedOrigins: ['*']}}}}, networkPolicy: {{allowEgress: true}}}}",
    )
    mend(place.scene)
    (record,) = Ledger(place.state, ManualClock()).records()
    assert record.doctor is not None
    assert ([one.id for one in record.doctor.remarks], record.doctor.new()) == (["exposure.egress"], ())
