"""Carries out what the turn machine wants: model calls, tools, commits. One Runner per run, in one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Sequence

import msgspec

from openclaw.agent.acting import Acting
from openclaw.agent.asking import Answer, Asking, Workshop, purpose_of
from openclaw.agent.conversation import Conversation
from openclaw.agent.directory import AgentSpec
from openclaw.agent.live import LiveRun
from openclaw.agent.taint import marked
from openclaw.agent.turn import (
    Answered,
    CallModel,
    CommitStep,
    Effect,
    Finish,
    Limits,
    RunTools,
    Start,
    Steer,
    Stopped,
    TakenUp,
    ToolsDone,
    Turn,
    TurnEvent,
    advance,
)
from openclaw.base.errors import InternalError, OpenClawError, RunAborted, RunInterrupted, RunLimit
from openclaw.base.ids import new_id
from openclaw.base.message import Message, TextPart, ToolCall
from openclaw.base.model import ModelFinish, TextDelta, Usage
from openclaw.base.run import Reply, RunEvent, RunStarted
from openclaw.policy.egress.way import on_behalf
from openclaw.store.api import NewStep, PendingStep

_log = logging.getLogger("openclaw.agent")


class NotAdmitted(Exception):
    """The message was not accepted after all: a repeat, or a failing archive. Its sender is told by the intake."""


class _Voice:
    """What readers of a run are told, in order, and never before its message is durable.

    It knows nothing of those who speak with it: a run that refers to itself waits for the garbage collector, with its
    whole conversation.
    """

    def __init__(self, run: LiveRun, admitted: Awaitable[bool] | None) -> None:
        self._run = run
        self.admitted = admitted
        self.opening: RunStarted | None = None
        """What is told before anything else."""
        self.said: list[str] = []
        """Every text delta that was told: its concatenation is the reply's text."""

    async def admit(self) -> None:
        """Wait until the message is durable; from then on things may be shown, done and stored. Raises: NotAdmitted."""
        if self.admitted is None:
            return
        try:
            durable = await self.admitted
        except Exception as error:  # whatever kept it from being stored was told to its sender
            raise NotAdmitted from error
        if not durable:
            raise NotAdmitted
        self.admitted = None

    async def tell(self, events: Sequence[RunEvent]) -> None:
        """Tell a batch. Raises: NotAdmitted."""
        if self.admitted is not None:
            await self.admit()
        if self.opening is not None:
            opening, self.opening = self.opening, None
            self._run.publish((opening,))
        if events:
            self.said.extend([event.text for event in events if type(event) is TextDelta])
            self._run.publish(events)


