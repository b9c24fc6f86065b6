"""Secrets of every kind planted in a real gateway, a long session, and a search for them wherever they must not be."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import pytest

from openclaw.identity.scopes import Role
from openclaw.ops.quotas import OTHER, room_of
from openclaw.rpc.build import METHODS
from tests.conformance.wire import SCOPES, Frame, Wire, client, connect_request, socket
from tests.gateway.process import TOKEN, GatewayProcess, free_port
from tests.gateway.sweep import found_in
from tests.listeners.device import KEY, attached, sign
from tests.rpc.good import GOOD

pytestmark = pytest.mark.anyio

PLANTED: Final = {
    name: f"canary-{name}-3f9c71e0b2"
    for name in ("hook", "signature", "provider", "inherited", "channel", "argument", "query", "comment", "header")
}
TRIED: Final = {name: f"canary-{name}-8d04aa61f7" for name in ("wrong", "guess", "wronghook", "urltoken", "setup")}
RENEWED: Final = "canary-renewed-token-51b6c9d2e8f7a3040b1c"
MAY_HOLD: Final = ("openclaw.json", "snapshots/last-good", "snapshots/changes/texts/", "credentials/")
"""Where the configuration's secrets are kept, below the state directory: files of nobody else's."""

LEFT_OUT: Final = frozenset(("config.set", "config.apply", "gateway.restart.request", "update.run", "secrets.reload"))
"""What would end the gateway or write a configuration of its own."""


def configuration(port: int) -> str:
    """Return a configuration that holds every planted secret."""
    values: dict[str, Any] = {
        "gateway": {"port": port, "auth": {"token": TOKEN}},
        "agents": {"defaults": {"model": "down/m"}},
        "models": {
            "providers": {
                "down": {
                    "api": "openai-completions",
                    "baseUrl": f"http://127.0.0.1:1/v1?api_key={PLANTED['query']}",
                    "apiKey": PLANTED["provider"],
                    "headers": {"X-Api-Key": PLANTED["header"]},
                    "models": [{"id": "m", "name": "m"}],
                },
                "env": {"baseUrl": "http://127.0.0.1:1/v1", "apiKey": "${CANARY_KEY}", "models": []},
            }
        },
        "hooks": {
            "enabled": True,
            "token": PLANTED["hook"],
            "mappings": [
                {
                    "match": {"path": "signed"},
                    "action": "wake",
                    "signature": {"scheme": "github", "secret": PLANTED["signature"]},
                }
            ],
        },
        "channels": {"telegram": {"botToken": PLANTED["channel"]}},
        "mcp": {"servers": {"gone": {"command": "/nonexistent", "args": ["--token", PLANTED["argument"]]}}},
    }
    return f"// the old token was {PLANTED['comment']}\n{json.dumps(values, indent=1)}"


def post(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Send a webhook."""
    body = b'{"text": "hello", "message": "hello"}'
    request = urllib.request.Request(url, body, {"content-type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


async def everything(wire: Wire, protocol: int) -> None:
    """Call every method of operators once, well or badly, and take what comes."""
    ids = []
    for spec in METHODS:
        if spec.role == "node" or not spec.since <= protocol <= spec.until or spec.name in LEFT_OUT:
            continue
        for params in (GOOD.get(spec.name, {}), {"x": 1}):
            ids.append(await wire.begin(spec.name, params))
    wanted = set(ids)
    try:
        async with asyncio.timeout(1.5):
            while wanted - {str(frame.get("id")) for frame in wire.frames}:
                await wire.until(lambda frame: False, after=len(wire.frames), patience_s=0.2)
    except TimeoutError:
        return  # some wait for a person


async def attempts(running: GatewayProcess) -> list[bytes]:
    """Come with wrong credentials by every door; return what was answered."""
    heard: list[bytes] = []
    for auth in ({"token": TRIED["wrong"]}, {"password": TRIED["guess"]}, {"bootstrapToken": TRIED["setup"]}):
        async with socket(running.ws_url) as wire:
            told = await wire.until(lambda frame: frame.get("event") == "connect.challenge")
            request = connect_request(4, auth=auth)
            request["params"] = sign(request["params"], told["payload"]["nonce"], told["payload"]["ts"])
            await wire.send(request)
            await wire.ended()
            heard.append(json.dumps([wire.frames, wire.closed]).encode())
    hooks = f"{running.http_url}/hooks"
    for url, headers in (
        (f"{hooks}/wake", {"authorization": f"Bearer {PLANTED['hook']}"}),
        (f"{hooks}/wake", {"x-openclaw-token": TRIED["wronghook"]}),
        (f"{hooks}/agent?token={TRIED['urltoken']}", {}),
        (f"{hooks}/signed", {"x-hub-signature-256": f"sha256={PLANTED['signature']}"}),
        (f"{running.http_url}/v1/chat/completions", {"authorization": f"Bearer {TRIED['guess']}"}),
    ):
        status, body = await asyncio.to_thread(post, url, headers)
        assert status, url
        heard.append(body)
    return heard


async def renew(wire: Wire) -> None:
    """Replace the shared token while the gateway runs; the connection that came by the old one is closed."""
    raw = json.dumps({"gateway": {"auth": {"token": RENEWED}}})
    for _ in range(3):  # what was changed a moment ago may just be being taken up: then the hash is another
        base = (await wire.ask("config.get"))["payload"]["hash"]
        answer = await wire.ask("config.patch", {"raw": raw, "baseHash": base, "note": "a new one"})
        if answer["ok"]:
            break
    assert answer["ok"], answer
    assert (await wire.ended())[0] == 4001


async def device_token(running: GatewayProcess, role: Role = "operator") -> tuple[str, Frame]:
    """Pair a device; return its token and what it was told."""
    params = connect_request(4, role=role, scopes=["operator.read"])["params"]
    async with attached(running.ws_url, params) as device:
        return device.auth["deviceToken"], device.answer


async def test_no_secret_leaves_the_files_that_must_hold_it(tmp_path: Path) -> None:
    folder, port = tmp_path / "state", free_port()
    folder.mkdir(mode=0o700)
    (folder / "openclaw.json").write_text(configuration(port))
    running = await GatewayProcess.start(folder, port, env={"CANARY_KEY": PLANTED["inherited"]})
    try:
        await running.ready()
        own, hello = await device_token(running)
        heard = await attempts(running)
        async with (
            client(running.ws_url, 3) as old,
            client(running.ws_url, 4) as new,
            client(running.ws_url, 4, scopes=SCOPES) as last,
        ):
            await last.ask("sessions.subscribe")
            await last.ask("chat.send", {"sessionKey": "main", "message": "hello", "idempotencyKey": "canary"})
            await last.until(lambda frame: frame.get("event") == "chat" and frame["payload"]["state"] == "error")
            await asyncio.gather(everything(old, 3), everything(new, 4))
            await last.ask("device.token.rotate", {"deviceId": KEY.device_id, "role": "operator"})
            for method in ("config.get", "logs.tail", "system-presence", "device.pair.list", "health"):
                assert (await last.ask(method))["ok"]
            await renew(last)
            heard += [json.dumps(wire.frames).encode() for wire in (old, new, last)]
    finally:
        await running.stop()
    known = {**PLANTED, **TRIED, "shared": TOKEN, "renewed": RENEWED, "device": own}
    assert own in json.dumps(hello)
    for data in (*heard, running.output().encode()):
        assert not found_in(data, known), data[:2000]
    assert [path.name for path in folder.iterdir() if room_of(path.name) == OTHER] == ["gateway.out"]
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        name, found = str(path.relative_to(folder)), found_in(path.read_bytes(), known)
        if name.startswith(MAY_HOLD):
            assert not set(found) & {*TRIED, "device"}, name
            assert name == "openclaw.json" or not path.stat().st_mode & 0o077, name
        else:
            assert not found, f"{name} holds {found}"
