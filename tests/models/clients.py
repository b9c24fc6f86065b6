"""Short ways to make clients and requests for the tests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ModelError, ModelOverloaded, ModelProtocol, ModelUnreachable
from openclaw.base.message import user
from openclaw.base.model import ModelEvent, ModelRequest, ToolSpec
from openclaw.base.secret import Secret
from openclaw.config.schema import ModelTimeouts
from openclaw.models.anthropic.client import AnthropicClient
from openclaw.models.catalog import Catalog
from openclaw.models.client import LLMClient
from openclaw.models.ollama.client import OllamaClient
from openclaw.models.openai.client import OpenAIClient
from openclaw.models.openai.responses import ResponsesClient
from openclaw.net.http import HttpClient
from tests.stand_ins.anthropic import AnthropicStandIn
from tests.stand_ins.ollama import OllamaStandIn
from tests.stand_ins.openai import OpenAIStandIn
from tests.stand_ins.server import Answer, Raw, Reply, StandIn, Transport

KEY = "sk-test-0123456789abcdef"
STAND_INS: dict[str, type[StandIn]] = {
    "openai": OpenAIStandIn,
    "anthropic": AnthropicStandIn,
    "openai-responses": OpenAIStandIn,
    "ollama": OllamaStandIn,
}
CLIENTS: dict[str, type[OpenAIClient | AnthropicClient | OllamaClient]] = {
    "openai": OpenAIClient,
    "anthropic": AnthropicClient,
    "openai-responses": ResponsesClient,
    "ollama": OllamaClient,
}
BROKEN: tuple[tuple[Reply, type[ModelError]], ...] = (
    (Answer(transport=Transport(drop_after=0)), ModelUnreachable),
    (Answer(omit_finish=True), ModelProtocol),
    (Raw((b"<html>hello</html>",), content_type="text/html"), ModelProtocol),
    (Raw((b"",), content_type=""), ModelProtocol),
    (Raw((b'{"half":',)), ModelProtocol),
    (Raw((b"not found",), 404, "text/plain"), ModelProtocol),
    (Raw((b"",), 307, headers={"Location": "http://127.0.0.1:1/steal"}), ModelProtocol),
    (Raw((b"bad gateway",), 502, "text/html"), ModelUnreachable),
    (Raw((b"\xff\xfe",), 500), ModelOverloaded),
    (Raw((b"[" * 100_000,), 500), ModelOverloaded),
)
"""Answers that no wire can read, and what each of them is."""
WEATHER = ToolSpec(
    "get_weather",
    "Tell the weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def client_of(
    wire: str, http: HttpClient, base_url: str, *, key: str = KEY, timeouts: ModelTimeouts | None = None
) -> LLMClient:
    """Return a client of one wire."""
    return CLIENTS[wire](
        http=http,
        clock=SYSTEM_CLOCK,
        catalog=Catalog(),
        provider=wire,
        base_url=base_url,
        key=Secret(key),
        timeouts=timeouts,
    )


def ask(text: str = "Hi", *, model: str = "m", tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    """Return a request of one user message."""
    return ModelRequest(model=model, system="Be brief.", messages=(user(text),), tools=tools, max_tokens=100)


async def events_of(client: LLMClient, request: ModelRequest) -> list[ModelEvent]:
    """Read a stream to its end."""
    out: list[ModelEvent] = []
    async with aclosing(client.stream(request)) as stream:
        async for events in stream:
            out.extend(events)
    return out


def joined(events: Sequence[ModelEvent], kind: type) -> str:
    """Return the text of all events of a kind."""
    return "".join(event.text for event in events if isinstance(event, kind))  # type: ignore[union-attr]
