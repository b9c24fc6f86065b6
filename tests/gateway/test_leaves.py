"""Every setting there is, on a running house: what the schema declares of it is what happens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from openclaw.automation.job import AgentTurn, Job, JobOwner
from openclaw.automation.schedule import Every
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import OpenClawError, Unavailable
from openclaw.base.ids import DEFAULT_TENANT, OPERATOR, AgentId, new_id
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.cli.command.model import models, probe
from openclaw.cli.desk import Desk, run
from openclaw.client.resolve import target
from openclaw.client.ws import GatewayClient
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.load import Loaded, load
from openclaw.config.schema import Config
from openclaw.config.schema.describe import leaves
from openclaw.gateway import state
from openclaw.gateway.front import build_front, hosts_of
from openclaw.gateway.housekeeping import _has_containers, prune_files_once, prune_records
from openclaw.gateway.outcome import Outcome
from openclaw.gateway.reload import reload
from openclaw.gateway.rooms import Rooms, open_rooms
from openclaw.gateway.run import RunOptions, _Gateway
from openclaw.gateway.setup_desk import SetupDesk
from openclaw.identity.roles import Roles
from openclaw.listeners.app import App
from openclaw.listeners.server import GatewayServer
from openclaw.net.egress import place as place_of
from openclaw.ops.backup.desk import Backups
from openclaw.ops.backup.schedule import BackupSchedule
from openclaw.policy.dm_door import Message
from openclaw.policy.egress.door import CLASSES, Errand, egress_ask
from openclaw.policy.egress.review import reviews_due
from openclaw.policy.gatekeeper import Ask
from openclaw.policy.node_door import KIND as NODE
from openclaw.processes.sandbox.docker import container_options
from openclaw.secrets.room import SecretRoom
from openclaw.store.lock import StateLock
from openclaw.telemetry.redact import REDACTOR
from openclaw.testing.action import make_context
from openclaw.tools.builtin.command import room as command_room
from openclaw.tools.builtin.command.room import Wish
from openclaw.tools.registry import test_tool
from tests.config.make import Home
from tests.gateway.readers import Readers, values, watched
from tests.gateway.whole_config import whole
from tests.listeners.fakes import raw_request, until

pytestmark = pytest.mark.anyio

ROOMS = (
    *("store", "http", "spawner", "models", "study", "mcp", "hub", "counter", "gate", "devices", "authenticator"),
    *("grace", "nodes", "automation", "config_desk", "secrets", "approvals", "disk", "health", "failover", "tooling"),
)

ACTIONS = '''
from openclaw import Action


class ShoutA(Action):
    """Say it."""

    def __init__(self, word: str) -> None:
        self.word = word

    def run(self, text: str) -> str:
        return text + self.word


class ShoutB(ShoutA):
    """Say it as well."""
'''


class House:
    """Rooms and doors over a file, and a reload of them."""

    def __init__(self, home: Home, rooms: Rooms, app: App, server: GatewayServer) -> None:
        self.home, self.rooms, self.app, self.server = home, rooms, app, server
        self.identities = {name: getattr(rooms, name) for name in ROOMS}

    def assert_rooms_stand(self) -> None:
        """No room was made anew."""
        assert {name: id(getattr(self.rooms, name)) for name in ROOMS} == {
            name: id(room) for name, room in self.identities.items()
        }

    async def take_up(self, text: str, *, secrets: bool = True) -> Outcome:
        """Write the file and reload; without `secrets` none is asked for anew."""
        self.home.write(text)

        async def again() -> Loaded:
            if secrets:
                return await self.rooms.secrets.load(self.home.env(), again="problems")
            return load(self.rooms.paths, self.home.env(), self.rooms.secrets)

        return await reload(self.rooms, again, verbose=False, quiet=True)


@contextlib.asynccontextmanager
async def opened(home: Home) -> AsyncIterator[House]:
    """Open rooms and doors for what the home's file says."""
    paths = home.paths()
    lock = StateLock(paths.state_dir)
    lock.acquire()
    secrets = SecretRoom(paths, SYSTEM_CLOCK, REDACTOR.add)
    rooms = await open_rooms(await secrets.load(home.env()), paths, SYSTEM_CLOCK, lock, secrets)
    rooms.health.phase = "ready"
    app = build_front(rooms)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = GatewayServer(app, ("127.0.0.1",), port, clock=SYSTEM_CLOCK)
    await server.start()
    try:
        await rooms.mcp.start()
        await rooms.automation.start()
        yield House(home, rooms, app, server)
    finally:
        rooms.automation.pause()
        await rooms.study.stop(1)
        await server.stop(1)
        await app.close()
        await rooms.close()
        assert secrets.door is None, "they are asked again before the next rooms and their ledger are open"
        lock.release()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    for name in ("a", "b"):
        (made.state / name).mkdir()
        for module in ("acts_a", "acts_b"):
            (made.state / name / f"{module}.py").write_text(ACTIONS)
        (made.state / f"ui-{name}").mkdir()
        (made.state / f"ui-{name}" / "index.html").write_text("hello")
    (made.state / "b" / "tools.json").write_text('[{"name": "t2", "inputSchema": {"type": "object"}}]')
    (made.state / "two.txt").write_text("value-of-two")
    (made.state / "two.txt").chmod(0o600)
    for name in ("work-a", "work-b", "all-a", "all-b"):
        (made.folder / name).mkdir()
        (made.folder / name / "HEARTBEAT.md").write_text("- look\n")
    state.prepare(made.state)
    return made


