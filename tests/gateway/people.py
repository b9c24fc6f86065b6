"""A gateway whose callers an identity provider vouches for, and the people who come to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.gateway.process import TOKEN, GatewayProcess, free_port, write_config
from tests.stand_ins.oidc import OidcServer

ROLES = {"user": {"groups": ["staff"]}, "admin": {"groups": ["boss"]}}


class Here:
    """A gateway that an identity provider vouches for callers at."""

    def __init__(self, running: GatewayProcess, provider: OidcServer, http: aiohttp.ClientSession) -> None:
        self.running, self.provider, self.http = running, provider, http

    def token(
        self, name: str, group: str = "staff", seconds: float = 600, kid: str = "k1", more: Sequence[str] = ()
    ) -> str:
        """Return a person's token."""
        now = time.time()
        chain = self.provider.chain
        claims = {"iss": chain.issuer, "aud": "openclaw", "sub": name, "groups": [group, *more], "exp": now + seconds}
        return chain.token(claims, kid)

    async def open(self, token: str, *, upgrade: bool = False) -> tuple[ClientConnection, dict[str, Any]]:
        """Connect as a person, by the connect request or by the upgrade's header."""
        headers = {"Authorization": f"Bearer {token}"} if upgrade else {}
        socket = await connect(self.running.ws_url, additional_headers=headers, proxy=None)
        await socket.recv()
        params: dict[str, Any] = {
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
        }
        if not upgrade:
            params["auth"] = {"token": token}
        await socket.send(json.dumps({"type": "req", "id": "c", "method": "connect", "params": params}))
        return socket, json.loads(await asyncio.wait_for(socket.recv(), 10))

    async def get(self, path: str, token: str) -> int:
        """Return the status of a GET."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(self.running.http_url + path, headers=headers) as answer:
            return answer.status


@asynccontextmanager
async def house(folder: Path, roles: dict[str, Any] | None = None, **sections: Any) -> AsyncIterator[Here]:
    """Run a gateway in mode oidc; the shared token opens it to programs on this machine."""
    async with OidcServer() as provider, aiohttp.ClientSession() as http:
        port = free_port()
        auth = {"mode": "oidc", "token": TOKEN, "oidc": {"issuer": provider.base_url, "audience": "openclaw"}}
        write_config(folder, port, gateway={"port": port, "auth": auth, "roles": roles or ROLES}, **sections)
        running = await GatewayProcess.start(folder, port)
        try:
            yield Here(await running.ready(), provider, http)
        finally:
            await running.stop()


async def ask(socket: ClientConnection, method: str, **params: Any) -> dict[str, Any]:
    """Ask, and return the answer."""
    await socket.send(json.dumps({"type": "req", "id": method, "method": method, "params": params}))
    while True:
        frame: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 10))
        if frame.get("id") == method:
            return frame


async def ended(socket: ClientConnection) -> tuple[int, str]:
    """Wait until the gateway closes a connection; return how."""
    with pytest.raises(ConnectionClosed) as caught:  # noqa: PT012  # whatever is told before it
        while True:
            await asyncio.wait_for(socket.recv(), 10)
    frame = caught.value.rcvd
    assert frame is not None
    return frame.code, frame.reason
