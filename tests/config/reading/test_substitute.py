"""References to variables in texts."""

from __future__ import annotations

from openclaw.config.reading.substitute import Substitution

NOTHING: dict[str, str] = {}


def test_references_are_replaced_wherever_text_stands() -> None:
    found = Substitution({"A": "1", "B_2": "two"}.get)
    assert found.apply({"x": "${A}-${B_2}", "y": ["${A}", 3, None], "z": "plain"}) == {
        "x": "1-two",
        "y": ["1", 3, None],
        "z": "plain",
    }
    assert found.replaced == {("x",): "B_2", ("y", 0): "A"}


def test_two_dollars_keep_the_reference_as_text() -> None:
    found = Substitution({"A": "1"}.get)
    assert found.apply("$${A} ${A} $${NOPE}") == "${A} 1 ${NOPE}"
    assert not found.missing


def test_only_upper_case_names_are_references() -> None:
    found = Substitution(NOTHING.get)
    assert found.apply("${lower} ${1A} $A ${} ${A-B}") == "${lower} ${1A} $A ${} ${A-B}"
    assert not found.missing


def test_a_missing_or_empty_variable_is_noted_with_its_path() -> None:
    found = Substitution({"EMPTY": ""}.get)
    found.apply({"a": [{"b": "x${EMPTY}"}], "c": "${NOPE}"})
    assert found.missing == {("a", 0, "b"): "EMPTY", ("c",): "NOPE"}


def test_a_value_is_never_read_as_a_reference_again() -> None:
    assert Substitution({"A": "${B}", "B": "x"}.get).apply("${A}") == "${B}"