def _config(home: Home, n: int) -> dict[str, Any]:
    """Return a configuration whose folders are the home's."""
    found = whole(n)
    for agent in (found["agents"]["defaults"], found["agents"]["list"][0]):
        agent["workspace"] = agent["workspace"] and str(home.folder / agent["workspace"])
    server = found["mcp"]["servers"]["prog"]
    server["cwd"] = str(home.state / server["cwd"])
    return found


def _simpler(home: Home) -> dict[str, Any]:
    """Return the second configuration without what takes the place of other settings."""
    found = _config(home, 1)
    agents = found["agents"]
    del agents["list"][0]["heartbeat"]
    agents["defaults"]["heartbeat"]["model"] = agents["defaults"]["compaction"]["model"] = ""
    found["models"]["routes"] = []
    return found


async def _command(rooms: Rooms, folder: Path) -> None:
    """Make what a command of each agent would be started with, but for the start."""
    commands = rooms.tooling.commands
    for agent in rooms.study.agents():
        context = msgspec.structs.replace(make_context(folder), agent_id=agent.id)
        settings = commands._settings(context)
        choice = await rooms.sandboxes.choose(settings.sandbox, main=False)
        assert choice.sandbox.backend == ("none" if settings.sandbox.mode == "off" else "docker")
        with contextlib.suppress(Unavailable):  # the folders to bind are not there
            container_options(settings.sandbox, commands._walls(context, settings))
        wish = Wish(text="touch x")
        wanted = await commands._judged(wish, context, settings, choice)
        command_room._request(wish, context, wanted, wanted.judgement.verdict, settings, choice)
        command_room._job(wanted.judgement.plan, settings.exec, takes_input=False)
        command_room._timeout_s(wish, settings)
        command_room._leads_out(settings, choice)
    rooms.tooling._wait_ms()
    _has_containers(rooms)


async def _use(house: House) -> None:
    """Let everything that goes by the configuration of the moment do its work."""
    rooms = house.rooms
    for provider, config in rooms.config.models.providers.items():
        for model in config.models:
            with contextlib.suppress(OpenClawError):
                rooms.models.resolve(f"{provider}/{model.id}")
    await _talk(house)
    await _beat(rooms)
    await _hook(house)
    await _keep_order(rooms)
    caller = msgspec.structs.replace(make_context(house.home.folder), agent_id=AgentId("main"))
    for host in ("a.example", "b.example"):
        with contextlib.suppress(OpenClawError):
            await rooms.tooling._egress(caller, "test", place_of(f"https://{host}/"))
    for klass in CLASSES:
        rooms.gate.judge(egress_ask(LOCAL_OPERATOR, Errand(klass), "a.example", 443))
    assert len(list(reviews_due(rooms.config, SYSTEM_CLOCK.now_ms()))) == len(CLASSES)
    facts = {"command": "a.a", "declared": ["a.a"], "approved": ["a.a"]}
    rooms.gate.judge(Ask(kind=NODE, principal=LOCAL_OPERATOR, action="x", target="x", facts=facts))
    Roles(rooms.config.gateway.roles).of("nobody", ("all",))
    await rooms.reception.admit(Message(channel="telegram", sender=str(rooms.clock.now_ms())), "main")
    tainted = msgspec.structs.replace(caller, tainted="web_fetch")
    for tool in rooms.tools.tools():
        with contextlib.suppress(OpenClawError):
            await rooms.tooling._consent(tool, {}, tainted)
    await _command(rooms, house.home.folder)
    assert list(rooms.tools.problems()) == ["mcp:far"]
    await rooms.mcp.tried()
    (house.home.folder / "skills" / "a-skill").mkdir(parents=True, exist_ok=True)
    (house.home.folder / "skills" / "a-skill" / "SKILL.md").write_text("---\nname: a-skill\ndescription: x\n---\n")
    rooms.skills.of(house.home.folder, "main")
    rooms.skills.gate.confines()
    rooms.tooling._keep(AgentId("main"))
    await test_tool(rooms.tools, "run_agent", '{"task": "x", "agent": "main"}', house.home.folder)
    job = Job(
        id="j",
        name="",
        owner=JobOwner(DEFAULT_TENANT, OPERATOR),
        created_at_ms=0,
        updated_at_ms=0,
        schedule=Every(60_000),
        payload=AgentTurn(message="x"),
        session_target="main",
    )
    rooms.automation.jobs._not_made_up(job, SYSTEM_CLOCK.now_ms())
    gateway = _Gateway(RunOptions(), None)
    gateway._rooms = rooms
    gateway._debounce_ms()
    hosts_of(rooms.config)
    house.app._strict_transport()  # what answers over https get
    SetupDesk(rooms).upload_limit()


