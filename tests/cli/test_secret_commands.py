"""`openclaw secrets`: values go in by stdin and never come out."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

CONFIG = """{
  // providers
  models: { providers: { a: { baseUrl: "http://127.0.0.1:1/v1", apiKey: "hunter2-plain" } } },
  hooks: { token: { source: "env", id: "HOOK_TOKEN" } },
}
"""


@pytest.fixture
def configured(home: Path, quiet_port: None) -> Path:
    """A state folder with a configuration for its owner alone."""
    path = home / "openclaw.json"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return home


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a text on stdin."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_the_list_says_where_every_secret_comes_from_and_never_what_it_is(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = command("secrets", "list", "--json")
    plain, hook = json.loads(ran.out)
    assert plain == {
        "path": "models.providers.a.apiKey",
        "source": "plain text",
        "id": "",
        "provider": "",
        "resolved": True,
        "problem": "",
        "usedBy": ["models.providers.a.apiKey"],
        "resolvedAtMs": 0,
    }
    assert (hook["id"], hook["source"], hook["resolved"]) == ("HOOK_TOKEN", "env", False)
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-hook")
    ran = command("secrets", "list")
    assert "resolved" in ran.out
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize("to", ["file", "env"])
def test_a_secret_is_stored_and_the_setting_refers_to_it(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-hook")
    say(monkeypatch, "hunter2-stored\n")
    ran = command("secrets", "set", "models.providers.a.apiKey", "--to", to)
    assert ran.code == 0, ran.err
    text = (configured / "openclaw.json").read_text()
    assert "// providers" in text
    assert "hunter2" not in text + ran.out + ran.err
    kept = configured / ("secrets.json" if to == "file" else ".env")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "hunter2-stored" in kept.read_text()
    (place, _) = json.loads(command("secrets", "list", "--json").out)
    assert (place["source"], place["resolved"]) == ("variable" if to == "env" else to, True)
    assert command("secrets", "audit").code == 0


def test_what_is_no_place_for_a_secret_leaves_no_trace(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in ("gateway.port", "hooks.path", "nonsense.key"):
        say(monkeypatch, "hunter2-stored")
        ran = command("secrets", "set", path)
        assert ran.code != 0, path
        assert "hunter2" not in ran.out + ran.err
    assert (configured / "openclaw.json").read_text() == CONFIG
    assert not (configured / "secrets.json").exists()


def test_no_secret_on_stdin_is_said(configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, "\n")
    ran = command("secrets", "set", "hooks.token")
    assert ran.code == 1
    assert "stdin" in ran.err


def test_the_audit_finds_everything_and_tells_no_value(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-plain")
    (configured / "openclaw.json").chmod(0o644)
    (configured / "secrets.json").write_text('{"old": "hunter2-old"}')
    (configured / "secrets.json").chmod(0o640)
    ran = command("secrets", "audit", "--json")
    assert ran.code == 1
    found = [(each["id"], each["path"]) for each in json.loads(ran.out)["findings"]]
    assert found == [
        ("plain-text", "models.providers.a.apiKey"),
        ("weak-mode", str(configured / "openclaw.json")),
        ("weak-mode", str(configured / "secrets.json")),
        ("duplicate", "hooks.token"),
        ("unused", str(configured / "secrets.json")),
    ]
    assert "hunter2" not in ran.out
    monkeypatch.delenv("HOOK_TOKEN")
    ran = command("secrets", "audit")
    assert "unresolved  hooks.token" in ran.out
    assert "hunter2" not in ran.out


def test_other_commands_use_what_a_reference_names(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("config", "validate").code == 1
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-hook")
    assert command("config", "validate").code == 0
    ran = command("config", "get", "hooks.token")
    assert "hunter2" not in ran.out
    assert command("config", "set", "hooks.enabled", "true").code == 0


def test_a_secret_is_rotated_where_it_lies_and_put_back_while_it_is_kept(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (configured / "secrets.json").write_text('{"hook": "hunter2-first", "other": "stays"}')
    (configured / "secrets.json").chmod(0o600)
    reference = '{source: "file", id: "secrets.json#/hook"}'
    (configured / "openclaw.json").write_text(CONFIG.replace('{ source: "env", id: "HOOK_TOKEN" }', reference))
    before = (configured / "openclaw.json").read_text()
    planned = command("secrets", "rotate", "hooks.token", "--dry-run", "--json").json
    assert planned == {
        "path": "hooks.token",
        "where": str(configured / "secrets.json"),
        "usedBy": ["hooks.token"],
        "rotated": False,
    }
    say(monkeypatch, "hunter2-second\n")
    ran = command("secrets", "rotate", "hooks.token", "--keep", "1h", "--json")
    assert (ran.code, ran.json["rotated"], ran.json["gateway"]) == (0, True, "not running")
    assert "hunter2" not in ran.out + ran.err
    assert json.loads((configured / "secrets.json").read_text()) == {"hook": "hunter2-second", "other": "stays"}
    say(monkeypatch, "hunter2-second\n")
    assert "is the one that is set" in command("secrets", "rotate", "hooks.token").err
    assert command("secrets", "rotate", "hooks.token", "--undo").code == 0
    assert json.loads((configured / "secrets.json").read_text())["hook"] == "hunter2-first"
    assert command("secrets", "rotate", "hooks.token", "--undo").code == 1
    assert command("secrets", "rotate", "hooks.token", "--generate").code == 0
    assert not (configured / "former-secrets.json").exists(), "it is kept only when that is asked for"
    assert "hunter2-first" not in (configured / "secrets.json").read_text()
    assert (configured / "openclaw.json").read_text() == before
    assert not (configured / "snapshots" / "changes").exists(), "the configuration was never touched"


def test_what_a_variable_holds_is_known_as_the_old_one(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (configured / ".env").write_text("HOOK_TOKEN=hunter2-first\n")
    (configured / ".env").chmod(0o600)
    (configured / "openclaw.json").write_text(
        '{hooks: {token: "${HOOK_TOKEN}"}, gateway: {auth: {token: "${HOOK_TOKEN}"}}}'
    )
    listed = command("secrets", "list", "--json").json
    assert listed[0]["usedBy"] == ["hooks.token", "gateway.auth.token"]
    say(monkeypatch, "hunter2-first")
    assert "is the one that is set" in command("secrets", "rotate", "hooks.token").err
    assert command("secrets", "rotate", "hooks.token", "--generate", "--keep", "5m").code == 0
    assert command("secrets", "rotate", "hooks.token", "--undo").code == 0
    assert "hunter2-first" in (configured / ".env").read_text()


def test_what_is_not_rotated_is_said_with_what_to_do(
    configured: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "hunter2-hook")
    for path, told in (
        ("models.providers.a.apiKey", "openclaw secrets set models.providers.a.apiKey"),
        ("hooks.token", "change it where that is set"),
        ("gateway.port", "openclaw secrets list"),
    ):
        say(monkeypatch, "hunter2-new")
        ran = command("secrets", "rotate", path)
        assert ran.code == 1, path
        assert told in ran.err
        assert "hunter2" not in ran.out + ran.err
    assert command("secrets", "rotate", "hooks.token", "--grace", "5m").code == 2
    assert (configured / "openclaw.json").read_text() == CONFIG


def test_the_gateways_own_token_is_rotated_as_a_token(configured: Path, command: Run) -> None:
    (configured / "openclaw.json").write_text('{gateway: {auth: {token: "${OPENCLAW_GATEWAY_TOKEN}"}}}')
    (configured / ".env").write_text(f"OPENCLAW_GATEWAY_TOKEN={'hunter2' * 6}\n")
    (configured / ".env").chmod(0o600)
    assert command("secrets", "rotate", "gateway.auth.token", "--keep", "5m").code == 2
    ran = command("secrets", "rotate", "gateway.auth.token", "--grace", "5m", "--json")
    assert (ran.code, ran.json["gateway"]) == (0, "not running")
    assert "hunter2" not in (configured / ".env").read_text()
    assert (configured / "credentials" / "former-tokens.json").exists()
