"""One answer from a model: the request fitted to whichever model is tried, money, failover, compaction on overflow."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from openclaw.agent.announced import Announcements
from openclaw.agent.assembly import Assembly
from openclaw.agent.compaction import summarise
from openclaw.agent.context import fit
from openclaw.agent.conversation import Conversation, Recent
from openclaw.agent.directory import AgentSpec, Models
from openclaw.agent.live import LiveRun
from openclaw.agent.prompt import PromptRoom
from openclaw.base.clock import Clock
from openclaw.base.errors import BudgetExceeded, ModelContextOverflow, ModelError, OpenClawError, PolicyDenied
from openclaw.base.ids import AgentId
from openclaw.base.message import ImagePart, Message, Part, TextPart, ToolOutcome, assistant
from openclaw.base.model import ModelFinish, ModelInfo, ModelRequest, Purpose, TextDelta, ToolSpec, Usage
from openclaw.base.run import Compacted, Inbound, RunEvent
from openclaw.base.thinking import Thinking
from openclaw.config.schema import ReviewConfig
from openclaw.models.call import Attempt, CallPlan, ModelCaller, Purse
from openclaw.models.review import Verdict, applies, review
from openclaw.models.routing import line_up
from openclaw.models.spend.pricing import cost_usd_micros
from openclaw.models.tokens import estimate_text
from openclaw.store.api import NewStep, Store, UsageRow
from openclaw.telemetry.metrics import METRICS
from openclaw.tools.api import READ_SKILL, SIDE_TOOLS

_log = logging.getLogger("openclaw.agent")
_calls = METRICS.counter("openclaw_model_calls", "Model calls by outcome.", ("provider", "model", "outcome"))
_latency = METRICS.histogram("openclaw_model_latency_seconds", "Time of a whole model call.", ("provider",))
_first = METRICS.histogram("openclaw_model_first_token_seconds", "Time to the first event.", ("provider",))
_tokens = METRICS.counter("openclaw_model_tokens", "Tokens by kind.", ("provider", "model", "kind"))
_cost = METRICS.counter("openclaw_model_cost_usd_micros", "Cost of model calls.", ("provider", "model"))
_compactions = METRICS.counter("openclaw_compactions", "Conversations made smaller, by how.", ("how",))

_NOTHING = Usage()
NO_EYES = "[image left out: this model takes text only]"
ANSWER_SHARE = 4
"""At most a quarter of the context is set aside for the answer."""
COMPACT_AT = 0.85
"""Share of the budget at which a kept conversation is summarised before the call."""
SHRINK = 0.6
MAX_OVERFLOWS = 4
"""A provider that finds the prompt too long is asked again with less, this often."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer and what it took."""

    message: Message
    finish: ModelFinish
    info: ModelInfo
    latency_ms: int
    first_token_ms: int
    usd_micros: int | None


class Route(Protocol):
    """Picks a model by the configured routes and tiers (models.routing); None leaves it to the agent."""

    def __call__(self, inbound: Inbound, purpose: Purpose, tokens: Callable[[], int]) -> str | None: ...


class Workshop(msgspec.Struct, frozen=True):
    """What every run needs of the rooms below; the same for all of them."""

    store: Store
    models: Models
    caller: ModelCaller
    prompts: PromptRoom
    clock: Clock
    route: Route
    purse: Callable[[Inbound], Purse | None]
    recent: Recent
    review: Callable[[], ReviewConfig] = ReviewConfig
    """The review that is configured now."""
    announcements: Announcements | None = None
    skills: Callable[[AgentId, Path], Awaitable[str]] | None = None
    """What the model is told of the skills that an agent, with its workspace, may use."""


