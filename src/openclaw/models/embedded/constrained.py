"""Tool use for models that were never taught to call tools: the answer is held to a JSON schema while it is sampled.

The schema is `oneOf` an object per tool, `{"tool": name, "arguments": {…}}`, or `{"reply": text}`, so every answer is
either a call that names a real tool with arguments of its types, or an answer in words. Earlier calls and outcomes are
told in the same form. `shape` makes the request, `choice.ChoiceReader` reads the answer; both are pure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from openclaw.base.message import Message, TextPart, ToolCall, ToolOutcome, assistant, user
from openclaw.base.model import ModelEvent, ModelFinish, ModelRequest, ModelResult, TextDelta, ToolSpec
from openclaw.models.assemble import collect
from openclaw.models.embedded.choice import ChoiceReader, Malformed
from openclaw.models.embedded.schema import plain_schema, signature
from openclaw.models.openai.client import OpenAIClient
from openclaw.models.tool_choice import choice_note, offered

RULES = """\
You act by answering with exactly one JSON object:
{"tool": "<name>", "arguments": {…}} uses a tool; you are then told its result.
{"reply": "<text>"} answers the user and ends the turn.
You cannot know the contents or names of files, the weather, or other live facts without a tool: use the tool first. \
Never claim to have done something without its tool. Do the steps in the order asked, one tool at a time. Never repeat \
a call whose result you already have. If the question is small talk or general knowledge, reply at once."""


def _said(value: Any) -> str:
    return msgspec.json.encode(value).decode()


EXAMPLES = (
    user("Hi!"),
    assistant(_said({"reply": "Hello! What can I do for you?"})),
    user("Write two lines about rain"),
    assistant(_said({"reply": "Rain taps softly on the pane,\nand the garden drinks again."})),
    user("Save the word blue in colour.txt, then show me the file"),
    assistant(_said({"tool": "write_file", "arguments": {"path": "colour.txt", "content": "blue"}})),
    user(_said({"tool": "write_file", "result": "wrote 4 bytes to colour.txt"})),
    assistant(_said({"tool": "read_file", "arguments": {"path": "colour.txt"}})),
    user(_said({"tool": "read_file", "result": "blue"})),
    assistant(_said({"reply": "colour.txt says: blue"})),
    user("What is the capital of France?"),
    assistant(_said({"reply": "The capital of France is Paris."})),
)
"""Four short conversations that open every prompt. A small model follows what it seems to have done before far better
than any rule: told in the system prompt, the same examples gave 6 of 16 tasks right; told as turns, 19 of 20.
The last one keeps it from reaching for a tool when it knows the answer."""


def shape(request: ModelRequest) -> tuple[ModelRequest, dict[str, Any]]:
    """Return the request without tools but with their description, and the extra body fields that constrain it."""
    tools = offered(request)
    system = "\n\n".join(filter(None, (request.system, RULES, _tools_text(tools), choice_note(request))))
    plain = msgspec.structs.replace(
        request,
        system=system,
        messages=(*EXAMPLES, *_told(request.messages)),
        tools=(),
        tool_choice="",
        temperature=0.0 if request.temperature is None else request.temperature,
    )
    schema = {
        "name": "choice",
        "strict": True,
        "schema": choice_schema(tools, forced=request.tool_choice not in ("", "none")),
    }
    return plain, {"response_format": {"type": "json_schema", "json_schema": schema}}


class ConstrainedClient(OpenAIClient):
    """The OpenAI wire client for such a model: with tools it constrains the request and reads the choice."""

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[ModelEvent], None]:
        """See LLMClient."""
        source = super().stream(request)
        reader = ChoiceReader() if request.tools else None
        try:
            async for events in source:
                if reader is None:
                    yield events
                elif chosen := self._chosen(reader, events, request.model):
                    yield chosen
        finally:
            await source.aclose()

    async def generate(self, request: ModelRequest) -> ModelResult:
        """See LLMClient."""
        return await (collect(self.stream(request)) if request.tools else super().generate(request))

    def _chosen(self, reader: ChoiceReader, events: Sequence[ModelEvent], model: str) -> list[ModelEvent]:
        out: list[ModelEvent] = []
        try:
            for event in events:
                if isinstance(event, TextDelta):
                    out += reader.feed(event.text)
                elif isinstance(event, ModelFinish):
                    out += reader.finish(event)
                else:
                    out.append(event)
        except Malformed as error:
            raise self._wire.failures.protocol(model, str(error)) from None
        return out

    def _body(self, request: ModelRequest, *, stream: bool) -> object:
        if not request.tools:
            return super()._body(request, stream=stream)
        plain, extra = shape(request)
        body = super()._body(plain, stream=stream)
        assert isinstance(body, dict)
        return body | extra


def choice_schema(tools: Sequence[ToolSpec], *, forced: bool = False) -> dict[str, Any]:
    """Return the schema of one choice: a call of one of the tools, or a reply unless a call is `forced`."""
    reply = _object({"reply": {"type": "string"}})
    calls = [_object({"tool": {"const": tool.name}, "arguments": plain_schema(tool.parameters)}) for tool in tools]
    return {"oneOf": calls if forced and calls else [*calls, reply]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _tools_text(tools: Sequence[ToolSpec]) -> str:
    lines = [f"- {tool.name}({signature(tool.parameters)}): {_one_line(tool.description)}" for tool in tools]
    return "\n".join(["Tools:", *lines])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _told(messages: Sequence[Message]) -> Iterator[Message]:
    for message in messages:
        if message.role == "assistant":
            yield from _choices(message)
        elif message.role == "tool":
            yield user("\n".join(_outcome(part) for part in message.parts if isinstance(part, ToolOutcome)))
        else:
            yield message


def _choices(message: Message) -> Iterator[Message]:
    calls = message.tool_calls
    if calls:
        yield assistant("\n".join(_call(call) for call in calls))
    elif any(isinstance(part, TextPart) for part in message.parts):
        yield assistant(_said({"reply": message.text}))


def _call(call: ToolCall) -> str:
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        arguments = {}
    return _said({"tool": call.name, "arguments": arguments})


def _outcome(outcome: ToolOutcome) -> str:
    return _said({"tool": outcome.name, "error" if outcome.is_error else "result": outcome.text})
