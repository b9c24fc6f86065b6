"""A session made smaller because somebody asks for it: what is old is summarised, or dropped when no model can."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from openclaw.agent.api import CompactedSession
from openclaw.agent.asking import Workshop
from openclaw.agent.compaction import MARK, Summary, summarise
from openclaw.agent.conversation import Conversation
from openclaw.agent.directory import AgentSpec
from openclaw.agent.live import LiveRun
from openclaw.agent.taint import outside_of
from openclaw.base.errors import ModelTimeout, NotFound, OpenClawError
from openclaw.base.ids import new_run_id
from openclaw.base.message import Message, user
from openclaw.base.model import Usage
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.models.call import Attempt
from openclaw.models.routing import line_up
from openclaw.models.spend.pricing import cost_usd_micros
from openclaw.models.tokens import estimate_message
from openclaw.store.api import NewStep, SessionRow, UsageRow
from openclaw.telemetry.metrics import METRICS

_log = logging.getLogger("openclaw.agent")
_compactions = METRICS.counter("openclaw_compactions", "Conversations made smaller, by how.", ("how",))

DROPPED: Final = "[Older messages of this conversation were dropped: no model could summarise them.]"
MIN_TOKENS: Final = 64
"""What is smaller is left alone: a summary of it would be as long."""
WALL_S: Final = 120.0
"""A person waits for it, and the session's messages wait too: then what is old is dropped."""


def stand_in(session: SessionRow, scopes: frozenset[str], now_ms: int) -> LiveRun:
    """Return what holds the session's lane meanwhile. It is never stored; its id names what the summary cost."""
    inbound = Inbound(
        run_id=new_run_id(),
        session_key=session.key,
        agent_id=session.agent_id,
        message=user("/compact"),
        principal=Principal(owner=session.owner, tenant=session.tenant, scopes=scopes),
        stream=False,
    )
    return LiveRun(inbound, now_ms)


async def condense(shop: Workshop, spec: AgentSpec, inbound: Inbound) -> CompactedSession:
    """Put a summary in the place of everything but the last exchange. The session's lane must be held.

    The last exchange goes too when nothing stands before it and it alone is larger than what is kept otherwise.
    Raises: NotFound, Conflict when the session went or was reset meanwhile.
    """
    key = inbound.session_key
    session = await shop.store.session(key, inbound.principal.owner)
    if session is None:
        raise NotFound(f"no session {key!r}")
    conversation = await Conversation.load(shop.store, session.id)
    before = conversation.tokens()
    going = conversation.split(0)
    if (going is None or _is_short(going[1])) and before > spec.compaction.keep_recent_tokens:
        going = conversation.whole()
    if going is None or _is_short(going[1]):
        return CompactedSession(
            key=key,
            compacted=False,
            kept=len(conversation.messages()),
            tokens_before=before,
            tokens_after=before,
            reason="nothing to summarise before the last exchange",
        )
    covers_seq, old = going
    step, reason = await _summary_step(shop, spec, session, inbound, conversation, covers_seq, old)
    now_ms = shop.clock.now_ms()
    await shop.store.append_summary(key, step, now_ms, session_id=session.id, run_id=inbound.run_id)
    gone = conversation.replace(covers_seq, step.messages[0])
    _compactions.inc("dropped" if reason else "summarised")
    return CompactedSession(
        key=key,
        compacted=True,
        messages=gone,
        kept=len(conversation.messages()) - 1,
        tokens_before=before,
        tokens_after=conversation.tokens(),
        summary="" if reason else step.messages[0].text,
        reason=reason,
    )


def _is_short(messages: Sequence[Message]) -> bool:
    """Say whether there is too little beside an earlier summary."""
    return sum(map(estimate_message, messages[len(_earlier(messages)) :])) < MIN_TOKENS


def _earlier(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the summary that the messages begin with, if they do."""
    return messages[:1] if messages[0].text.startswith((MARK, DROPPED)) else ()


def _dropped(old: Sequence[Message]) -> Message:
    """Return what stands for messages that no model could summarise: an earlier summary is kept."""
    known = "".join(message.text for message in _earlier(old))
    return user(known if DROPPED in known else f"{known}\n{DROPPED}".strip(), outside_of(old))


async def _summary_step(
    shop: Workshop,
    spec: AgentSpec,
    session: SessionRow,
    inbound: Inbound,
    conversation: Conversation,
    covers_seq: int,
    old: list[Message],
) -> tuple[NewStep, str]:
    """Return the step to commit, and why it is no summary if it is none."""
    own = (session.model,) if session.model else line_up(None, spec.model, shop.models.default_ref())
    chosen = spec.compaction.model or shop.route(inbound, "summary", conversation.tokens)
    refs = tuple(dict.fromkeys((chosen, *own))) if chosen else own
    attempts: list[Attempt] = []
    try:
        async with asyncio.timeout(WALL_S):
            summary = await summarise(old, shop.caller, refs, shop.purse(inbound), attempts)
        error: OpenClawError | None = None
    except TimeoutError:
        error = ModelTimeout(f"no summary within {WALL_S:g} s")
    except OpenClawError as failure:
        error = failure
    await shop.store.record_usage([_failed(each, inbound, shop.clock.now_ms()) for each in attempts if each.error_code])
    if error is not None:
        _log.warning("compaction_failed", extra={"fields": {"session": session.key, "code": error.code}})
        return NewStep(kind="summary", messages=(_dropped(old),), covers_seq=covers_seq), error.message
    info = shop.models.resolve(f"{summary.provider}/{summary.model}").info
    step = NewStep(
        kind="summary",
        messages=(_smaller(summary, old),),
        usage=summary.usage,
        model=summary.model,
        provider=summary.provider,
        purpose="summary",
        usd_micros=cost_usd_micros(info, summary.usage),
        covers_seq=covers_seq,
    )
    return step, ""


def _smaller(summary: Summary, old: Sequence[Message]) -> Message:
    """Return the summary at no more than half the size of what it stands for: a session asked to shrink does."""
    text = summary.message.text
    size, most = estimate_message(summary.message), sum(map(estimate_message, old)) // 2
    return summary.message if size <= most else user(text[: len(text) * most // size], summary.message.outside)


def _failed(attempt: Attempt, inbound: Inbound, now_ms: int) -> UsageRow:
    provider, _, model = attempt.ref.partition("/")
    return UsageRow(
        at_ms=now_ms,
        run_id=inbound.run_id,
        session_key=inbound.session_key,
        agent_id=inbound.agent_id,
        tenant=inbound.principal.tenant,
        owner=inbound.principal.owner,
        provider=provider,
        model=model,
        purpose="summary",
        usage=Usage(),
        latency_ms=attempt.took_ms,
        first_token_ms=0,
        error_code=attempt.error_code,
    )