class Asking:
    """Asks for one run. `publish` is told what readers may see, in order."""

    def __init__(
        self,
        run: LiveRun,
        spec: AgentSpec,
        shop: Workshop,
        conversation: Conversation,
        publish: Callable[[Sequence[RunEvent]], Awaitable[None]],
    ) -> None:
        self._run = run
        self._spec = spec
        self._shop = shop
        self._conversation = conversation
        self._publish = publish
        self._shrink = 1.0
        self._separate = False
        self._dropped = 0
        self._no_summary = False
        """A summary that failed is not asked for again in the same run."""
        self._purse = shop.purse(run.inbound)
        self._refs: tuple[str, ...] = ()
        self._stable: tuple[str, str, tuple[ToolSpec, ...]] | None = None
        """The prompt's stable part for a model."""
        self._skills: str | None = None
        """As they stood when the run began."""
        self._tries_left = MAX_OVERFLOWS
        self._held: list[RunEvent] | None = [] if applies(shop.review(), spec.id) else None
        """What a review must see before readers do; None without a review."""
        self.info: ModelInfo | None = None
        """The model asked last."""
        self.partial: Assembly | None = None
        """The answer in the making; what was said survives an abort."""

    def refs(self) -> tuple[str, ...]:
        """Return the models to try in order."""
        self._refs = self._refs or self._choose()
        return self._refs

    async def ask(self, *, separate: bool) -> Answer:
        """Return the next answer. Raises: the ModelError classes naming every attempt; BudgetExceeded."""
        self.refs()
        if self._skills is None:
            spec, skills = self._spec, self._shop.skills
            self._skills = await skills(spec.id, spec.workspace) if skills else ""
        await self._compact_early()
        while True:
            try:
                return await self._reviewed(await self._call(separate=separate or bool(self._held)))
            except ModelContextOverflow:
                self._tries_left -= 1
                if self._tries_left < 0 or (self.partial is not None and self.partial.text):
                    raise
                self._shrink *= SHRINK
                await self._compact()

    def _choose(self) -> tuple[str, ...]:
        """Return the models to try in order: what the message names, else the session, a route, the agent."""
        found = self._candidates()
        kept = tuple(ref for ref in found if self._run.inbound.principal.may_call(ref))
        if found and not kept:
            raise PolicyDenied(
                f"none of your roles may use the model {found[0][:128]}", details={"rule": "role.models"}
            )
        return kept

    def _candidates(self) -> tuple[str, ...]:
        inbound, session = self._run.inbound, self._run.session
        beats = inbound.source == "heartbeat"  # its tier is for cheap models: a session's dear one is for people
        named = inbound.model or (session.model if session and not beats else "")
        if named:
            return (named,)
        purpose = purpose_of(inbound, tools=bool(self._spec.toolbox.specs()))
        routed = self._shop.route(inbound, purpose, self._conversation.tokens)
        return line_up(routed, self._spec.model, self._shop.models.default_ref())

    # one call

    async def _call(self, *, separate: bool) -> Answer:
        clock, inbound = self._shop.clock, self._run.inbound
        attempts: list[Attempt] = []
        self._separate = separate
        plan = CallPlan(
            refs=self._refs,
            request=self._request,
            purse=self._purse,
            stream=inbound.stream,
            on_attempt=self._attempted,
            agent_id=self._spec.id,
        )
        started, first = clock.monotonic_s(), 0.0
        stream = self._shop.caller.call(plan, attempts)
        try:
            async for batch in stream:
                if not first:
                    first = clock.monotonic_s()
                    await self._tell_dropped()
                assert self.partial is not None, "on_attempt comes first"
                events = self.partial.take(batch)
                if events and self._held is None:
                    await self._publish(events)
                elif events and self._held is not None:
                    self._held.extend(event for event in events if type(event) is TextDelta)
        except (ModelError, BudgetExceeded) as error:
            await self._record_failures(attempts, error)
            raise
        finally:
            await stream.aclose()
        if len(attempts) > 1:
            await self._record_failures(attempts, None)
        assert self.partial is not None
        assert self.info is not None
        message, finish = self.partial.answer()
        self.partial = None
        return self._settled(message, finish, self.info, clock.monotonic_s() - started, max(0.0, first - started))

    async def _tell_dropped(self) -> None:
        """A conversation that was cut is visible, also when nothing could be kept of what went."""
        if self._dropped:
            _compactions.inc("dropped")
            await self._publish((Compacted(self._dropped, ""),))
            self._dropped = 0

    def _settled(self, message: Message, finish: ModelFinish, info: ModelInfo, took_s: float, first_s: float) -> Answer:
        provider, model, usage = info.provider, info.id, finish.usage
        cost = cost_usd_micros(info, usage)
        _calls.inc(provider, model, "ok")
        _latency.observe(took_s, provider)
        _first.observe(first_s, provider)
        _tokens.inc(provider, model, "in", by=usage.input_tokens)
        _tokens.inc(provider, model, "out", by=usage.output_tokens)
        if usage.cache_read_tokens:
            _tokens.inc(provider, model, "cached", by=usage.cache_read_tokens)
        if cost:
            _cost.inc(provider, model, by=cost)
        return Answer(
            message=message,
            finish=finish,
            info=info,
            latency_ms=int(took_s * 1000),
            first_token_ms=int(first_s * 1000),
            usd_micros=cost,
        )

    async def _reviewed(self, answer: Answer) -> Answer:
        """Let a second model look at a whole draft; a rejected one is neither sent nor stored."""
        if self._held is None or answer.message.tool_calls:
            return answer
        shop, held = self._shop, self._held
        self._held = []
        draft = "".join(event.text for event in held if type(event) is TextDelta)
        verdict = await review(shop.review(), draft, shop.caller, agent_id=self._spec.id, purse=self._purse)
        await self._record_review(verdict)
        if verdict.allowed:
            await self._publish(held)
            return answer
        _log.warning("answer_held_back", extra={"fields": {"run": self._run.id, "reviewer": verdict.model}})
        instead = TextDelta(f"[This answer was held back by a review: {verdict.reason}]")
        await self._publish((instead,))
        return msgspec.structs.replace(answer, message=assistant(instead.text))

    async def _record_review(self, verdict: Verdict) -> None:
        provider, _, model = verdict.model.partition("/")
        await self._record_failures(verdict.attempts, None)
        if verdict.usage != _NOTHING:
            info = self._shop.models.resolve(verdict.model).info
            row = self._ledger_row(f"{provider}/{model}", purpose="probe", usage=verdict.usage)
            row = msgspec.structs.replace(row, usd_micros=cost_usd_micros(info, verdict.usage))
            await self._shop.store.record_usage([row])

    def _ledger_row(
        self, ref: str, *, purpose: str = "", usage: Usage = _NOTHING, took_ms: int = 0, code: str = ""
    ) -> UsageRow:
        run, principal = self._run, self._run.inbound.principal
        provider, _, model = ref.partition("/")
        return UsageRow(
            at_ms=self._shop.clock.now_ms(),
            run_id=run.id,
            session_key=run.inbound.session_key,
            agent_id=run.inbound.agent_id,
            tenant=principal.tenant,
            owner=principal.owner,
            provider=provider,
            model=model,
            purpose=purpose or purpose_of(run.inbound),
            usage=usage,
            latency_ms=took_ms,
            first_token_ms=0,
            error_code=code,
            channel=run.inbound.source,
        )

    def _attempted(self, info: ModelInfo) -> None:
        """Begin anew: what an earlier attempt thought or wished for belongs to it."""
        self.info = info
        self.partial = Assembly(separate=self._separate)

    def _request(self, info: ModelInfo) -> ModelRequest:
        inbound, spec = self._run.inbound, self._spec
        system, tools, fixed, budget = self._frame(info)
        messages: Sequence[Message] = self._conversation.messages()
        if not info.images and any(map(_shows, messages)):
            messages = [_without_images(message) for message in messages]
        if self._conversation.tokens() + fixed > budget:
            whole = len(messages)
            messages = fit(messages, fixed_tokens=fixed, budget_tokens=budget)
            self._dropped = whole - len(messages)
        return ModelRequest(
            model=info.id,
            system=system,
            messages=tuple(messages),
            tools=tools,
            max_tokens=inbound.max_tokens or spec.max_tokens or None,
            temperature=inbound.temperature,
            thinking=self._thinking() if info.reasoning else "",
            tool_choice=inbound.tool_choice if tools else "",
            purpose=purpose_of(inbound, tools=bool(tools)),
            session_id=inbound.session_key,
        )

    def _thinking(self) -> Thinking:
        """Return how much to think: what the message says, else the session, else the agent."""
        session = self._run.session
        return self._run.inbound.thinking or (session.thinking if session else "") or self._spec.thinking

    def _frame(self, info: ModelInfo) -> tuple[str, tuple[ToolSpec, ...], int, int]:
        """Return system, tools, what both cost, and the budget of the whole prompt in tokens."""
        spec, inbound, prompts = self._spec, self._run.inbound, self._shop.prompts
        if self._stable is None or self._stable[0] != info.ref:
            tools = _offered(info, spec.toolbox.specs(), inbound.client_tools, inbound.tool_choice)
            system = prompts.system(
                spec.system_prompt,
                spec.workspace,
                tools=bool(tools),
                memory=spec.memory,
                skills=(self._skills or "") if any(tool.name == READ_SKILL for tool in tools) else "",
                caller=inbound.system,
            )
            self._stable = (info.ref, system, tools)
        _, system, tools = self._stable
        context = min(info.context_tokens, spec.context_tokens or info.context_tokens)
        answer = inbound.max_tokens or spec.max_tokens or info.max_output_tokens
        budget = int((context - min(answer, context // ANSWER_SHARE)) * self._shrink)
        return system, tools, estimate_text(system) + prompts.tools_tokens(tools), budget

    async def _record_failures(self, attempts: Sequence[Attempt], error: OpenClawError | None) -> None:
        """Write every failed attempt into the ledger: what was tried is known even when it cost nothing."""
        failed = [attempt for attempt in attempts if attempt.error_code]
        for attempt in failed:
            provider, _, model = attempt.ref.partition("/")
            _calls.inc(provider, model, attempt.error_code)
        if failed:
            await self._shop.store.record_usage(
                [self._ledger_row(each.ref, took_ms=each.took_ms, code=each.error_code) for each in failed]
            )
        if error is not None:
            _log.warning("model_call_failed", extra={"fields": {"run": self._run.id, "code": error.code}})

    # making it fit

    async def _compact_early(self) -> None:
        if self._run.inbound.stateless or not self._spec.compaction.enabled:
            return
        try:
            info = self._shop.models.resolve(self._refs[0]).info
        except OpenClawError:
            return  # a fallback may serve; if not, the call says why
        _, _, fixed, budget = self._frame(info)
        if self._conversation.tokens() + fixed > budget * COMPACT_AT:
            await self._compact()

    async def _compact(self) -> None:
        """Summarise what is old. Without a summary the request drops the oldest messages instead: there is progress."""
        compaction = self._spec.compaction
        if self._run.inbound.stateless or not compaction.enabled or self._no_summary:
            return
        room = self._frame(self._shop.models.resolve(self._refs[0]).info)[3]
        going = self._conversation.split(min(compaction.keep_recent_tokens, room // 3))
        if going is None:
            return
        covers_seq, messages = going
        inbound = self._run.inbound
        chosen = compaction.model or self._shop.route(inbound, "summary", self._conversation.tokens)
        attempts: list[Attempt] = []
        try:
            refs = (chosen, *self._refs) if chosen else self._refs
            summary = await summarise(messages, self._shop.caller, refs, self._purse, attempts)
        except (ModelError, BudgetExceeded) as error:
            self._no_summary = True
            await self._record_failures(attempts, error)
            _log.warning("compaction_failed", extra={"fields": {"run": self._run.id, "code": error.code}})
            return
        info = self._shop.models.resolve(f"{summary.provider}/{summary.model}").info
        step = NewStep(
            kind="summary",
            messages=(summary.message,),
            usage=summary.usage,
            model=summary.model,
            provider=summary.provider,
            purpose="summary",
            usd_micros=cost_usd_micros(info, summary.usage),
            channel=inbound.source,
            covers_seq=covers_seq,
        )
        await self._shop.store.commit_step(self._run.id, step, self._shop.clock.now_ms())
        gone = self._conversation.replace(covers_seq, summary.message)
        _compactions.inc("summarised")
        await self._publish((Compacted(gone, summary.message.text),))


def purpose_of(inbound: Inbound, *, tools: bool = False) -> Purpose:
    """Return what a message's own calls are for."""
    if inbound.source == "heartbeat":
        return "heartbeat"
    return "tools" if tools else "interactive"


def _offered(
    info: ModelInfo, own: tuple[ToolSpec, ...], theirs: tuple[ToolSpec, ...], choice: str
) -> tuple[ToolSpec, ...]:
    """Return the tools that a model is shown: none, a few, or all; the tuple of a toolbox stays the same object."""
    if not info.tools:
        return ()
    if theirs and choice not in ("", "none"):
        return theirs  # forced to call one of the caller's, it must not call ours over and over
    if info.few_tools:
        own = tuple(tool for tool in own if tool.name not in SIDE_TOOLS)
    if not theirs:
        return own
    names = {tool.name for tool in theirs}
    return (*(tool for tool in own if tool.name not in names), *theirs)


def _shows(message: Message) -> bool:
    parts = message.parts
    if len(parts) == 1 and type(parts[0]) is TextPart:
        return False
    return any(isinstance(part, ImagePart) or (isinstance(part, ToolOutcome) and part.images) for part in parts)


def _without_images(message: Message) -> Message:
    return Message(message.role, tuple(map(_in_words, message.parts))) if _shows(message) else message


def _in_words(part: Part) -> Part:
    if isinstance(part, ImagePart):
        return TextPart(NO_EYES)
    if isinstance(part, ToolOutcome) and part.images:
        return ToolOutcome(part.call_id, part.name, f"{part.text}\n{NO_EYES}", part.is_error)
    return part
