"""`openclaw nodes` as people use it, against a gateway that is a process and a host that is attached to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from openclaw.protocol.device_auth import DeviceKey
from tests.cli.gateway_process import DEADLINE_S, Place
from tests.stand_ins.node_host import attach, echo

pytestmark = pytest.mark.slow
TOKEN = "test-token-test-token-test-token-0123456789"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    place.state.mkdir(mode=0o700)
    nodes = {"commands": {"allow": ["demo.echo"]}}
    config = {"gateway": {"auth": {"token": TOKEN}, "nodes": nodes}}
    (place.state / "openclaw.json").write_text(json.dumps(config))
    with place.serving("gateway"):
        attached, leave = Event(), Event()

        async def stay() -> None:
            url = f"ws://127.0.0.1:{place.port}"
            async with attach(url, TOKEN, {"demo.echo": echo}, key=DeviceKey.new(), name="lamp"):
                attached.set()
                await asyncio.to_thread(leave.wait)

        host = Thread(target=asyncio.run, args=(stay(),))
        host.start()
        try:
            assert attached.wait(DEADLINE_S)
            yield place
        finally:
            leave.set()
            host.join(DEADLINE_S)


def test_a_node_is_listed_approved_asked_renamed_and_forgotten(live: Place) -> None:
    assert "pending-approval" in live.run("nodes", "status").stdout
    (waiting,) = json.loads(live.run("nodes", "pending", "--json").stdout)
    assert waiting["commands"] == ["demo.echo"]
    assert live.run("nodes", "pending").stdout.splitlines()[1].split()[0] == waiting["requestId"]
    assert "1 waiting" in live.run("nodes", "list").stdout
    unapproved = live.run("nodes", "invoke", "--node", "lamp", "--command", "demo.echo")
    assert unapproved.returncode == 1
    assert "nobody has approved" in unapproved.stderr
    assert live.run("nodes", "approve", waiting["requestId"]).stdout == "lamp may be asked for: demo.echo\n"
    answered = live.run("nodes", "invoke", "--node", "lamp", "--command", "demo.echo", "--params", '{"a": 1}')
    assert json.loads(answered.stdout) == {"a": 1}
    bad = live.run("nodes", "invoke", "--node", "lamp", "--command", "demo.echo", "--params", "{")
    assert "--params is no JSON" in bad.stderr
    assert "Kitchen" in live.run("nodes", "rename", "--node", waiting["nodeId"][:12], "--name", "Kitchen").stdout
    assert "demo.echo" in live.run("nodes", "describe", "--node", "Kitchen").stdout
    assert "There is no node nobody" in live.run("nodes", "describe", "--node", "nobody").stderr
    assert live.run("nodes", "reject", "nope").returncode == 1
    assert live.run("nodes", "remove", "--node", "Kitchen", "--yes").stdout == "Kitchen is forgotten.\n"