async def _talk(house: House) -> None:
    async with await _connected(house) as client:
        for method in ("agents.list", "health", "status", "config.get", "models.list", "sessions.list"):
            await client.call(method)
        await client.call("agent.identity.get", {"agentId": "main"})
        other = house.rooms.config.agents.list[1].id
        for agent, message in (("main", "the second route"), ("main", "more"), (other, "second route")):
            key = new_id()
            session = f"agent:{agent}:{message.split()[0]}"
            await client.call("agent", {"message": message, "sessionKey": session, "idempotencyKey": key})
            done = await client.call("agent.wait", {"runId": key, "timeoutMs": 10_000})
            assert done["status"] == "ok", done
        await client.call("sessions.compact", {"key": "agent:main:the"})
    await _request(house, "GET", "/v1/models", "no")
    house.rooms.authenticator.limiter.succeeded("127.0.0.1")  # by a password a lockout shuts this program out, too


async def _connected(house: House) -> GatewayClient:
    auth = house.rooms.config.gateway.auth
    secret = auth.password if auth.mode == "password" else auth.token
    assert secret is not None
    url = f"ws://127.0.0.1:{house.server.port}"
    if auth.mode == "password":
        return await GatewayClient.connect(url, password=secret.reveal())
    return await GatewayClient.connect(url, token=secret.reveal())


