"""Units and property lists say what is meant, whatever the paths are, and systemd agrees."""

from __future__ import annotations

import os
import plistlib
import re
import shutil
import string
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.gateway.run import DRAIN_S
from openclaw.ops.service.launchd import plist_text
from openclaw.ops.service.plan import Scope, Service, port_of, recorded
from openclaw.ops.service.systemd import COMMANDS_NAME, SOCKET_NAME, UNIT_NAME, companion_texts, unit_text

ODD = Path("/srv/my state/100% \"q\" $HOME 's' b\\c [a]*;#é")
printable = st.text(
    st.sampled_from(string.ascii_letters + string.digits + " %$\"'\\[]*?;#:@+=~-é漢"), min_size=1, max_size=24
)
paths = printable.map(lambda text: Path(f"/{text.strip()}x"))


def service(scope: Scope = "user", state: Path = Path("/srv/openclaw"), argv: tuple[str, ...] = ()) -> Service:
    return Service(
        scope=scope,
        argv=argv or ("/usr/bin/python3", "-P", "-m", "openclaw", "gateway", "run", "--port", "18790"),
        state_dir=state,
        env_file=state / "service.env",
        writable=(state,),
        environment=(("OPENCLAW_STATE_DIR", str(state)),),
        user="daemon" if scope == "system" else "",
    )


def values(text: str, key: str) -> list[str]:
    """Return what follows `key=` on each such line."""
    return [line.removeprefix(f"{key}=") for line in text.splitlines() if line.startswith(f"{key}=")]


def words(text: str) -> list[str]:
    """Split a list of a unit as systemd.syntax(7) says: quotes, backslashes in them, `%%`."""
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', text)
    return [(re.sub(r"\\(.)", r"\1", quoted) if quoted else bare).replace("%%", "%") for quoted, bare in found]


@given(state=paths, argument=printable.map(str.strip).filter(bool))
def test_every_path_and_argument_comes_back_from_the_unit(state: Path, argument: str) -> None:
    text = unit_text(service(state=state, argv=("/usr/bin/python3", argument)))
    (start,) = values(text, "ExecStart")
    assert start.startswith(":")
    assert words(start[1:]) == ["/usr/bin/python3", argument]
    (writable,) = values(text, "ReadWritePaths")
    assert words(writable) == [f"-{state}"]
    environment, entrance = values(text, "Environment")
    assert entrance == "OPENCLAW_COMMANDS_SOCKET=%t/openclaw-commands.sock"
    assert words(environment) == [f"OPENCLAW_STATE_DIR={state}"]
    (folder,) = values(text, "WorkingDirectory")
    assert folder.replace("%%", "%") == str(state)
    assert "%" not in folder.replace("%%", "")
    assert recorded(text) == service(state=state, argv=("/usr/bin/python3", argument))


@given(state=paths, argument=printable.map(str.strip).filter(bool))
def test_every_path_and_argument_comes_back_from_the_property_list(state: Path, argument: str) -> None:
    wanted = service(state=state, argv=("/usr/bin/python3", argument))
    text = plist_text(wanted)
    body = plistlib.loads(text.encode())
    assert body["ProgramArguments"] == ["/usr/bin/python3", argument]
    assert body["EnvironmentVariables"]["OPENCLAW_STATE_DIR"] == str(state)
    assert body["EnvironmentVariables"]["OPENCLAW_SUPERVISED"] == "1"
    assert body["RunAtLoad"] is True
    assert body["KeepAlive"] == {"SuccessfulExit": False}
    assert "UserName" not in body
    assert recorded(text) == wanted
    assert plistlib.loads(plistlib.dumps(body)) == body


LAUNCHD: dict[str, Callable[[Any], bool]] = {
    "Label": lambda value: value == "org.openclaw.gateway",
    "ProgramArguments": lambda value: all(type(each) is str for each in value) and value[0].startswith("/"),
    "WorkingDirectory": lambda value: value.startswith("/"),
    "EnvironmentVariables": lambda value: all(type(each) is str for pair in value.items() for each in pair),
    "RunAtLoad": lambda value: value is True,
    "KeepAlive": lambda value: value == {"SuccessfulExit": False},
    "ThrottleInterval": lambda value: type(value) is int and value >= 1,
    "ExitTimeOut": lambda value: type(value) is int and value > DRAIN_S,
    "ProcessType": lambda value: value in ("Background", "Standard", "Adaptive", "Interactive"),
    "Umask": lambda value: type(value) is int and value == 0o077,
    "StandardOutPath": lambda value: value.startswith("/"),
    "StandardErrorPath": lambda value: value.startswith("/"),
    "SoftResourceLimits": lambda value: (
        set(value) <= {"NumberOfFiles"} and all(type(one) is int for one in value.values())
    ),
    "UserName": lambda value: value == "daemon",
}
"""Every key of launchd.plist(5) that we write, and what it may hold there: launchd ignores what it does not know."""


