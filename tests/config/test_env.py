"""Which source of a variable wins, and what a `.env` file may look like."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from openclaw.config.env import Environment, load_environment, parse_env


def test_the_process_comes_before_the_working_directory_before_the_state_directory(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / ".env").write_text("A=cwd\nB=cwd\n")
    (state / ".env").write_text("A=state\nB=state\nC=state\n")
    env = load_environment(tmp_path, state, {"A": "process"}).with_layer("config env block", {"C": "x", "D": "config"})
    assert [env.get(name) for name in "ABCD"] == ["process", "cwd", "state", "config"]
    assert env.source("A") == "process"
    assert env.source("B") == str(tmp_path / ".env")
    assert env.source("C") == str(state / ".env")
    assert env.source("D") == "config env block"
    assert env.source("E") is None
    assert env.names() == ["A", "B", "C", "D"]


def test_an_empty_variable_does_not_hide_a_later_source() -> None:
    env = Environment((("process", {"A": ""}), ("file", {"A": "real"})))
    assert env.get("A") == "real"
    assert env.source("A") == "file"


def test_the_state_directory_may_be_named_in_the_working_directory_file(tmp_path: Path) -> None:
    state = tmp_path / "elsewhere"
    state.mkdir()
    (state / ".env").write_text("A=1")
    (tmp_path / ".env").write_text(f"OPENCLAW_STATE_DIR={state}")
    assert load_environment(tmp_path, None, {"HOME": str(tmp_path)}).get("A") == "1"


def test_quotes_export_comments_and_windows_line_ends_are_understood() -> None:
    text = (
        "\ufeffexport A=1\r\n# comment\r\n\r\n B = two words # comment\r\n"
        'C="a\\n\\"b\\" # no comment" # comment\nD=\'$HOME \\n\'\nE=a#b\nF=\nG=x=y\n'
    )
    values, bad = parse_env(text)
    assert values == {
        "A": "1",
        "B": "two words",
        "C": 'a\n"b" # no comment',
        "D": "$HOME \\n",
        "E": "a#b",
        "F": "",
        "G": "x=y",
    }
    assert bad == []


def test_a_line_that_is_no_assignment_is_reported_with_its_number(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nnonsense here\nB=2\n")
    env = load_environment(tmp_path, tmp_path / "none", {})
    assert env.get("B") == "2"
    assert env.problems == (f"{tmp_path / '.env'}:2: not NAME=value, ignored",)


def test_an_unreadable_file_is_told_and_never_fatal(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    env = load_environment(tmp_path, tmp_path / "none", {"A": "1"})
    assert env.get("A") == "1"
    assert "not read" in env.problems[0]


@given(st.text(alphabet=st.sampled_from("AB_=\"'\\ #\n\rexport 1")) | st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    values, bad = parse_env(text)
    assert all(isinstance(value, str) for value in values.values())
    assert all(number >= 1 for number in bad)


@given(st.text(alphabet=st.characters(exclude_characters="\n\r'", exclude_categories=["Cs"])))
def test_single_quotes_keep_every_character(value: str) -> None:
    assert parse_env(f"A='{value}'") == ({"A": value}, [])
