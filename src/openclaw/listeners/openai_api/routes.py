"""`/v1/models` and `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from openclaw.agent.api import AgentService, Run
from openclaw.base import own_names
from openclaw.base.clock import Clock
from openclaw.base.errors import InternalError, InvalidRequest, NotFound
from openclaw.base.ids import RunId, SessionKey, new_id
from openclaw.base.model import TextDelta, ThinkingDelta
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, ToolStarted
from openclaw.base.thinking import thinking_level
from openclaw.listeners.http import Request
from openclaw.listeners.intake import Intake
from openclaw.listeners.openai_api.answer import Completion, Head, Model, ModelList, finish_of, raise_failure
from openclaw.listeners.openai_api.client_tool import chat_offer
from openclaw.listeners.openai_api.conversation import conversation
from openclaw.listeners.openai_api.request import ChatRequest, agent_name
from openclaw.listeners.operation import AGENT_HEADER, MODEL_HEADER, RUN_ERRORS, SESSION_HEADER, Operation
from openclaw.listeners.router import Route
from openclaw.protocol.wire_errors import from_dict, to_http

MAX_BODY_BYTES: Final = 20_000_000
_decoder = msgspec.json.Decoder(ChatRequest)
_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"
_MODELS = Operation("Lists the agents as models.", ModelList)
_MODEL = Operation("Shows one agent as a model.", Model, errors=(404,))
_CHAT = Operation(
    "Runs one turn of an agent. Without a session the request brings its own history. A call of one of the request's "
    '`tools` ends the answer with `finish_reason` "tool_calls"; send the results as `tool` messages to go on.',
    Completion,
    request=ChatRequest,
    streams=True,
    errors=RUN_ERRORS,
    headers=(SESSION_HEADER, AGENT_HEADER, MODEL_HEADER),
)


class OpenAiApi:
    """Handlers that let any OpenAI client talk to an agent."""

    def __init__(self, agent: AgentService, clock: Clock, intake: Intake) -> None:
        self._agent = agent
        self._clock = clock
        self._intake = intake

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        read, write, most = "operator.read", "operator.write", MAX_BODY_BYTES
        return (
            Route(("GET",), "/v1/models", "api", self.models, scope=read, doc=_MODELS),
            Route(("GET",), "/v1/models/{model}", "api", self.model, scope=read, doc=_MODEL),
            Route(("GET",), "/v1/models/openclaw/{agent}", "api", self.model, scope=read, doc=_MODEL),
            Route(("POST",), "/v1/chat/completions", "api", self.chat, scope=write, max_body=most, doc=_CHAT),
        )

    def _model_ids(self, caller: Principal) -> list[str]:
        agents = [agent.id for agent in self._agent.agents() if caller.may_talk_to(agent.id)]
        default = ["openclaw", "openclaw/default"] if self._agent.default_agent() in agents else []
        return [*default, *(f"openclaw/{agent}" for agent in agents)]

    async def models(self, request: Request) -> None:
        """List the agents as models."""
        await request.json(200, ModelList([Model(name) for name in self._model_ids(request.caller)]))

    async def model(self, request: Request) -> None:
        """Show one."""
        wanted = request.params.get("model") or f"openclaw/{request.params['agent']}"
        try:
            agent_name(wanted)
        except InvalidRequest:
            raise InvalidRequest("Invalid model id.") from None
        if wanted not in self._model_ids(request.caller):
            raise NotFound(f"Model '{wanted[:128]}' not found.")
        await request.json(200, Model(wanted))

    async def chat(self, request: Request) -> None:
        """Run one turn, answered whole or as a stream."""
        body = await request.json_body(_decoder)
        answer_id = new_id()
        inbound = self._inbound(request, body, answer_id)
        run = await self._agent.submit(inbound)
        if inbound.ephemeral:
            self._intake.abandon_when_gone(request, inbound)
        head = Head(f"chatcmpl_{answer_id}", self._clock.now_ms() // 1000, body.model or "openclaw")
        try:
            if body.stream:
                usage = body.stream_options is not None and bool(body.stream_options.include_usage)
                await _stream(request, run, head, usage)
            else:
                reply = await run.result()
                raise_failure(reply)
                await request.json(200, head.completion(reply))
        finally:
            request.on_gone(None)

    def _inbound(self, request: Request, body: ChatRequest, run_id: str) -> Inbound:
        agent_id = self._intake.agent_id(request, body.model)
        key = self._intake.kept_session(request, body.user, agent_id)
        said = conversation(body.messages, keeps_session=key is not None)
        offer = chat_offer(body.tools, body.tool_choice)
        return Inbound(
            run_id=RunId(run_id),
            session_key=key or own_names.kept_key(request.caller, SessionKey(f"agent:{agent_id}:openai:{run_id}")),
            agent_id=agent_id,
            message=said.message,
            principal=request.caller,
            source="http",
            history=said.history,
            system=said.system,
            ephemeral=key is None,
            stateless=key is None,
            stream=body.stream or key is not None,
            model=self._intake.model(request),
            max_tokens=body.limit,
            temperature=body.heat,
            client_tools=offer.tools,
            tool_choice=offer.choice,
            thinking=thinking_level(body.reasoning_effort or "", "reasoning_effort"),
        )


_TEXT_SUFFIX = b'},"finish_reason":null}]}\n\n'


async def _stream(request: Request, run: Run, head: Head, include_usage: bool) -> None:
    """Relay the run's events; one send per batch. Nothing is sent before it is known that the run speaks."""
    prefix, started = head.text_prefix, False
    reply: Reply | None = None
    async for batch in run.events():
        out, reply = _chunks(batch, prefix)
        if not started:
            if reply is not None:
                raise_failure(reply)
            if not out and reply is None and not any(isinstance(event, SIGNS_OF_LIFE) for event in batch):
                continue
            started = True
            await request.start_events()
            out.insert(0, head.role())
        if reply is not None:
            break
        if out:
            await request.send_events(b"".join(out))
    if reply is None:
        raise InternalError("the run's events ended without an end")
    await request.end_events(b"".join((*out, *_ending(head, reply, include_usage))))


SIGNS_OF_LIFE = (ThinkingDelta, ToolStarted)
"""What comes before the first text: the client gets its headers, so that no proxy gives up on it."""


def _chunks(batch: Sequence[RunEvent], prefix: bytes) -> tuple[list[bytes], Reply | None]:
    out: list[bytes] = []
    for event in batch:
        if type(event) is TextDelta:
            out += (prefix, _encode(event.text), _TEXT_SUFFIX)
        elif type(event) is RunEnded:
            return out, event.reply
    return out, None


def _ending(head: Head, reply: Reply, include_usage: bool) -> list[bytes]:
    if reply.state in ("error", "aborted"):
        error = from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")
        return [b"data: " + _encode(to_http(error)[1]) + b"\n\n", _DONE]
    ending = head.calls(reply.client_calls)
    ending.append(head.finish(finish_of(reply)))
    if include_usage:
        ending.append(head.usage(reply.usage))
    ending.append(_DONE)
    return ending