class Runner:
    """Drives one run from its first model call to its reply.

    `admitted` is given for a run that may begin before its message is durable: nothing is shown, done or stored before
    it has come true.
    """

    def __init__(self, run: LiveRun, spec: AgentSpec, shop: Workshop, admitted: Awaitable[bool] | None = None) -> None:
        self._run = run
        self._shop = shop
        self._voice = _Voice(run, admitted)
        client_tools = frozenset(tool.name for tool in run.inbound.client_tools)
        self._turn = Turn(_limits(run, spec), client_tools=client_tools)
        self._conversation = Conversation()
        self._asking = Asking(run, spec, shop, self._conversation, self._voice.tell)
        self._acting = Acting(run, spec, shop.store, shop.clock, self._voice.tell, self._conversation)
        self._answer: Answer | None = None
        """The last answer, until the step that holds it is committed."""
        self._client_calls: tuple[ToolCall, ...] = ()
        self._usage = Usage()
        self._reply: Reply | None = None
        self._deadline: asyncio.Timeout | None = None

    async def drive(self) -> Reply:
        """Run to the end and return the reply, which is durable by then.

        Raises: NotAdmitted.
        Cancels: with a stop reason on the run, ends it as aborted; without one (shutdown), leaves it to be resumed.
        """
        try:
            async with asyncio.timeout(self._turn.limits.wall_s) as self._deadline:
                with on_behalf(self._run.inbound):
                    await self._loop()
        except TimeoutError:
            await self._stop(RunLimit(f"the run took longer than {self._turn.limits.wall_s:g} s"))
        except asyncio.CancelledError:
            if self._run.stop_reason is None:
                raise
            task = asyncio.current_task()
            while task is not None and task.uncancel() > 0:
                pass
            await self._stop(RunAborted(f"stopped ({self._run.stop_reason})"))
        except NotAdmitted:
            raise
        except OpenClawError as error:
            await self._stop(error)
        except Exception:  # noqa: BLE001  # the run's supervisor: whatever broke, its sender is told
            trace = new_id()[:8]
            _log.exception("run_failed", extra={"fields": {"run": self._run.id, "id": trace}})
            await self._stop(InternalError(f"something broke inside the gateway (id {trace})"))
        if self._reply is None:
            raise RunInterrupted("the run ended without a reply")
        return self._reply

    async def _loop(self) -> None:
        pending = await self._prepare()
        first: TurnEvent = Start() if pending is None else TakenUp(pending.message, "tool_calls")
        self._turn, effects = advance(self._turn, first)
        while effects:
            event: TurnEvent | None = None
            for effect in effects:
                event = await self._perform(effect)
            if event is None:
                return
            self._take_steering()
            self._turn, effects = advance(self._turn, event)

    def _take_steering(self) -> None:
        if not self._run.steering:
            return
        for waiting in list(self._run.steering):
            if waiting.durable:
                self._run.steering.remove(waiting)
                self._run.joined.append(waiting)
                self._turn, _ = advance(self._turn, Steer(waiting.inbound.message))

    async def _perform(self, effect: Effect) -> TurnEvent | None:
        if isinstance(effect, CallModel):
            return await self._ask(effect)
        if isinstance(effect, RunTools):
            await self._voice.admit()
            assert self._answer is not None
            return ToolsDone(await self._acting.act(self._answer, self._turn.steps))
        if isinstance(effect, CommitStep):
            step = self._step(effect)
            seq = await self._shop.store.commit_step(self._run.id, step, self._shop.clock.now_ms())
            self._conversation.add(step.messages, seq)
            self._acting.outcomes.clear()
            return None
        await self._finish(effect)
        return None

    async def _stop(self, error: OpenClawError) -> None:
        self._deadline = None
        partial = self._asking.partial
        said = partial.text if partial else ""
        self._turn, effects = advance(self._turn, Stopped(error, said, tuple(self._acting.outcomes)))
        for effect in effects:
            await self._perform(effect)

    # preparing

    async def _prepare(self) -> PendingStep | None:
        run, inbound, store = self._run, self._run.inbound, self._shop.store
        run.state = "running"
        run.started_at_ms = now = self._shop.clock.now_ms()
        await self._enter_transcript(now)
        fresh = not run.resumed and not run.joined and (inbound.stateless or _is_new(run))
        if fresh:
            self._conversation.add((*inbound.history, inbound.message), run.accepted_seq)
        else:
            assert run.session is not None
            recent = None if run.resumed else self._shop.recent.take(run.session.id, run.accepted_seq - 1)
            if recent is not None:
                recent.add((inbound.message,), run.accepted_seq)
            self._conversation.take(recent or await Conversation.load(store, run.session.id))
        if run.dropped_note:
            self._conversation.note(Message("user", (TextPart(run.dropped_note),)))
        provider, _, model = self._asking.refs()[0].partition("/")
        self._voice.opening = RunStarted(model, provider, now)
        if self._voice.admitted is None:
            await self._voice.tell(())
        pending = await store.pending(run.id) if run.resumed else None
        if pending is not None:
            await self._go_on(pending)
        return pending

    async def _go_on(self, pending: PendingStep) -> None:
        info = self._shop.models.resolve(f"{pending.provider}/{pending.model}").info
        self._asking.info = info
        self._acting.take_up(pending)
        self._answer = Answer(
            message=pending.message,
            finish=ModelFinish("tool_calls", pending.usage),
            info=info,
            latency_ms=pending.latency_ms,
            first_token_ms=pending.first_token_ms,
            usd_micros=pending.usd_micros,
        )
        self._usage = pending.usage
        if pending.message.text:
            await self._voice.tell((TextDelta(pending.message.text),))

    async def _enter_transcript(self, now: int) -> None:
        """Write the messages that waited until now into the transcript, in order."""
        for member in (self._run, *self._run.joined):
            if not member.in_transcript and (member is not self._run or self._voice.admitted is None):
                await self._shop.store.begin_run(member.id, now)
                member.in_transcript = True

    # the model

    async def _ask(self, effect: CallModel) -> TurnEvent:
        await self._enter_transcript(self._shop.clock.now_ms())
        for message in effect.add:
            self._conversation.add((message,))
        answer = await self._asking.ask(separate=bool(self._voice.said))
        self._answer = answer
        self._usage = self._usage.plus(answer.finish.usage)
        theirs = self._turn.client_tools
        self._client_calls = tuple(call for call in answer.message.tool_calls if call.name in theirs)
        return Answered(answer.message, answer.finish.reason)

    # the end

    def _step(self, effect: CommitStep | Finish) -> NewStep:
        answer, self._answer = self._answer, None
        info = answer.info if answer else self._asking.info
        source = self._acting.outside()
        return NewStep(
            kind="model",
            messages=tuple(marked(message, source) for message in effect.messages) if source else effect.messages,
            usage=answer.finish.usage if answer else Usage(),
            model=info.id if info else "",
            provider=info.provider if info else "",
            finish_reason=effect.finish_reason,
            latency_ms=answer.latency_ms if answer else 0,
            first_token_ms=answer.first_token_ms if answer else 0,
            usd_micros=answer.usd_micros if answer else None,
            purpose=purpose_of(self._run.inbound),
            channel=self._run.inbound.source,
        )

    async def _finish(self, effect: Finish) -> None:
        await self._voice.admit()
        run, store = self._run, self._shop.store
        assert run.session is not None
        info = self._asking.info
        now = self._shop.clock.now_ms()
        reply = self._reply = Reply(
            run_id=run.id,
            session_key=run.inbound.session_key,
            session_id=run.session.id,
            agent_id=run.inbound.agent_id,
            state=effect.state,
            text="".join(self._voice.said),
            finish_reason=effect.finish_reason,
            usage=self._usage,
            model=info.id if info else "",
            provider=info.provider if info else "",
            actions=tuple(self._acting.records),
            client_calls=self._client_calls if effect.finish_reason == "tool_calls" else (),
            error=effect.error.as_dict() if effect.error else None,
            accepted_at_ms=run.accepted_at_ms,
            started_at_ms=run.started_at_ms,
            ended_at_ms=now,
        )
        step = self._step(effect) if effect.messages or self._answer else None
        run.ending = True  # from here on neither stop nor deadline may come between the answer and its commit
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(None)
        try:
            seq = await store.finish_run(run.id, reply, step, now)
            if step is not None and step.messages:
                self._conversation.add(step.messages, seq)
            if not run.inbound.stateless:
                self._shop.recent.put(run.session.id, seq, self._conversation)
            for member in run.joined:
                await store.finish_run(member.id, reply_for(member, reply), None, now)
        except OpenClawError as error:
            _log.exception("reply_not_stored", extra={"fields": {"run": run.id}})
            self._reply = msgspec.structs.replace(reply, state="error", error=error.as_dict())


def reply_for(member: LiveRun, reply: Reply) -> Reply:
    """Return the reply as the run that joined gets it."""
    return msgspec.structs.replace(reply, run_id=member.id, accepted_at_ms=member.accepted_at_ms)


def _is_new(run: LiveRun) -> bool:
    """Say whether the session came into being with this message: then there is nothing to read back."""
    return run.session is not None and run.session.created_at_ms == run.accepted_at_ms and run.in_transcript


def _limits(run: LiveRun, spec: AgentSpec) -> Limits:
    if run.inbound.timeout_s is None:
        return spec.limits
    return msgspec.structs.replace(spec.limits, wall_s=min(spec.limits.wall_s, max(0.001, run.inbound.timeout_s)))
