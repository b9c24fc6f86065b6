"""Patterns of words: what they match, how they are written, and that they take no regular expression."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.policy.exec.pattern import Glob, quoted, words


def glob(text: str) -> Glob:
    found = words(text)
    assert found is not None
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("pattern", "word", "path", "matches"),
    [
        ("abc", "abc", False, True),
        ("abc", "abcd", False, False),
        ("a*", "a", False, True),
        ("a*", "a/b", False, True),
        ("/usr/*/ls", "/usr/bin/ls", True, True),
        ("/usr/*", "/usr/bin/ls", True, False),
        ("/usr/**", "/usr/bin/ls", True, True),
        ("/usr/?", "/usr//", True, False),
        ("'*'", "*", False, True),
        ("'*'", "a", False, False),
        (r"\*a", "*a", False, True),
        ("[ab]", "a", False, False),
        ("[ab]", "[ab]", False, True),
        ("a?c", "abc", False, True),
        ("a?c", "ac", False, False),
        ("*", "", False, True),
        ("''", "", False, True),
    ],
)
def test_a_pattern_matches_whole_words(pattern: str, word: str, path: bool, matches: bool) -> None:
    assert glob(pattern).matches(word, path=path) is matches


@given(st.text("ab*?/", max_size=8), st.text("ab/", max_size=10), st.booleans())
def test_it_agrees_with_the_obvious_expression(pattern: str, word: str, path: bool) -> None:
    if not pattern:
        return
    one = "[^/]" if path else "."
    stars = re.sub(r"\*+", lambda run: ".*" if len(run.group()) > 1 else f"{one}*", pattern).replace("?", one)
    assert glob(pattern).matches(word, path=path) == bool(re.fullmatch(stars, word))


@given(st.lists(st.text(), max_size=4))
def test_quoted_words_come_back_and_match_themselves_alone(texts: list[str]) -> None:
    found = words(" ".join(quoted(text) for text in texts))
    assert found is not None
    assert [each.exact for each in found] == texts
    assert not any(each.signed for each in found)


def test_an_unclosed_quote_makes_no_pattern() -> None:
    assert words("ls 'a") is None
    assert words("ls \\") is None


def test_a_long_word_against_many_stars_is_decided_in_one_pass() -> None:
    assert not glob("*a" * 500 + "b").matches("a" * 20_000)
