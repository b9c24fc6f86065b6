"""Every place an operator can keep a secret in, everything an operator does, and a search of the whole machine's worth.

ALLOWED files may hold one. The rest of the home directory may not, nor an answer, an event, an exit, or a child.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from tests.conformance.wire import SCOPES, Frame, Wire, client, connect_request, socket
from tests.gateway.process import GatewayProcess, free_port
from tests.gateway.sweep import contents, found_in
from tests.listeners.device import sign
from tests.listeners.fakes import http, raw_request
from tests.secrets.test_canary import Parrot

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SEED: Final = "c0ffee51dead7b"
PASSWORDS: Final = ("inurl", "proxy", "dsn", "shared", "passphrase", "setup", "wrongsetup")
"""These have characters that each spelling writes in its own way."""
NAMES: Final = (
    *("token", "remote", "hook", "signature", "header", "query", "inline", "block", "process", "dotenv"),
    *("profile", "mcpenv", "mcpargument", "mcpheader", "webhook", "bot", "skill", "awskey", "stored"),
    *("wrong", "guess", "bootstrap", "urltoken", "bad", "typed", "history"),
)
PLANTED: Final = {name: f"canary-{name}-{SEED}" for name in NAMES} | {
    name: f'ca"&<é>/+{name}-{SEED}' for name in PASSWORDS
}
"""Every one is long and random enough to be taken."""

CONFIG: Final = frozenset(
    (
        *("remote", "hook", "signature", "header", "query", "inline", "block", "mcpenv", "mcpargument", "mcpheader"),
        *("webhook", "bot", "skill", "inurl", "proxy", "dsn", "shared", "history"),
    )
)
"""What the configuration holds in plain text."""
ALLOWED: Final[dict[str, frozenset[str]]] = {
    ".openclaw/openclaw.json": CONFIG,
    ".openclaw/snapshots/last-good.json": CONFIG,
    ".openclaw/snapshots/changes/texts/*": CONFIG,
    ".openclaw/.env": frozenset(),
    ".openclaw/auth-profiles.json": frozenset(("profile",)),
    ".openclaw/secrets.json": frozenset(("stored",)),
    ".openclaw/former-secrets.json": frozenset(("dotenv",)),
    ".openclaw/backups/*.tar.gz|": CONFIG | {"token", "dotenv", "profile", "stored"},
}
"""The files that may hold a secret, for their owner alone, and which. The last is what is in a plain backup."""
CHILD_HOLDS: Final = frozenset(("mcpenv", "mcpargument", "proxy"))
"""What an MCP server is given: its own variables and arguments, and the way out to the network."""


def home_of(root: Path) -> Path:
    """Make the home directory with all that is kept in it, and return it."""
    home = root / "home"
    folder = home / ".openclaw"
    (home / "tmp").mkdir(parents=True)
    folder.mkdir(mode=0o700)
    private(folder / ".env", f"OPENCLAW_GATEWAY_TOKEN={PLANTED['token']}\nCANARY_DOTENV={PLANTED['dotenv']}\n")
    profiles = {"profiles": {"p:own": {"type": "api_key", "provider": "profile", "key": PLANTED["profile"]}}}
    private(folder / "auth-profiles.json", json.dumps(profiles))
    private(folder / "secrets.json", json.dumps({"stored": PLANTED["stored"]}))
    private(folder / "raising.py", RAISING)
    private(home / "child.py", CHILD)
    return home


def private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


RAISING: Final = '''
from openclaw import Context, action


@action()
def fall(context: Context) -> str:
    """Fall with what it knows."""
    import os
    raise RuntimeError("it cannot go on with " + os.environ["CANARY_PROCESS"])
'''
CHILD: Final = """
import json, os, sys
with open(os.path.join(os.environ["HOME"], "child.json"), "w") as file:
    json.dump([sys.argv, dict(os.environ)], file)
