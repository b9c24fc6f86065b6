"""Generated from the table: every method, both protocols."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw.base.principal import ALL_SCOPES, LOCAL_OPERATOR
from openclaw.protocol.validate import _schema
from openclaw.rpc.acts import ACTS, READS
from openclaw.rpc.build import METHODS
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.versions import OLD_ERRORS
from tests.rpc.good import GOOD, REFUSALS
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

ISSUE = (
    "health status chat.send chat.history chat.abort agent agent.wait sessions.list sessions.reset sessions.delete "
    "agents.list models.list config.get logs.tail system-presence"
)

EVERY = [pytest.param(spec, protocol, id=f"{spec.name}-p{protocol}") for spec in METHODS for protocol in (3, 4)]


def test_the_methods_of_the_release_are_all_there() -> None:
    assert set(ISSUE.split()) <= {spec.name for spec in METHODS}
    assert len({spec.name for spec in METHODS}) == len(METHODS)


def peer_for(spec: MethodSpec, protocol: int, scope: str | None) -> FakePeer:
    """Return a peer of the role that may call a method, with that scope alone."""
    role: Literal["operator", "node"] = "node" if spec.role == "node" else "operator"
    return FakePeer(protocol, (scope,) if scope else (), role=role)


def has(spec: MethodSpec, protocol: int) -> bool:
    return spec.since <= protocol <= spec.until


@pytest.mark.parametrize(("spec", "protocol"), EVERY)
async def test_a_method_is_served_to_a_peer_with_exactly_its_scope(
    spec: MethodSpec, protocol: int, bench: Bench
) -> None:
    bench.agent.answer = "fine"
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "known"), FakePeer().principal.owner)
    await bench.add_job("known")
    peer = peer_for(spec, protocol, spec.scope)
    bench.hub.join(peer)
    answer = await bench.ask(peer, spec.name, GOOD.get(spec.name))
    if not has(spec, protocol):
        assert answer["error"]["message"] == f"unknown method: {spec.name}"
    elif spec.name in REFUSALS:
        error = answer["error"]
        plain = protocol == 3 and spec.name in OLD_ERRORS and "details" not in error  # as told there
        told = error["code"] if plain else error.get("details", {}).get("code", error["code"])
        assert told == ("INVALID_REQUEST" if plain else REFUSALS[spec.name])
    else:
        assert answer["ok"] is True, answer


@pytest.mark.parametrize(("spec", "protocol"), EVERY)
async def test_a_method_is_refused_without_its_scope(spec: MethodSpec, protocol: int, bench: Bench) -> None:
    if not has(spec, protocol) or spec.scope is None:
        return
    other = "operator.approvals" if spec.scope != "operator.approvals" else "operator.pairing"
    answer = await bench.ask(peer_for(spec, protocol, other), spec.name, GOOD.get(spec.name))
    error = answer["error"]
    assert error["message"] == f"missing scope: {spec.scope}"
    if protocol == 3:
        assert error == {"code": "INVALID_REQUEST", "message": error["message"]}
    else:
        assert error["code"] == "FORBIDDEN"
        assert error["details"] == {
            "code": "MISSING_SCOPE",
            "missingScope": spec.scope,
            "requiredScopes": [spec.scope],
        }


@pytest.mark.parametrize(("spec", "protocol"), EVERY)
async def test_a_method_is_refused_to_the_wrong_role_whatever_its_scopes(
    spec: MethodSpec, protocol: int, bench: Bench
) -> None:
    if not has(spec, protocol) or spec.role == "any":
        return
    role: Literal["operator", "node"] = "operator" if spec.role == "node" else "node"
    answer = await bench.ask(FakePeer(protocol, ALL_SCOPES, role=role), spec.name, GOOD.get(spec.name))
    assert answer["error"]["message"] == f"unauthorized role: {role}"


@pytest.mark.parametrize("protocol", [3, 4])
async def test_an_unknown_property_and_a_wrong_type_are_named(protocol: int, bench: Bench) -> None:
    peer = FakePeer(protocol)
    wrong = await bench.ask(peer, "sessions.list", {"limit": "ten"})
    assert wrong["error"]["message"] == "invalid sessions.list params: at /limit: must be integer"
    missing = await bench.ask(peer, "agent", {"message": "x"})
    assert missing["error"]["message"] == "invalid agent params: must have required property 'idempotencyKey'"
    unknown = await bench.ask(peer, "agent", {"message": "x", "agentId": "nope", "idempotencyKey": "z"})
    assert unknown["error"]["message"] == 'invalid agent params: unknown agent id "nope"'
    assert unknown["error"]["code"] == "INVALID_REQUEST"


async def test_protocol_3_takes_no_parameters_for_models_and_protocol_4_does(bench: Bench) -> None:
    old = await bench.ask(FakePeer(3), "models.list", {"view": "all"})
    assert old["error"]["message"] == "invalid models.list params: at root: unexpected property 'view'"
    assert (await bench.ask(FakePeer(4), "models.list", {"view": "all"}))["ok"]


async def test_a_send_without_a_session_is_refused_in_each_protocols_words(bench: Bench) -> None:
    new = await bench.ask(FakePeer(4), "chat.send", {})
    assert new["error"]["details"] == {"code": "SESSION_MUTATION_TARGET_REQUIRED", "method": "chat.send"}
    old = await bench.ask(FakePeer(3), "chat.send", {})
    assert old["error"]["message"] == (
        "invalid chat.send params: must have required property 'sessionKey'; "
        "must have required property 'message'; must have required property 'idempotencyKey'"
    )


async def test_a_second_connect_and_an_unknown_method_are_refused(bench: Bench) -> None:
    peer = FakePeer()
    assert (await bench.ask(peer, "connect"))["error"]["message"] == "connect is only valid as the first request"
    assert (await bench.ask(peer, "nope.method"))["error"] == {
        "code": "INVALID_REQUEST",
        "message": "unknown method: nope.method",
    }


async def test_a_fault_of_ours_gives_an_incident_id_and_no_trace(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.agent.table = None  # type: ignore[assignment]  # breaks the fake on purpose
    answer = await bench.ask(FakePeer(), "sessions.list")
    assert answer["error"]["code"] == "UNAVAILABLE"
    incident = answer["error"]["details"]["incident"]
    assert "Traceback" not in json.dumps(answer)
    assert any(record.fields["incident"] == incident for record in caplog.records if hasattr(record, "fields"))


async def test_a_principal_over_its_rate_is_told_when_to_come_back(bench: Bench) -> None:
    peer = FakePeer()
    answers = [await bench.ask(peer, "logs.tail") for _ in range(61)]
    assert [answer["ok"] for answer in answers] == [True] * 60 + [False]
    assert answers[-1]["error"]["retryable"] is True
    assert answers[-1]["error"]["retryAfterMs"] > 0
    bench.clock.advance(1)
    assert (await bench.ask(peer, "logs.tail"))["ok"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[MethodSpec, Any]:
    """A method with parameters that are nearly right."""
    spec = draw(st.sampled_from(METHODS))
    schema, definitions = _schema(spec.params)
    names = list(definitions[schema["$ref"].rsplit("/", 1)[-1]]["properties"]) or ["x"]
    wrong = draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=6), json_values, max_size=4))
    return spec, draw(st.sampled_from([{**GOOD.get(spec.name, {}), **wrong}, wrong, draw(json_values)]))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=requests(), protocol=st.sampled_from([3, 4]))
async def test_no_parameters_ever_make_an_internal_error(
    request: tuple[MethodSpec, Any], protocol: int, bench: Bench
) -> None:
    spec, params = request
    if spec.name in ("agent.wait",) and isinstance(params, dict):
        params = {**params, "timeoutMs": 1}
    bench.agent.answer = "fine"
    bench.clock.advance(1000)
    answer = await bench.ask(FakePeer(protocol), spec.name, params)
    assert answer["ok"] or "incident" not in answer["error"].get("details", {}), answer


async def test_the_documentation_lists_exactly_the_methods() -> None:
    from openclaw.rpc.docs import render

    page = Path(__file__).parents[2] / "docs" / "rpc.md"
    assert page.read_text() == render(), "run: python -m openclaw.rpc.docs > docs/rpc.md"


def test_what_takes_more_than_reading_or_writing_leaves_a_row_or_is_known_to_change_nothing() -> None:
    high = {spec.name for spec in METHODS if spec.scope in ("operator.admin", "operator.pairing", "operator.approvals")}
    assert ACTS.keys() & READS == set()
    assert ACTS.keys() | READS == high


async def test_an_act_has_its_row_before_it_is_done_and_is_not_done_without(bench: Bench) -> None:
    await bench.ask(FakePeer(4), "device.pair.remove", {"deviceId": "d1"})
    row = bench.ledger.entries[-1]
    assert (row.kind, row.action, row.target, row.answer, row.rule) == (
        "pairing",
        "device.pair.remove",
        "d1",
        "allow",
        "scope",
    )
    bench.ledger.full = True
    answer = await bench.ask(FakePeer(4), "config.set", GOOD["config.set"])
    assert answer["error"]["code"] == "UNAVAILABLE"
    assert not bench.paths.config_path.exists()


async def test_a_refusal_for_want_of_a_scope_is_written_once_a_minute(bench: Bench) -> None:
    peer = FakePeer(4, ("operator.read",))
    for _ in range(3):
        assert (await bench.ask(peer, "config.set", GOOD["config.set"]))["ok"] is False
    bench.clock.advance(60)
    await bench.ask(peer, "config.set", GOOD["config.set"])
    rows = [(row.action, row.answer, row.rule, row.facts["missingScope"]) for row in bench.ledger.entries]
    assert rows == [("config.set", "deny", "scope.missing", "operator.admin")] * 2
    bench.ledger.full = True
    bench.clock.advance(60)
    assert (await bench.ask(peer, "config.set", GOOD["config.set"]))["error"]["code"] == "FORBIDDEN"