async def _request(house: House, method: str, path: str, bearer: str, body: Any = None, **headers: str) -> int:
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.server.port}\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {bearer}\r\nContent-Length: {len(data)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (await raw_request(house.server.port, head.encode() + b"\r\n" + data))[0]


async def _beat(rooms: Rooms) -> None:
    beats = rooms.automation.heartbeats
    for agent_id, settings in beats._settings.items():
        beats._on_time(agent_id, settings)
        beats.shown(agent_id)
        await until(lambda: not beats._beating)
        beats.is_silence(agent_id, "HEARTBEAT_OK and more")


async def _hook(house: House) -> None:
    root, token = house.rooms.config.hooks.path, house.rooms.config.hooks.token
    assert token is not None

    async def post(path: str, body: Any, **headers: str) -> int:
        return await _request(house, "POST", f"{root}{path}", token.reveal(), body, **headers)

    assert await post("/agent", {"message": "x", "agentId": "main", "sessionKey": "hook:x"}) == 200
    assert await post("/agent", {"message": "x"}) == 200
    assert await post("/second", {"source": "there"}) == 200
    assert await post("/note", {}) == 200
    signed = {"X-Slack-Signature": "v0=00", "X-Slack-Request-Timestamp": str(SYSTEM_CLOCK.now_ms() // 1000)}
    assert await post("/signed", {}, **signed) == 401


async def _keep_order(rooms: Rooms) -> None:
    """Look at the disk, prune, and make a backup, which fails where it is to go."""
    await rooms.disk.look()
    await prune_files_once(rooms)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await prune_records(rooms)
    schedule = BackupSchedule(
        Backups(rooms.paths, lambda: rooms.loaded, SYSTEM_CLOCK, "1"), SYSTEM_CLOCK, rooms.paths.state_dir
    )
    schedule._backups.destination("ssh://host.example/folder")
    rooms.health.results()
    schedule._due_ms()
    await schedule._make()


def _ask_as_a_command(home: Home) -> None:
    """Do what commands do that read the file by themselves."""
    desk = Desk()
    target(desk.loaded, home.env())
    run(probe(desk, "", "x"))
    assert CliRunner().invoke(models, ["refresh"], obj=None).exit_code != 0


def _unread(readers: Readers, *configs: Config) -> set[str]:
    """Return the leaves of which no reader has seen a value that one of these configurations holds."""
    found: dict[str, bool] = {}
    for config in configs:
        for path, place, value in values(config):
            found[path] = found.get(path, False) or bool(readers.reader_of(place, value))
    return {leaf.path for leaf in leaves() if not found.get(leaf.path)}


PROCESS = {leaf.path for leaf in leaves() if leaf.reload == "process"}
ELSEWHERE = {"channels", "env.vars", "gateway.nodes.sessions", "gateway.port"}
ELSEWHERE |= {"gateway.tls.enabled", "gateway.tls.autoGenerate"}
VOUCHING = tuple(f"gateway.auth.{mode}." for mode in ("oidc", "cognito", "alb", "trustedProxy"))
ELSEWHERE |= {leaf.path for leaf in leaves() if leaf.path.startswith(VOUCHING)}
"""Not read from a section, not by these rooms, or not in this mode: tested below, in tests/rpc/nodes and
tests/identity/federated, and with gateways of their own."""


async def test_every_setting_is_read_by_those_it_is_for_at_once_or_after_a_restart(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home.folder))
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(home.state))
    home.write(json.dumps(_config(home, 0)))
    async with opened(home) as house:
        with watched() as readers:
            outcome = await house.take_up(json.dumps(_config(home, 1)))
            assert outcome.error == ""
            assert set(outcome.waiting) == PROCESS
            assert house.rooms.health.configuration.waiting == outcome.waiting
            await _use(house)
            taken = house.rooms.config
            assert house.rooms.spawner._environment.get("OF_OURS") == "2"
            assert (await house.take_up(json.dumps(_simpler(home)))).error == ""
            await _use(house)
            wanted = home.load().config
            assert sorted(PROCESS - _unread(readers, wanted)) == []
            await asyncio.to_thread(_ask_as_a_command, home)  # which goes by the file
        assert sorted(_unread(readers, taken, house.rooms.config) - PROCESS - ELSEWHERE) == []
        house.assert_rooms_stand()
    with watched() as readers:
        async with opened(home) as house:
            hosts_of(house.rooms.config)
            assert house.rooms.config.gateway.port == wanted.gateway.port
            assert sorted((PROCESS & _unread(readers, house.rooms.config)) - ELSEWHERE) == []


def _differences(first: Any, second: Any, pattern: str, path: KeyPath) -> Iterator[tuple[str, KeyPath, Any]]:
    """Yield every setting that differs: its path in the catalogue, where it stands, and its second value."""
    known = {leaf.path for leaf in leaves()}
    parts = {each for each in known if each.startswith((f"{pattern}.", f"{pattern}[]."))}
    if pattern in known and not (isinstance(first, dict | list) and parts):
        if first != second:
            yield pattern, path, second
    elif isinstance(first, list):
        for index, (old, new) in enumerate(zip(first, second, strict=True)):
            yield from _differences(old, new, f"{pattern}[]", (*path, index))
    else:
        for key in {**first, **second}:
            named = f"{pattern}.{key}" if pattern else key
            inner = (
                named if any(f"{each}.".startswith((f"{named}.", f"{named}[]")) for each in known) else f"{pattern}.*"
            )
            yield from _differences(first.get(key), second.get(key), inner, (*path, key))


async def test_each_setting_alone_is_taken_up_by_its_class(home: Home) -> None:
    now = _config(home, 0)
    steps = list(_differences(now, _config(home, 1), "", ()))
    of_one_value = {f"agents.{each}.sandbox.docker.network" for each in ("defaults", "list[]")}
    its_parts_are = {"agents.defaults.model"}
    assert {pattern for pattern, _, _ in steps} == {leaf.path for leaf in leaves()} - of_one_value - its_parts_are
    waiting: set[str] = set()
    home.write(json.dumps(now))
    async with opened(home) as house:
        for pattern, path, value in steps:
            place: Any = now
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
            outcome = await house.take_up(json.dumps(now), secrets=False)
            assert outcome.error == "", pattern
            if pattern in PROCESS:
                assert outcome.applied == (), pattern
                waiting.add(format_path(path))
            else:
                assert outcome.applied, pattern
                place_ = format_path(path)
                assert all(each.startswith(place_) or place_.startswith(each) for each in outcome.applied), pattern
            assert set(outcome.waiting) == waiting, pattern
        house.assert_rooms_stand()
        held = {path: value for path, _, value in values(house.rooms.config) if path in PROCESS}
        assert held == {
            path: value for path, _, value in values(home.load(json.dumps(_config(home, 0))).config) if path in PROCESS
        }
        assert (await house.take_up(json.dumps(_config(home, 0)), secrets=False)).waiting == ()
