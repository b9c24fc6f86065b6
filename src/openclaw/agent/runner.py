"""Carries out what the turn machine wants: model calls, tools, commits. One Runner per run, in one task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from openclaw.agent.assembly import Assembly
from openclaw.agent.context import fit, valid_history
from openclaw.agent.directory import AgentSpec, Models, Resolved
from openclaw.agent.live import LiveRun
from openclaw.agent.prompt import PromptRoom
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
    ToolsDone,
    Turn,
    TurnEvent,
    advance,
)
from openclaw.base.clock import Clock
from openclaw.base.errors import InternalError, ModelError, OpenClawError, RunAborted, RunLimit
from openclaw.base.ids import new_id
from openclaw.base.message import ImagePart, Message, TextPart, ToolCall, ToolOutcome
from openclaw.base.model import ModelRequest, TextDelta, Usage
from openclaw.base.run import Reply, RunEvent, RunStarted, ToolFinished, ToolRecord, ToolStarted
from openclaw.models.tokens import estimate_text
from openclaw.store.api import NewStep, Store, UsageRow
from openclaw.telemetry.metrics import METRICS
from openclaw.tools.api import ToolContext

_log = logging.getLogger("openclaw.agent")
_calls = METRICS.counter("openclaw_model_calls", "Model calls by outcome.", ("provider", "model", "outcome"))
_latency = METRICS.histogram("openclaw_model_latency_seconds", "Time of a whole model call.", ("provider",))
_first = METRICS.histogram("openclaw_model_first_token_seconds", "Time to the first event.", ("provider",))
_tokens = METRICS.counter("openclaw_model_tokens", "Tokens by direction.", ("provider", "model", "direction"))
_tool_calls = METRICS.counter("openclaw_tool_calls", "Tool calls by outcome.", ("tool", "outcome"))

HISTORY_STEPS = 400
"""Steps read back for a turn; the context budget usually keeps fewer."""
ANSWER_SHARE = 4
"""At most a quarter of the context is set aside for the answer."""


class Runner:
    """Drives one run from its first model call to its reply."""

    def __init__(
        self, run: LiveRun, spec: AgentSpec, *, store: Store, models: Models, prompts: PromptRoom, clock: Clock
    ) -> None:
        self._run = run
        self._spec = spec
        self._store = store
        self._models = models
        self._prompts = prompts
        self._clock = clock
        self._turn = Turn(_limits(run, spec))
        self._messages: list[Message] = []
        self._said: list[str] = []
        """Every text delta that was published: its concatenation is the reply's text."""
        self._partial: Assembly | None = None
        self._results: list[ToolOutcome] = []
        self._records: list[ToolRecord] = []
        self._usage = Usage()
        self._call_usage = Usage()
        self._call_ms = (0, 0)
        self._resolved: Resolved | None = None
        self._reply: Reply | None = None
        self._deadline: asyncio.Timeout | None = None

    async def drive(self) -> Reply:
        """Run to the end and return the reply, which is durable by then.

        Cancels: with a stop reason on the run, ends it as aborted; without one (shutdown), leaves it to be resumed.
        """
        try:
            async with asyncio.timeout(self._turn.limits.wall_s) as self._deadline:
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
        except OpenClawError as error:
            await self._stop(error)
        except Exception:  # noqa: BLE001  # the run's supervisor: whatever broke, its sender is told
            trace = new_id()[:8]
            _log.exception("run_failed", extra={"fields": {"run": self._run.id, "id": trace}})
            await self._stop(InternalError(f"something broke inside the gateway (id {trace})"))
        assert self._reply is not None
        return self._reply

    async def _loop(self) -> None:
        await self._prepare()
        self._turn, effects = advance(self._turn, Start())
        while effects:
            event: TurnEvent | None = None
            for effect in effects:
                event = await self._perform(effect)
            if event is None:
                return
            for waiting in self._run.steering:
                if waiting.durable:
                    self._run.joined.append(waiting)
                    self._turn, _ = advance(self._turn, Steer(waiting.inbound.message))
            self._run.steering = [other for other in self._run.steering if other not in self._run.joined]
            self._turn, effects = advance(self._turn, event)

    async def _perform(self, effect: Effect) -> TurnEvent | None:
        if isinstance(effect, CallModel):
            return await self._call_model(effect)
        if isinstance(effect, RunTools):
            return await self._run_tools(effect.calls)
        if isinstance(effect, CommitStep):
            self._messages.extend(effect.messages)
            await self._store.commit_step(self._run.id, self._step(effect), self._clock.now_ms())
            self._results.clear()
            return None
        await self._finish(effect)
        return None

    async def _stop(self, error: OpenClawError) -> None:
        self._deadline = None
        said = self._partial.text if self._partial else ""
        self._turn, effects = advance(self._turn, Stopped(error, said, tuple(self._results)))
        for effect in effects:
            await self._perform(effect)

    # preparing

    async def _prepare(self) -> None:
        run, inbound = self._run, self._run.inbound
        assert run.session is not None
        run.state = "running"
        run.started_at_ms = self._clock.now_ms()
        for member in (run, *run.joined):
            if not member.in_transcript:
                await self._store.begin_run(member.id, run.started_at_ms)
                member.in_transcript = True
        ref = inbound.model or run.session.model or self._spec.model or self._models.default_ref()
        self._resolved = self._models.resolve(ref)
        info = self._resolved.info
        run.publish((RunStarted(info.id, info.provider, run.started_at_ms),))
        fresh = run.session.created_at_ms == run.accepted_at_ms and not run.resumed and not run.joined
        if fresh:
            history: Sequence[Message] = (*inbound.history, inbound.message)
        else:
            steps = await self._store.steps(run.session.id, limit=HISTORY_STEPS)
            history = [message for step in steps for message in step.messages]
        self._messages = valid_history(history)
        if run.dropped_note:
            self._messages.insert(-1, Message("user", (TextPart(run.dropped_note),)))

    def _request(self) -> ModelRequest:
        assert self._resolved is not None
        info, spec, inbound = self._resolved.info, self._spec, self._run.inbound
        tools = spec.toolbox.specs() if info.tools else ()
        system = self._prompts.system(spec.system_prompt, spec.workspace, tools=bool(tools), caller=inbound.system)
        context = min(info.context_tokens, spec.context_tokens or info.context_tokens)
        answer = inbound.max_tokens or spec.max_tokens or info.max_output_tokens
        fixed = estimate_text(system) + self._prompts.tools_tokens(tools)
        messages = fit(
            self._messages if info.images else [_without_images(message) for message in self._messages],
            fixed_tokens=fixed,
            budget_tokens=context - min(answer, context // ANSWER_SHARE),
        )
        return ModelRequest(
            model=info.id,
            system=system,
            messages=messages,
            tools=tools,
            max_tokens=inbound.max_tokens or spec.max_tokens or None,
            temperature=inbound.temperature,
            purpose="tools" if tools else "interactive",
            session_id=self._run.inbound.session_key,
        )

    # the model

    async def _call_model(self, effect: CallModel) -> TurnEvent:
        now = self._clock.now_ms()
        for member in self._run.joined:
            if not member.in_transcript:
                await self._store.begin_run(member.id, now)
                member.in_transcript = True
        self._messages.extend(effect.add)
        request = self._request()
        assert self._resolved is not None
        started = self._clock.monotonic_s()
        self._partial = assembly = Assembly(separate=bool(self._said))
        provider, model = self._resolved.info.provider, self._resolved.info.id
        try:
            if self._run.inbound.stream:
                first = await self._stream(request, assembly, started)
            else:
                self._publish(assembly.take_whole(await self._resolved.client.generate(request)))
                first = self._clock.monotonic_s() - started
        except ModelError as error:
            _calls.inc(provider, model, error.code)
            await self._record_failure(error, started)
            raise
        took = self._clock.monotonic_s() - started
        self._call_ms = (int(took * 1000), int(first * 1000))
        message, finish = assembly.answer()
        self._call_usage = finish.usage
        self._usage = self._usage.plus(finish.usage)
        self._partial = None
        _calls.inc(provider, model, "ok")
        _latency.observe(took, provider)
        _first.observe(first, provider)
        _tokens.inc(provider, model, "in", by=finish.usage.input_tokens)
        _tokens.inc(provider, model, "out", by=finish.usage.output_tokens)
        return Answered(message, finish.reason)

    async def _stream(self, request: ModelRequest, assembly: Assembly, started: float) -> float:
        assert self._resolved is not None
        first = 0.0
        stream = self._resolved.client.stream(request)
        try:
            async for batch in stream:
                if not first:
                    first = self._clock.monotonic_s() - started
                self._publish(assembly.take(batch))
        finally:
            await stream.aclose()
        return first

    def _publish(self, events: Sequence[RunEvent]) -> None:
        if not events:
            return
        self._said.extend(event.text for event in events if type(event) is TextDelta)
        self._run.publish(events)

    async def _record_failure(self, error: ModelError, started: float) -> None:
        run, resolved = self._run, self._resolved
        assert resolved is not None
        principal = run.inbound.principal
        row = UsageRow(
            at_ms=self._clock.now_ms(),
            run_id=run.id,
            session_key=run.inbound.session_key,
            agent_id=run.inbound.agent_id,
            tenant=principal.tenant,
            owner=principal.owner,
            provider=resolved.info.provider,
            model=resolved.info.id,
            purpose="interactive",
            usage=Usage(),
            latency_ms=int((self._clock.monotonic_s() - started) * 1000),
            first_token_ms=0,
            error_code=error.code,
        )
        await self._store.record_usage([row])

    # tools

    async def _run_tools(self, calls: tuple[ToolCall, ...]) -> TurnEvent:
        context = self._context()
        for call in calls:
            self._run.publish((ToolStarted(call.id, call.name, call.arguments),))
            text, is_error = await self._spec.toolbox.call(call.name, call.arguments, context)
            _tool_calls.inc(call.name, "error" if is_error else "ok")
            self._results.append(ToolOutcome(call.id, call.name, text, is_error))
            self._records.append(ToolRecord(call.id, call.name, call.arguments, text, is_error))
            self._run.publish((ToolFinished(call.id, call.name, text, is_error),))
        return ToolsDone(tuple(self._results))

    def _context(self) -> ToolContext:
        run = self._run
        assert self._resolved is not None
        assert run.session is not None
        facts = {
            "model": self._resolved.info.ref,
            "sessionId": run.session.id,
            "startedAtMs": run.started_at_ms,
            "nowMs": self._clock.now_ms(),
            "inputTokens": run.session.input_tokens + self._usage.input_tokens,
            "outputTokens": run.session.output_tokens + self._usage.output_tokens,
            "contextTokens": self._resolved.info.context_tokens,
            "steps": self._turn.steps,
            "toolCalls": self._turn.tool_calls,
        }
        return ToolContext(
            principal=run.inbound.principal,
            agent_id=run.inbound.agent_id,
            session_key=run.inbound.session_key,
            run_id=run.id,
            workspace=self._spec.workspace,
            facts=facts,
        )

    # the end

    def _step(self, effect: CommitStep | Finish) -> NewStep:
        info = self._resolved.info if self._resolved else None
        usage, self._call_usage = self._call_usage, Usage()
        latency_ms, first_token_ms = self._call_ms
        self._call_ms = (0, 0)
        return NewStep(
            kind="model",
            messages=effect.messages,
            usage=usage,
            model=info.id if info else "",
            provider=info.provider if info else "",
            finish_reason=effect.finish_reason,
            latency_ms=latency_ms,
            first_token_ms=first_token_ms,
        )

    async def _finish(self, effect: Finish) -> None:
        run = self._run
        assert run.session is not None
        info = self._resolved.info if self._resolved else None
        now = self._clock.now_ms()
        self._reply = Reply(
            run_id=run.id,
            session_key=run.inbound.session_key,
            session_id=run.session.id,
            agent_id=run.inbound.agent_id,
            state=effect.state,
            text="".join(self._said),
            finish_reason=effect.finish_reason,
            usage=self._usage,
            model=info.id if info else "",
            provider=info.provider if info else "",
            actions=tuple(self._records),
            error=effect.error.as_dict() if effect.error else None,
            accepted_at_ms=run.accepted_at_ms,
            started_at_ms=run.started_at_ms,
            ended_at_ms=now,
        )
        step = self._step(effect) if effect.messages else None
        run.ending = True  # from here on neither stop nor deadline may come between the answer and its commit
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(None)
        try:
            await self._store.finish_run(run.id, self._reply, step, now)
            for member in run.joined:
                await self._store.finish_run(member.id, reply_for(member, self._reply), None, now)
        except OpenClawError as error:
            _log.exception("reply_not_stored", extra={"fields": {"run": run.id}})
            self._reply = msgspec.structs.replace(self._reply, state="error", error=error.as_dict())


def reply_for(member: LiveRun, reply: Reply) -> Reply:
    """Return the reply as the run that joined gets it."""
    return msgspec.structs.replace(reply, run_id=member.id, accepted_at_ms=member.accepted_at_ms)


def _limits(run: LiveRun, spec: AgentSpec) -> Limits:
    if run.inbound.timeout_s is None:
        return spec.limits
    return msgspec.structs.replace(spec.limits, wall_s=min(spec.limits.wall_s, max(0.001, run.inbound.timeout_s)))


def _without_images(message: Message) -> Message:
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message
    note = TextPart("[image left out: this model takes text only]")
    return Message(message.role, tuple(note if isinstance(part, ImagePart) else part for part in message.parts))
