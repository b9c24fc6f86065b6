"""The field's own client against the gateway's own TLS, with the certificate that it generated pinned."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from openclaw.client.resolve import fingerprint_of
from tests.cli.gateway_process import wait_until
from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.npm.client import Driver, Refused

pytestmark = pytest.mark.anyio


async def test_it_connects_below_a_base_path_with_the_fingerprint_pinned_and_not_with_another(
    driver: Driver, tmp_path: Path
) -> None:
    folder, port = tmp_path / "state", free_port()
    settings = {"port": port, "auth": {"token": TOKEN}, "tls": {"enabled": True}, "controlUi": {"basePath": "/claw"}}
    write_config(folder, port, gateway=settings)
    running = await GatewayProcess.start(folder, port)
    try:
        certificate = folder / "gateway" / "tls" / "gateway-cert.pem"
        await asyncio.to_thread(wait_until, lambda: "gateway_ready" in running.output())
        pinned, url = fingerprint_of(certificate), f"wss://127.0.0.1:{port}/claw"
        options: dict[str, Any] = {"token": TOKEN, "minProtocol": 4, "maxProtocol": 4}
        client = await driver.open(url, tlsFingerprint=pinned, **options)
        assert (await client.hello())["protocol"] == 4
        assert (await client.request("health", {}))["ok"]
        await client.stop()
        stranger = await driver.open(url, tlsFingerprint="0" * 64, **options)
        with pytest.raises(Refused):
            await stranger.hello()
        await stranger.stop()
    finally:
        await running.stop()
