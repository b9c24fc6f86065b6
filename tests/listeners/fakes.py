"""A scripted study and counter behind real listeners on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from openclaw.agent.api import AgentInfo, CompactedSession, Owned, Run, RunObserver
from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import InvalidRequest, ModelNotFound, NotFound, OpenClawError
from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey
from openclaw.base.message import Message, ToolCall, assistant
from openclaw.base.model import FinishReason, TextDelta, Usage
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, RunState, ToolFinished, ToolStarted
from openclaw.base.secret import Secret
from openclaw.base.thinking import Thinking
from openclaw.config.schema import AuthConfig, GatewayConfig, HooksConfig, IdentityConfig, RateLimitConfig
from openclaw.identity.authenticate import Authenticator
from openclaw.identity.devices.book import Devices
from openclaw.identity.devices.record import Issued
from openclaw.listeners.app import App, build_app
from openclaw.listeners.control_ui.pages import UiDeps
from openclaw.listeners.deps import ListenerDeps
from openclaw.listeners.hooks.api import HookDeps, WakePort
from openclaw.listeners.openai_api.embeddings import Embedder
from openclaw.listeners.server import GatewayServer
from openclaw.listeners.setup.pages import SetupDeps
from openclaw.protocol.frames import Request, encode_result, result_with
from openclaw.rpc.peer import Peer
from openclaw.rpc.tool_desk import ToolPort
from openclaw.rpc.versions import hello_auth
from openclaw.store.api import RunRow, SessionRow, StepRow
from openclaw.telemetry.health import HealthBoard
from tests.fakes.devices import no_devices

TOKEN = "test-token-5c0ffee"
PATIENCE_S = 60.0
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class FakeRun:
    """A run whose answer is known; `gate` holds back everything after the first word."""

    def __init__(self, agent: FakeAgent, inbound: Inbound) -> None:
        self._agent = agent
        self._inbound = inbound
        self.gate = asyncio.Event()
        self.ended = asyncio.Event()
        self.aborted = False
        if not agent.hold:
            self.gate.set()

    @property
    def id(self) -> RunId:
        return self._inbound.run_id

    @property
    def inbound(self) -> Inbound:
        return self._inbound

    @property
    def state(self) -> RunState:
        return "running"

    @property
    def accepted_at_ms(self) -> int:
        return 0

    @property
    def duplicate(self) -> bool:
        return False

    async def events(self) -> AsyncIterator[Sequence[RunEvent]]:
        agent = self._agent
        if agent.uses_tool:
            yield [ToolStarted("c1", "list_files", "{}")]
            yield [ToolFinished("c1", "list_files", "notes.txt", False)]
        for index, word in enumerate(agent.words if agent.error is None or agent.late_error else ()):
            if index:
                await self.gate.wait()
                if self.aborted:
                    break
            yield [TextDelta(word)]
        yield [RunEnded(await self.result())]

    async def result(self) -> Reply:
        await self.gate.wait()
        agent = self._agent
        state: RunState = "aborted" if self.aborted else "ok" if agent.error is None else "error"
        self.ended.set()
        calls = agent.calls if self._inbound.client_tools and state == "ok" else ()
        return Reply(
            run_id=self.id,
            session_key=self._inbound.session_key,
            session_id=SessionId("s1"),
            agent_id=self._inbound.agent_id,
            state=state,
            text="".join(agent.words) if state == "ok" else "",
            finish_reason="tool_calls" if calls else agent.finish_reason,
            client_calls=calls,
            usage=Usage(10, 20, 4),
            model="fake",
            provider="fake",
            error=agent.error.as_dict() if agent.error is not None else None,
        )


class FakeAgent:
    """Answers every prompt with the same words."""

    def __init__(self) -> None:
        self.words: list[str] = ["Tokyo", " is", " the", " capital."]
        self.hold = False
        self.uses_tool = False
        self.error: OpenClawError | None = None
        self.late_error = False
        self.refusal: OpenClawError | None = None
        self.inbounds: list[Inbound] = []
        self.calls: tuple[ToolCall, ...] = ()
        """What the caller is asked to run whenever it offers tools."""
        self.finish_reason: FinishReason = "stop"
        self.runs: dict[RunId, FakeRun] = {}
        self.deleted: list[SessionKey] = []
        self.aborts: list[tuple[SessionKey, RunId | None, str]] = []
        self.register: Any = None
        """No door but the counter asks for it."""

    def agents(self) -> list[AgentInfo]:
        return [
            AgentInfo(id=AgentId("main"), name="Main", model="fake/fake", workspace="/w", default=True),
            AgentInfo(id=AgentId("coder"), name="", model="fake/fake", workspace="/w", default=False),
        ]

    def default_agent(self) -> AgentId:
        return AgentId("main")

    def resolve_agent(self, name: str) -> AgentId:
        if name in ("", "default"):
            return AgentId("main")
        if name in ("main", "coder"):
            return AgentId(name)
        raise NotFound(f"unknown agent '{name}'")

    def resolve_key(self, principal: Principal, raw: str, agent_id: AgentId | None = None) -> SessionKey:
        if not raw.isprintable() or len(raw) > 256:
            raise InvalidRequest("bad session key")
        return SessionKey(raw if raw.startswith("agent:") else f"agent:{agent_id or 'main'}:{raw}")

    async def submit(self, inbound: Inbound) -> Run:
        if self.refusal is not None:
            raise self.refusal
        self.inbounds.append(inbound)
        run = self.runs[inbound.run_id] = FakeRun(self, inbound)
        return run

    def live_run(self, run_id: RunId) -> Run | None:
        return self.runs.get(run_id)

    async def past_run(self, run_id: RunId, owner: OwnerId | None = None) -> RunRow | None:
        run = self.runs.get(run_id)
        if run is None or run.inbound.session_key in self.deleted:
            return None
        return RunRow(
            id=run_id,
            session_key=run.inbound.session_key,
            session_id=SessionId("s1"),
            inbound=run.inbound,
            state="running",
            attempts=1,
            accepted_at_ms=5000,
            reply=await run.result() if run.gate.is_set() else None,
        )

    async def abort(
        self, key: SessionKey, principal: Principal, run_id: RunId | None = None, reason: str = "rpc"
    ) -> list[RunId]:
        self.aborts.append((key, run_id, reason))
        run = self.runs.get(run_id) if run_id is not None else None
        if run is None:
            return []
        run.aborted = True
        run.gate.set()
        return [run.id]

    async def session(self, key: SessionKey, principal: Principal) -> SessionRow | None:
        return None

    async def sessions(
        self,
        principal: Principal,
        *,
        agent_id: AgentId | None = None,
        active_since_ms: int = 0,
        include_ephemeral: bool = False,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[SessionRow], int]:
        return [], 0

    async def history(
        self, key: SessionKey, principal: Principal, limit: int = 200, before_seq: int | None = None
    ) -> list[StepRow]:
        for run in self.runs.values():
            if run.inbound.session_key == key:
                text = "".join(self.words)
                said = (*run.inbound.history, run.inbound.message, *((assistant(text),) if text else ()))
                return [StepRow(session_id=SessionId("s1"), seq=1, run_id=run.id, kind="model", messages=said, at_ms=0)]
        return []

    async def reset_session(self, key: SessionKey, principal: Principal) -> SessionRow:
        raise NotFound("none")

    async def delete_session(self, key: SessionKey, principal: Principal) -> bool:
        self.deleted.append(key)
        return True

    async def patch_session(
        self,
        key: SessionKey,
        principal: Principal,
        *,
        label: str | None = None,
        model: str | None = None,
        thinking: Thinking | None = None,
    ) -> SessionRow:
        raise NotFound("none")

    async def compact_session(self, key: SessionKey, principal: Principal) -> CompactedSession:
        raise NotFound("none")

    async def inject(self, key: SessionKey, principal: Principal, message: Message) -> int:
        raise NotFound("none")

    def running(self) -> int:
        return 0

    def queued(self) -> int:
        return 0

    async def overlooked(self, principal: Principal, rows: Iterable[Owned], what: str = "session") -> None:
        """Nobody minds."""

    def load(self, principal: Principal) -> tuple[int, int]:
        return 0, 0

    def observe(self, observer: RunObserver) -> None:
        return None


class FakeCounter:
    """Answers `health` at once, `slow` when told to, and echoes the rest."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self._health = msgspec.json.encode({"ok": True, "ts": 1, "channels": {}, "agents": [{"agentId": "main"}] * 4})

    def handle(self, peer: Peer, request: Request) -> bytes | Coroutine[Any, Any, None]:
        if request.method == "health":
            return result_with(request.id, self._health)
        if request.method == "slow":
            return self._slow(peer, request)
        if request.method == "flood":
            frame = encode_result(request.id, "x" * 1_000_000)
            for _ in range(msgspec.json.decode(request.params).get("megabytes", 60)):
                peer.send(frame)
        return encode_result(request.id, {"method": request.method, "params": msgspec.json.decode(request.params)})

    async def _slow(self, peer: Peer, request: Request) -> None:
        await self.gate.wait()
        peer.send(encode_result(request.id, "slow"))

    def hello_ok(self, peer: Peer, issued: tuple[Issued, ...] = ()) -> dict[str, Any]:
        return {
            "type": "hello-ok",
            "protocol": peer.protocol,
            "server": {"version": "1", "connId": peer.conn_id},
            "auth": hello_auth(peer.principal, peer.protocol, issued),
        }


