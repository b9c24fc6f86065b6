"""`openclaw config` patches text, hides secrets, and refuses to make things worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.config import lastgood
from tests.cli.conftest import Run

TOKEN = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
TEXT = f"""\
// mine
{{
  gateway: {{ port: 19000, auth: {{ token: "{TOKEN}" }} }}, // keep
}}
"""


@pytest.fixture
def file(home: Path) -> Path:
    path = home / "openclaw.json"
    path.touch(mode=0o600)
    path.write_text(TEXT)
    return path


def test_get_prints_what_is_in_force_with_defaults_and_without_secrets(command: Run, file: Path) -> None:
    assert command("config", "get", "gateway.port").out == "19000\n"
    assert command("config", "get", "gateway.bind").out == "loopback\n"
    assert command("config", "get", "gateway.bind", "--json").json == "loopback"
    assert TOKEN not in command("config", "get", "gateway").out
    assert TOKEN not in command("config", "show").out
    missing = command("config", "get", "gateway.prot")
    assert (missing.code, "NOT_FOUND" in missing.err) == (1, True)


def test_set_and_unset_keep_comments_and_everything_else(command: Run, file: Path) -> None:
    done = command("config", "set", "gateway.port", "19001")
    assert (done.code, "at the gateway's next start: gateway.port" in done.out) == (0, True)
    assert file.read_text() == TEXT.replace("19000", "19001")
    done = command("config", "set", "agents.defaults.model", "fake/echo")
    assert (done.code, "next start" in done.out) == (0, False)
    assert "// mine" in file.read_text()
    assert command("config", "unset", "agents.defaults.model").code == 0
    assert command("config", "get", "agents.defaults.model").out == "\n"
    assert command("config", "unset", "agents.defaults.model").code == 1
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("path", "value"), [("gateway.port", "many"), ("gateway.bind", "lan,wan")])
def test_a_value_that_the_setting_cannot_take_is_not_written(command: Run, file: Path, path: str, value: str) -> None:
    refused = command("config", "set", path, value)
    assert refused.code == 78
    assert "Nothing was written" in refused.err
    assert file.read_text() == TEXT


def test_a_change_after_which_the_gateway_would_not_start_is_not_written(command: Run, file: Path) -> None:
    command("config", "set", "gateway.auth.token", "short")
    refused = command("config", "set", "gateway.bind", "lan")
    assert refused.code == 78
    assert "lan" not in file.read_text()


def test_an_old_problem_does_not_stand_in_the_way_of_another_change(command: Run, file: Path) -> None:
    file.write_text(TEXT.replace("19000", '"many"'))
    assert command("config", "set", "identity.name", "Ada").code == 0
    assert "Ada" in file.read_text()


def test_strict_json_is_wanted_when_asked_for(command: Run, file: Path) -> None:
    assert command("config", "set", "identity.name", "Ada", "--json").code == 1
    assert command("config", "set", "identity.name", '"Ada"', "--json").code == 0


def test_validate_names_each_problem_with_its_line_and_tells_by_its_exit_code(command: Run, file: Path) -> None:
    assert command("config", "validate").code == 0
    file.write_text(TEXT.replace("port", "prot"))
    lenient = command("config", "validate")
    assert lenient.code == 0
    assert "line 3" in lenient.out
    assert command("config", "validate", "--strict").code == 1
    assert command("config:validate", "--strict").code == 1
    file.write_text(TEXT.replace("19000", '"many"'))
    report = command("config", "validate", "--json")
    assert report.code == 1
    assert '"valid": false' in report.out


def test_file_schema_and_env_print_without_a_file(command: Run, home: Path) -> None:
    assert command("config", "file").out == f"{home / 'openclaw.json'}\n"
    assert '"$defs"' in command("config", "schema").out
    listed = command("config", "env")
    assert "OPENCLAW_STATE_DIR" in listed.out
    assert str(home) not in listed.out


def test_models_set_takes_only_a_model_that_can_be_called(command: Run, file: Path) -> None:
    assert command("models", "set", "openai/gpt-4o").code == 1
    assert command("models", "set", "fake/echo").code == 0
    assert 'model: "fake/echo"' in file.read_text()


def test_an_action_is_listed_called_and_refused_when_unknown(command: Run, file: Path) -> None:
    (file.parent / "mine.py").write_text(
        "from openclaw import Action\n\n\nclass Shout(Action):\n"
        '    """Say it loud."""\n\n    def run(self, text: str) -> str:\n        return text.upper()\n'
    )
    file.write_text(
        '{actions: [{name: "shout", module: "mine", class: "Shout"}, {name: "no", module: "x", class: "Y"}]}'
    )
    listed = command("actions", "list")
    assert listed.code == 1
    assert "Say it loud." in listed.out
    assert "no:" in listed.err
    assert command("actions", "test", "shout", "--args", '{"text": "hello"}').out == "HELLO\n"
    assert command("actions", "test", "shout", "--args", "{}").code == 1
    assert command("actions", "test", "whisper").code == 1
    assert command("actions", "test", "shout", "--args", "not json").code == 1


def test_wrong_usage_ends_with_2_and_no_command_shows_the_help(command: Run) -> None:
    assert command("no-such-command").code == 2
    assert command("config", "get").code == 2
    assert command("agent").code == 2
    assert "gateway" in command("--help").out


def test_a_yaml_file_in_the_short_form_is_changed_where_it_says_so(
    command: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("server:\n  port: 8080\n  colour: red\nllm_provider: embedded\n")
    monkeypatch.setenv("OPENCLAW_CONFIG_PATH", str(path))
    assert command("config", "get", "gateway.port").out == "8080\n"
    assert "server.colour (line 3" in command("config", "validate").out
    assert "embedded/smollm2" in command("models", "status").out
    assert command("config", "set", "gateway.port", "1234").code == 0
    assert path.read_text() == "server:\n  port: 1234\n  colour: red\nllm_provider: embedded\n"
    assert command("config", "unset", "gateway.port").code == 0
    assert path.read_text() == "server:\n  colour: red\nllm_provider: embedded\n"
    assert not (home / "openclaw.json").exists()


def test_history_diff_and_rollback_need_no_gateway(command: Run, file: Path) -> None:
    command("config", "set", "gateway.port", "19001", "--reason", "a port of our own")
    command("config", "set", "gateway.auth.token", "another-secret-of-32-characters-0")
    second, first = command("config", "history", "--json").json
    assert (first["method"], first["reason"], first["outcome"]) == ("cli: config set", "a port of our own", "written")
    assert first["diff"] == [{"path": "gateway.port", "old": 19000, "new": 19001}]
    assert first["plan"] == [{"path": "gateway.port", "reload": "process"}]
    told = command("config", "history")
    assert first["id"] in told.out
    assert command("config", "diff", first["id"]).out == "gateway.port: 19000 → 19001\n"
    shown = command("config", "diff", "last")
    assert "gateway.auth.token" in shown.out
    assert "another-secret" not in shown.out + told.out + command("config", "history", "--json").out
    assert command("config", "diff", second["id"], "file").out == "no difference\n"
    assert [each["path"] for each in command("config", "diff", first["id"], "file", "--json").json] == [
        "gateway.auth.token"
    ]

    undone = command("config", "rollback", first["id"], "--reason", "it was taken", "--json")
    assert undone.json["changed"] is True
    assert file.read_text() == TEXT
    assert file.stat().st_mode & 0o777 == 0o600
    assert (
        command("config", "history", "--limit", "1", "--json").json[0]["method"]
        == f"cli: config rollback {first['id']}"
    )
    assert command("config", "rollback", "last").code == 0
    assert "another-secret" in file.read_text()
    assert command("config", "rollback", "20010101").code == 1


def test_a_rollback_behind_the_first_change_is_refused_with_what_to_do(command: Run, home: Path) -> None:
    command("config", "set", "gateway.port", "19001")
    refused = command("config", "rollback", "last")
    assert refused.code == 1
    assert f"remove {home / 'openclaw.json'}" in refused.err


def test_edit_checks_what_was_saved_and_records_it(
    command: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/19000/19002/' \"$1\"\n")
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    assert command("config", "edit").code == 0
    assert file.read_text() == TEXT.replace("19000", "19002")
    assert command("config", "history", "--json").json[0]["method"] == "cli: config edit"
    editor.write_text("#!/bin/sh\nsed -i 's/19002/many/' \"$1\"\n")
    assert command("config", "edit").code != 0
    assert file.read_text() == TEXT.replace("19000", "19002")


def test_nothing_is_written_in_read_only_mode(command: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command("config", "set", "gateway.port", "19001")
    held = file.read_text()
    monkeypatch.setenv("OPENCLAW_CONFIG_READONLY", "1")
    writers = (
        ("config", "set", "gateway.port", "5"),
        ("config", "unset", "gateway.port"),
        ("config", "rollback", "last"),
        ("config", "edit"),
        ("models", "set", "fake/echo"),
    )
    for words in writers:
        refused = command(*words)
        assert refused.code != 0, words
        assert "unset OPENCLAW_CONFIG_READONLY" in refused.err
    assert file.read_text() == held


def test_a_variable_that_beats_what_was_set_is_named(command: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", "hunter2-the-token-of-the-environment")
    ran = command("config", "set", "gateway.auth.token", "another-token-that-does-not-count")
    assert "OPENCLAW_GATEWAY_TOKEN (process) sets it too, and wins" in ran.out
    ran = command("config", "set", "gateway.auth.token", "${OPENCLAW_GATEWAY_TOKEN}")
    assert "wins" not in ran.out


def test_an_included_value_is_named_where_it_is_written(command: Run, file: Path, home: Path) -> None:
    (home / "part.json5").write_text("{ port: 19005 }")
    (home / "part.json5").chmod(0o600)
    file.write_text("{ gateway: { $include: 'part.json5' } }")
    assert command("config", "get", "gateway.port").out == "19005\n"
    assert command("config", "file", "--json").json["included"] == [str(home / "part.json5")]
    assert "part.json5 sets it too" in command("config", "set", "gateway.port", "19006").out
    assert command("config", "get", "gateway.port").out == "19006\n"
    assert (home / "part.json5").read_text() == "{ port: 19005 }"
    refused = command("config", "unset", "gateway.port")
    assert (refused.code, "Edit part.json5" in refused.err) == (1, True)


@pytest.mark.parametrize("words", [("schema",), ("env",), ("file",), ("show",), ("validate",), ("history",)])
def test_reading_commands_speak_json_and_give_an_example(command: Run, file: Path, words: tuple[str, ...]) -> None:
    assert command("config", *words, "--json").json is not None
    assert "Example" in command("config", *words, "--help").out


def test_history_shows_edits_by_hand_fixes_and_commands_alike_and_each_goes_back(command: Run, file: Path) -> None:
    part = file.parent / "part.json5"
    part.touch(mode=0o600)
    part.write_text("{ name: 'One' } // theirs\n")
    file.write_text(TEXT.replace("{\n  gateway", "{\n  identity: { $include: 'part.json5' },\n  gateway"))
    assert command("config", "set", "gateway.port", "19001", "--ticket", "T-7", "--reason", "x" * 80).code == 0
    part.write_text("{ name: 'Two' } // theirs\n")
    file.chmod(0o644)
    assert command("doctor", "--fix", "state").code == 0
    found = command("config", "history", "--json").json
    assert [each["method"] for each in found] == ["doctor --fix", "file edit", "cli: config set"]
    fix, edit, put = (each["id"] for each in found)
    assert command("doctor", "undo", "--json").json["fixes"][0]["id"] == fix
    table = command("config", "history").out
    assert "T-7 xxx" in table
    assert "x" * 70 not in table
    assert "private-files" in table
    assert "identity.name" in table
    assert TOKEN not in table
    assert command("config", "diff", edit).out == 'identity.name: "One" → "Two"\n'
    assert command("config", "diff", put, "file").out == 'identity.name: "One" → "Two"\n'
    assert command("config", "rollback", edit).code == 0
    assert part.read_text() == "{ name: 'One' } // theirs\n"
    assert f"openclaw doctor undo {fix}" in command("config", "rollback", fix).out
    assert part.read_text() == "{ name: 'Two' } // theirs\n"
    assert command("doctor", "undo", fix).code == 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert "rollback" in command("doctor", "undo", edit).err
    assert command("config", "history", "--limit", "1", "--json").json[0]["method"] == f"doctor undo {fix}"


def test_a_broken_file_is_rolled_back_without_a_gateway(command: Run, file: Path) -> None:
    assert command("config", "set", "gateway.port", "19001").code == 0
    good = file.read_text()
    file.write_text("{ broken")
    assert command("config", "rollback", "last").code == 0
    assert file.read_text() == good
    (_, edit, first) = command("config", "history", "--json").json
    assert (edit["method"], edit["valid"]) == ("file edit", False)
    assert command("config", "diff", edit["id"]).code == 78
    assert command("config", "rollback", first["id"]).code == 0
    assert file.read_text() == TEXT


WRITERS = (
    ("config", "set", "gateway.port", "1"),
    ("config", "unset", "gateway.port"),
    ("config", "rollback", "last"),
    ("config", "edit"),
    ("doctor", "--fix"),
    ("doctor", "undo", "FIX"),
    ("gateway", "token", "rotate"),
    ("models", "set", "fake/fake-n3"),
    ("backup", "schedule", "--every", "1d"),
)


def test_read_only_mode_refuses_every_command_that_writes(
    command: Run, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o644)
    assert command("doctor", "--fix", "state").code == 0
    assert command("config", "set", "gateway.port", "19001").code == 0
    fix = command("doctor", "undo", "--json").json["fixes"][0]["id"]
    file.chmod(0o644)
    text, records = file.read_text(), len(command("config", "history", "--json").json)
    monkeypatch.setenv("OPENCLAW_CONFIG_READONLY", "1")
    for writer in WRITERS:
        refused = command(*(fix if word == "FIX" else word for word in writer))
        assert refused.code != 0, writer
        assert "OPENCLAW_CONFIG_READONLY" in refused.err, (writer, refused.err)
    assert file.read_text() == text
    assert len(command("config", "history", "--json").json) == records


def test_a_file_that_cannot_be_read_is_said_once_in_words(command: Run, file: Path) -> None:
    lastgood.save(file.parent / "snapshots" / "last-good.json", TEXT)
    file.write_text("{ broken")
    asked = command("config", "get", "gateway.port")
    assert (asked.code, asked.out) == (0, "19000\n")
    assert asked.err == f"Note: {file} cannot be read; what follows goes by the last one that worked.\n"
