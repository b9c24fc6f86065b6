"""`/v1/agents` and `/v1/agent/{name}` over HTTP: one prompt in, an answer or a stream of frames out.

A session id that we made up is kept for `session.ephemeralHours` after its last use and may be continued until then;
one that the caller chose is kept for good.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from openclaw.agent.api import AgentService, Run
from openclaw.base.errors import InvalidRequest, NotFound, OpenClawError
from openclaw.base.ids import RunId, new_id
from openclaw.base.message import user
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.base.tasks import TaskSet
from openclaw.listeners.agent_frames import AgentAnswer, event_frame, failed, failure, result, start_frame
from openclaw.listeners.http import Request
from openclaw.listeners.openai_api.request import Temperature, TokenLimit
from openclaw.listeners.operation import RUN_ERRORS, Operation
from openclaw.listeners.router import Route

MAX_BODY_BYTES: Final = 20_000_000
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}\Z")
_encode = msgspec.json.Encoder().encode


class Prompt(msgspec.Struct, frozen=True):
    """The body. `metadata` is accepted and kept out of the prompt."""

    prompt: str
    session_id: str | None = None
    stream: bool | None = None
    metadata: dict[str, Any] | None = None
    max_tokens: TokenLimit | None = None
    temperature: Temperature | None = None
    model: str | None = None


class AgentRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """An agent. `problem` says why it cannot run, if so."""

    id: str
    name: str
    model: str
    default: bool
    tools: list[str]
    problem: str = ""


class AgentList(msgspec.Struct, frozen=True):
    """Every agent, twice: `data` is what OpenAI's clients look for."""

    agents: list[AgentRow]
    data: list[AgentRow]
    object: Literal["list"] = "list"


_AGENTS = Operation("Lists the agents.", AgentList)
_RUN = Operation(
    "Runs one turn of an agent. The stream has the frames `start`, `delta`, `tool`, and `final` or `error`.",
    AgentAnswer,
    request=Prompt,
    streams=True,
    errors=RUN_ERRORS,
)
_decoder = msgspec.json.Decoder(Prompt)


def inbound_of(
    agent: AgentService, name: str, prompt: Prompt, principal: Principal, session_id: str, *, ephemeral: bool
) -> Inbound:
    """Return the message for an agent. Raises: InvalidRequest, NotFound."""
    if not prompt.prompt.strip():
        raise InvalidRequest("prompt: must not be empty")
    if prompt.max_tokens is not None and prompt.max_tokens < 1:
        raise InvalidRequest("max_tokens: must be at least 1")
    if prompt.temperature is not None and not 0 <= prompt.temperature <= 2:
        raise InvalidRequest("temperature: must be between 0 and 2")
    if not _SESSION_ID.match(session_id):
        raise InvalidRequest("session_id: up to 128 letters, digits, and . _ @ -")
    agent_id = agent.resolve_agent(name)
    return Inbound(
        run_id=RunId(new_id()),
        session_key=agent.resolve_key(principal, f"agent:{agent_id}:http:{session_id}", agent_id),
        agent_id=agent_id,
        message=user(prompt.prompt),
        principal=principal,
        source="http",
        ephemeral=ephemeral,
        stateless=ephemeral,
        model=prompt.model or None,
        max_tokens=prompt.max_tokens,
        temperature=prompt.temperature,
    )


class AgentApi:
    """Handlers of the agent API."""

    def __init__(self, agent: AgentService, resolve_model: Callable[[str], Any], tasks: Callable[[], TaskSet]) -> None:
        self._agent = agent
        self._resolve_model = resolve_model
        self._tasks = tasks

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        most = MAX_BODY_BYTES
        return (
            Route(("GET",), "/v1/agents", "api", self.agents, scope="operator.read", doc=_AGENTS),
            Route(("POST",), "/v1/agent/{name}", "api", self.run, scope="operator.write", max_body=most, doc=_RUN),
        )

    async def agents(self, request: Request) -> None:
        """List the agents."""
        rows = [
            AgentRow(agent.id, agent.name, agent.model, agent.default, list(agent.tools), agent.problem)
            for agent in self._agent.agents()
            if request.caller.may_talk_to(agent.id)
        ]
        await request.json(200, AgentList(rows, rows))

    async def run(self, request: Request) -> None:
        """Run one turn."""
        prompt = await request.json_body(_decoder)
        if prompt.model:
            self._check_model(prompt.model)
        fresh = prompt.session_id is None
        session_id = new_id() if prompt.session_id is None else prompt.session_id
        inbound = inbound_of(self._agent, request.params["name"], prompt, request.caller, session_id, ephemeral=fresh)
        run = await self._agent.submit(inbound)
        if fresh:
            request.on_gone(lambda: self._abandon(inbound))
        try:
            if prompt.stream or "text/event-stream" in request.header(b"accept"):
                await _stream(request, run, inbound, session_id)
            else:
                reply = await run.result()
                if failed(reply):
                    raise failure(reply)
                await request.json(200, result(reply, session_id))
        finally:
            request.on_gone(None)

    def _check_model(self, ref: str) -> None:
        try:
            self._resolve_model(ref)
        except OpenClawError as error:
            raise NotFound(f"Unknown model: {ref[:128]}. {error.message}") from None

    def _abandon(self, inbound: Inbound) -> None:
        """Stop a turn whose session id its caller never learnt."""
        abort = self._agent.abort(inbound.session_key, inbound.principal, inbound.run_id, "disconnect")
        self._tasks().spawn(abort, "abandon")


def _event(frame: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (frame["type"].encode(), _encode(frame))


async def _stream(request: Request, run: Run, inbound: Inbound, session_id: str) -> None:
    await request.start_events()
    await request.send_events(_event(start_frame(inbound, session_id)))
    async for batch in run.events():
        frames = [frame for event in batch if (frame := event_frame(event, session_id)) is not None]
        if frames:
            await request.send_events(b"".join(map(_event, frames)))
    await request.end_events(b"data: [DONE]\n\n")