class FakeHub:
    """Remembers who is there."""

    def __init__(self) -> None:
        self.peers: dict[str, Peer] = {}

    def join(self, peer: Peer) -> None:
        self.peers[peer.conn_id] = peer

    def leave(self, peer: Peer) -> None:
        self.peers.pop(peer.conn_id)


def _resolve_model(ref: str) -> object:
    if ref != "fake/other":
        raise ModelNotFound(f"no model {ref}")
    return object()


@dataclass
class World:
    """Everything of one running server."""

    agent: FakeAgent
    counter: FakeCounter
    hub: FakeHub
    health: HealthBoard
    app: App
    server: GatewayServer
    devices: Devices
    config: GatewayConfig = field(default_factory=GatewayConfig)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


def authenticator(clock: Clock, mode: str = "token", book: Devices | None = None, **limits: int) -> Authenticator:
    """An authenticator whose token and password are TOKEN."""
    auth, rate = AuthConfig(token=Secret(TOKEN), password=Secret(TOKEN)), RateLimitConfig(**limits)
    return Authenticator(mode, auth.token, auth.password, lambda: rate, clock, book)  # type: ignore[arg-type]


@asynccontextmanager
async def world(
    config: GatewayConfig | None = None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    mode: str = "token",
    attempts: int = 100_000,
    embedder: Embedder | None = None,
    tools: ToolPort | None = None,
    hooks: HooksConfig | None = None,
    setup: SetupDeps | None = None,
    wake: WakePort | None = None,
    ui_root: Path | None = None,
    ui: bool = False,
    devices: Devices | None = None,
    loopback_bind: bool = True,
) -> AsyncIterator[World]:
    """Run a server with fakes behind it."""
    settings = config or GatewayConfig()
    agent, counter, hub, health = FakeAgent(), FakeCounter(), FakeHub(), HealthBoard(clock)
    book = devices or no_devices(clock)
    health.phase = "ready"
    app = build_app(
        ListenerDeps(
            loopback_bind=loopback_bind,
            agent=agent,
            counter=counter,
            hub=hub,
            authenticator=authenticator(clock, mode, book, max_attempts=attempts),
            devices=book,
            health=health,
            clock=clock,
            version="1.2.3",
            config=lambda: settings,
            resolve_model=_resolve_model,
            metrics=lambda: "# HELP x\n",
            embedder=embedder,
            tools=tools,
            hooks=HookDeps(agent, wake, clock, lambda: hooks) if hooks is not None else None,
            setup=setup,
            ui=UiDeps(agent, IdentityConfig, "1.2.3", ui_root, settings.control_ui.base_path) if ui else None,
        )
    )
    server = GatewayServer(app, ("127.0.0.1",), 0)
    await server.start()
    try:
        yield World(agent, counter, hub, health, app, server, book, settings)
    finally:
        await server.stop(1)
        await app.close()
        await book.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that happens in another object."""
    deadline = SYSTEM_CLOCK.monotonic_s() + PATIENCE_S
    while not condition():  # nothing signals it
        assert SYSTEM_CLOCK.monotonic_s() < deadline, "the condition never came true"
        await asyncio.sleep(0.005)


async def raw_request(port: int, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, read one whole answer until the connection closes or its length is reached."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(read_answer(reader), 10)
    finally:
        writer.close()


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read one answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = b""
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"])) if not head.startswith(b"HEAD") else b""
    elif headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return int(lines[0].split()[1]), headers, body


def http(
    method: str, path: str, body: bytes = b"", *, token: str | None = TOKEN, host: str = "127.0.0.1", **headers: Any
) -> bytes:
    """Encode a request. Keyword headers have `_` for `-`."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body or method == "POST":
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode("utf-8") + body
