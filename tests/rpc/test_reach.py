"""Who may talk to some agents only hears of no other, whether a call names an agent or not."""

from __future__ import annotations

import msgspec
import pytest

from openclaw.base.principal import Limits
from openclaw.rpc.build import METHODS
from tests.rpc.good import GOOD
from tests.rpc.support import Bench, FakePeer

pytestmark = pytest.mark.anyio

OF_AN_AGENT = (
    *("skills.status", "skills.audit", "skills.securityVerdicts", "tools.catalog", "agent.identity.get"),
    *("memory.search", "hooks.status", "doctor.memory.status", "usage.status", "wake"),
)
NAMES_OF_IT = ("agentId", "sessionKey", "key")


def peer_for(*agents: str) -> FakePeer:
    peer = FakePeer(owner="carol")
    peer.principal = msgspec.structs.replace(peer.principal, limits=Limits(agents=agents))
    return peer


@pytest.mark.parametrize("method", OF_AN_AGENT)
async def test_a_call_that_names_no_agent_is_about_one_that_the_roles_allow(bench: Bench, method: str) -> None:
    given = {name: value for name, value in GOOD.get(method, {}).items() if name not in NAMES_OF_IT}
    answer = await bench.ask(peer_for("bob"), method, given)
    told = msgspec.json.encode(answer.get("payload")).decode()
    assert answer["ok"] or answer["error"]["code"] == "UNAVAILABLE", answer
    assert answer.get("payload", {}).get("agentId", "bob") == "bob"
    assert f"{bench.agent.folder}/w" not in told
    refused = await bench.ask(peer_for(), method, given)
    assert refused["error"]["code"] == "FORBIDDEN"


def test_these_are_methods() -> None:
    assert set(OF_AN_AGENT) <= {spec.name for spec in METHODS}


async def test_a_plain_session_name_is_of_the_agent_that_answers_the_caller(bench: Bench) -> None:
    answer = await bench.ask(
        peer_for("bob"), "chat.send", {"sessionKey": "main", "message": "x", "idempotencyKey": "1"}
    )
    assert answer["ok"]
    assert [run.inbound.agent_id for run in bench.agent.runs.values()] == ["bob"]
