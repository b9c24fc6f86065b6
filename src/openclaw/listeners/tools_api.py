"""`/tools/invoke`: one tool called by a program, through the same door as a model's call."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from openclaw.base.errors import InvalidRequest, NotFound, PolicyDenied
from openclaw.listeners.http import Request
from openclaw.listeners.operation import Operation
from openclaw.listeners.router import Route
from openclaw.rpc.tool_desk import ToolAnswer, ToolPort

MAX_BODY_BYTES: Final = 2_000_000


class Invocation(msgspec.Struct, frozen=True, rename="camel"):
    """The body. `tool` and `name` mean the same; `action` is put among the arguments; a dry run calls nothing."""

    tool: str | None = None
    name: str | None = None
    args: dict[str, Any] | None = None
    action: str | None = None
    session_key: str | None = None
    agent_id: str | None = None
    dry_run: bool | None = None


class ResultText(msgspec.Struct, frozen=True):
    """A piece of a result."""

    text: str
    type: Literal["text"] = "text"


class ToolResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tool gave; `details` is its text decoded when that is JSON."""

    content: list[ResultText]
    details: Any = None


class Invoked(msgspec.Struct, frozen=True):
    """The answer to a call that went well."""

    result: ToolResult
    ok: Literal[True] = True


class InvokeProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """`not_found` (also a tool that is not allowed), `policy_denied` with its rule, `invalid_request`, `tool_error`."""

    type: str
    message: str
    code: str = ""
    rule: str = ""


class InvokeFailure(msgspec.Struct, frozen=True):
    """The answer to a call that did not go well."""

    error: InvokeProblem
    ok: Literal[False] = False


_decoder = msgspec.json.Decoder(Invocation)
_INVOKE = Operation(
    'Calls one tool of an agent. A failure has `{"ok": false, "error": {"type", "message"}}`: 404 `not_found` for a '
    "tool that is unknown or not allowed, 403 `policy_denied` with the rule when what the tool wanted (a host, a file) "
    "is not allowed, 400 `tool_error` when the tool itself failed.",
    Invoked,
    request=Invocation,
    errors=(403, 404),
)


class ToolsApi:
    """The handler of tool calls."""

    def __init__(self, tools: ToolPort | None) -> None:
        self._tools = tools

    def routes(self) -> tuple[Route, ...]:
        """Return the route."""
        most = MAX_BODY_BYTES
        return (
            Route(("POST",), "/tools/invoke", "api", self.invoke, scope="operator.write", max_body=most, doc=_INVOKE),
        )

    async def invoke(self, request: Request) -> None:
        """Call a tool."""
        body = await request.json_body(_decoder)
        name = body.tool or body.name
        if not name:
            await _fail(request, 400, "invalid_request", "tools.invoke requires name")
            return
        try:
            answer = await self._call(request, body, name)
        except NotFound as error:
            await _fail(request, 404, "not_found", error.message)
        except InvalidRequest as error:
            await _fail(request, 400, "invalid_request", error.message)
        else:
            if answer.rule:
                problem = InvokeProblem("policy_denied", answer.text, PolicyDenied.code, answer.rule)
                await request.json(403, InvokeFailure(problem))
            elif answer.is_error:
                await _fail(request, 400, "tool_error", answer.text)
            else:
                await request.json(200, Invoked(_result(answer)))

    async def _call(self, request: Request, body: Invocation, name: str) -> ToolAnswer:
        if self._tools is None:
            raise NotFound(f"Tool not available: {name[:128]}")
        arguments = dict(body.args or {})
        if body.action is not None:
            arguments.setdefault("action", body.action)
        return await self._tools.invoke(
            request.caller,
            name,
            arguments,
            session_key=body.session_key or request.header(b"x-openclaw-session-key"),
            agent_id=body.agent_id or request.header(b"x-openclaw-agent-id"),
            dry_run=bool(body.dry_run),
        )


def _result(answer: ToolAnswer) -> ToolResult:
    content = [ResultText(answer.text)] if answer.text else []
    try:
        details = msgspec.json.decode(answer.text) if answer.text[:1] in ("{", "[") else None
    except (msgspec.DecodeError, RecursionError):
        details = None
    return ToolResult(content, details)


async def _fail(request: Request, status: int, kind: str, message: str) -> None:
    await request.json(status, InvokeFailure(InvokeProblem(kind, message)))
