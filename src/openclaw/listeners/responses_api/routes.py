"""`/v1/responses`: one turn in, a response out, which the next request may continue by its id.

A response is a run, and its id is the run's. Unless the request names a session, each response has one of its own,
which begins with a copy of what `previous_response_id` led to: two requests may continue the same response. Such
sessions are kept for `session.ephemeralHours`.
"""

from __future__ import annotations

import msgspec

from openclaw.agent.api import AgentService
from openclaw.agent.conversation import HISTORY_STEPS, Conversation
from openclaw.base import own_names
from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.base.ids import RunId, SessionKey, new_id
from openclaw.base.message import Message
from openclaw.base.principal import Principal
from openclaw.base.run import Inbound
from openclaw.listeners.http import Request
from openclaw.listeners.intake import Intake
from openclaw.listeners.openai_api.answer import raise_failure
from openclaw.listeners.openai_api.client_tool import response_offer
from openclaw.listeners.openai_api.conversation import conversation
from openclaw.listeners.openai_api.routes import MAX_BODY_BYTES
from openclaw.listeners.operation import AGENT_HEADER, MODEL_HEADER, RUN_ERRORS, SESSION_HEADER, Operation
from openclaw.listeners.responses_api.answer import PREFIX, Deleted, ResponseObject, begun, ended, recalled
from openclaw.listeners.responses_api.request import ResponsesRequest, messages
from openclaw.listeners.responses_api.stream import stream
from openclaw.listeners.router import Route
from openclaw.store.api import RunRow

_decoder = msgspec.json.Decoder(ResponsesRequest)
_CREATE = Operation(
    "Runs one turn of an agent. `previous_response_id` continues that response's conversation; a call of one of the "
    "request's `tools` ends it with `function_call` items, answered by `function_call_output` items.",
    ResponseObject,
    request=ResponsesRequest,
    streams=True,
    errors=RUN_ERRORS,
    headers=(SESSION_HEADER, AGENT_HEADER, MODEL_HEADER),
)
_SHOW = Operation("Shows a response of the last hours, finished or not.", ResponseObject, errors=(404,))
_DELETE = Operation("Deletes a response with its conversation.", Deleted, errors=(404,))
_CANCEL = Operation(
    "Stops a response that is in progress; a finished one stays as it is.", ResponseObject, errors=(404,)
)


class ResponsesApi:
    """Handlers of the Responses API."""

    def __init__(self, agent: AgentService, clock: Clock, intake: Intake) -> None:
        self._agent = agent
        self._clock = clock
        self._intake = intake

    def routes(self) -> tuple[Route, ...]:
        """Return the routes."""
        read, write, most = "operator.read", "operator.write", MAX_BODY_BYTES
        one = "/v1/responses/{id}"
        return (
            Route(("POST",), "/v1/responses", "api", self.create, scope=write, max_body=most, doc=_CREATE),
            Route(("GET",), one, "api", self.show, scope=read, doc=_SHOW),
            Route(("DELETE",), one, "api", self.delete, scope=write, doc=_DELETE),
            Route(("POST",), f"{one}/cancel", "api", self.cancel, scope=write, doc=_CANCEL),
        )

    async def create(self, request: Request) -> None:
        """Run one turn: answered whole, as a stream, or (`background`) left to be asked for."""
        body = await request.json_body(_decoder)
        inbound = await self._inbound(request, body)
        start = begun(inbound.run_id, self._clock.now_ms() // 1000, body)
        run = await self._agent.submit(inbound)
        if inbound.ephemeral and not body.background:
            self._intake.abandon_when_gone(request, inbound)
        try:
            if body.stream:
                await stream(request, run, start)
            elif body.background:
                await request.json(200, msgspec.structs.replace(start, status="queued"))
            else:
                reply = await run.result()
                raise_failure(reply)
                await request.json(200, ended(start, reply))
        finally:
            request.on_gone(None)

    async def show(self, request: Request) -> None:
        """Show a response."""
        await request.json(200, recalled(await self._run(request.params["id"], request.caller)))

    async def delete(self, request: Request) -> None:
        """Delete a response. One in a named session stays: it is part of a conversation that goes on."""
        row = await self._run(request.params["id"], request.caller)
        if not row.inbound.ephemeral:
            raise InvalidRequest("This response belongs to a session that is kept; delete the session instead.")
        await self._agent.delete_session(row.session_key, request.caller)
        await request.json(200, Deleted(request.params["id"]))

    async def cancel(self, request: Request) -> None:
        """Stop a response and show what became of it."""
        row = await self._run(request.params["id"], request.caller)
        run = self._agent.live_run(row.id)
        if run is not None and row.reply is None:
            await self._agent.abort(row.session_key, request.caller, row.id, "cancel")
            row = msgspec.structs.replace(row, reply=await run.result())
        await request.json(200, recalled(row))

    async def _run(self, response_id: str, caller: Principal) -> RunRow:
        row = None
        if response_id.startswith(PREFIX):
            row = await self._agent.past_run(RunId(response_id.removeprefix(PREFIX)), caller.rows_of)
        if row is None:
            raise NotFound(f"Response with id '{response_id[:64]}' not found.")
        return row

    async def _inbound(self, request: Request, body: ResponsesRequest) -> Inbound:
        agent_id = self._intake.agent_id(request, body.model)
        key = self._intake.kept_session(request, body.user, agent_id)
        earlier: list[Message] = []
        if body.previous_response_id:
            previous = await self._previous(body.previous_response_id, request.caller)
            if agent_id == self._agent.default_agent():
                agent_id = previous.inbound.agent_id
            key = None if previous.inbound.ephemeral or agent_id != previous.inbound.agent_id else previous.session_key
            earlier = await self._said(previous, request.caller)
        run_id = RunId(new_id())
        said = conversation(messages(body.input), keeps_session=key is not None, earlier=earlier, field="input")
        offer = response_offer(body.tools, body.tool_choice)
        return Inbound(
            run_id=run_id,
            session_key=key or own_names.kept_key(request.caller, SessionKey(f"agent:{agent_id}:openai-resp:{run_id}")),
            agent_id=agent_id,
            message=said.message,
            principal=request.caller,
            source="http",
            history=said.history,
            system="\n\n".join(filter(None, (body.instructions, said.system))),
            ephemeral=key is None,
            stateless=key is None and not body.background,
            stream=bool(body.stream) or key is not None,
            model=self._intake.model(request),
            max_tokens=body.limit,
            temperature=body.heat,
            client_tools=offer.tools,
            tool_choice=offer.choice,
            thinking=body.thinking,
        )

    async def _previous(self, response_id: str, caller: Principal) -> RunRow:
        try:
            row = await self._run(response_id, caller)
        except NotFound:
            raise InvalidRequest(f"Previous response with id '{response_id[:64]}' not found.") from None
        if row.reply is None:
            raise InvalidRequest(f"Previous response with id '{response_id[:64]}' is still in progress.")
        return row

    async def _said(self, previous: RunRow, caller: Principal) -> list[Message]:
        """Return the conversation up to a response, with the calls that only its caller knows of."""
        assert previous.reply is not None
        steps = await self._agent.history(previous.session_key, caller, HISTORY_STEPS)
        said = Conversation.of(steps).messages()
        calls = previous.reply.client_calls
        if calls:
            spoke = bool(said) and said[-1].role == "assistant" and not said[-1].tool_calls
            parts = said.pop().parts if spoke else ()
            said.append(Message("assistant", (*parts, *calls)))
        return said
