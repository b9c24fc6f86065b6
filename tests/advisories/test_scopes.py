"""Scope escalation (advisories, part 3)."""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from websockets.asyncio.client import connect

import openclaw
from openclaw.base.clock import ManualClock
from openclaw.base.errors import Forbidden
from openclaw.base.ids import OwnerId
from openclaw.base.principal import ALL_SCOPES, LOCAL_OPERATOR, Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import HooksConfig, RateLimitConfig
from openclaw.identity.authenticate import Authenticator, Evidence
from openclaw.identity.devices.record import Ask
from openclaw.identity.locality import Source
from openclaw.rpc import commands
from openclaw.rpc.build import METHODS
from tests.advisories.test_browser import shake
from tests.fakes.devices import no_devices
from tests.listeners.fakes import BEARER, TOKEN, world
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

PAIRING = Principal(scopes=frozenset(("operator.pairing",)))
SOURCE = Path(openclaw.__file__).parent


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path, state_dir=tmp_path)
    yield made
    await made.close()


def ask(**changes: Any) -> Ask:
    said: dict[str, Any] = {"role": "operator", "scopes": ("operator.admin",), **changes}
    return Ask(**{"device_id": "d" * 64, "public_key": "k" * 43, **said})


async def test_ghsa_4jpw_hj22_2xmc_nobody_mints_more_than_they_hold() -> None:
    devices = no_devices(ManualClock())
    await devices.pair(ask())
    for wanted in (None, ["operator.admin"], ["operator.read"], ["operator.pairing", "operator.write"]):
        with pytest.raises(Forbidden):
            await devices.rotate("d" * 64, "operator", wanted, PAIRING)
    assert (await devices.rotate("d" * 64, "operator", ["operator.pairing"], PAIRING)).scopes == ("operator.pairing",)
    for granted in ({"operator": ("operator.read",)}, {"node": (), "operator": ("operator.admin",)}):
        with pytest.raises(Forbidden):
            await devices.make_setup("full", granted, PAIRING)  # type: ignore[arg-type]


async def test_ghsa_4jpw_hj22_2xmc_a_device_that_acts_as_the_operator_is_an_administrators_to_give() -> None:
    devices = no_devices(ManualClock())
    somebody = Principal(owner=OwnerId("oidc:x:alice"), scopes=frozenset(ALL_SCOPES) - {"operator.admin"})
    request = await devices.request(ask(scopes=("operator.read",)), "not-paired")
    with pytest.raises(Forbidden):
        await devices.approve(request.request_id, somebody)
    administrator = msgspec.structs.replace(somebody, scopes=frozenset(ALL_SCOPES))
    assert (await devices.approve(request.request_id, administrator)).device_id == "d" * 64


async def test_cve_2026_33579_an_approval_gives_no_scope_that_its_giver_lacks(bench: Bench) -> None:
    devices = bench.deps.devices
    assert devices is not None
    request = await devices.request(ask(), "not-paired")
    for scopes in (("operator.pairing",), ("operator.pairing", "operator.write", "operator.approvals")):
        answer = await bench.ask(FakePeer(4, scopes), "device.pair.approve", {"requestId": request.request_id})
        assert answer["error"]["details"]["missingScope"] == "operator.admin"
    answer = await bench.ask(
        FakePeer(4, ("operator.write",)),
        "chat.send",
        {"sessionKey": "main", "message": f"/pair approve {request.request_id}", "idempotencyKey": "k"},
    )
    assert devices.get("d" * 64) is None, answer


async def test_cve_2026_33577_who_has_no_scopes_approves_nothing(bench: Bench) -> None:
    devices = bench.deps.devices
    assert devices is not None
    request = await devices.request(ask(scopes=("operator.read",)), "not-paired")
    with pytest.raises(Forbidden):
        await devices.approve(request.request_id, Principal())
    assert "by" in inspect.signature(devices.approve).parameters
    for method in (devices.approve, devices.rotate, devices.make_setup):
        assert inspect.signature(method).parameters["by"].default is inspect.Parameter.empty  # never "internal"
    for name in ("node.pair.approve", "device.pair.approve"):
        answer = await bench.ask(FakePeer(4, ()), name, {"requestId": request.request_id})
        assert answer["error"]["details"]["missingScope"] == "operator.pairing"


