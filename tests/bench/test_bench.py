"""The bench's arithmetic and its table. What it measures is nobody's test: no figure is asserted."""

from __future__ import annotations

import struct
import urllib.request
from pathlib import Path

import apsw
import msgspec
import pytest
from bench.doorless import TAKEN_OUT
from bench.durability import LogRestarted, commits, per_turn, row_counts
from bench.machine import cores, pinned
from bench.report import Aim, Row, added, as_json, figure, paired_ratio, quantile, table
from bench.socket_client import masked
from bench.stand_in import stand_ins
from bench.tools import ToolMissing, Tools
from bench.wires import wires

from openclaw.listeners.ws_frames import FrameReader

ROWS = (
    Row(family="turns", name="1 client, p50", unit="ms", samples=(3.0, 1.0, 2.0), direct=(1.0, 0.5, 0.5), aim=Aim(2)),
    Row(family="rest", name="RSS", unit="MB", samples=(70.0,), aim=Aim(60), steady=True, note="fresh"),
    Row(family="turns", name="64 clients", unit="/s", samples=(12345.6,), aim=Aim(600, at_least=True)),
)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    assert paired_ratio((10, 100, 30), (1, 100, 10)) == 3  # not 30 / 10 by chance: 10, 1 and 3
    assert paired_ratio((1, 2), (0, 4)) == 0.5
    assert paired_ratio((1,), ()) is None


def test_what_was_added_is_told_round_by_round() -> None:
    assert added((3, 5), (1, 1)) == (2, 4)
    with pytest.raises(ValueError, match="shorter"):
        added((1, 2), (1,))


def test_a_quantile_is_a_sample() -> None:
    assert quantile((5, 1, 3), 0.5) == 3
    assert quantile((5, 1, 3), 0.99) == 3
    assert quantile((5, 1, 3), 1) == 5


def test_an_aim_is_kept_from_its_own_side() -> None:
    assert [row.verdict for row in ROWS] == ["met", "missed", "met"]
    assert Row(family="", name="", unit="", samples=(1.0,)).verdict == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0.00"),
        (0.0123, "0.0123"),
        (0.456, "0.46"),
        (12.34, "12.3"),
        (123.4, "123"),
        (98765, "98 765"),
        (-2, "-2.00"),
    ],
)
def test_figures_have_about_three_digits(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_the_table_is_aligned_and_keeps_families_together() -> None:
    lines = table(ROWS).splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == ["turns", "rest"]
    first, second = lines[3], lines[4]
    assert first.split() == [
        "1",
        "client,",
        "p50",
        "2.00",
        "ms",
        "0.50",
        "×",
        "3.00",
        "≤",
        "2.00",
        "met",
        "1.00",
        "…",
        "3.00",
    ]
    assert first.index(" ms ") == second.index(" /s ")
    assert lines[-1].startswith("  RSS *")
    assert lines[-1].endswith("(fresh)")


def test_the_json_has_every_sample() -> None:
    told = msgspec.json.decode(as_json({"cores": 2}, ROWS))
    assert told["machine"] == {"cores": 2}
    assert told["rows"][0]["samples"] == [3.0, 1.0, 2.0]
    assert [row["verdict"] for row in told["rows"]] == ["met", "missed", "met"]


def _log(salts: bytes, *sizes_after: int, page_bytes: int = 512) -> bytes:
    head = struct.pack(">8sI4x", b"", page_bytes) + salts + bytes(8)
    frames = (struct.pack(">II", 1, size) + salts + bytes(8 + page_bytes) for size in sizes_after)
    return head + b"".join(frames)


def test_commits_are_the_frames_that_say_how_large_the_database_is() -> None:
    before, after = _log(b"saltsalt", 0, 3), _log(b"saltsalt", 0, 3, 0, 0, 4, 5)
    left_over = _log(b"oldoldol", 9, 9)[32:]
    assert commits(after + left_over) == (b"saltsalt", 3)
    assert per_turn(commits(before), commits(after), 2) == 1
    assert commits(b"") == (b"", 0)


def test_a_log_that_began_anew_is_not_counted() -> None:
    with pytest.raises(LogRestarted):
        per_turn(commits(_log(b"saltsalt", 1)), commits(_log(b"newnewne", 1, 1)), 1)


@pytest.mark.parametrize("text", ["{}", "x" * 125, "x" * 126, "ä" * 5000])
def test_frames_of_the_generator_are_read_by_the_server(text: str) -> None:
    found: list[tuple[int, bytes]] = []
    FrameReader(limit=1 << 16).feed(masked(text), found)
    assert found == [(1, text.encode())]


def test_missing_tools_are_named(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match=r"loadgen\.c.*OPENCLAW_BENCH_TOOLS"):
        Tools(tmp_path, None)


def test_every_door_that_the_bench_takes_out_stands_where_it_looks_for_it() -> None:
    assert [name for room, name, _ in TAKEN_OUT if not callable(getattr(room, name, None))] == []


def test_being_pinned_ends() -> None:
    before = cores()
    with pinned(before.gateway):
        pass
    assert cores() == before


def test_rows_are_counted_table_by_table(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / "some.db"))
    db.execute("CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO b VALUES (1), (2); ANALYZE")
    db.close()
    assert row_counts(tmp_path / "some.db") == {"a": 0, "b": 2}


def test_each_wires_stand_in_streams_what_the_generator_waits_for() -> None:
    with stand_ins(None) as found:
        for wire in wires(0, found):
            if wire.slow:
                asked = urllib.request.Request(
                    wire.root + wire.path,
                    msgspec.json.encode(wire.body),
                    {"Authorization": f"Bearer {wire.key}", "Content-Type": "application/json"},
                )
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    assert wire.marker.encode() in answer.read()
