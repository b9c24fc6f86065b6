"""Columns line up by what a terminal shows, fit into a narrow one, and nothing of a cell gets lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from openclaw.cli.layout import laid_out, padded, plain, spelled_out, width, wrapped

ROWS = [("main", "a sentence of several words"), ("日本語", "two")]


def test_wide_letters_take_two_columns_and_marks_none() -> None:
    assert width("日本") == 4
    assert width("e\u0301") == 1
    assert padded("日", 4) == "日  "
    head, lines = laid_out(["NAME", "TEXT"], ROWS, None)
    assert head == ["NAME    TEXT"]
    assert lines == ["main    a sentence of several words", "日本語  two"]


def test_a_last_column_that_does_not_fit_is_wrapped_below_itself() -> None:
    head, lines = laid_out(["NAME", "TEXT"], ROWS, 30)
    assert head == ["NAME    TEXT"]
    assert lines == ["main    a sentence of several", "        words", "日本語  two"]


def test_where_no_column_is_left_each_row_takes_lines_of_its_own() -> None:
    head, lines = laid_out(["NAME", "MUCH", "TEXT"], [("main", "", "one two three four five six"), ("x", "y", "z")], 22)
    assert head == []
    assert lines == [
        "NAME  main",
        "TEXT  one two three",
        "      four five six",
        "",
        "NAME  x",
        "MUCH  y",
        "TEXT  z",
    ]


def test_a_strangers_text_moves_no_cursor() -> None:
    assert plain("a\x1b[2Jb\r\n\u202ec") == "a\\x1b[2Jb\\r\\n\\u202ec"
    assert plain("日本\u3000é") == "日本\u3000é"
    assert spelled_out("one\n\ttwo\x07") == "one\n\ttwo\\x07"


@given(st.lists(st.text("ab 日", max_size=20), min_size=3, max_size=3), st.integers(1, 60))
def test_no_width_loses_a_word(row: list[str], columns: int) -> None:
    head, lines = laid_out(["ONE", "TWO", "THREE"], [row], columns)
    said = " ".join([*head, *lines]).split()
    assert [word for cell in row for word in cell.split()] == [
        word for word in said if word not in ("ONE", "TWO", "THREE")
    ]


@given(st.text("ab 日", max_size=60), st.integers(1, 20))
def test_a_wrapped_text_is_the_text(text: str, columns: int) -> None:
    lines = wrapped(text, columns)
    assert " ".join(lines).split() == text.split()
    assert all(width(line) <= columns or " " not in line.strip() for line in lines)
