"""Runs the tool calls of one answer. What was asked and what came out is durable before and between the acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from openclaw.agent.asking import Answer
from openclaw.agent.conversation import Conversation
from openclaw.agent.directory import AgentSpec
from openclaw.agent.live import LiveRun
from openclaw.base.clock import Clock
from openclaw.base.message import ImagePart, ToolCall, ToolOutcome
from openclaw.base.model import ModelInfo
from openclaw.base.run import RunEvent, ToolFinished, ToolProgress, ToolRecord, ToolStarted
from openclaw.policy.skill.confined import strongest
from openclaw.store.api import PendingStep, Store
from openclaw.telemetry.metrics import METRICS
from openclaw.tools.api import ToolContext

_tool_calls = METRICS.counter("openclaw_tool_calls", "Tool calls by outcome.", ("tool", "outcome"))


class Acting:
    """The hands of one run. `outcomes` holds what is known of the pending answer's calls."""

    def __init__(
        self,
        run: LiveRun,
        spec: AgentSpec,
        store: Store,
        clock: Clock,
        publish: Callable[[Sequence[RunEvent]], Awaitable[None]],
        conversation: Conversation,
    ) -> None:
        self._run = run
        self._spec = spec
        self._store = store
        self._clock = clock
        self._publish = publish
        self._conversation = conversation
        self.outcomes: list[ToolOutcome] = []
        self.records: list[ToolRecord] = []

    async def act(self, answer: Answer, steps: int) -> tuple[ToolOutcome, ...]:
        """Run every call of an answer in order, except those whose outcome is known already. Return all outcomes."""
        known = {outcome.call_id for outcome in self.outcomes}
        waiting = [call for call in answer.message.tool_calls if call.id not in known]
        for call in waiting:
            await self._store.pend(self._run.id, self._pending(answer))
            self.outcomes.append(await self._one(call, answer.info, steps))
        return tuple(self.outcomes)

    def take_up(self, pending: PendingStep) -> None:
        """Go on where a crash interrupted: outcomes that are known are not made again."""
        self.outcomes = list(pending.outcomes)
        calls = {call.id: call for call in pending.message.tool_calls}
        self.records = [
            ToolRecord(known.call_id, known.name, calls[known.call_id].arguments, known.text, known.is_error)
            for known in pending.outcomes
        ]

    def _pending(self, answer: Answer) -> PendingStep:
        return PendingStep(
            message=answer.message,
            outcomes=tuple(self.outcomes),
            usage=answer.finish.usage,
            latency_ms=answer.latency_ms,
            first_token_ms=answer.first_token_ms,
            model=answer.info.id,
            provider=answer.info.provider,
            usd_micros=answer.usd_micros,
        )

    async def _one(self, call: ToolCall, info: ModelInfo, steps: int) -> ToolOutcome:
        await self._publish((ToolStarted(call.id, call.name, call.arguments),))
        images: list[ImagePart] = []
        sources: list[str] = []
        context = self._context(call, info, steps, images, sources)
        text, is_error = await self._spec.toolbox.call(call.name, call.arguments, context)
        _tool_calls.inc(call.name, "error" if is_error else "ok")
        self.records.append(ToolRecord(call.id, call.name, call.arguments, text, is_error))
        await self._publish((ToolFinished(call.id, call.name, text, is_error),))
        return ToolOutcome(call.id, call.name, text, is_error, tuple(images), strongest(sources))

    def outside(self) -> str:
        """Return by what way text from outside came into the conversation or the pending outcomes, or ""."""
        known = (outcome.outside for outcome in self.outcomes if outcome.outside)
        return strongest((self._conversation.outside(), *known))

    def _context(
        self, call: ToolCall, info: ModelInfo, steps: int, images: list[ImagePart], sources: list[str]
    ) -> ToolContext:
        run, inbound = self._run, self._run.inbound
        assert run.session is not None
        return ToolContext(
            principal=inbound.principal,
            agent_id=inbound.agent_id,
            session_key=inbound.session_key,
            run_id=run.id,
            workspace=self._spec.workspace,
            idempotency_key=f"{run.id}:{call.id}",
            depth=inbound.depth,
            progress=lambda text: run.show(ToolProgress(call.id, call.name, text)),
            show=images.append if info.images else None,
            tainted=self.outside(),
            took_in=sources.append,
            facts={
                "model": info.ref,
                "sessionId": run.session.id,
                "startedAtMs": run.started_at_ms,
                "nowMs": self._clock.now_ms(),
                "inputTokens": run.session.input_tokens,
                "outputTokens": run.session.output_tokens,
                "contextTokens": info.context_tokens,
                "steps": steps,
                "toolCalls": len(self.records),
            },
        )
