"""What the gateway adds to a streamed call over each provider's wire, beside the same call straight to the stand-in."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from tests.stand_ins.bedrock import API_KEY

from bench.completion import QUESTION, body_file, request
from bench.gateway import BEARER, COMPLETIONS, Gateway, Lab, Setting, running
from bench.report import Aim, Row, added
from bench.stand_in import CHUNKS, Origins, stand_ins

FAMILY = f"a streamed turn of {CHUNKS} chunks, 1 client, by the provider's wire"
MODEL = f"fake-n{CHUNKS}"
KEY = "bench-key"


class Wire(NamedTuple):
    """One provider. `path`, `body` and `marker` are those of the direct call; `marker` ends its stream."""

    api: str
    origin: str
    path: str
    body: dict[str, Any]
    marker: str
    key: str = KEY
    slow: bool = True

    @property
    def root(self) -> str:
        """The origin without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.origin.removeprefix("http://127.0.0.1:").partition("/")[0])


def wires(upstream: int, found: Origins) -> tuple[Wire, ...]:
    """Return the wires and who speaks them here. `upstream` is the port of the C stand-in."""
    compiled = f"http://127.0.0.1:{upstream}"
    chat, said = request(MODEL, stream=True), {"content": [{"text": QUESTION}], "role": "user"}
    thread = chat["messages"]
    responses = {"model": MODEL, "stream": True, "input": thread}
    claude = {**chat, "max_tokens": 1000}
    return (
        Wire("openai-completions", f"{compiled}/v1", COMPLETIONS, chat, "[DONE]", slow=False),
        Wire("anthropic-messages", compiled, "/v1/messages", claude, "message_stop", slow=False),
        Wire("openai-responses", found.openai, "/v1/responses", responses, "response.completed"),
        Wire("ollama", found.ollama, "/api/chat", chat, '"done":true'),
        Wire(
            "bedrock-converse",
            found.bedrock,
            f"/model/{MODEL}/converse-stream",
            {"messages": [said]},
            "messageStop",
            key=API_KEY,
        ),
    )


def by_wire(lab: Lab) -> list[Row]:
    """Measure the wires in turn, on one gateway."""
    rows: list[Row] = []
    with stand_ins(lab.cores.others) as found:
        every = wires(lab.upstream, found)
        providers: dict[str, dict[str, object]] = {
            wire.api: {"api": wire.api, "baseUrl": wire.origin, "apiKey": wire.key} for wire in every
        }
        providers["bedrock-converse"]["region"] = "us-east-1"
        with running(lab, Setting(providers=providers)) as gateway:
            for wire in every:
                _measure(msgspec.structs.replace(lab, rounds=1, seconds=0.2), gateway, wire)
                rows += _measure(lab, gateway, wire)
    return rows


def _measure(lab: Lab, gateway: Gateway, wire: Wire) -> list[Row]:
    mine, direct, cpu = [], [], []
    headers = (BEARER, f"x-openclaw-model: {wire.api}/{MODEL}")
    for _ in range(lab.rounds):
        body, before = body_file(lab.folder, request("openclaw", stream=True)), gateway.cpu_s()
        load = lab.tools.loadgen(
            gateway.port,
            COMPLETIONS,
            body,
            concurrency=1,
            seconds=lab.seconds,
            marker="[DONE]",
            headers=headers,
        )
        mine.append(load.p50)
        cpu.append((gateway.cpu_s() - before) / (load.ok + load.err) * 1000)
        body = body_file(lab.folder, wire.body)
        straight = lab.tools.loadgen(
            wire.port,
            wire.path,
            body,
            concurrency=1,
            seconds=lab.seconds / 2,
            marker=wire.marker,
            headers=(f"Authorization: Bearer {wire.key}",),
        )
        direct.append(straight.p50)
    note = "the stand-in is Python" if wire.slow else ""
    return [
        Row(family=FAMILY, name=f"{wire.api}, p50", unit="ms", samples=tuple(mine), direct=tuple(direct), note=note),
        Row(family=FAMILY, name=f"{wire.api}, added", unit="ms", samples=added(mine, direct), aim=Aim(1)),
        Row(family=FAMILY, name=f"{wire.api}, CPU", unit="ms", samples=tuple(cpu), steady=True),
    ]
