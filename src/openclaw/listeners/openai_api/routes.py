"""`/v1/models` and `/v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from openclaw.agent.api import AgentService, Run
from openclaw.base.clock import Clock
from openclaw.base.errors import InternalError, InvalidRequest, NotFound, OpenClawError
from openclaw.base.ids import AgentId, RunId, SessionKey, new_id
from openclaw.base.model import TextDelta, ThinkingDelta, Usage
from openclaw.base.run import Inbound, Reply, RunEnded, RunEvent, ToolStarted
from openclaw.base.tasks import TaskSet
from openclaw.listeners.http import Request
from openclaw.listeners.openai_api.request import ChatRequest, agent_name, conversation, session_name
from openclaw.listeners.router import Route
from openclaw.protocol.wire_errors import from_dict, to_http

MAX_BODY_BYTES: Final = 20_000_000
_decoder = msgspec.json.Decoder(ChatRequest)
_encode = msgspec.json.Encoder().encode
_DONE = b"data: [DONE]\n\n"
_FINISH: Final = {"stop": "stop", "length": "length", "content_filter": "content_filter", "tool_calls": "stop"}


class OpenAiApi:
    """Handlers that let any OpenAI client talk to an agent."""

    def __init__(
        self,
        agent: AgentService,
        clock: Clock,
        resolve_model: Callable[[str], Any],
        tasks: Callable[[], TaskSet],
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._resolve_model = resolve_model
        self._tasks = tasks

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        read, write = "operator.read", "operator.write"
        return (
            Route(("GET",), "/v1/models", "api", self.models, scope=read),
            Route(("GET",), "/v1/models/{model}", "api", self.model, scope=read),
            Route(("GET",), "/v1/models/openclaw/{agent}", "api", self.model, scope=read),
            Route(("POST",), "/v1/chat/completions", "api", self.chat, scope=write, max_body=MAX_BODY_BYTES),
        )

    def _model_ids(self) -> list[str]:
        return ["openclaw", "openclaw/default", *(f"openclaw/{agent.id}" for agent in self._agent.agents())]

    async def models(self, request: Request) -> None:
        """List the agents as models."""
        await request.json(200, {"object": "list", "data": [_model(name) for name in self._model_ids()]})

    async def model(self, request: Request) -> None:
        """Show one."""
        wanted = request.params.get("model") or f"openclaw/{request.params['agent']}"
        try:
            agent_name(wanted)
        except InvalidRequest:
            raise InvalidRequest("Invalid model id.") from None
        if wanted not in self._model_ids():
            raise NotFound(f"Model '{wanted[:128]}' not found.")
        await request.json(200, _model(wanted))

    async def chat(self, request: Request) -> None:
        """Run one turn, answered whole or as a stream."""
        body = await request.json_body(_decoder)
        answer_id = new_id()
        inbound = self._inbound(request, body, answer_id)
        run = await self._agent.submit(inbound)
        if inbound.ephemeral:
            request.on_gone(lambda: self._abandon(inbound))
        head = _Head(f"chatcmpl_{answer_id}", self._clock.now_ms() // 1000, body.model or "openclaw")
        try:
            if body.stream:
                usage = body.stream_options is not None and bool(body.stream_options.include_usage)
                await _stream(request, run, head, usage)
            else:
                reply = await run.result()
                _raise_failure(reply)
                await request.json(200, head.completion(reply))
        finally:
            request.on_gone(None)

    def _abandon(self, inbound: Inbound) -> None:
        """Stop a turn that nobody waits for and nobody can come back to."""
        abort = self._agent.abort(inbound.session_key, inbound.principal, inbound.run_id, "disconnect")
        self._tasks().spawn(abort, "abandon")

    def _inbound(self, request: Request, body: ChatRequest, run_id: str) -> Inbound:
        agent_id = self._agent_id(request, body)
        key = self._kept_session(request, body, agent_id)
        said = conversation(body.messages, keeps_session=key is not None)
        model = request.header(b"x-openclaw-model") or None
        if model is not None:
            self._check_model(model)
        return Inbound(
            run_id=RunId(run_id),
            session_key=key or SessionKey(f"agent:{agent_id}:openai:{run_id}"),
            agent_id=agent_id,
            message=said.message,
            principal=request.caller,
            source="http",
            history=said.history,
            system=said.system,
            ephemeral=key is None,
            stream=body.stream or key is not None,
            model=model,
            max_tokens=body.limit,
            temperature=body.heat,
        )

    def _agent_id(self, request: Request, body: ChatRequest) -> AgentId:
        named = agent_name(body.model)
        name = request.header(b"x-openclaw-agent-id") or named
        try:
            return self._agent.resolve_agent(name)
        except NotFound:
            raise InvalidRequest(f"Unknown agent '{name[:64]}'.") from None

    def _kept_session(self, request: Request, body: ChatRequest, agent_id: AgentId) -> SessionKey | None:
        header = request.header(b"x-openclaw-session-key")
        if header:
            return self._agent.resolve_key(header, agent_id)
        if body.user:
            return self._agent.resolve_key(f"agent:{agent_id}:openai-user:{session_name(body.user)}", agent_id)
        return None

    def _check_model(self, ref: str) -> None:
        try:
            self._resolve_model(ref)
        except OpenClawError as error:
            raise NotFound(f"Unknown model: {ref[:128]}. {error.message}") from None


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "openclaw", "permission": []}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }


def _raise_failure(reply: Reply) -> None:
    """Raise what made a run fail. An aborted one that said something is an answer that was cut short."""
    if reply.state == "error" or (reply.state == "aborted" and not reply.text):
        raise from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")


class _Head:
    """What every chunk of one answer has in common, encoded once."""

    __slots__ = ("_chunk", "created", "id", "model", "text_prefix")

    def __init__(self, answer_id: str, created: int, model: str) -> None:
        self.id, self.created, self.model = answer_id, created, model
        head = {"id": answer_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._chunk = b"data: " + _encode(head)[:-1]
        self.text_prefix = self._chunk + b',"choices":[{"index":0,"delta":{"content":'

    def role(self) -> bytes:
        """The first chunk."""
        return self._chunk + b',"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]}\n\n'

    def finish(self, reason: str) -> bytes:
        """The last chunk with a choice."""
        return self._chunk + b',"choices":[{"index":0,"delta":{},"finish_reason":%b}]}\n\n' % _encode(reason)

    def usage(self, usage: Usage) -> bytes:
        """The chunk that `include_usage` asks for."""
        return self._chunk + b',"choices":[],"usage":%b}\n\n' % _encode(_usage(usage))

    def completion(self, reply: Reply) -> dict[str, Any]:
        """The whole answer."""
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": reply.text},
                    "finish_reason": _FINISH.get(reply.finish_reason, "stop"),
                }
            ],
            "usage": _usage(reply.usage),
        }


_TEXT_SUFFIX = b'},"finish_reason":null}]}\n\n'


async def _stream(request: Request, run: Run, head: _Head, include_usage: bool) -> None:
    """Relay the run's events; one send per batch. Nothing is sent before it is known that the run speaks."""
    prefix, started = head.text_prefix, False
    reply: Reply | None = None
    async for batch in run.events():
        out, reply = _chunks(batch, prefix)
        if not started:
            if reply is not None:
                _raise_failure(reply)
            if not out and reply is None and not any(isinstance(event, _COMMITS) for event in batch):
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


_COMMITS = (ThinkingDelta, ToolStarted)
"""Signs of life before the first text: the client gets its headers, so that no proxy gives up on it."""


def _chunks(batch: Sequence[RunEvent], prefix: bytes) -> tuple[list[bytes], Reply | None]:
    out: list[bytes] = []
    for event in batch:
        if type(event) is TextDelta:
            out += (prefix, _encode(event.text), _TEXT_SUFFIX)
        elif type(event) is RunEnded:
            return out, event.reply
    return out, None


def _ending(head: _Head, reply: Reply, include_usage: bool) -> list[bytes]:
    if reply.state in ("error", "aborted"):
        error = from_dict(reply.error) if reply.error else InternalError("the run failed without saying why")
        return [b"data: " + _encode(to_http(error)[1]) + b"\n\n", _DONE]
    ending = [head.finish(_FINISH.get(reply.finish_reason, "stop"))]
    if include_usage:
        ending.append(head.usage(reply.usage))
    ending.append(_DONE)
    return ending
