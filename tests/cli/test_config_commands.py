"""`openclaw config` patches text, hides secrets, and refuses to make things worse."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    assert command("config", "set", "gateway.port", "19001").code == 0
    assert file.read_text() == TEXT.replace("19000", "19001")
    assert command("config", "set", "agents.defaults.model", "fake/echo").code == 0
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
