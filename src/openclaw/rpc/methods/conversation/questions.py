"""question.*: what agents and programs ask people, with options to choose from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, NotSupported
from openclaw.base.principal import Scope
from openclaw.policy.approval import Answers, Approval
from openclaw.policy.approvals import MAX_WAIT_MS, NewApproval
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.approval_params import DEFAULT_WAIT_MS, ApprovalId, ApprovalIdParams, NotEmpty, WaitMs
from openclaw.rpc.approval_rows import question_end, question_row
from openclaw.rpc.method import MethodSpec, Rate
from openclaw.rpc.methods.doors.approvals import decider
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room

QUESTIONS: Final[Scope] = "operator.questions"

Ref = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
AnswerText = Annotated[str, Meta(max_length=4096)]


class Option(Params, frozen=True):
    """One answer to choose."""

    label: Annotated[str, Meta(min_length=1, max_length=200)]
    description: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET


class Question(Params, frozen=True):
    """One question. `isOther`: another text than the options is an answer too; without options any text is."""

    question_id: Ref
    header: Annotated[str, Meta(max_length=12)]
    question: Annotated[str, Meta(min_length=1, max_length=4096)]
    options: Annotated[tuple[Option, ...], Meta(max_length=4)]
    multi_select: bool | UnsetType = UNSET
    is_other: bool | UnsetType = UNSET
    is_secret: bool | UnsetType = UNSET
    secret_store: dict[str, Any] | UnsetType = UNSET


class QuestionRequestParams(Params, frozen=True):
    """Up to three questions that are answered together."""

    questions: Annotated[tuple[Question, ...], Meta(min_length=1, max_length=3)]
    id: ApprovalId = ""
    agent_id: NotEmpty = ""
    session_key: NotEmpty = ""
    run_id: NotEmpty = ""
    timeout_ms: WaitMs = DEFAULT_WAIT_MS


class QuestionWaitParams(Params, frozen=True):
    """Without `timeoutMs` the questions' own end is waited for."""

    id: ApprovalId
    timeout_ms: WaitMs = MAX_WAIT_MS


class GivenAnswers(Params, frozen=True):
    """The answers to each question, by its id."""

    answers: dict[str, Annotated[tuple[AnswerText, ...], Meta(max_length=16)]]


class QuestionResolveParams(Params, frozen=True):
    """Either `answers` or `cancel`. `resolvedBy` is not taken as evidence of anything."""

    id: ApprovalId
    answers: GivenAnswers | UnsetType = UNSET
    cancel: Literal[True] | UnsetType = UNSET
    resolved_by: NotEmpty = ""
    secret_store_allowed_hosts: Annotated[tuple[NotEmpty, ...], Meta(max_length=128)] = ()


async def question_request(room: Room, peer: Peer, params: QuestionRequestParams) -> dict[str, Any]:
    """Ask, and answer at once."""
    if any(question.is_secret or question.secret_store for question in params.questions):
        raise NotSupported("this gateway asks nobody for secrets; set them in its environment or configuration")
    if len({question.question_id for question in params.questions}) < len(params.questions):
        raise InvalidRequest("invalid question.request params: at /questions: each questionId must be another")
    request = {"questions": msgspec.to_builtins(params.questions)}
    named = {"agentId": params.agent_id, "sessionKey": params.session_key, "runId": params.run_id}
    request |= {name: value for name, value in named.items() if value}
    new = NewApproval(
        kind="question",
        request=request,
        timeout_ms=params.timeout_ms,
        id=params.id,
        agent_id=params.agent_id,
        session_key=params.session_key,
        offered=(),
    )
    asked = await room.approvals.request(peer.principal, new)
    return {"id": asked.id, "expiresAtMs": asked.expires_at_ms}


async def question_wait(room: Room, peer: Peer, params: QuestionWaitParams) -> dict[str, Any]:
    """Wait for the answers, at most so long."""
    try:
        async with asyncio.timeout(min(params.timeout_ms, MAX_WAIT_MS) / 1000):
            return question_end(await room.approvals.wait(peer.principal, params.id, "question"))
    except TimeoutError:
        return {"status": "pending"}


async def question_resolve(room: Room, peer: Peer, params: QuestionResolveParams) -> dict[str, Any]:
    """Answer, or say that nobody will."""
    if (params.answers is UNSET) == (params.cancel is UNSET):
        raise InvalidRequest("invalid question.resolve params: either answers or cancel is required")
    answers: Answers | None = None
    if params.answers is not UNSET:
        asked = await room.approvals.get(peer.principal, params.id, "question")
        answers = _checked(params.answers.answers, asked)
    return question_end(await room.approvals.answer(peer.principal, params.id, answers, decider(peer)))


def _checked(answers: Answers, asked: Approval) -> Answers:
    """Return the answers if they are answers to what was asked. Raises: InvalidRequest naming the first that is not."""
    questions = {question["questionId"]: question for question in asked.request["questions"]}
    for name, given in answers.items():
        question = questions.get(name)
        if question is None:
            raise InvalidRequest(f"no question {name[:64]!r} was asked")
        labels = [option["label"] for option in question["options"]]
        if len(given) > 1 and not question.get("multiSelect"):
            raise InvalidRequest(f"question {name} takes one answer")
        if labels and not question.get("isOther") and not set(given) <= set(labels):
            raise InvalidRequest(f"question {name} takes {_either(labels)}")
    missing = [name for name in questions if not answers.get(name)]
    if missing:
        raise InvalidRequest(f"question {missing[0]} has no answer", hint="Answer every question, or cancel.")
    return answers


def _either(labels: Sequence[str]) -> str:
    return " or ".join(repr(label) for label in labels)


async def question_get(room: Room, peer: Peer, params: ApprovalIdParams) -> dict[str, Any]:
    """Return a set of questions, also when it has ended."""
    asked = await room.approvals.get(peer.principal, params.id, "question")
    await room.overlooked(peer, (asked,))
    return {"question": question_row(asked)}


async def question_list(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Return the questions that wait for answers."""
    found = room.approvals.pending(peer.principal, "question")
    await room.overlooked(peer, found)
    return {"questions": [question_row(asked) for asked in found]}


METHODS = (
    MethodSpec(
        "question.request",
        QuestionRequestParams,
        QUESTIONS,
        question_request,
        "Asks people up to three questions. It does not wait: question.waitAnswer does.",
        "`{id, expiresAtMs}`",
        rate=Rate(60, 5),
        since=4,
    ),
    MethodSpec(
        "question.waitAnswer",
        QuestionWaitParams,
        QUESTIONS,
        question_wait,
        "Waits for the answers to questions.",
        '`{status: "pending"|"answered"|"cancelled"|"expired", answers?: {answers{}}}`',
        since=4,
        passing="waits",
    ),
    MethodSpec(
        "question.resolve",
        QuestionResolveParams,
        QUESTIONS,
        question_resolve,
        "Answers questions, or says that they will not be answered: the first one holds.",
        '`{status: "answered", answers: {answers{}}}` or `{status: "cancelled"}`',
        since=4,
    ),
    MethodSpec(
        "question.get",
        ApprovalIdParams,
        QUESTIONS,
        question_get,
        "Returns one set of questions.",
        "`{question: {id, questions[], agentId?, sessionKey?, runId?, createdAtMs, expiresAtMs, status, answers?}}`",
        since=4,
    ),
    MethodSpec(
        "question.list",
        NoParams,
        QUESTIONS,
        question_list,
        "Lists the questions that wait for answers.",
        "`{questions[]}`, as in question.get.",
        since=4,
    ),
)
