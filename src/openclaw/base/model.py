"""What is asked of a model and what comes back, whatever the provider's wire looks like."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from openclaw.base.message import Message
from openclaw.base.thinking import Thinking

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "aborted", "error"]
Purpose = Literal["interactive", "tools", "summary", "probe", "heartbeat", "embedding"]


class ToolSpec(msgspec.Struct, frozen=True):
    """A tool as the model sees it. `parameters` is a JSON Schema of type object."""

    name: str
    description: str
    parameters: dict[str, Any]


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one or more calls. `input_tokens` includes the cached ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input plus output."""
        return self.input_tokens + self.output_tokens

    def plus(self, other: Usage) -> Usage:
        """Return the sum."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


class ModelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One call. `system` and `tools` are the byte-stable prefix; `messages` follow in order.

    Shape: `model` is the id without the provider prefix; `temperature` 0..2; `max_tokens` > 0.
    """

    model: str
    system: str = ""
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None
    purpose: Purpose = "interactive"
    session_id: str = ""
    thinking: Thinking = ""
    """How much to think; set only for models that can."""
    tool_choice: str = ""
    """"" leaves it to the model, "none" and "required" as they say, else the name of the tool to call."""


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of the model's reasoning; `signature` arrives, if at all, with the last piece."""

    text: str
    signature: str = ""


class ToolCallDelta(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call: `id` and `name` come with the first piece of `index`, then argument fragments."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class ModelFinish(msgspec.Struct, frozen=True):
    """The end of a stream, exactly once and last. A stream that ends without it is an error."""

    reason: FinishReason
    usage: Usage = Usage()
    model: str = ""


ModelEvent = TextDelta | ThinkingDelta | ToolCallDelta | ModelFinish


class ModelResult(msgspec.Struct, frozen=True):
    """A whole answer."""

    message: Message
    usage: Usage
    finish_reason: FinishReason
    model: str = ""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model as listed. Capabilities are data: `tools` False means the agent runs it without tools.

    Shape: sizes in tokens; prices in USD micros per million tokens, None when unknown.
    """

    id: str
    provider: str
    name: str = ""
    context_tokens: int = 128_000
    max_output_tokens: int = 8_192
    tools: bool = True
    images: bool = False
    reasoning: bool = False
    input_usd_micros: int | None = None
    output_usd_micros: int | None = None
    cache_read_usd_micros: int | None = None
    """None: as input."""
    cache_write_usd_micros: int | None = None
    """None: as input."""
    long_prompt_tokens: int | None = None
    """Prompts above this size are dearer as a whole: all input by `long_input_percent`, output by the other."""
    long_input_percent: int = 100
    long_output_percent: int = 100
    available: bool = True
    adaptive_thinking: bool = False
    """A Claude that takes an effort instead of a number of tokens to think with."""
    efforts: tuple[str, ...] = ()
    """Words for levels of thinking that the model takes, as OpenAI calls them; empty: low, medium and high."""
    few_tools: bool = False
    """True for small models that lose their way among many tools: they get the file tools and the actions only."""

    @property
    def ref(self) -> str:
        """`provider/model`, the id used in configuration."""
        return f"{self.provider}/{self.id}"
