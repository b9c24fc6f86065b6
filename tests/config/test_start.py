"""What decides over a start: last-known-good, the token file, and the few refusals."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.config import lastgood
from openclaw.config.refusal import binds_loopback_only, is_weak, refusals
from openclaw.config.token import ensure_token
from tests.config.make import Home

STRONG = "kX3v9_LmQ2pRz7TtYw5BnC8dFgHjKaSe"


def test_a_broken_file_falls_back_to_the_last_good_one(home: Home) -> None:
    lastgood.save(home.paths().last_good, "{gateway: {port: 19999}}")
    found = home.load("{\n  gateway: {port: 1\n")
    assert found.config.gateway.port == 19999
    assert (found.source, found.valid, found.exists) == ("last-good", False, True)
    assert found.raw == "{\n  gateway: {port: 1\n"
    assert (found.issues[0].kind, found.issues[0].severity) == ("parse-error", "error")
    assert found.issues[0].line >= 1
    assert found.sources["gateway.port"] == "last-good"


def test_a_last_good_that_is_broken_too_does_not_hide_the_error(home: Home) -> None:
    home.paths().last_good.parent.mkdir()
    home.paths().last_good.write_text("{")
    with pytest.raises(ConfigError):
        home.load("{{")


def test_last_good_is_private_and_written_only_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "snapshots" / "last-good.json"
    assert lastgood.load(path) is None
    lastgood.save(path, "{a: 'ä'}")
    first = path.stat()
    lastgood.save(path, "{a: 'ä'}")
    assert lastgood.load(path) == "{a: 'ä'}"
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert path.stat().st_ino == first.st_ino


def test_the_token_file_is_made_once_and_used_when_nothing_else_names_a_token(home: Home) -> None:
    path = home.paths().token
    token = ensure_token(path)
    assert not is_weak(token)
    assert ensure_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = home.load("{}")
    assert found.config.gateway.auth.token == token
    assert found.sources["gateway.auth.token"] == str(path)
    assert home.load("{gateway: {auth: {token: 'own'}}}").config.gateway.auth.token == Secret("own")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{gateway: {auth: {mode: 'none'}}}",
        "{gateway: {bind: 'nonsense'}}",
        "{gateway: {bind: 'custom', customBindHost: '127.0.0.2', auth: {token: 'short'}}}",
        f"{{gateway: {{bind: 'lan', auth: {{token: '{STRONG}'}}}}}}",
        f"{{gateway: {{bind: 'lan', auth: {{mode: 'password', password: '{STRONG}'}}}}}}",
        "{bogus: 1, channels: {x: 1}, models: 'x'}",
        "{gateway: {controlUi: {root: 'ui'}}}",
        "{gateway: {controlUi: {root: '.', enabled: false}}}",
        "{agents: {defaults: {workspace: '/srv/work'}, list: [{id: 'a', workspace: '~/elsewhere'}]}}",
        "{agents: {defaults: {workspace: '/'}}}",
    ],
)
def test_these_start(home: Home, text: str) -> None:
    assert refusals(home.load(text)) == []


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("{gateway: {bind: 'lan'}}", "gateway.auth.token", 0),
        ("{gateway: {bind: '0.0.0.0',\n auth: {token: '${NOPE}'}}}", "gateway.auth.token", 2),
        ("{gateway: {bind: 'lan',\n auth: {token: 'short'}}}", "gateway.auth.token", 2),
        ("{gateway: {bind: 'lan', auth: {mode: 'none'}}}", "gateway.auth.mode", 1),
        ("{gateway: {bind: 'lan', auth: {mode: 'password'}}}", "gateway.auth.password", 0),
        ("{gateway: {bind: 'custom'}}", "gateway.customBindHost", 0),
        ("{gateway: {bind: 'custom', customBindHost: 'host'}}", "gateway.customBindHost", 1),
        ("{gateway: {bind: 'custom', customBindHost: '10.0.0.1'}}", "gateway.auth.token", 0),
        *(
            (f"{{gateway: {{controlUi: {{root: '{root}'}}}}}}", "gateway.controlUi.root", 1)
            for root in (".", "..", "/", "logs", "credentials/x", "ui/../")
        ),
        *(
            (f"{{agents: {{defaults: {{workspace: '{root}'}}}}}}", "agents.defaults.workspace", 1)
            for root in ("{state}", "{state}/logs", "{state}/credentials/x", "{state}/workspace/..")
        ),
        ("{agents: {list: [{id: 'a'},\n {id: 'b', workspace: '{state}'}]}}", "agents.list[1].workspace", 2),
    ],
)
def test_these_are_refused_with_the_fix(home: Home, text: str, path: str, line: int) -> None:
    (error,) = refusals(home.load(text.replace("{state}", str(home.state))))
    assert error.code == "CONFIG_INVALID"
    assert error.details == {"path": path, "line": line}
    assert error.hint


def test_a_workspace_that_holds_the_configuration_beside_the_state_is_refused(home: Home, tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "my.json").write_text(
        "{agents: {defaults: {workspace: './'}}}".replace("./", str(tmp_path))
    )
    loaded = home.load(variables={"OPENCLAW_CONFIG_PATH": str(tmp_path / "project" / "my.json")})
    (error,) = refusals(loaded)
    assert error.details["path"] == "agents.defaults.workspace"


def test_a_refusal_says_where_the_weak_secret_comes_from_and_never_shows_it(home: Home) -> None:
    (error,) = refusals(home.load("{gateway: {bind: 'lan'}}", {"OPENCLAW_GATEWAY_TOKEN": "hunter2"}))
    assert "OPENCLAW_GATEWAY_TOKEN (process)" in error.message
    assert "hunter2" not in str(error.as_dict())


@pytest.mark.parametrize(
    "weak", ["short", "a" * 64, "change-me-change-me-change-me-1234567", "your-gateway-token-goes-here-123456"]
)
def test_short_monotonous_and_placeholder_secrets_are_weak(weak: str) -> None:
    assert is_weak(Secret(weak))
    assert not is_weak(Secret(STRONG))


def test_only_loopback_addresses_count_as_loopback(home: Home) -> None:
    for host, loopback in [("127.9.9.9", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False), ("x", False)]:
        gateway = home.load(f"{{gateway: {{bind: 'custom', customBindHost: '{host}'}}}}").config.gateway
        assert binds_loopback_only(gateway) is loopback