print(os.environ["CANARY_MCP"], sys.argv, file=sys.stderr)
"""


def configuration(home: Path, port: int, parrot: str) -> str:
    """Return a configuration with every kind of place that is not a reference."""
    models = [{"id": "m", "name": "m"}]
    base = {"api": "openai-completions", "baseUrl": f"{parrot}/v1", "models": models}
    keys: dict[str, Any] = {
        "inline": PLANTED["inline"],
        "block": "${CANARY_BLOCK}",
        "process": "${CANARY_PROCESS}",
        "dotenv": {"source": "env", "id": "CANARY_DOTENV"},
        "stored": "{{ secrets['stored'] }}",
    }
    address = parrot.replace("://", f"://user:{_quoted('inurl')}@")
    values = {
        "gateway": {
            "port": port,
            "auth": {"mode": "token", "token": "${OPENCLAW_GATEWAY_TOKEN}", "password": PLANTED["shared"]},
            "remote": {"url": "wss://elsewhere.example:1", "token": PLANTED["remote"]},
        },
        "agents": {"defaults": {"model": {"primary": "inline/m", "fallbacks": [f"{name}/m" for name in keys]}}},
        "actions": [{"name": "fall", "module": "raising", "class": "fall", "path": str(home / ".openclaw")}],
        "models": {
            "providers": {
                "profile": base,
                **{name: {**base, "apiKey": key} for name, key in keys.items()},
                "inurl": {**base, "baseUrl": f"{address}/v1?api_key={PLANTED['query']}", "apiKey": "k" * 12},
                "headers": {**base, "headers": {"X-Api-Key": PLANTED["header"], "Authorization": PLANTED["header"]}},
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
        "env": {"vars": {"CANARY_BLOCK": PLANTED["block"]}},
        "mcp": {
            "servers": {
                "child": {
                    "command": sys.executable,
                    "args": [str(home / "child.py"), "--token", PLANTED["mcpargument"]],
                    "env": {"CANARY_MCP": PLANTED["mcpenv"]},
                },
                "far": {"url": f"{parrot}/mcp", "headers": {"Authorization": f"Bearer {PLANTED['mcpheader']}"}},
            }
        },
        "channels": {
            "slack": {"webhookUrl": f"https://hooks.slack.example/services/{PLANTED['webhook']}"},
            "telegram": {"botToken": PLANTED["bot"], "proxy": f"socks5://user:{_quoted('proxy')}@127.0.0.1:1"},
        },
        "skills": {"entries": {"weather": {"apiKey": PLANTED["skill"]}}},
        "store": {"url": f"postgresql://user:{_quoted('dsn')}@127.0.0.1:1/db"},
        "backup": {"passphrase": "${OPENCLAW_BACKUP_PASSPHRASE}"},
    }
    return f"// what was: token: '{PLANTED['history']}'\n{json.dumps(values, indent=1)}\n"


def _quoted(name: str) -> str:
    return quote(PLANTED[name], safe="")


def environment(home: Path) -> dict[str, str]:
    """Return the variables that gateway and commands are started with."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    return {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "OPENCLAW_STATE_DIR": str(home / ".openclaw"),
        "OPENCLAW_LOG_LEVEL": "debug",
        "OPENCLAW_BACKUP_PASSPHRASE": PLANTED["passphrase"],
        "SETUP_PASSWORD": PLANTED["setup"],
        "CANARY_PROCESS": PLANTED["process"],
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": PLANTED["awskey"],
        "AWS_REGION": "eu-central-1",
        "HTTPS_PROXY": f"http://user:{_quoted('proxy')}@127.0.0.1:1",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONFAULTHANDLER": "1",
    }


