"""Secrets written: for the owner alone, everything beside them as it was, and undone when they are not wanted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import ConfigError, InvalidRequest
from openclaw.base.secret import Secret
from openclaw.config.env import parse_env
from openclaw.secrets.store import put_back, put_member, put_variable


def test_a_member_is_set_beside_the_others_in_a_file_of_the_owners(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    assert put_member(path, "a/b", Secret("one")) is None
    path.chmod(0o644)
    old = put_member(path, "c", Secret('t"wo'))
    assert path.read_text() == '{\n  "a/b": "one",\n  "c": "t\\"wo"\n}\n'
    assert path.stat().st_mode & 0o777 == 0o600
    put_back(path, old)
    assert path.read_text() == '{\n  "a/b": "one"\n}\n'
    put_back(path, None)
    assert not path.exists()


def test_a_file_that_is_no_object_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("[1]")
    with pytest.raises(ConfigError):
        put_member(path, "a", Secret("one"))
    assert path.read_text() == "[1]"


def test_a_variable_replaces_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"# mine \xff\nexport KEY=old\nOTHER='x'\nno line of an env file")
    put_variable(path, "KEY", Secret("new"))
    assert path.read_bytes() == b"# mine \xff\nOTHER='x'\nno line of an env file\nKEY=\"new\"\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_no_name_of_a_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest):
        put_variable(tmp_path / ".env", "a-b", Secret("x"))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")))
def test_every_value_is_read_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    put_variable(path, "KEY", Secret(value))
    put_variable(path, "OTHER", Secret("x"))
    assert parse_env(path.read_bytes().decode())[0] == {"KEY": value, "OTHER": "x"}
