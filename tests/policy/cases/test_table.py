"""A table of cases: every line has one answer, and a bad one costs the others nothing."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.policy.cases import table
from openclaw.policy.cases.table import answer, answers, lines_of

GOOD = b'{"id":"a","kind":"dm","policy":{"allowFrom":[1]},"message":{"channel":"telegram","sender":"1"}}'


@pytest.mark.parametrize(
    "bad",
    [
        b"x",
        b"[]",
        b"null",
        b'{"id":1}',
        b'{"id":1,"kind":"door"}',
        b'{"id":1,"kind":["dm"]}',
        b'{"id":1,"kind":"../exec"}',
        b'{"id":1,"kind":"dm"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"kind":"dm","message":' + b'{"a":' * 50_000,
    ],
)
def test_a_bad_line_is_answered_and_the_rest_goes_on(bad: bytes) -> None:
    found = list(answers([GOOD, bad, b"  \n", GOOD]))
    assert [each.get("verdict") for each in found] == ["allow", None, "allow"]
    assert found[1]["error"]["code"]


def test_a_mark_of_byte_order_and_empty_members_say_nothing() -> None:
    marked, empty = answers([b"\xef\xbb\xbf" + GOOD + b"\r\n", GOOD[:-1] + b',"paired":null,"note":null}'])
    assert (marked["verdict"], empty["verdict"]) == ("allow", "allow")
    (ask,) = answers([b'{"kind":"exec","command":"rm a","argv":null,"workspace":"/srv/w","env":null}'])
    assert (ask["id"], ask["verdict"]) == (None, "ask")


def test_what_can_have_no_id_is_named_by_the_number_of_its_line() -> None:
    found = list(answers([GOOD, b"\n", b'{"id":3,', b"7"]))
    assert [each["error"]["message"].partition(" is ")[0] for each in found[1:]] == ["line 3", "line 4"]


def test_an_error_carries_the_id_of_its_line() -> None:
    assert answer(b'{"id":[1],"kind":"door"}')["id"] == [1]


def test_a_line_that_is_too_long_is_cut_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_LINE_BYTES", 200)
    found = list(answers(lines_of(io.BytesIO(b"x" * 10_000 + b"\n" + GOOD + b"\n" + b"y" * 500))))
    assert [each.get("verdict") or each["error"]["code"] for each in found] == ["TOO_LARGE", "allow", "TOO_LARGE"]


@given(st.binary(max_size=200))
def test_no_line_ends_the_table(line: bytes) -> None:
    msgspec.json.encode(list(answers([line])))
