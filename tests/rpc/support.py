"""A counter over a fake study, and a peer that keeps what it was sent."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from openclaw.base.clock import ManualClock
from openclaw.base.ids import OwnerId
from openclaw.base.model import ModelInfo
from openclaw.base.principal import ALL_SCOPES, Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import AuthConfig, Config, GatewayConfig
from openclaw.protocol.frames import Request
from openclaw.rpc.build import build_counter
from openclaw.rpc.counter import Counter
from openclaw.rpc.deps import Ledger, RpcDeps
from openclaw.rpc.hub import Hub
from openclaw.rpc.peer import ClientInfo
from openclaw.telemetry.health import HealthBoard
from tests.fakes.agent_service import FakeAgentService
from tests.fakes.devices import no_devices

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


class Bench:
    """A counter with everything around it."""

    def __init__(
        self,
        logs_dir: Path = Path("/nowhere"),
        answer: str | None = None,
        *,
        ledger: Ledger | None = None,
        config: Config = CONFIG,
    ) -> None:
        self.clock = ManualClock()
        self.agent = FakeAgentService(self.clock, answer)
        self.hub = Hub(self.clock, "9.9")
        self.deps = RpcDeps(
            agent=self.agent,
            hub=self.hub,
            config=lambda: FakeLoaded(config),
            models=FakeModels(),
            health=HealthBoard(self.clock),
            logs_dir=logs_dir,
            clock=self.clock,
            version="9.9",
            state_dir=Path("/state"),
            ledger=ledger,
            devices=no_devices(self.clock),
        )
        self.counter: Counter = build_counter(self.deps)

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
        await self.counter.close()