COMMANDS: Final = """
secrets list
secrets list --json
secrets audit
secrets audit --json
secrets rotate hooks.token --dry-run
secrets rotate models.providers.inline.apiKey --dry-run --json
config show
config show --json
config get hooks
config get mcp.servers.child
config env
config validate --strict
config validate --json
config schema
config set hooks.token CANARY:history
config set models.providers.inline.apiKey CANARY:history
config set gateway.port CANARY:bad
config set hooks.mappings CANARY:bad
config set gateway.auth.mode CANARY:bad
config history
config history --json
config diff last
config diff last --json
config diff last file
config rollback last
config rollback last --json
doctor
doctor look --json
doctor look --markdown
doctor look --deep
doctor look --fix --dry-run
doctor connect
doctor connect --json
doctor connect --token CANARY:wrong
doctor net
doctor net https://user:CANARY:guess@127.0.0.1:1/?token=CANARY:guess
doctor proxy http://user:CANARY:guess@127.0.0.1:PORT/
doctor memory
status
status --json --url ws://user:CANARY:guess@127.0.0.1:PORT
status --json
health
health --json
logs
logs --json
gateway status
gateway probe
gateway token check
gateway token check --json
gateway call config.get
gateway call health --token CANARY:wrong
gateway call health --url ws://127.0.0.1:PORT/?token=CANARY:urltoken
gateway call diagnostics.stability
gateway call config.patch --params {"raw":"{hooks:{token:'CANARY:bad'}}","baseHash":"x"}
gateway install --print
gateway install --print --json
models status
models status --json
models list
models test inurl/m
models test headers/m
models test profile/m
mcp list
mcp list --json
channels status
backup create --json
backup create --plain --json
backup create -d s3://canary-nowhere/x
backup list
backup list --json
backup verify
backup verify --json
upgrade --check
version --json
secrets rotate models.providers.dotenv.apiKey --generate --keep 1h
secrets rotate hooks.token --generate
gateway token rotate --grace 5m
gateway token check
logs --json
"""

DRIVER: Final = """
import sys
from openclaw.cli.app import run
for number, line in enumerate(sys.stdin):
    print("##", number, run(line.strip().split(" ")), flush=True)
"""


def command_lines(port: int) -> Iterator[str]:
    """Yield the command lines with the secrets that are typed in them."""
    for line in COMMANDS.strip().splitlines():
        typed = line.replace("PORT", str(port))
        for name in ("history", "bad", "wrong", "guess", "urltoken"):
            typed = typed.replace(f"CANARY:{name}", PLANTED[name])
        yield typed


