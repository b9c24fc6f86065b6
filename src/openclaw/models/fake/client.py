"""The client of the fake provider."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence

from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ModelError, ModelNotFound
from openclaw.base.model import (
    ModelEvent,
    ModelFinish,
    ModelInfo,
    ModelRequest,
    ModelResult,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from openclaw.models.assemble import collect
from openclaw.models.fake.knob import Knobs, knobs
from openclaw.models.fake.reply import reply, tokens
from openclaw.models.tokens import estimate_tokens
from openclaw.models.transport.failure import Failures
from openclaw.net.error import NetError

Step = str | Sequence[ModelEvent] | ModelError
"""One scripted answer: a text, events (a finish is added if there is none), or the error to raise."""

REQUESTS_KEPT = 1_000


class FakeClient:
    """Answers without a model: by script if there is one left, else by the model's name (see knob.py and reply.py).

    Shape: `requests` holds the last REQUESTS_KEPT requests, oldest first.
    """

    def __init__(self, script: Iterable[Step] = (), *, clock: Clock = SYSTEM_CLOCK, provider: str = "fake") -> None:
        self.requests: deque[ModelRequest] = deque(maxlen=REQUESTS_KEPT)
        self._script = deque(script)
        self._clock = clock
        self._provider = provider
        self._failures = Failures(provider, None, clock)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient. Without delays the whole answer is one batch; with delays every piece is one."""
        self.requests.append(request)
        step = self._script.popleft() if self._script else None
        if isinstance(step, ModelError):
            raise step
        knob = Knobs() if step is not None else self._knobs(request.model)
        if knob.latency_ms:
            await self._clock.sleep(knob.latency_ms / 1000)
        if knob.failure.isdigit():
            raise self._failures.told(request.model, "", "asked to fail", status=int(knob.failure))
        events = _events(step, request, knob)
        if knob.failure:
            yield events[: max(1, len(events) // 2)]
            if knob.failure == "drop":
                raise self._failures.net(request.model, NetError("reset", "fake://", "the connection broke"))
            raise self._failures.protocol(request.model, "the stream ended before the answer did")
        finish = _finish(events, request)
        if events and isinstance(events[-1], ModelFinish):
            events.pop()
        if not knob.delay_ms:
            yield (*events, finish)
            return
        for event in events:
            yield (event,)
            await self._clock.sleep(knob.delay_ms / 1000)
        yield (finish,)

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        return await collect(self.stream(request))

    async def list_models(self) -> list[ModelInfo]:
        """See LLMClient."""
        return [await self.get_metadata("echo")]

    async def get_metadata(self, model: str) -> ModelInfo:
        """See LLMClient."""
        self._knobs(model)
        return ModelInfo(id=model, provider=self._provider, name=model, images=True)

    async def count_tokens(self, request: ModelRequest) -> int:
        """Return the estimate, which is exact here: usage reports the same."""
        return estimate_tokens(request)

    async def close(self) -> None:
        """Nothing to let go of."""

    def _knobs(self, model: str) -> Knobs:
        found = knobs(model)
        if found is None:
            raise ModelNotFound(
                f"{self._provider}/{model}: the fake provider has no such model",
                hint="Use `echo`, or `fake` with knobs, e.g. `fake-n100-d5-l20-b8` or `fake-err429`.",
                details={"provider": self._provider, "model": model},
            )
        return found


def _events(step: str | Sequence[ModelEvent] | None, request: ModelRequest, knob: Knobs) -> list[ModelEvent]:
    if isinstance(step, str):
        return tokens(step)
    if step is not None:
        return list(step)
    if knob.chunks:
        return [TextDelta("x" * knob.chunk_bytes)] * knob.chunks
    events = reply(request)
    if request.max_tokens is not None and len(events) > request.max_tokens:
        return events[: request.max_tokens]
    return events


def _finish(events: Sequence[ModelEvent], request: ModelRequest) -> ModelFinish:
    if events and isinstance(events[-1], ModelFinish):
        return events[-1]
    usage = Usage(estimate_tokens(request), len(events))
    if any(type(event) is ToolCallDelta for event in events):
        return ModelFinish("tool_calls", usage, request.model)
    cut = request.max_tokens is not None and len(events) >= request.max_tokens
    return ModelFinish("length" if cut else "stop", usage, request.model)
