"""One canary in every place that a reference can name, a session with failures and a crash, and a search for them all.

What the configuration holds in plain text is searched for by tests/gateway/test_canaries.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.wire import SCOPES, client
from tests.gateway.process import GatewayProcess, free_port
from tests.gateway.sweep import found_in as search_for
from tests.secrets.test_aws import CREDENTIALS, REGION, keep
from tests.secrets.test_aws import client as aws_client
from tests.stand_ins.server import Answer, Failure, Raw, Request, StandIn
from tests.stand_ins.vault import VaultStandIn

pytestmark = pytest.mark.anyio

SEED: Final = "5b1e90c7aa"
NAMES: Final = (
    *("gateway", "variable", "dotenv", "placeholder", "shell", "file", "member", "store", "program", "complaint"),
    *("refused", "aws", "ssm", "vault", "vaulttoken", "awskey", "replaced", "profile"),
)
PLANTED: Final = {name: f"canary-{name}-{SEED}-{SEED}" for name in NAMES}
KEPT_IN: Final = {
    ".env": ("dotenv",),
    "profile": ("shell",),
    "plain": ("file",),
    "members.json": ("member", "gateway"),
    "secrets.json": ("store",),
    "program": ("program", "complaint", "refused"),
    "vault-token": ("vaulttoken",),
    "auth-profiles.json": ("profile",),
}
"""Files of the state directory that hold a secret because somebody put it there."""


class Parrot(StandIn):
    """A provider that turns every key away, and repeats it in all it says."""

    def __init__(self) -> None:
        super().__init__(self._parrot)

    def _parrot(self, request: Request) -> Raw:
        said = f"wrong credential {request.headers.get('authorization', '')}"
        return Raw((json.dumps({"error": {"message": said, "code": said}}).encode(),), 401, headers={"x-said": said})

    def answer(self, request: Request, reply: Answer | Failure) -> Raw:
        """No script of answers is ever used."""
        raise NotImplementedError


def plant(folder: Path, port: int, parrot: str, vault: str) -> None:
    """Write the configuration and every file it names, each with its own canary."""
    folder.mkdir(mode=0o700)
    private(folder / ".env", f"CANARY_DOTENV={PLANTED['dotenv']}\n")
    (folder / "home").mkdir()
    private(folder / "home" / ".profile", f"export CANARY_SHELL={PLANTED['shell']}; echo {PLANTED['shell']} >&2\n")
    private(folder / "plain", PLANTED["file"])
    private(folder / "members.json", json.dumps({"a": {"b": PLANTED["member"]}, "gateway": PLANTED["gateway"]}))
    private(folder / "secrets.json", json.dumps({"store/key": PLANTED["store"]}))
    private(folder / "vault-token", PLANTED["vaulttoken"])
    private(folder / "program", PROGRAM)
    (folder / "program").chmod(0o700)
    profiles = {"profiles": {"parrot:own": {"type": "api_key", "provider": "own", "key": PLANTED["profile"]}}}
    private(folder / "auth-profiles.json", json.dumps(profiles))
    private(folder / "openclaw.json", json.dumps(configuration(folder, port, parrot, vault), indent=1))


def configuration(folder: Path, port: int, parrot: str, vault: str) -> dict[str, Any]:
    """Return a configuration with one provider of models for each way to name a key; all of them are tried."""
    keys: dict[str, Any] = {
        "variable": {"source": "env", "id": "CANARY_VARIABLE"},
        "dotenv": {"source": "env", "id": "CANARY_DOTENV"},
        "placeholder": "${CANARY_PLACEHOLDER}",
        "shell": {"source": "env", "id": "CANARY_SHELL"},
        "file": {"source": "file", "id": "plain"},
        "member": {"source": "file", "id": "members.json#/a/b"},
        "store": "{{ secrets['store/key'] }}",
        "program": {"source": "exec", "provider": "program", "id": "x"},
        "refused": {"source": "exec", "provider": "program", "id": "refused"},
        "aws": {"source": "aws", "id": "canary"},
        "ssm": {"source": "ssm", "id": "/canary"},
        "vault": {"source": "vault", "provider": "vault", "id": "canary"},
    }
    models = [{"id": "m", "name": "m"}]
    provider = {"api": "openai-completions", "baseUrl": f"{parrot}/v1", "models": models}
    return {
        "gateway": {"port": port, "auth": {"token": {"source": "file", "id": "members.json#gateway"}}},
        "agents": {"defaults": {"model": {"primary": "variable/m", "fallbacks": [f"{name}/m" for name in keys]}}},
        "models": {"providers": {"own": provider, **{name: {**provider, "apiKey": key} for name, key in keys.items()}}},
        "hooks": {"enabled": True, "token": {"source": "vault", "provider": "vault", "id": "canary"}},
        "env": {"shellEnv": {"enabled": True}},
        "secrets": {
            "providers": {
                "program": {"source": "exec", "command": str(folder / "program")},
                "vault": {"source": "vault", "address": vault, "token": {"source": "file", "id": "vault-token"}},
            }
        },
    }


PROGRAM: Final = f"""#!{sys.executable} -IS
import json, sys
asked = json.load(sys.stdin)
print("{PLANTED["complaint"]}", file=sys.stderr)
errors = {{"refused": {{"message": "{PLANTED["refused"]}"}}}}
print(json.dumps({{"protocolVersion": 1, "values": {{"x": "{PLANTED["program"]}"}}, "errors": errors}}))
"""


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def found_in(data: bytes) -> list[str]:
    """Return the names of the canaries that a text holds, in any spelling."""
    return search_for(data, PLANTED)


async def session(gateway: GatewayProcess, vault: VaultStandIn) -> list[bytes]:
    """Ask, fail, look at everything, rotate, reload; return all that a client of the widest scope has heard."""
    token = PLANTED["gateway"]
    async with client(gateway.ws_url, 4, scopes=SCOPES, auth={"token": token}) as wire:
        await wire.ask("sessions.subscribe")
        for number, model in enumerate(("own/m", "store/m", "vault/m", "")):
            key = f"canary-run-{number}"
            asked = {"sessionKey": f"s{number}", "message": "hello", "idempotencyKey": key}
            if model:
                await wire.ask("sessions.patch", {"key": f"s{number}", "model": model})
            await wire.ask("chat.send", asked)
            await wire.until(lambda frame: frame.get("event") == "chat" and frame["payload"]["state"] == "error")
        vault.put("canary", value=PLANTED["replaced"])
        assert (await wire.ask("secrets.reload"))["payload"]["warningCount"] >= 1
        vault.sealed = True
        await wire.ask("secrets.reload")
        for method in ("config.get", "logs.tail", "health", "models.list", "models.authStatus", "doctor.memory.status"):
            await wire.ask(method)
        bad = {"raw": json.dumps({"hooks": {"token": {"source": "env", "id": "GONE"}}}), "baseHash": "0" * 64}
        await wire.ask("config.patch", bad)
        return [json.dumps(wire.frames).encode()]


async def commands(folder: Path, environ: dict[str, str]) -> list[bytes]:
    """Run every command that looks at secrets; return what they print."""
    heard: list[bytes] = []
    for line in (
        *("secrets list", "secrets list --json", "secrets audit", "secrets audit --json", "config show"),
        *("config validate --json", "config get hooks", "config env", "models status", "doctor", "logs"),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "openclaw", *line.split()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env=environ,
        )
        out, _ = await process.communicate()
        assert out, line
        heard.append(out)
    return heard


async def test_no_secret_that_a_reference_names_is_anywhere_else(tmp_path: Path, aws: str) -> None:
    folder, port = tmp_path / "state", free_port()
    keep(aws, "canary", SecretString=PLANTED["aws"])
    aws_client("ssm", aws).put_parameter(Name="/canary", Value=PLANTED["ssm"], Type="SecureString", Overwrite=True)
    given = {
        **CREDENTIALS,
        "AWS_SECRET_ACCESS_KEY": PLANTED["awskey"],
        "AWS_ENDPOINT_URL": aws,
        "AWS_REGION": REGION,
        "CANARY_VARIABLE": PLANTED["variable"],
        "CANARY_PLACEHOLDER": PLANTED["placeholder"],
        "SHELL": "/bin/sh",
        "HOME": str(folder / "home"),
        "OPENCLAW_LOG_LEVEL": "debug",
    }
    async with Parrot() as parrot, VaultStandIn() as vault:
        vault.tokens = {PLANTED["vaulttoken"]}
        vault.put("canary", value=PLANTED["vault"])
        plant(folder, port, parrot.base_url, vault.base_url)
        gateway = await GatewayProcess.start(folder, port, env=given)
        try:
            await up(gateway, 1)
            heard = await session(gateway, vault)
            gateway.process.send_signal(signal.SIGABRT)
            await gateway.process.wait()
            gateway = await GatewayProcess.start(folder, port, env=given)
            await up(gateway, 2)
            names = ("PATH", "LANG", "PYTHONPATH")
            environ = {name: os.environ[name] for name in names if name in os.environ}
            heard += await commands(folder, {**environ, **given, "OPENCLAW_STATE_DIR": str(folder)})
        finally:
            await gateway.stop()
        called = {*NAMES[1:9], "aws", "ssm", "vault", "profile"}
        assert tried(parrot) == called, "the providers are called with the keys that references name"
    for data in (*heard, gateway.output().encode()):
        assert not found_in(data), data[-3000:]
    search(folder)


def tried(parrot: Parrot) -> set[str]:
    """Return the names of the keys that came out of the gateway to where they belong."""
    return {name for request in parrot.requests for name in found_in(request.headers.get("authorization", "").encode())}


async def up(gateway: GatewayProcess, starts: int) -> None:
    """Wait until it has said so many times that it is ready."""
    async with asyncio.timeout(20):
        while gateway.output().count("gateway_ready") < starts:
            assert gateway.process.returncode is None, gateway.output()[-2000:]
            await asyncio.sleep(0.05)


def search(folder: Path) -> None:
    """Look into every file of a state directory."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(folder))
            allowed = KEPT_IN.get(path.name if path.name != ".profile" else "profile", ())
            assert not set(found_in(path.read_bytes())) - set(allowed), name
