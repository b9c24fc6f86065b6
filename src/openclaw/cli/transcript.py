"""A transcript as a file: Markdown for people, JSON for programs, JSON lines for what reads line by line."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from openclaw.cli.reach import Reach

Write = Callable[[str], object]


class Form(Protocol):
    """Writes one transcript, page by page."""

    def begin(self, key: str, session_id: str) -> str: ...

    def message(self, message: dict[str, Any]) -> str: ...

    def end(self) -> str: ...


async def export(reach: Reach, key: str, form: Form, write: Write) -> int:
    """Write a whole transcript and return how many messages it has. One page of it is in memory at a time.

    Raises: NotFound, Conflict when the session was begun anew meanwhile.
    """
    count = 0
    async with aclosing(_pages(reach, key)) as pages:
        async for page in pages:
            if page["after"] == 0:
                write(form.begin(page["key"], page["sessionId"]))
            for message in page["messages"]:
                write(form.message(message))
                count += 1
    write(form.end())
    return count


async def _pages(reach: Reach, key: str) -> AsyncGenerator[dict[str, Any], None]:
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.base.errors import OpenClawError

    params: dict[str, Any] = {"key": key, "after": 0}
    async with reach.connect() as line:
        while params["after"] is not None:
            try:
                page = await line.call("sessions.export", params, reach.timeout_s)
            except OpenClawError as error:
                if error.retry_after_s is None:
                    raise
                await SYSTEM_CLOCK.sleep(error.retry_after_s)
                continue
            yield {**page, "after": params["after"]}
            params |= {"after": page["next"], "sessionId": page["sessionId"]}


class AsLines:
    """A message a line."""

    def begin(self, key: str, session_id: str) -> str:
        """Nothing: every line is a message."""
        return ""

    def message(self, message: dict[str, Any]) -> str:
        """One line."""
        import msgspec

        return msgspec.json.encode(message).decode() + "\n"

    def end(self) -> str:
        """Nothing."""
        return ""


class AsJson:
    """One object: key, sessionId, messages."""

    def __init__(self) -> None:
        self._before = "\n"

    def begin(self, key: str, session_id: str) -> str:
        """The object up to its messages."""
        import msgspec

        said = msgspec.json.encode({"key": key, "sessionId": session_id}).decode()
        return f'{said[:-1]},"messages":['

    def message(self, message: dict[str, Any]) -> str:
        """One element."""
        import msgspec

        before, self._before = self._before, ",\n"
        return before + msgspec.json.encode(message).decode()

    def end(self) -> str:
        """The rest."""
        return "\n]}\n"


class AsMarkdown:
    """A heading per message; what tools were given and said stands in fences."""

    def begin(self, key: str, session_id: str) -> str:
        """The title."""
        return f"# {key}\n\nSession {session_id}.\n"

    def message(self, message: dict[str, Any]) -> str:
        """One message."""
        role = message.get("role", "?")
        who = {"toolResult": f"tool {message.get('toolName', '')}".strip()}.get(role, role)
        at_ms = message.get("timestamp")
        when = f" · {datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if at_ms else ""
        failed = " · failed" if message.get("isError") else ""
        fence_all = role == "toolResult"
        parts = "\n\n".join(_parts(message.get("content"), fence_all=fence_all))
        return f"\n## {who}{when}{failed}\n\n{parts}\n"

    def end(self) -> str:
        """Nothing."""
        return ""


def _parts(content: Any, *, fence_all: bool) -> Iterator[str]:
    import msgspec

    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
        kind = part.get("type")
        if kind == "text":
            yield fenced(part["text"]) if fence_all else part["text"]
        elif kind == "thinking":
            yield "\n".join(f"> {line}" for line in part["thinking"].splitlines())
        elif kind == "toolCall":
            given = msgspec.json.format(msgspec.json.encode(part.get("arguments")), indent=2).decode()
            yield f"calls {part.get('name')}\n\n{fenced(given, 'json')}"
        elif kind == "image":
            yield f"[image: {part.get('url') or part.get('mimeType')}]"
        else:
            yield fenced(msgspec.json.encode(part).decode(), "json")


def fenced(text: str, language: str = "") -> str:
    """Return a text in a fence that nothing in it can close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


FORMS: Final[dict[str, Callable[[], Form]]] = {"markdown": AsMarkdown, "json": AsJson, "jsonl": AsLines}
