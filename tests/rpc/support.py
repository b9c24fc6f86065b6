"""A counter over a fake study, and a peer that keeps what it was sent."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec

from openclaw.automation.job import AgentTurn, Delivery, Job, JobOwner
from openclaw.automation.room import Automation
from openclaw.automation.schedule import Every
from openclaw.automation.system_event import SystemEvents
from openclaw.base.clock import ManualClock
from openclaw.base.ids import DEFAULT_TENANT, OwnerId
from openclaw.base.model import ModelInfo
from openclaw.base.principal import ALL_SCOPES, Principal
from openclaw.base.secret import Secret
from openclaw.config.env import Environment
from openclaw.config.load import load
from openclaw.config.paths import StatePaths, resolve_paths
from openclaw.config.schema import AuthConfig, Config, GatewayConfig
from openclaw.gateway.config_desk import ConfigDesk
from openclaw.policy.approvals import Approvals
from openclaw.policy.ledger import Ledger
from openclaw.policy.node_door import KIND as NODE
from openclaw.policy.node_door import node_rule
from openclaw.policy.senders import Senders
from openclaw.policy.widenings import Widenings
from openclaw.protocol.frames import Request
from openclaw.rpc.build import build_counter
from openclaw.rpc.counter import Counter
from openclaw.rpc.cron_rows import tell_beat, tell_job
from openclaw.rpc.deps import RpcDeps, UsageLedger
from openclaw.rpc.hub import Hub
from openclaw.rpc.nodes.desk import Nodes
from openclaw.rpc.peer import ClientInfo
from openclaw.rpc.upkeep_port import ProviderAuth, SecretState
from openclaw.store.audit import Audit
from openclaw.store.shelf import Shelf
from openclaw.telemetry.health import HealthBoard
from tests.fakes.agent_service import FakeAgentService
from tests.fakes.devices import no_devices
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.fakes.memory_shelf import MemoryShelf

CONFIG = Config(gateway=GatewayConfig(auth=AuthConfig(token=Secret("s3cret-token-value"))))
RAW = '{\n  // a comment\n  "gateway": {"auth": {"token": "s3cret-token-value"}}\n}'


@dataclass(frozen=True)
class FakeLoaded:
    """The parts of config.load.Loaded that the counter reads."""

    config: Config = CONFIG
    issues: tuple[Any, ...] = ()
    raw: str = RAW
    hash: str = "ab" * 32
    path: Path = Path("/state/openclaw.json")
    exists: bool = True
    valid: bool = True
    parsed: dict[str, Any] = field(default_factory=lambda: {"gateway": {"auth": {"token": "s3cret-token-value"}}})


class FakeModels:
    """Two models, one without a key."""

    def models(self) -> list[ModelInfo]:
        return [
            ModelInfo(id="fake-1", provider="fake", name="Fake", context_tokens=1000),
            ModelInfo(id="locked", provider="shut", available=False),
        ]

    def problems(self) -> dict[str, str]:
        return {}


class FakePeer:
    """Keeps every frame; `behind` stands for one that does not read."""

    _ids = itertools.count(1)

    def __init__(
        self,
        protocol: int = 4,
        scopes: tuple[str, ...] = ALL_SCOPES,
        owner: str = "operator",
        mode: str = "webchat",
        *,
        role: Literal["operator", "node"] = "operator",
        device: str = "",
        caps: tuple[str, ...] = (),
    ) -> None:
        self.conn_id = f"conn-{next(self._ids)}"
        self.protocol = protocol
        self.principal = Principal(scopes=frozenset(scopes), owner=OwnerId(owner), role=role, device=device)
        self.client = ClientInfo(id="test", mode=mode, version="1", platform="linux", caps=caps)
        self.connected_at_ms = 0
        self.behind = False
        self.raw: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    def send(self, frame: bytes) -> None:
        self.raw.append(frame)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(frame) for frame in self.raw]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [frame["payload"] for frame in self.frames if frame.get("event") == name]


class FakeUpkeep:
    """A process with two providers, which takes a restart as asked for."""

    def __init__(self) -> None:
        self.restarts = 0

    async def reload_secrets(self, by: Principal) -> int:
        return 0

    def secret_states(self) -> list[SecretState]:
        return [SecretState("hooks.token", "vault", "own", "hook", 1_700_000_000_000)]

    def provider_auth(self) -> list[ProviderAuth]:
        return [ProviderAuth("fake", takes_key=False), ProviderAuth("shut", ("work",), problem="no API key")]

    def request_restart(self) -> None:
        self.restarts += 1


def desk_over(paths: StatePaths, hub: Hub, clock: ManualClock) -> ConfigDesk:
    """Return a desk over the real file of those paths; there is no gateway to take changes up."""
    env = Environment((("process", {"HOME": str(paths.state_dir.parent), "OPENCLAW_STATE_DIR": str(paths.state_dir)}),))
    return ConfigDesk(paths, lambda: load(paths, env), hub, clock)


class Bench:
    """A counter with everything around it."""

    def __init__(
        self,
        logs_dir: Path = Path("/nowhere"),
        answer: str | None = None,
        *,
        usage: UsageLedger | None = None,
        audit: Audit | None = None,
        config: Config = CONFIG,
        shelf: Shelf | None = None,
        state_dir: Path = Path("/state"),
    ) -> None:
        self.clock = ManualClock()
        self.agent = FakeAgentService(self.clock, answer)
        self.hub = Hub(self.clock, "9.9")
        self.paired_at_ms: dict[str, int] = {}
        self.ledger = LedgerRows()
        gate = gatekeeper({NODE: node_rule(lambda: config.gateway.nodes)}, self.ledger, self.clock)
        self.nodes = Nodes(self.hub, gate, self.clock, shelf, lambda device: self.paired_at_ms.get(device, 0))
        self.agent.folder = str(logs_dir)
        self.paths = resolve_paths(Environment((("process", {"OPENCLAW_STATE_DIR": str(logs_dir)}),)))
        self.config_desk = desk_over(self.paths, self.hub, self.clock)
        shelf = shelf or MemoryShelf()
        self.approvals = Approvals(shelf, self.clock)
        self.widenings = Widenings(MemoryShelf(), Ledger(self.ledger, self.clock), self.clock, logs_dir)
        self.deps = RpcDeps(
            agent=self.agent,
            hub=self.hub,
            config=lambda: FakeLoaded(config),
            models=FakeModels(),
            health=HealthBoard(self.clock),
            logs_dir=logs_dir,
            clock=self.clock,
            version="9.9",
            state_dir=state_dir,
            usage=usage,
            audit=audit,
            ledger=Ledger(self.ledger, self.clock),
            devices=no_devices(self.clock),
            nodes=self.nodes,
            automation=self._automation(config),
            config_desk=self.config_desk,
            upkeep=FakeUpkeep(),
            shelf=shelf,
            approvals=self.approvals,
            widenings=self.widenings,
            senders=Senders(MemoryShelf(), self.clock),
        )
        self.counter: Counter = build_counter(self.deps)

    def _automation(self, config: Config) -> Automation:
        shelf = MemoryShelf()
        return Automation(
            shelf=shelf,
            events=SystemEvents(shelf, self.clock),
            agent=self.agent,
            clock=self.clock,
            config=lambda: config,
            tell_job=partial(tell_job, self.hub),
            tell_beat=partial(tell_beat, self.hub),
        )

    @property
    def automation(self) -> Automation:
        """What acts without being asked; it keeps no time unless a test starts it."""
        assert self.deps.automation is not None
        return self.deps.automation

    async def add_job(self, job_id: str = "known", owner: str = "operator") -> Job:
        """Keep a job that is never due in a test's time."""
        return await self.automation.jobs.add(
            Job(
                id=job_id,
                name=f"job {job_id}",
                owner=JobOwner(DEFAULT_TENANT, OwnerId(owner), ("operator.admin",)),
                created_at_ms=self.clock.now_ms(),
                updated_at_ms=self.clock.now_ms(),
                schedule=Every(every_ms=86_400_000),
                payload=AgentTurn(message="work"),
                session_target="isolated",
                delivery=Delivery(mode="announce"),
            )
        )

    def begin(
        self, peer: FakePeer, method: str, params: Any = None, id_: str = "1"
    ) -> bytes | Coroutine[Any, Any, None]:
        """Hand a request to the counter."""
        raw = msgspec.Raw(b"{}") if params is None else msgspec.Raw(msgspec.json.encode(params))
        return self.counter.handle(peer, Request(id_, method, raw))

    async def ask(self, peer: FakePeer, method: str, params: Any = None) -> dict[str, Any]:
        """Ask and return the last answer frame."""
        before = len(peer.raw)
        answer = self.begin(peer, method, params, "q")
        if isinstance(answer, bytes):
            return msgspec.json.decode(answer)  # type: ignore[no-any-return]  # JSON
        await answer
        found = [frame for frame in peer.frames[before:] if frame.get("id") == "q"]
        return found[-1]

    async def close(self) -> None:
        await self.hub.shutdown("test")
        await self.nodes.close()
        await self.automation.close()
        await self.counter.close()
        await self.config_desk.close()
        await self.approvals.close()
        await self.widenings.close()
