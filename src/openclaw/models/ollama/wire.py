"""The fields of Ollama's answers that we read; all others are skipped by the decoder."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.ids import new_id
from openclaw.base.model import FinishReason, Usage


class Function(msgspec.Struct, gc=False):
    """A whole call. `arguments` is an object; some models' templates leave it as text."""

    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments_text(self) -> str:
        """The arguments as JSON text."""
        raw = bytes(self.arguments)
        if raw.startswith(b'"'):
            return msgspec.json.decode(raw, type=str).strip() or "{}"
        return "{}" if raw in (b"", b"null") else raw.decode()


class Call(msgspec.Struct, gc=False):
    """A tool call; newer servers give it an id."""

    function: Function | None = None
    id: str | None = None

    @property
    def call_id(self) -> str:
        """The id, ours when the server gave none: the transcript pairs calls with outcomes by it."""
        return self.id or f"call_{new_id()}"


class Message(msgspec.Struct, gc=False):
    """A message, or what is new in it. Calls may come in any chunk, each whole."""

    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Chunk(msgspec.Struct, gc=False):
    """A line of a stream, or a whole answer. The last line has `done` and the counts."""

    message: Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    model: str | None = None
    error: Any = None

    def usage(self) -> Usage:
        """Return the counts; a server leaves out what it did not evaluate."""
        return Usage(self.prompt_eval_count or 0, self.eval_count or 0)


class ListedModel(msgspec.Struct):
    """A row of /api/tags."""

    model: str = ""
    name: str = ""


class ModelList(msgspec.Struct):
    """The answer of /api/tags."""

    models: list[ListedModel] | None = None


class Shown(msgspec.Struct):
    """The answer of /api/show. `model_info` holds `<architecture>.context_length` among much else."""

    capabilities: list[str] | None = None
    model_info: dict[str, Any] | None = None

    @property
    def context_tokens(self) -> int:
        """How much the model can take, 0 when it does not say."""
        for name, value in (self.model_info or {}).items():
            if name.endswith(".context_length") and type(value) is int and value > 0:
                return value
        return 0


def finish_reason(raw: str | None, has_calls: bool) -> FinishReason:
    """Map `done_reason`; it says `stop` after calls too."""
    if raw == "length":
        return "length"
    return "tool_calls" if has_calls else "stop"
