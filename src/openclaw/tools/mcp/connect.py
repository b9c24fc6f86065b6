"""Connects to an MCP server by the official library. Only this module and what it imports know the library.

Loading it takes most of a second: `room` does so in a thread, once a server is configured.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import anyio
import httpx2
import mcp_types as types
import msgspec
from mcp.client import Client, Transport
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from openclaw.base.errors import ConfigError, ToolError
from openclaw.base.message import ImagePart
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import McpServerConfig
from openclaw.net.error import NetError
from openclaw.net.target import target
from openclaw.tools.api import Safety
from openclaw.tools.mcp.api import Answer, RemoteTool, Signal, Surroundings, leaf
from openclaw.tools.mcp.name import clean
from openclaw.tools.mcp.pipe import piped
from openclaw.tools.mcp.web import BODY_LIMIT_BYTES, OurTransport

MAX_PAGES = 32
MAX_ERROR = 1_000
MAX_IMAGES = 4
MAX_IMAGE_CHARS = 7 * 1024 * 1024
"""Base64 of 5 MiB, the most that providers take."""
IMAGE_TYPES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
LISTEN_PAUSE_S = 5.0

# What these say is said by us where it matters, and they would write session ids and whole messages to the log.
for _name in ("mcp", "client", "httpx2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


@asynccontextmanager
async def connect(
    name: str, config: McpServerConfig, around: Surroundings, signal: Signal
) -> AsyncIterator[LibrarySession]:
    """Implements `api.Connect`. Raises: ConfigError, ToolError, NetError, or what the library raises."""
    if bool(config.command) == bool(config.url):
        raise ConfigError(f"mcp.servers.{name} needs either a command or a url.", hint="Set one of the two.")

    async def on_message(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            signal.changed()

    async with AsyncExitStack() as stack:
        web = OurTransport(around.http, signal)
        client = Client(
            piped(name, config, around, signal) if config.command else await _over_http(stack, config, web),
            client_info=types.Implementation(name="openclaw", version=around.version),
            message_handler=on_message,
            cache=None,
        )
        try:
            await stack.enter_async_context(client)
        except Exception as error:
            cause = leaf(error)
            if not isinstance(cause, MCPError):
                raise
            status = f" (HTTP {web.last_status})" if web.last_status >= 400 else ""
            raise ToolError(signal.why or f"it refused the connection: {cause.message}{status}") from None
        listening = TaskSet(f"mcp-{name}")
        stack.push_async_callback(listening.close)
        tools = client.server_capabilities.tools
        if tools is not None and tools.list_changed and client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            listening.spawn(_listen(client, around, signal), "listen")
        yield LibrarySession(client, signal)


async def _over_http(stack: AsyncExitStack, config: McpServerConfig, web: OurTransport) -> Transport:
    try:
        web.host = target(config.url).host
    except NetError as error:
        raise ConfigError(f"The url of the MCP server cannot be used: {error.reason}.") from None
    http = httpx2.AsyncClient(
        transport=web,
        headers={name: value.reveal() for name, value in config.headers.items()},
        timeout=None,  # every call has its deadline; a stream of notifications has none
        trust_env=False,
    )
    await stack.enter_async_context(http)
    return streamable_http_client(config.url, http_client=http, max_sse_event_size=BODY_LIMIT_BYTES)


async def _listen(client: Client, around: Surroundings, signal: Signal) -> None:
    """Hold the subscription that newer servers want before they tell of changes; what they tell comes as messages."""
    while True:
        try:
            async with client.listen(tools_list_changed=True) as subscription:
                async for _ in subscription:
                    pass
        except MCPError as error:
            if error.code != types.CONNECTION_CLOSED:
                return  # it does not offer this after all
        except (RuntimeError, TimeoutError):  # the subscription was lost
            pass
        await around.clock.sleep(LISTEN_PAUSE_S)
        signal.changed()  # perhaps: nobody told us meanwhile


class LibrarySession:
    """Implements `api.Session` over the library's client."""

    def __init__(self, client: Client, signal: Signal) -> None:
        self._client = client
        self._signal = signal

    @property
    def server(self) -> str:
        """What the server calls itself."""
        info = self._client.server_info
        return f"{info.name} {info.version}".strip() if info else ""

    @property
    def protocol(self) -> str:
        """The protocol version."""
        return self._client.protocol_version

    async def tools(self) -> list[RemoteTool]:
        """Ask for all tools, page by page. Raises: ToolError."""
        if self._client.server_capabilities.tools is None and self.protocol not in MODERN_PROTOCOL_VERSIONS:
            return []
        found: list[RemoteTool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            with self._errors():
                page = await self._client.list_tools(cursor=cursor)
            found.extend(map(_remote, page.tools))
            cursor = page.next_cursor
            if not cursor:
                break
        return found

    async def call(self, tool: str, arguments: Mapping[str, Any], tell: Callable[[str], None] | None) -> Answer:
        """Call a tool. Cancels: the library tells the server. Raises: ToolError."""

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if tell is not None:
                tell(clean(message or "", MAX_ERROR) or (f"{progress:g} of {total:g}" if total else f"{progress:g}"))

        with self._errors():
            result = await self._client.call_tool(tool, dict(arguments), progress_callback=on_progress)
        return _answer(result)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Map what the library raises; what means that the connection has ended is told to the link."""
        try:
            yield
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                self._signal.gone()
                raise ToolError("The connection to the MCP server ended during the call.") from None
            raise ToolError(clean(error.message, MAX_ERROR)) from None
        except ValidationError as error:
            raise ToolError(f"The MCP server's answer breaks the protocol ({error.error_count()} errors).") from None
        except (RuntimeError, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise ToolError(clean(str(error) or "The connection to the MCP server ended.", MAX_ERROR)) from None


def _remote(tool: types.Tool) -> RemoteTool:
    return RemoteTool(tool.name, tool.description or tool.title or "", tool.input_schema, _safety(tool.annotations))


def _safety(hints: types.ToolAnnotations | None) -> Safety:
    """A tool writes unless its server says that it only reads, or that it destroys."""
    if hints is None:
        return "write"
    if hints.read_only_hint:
        return "safe"
    return "dangerous" if hints.destructive_hint else "write"


def _answer(result: types.CallToolResult) -> Answer:
    texts: list[str] = []
    images: list[ImagePart] = []
    for block in result.content:
        if isinstance(block, types.ImageContent) and _can_show(block, len(images)):
            images.append(ImagePart(block.mime_type, block.data))
        else:
            texts.append(_text(block))
    if not texts and result.structured_content is not None:
        texts.append(msgspec.json.encode(result.structured_content).decode())
    return Answer("\n".join(texts), result.is_error, tuple(images))


def _can_show(block: types.ImageContent, shown: int) -> bool:
    return shown < MAX_IMAGES and block.mime_type in IMAGE_TYPES and len(block.data) <= MAX_IMAGE_CHARS


def _text(block: types.ContentBlock) -> str:
    match block:
        case types.TextContent():
            return block.text
        case types.ResourceLink():
            return f"[resource {block.name}: {block.uri}]"
        case types.EmbeddedResource(resource=types.TextResourceContents() as resource):
            return resource.text
        case types.EmbeddedResource():
            return f"[resource {block.resource.uri} left out: it is not text]"
        case types.ImageContent():
            return f"[image left out: {block.mime_type}, too many, too large or of another kind]"
        case _:
            return f"[{block.type} left out: it cannot be shown]"
