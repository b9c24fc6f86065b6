"""`openclaw devices`, as a process, against a gateway that is a process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.gateway_process import Place
from tests.listeners.device import attached

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("devices"))
    with place.serving("gateway"):
        yield place


def come(place: Place, **client: str) -> dict[str, Any]:
    """Connect as a device; return the answer."""

    async def connect() -> dict[str, Any]:
        token = (place.state / "credentials" / "gateway-token").read_text().strip()
        body = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli", **client},
            "auth": {"token": token},
            "scopes": ["operator.read"],
        }
        async with attached(f"ws://127.0.0.1:{place.port}", body) as device:
            return device.answer

    return asyncio.run(connect())


def test_a_device_is_listed_approved_renamed_rotated_revoked_and_removed(live: Place) -> None:
    assert come(live, displayName="my \x1b[31mlaptop")["ok"]
    listed = live.run("devices", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "laptop" in listed.stdout
    (device,) = json.loads(live.run("devices", "list", "--json").stdout)["paired"]
    assert device["displayName"] == "my [31mlaptop"
    short = device["deviceId"][:8]
    request = come(live, platform="darwin")["error"]["details"]["requestId"]
    assert request[:12] in live.run("devices").stdout
    approved = live.run("devices", "approve", request[:6])
    assert approved.returncode == 0, approved.stderr
    assert "is paired as operator: read." in approved.stdout
    assert come(live, platform="darwin")["ok"]
    assert "is called desk." in live.run("devices", "rename", short, "desk").stdout
    rotated = json.loads(live.run("devices", "rotate", short, "--json").stdout)
    assert (rotated["tokenDelivery"], "token" in rotated) == ("withheld-cross-device", False)
    assert "is revoked." in live.run("devices", "revoke", short).stdout
    other = come(live, platform="win32")["error"]["details"]["requestId"]
    assert "is refused." in live.run("devices", "reject", other).stdout
    removed = live.run("devices", "remove", short, "--yes")
    assert removed.stdout.startswith("desk ")
    assert "NOT_FOUND" in live.run("devices", "remove", short, "--yes").stderr


def test_a_setup_code_is_made_listed_and_revoked(live: Place) -> None:
    made = json.loads(live.run("devices", "code", "--access", "limited", "--json").stdout)
    assert (made["access"], made["gatewayUrl"]) == ("limited", f"ws://127.0.0.1:{live.port}")
    assert made["setupId"] in live.run("devices", "code", "--list").stdout
    assert "is revoked" in live.run("devices", "code", "--revoke", made["setupId"]).stdout
    assert made["setupId"] not in live.run("devices", "code", "--list").stdout
    open_way = live.run("devices", "code", "--public-url", "ws://gateway.example")
    assert "limited access" in open_way.stdout