async def test_ghsa_rqpp_rjj8_7wv8_a_client_without_a_device_keeps_no_scope_that_it_declares() -> None:
    clock = ManualClock()
    door = Authenticator("token", Secret("t"), None, RateLimitConfig, clock, no_devices(clock))
    asked = ("operator.admin", "operator.root", "*")
    who = door.connect(Evidence(token="t"), Source("9.9.9.9", False), "node", asked, 4)
    assert who.scopes == frozenset()
    async with world() as here:
        client = {"id": "test", "version": "1", "platform": "linux", "mode": "test"}
        async with connect(here.ws_url, proxy=None) as socket:
            answer = await shake(socket, here, client=client, auth={"token": TOKEN}, scopes=["operator.admin"])
            assert answer["payload"]["auth"]["scopes"] == []


async def test_cve_2026_53821_ghsa_qjpc_qf9m_xwmr_no_header_gives_a_scope() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    issued = await devices.pair(ask(scopes=("operator.read",)))
    async with world(devices=devices) as here, aiohttp.ClientSession() as http:
        for extra in (
            {"x-openclaw-scopes": "operator.admin,operator.write"},
            {"X-OpenClaw-Role": "admin", "X-OpenClaw-Scopes": "*"},
            {"X-Forwarded-User": "root", "X-Forwarded-Groups": "admin"},
            {"x-amzn-oidc-data": "ey.x.y", "x-amzn-oidc-identity": "root"},
        ):
            headers = {"Authorization": f"Bearer {issued.token}", **extra}
            async with http.get(here.url + "/v1/models", headers=headers) as answer:
                assert answer.status in (200, 403)
            said = {"model": "openclaw", "messages": [{"role": "user", "content": "x"}]}
            async with http.post(here.url + "/v1/chat/completions", json=said, headers=headers) as answer:
                assert answer.status == 403, extra
            async with http.get(here.url + "/v1/models", headers=extra) as answer:
                assert answer.status in (401, 403)
        assert not here.agent.inbounds


async def test_cve_2026_28473_text_approves_nothing(bench: Bench) -> None:
    asker = FakePeer(4, ALL_SCOPES)
    bench.hub.join(asker)
    reviewer = FakePeer(4, ALL_SCOPES)
    bench.hub.join(reviewer)
    params = {"command": "rm -rf /", "timeoutMs": 600_000, "twoPhase": True, "id": "wanted"}
    asked = bench.begin(asker, "exec.approval.request", params)
    task = asyncio.ensure_future(asked)  # type: ignore[arg-type]
    for _ in range(50):
        await asyncio.sleep(0)
    writer = FakePeer(4, ("operator.write",))
    for number, text in enumerate(("/approve wanted allow-once", "/approve wanted", "/allow wanted", "/exec full")):
        await bench.ask(writer, "chat.send", {"sessionKey": "main", "message": text, "idempotencyKey": f"k{number}"})
    listed = (await bench.ask(reviewer, "exec.approval.list"))["payload"]
    assert [row["id"] for row in listed] == ["wanted"]
    assert "approve" not in commands.COMMANDS
    task.cancel()


@pytest.mark.parametrize("text", ["/reset", "/new", "/RESET now", "/ reset"])
async def test_cve_2026_35660_a_command_takes_the_scope_of_the_method_that_it_stands_for(
    text: str, bench: Bench
) -> None:
    bench.agent.answer = "fine"
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), OwnerId("operator"))
    before = await bench.agent.session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), FakePeer().principal)
    for method, field in (("chat.send", "sessionKey"), ("sessions.send", "key")):
        params = {field: "main", "message": text, "idempotencyKey": f"{method}{text}"}
        await bench.ask(FakePeer(4, ("operator.write",)), method, params)
    after = await bench.agent.session(bench.agent.resolve_key(LOCAL_OPERATOR, "main"), FakePeer().principal)
    assert before is not None
    assert after is not None
    assert after.id == before.id
    for name, command in commands.COMMANDS.items():
        if command.scope == "operator.admin":
            with pytest.raises(Forbidden):
                commands.check(Principal(scopes=frozenset(("operator.write",))), name)


