"""The shared credential from the outside: real gateways, real shells, and the action that each refusal names."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import anyio
import psutil
import pytest

from openclaw.base.errors import Unauthorized
from openclaw.client.http import get_json
from openclaw.client.ws import GatewayClient
from tests.cli.gateway_process import DEADLINE_S, SCRIPT, Place, wait_until

RIGHT: Final = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
WRONG: Final = "Xw2Lk9Qe4Rt7Yu1Io5Pa8Sd3Fg6Hj0Zx"

MODES: Final = ("token", "password", "none")
SOURCES: Final = ("flag", "process", "cwd .env", "state .env", "configuration", "remote", "nowhere")
CLIENTS: Final = {
    "websocket": "gateway status",
    "rpc": "gateway call health",
    "http": "gateway token check",
}


class Shell:
    """An operator's shell: commands run in it with its environment, and an action of one command stays for the next."""

    def __init__(self, place: Place, cwd: Path, environ: dict[str, str]) -> None:
        self.place, self.cwd = place, cwd
        self.environ = {**place.env, **environ, "PATH": f"{Path(SCRIPT).parent}:{place.env['PATH']}"}

    def run(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", "-c", text],
            env=self.environ,
            cwd=self.cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )


@contextmanager
def serving(root: Path, mode: str, *, reloads: bool = True) -> Iterator[Place]:
    place = Place(root)
    place.state.mkdir(mode=0o700, parents=True)
    auth = {"mode": mode} if mode == "none" else {"mode": mode, mode: RIGHT}
    gateway = {"auth": auth} if reloads else {"auth": auth, "reload": {"mode": "off"}}
    (place.state / "openclaw.json").write_text(json.dumps({"gateway": gateway}))
    with place.serving("gateway"):
        yield place


def shell_with(place: Place, mode: str, source: str) -> tuple[Shell, str]:
    """Return a shell whose `source` holds the wrong credential, and what to add to each command."""
    cwd = place.root / "here"
    cwd.mkdir(exist_ok=True)
    name = "OPENCLAW_GATEWAY_PASSWORD" if mode == "password" else "OPENCLAW_GATEWAY_TOKEN"
    environ, flag = {}, ""
    if source == "flag":
        flag = f" --token {WRONG}"
    elif source == "process":
        environ = {name: WRONG}
    elif source.endswith(".env"):
        (cwd / ".env" if source.startswith("cwd") else place.state / ".env").write_text(f"{name}={WRONG}\n")
    else:
        other = place.root / "other"
        other.mkdir(mode=0o700, exist_ok=True)
        environ = {"OPENCLAW_STATE_DIR": str(other)}
        config: dict[str, object] = {"auth": {"mode": "none" if mode == "none" else mode}}
        if source == "configuration" and mode != "none":
            environ = {}
            config = {"auth": {"mode": mode, mode: WRONG}, "reload": {"mode": "off"}}
            other = place.state
        elif source == "remote":
            config = {"mode": "remote", "remote": {"url": f"ws://127.0.0.1:{place.port}", "token": WRONG}}
        (other / "openclaw.json").write_text(json.dumps({"gateway": config}))
    return Shell(place, cwd, environ), flag


def action_of(output: str) -> str:
    """Return what the message says to type: the first thing in backticks after `What to do`, or of `fix`."""
    found = re.search(r"(?:What to do:|^fix)[^`]*`([^`]+)`", output, re.MULTILINE)
    assert found, output
    return found[1]


def perform(action: str, shell: Shell, command: str) -> subprocess.CompletedProcess[str]:
    """Do what the message says, as the operator would, then the same command again."""
    if action.startswith("--token"):
        return shell.run(f"openclaw {command} {action}")
    if "TOKEN" in action.split("=")[-1].split():
        shown = Shell(shell.place, shell.cwd, {}).run("openclaw gateway token show")
        assert shown.returncode == 0, shown.stderr
        action = re.sub(r"\bTOKEN\b(?!=)", shown.stdout.strip(), action)
    return shell.run(f"{action} && openclaw {command}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", SOURCES)
