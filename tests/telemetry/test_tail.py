"""A log is followed over its rotations: each line once, in order, and the reader is told when some are gone."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.telemetry.tail import NO_CURSOR, tail


def rotating(path: Path, max_bytes: int, files: int = 5) -> logging.handlers.RotatingFileHandler:
    return logging.handlers.RotatingFileHandler(path, maxBytes=max_bytes, backupCount=files, encoding="utf-8")


def write(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.LogRecord("x", logging.INFO, "", 0, text, None, None))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bursts=st.lists(st.integers(0, 9), max_size=12))
def test_each_line_is_seen_once_over_rotations(bursts: list[int], tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    for old in tmp_path.glob("x.log*"):
        old.unlink()
    handler = rotating(path, 60, files=50)  # six lines a file
    cursor, seen, written = NO_CURSOR, [], 0
    try:
        for burst in bursts:
            for _ in range(burst):
                write(handler, f"line {written:04}")
                written += 1
            page = tail(path, cursor, 5000, 1_000_000)
            assert not page["truncated"]
            seen += page["lines"]
            cursor = page["cursor"]
    finally:
        handler.close()
    assert seen == [f"line {number:04}" for number in range(written)]


def test_the_last_lines_come_from_the_rotated_file_when_the_current_one_is_short(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.with_name("x.log.1").write_text("a\nb\nc\n")
    path.write_text("d\n")
    page = tail(path, NO_CURSOR, 3, 1_000_000)
    assert (page["lines"], page["truncated"]) == (["b", "c", "d"], True)


def test_a_cursor_whose_file_is_gone_is_reset_and_loses_nothing_that_is_left(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("a\n")
    cursor = tail(path, NO_CURSOR, 10, 1000)["cursor"]
    keep = path.rename(tmp_path / "moved")  # keeps its inode from being given to the next file
    path.with_name("x.log.1").write_text("b\n")
    path.write_text("c\n")
    page = tail(path, cursor, 10, 1000)
    assert (page["lines"], page["reset"]) == (["b", "c"], True)
    assert keep.exists()


def test_a_page_is_cut_at_a_line_wherever_the_bytes_end(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.with_name("x.log.1").write_text("aaaa\nbbbb\n")
    path.write_text("cccc\ndddd\n")
    for most in range(1, 21):
        page = tail(path, NO_CURSOR, 100, most)
        assert page["lines"] == ["aaaa", "bbbb", "cccc", "dddd"][4 - most // 5 :]
        assert page["truncated"] is (most < 20)


def test_a_line_that_was_never_ended_does_not_swallow_the_next_files_first(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.with_name("x.log.1").write_text("a\nhalf")
    path.write_text("b\n")
    assert tail(path, NO_CURSOR, 100, 1000)["lines"] == ["a", "half", "b"]


def test_a_bare_offset_means_the_current_file(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.with_name("x.log.1").write_text("old\n")
    path.write_text("a\nb\n")
    page = tail(path, 2, 100, 1000)
    assert (page["lines"], page["reset"], page["size"]) == (["b"], False, 4)
    assert tail(path, 0, 100, 1000)["lines"] == ["a", "b"]
