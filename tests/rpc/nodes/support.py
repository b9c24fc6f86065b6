"""Nodes and operators at one counter, with the answers that a node gives driven by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import anyio.lowlevel
import msgspec

from openclaw.base.principal import ALL_SCOPES
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import Config, GatewayConfig, NodeCommandsConfig, NodesConfig
from openclaw.rpc.peer import ClientInfo
from openclaw.store.shelf import Shelf
from tests.rpc.support import Bench, FakePeer

DEVICE = "d" * 64


def config(*allow: str, sessions: str = "own") -> Config:
    """A configuration that lets these commands through."""
    nodes = NodesConfig(commands=NodeCommandsConfig(allow=allow), sessions="any" if sessions == "any" else "own")
    return Config(gateway=GatewayConfig(nodes=nodes))


class NodePeer(FakePeer):
    """A connected node."""

    def __init__(
        self, *commands: str, protocol: int = 4, device: str = DEVICE, name: str = "lamp", platform: str = "linux"
    ) -> None:
        super().__init__(protocol, (), mode="node", role="node", device=device)
        self.client = ClientInfo(
            id="node-host",
            mode="node",
            version="1",
            platform=platform,
            display_name=name,
            instance_id=name,
            caps=("system",),
            commands=commands,
        )
        self.node_id = device or name

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What it was asked to do so far."""
        return self.events("node.invoke.request")


class House(Bench):
    """A bench whose requests run in the background until the test has answered as the node."""

    def __init__(self, *allow: str, shelf: Shelf | None = None, sessions: str = "own") -> None:
        super().__init__(config=config(*allow, sessions=sessions), shelf=shelf)
        self.tasks = TaskSet("test")
        self.operator = FakePeer(4, ALL_SCOPES)
        self.hub.join(self.operator)

    def join(self, *commands: str, **kind: Any) -> NodePeer:
        """Connect a node."""
        peer = NodePeer(*commands, **kind)
        self.hub.join(peer)
        return peer

    async def admit(self, *commands: str, **kind: Any) -> NodePeer:
        """Connect a node and approve what it offers."""
        peer = self.join(*commands, **kind)
        await self.approve_all()
        return peer

    async def approve_all(self) -> None:
        """Approve whatever waits."""
        for row in (await self.ask(self.operator, "node.pair.list"))["payload"]["pending"]:
            answer = await self.ask(self.operator, "node.pair.approve", {"requestId": row["requestId"]})
            assert answer["ok"], answer

    def invoke(
        self, node_id: str, command: str, key: str = "k", *, caller: FakePeer | None = None, **more: Any
    ) -> asyncio.Task[dict[str, Any]]:
        """Begin an invoke; the task gives the answer frame."""
        params = {"nodeId": node_id, "command": command, "idempotencyKey": key, **more}
        return self.tasks.spawn(self._asked(caller or self.operator, params), "invoke")

    async def _asked(self, caller: FakePeer, params: dict[str, Any]) -> dict[str, Any]:
        before = len(caller.raw)
        answer = self.begin(caller, "node.invoke", params, params["idempotencyKey"])
        if isinstance(answer, Coroutine):
            await answer
            found = [frame for frame in caller.frames[before:] if frame.get("id") == params["idempotencyKey"]]
            return found[-1]
        return msgspec.json.decode(answer)  # type: ignore[no-any-return]  # JSON

    async def result(self, node: NodePeer, nth: int = -1, **fields: Any) -> dict[str, Any]:
        """Answer as a node what it was asked last."""
        await settle()
        params = {"id": node.asked[nth]["id"], "nodeId": node.node_id, "ok": True, **fields}
        return await self.ask(node, "node.invoke.result", params)

    async def tell(self, node: NodePeer, event: str, payload: Any = None) -> dict[str, Any]:
        """Send a node.event; return the answer's payload."""
        answer = await self.ask(node, "node.event", {"event": event, "payload": payload or {}})
        return dict(answer["payload"])

    async def close(self) -> None:
        await self.tasks.close()
        await super().close()


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()