def test_every_cell_is_ready_after_the_one_action_that_its_own_error_names(
    tmp_path: Path, mode: str, source: str
) -> None:
    with serving(tmp_path, mode, reloads=source != "configuration") as place:
        for client, command in CLIENTS.items():
            shell, flag = shell_with(place, mode, source)
            first = shell.run(f"openclaw {command}{flag}")
            said = first.stdout + first.stderr
            if mode == "none":
                assert first.returncode == 0 or client == "http", said
                continue
            assert first.returncode == 1, said
            assert WRONG not in said
            assert RIGHT not in said
            action = action_of(said)
            if "--force" in action:
                with place.serving("gateway", "--force"):
                    wait_until(lambda: shell.run("openclaw gateway status").returncode == 0)  # noqa: B023
                break
            again = perform(action, shell, command)
            ready = again.returncode == 0 or re.search(r"^accepted +yes$", again.stdout, re.MULTILINE)
            assert ready, (client, action, again.stdout, again.stderr)


def test_the_old_token_lives_through_its_grace_and_a_restart_and_its_clients_are_closed_at_its_end(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "token") as place:
        url, http = f"ws://127.0.0.1:{place.port}", f"http://127.0.0.1:{place.port}/api/auth/check"

        async def watched() -> str:
            async with await GatewayClient.connect(url, token=RIGHT) as client:
                done = await anyio.to_thread.run_sync(
                    place.run, "gateway", "token", "rotate", "--grace", "6s", "--json"
                )
                assert done.returncode == 0, done.stderr
                told = json.loads(done.stdout)
                assert told["gateway"] == "uses it"
                assert len(told["rotated"]["replaced"]) == 1
                assert get_json(http, RIGHT)["ok"]
                assert (await client.call("health"))["ok"]
                with anyio.fail_after(DEADLINE_S):
                    async for _ in client.events():
                        pass
                return str(client.ended)

        assert "4001" in anyio.run(watched)
        with pytest.raises(Unauthorized):
            get_json(http, RIGHT)
        assert get_json(http, place.run("gateway", "token", "show").stdout.strip())["ok"]
        place.run("gateway", "token", "rotate", "--grace", "1h")
        second = place.run("gateway", "token", "show").stdout.strip()
        place.run("gateway", "token", "rotate", "--grace", "1h")
    with place.serving("gateway"):
        assert get_json(http, second)["ok"], "a restart does not end the grace"
        assert place.run("gateway", "token", "rotate").returncode == 0
        with pytest.raises(Unauthorized):
            get_json(http, second)
        assert place.run("gateway", "token", "check").returncode == 0


def test_a_gateway_elsewhere_is_never_sent_the_tokens_of_this_machine(tmp_path: Path) -> None:
    place, outside = Place(tmp_path), own_address()
    place.state.mkdir(mode=0o700)
    (place.state / "openclaw.json").write_text(json.dumps({"gateway": {"auth": {"token": RIGHT}}}))
    with socket.create_server((outside, 0)) as elsewhere:
        url = f"ws://{outside}:{elsewhere.getsockname()[1]}"
        shell = Shell(place, tmp_path, {"OPENCLAW_GATEWAY_URL": url, "OPENCLAW_GATEWAY_TOKEN": WRONG})
        assert shell.run("openclaw gateway token show").stdout.strip() == WRONG
        elsewhere.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has come: nothing was asked over the network
            elsewhere.accept()


def own_address() -> str:
    """Return an address of this machine that is no loopback."""
    found = [one.address for all_ in psutil.net_if_addrs().values() for one in all_ if one.family == socket.AF_INET]
    outside = [address for address in found if not ip_address(address).is_loopback]
    if not outside:
        pytest.skip("this machine has no address but its loopback")
    return str(outside[0])
