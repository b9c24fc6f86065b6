"""Clients that are devices: each refusal names the one thing to do, and that thing lets them in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import anyio
import pytest

from openclaw.base.errors import Unauthorized
from openclaw.base.secret import Secret
from openclaw.client.handshake import Credentials, Role
from openclaw.client.ws import GatewayClient
from openclaw.ops.doctor.proxy import snippet
from openclaw.protocol.device_auth import DeviceKey
from tests.cli.gateway_process import Place
from tests.cli.nginx import serving_nginx
from tests.gateway.process import free_port

RIGHT = "q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga"
WRONG = "Xw2Lk9Qe4Rt7Yu1Io5Pa8Sd3Fg6Hj0Zx"
ROLE = Role(client_id="gateway-client", mode="backend")

pytestmark = pytest.mark.parametrize("mode", ["token", "password"])


def place_in(root: Path, mode: str, url: str = "") -> Place:
    place = Place(root)
    place.state.mkdir(mode=0o700)
    gateway = {"auth": {"mode": mode, mode: RIGHT}, "trustedProxies": ["127.0.0.1"], "publicBaseUrl": url}
    (place.state / "openclaw.json").write_text(json.dumps({"gateway": gateway}))
    return place


def shared(mode: str, value: str, source: str) -> Credentials:
    secret = Secret(value)
    return Credentials(token=secret, source=source) if mode == "token" else Credentials(password=secret, source=source)


async def token_after(url: str, credentials: Credentials, key: DeviceKey) -> Secret | None:
    async with await GatewayClient.open(url, ROLE, credentials, device=key) as client:
        return client.device_token


async def refusal(url: str, credentials: Credentials, key: DeviceKey) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await token_after(url, credentials, key)
    assert WRONG not in str(caught.value)
    return caught.value


def test_a_device_whose_kept_token_is_no_more(tmp_path: Path, mode: str) -> None:
    place, key = place_in(tmp_path, mode), DeviceKey.new()
    with place.serving("gateway"):
        url = f"ws://127.0.0.1:{place.port}"
        kept = Credentials(device_token=Secret(WRONG), source="the device's own token")
        error = anyio.run(refusal, url, kept, key)
        assert "`openclaw gateway token show`" in error.hint
        assert "once" in error.hint
        shown = place.run("gateway", "token", "show").stdout.strip()
        fresh = anyio.run(token_after, url, shared(mode, shown, ""), key)
        assert fresh is not None
        assert anyio.run(token_after, url, Credentials(device_token=fresh), key) is not None


def test_a_program_with_a_wrong_shared_credential(tmp_path: Path, mode: str) -> None:
    place, key = place_in(tmp_path, mode), DeviceKey.new()
    with place.serving("gateway"):
        url = f"ws://127.0.0.1:{place.port}"
        error = anyio.run(refusal, url, shared(mode, WRONG, "the caller"), key)
        assert "`openclaw gateway token show`" in error.hint
        shown = place.run("gateway", "token", "show").stdout.strip()
        assert anyio.run(token_after, url, shared(mode, shown, ""), key) is not None


def test_a_device_from_elsewhere_that_nobody_has_approved(tmp_path: Path, mode: str) -> None:
    port, key = free_port(), DeviceKey.new()
    place = place_in(tmp_path, mode, f"http://localhost:{port}")
    server = snippet("nginx", f"127.0.0.1:{place.port}", "localhost")
    with place.serving("gateway"), serving_nginx(tmp_path / "nginx", port, server):
        url = f"ws://localhost:{port}"
        error = anyio.run(refusal, url, shared(mode, RIGHT, "the caller"), key)
        action = re.search(r"`openclaw ([^`]+)`", error.hint)
        assert action
        done = place.run(*action[1].split())
        assert done.returncode == 0, done.stderr
        assert anyio.run(token_after, url, shared(mode, RIGHT, ""), key) is not None
