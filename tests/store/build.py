"""Rows for tests, with everything defaulted that a test does not speak of."""

from __future__ import annotations

from openclaw.base.ids import AgentId, OwnerId, RunId, SessionId, SessionKey, TenantId
from openclaw.base.message import Message, ToolCall, ToolOutcome, assistant, outcomes, user
from openclaw.base.model import Usage
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply, RunState
from openclaw.store.api import NewStep

AGENT = AgentId("default")
KEY = SessionKey("agent:default:main")
ALICE = Principal(owner=OwnerId("alice"), scopes=frozenset({"operator.write"}))
BOB = Principal(owner=OwnerId("bob"))
ELSEWHERE = Principal(owner=OwnerId("alice"), tenant=TenantId("elsewhere"))


def inbound(
    run_id: str,
    text: str = "hello",
    *,
    key: str = KEY,
    principal: Principal = ALICE,
    history: tuple[Message, ...] = (),
    ephemeral: bool = False,
) -> Inbound:
    return Inbound(
        run_id=RunId(run_id),
        session_key=SessionKey(key),
        agent_id=AGENT,
        message=user(text),
        principal=principal,
        history=history,
        ephemeral=ephemeral,
        temperature=0.5,
    )


def answer(text: str = "hi", *, usage: Usage = Usage(10, 5, 2, 1)) -> NewStep:  # noqa: B008  # frozen
    return NewStep(
        kind="model",
        messages=(assistant(text),),
        usage=usage,
        model="m",
        provider="fake",
        finish_reason="stop",
        latency_ms=30,
        first_token_ms=7,
    )


def tool_step(call_id: str = "c1") -> NewStep:
    return NewStep(
        kind="model",
        messages=(
            assistant("", [ToolCall(call_id, "read_file", '{"path":"x"}')]),
            outcomes([ToolOutcome(call_id, "read_file", "text")]),
        ),
        usage=Usage(3, 2),
    )


def reply(run_id: str, *, state: RunState = "ok", text: str = "hi", key: str = KEY) -> Reply:
    return Reply(
        run_id=RunId(run_id),
        session_key=SessionKey(key),
        session_id=SessionId("s"),
        agent_id=AGENT,
        state=state,
        text=text,
        error={"code": "RUN_ABORTED", "message": "stopped"} if state == "aborted" else None,
    )
