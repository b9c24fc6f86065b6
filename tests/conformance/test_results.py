"""Every answer, event and parameter against the protocol package's schema, generated from the table of methods."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.protocol.validate import _schema
from openclaw.rpc.build import METHODS
from openclaw.rpc.method import MethodSpec
from tests.conformance.schema import UNDEFINED, definition_of, document, faults, frame_faults, properties, result_faults
from tests.rpc.good import GOOD, REFUSALS
from tests.rpc.support import Bench, FakePeer
from tests.rpc.test_methods import peer_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("packages")]

SERVED = [pytest.param(spec, id=spec.name) for spec in METHODS if spec.until >= 4]

NOT_TAKEN = {
    "agent": """acpTurnSource cwd execApprovalFollowupExpectedSessionId internalEvents
        internalExecutionIdentityRecoveryAttempt internalExecutionIdentityRetry internalRuntimeHandoffId
        modelRun suppressPromptPersistence swarmCollector swarmOutputSchema""",
    "chat.send": "intent",
    "cron.update": "expectedConfigRevision",
}
"""Parameters of the schema that we refuse by name, because taking them silently would promise what we do not do."""


LATER_SCOPES = ("operator.questions", "operator.talk", "operator.talk.secrets")
"""Scopes that protocol 4 added: clients may ask for them, nothing here is opened by them alone."""

OTHER_SCOPES = {
    "health": "answered to everybody, as gateways of the field do; without the scope to read only that it is there",
    "plugin.approval.list": "always empty here: reading is enough",
    "sessions.compact": "compacting changes one session, as patching it does",
}
"""Methods that we guard with another scope than gateways of the field, and why."""


def _unlisted(spec: MethodSpec) -> set[str]:
    definition = definition_of(spec.name, "Params")
    if definition is None:
        return set()
    schema, definitions = _schema(spec.params)
    ours = set(definitions[schema["$ref"].rsplit("/", 1)[-1]]["properties"])
    return properties(definition) - ours


@pytest.mark.parametrize("spec", SERVED)
async def test_an_answer_is_what_the_schema_says(spec: MethodSpec, tmp_path: Path) -> None:
    bench = Bench(tmp_path, "fine")
    bench.agent.make_session(bench.agent.resolve_key(LOCAL_OPERATOR, "known"), FakePeer().principal.owner)
    peer = peer_for(spec, 4, spec.scope)
    bench.hub.join(peer)
    answer = await bench.ask(peer, spec.name, GOOD.get(spec.name))
    found = [fault for frame in (*peer.frames, answer) for fault in frame_faults(frame)]
    if answer["ok"]:
        found += result_faults(spec.name, answer["payload"])
    await bench.close()
    assert not found


@pytest.mark.parametrize("spec", SERVED)
def test_every_answer_is_defined_or_known_to_be_open(spec: MethodSpec) -> None:
    assert (definition_of(spec.name) is None) == (spec.name in UNDEFINED)


def test_what_is_said_to_be_open_is_open() -> None:
    assert [name for name in UNDEFINED if definition_of(name)] == []


@pytest.mark.parametrize("spec", SERVED)
def test_our_own_calls_are_calls_that_the_schema_allows(spec: MethodSpec) -> None:
    definition = definition_of(spec.name, "Params")
    assert definition is None or spec.name in REFUSALS or faults(definition, GOOD.get(spec.name, {})) == []


@pytest.mark.parametrize("spec", SERVED)
def test_a_parameter_that_clients_may_send_is_taken_or_refused_on_purpose(spec: MethodSpec) -> None:
    assert REFUSALS.get(spec.name) == "NOT_SUPPORTED" or _unlisted(spec) == set(NOT_TAKEN.get(spec.name, "").split())


@pytest.mark.parametrize("spec", SERVED)
def test_a_client_with_the_least_scope_that_gateways_of_the_field_want_is_served(spec: MethodSpec) -> None:
    theirs = document()["methods"].get(spec.name, {}).get("scope", "dynamic")
    assert theirs in (*LATER_SCOPES, "dynamic", "node", spec.scope) or spec.name in OTHER_SCOPES