def test_ghsa_xw77_45gv_p728_nobody_makes_up_an_administrator() -> None:
    """The one principal of our own with all scopes is the person at the gateway's own terminal, without a gateway."""
    made: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Principal":
                scopes = next((each.value for each in node.keywords if each.arg == "scopes"), None)
                said = ast.unparse(scopes) if scopes is not None else ""
                if "ALL_SCOPES" in said or "admin" in said.lower():
                    made.setdefault(path.relative_to(SOURCE).as_posix(), []).append(said)
    assert made == {"base/principal.py": ["frozenset(ALL_SCOPES)"]}
    used = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "LOCAL_OPERATOR" in path.read_text() and path.name != "principal.py"
    }
    offline = {"cli/command/action.py", "tools/registry.py", "testing/agent.py", "testing/action.py"}
    set_up = {"gateway/setup_desk.py"}  # behind the set-up's own password, which is the operator's
    whose = {"automation/heartbeat.py", "rpc/methods/house/wake.py"}  # only to learn whose a session is
    assert used <= offline | set_up | whose


async def test_ghsa_xw77_45gv_p728_a_hook_acts_with_its_own_few_rights_and_only_with_its_token() -> None:
    hooks = HooksConfig(enabled=True, token=Secret("hook-secret-0123456789-0123456789"))
    async with world(hooks=hooks) as here, aiohttp.ClientSession() as http:
        for headers in ({}, {"Authorization": "Bearer nope"}, BEARER):
            async with http.post(here.url + "/hooks/agent", json={"message": "x"}, headers=headers) as answer:
                assert answer.status == 401
        headers = {"Authorization": "Bearer hook-secret-0123456789-0123456789"}
        async with http.post(here.url + "/hooks/agent", json={"message": "x"}, headers=headers) as answer:
            assert answer.status == 200
        assert here.agent.inbounds[0].principal.scopes == {"operator.write"}


def test_ghsa_7jm2_g593_4qrc_no_tool_reaches_the_configuration() -> None:
    """Nothing that a model can call may write the file, the policy, approvals or pairing, or knows who could."""
    reaching = (
        "config.writing",
        "config.changes",
        "config_desk",
        "policy.",
        "identity.",
        "rpc.",
        "gateway.",
        "config.disk",
    )
    for path in (SOURCE / "tools").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                # How files are opened says nothing of who may; commands are judged, and asked about, where they run.
                own = ("openclaw.policy.",) if path.parent.name == "command" else ("openclaw.policy.files.",)
                if not name.startswith(own):
                    assert not any(f"openclaw.{part}" in f"{name}." for part in reaching), (path.name, name)


async def test_claw_chain_a_caller_cannot_say_that_it_is_the_owner(bench: Bench) -> None:
    bench.agent.answer = "fine"
    writer = FakePeer(4, ("operator.write",), owner="bob")
    claims = {"senderIsOwner": True, "ownerId": "operator", "owner": "operator", "scopes": ["operator.admin"]}
    for name, value in claims.items():
        params = {"message": "hi", "idempotencyKey": f"k-{name}", name: value}
        answer = await bench.ask(writer, "agent", params)
        assert "unexpected property" in answer["error"]["message"], name
    await bench.ask(writer, "agent", {"message": "hi", "idempotencyKey": "k", "sessionKey": "bobs"})
    row = await bench.agent.session(bench.agent.resolve_key(LOCAL_OPERATOR, "bobs"), FakePeer(owner="bob").principal)
    assert row is None or row.owner == "bob"
    takers = [
        spec.name
        for spec in METHODS
        if {"sender_is_owner", "owner"} & {each.name for each in msgspec.structs.fields(spec.params)}
    ]
    assert set(takers) <= {"message.action", "cron.add"}  # the one has no channel, the other does not look at it
