"""The service commands against a stand-in for systemctl that is a program, and the log followed as it turns over."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.gateway_process import SCRIPT, Place, wait_until

linux = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
  *show*) printf 'ActiveState=active\\nUnitFileState=enabled\\nMainPID=7\\n' ;;
  *{fails}*) echo "Job for it failed." >&2; exit 1 ;;
esac
"""


def stand_in(tmp_path: Path, env: dict[str, str], fails: str = "never") -> Path:
    """Put programs of systemd's names on the path; return the file in which systemctl notes what it was told."""
    log, folder = tmp_path / "told", tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    for name, text in (
        ("systemctl", SYSTEMCTL.format(log=log, fails=fails)),
        ("systemd-run", "#!/bin/sh\n"),
        ("journalctl", "#!/bin/sh\necho its last words\n"),
        ("loginctl", "#!/bin/sh\necho Linger=no\n"),
    ):
        path = folder / name
        path.write_text(text)
        path.chmod(0o755)
    env["PATH"] = f"{folder}{os.pathsep}{env['PATH']}"
    env["HOME"] = str(tmp_path / "home")
    return log


@pytest.fixture
def systemctl(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    env = {"PATH": os.environ["PATH"]}
    log = stand_in(tmp_path, env)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return log


def unit(tmp_path: Path) -> Path:
    return tmp_path / "home/.config/systemd/user/openclaw-gateway.service"


@linux
def test_print_writes_nothing(tmp_path: Path, home: Path, command: Run, systemctl: Path) -> None:
    before = sorted(home.rglob("*"))
    shown = command("gateway", "install", "--print", "--port", "19002")
    assert shown.code == 0
    assert "ExecStart=:" in shown.out
    assert "--port 19002" in shown.out
    assert sorted(home.rglob("*")) == before
    assert not unit(tmp_path).exists()
    assert not systemctl.exists()
    system = command("gateway", "install", "--print", "--system", "--run-as", "daemon", "--json")
    assert isinstance(system.json, dict)
    assert "User=daemon\n" in system.json["text"]
    assert system.json["path"] == "/etc/systemd/system/openclaw-gateway.service"


@linux
def test_installing_twice_says_so_and_uninstalling_too(tmp_path: Path, command: Run, systemctl: Path) -> None:
    first = command("gateway", "install", "--no-start")
    assert (first.code, first.out.split()[0]) == (0, "Installed")
    assert "loginctl enable-linger" in first.out
    second = command("gateway", "install", "--no-start", "--json")
    assert isinstance(second.json, dict)
    assert second.json["changed"] is False
    told = systemctl.read_text()
    assert "--user --no-pager enable openclaw-gateway.service" in told
    assert " start " not in told
    assert unit(tmp_path).exists()
    assert "Removed" in command("gateway", "uninstall").out
    assert "No service" in command("gateway", "uninstall").out


@linux
def test_a_variable_of_the_shell_is_given_to_the_service_in_its_private_file(
    home: Path, command: Run, systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-planted-canary")
    without = command("gateway", "install", "--no-start")
    assert "will not see ANTHROPIC_API_KEY" in without.out
    done = command("gateway", "install", "--no-start", "--env", "ANTHROPIC_API_KEY")
    assert "will not see" not in done.out
    assert "sk-planted-canary" not in done.out + without.out
    assert (home / "service.env").read_text().count("sk-planted-canary") == 1
    assert command("gateway", "install", "--env", "NOT_SET_ANYWHERE").code == 1


@linux
def test_status_tells_of_a_unit_that_was_edited(tmp_path: Path, command: Run, systemctl: Path) -> None:
    command("gateway", "install", "--no-start", "--port", "19002")
    unit(tmp_path).write_text(unit(tmp_path).read_text() + "Nice=3\n")
    status = command("gateway", "status", "--json")
    assert status.code == 1  # nothing listens
    assert isinstance(status.json, dict)
    service = status.json["service"]
    assert (service["installed"], service["active"], service["drift"]) == (True, "active", "different")
    assert status.json["url"] == "ws://127.0.0.1:19002"  # where the service was told to listen
    assert command("gateway", "status", "--json", "--url", "ws://127.0.0.1:9").json["url"] == "ws://127.0.0.1:9"
    assert "says something else" in command("gateway", "status").out


@linux
def test_without_a_service_each_command_says_how_to_get_one(command: Run, systemctl: Path) -> None:
    for word in ("start", "stop", "restart"):
        done = command("gateway", word)
        assert done.code == 1
        assert "gateway install" in done.err


def test_where_no_manager_is_nothing_is_written(
    tmp_path: Path, home: Path, command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    done = command("gateway", "install")
    assert done.code == 1
    assert "NOT_SUPPORTED" in done.err
    assert list(home.iterdir()) == []
    assert not (tmp_path / "home").exists()


@linux
@pytest.mark.slow
def test_a_start_is_waited_for_and_a_failed_one_shows_the_last_words(tmp_path: Path) -> None:
    place = Place(tmp_path)
    env = place.env
    stand_in(tmp_path, env)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
        )

    with place.serving("gateway", "run"):
        done = run("gateway", "install", "--port", str(place.port))
        assert done.returncode == 0, done.stderr
        assert "running" in done.stdout
        assert run("gateway", "restart").stdout == "Restarted; ready.\n"
        probed = run("gateway", "probe", "--json")
        assert probed.returncode == 0
        assert [step["ok"] for step in json.loads(probed.stdout)["steps"]] == [True] * 4
    stand_in(tmp_path, env, fails="restart")
    failed = run("gateway", "restart")
    assert failed.returncode == 1
    assert "its last words" in failed.stderr
    assert "Nothing was undone" in failed.stderr
    assert run("gateway", "probe").returncode == 1


@pytest.mark.slow
def test_a_log_is_followed_over_its_rotation_and_over_the_gateways_end(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text('{logging: {maxFileBytes: 10000, level: "debug"}}')
    log = place.state / "logs" / "openclaw.log"
    out = tmp_path / "followed"
    follow = [SCRIPT, "logs", "--follow", "--json", "--component", "listeners.test"]
    with place.serving("gateway", "run"), out.open("w") as file:
        following = subprocess.Popen(follow, env=place.env, cwd=tmp_path, stdout=file)
        try:
            write_lines(log, 0, 5)
            wait_until(lambda: out.read_text().count("\n") >= 5)
            log.rename(log.with_name("openclaw.log.1"))  # what a rotation does
            write_lines(log.with_name("openclaw.log.1"), 5, 8)
            write_lines(log, 8, 12)
            wait_until(lambda: out.read_text().count("\n") >= 12)
            numbers = [json.loads(line)["n"] for line in out.read_text().splitlines()]
            assert numbers == list(range(12))
        except BaseException:
            following.kill()
            raise
    try:
        write_lines(log, 12, 15)  # the gateway is gone, and the file still grows
        wait_until(lambda: out.read_text().count("\n") >= 15)
        assert [json.loads(line)["n"] for line in out.read_text().splitlines()] == list(range(15))
    finally:
        following.terminate()
        following.wait(10)


def write_lines(path: Path, first: int, last: int) -> None:
    with path.open("a") as file:
        for number in range(first, last):
            line = {"time": "2026-01-01T00:00:00.000Z", "level": "info", "event": "x", "component": "listeners.test"}
            file.write(json.dumps({**line, "n": number}) + "\n")


def test_the_log_is_filtered_by_level_component_session_and_time(home: Path, command: Run) -> None:
    (home / "logs").mkdir()
    rows = [
        ("2020-01-01T00:00:00.000Z", "error", "agent", "agent:main:main"),
        ("2030-01-01T00:00:00.000Z", "info", "agent.lane", "agent:main:main"),
        ("2030-01-01T00:00:00.000Z", "error", "agents", "agent:main:other"),
    ]
    text = "".join(
        json.dumps({"time": time, "level": level, "event": f"e{n}", "component": component, "session": session}) + "\n"
        for n, (time, level, component, session) in enumerate(rows)
    )
    (home / "logs" / "openclaw.log").write_text(text)

    def events(*flags: str) -> list[str]:
        done = command("logs", "--json", "--url", "ws://127.0.0.1:9", *flags)
        assert done.code == 0, done.err
        return [json.loads(line)["event"] for line in done.out.splitlines()]

    assert events() == ["e0", "e1", "e2"]
    assert events("--level", "error") == ["e0", "e2"]
    assert events("--component", "agent") == ["e0", "e1"]
    assert events("--session", "main") == ["e0", "e1"]
    assert events("--session", "other") == ["e2"]
    assert events("--since", "2025-01-01T00:00") == ["e1", "e2"]
    assert events("--since", "1d", "--limit", "1") == ["e2"]
    assert command("logs", "--since", "yesterday").code == 1


def test_status_shows_what_each_room_takes(home: Path, command: Run) -> None:
    (home / "trash").mkdir()
    (home / "trash" / "old").write_bytes(b"x" * 4200)
    status = command("status", "--json")
    assert isinstance(status.json, dict)
    assert {room["room"]: room["bytes"] for room in status.json["rooms"]}["trash"] == 4200
    assert "4.2 kB" in command("status").out


def test_version_and_upgrade_check_for_programs(home: Path, command: Run) -> None:
    version = command("version", "--json").json
    assert isinstance(version, dict)
    assert {"version", "python", "platform", "protocols", "schema", "extras", "deprecations"} == set(version)
    checked = command("upgrade", "--check", "--json")
    assert checked.code == 0
    assert isinstance(checked.json, dict)
    assert checked.json["store"]["known"] == version["schema"]
    assert "nothing is wrong" in command("upgrade", "--check").out
    (home / "openclaw.json").write_text("{gateway: {bind: 'lan', auth: {mode: 'none'}}}")
    assert command("upgrade", "--check").code == 1
    assert command("upgrade").code == 2