async def commands(home: Path, port: int, lines: list[str]) -> bytes:
    """Run commands one after the other in one process; return what they print."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DRIVER),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=home,
        env=environment(home),
    )
    out, _ = await process.communicate("\n".join(lines).encode() + b"\n")
    return out


async def knocks(gateway: GatewayProcess) -> list[bytes]:
    """Come by every door, with wrong secrets and with right ones; return what was answered."""
    heard: list[bytes] = []
    for auth in ({"token": PLANTED["wrong"]}, {"password": PLANTED["guess"]}, {"bootstrapToken": PLANTED["bootstrap"]}):
        async with socket(gateway.ws_url) as wire:
            told = await wire.until(lambda frame: frame.get("event") == "connect.challenge")
            request = connect_request(4, auth=auth)
            request["params"] = sign(request["params"], told["payload"]["nonce"], told["payload"]["ts"])
            await wire.send(request)
            await wire.ended()
            heard.append(json.dumps([wire.frames, wire.closed]).encode())
    host = f"127.0.0.1:{gateway.port}"
    body = b'{"text": "hello", "message": "hello"}'
    for method, path, token, sent in (
        ("GET", "/metrics", PLANTED["token"], b""),
        ("GET", "/metrics", PLANTED["wrong"], b""),
        ("GET", f"/v1/models?token={PLANTED['urltoken']}", None, b""),
        ("GET", "/v1/models", PLANTED["token"], b""),
        ("GET", "/ready", PLANTED["token"], b""),
        ("POST", "/hooks/wake", PLANTED["hook"], body),
        ("POST", "/hooks/wake", PLANTED["wrong"], body),
        ("POST", f"/hooks/agent?token={PLANTED['urltoken']}", None, body),
        ("POST", "/v1/chat/completions", PLANTED["wrong"], b"{}"),
        ("POST", "/setup/login", None, json.dumps({"password": PLANTED["wrongsetup"]}).encode()),
        ("GET", "/setup/export", None, b""),
    ):
        status, head, answer = await raw_request(gateway.port, http(method, path, sent, token=token, host=host))
        heard.append(json.dumps([status, head]).encode() + answer)
    return [*heard, *await set_up(gateway.port, host)]


async def set_up(port: int, host: str) -> list[bytes]:
    """Sign in to the set-up, try a key that is turned away, and take the export away; its bytes are a backup."""
    origin: dict[str, Any] = {"Origin": f"http://{host}"}
    login = json.dumps({"password": PLANTED["setup"]}).encode()
    status, head, answer = await raw_request(port, http("POST", "/setup/login", login, token=None, host=host, **origin))
    assert status == 200, answer
    cookie = {**origin, "Cookie": head.pop("set-cookie").partition(";")[0]}
    _, _, state = await raw_request(port, http("GET", "/setup/state", b"", token=None, host=host, **cookie))
    page: dict[str, Any] = {**cookie, "X_OpenClaw_Setup": json.loads(state)["pageToken"]}
    choice = {"provider": "custom", "baseUrl": "http://127.0.0.1:1/v1", "model": "m", "key": PLANTED["typed"]}
    tried = await raw_request(
        port, http("POST", "/setup/provider", json.dumps(choice).encode(), token=None, host=host, **page)
    )
    status, told, _ = await raw_request(port, http("GET", "/setup/export", b"", token=None, host=host, **page))
    assert status == 200, told
    return [answer, json.dumps(head).encode(), state, repr(tried).encode(), json.dumps(told).encode()]


async def session(gateway: GatewayProcess) -> list[bytes]:
    """Have every provider fail, an action fall, settings go wrong; return what two clients have heard."""
    token = {"token": PLANTED["token"]}
    async with (
        client(gateway.ws_url, 4, scopes=SCOPES, auth=token) as wire,
        client(gateway.ws_url, 3, scopes=("operator.read",), auth=token) as reader,
    ):
        for each in (wire, reader):
            await each.ask("sessions.subscribe")
        for number, model in enumerate(("inline/m", "profile/m", "inurl/m", "headers/m", "stored/m", "fake/echo")):
            await wire.ask("sessions.patch", {"key": f"s{number}", "model": model})
            text = "/tool fall {}" if model == "fake/echo" else "hello"
            await wire.ask("chat.send", {"sessionKey": f"s{number}", "message": text, "idempotencyKey": model})
            await wire.until(_has_ended(f"s{number}"), patience_s=20)
        await settings_go_wrong(wire)
        for each in (wire, reader):
            for method in ("config.get", "logs.tail", "health", "status", "models.list", "models.authStatus"):
                await each.ask(method)
            for method in (
                "diagnostics.stability",
                "doctor.memory.status",
                "usage.status",
                "mcp.status",
                "secrets.status",
            ):
                await each.ask(method)
            await each.ask("chat.history", {"sessionKey": "s2"})
        await wire.ask("secrets.reload")
        return [json.dumps(each.frames).encode() for each in (wire, reader)]


def _has_ended(session: str) -> Any:
    def ended(frame: Frame) -> bool:
        told = frame.get("payload", {})
        return (
            frame.get("event") == "chat"
            and told.get("state") in ("error", "final")
            and told["sessionKey"].endswith(session)
        )

    return ended


async def settings_go_wrong(wire: Wire) -> None:
    """Send settings that cannot be, with a secret in each; and one that can."""
    bad = PLANTED["bad"]
    for raw in (
        {"hooks": {"token": [bad]}},
        {"gateway": {"port": bad}},
        {"models": {"providers": {"inline": {"headers": bad, "apiKey": {"source": bad, "id": bad}}}}},
        {"gateway": {"auth": {"mode": bad}}},
        {"mcp": {"servers": {"child": {"env": [bad]}}}},
    ):
        base = (await wire.ask("config.get"))["payload"]["hash"]
        await wire.ask("config.patch", {"raw": json.dumps(raw), "baseHash": base})
    base = (await wire.ask("config.get"))["payload"]["hash"]
    for text in (f"{{hooks: {{token: '{bad}", f"{{gateway: {{port: '{bad}'}}}}", bad):
        await wire.ask("config.set", {"raw": text, "baseHash": base})
    changed = json.dumps({"models": {"providers": {"inline": {"apiKey": PLANTED["history"]}}}})
    answer = await wire.ask("config.patch", {"raw": changed, "baseHash": base, "note": "another key"})
    assert answer["ok"], answer


async def refused_starts(home: Path) -> bytes:
    """Start with files that are no configuration, or one that must not be; return what is said and how it ended."""
    heard, folder = b"", home / "refused"
    for text in (
        f"{{ gateway: {{ auth: {{ token: '{PLANTED['inline']}' }}, }} models: '{PLANTED['hook']}",
        f"gateway: {{ auth: {{ token: {PLANTED['inline']} }}",
        json.dumps({"gateway": {"bind": "lan", "auth": {"mode": "none", "password": PLANTED["shared"]}}}),
        json.dumps(
            {"store": {"url": f"postgresql://user:{PLANTED['dsn']}@127.0.0.1:1/db"}, "gateway": {"bind": "lan"}}
        ),
    ):
        folder.mkdir(mode=0o700, exist_ok=True)
        private(folder / "openclaw.json", text)
        given = {**environment(home), "OPENCLAW_STATE_DIR": str(folder), "OPENCLAW_GATEWAY_TOKEN": "changeme"}
        gateway = await GatewayProcess.start(folder, free_port(), env=given)
        async with asyncio.timeout(20):
            assert await gateway.process.wait() == 78, gateway.output()
        heard += gateway.output().encode()
        (folder / "openclaw.json").unlink()
    return heard


async def up(gateway: GatewayProcess, starts: int) -> None:
    """Wait until it has said so many times that it is ready."""
    async with asyncio.timeout(20):
        while gateway.output().count("gateway_ready") < starts:
            assert gateway.process.returncode is None, gateway.output()[-2000:]
            await asyncio.sleep(0.05)


def command_lines_of_children(pid: int) -> bytes:
    """Return what anybody on the machine may read of a gateway and its children."""
    told = Path(f"/proc/{pid}/cmdline").read_bytes()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        told += Path(f"/proc/{child}/cmdline").read_bytes()
    return told


def core_limit(pid: int) -> str:
    """Return how large a core dump of a process may be."""
    return Path(f"/proc/{pid}/limits").read_text().partition("Max core file size")[2].split()[0]


async def test_no_secret_is_anywhere_but_where_it_was_put(tmp_path: Path) -> None:
    home, port = home_of(tmp_path), free_port()
    folder = home / ".openclaw"
    async with Parrot() as parrot:
        private(folder / "openclaw.json", configuration(home, port, parrot.base_url))
        gateway = await GatewayProcess.start(folder, port, env=environment(home))
        try:
            await up(gateway, 1)
            heard = [*await knocks(gateway), *await session(gateway), command_lines_of_children(gateway.process.pid)]
            assert core_limit(gateway.process.pid) == "0", "a core dump would hold them all"
            heard.append(await commands(home, port, list(command_lines(port))))
            gateway.process.send_signal(signal.SIGABRT)
            await gateway.process.wait()
        finally:
            await gateway.stop()
        heard.append(await refused_starts(home))
    for data in heard:
        assert not found_in(data, PLANTED), data[-2000:]
    search(home)


def search(home: Path) -> None:
    """Look into every file, at every name, and at the mode of each that holds a secret."""
    seen: set[str] = set()
    for name, path, data in contents(home):
        assert not found_in(name.encode(), PLANTED), name
        found = set(found_in(data, PLANTED))
        if name == "child.json":
            assert found == CHILD_HOLDS
            continue
        allowed = next((names for place, names in ALLOWED.items() if fnmatchcase(name, place)), frozenset())
        assert found <= allowed, (name, found - allowed)
        assert not found or not path.stat().st_mode & 0o077, name
        seen |= found
    assert seen == CONFIG | {"token", "dotenv", "profile", "stored"}, "what was planted is where it was put"


@pytest.mark.parametrize("secret", ["canary-3f9c71e0b2", 'ca"&<é>/+3f9c71e0b2', "c\\n1-3f9c71e0b2"])
def test_the_search_knows_every_spelling(secret: str) -> None:
    raw = secret.encode()
    for text in (
        *(base64.b64encode(b"user:"[:length] + raw + b"\0"[: length % 2]) for length in range(6)),
        *(base64.urlsafe_b64encode(b"user:"[:length] + raw) for length in range(6)),
        json.dumps({"said": json.dumps({"key": secret})}).encode(),
        quote(secret, safe="").encode(),
        raw.hex().encode(),
        repr(secret).encode(),
    ):
        assert found_in(b"before " + text + b" after", {"it": secret}) == ["it"], text
    assert not found_in(b"nothing of it", {"it": secret})
