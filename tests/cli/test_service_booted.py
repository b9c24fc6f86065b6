"""The service under a real systemd: installed, started, reloaded, broken, drained and removed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.gateway_process import wait_until
from tests.cli.machine import Machine, booted, why_not

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be booted")]

STATE = "/var/lib/openclaw"
PORT = 18_999
UNIT = "openclaw-gateway.service"
TOKEN = "test-token-test-token-test-token-0123456789"
CONFIG: dict[str, Any] = {
    "gateway": {"port": PORT, "auth": {"token": TOKEN}, "reload": {"mode": "off"}},
    "agents": {"defaults": {"model": "fake/fake-l1000"}},
}
QUICK = "[Service]\nRestartSec=100ms\nWatchdogSec=1\n"


class Service:
    """The gateway as a service of a booted machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def openclaw(self, *arguments: str, code: int | None = 0) -> str:
        """Run a command line as root; return what it printed."""
        env = {"OPENCLAW_STATE_DIR": STATE}
        done = self.machine.run(sys.executable, "-m", "openclaw", *arguments, env=env)
        assert code is None or done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def shows(self, name: str) -> str:
        """Return one property of the unit."""
        return self.machine.says("systemctl", "show", UNIT, f"--property={name}", "--value").strip()

    def configure(self, **gateway: Any) -> None:
        config = {**CONFIG, "gateway": {**CONFIG["gateway"], **gateway}}
        self.machine.writes(f"{STATE}/openclaw.json", json.dumps(config))

    def journal(self) -> str:
        return self.machine.says("journalctl", "--unit", UNIT, "--output=cat", "--no-pager")

    def is_ready(self, other_than: str = "") -> bool:
        return self.shows("ActiveState") == "active" and self.shows("MainPID") not in ("0", other_than)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A machine with the service installed and running; a test leaves it running."""
    with booted() as machine:
        if isinstance(machine, str):
            pytest.skip(machine)
        found = Service(machine)
        machine.says("chmod", "711", "/root")  # where this interpreter may be: the service is another user
        machine.says("useradd", "--system", "--home-dir", STATE, "openclaw")
        machine.writes(f"/etc/systemd/system/{UNIT}.d/quick.conf", QUICK)
        found.configure()
        env = ("--env", "PYTHONPATH") if machine.run("printenv", "PYTHONPATH").stdout else ()
        said = found.openclaw("gateway", "install", "--system", "--port", str(PORT), *env)
        assert f"running    at http://127.0.0.1:{PORT}" in said
        yield found


def test_an_installed_service_runs_as_its_user_in_the_whole_sandbox_and_says_so(service: Service) -> None:
    status = json.loads(service.openclaw("gateway", "status", "--json"))
    assert status["service"]["active"] == "active"
    assert status["service"]["drift"] == "same"
    assert status["service"]["overrides"] == [f"/etc/systemd/system/{UNIT}.d/quick.conf"]
    assert status["url"] == f"ws://127.0.0.1:{PORT}"
    assert service.shows("StatusText").startswith(f"listening on 127.0.0.1:{PORT}")
    assert (service.shows("User"), service.shows("ProtectSystem")) == ("openclaw", "strict")
    assert service.shows("CapabilityBoundingSet") == ""
    assert service.shows("StatusErrno") == "0"
    ready = [json.loads(line) for line in service.journal().splitlines() if '"gateway_ready"' in line]
    assert ready[-1]["component"] == "gateway"
    assert TOKEN not in service.journal()
    assert TOKEN not in service.machine.says("systemctl", "cat", UNIT)


def test_a_reload_keeps_the_process_and_takes_the_new_settings(service: Service) -> None:
    pid = service.shows("MainPID")
    service.configure(controlUi={"allowedOrigins": ["https://chat.example"]})
    service.machine.says("systemctl", "reload", UNIT)
    wait_until(lambda: '"config_reloaded"' in service.journal())
    assert (service.shows("MainPID"), service.shows("NRestarts")) == (pid, "0")
    service.configure()


def test_a_gateway_that_is_killed_or_hangs_is_started_again(service: Service) -> None:
    pid = service.shows("MainPID")
    service.machine.says("kill", "-KILL", pid)
    wait_until(lambda: service.is_ready(other_than=pid))
    pid = service.shows("MainPID")
    service.machine.says("kill", "-STOP", pid)  # the watchdog hears nothing any more
    wait_until(lambda: service.is_ready(other_than=pid))
    assert "Watchdog timeout" in service.journal()
    assert service.shows("NRestarts") == "2"


def test_a_stop_lets_the_turn_end_that_is_going(service: Service) -> None:
    params = {"sessionKey": "main", "message": "the last words", "idempotencyKey": "k"}
    service.openclaw("gateway", "call", "chat.send", "--params", json.dumps(params), "--token", TOKEN)
    service.openclaw("gateway", "stop")
    assert (service.shows("ActiveState"), service.shows("Result")) == ("inactive", "success")
    assert "Started; ready." in service.openclaw("gateway", "start")
    asked = ("gateway", "call", "chat.history", "--params", '{"sessionKey": "main"}', "--token", TOKEN)
    assert service.openclaw(*asked).count("the last words") >= 2


def test_a_configuration_that_must_not_start_does_not_restart_for_ever(service: Service) -> None:
    service.configure(bind="lan", auth={"mode": "none"})
    said = service.openclaw("gateway", "restart", code=1)
    assert "gateway.auth.mode is none" in said
    assert (service.shows("ExecMainStatus"), service.shows("NRestarts")) == ("78", "0")
    service.configure()
    assert "Restarted; ready." in service.openclaw("gateway", "restart")


def test_a_port_in_use_is_told_and_not_tried_for_ever(service: Service) -> None:
    service.openclaw("gateway", "stop")
    taken = ("systemd-run", "--unit=taker", "--quiet", "python3", "-m", "http.server", str(PORT), "--bind", "127.0.0.1")
    service.machine.says(*taken)
    listening = f"import socket; socket.create_connection(('127.0.0.1', {PORT}), 5)"
    wait_until(lambda: service.machine.run("python3", "-c", listening).returncode == 0)
    assert f"port {PORT} on 127.0.0.1 is in use" in service.openclaw("gateway", "start", code=1)
    assert (service.shows("ExecMainStatus"), service.shows("NRestarts")) == ("78", "0")
    service.machine.says("systemctl", "stop", "taker")
    service.openclaw("gateway", "start")


@pytest.mark.skipif(not Path(sys.executable).resolve().is_relative_to("/root"), reason="everybody can run this Python")
def test_a_user_who_cannot_reach_the_program_is_told_before_anything_is_written(service: Service) -> None:
    service.machine.says("useradd", "--system", "outsider")
    service.machine.says("chmod", "700", "/root")
    env = {"OPENCLAW_STATE_DIR": "/var/lib/outsider"}
    argv = (sys.executable, "-m", "openclaw", "gateway", "install", "--system", "--run-as", "outsider")
    done = service.machine.run(*argv, env=env)
    assert done.returncode == 1
    assert "the user outsider cannot execute" in done.stderr
    assert service.machine.run("ls", "/var/lib/outsider").returncode != 0
    service.machine.says("chmod", "711", "/root")


def test_a_user_has_a_service_of_their_own(service: Service) -> None:
    machine = service.machine
    machine.says("sh", "-c", "useradd --create-home alice && loginctl enable-linger alice")
    machine.says("systemctl", "start", f"user@{machine.says('id', '--user', 'alice').strip()}")
    env = {"HOME": "/home/alice", "OPENCLAW_STATE_DIR": "/home/alice/state"}
    own = ("--env", "PYTHONPATH") if machine.run("printenv", "PYTHONPATH").stdout else ()

    def openclaw(*arguments: str) -> str:
        done = machine.run(sys.executable, "-m", "openclaw", "gateway", *arguments, user="alice", env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "running" in openclaw("install", "--port", "19001", *own)
    told = json.loads(openclaw("status", "--json"))["service"]
    assert (told["scope"], told["active"], told["lingers"]) == ("user", "active", True)
    assert "Removed" in openclaw("uninstall")


def test_what_is_uninstalled_is_gone_for_systemd_and_the_state_stays(service: Service) -> None:
    service.openclaw("gateway", "uninstall")
    assert service.shows("LoadState") == "not-found" or service.shows("FragmentPath") == ""
    assert service.machine.run("test", "-f", f"{STATE}/openclaw.db").returncode == 0
    assert "No service is installed" in service.openclaw("gateway", "uninstall")