@pytest.mark.parametrize("scope", ["user", "system"])
def test_the_property_list_has_only_what_launchd_knows_in_the_types_that_it_takes(scope: Scope) -> None:
    text = plist_text(service(scope))
    head = text.splitlines()[:2]
    assert head[0] == '<?xml version="1.0" encoding="UTF-8"?>'
    assert "PropertyList-1.0.dtd" in head[1]
    body = plistlib.loads(text.encode(), fmt=plistlib.FMT_XML)
    assert set(body) == set(LAUNCHD) - ({"UserName"} if scope == "user" else set())
    assert [key for key, value in body.items() if not LAUNCHD[key](value)] == []
    assert plist_text(service(scope)) == text


@pytest.mark.parametrize("bad", ["/a\nUser=root", "/a\x7f", "/a\tb", " /a", "/a ", "/a\ud800"])
def test_what_no_file_can_hold_is_refused(bad: str) -> None:
    for make in (unit_text, plist_text):
        with pytest.raises(InvalidRequest):
            make(service(argv=("/usr/bin/python3", bad)))


def test_a_state_directory_that_would_join_the_next_line_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        unit_text(service(state=Path("/a\\")))


def test_the_port_is_read_back_from_the_record() -> None:
    assert port_of(service()) == 18790
    assert port_of(service(argv=("/usr/bin/python3", "--port"))) is None


def test_a_record_that_was_edited_is_no_record() -> None:
    text = unit_text(service())
    assert recorded(text.replace('"scope"', '"sc"')) is None
    assert recorded("[Unit]\n") is None


def test_homes_are_hidden_unless_something_of_the_service_is_there() -> None:
    assert "ProtectHome=yes" in unit_text(service("system"))
    assert "ProtectHome=read-only" in unit_text(service("system", Path("/home/a/.openclaw")))


def test_a_machine_that_refuses_namespaces_gets_a_unit_without_them() -> None:
    none = unit_text(msgspec.structs.replace(service(), sandbox="none"))
    files = unit_text(msgspec.structs.replace(service(), sandbox="files"))
    assert "ProtectSystem" not in none
    assert "NoNewPrivileges=yes" in none
    assert "ProtectSystem=strict" in files
    assert "ProtectKernelLogs" not in files


ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(
    ANALYZE is None, reason="systemd-analyze is not installed (Debian: apt install systemd)"
)


def analyze(tmp_path: Path, scope: Scope, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run(
        [ANALYZE, *(["--user"] if scope == "user" else []), *arguments],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@needs_analyze
@pytest.mark.parametrize("scope", ["user", "system"])
@pytest.mark.parametrize("state", [Path("/srv/openclaw"), Path("/home/a/.openclaw"), ODD], ids=["plain", "home", "odd"])
def test_systemd_has_nothing_to_say_about_the_unit_and_finds_it_hard(tmp_path: Path, scope: Scope, state: Path) -> None:
    path = tmp_path / UNIT_NAME
    path.write_text(unit_text(service(scope, state)))
    verified = analyze(tmp_path, scope, "verify", str(path))
    assert (verified.returncode, verified.stderr) == (0, "")
    scored = analyze(tmp_path, scope, "security", "--offline=yes", "--threshold=20", str(path))
    assert scored.stderr == ""
    assert scored.returncode == 0, scored.stdout.splitlines()[-1]


@needs_analyze
@pytest.mark.parametrize("scope", ["user", "system"])
@pytest.mark.parametrize("state", [Path("/srv/openclaw"), Path("/home/a/.openclaw"), ODD], ids=["plain", "home", "odd"])
def test_systemd_has_nothing_to_say_about_the_units_of_commands(tmp_path: Path, scope: Scope, state: Path) -> None:
    one = service(scope, state)
    texts = {UNIT_NAME: unit_text(one), **companion_texts(one)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    verified = analyze(tmp_path, scope, "verify", *(str(tmp_path / name) for name in texts))
    assert (verified.returncode, verified.stderr) == (0, "")
    # A user's service "runs as root" for systemd, which adds 0.4.
    most = {"user": "23", "system": "20"}[scope]
    scored = analyze(tmp_path, scope, "security", "--offline=yes", f"--threshold={most}", str(tmp_path / COMMANDS_NAME))
    assert scored.returncode == 0, scored.stdout.splitlines()[-1]


def test_the_gateway_makes_no_namespace_and_the_service_of_a_command_reaches_no_network() -> None:
    one = service("system")
    command = companion_texts(one)[COMMANDS_NAME]
    assert values(unit_text(one), "RestrictNamespaces") == ["yes"]
    assert values(command, "PrivateNetwork") == ["yes"]
    assert values(command, "EnvironmentFile") == values(command, "Environment") == []
    assert values(command, "User") == values(companion_texts(one)[SOCKET_NAME], "SocketUser") == ["daemon"]
    # A part of /proc hidden is a /proc that bubblewrap cannot mount anew.
    assert [key for key in ("ProtectKernelTunables", "ProtectKernelLogs") if values(command, key)] == []


@needs_analyze
def test_systemd_sees_a_unit_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / UNIT_NAME
    path.write_text(unit_text(service("system")).replace("Type=notify", "Type=notfy"))
    assert analyze(tmp_path, "system", "verify", str(path)).stderr
