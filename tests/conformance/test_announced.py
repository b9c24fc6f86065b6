"""What hello announces, and that every method that is announced or served answers on a real gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from openclaw.rpc.build import METHODS
from openclaw.rpc.method import MethodSpec
from tests.conformance.progress import NOT_YET, SERVED
from tests.conformance.schema import frame_faults, hello_faults, result_faults
from tests.conformance.wire import PATIENCE_S, Frame, Wire, client
from tests.gateway.process import GatewayProcess, gateway
from tests.rpc.good import GOOD

pytestmark = pytest.mark.anyio

PROTOCOL_3: Final = {
    "agent": ". .identity.get .wait",
    "agents": ".create .delete .files.get .files.list .files.set .list .update",
    "browser": ".request",
    "channels": ".logout .status",
    "chat": ".abort .history .send",
    "config": ".apply .get .patch .schema .set",
    "cron": ".add .list .remove .run .runs .status .update",
    "device": ".pair.approve .pair.list .pair.reject .token.revoke .token.rotate",
    "exec": ".approval.request .approval.resolve .approvals.get .approvals.node.get .approvals.node.set .approvals.set",
    "health": ".",
    "last-heartbeat": ".",
    "logs": ".tail",
    "models": ".list",
    "node": """.describe .event .invoke .invoke.result .list .pair.approve .pair.list .pair.reject .pair.request
        .pair.verify .rename""",
    "send": ".",
    "sessions": ".compact .delete .list .patch .preview .reset",
    "set-heartbeats": ".",
    "skills": ".bins .install .status .update",
    "status": ".",
    "system-event": ".",
    "system-presence": ".",
    "talk": ".mode",
    "tts": ".convert .disable .enable .providers .setProvider .status",
    "update": ".run",
    "usage": ".cost .status",
    "voicewake": ".get .set",
    "wake": ".",
    "wizard": ".cancel .next .start .status",
}
"""The methods that gateways of protocol 3 announce, by family."""

ALL_3: Final = sorted(
    family + (name if name != "." else "") for family, names in PROTOCOL_3.items() for name in names.split()
)

EVENTS_3: Final = """
    agent chat connect.challenge cron device.pair.requested device.pair.resolved exec.approval.requested
    exec.approval.resolved health heartbeat node.invoke.request node.pair.requested node.pair.resolved presence
    shutdown talk.mode tick voicewake.changed
"""


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, object]]:
    """One loop for the module's gateway."""
    return ("asyncio", {"use_uvloop": True})


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, anyio_backend: object) -> AsyncIterator[GatewayProcess]:
    """A gateway."""
    async with gateway(tmp_path_factory.mktemp("announced") / "state") as running:
        yield running
    assert "rpc_failed" not in running.output()


@pytest.fixture(scope="module")
async def hello3(served: GatewayProcess) -> Frame:
    """The greeting of protocol 3."""
    async with client(served.ws_url, 3) as wire:
        greeting: Frame = (await wire.until(lambda frame: frame.get("id") == "connect"))["payload"]
        return greeting


@pytest.fixture(scope="module")
async def hello4(served: GatewayProcess) -> Frame:
    """The greeting of protocol 4, as a frame."""
    async with client(served.ws_url, 4) as wire:
        return await wire.until(lambda frame: frame.get("id") == "connect")


def test_the_table_has_every_method_of_protocol_3_once() -> None:
    assert len(ALL_3) == len(set(ALL_3)) == 86
    assert len(EVENTS_3.split()) == 18


@pytest.mark.parametrize("method", [pytest.param(name, marks=() if name in SERVED[3] else NOT_YET) for name in ALL_3])
async def test_every_method_of_protocol_3_is_announced(method: str, hello3: Frame) -> None:
    assert method in hello3["features"]["methods"]


@pytest.mark.parametrize("event", EVENTS_3.split())
async def test_every_event_of_protocol_3_is_announced(
    event: str, hello3: Frame, request: pytest.FixtureRequest
) -> None:
    if event not in hello3["features"]["events"]:
        request.applymarker(NOT_YET)
    assert event in hello3["features"]["events"]


@pytest.mark.usefixtures("packages")
async def test_the_greeting_is_what_the_schema_says(hello4: Frame) -> None:
    assert hello4["ok"] is True
    assert frame_faults(hello4) == []
    assert hello_faults(hello4["payload"]) == []


async def _called(wire: Wire, spec: MethodSpec) -> Frame:
    id_ = await wire.begin(spec.name, GOOD.get(spec.name))
    return await wire.until(lambda frame: frame.get("id") == id_)


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("protocol", [3, 4])
async def test_every_method_that_is_announced_answers(protocol: int, served: GatewayProcess) -> None:
    wrong: dict[str, Any] = {}
    async with client(served.ws_url, protocol) as wire:
        hello = (await wire.until(lambda frame: frame.get("id") == "connect"))["payload"]
        assert set(hello["features"]["methods"]) <= SERVED[protocol]
        await wire.ask("chat.send", {"sessionKey": "known", "message": "hi", "idempotencyKey": f"known-{protocol}"})
        await wire.until(lambda frame: frame.get("event") == "chat" and frame["payload"]["state"] == "final")
        for spec in METHODS:
            if spec.name not in SERVED[protocol] or spec.role == "node":
                continue
            try:
                answer = await _called(wire, spec)
            except (TimeoutError, ConnectionError) as error:
                wrong[spec.name] = repr(error)
                continue
            told = answer.get("error", {})
            if "unknown method" in told.get("message", "") or "incident" in (told.get("details") or {}):
                wrong[spec.name] = told
            elif protocol == 4 and answer["ok"] and (found := result_faults(spec.name, answer["payload"])):
                wrong[spec.name] = found
        if protocol == 4:
            wrong |= {f"frame {at}": found for at, frame in enumerate(wire.frames) if (found := frame_faults(frame))}
    assert wrong == {}


@pytest.mark.parametrize("protocol", [3, 4])
async def test_a_method_of_the_other_version_alone_is_unknown(protocol: int, served: GatewayProcess) -> None:
    missing = SERVED[7 - protocol] - SERVED[protocol]
    async with client(served.ws_url, protocol) as wire:
        answers = await asyncio.wait_for(_all(wire, sorted(missing)), PATIENCE_S)
    assert {method: answer["error"]["message"] for method, answer in answers.items()} == {
        method: f"unknown method: {method}" for method in missing
    }


async def _all(wire: Wire, methods: list[str]) -> dict[str, Frame]:
    return {method: await wire.ask(method) for method in methods}
