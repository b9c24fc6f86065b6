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
URL = f"ws://127.0.0.1:{PORT}"
TOKEN = "test-token-test-token-test-token-0123456789"
CONFIG: dict[str, Any] = {
    "gateway": {"port": PORT, "auth": {"token": TOKEN}, "reload": {"mode": "off"}},
    "agents": {"defaults": {"model": "fake/fake-l1000", "sandbox": {"backend": "bubblewrap", "network": "proxy"}}},
}
PROBE = f"""
echo mine > made
cat {STATE}/openclaw.json {STATE}/service.env /run/openclaw-commands.sock && echo state
ls {STATE} | grep -v workspace && echo beside
touch {STATE}/made /usr/made /etc/made && echo elsewhere
(exec 3<>/dev/tcp/127.0.0.1/{PORT}) && echo network
unshare -Ur true && echo nested
exec 3<>/dev/tcp/127.0.0.1/3128
printf 'GET http://example.com/ HTTP/1.1\\r\\nHost: example.com\\r\\nConnection: close\\r\\n\\r\\n' >&3
cat <&3
grep -vl bash /proc/[0-9]*/comm | wc -l
uname -n
"""
APPROVE = """
import asyncio, json, sys
from openclaw.client.ws import GatewayClient
async def main(url, token, command):
    async with await GatewayClient.connect(url, token=token) as person:
        text = "/tool exec " + json.dumps({"command": command})
        begun = await person.call("chat.send", {"sessionKey": "x", "message": text, "idempotencyKey": command}, 30)
        async for event in person.events():
            if event.name == "exec.approval.requested":
                print(event.payload["request"]["host"])
                await person.call("exec.approval.resolve", {"id": event.payload["id"], "decision": "allow-once"}, 30)
            ended = event.name == "chat" and event.payload["state"] in ("final", "error")
            if ended and event.payload["runId"] == begun["runId"]:
                return print(json.dumps(event.payload["message"]))
asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))
"""
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


def approved(machine: Machine, url: str, token: str, command: str) -> tuple[str, list[str]]:
    """Have an agent run a command and approve it; return where it was to run, and the lines that the model was told."""
    env = {"OPENCLAW_STATE_DIR": "/tmp/person"}
    done = machine.run(sys.executable, "-c", APPROVE, url, token, command, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    where, told = done.stdout.splitlines()
    return where, json.loads(told)["content"][0]["text"].splitlines()


def test_a_command_runs_within_bubblewrap_though_the_gateway_may_make_no_namespace(service: Service) -> None:
    assert service.shows("RestrictNamespaces") == "yes"
    service.machine.writes(f"{STATE}/workspace/probe.sh", PROBE)
    service.machine.says("chown", "-R", "openclaw", f"{STATE}/workspace")
    where, told = approved(service.machine, URL, TOKEN, "bash probe.sh")
    assert (where, told[-1]) == ("sandbox", "sandbox")
    assert int(told[-2]) <= 6
    assert "example.com is not named in networkPolicy.egressAllowlist" in " ".join(told)  # the door answers
    assert {"state", "beside", "elsewhere", "network", "nested"}.isdisjoint(told)
    assert service.machine.says("cat", f"{STATE}/workspace/made") == "mine\n"


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


def test_a_command_ends_with_the_gateway_though_it_runs_in_another_service(service: Service) -> None:
    service.machine.writes(f"{STATE}/workspace/stay.sh", "setsid -f sleep 7001; echo up; exec sleep 7002")
    asker = service.machine.start(sys.executable, "-c", APPROVE, URL, TOKEN, "bash stay.sh")
    wait_until(lambda: service.machine.run("pgrep", "-f", "sleep 700[12]").stdout.count("\n") >= 2)
    groups = [service.machine.says("cat", f"/proc/{pid}/cgroup") for pid in _sleepers(service.machine)]
    assert all("/openclaw-commands@" in group for group in groups)
    pid = service.shows("MainPID")
    service.machine.says("kill", "-KILL", pid)
    wait_until(lambda: not _sleepers(service.machine))
    asker.kill()
    asker.wait()
    wait_until(lambda: service.is_ready(other_than=pid))


def _sleepers(machine: Machine) -> list[str]:
    return machine.run("pgrep", "-f", "^sleep 700[12]").stdout.split()


def test_without_the_service_that_shuts_in_no_command_runs(service: Service) -> None:
    service.machine.says("systemctl", "stop", "openclaw-commands.socket")
    _, told = approved(service.machine, URL, TOKEN, "touch unheld")
    assert "commands cannot be shut in: /run/openclaw-commands.sock" in " ".join(told)
    assert service.machine.run("test", "-e", f"{STATE}/workspace/unheld").returncode == 1
    service.machine.says("systemctl", "start", "openclaw-commands.socket")


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
    config = {"agents": {"defaults": {"model": "fake/echo", "sandbox": {"backend": "bubblewrap"}}}}
    machine.writes("/home/alice/state/openclaw.json", json.dumps(config))
    machine.says("chown", "-R", "alice", "/home/alice/state")
    env = {"HOME": "/home/alice", "OPENCLAW_STATE_DIR": "/home/alice/state"}
    own = ("--env", "PYTHONPATH") if machine.run("printenv", "PYTHONPATH").stdout else ()

    def openclaw(*arguments: str) -> str:
        done = machine.run(sys.executable, "-m", "openclaw", "gateway", *arguments, user="alice", env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "running" in openclaw("install", "--port", "19001", *own)
    told = json.loads(openclaw("status", "--json"))["service"]
    assert (told["scope"], told["active"], told["lingers"]) == ("user", "active", True)
    token = machine.says("cat", "/home/alice/state/credentials/gateway-token").strip()
    where, lines = approved(machine, "ws://127.0.0.1:19001", token, "cat /proc/sys/kernel/hostname")
    assert (where, lines[-1].split()[-1]) == ("sandbox", "sandbox")
    assert "Removed" in openclaw("uninstall")


def test_what_is_uninstalled_is_gone_for_systemd_and_the_state_stays(service: Service) -> None:
    service.openclaw("gateway", "uninstall")
    assert service.shows("LoadState") == "not-found" or service.shows("FragmentPath") == ""
    assert service.machine.run("test", "-f", f"{STATE}/openclaw.db").returncode == 0
    assert "No service is installed" in service.openclaw("gateway", "uninstall")
