"""The fields of Bedrock's answers and events that we read; all others are skipped by the decoder."""

from __future__ import annotations

import msgspec

from openclaw.base.model import FinishReason, Usage

REDACTED = "redacted_thinking:"
"""Marks the signature of a ThinkingPart that came encrypted, to be sent back as such."""


class Wire(msgspec.Struct, gc=False, rename="camel"):
    """Base of the wire's structures."""


class WireUsage(Wire):
    """Token counts; `inputTokens` is what the cache did not cover."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None

    def usage(self) -> Usage:
        """Return the counts in our form, in which the input includes the cached tokens."""
        read, write = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        return Usage((self.input_tokens or 0) + read + write, self.output_tokens or 0, read, write)


class ReasoningText(Wire):
    """Reasoning in the clear."""

    text: str = ""
    signature: str | None = None


class Reasoning(Wire):
    """A reasoning block: whole (`reasoningText`), or a piece of one."""

    reasoning_text: ReasoningText | None = None
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class ToolUse(Wire):
    """A tool call: whole, its start, or a piece of its input (then `input` is a JSON string)."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class ToolPiece(Wire):
    """A piece of a call's input."""

    input: str = ""


class Block(Wire):
    """A content block of an answer, of any kind."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None


class Delta(Wire):
    """What is new in a block."""

    text: str | None = None
    tool_use: ToolPiece | None = None
    reasoning_content: Reasoning | None = None


class Start(Wire):
    """How a block begins; only tool calls begin with something."""

    tool_use: ToolUse | None = None


class Event(Wire):
    """The payload of any message of a ConverseStream; its kind stands in the message's headers."""

    content_block_index: int = 0
    delta: Delta | None = None
    start: Start | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None


class Said(Wire):
    """The message of an answer."""

    content: list[Block] | None = None


class Output(Wire):
    """Where the message of an answer is."""

    message: Said | None = None


class Answer(Wire):
    """A whole Converse answer."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: WireUsage | None = None


class Chunk(Wire):
    """A message of InvokeModelWithResponseStream: base64 of the model's own event."""

    bytes: str = ""


class InvocationMetrics(Wire):
    """Counts that Bedrock adds to an invoked model's last event."""

    input_token_count: int = 0
    output_token_count: int = 0


class Metered(msgspec.Struct):
    """An invoked model's event, looked at for Bedrock's counts only."""

    metrics: InvocationMetrics | None = msgspec.field(default=None, name="amazon-bedrock-invocationMetrics")


class TokenCount(Wire):
    """The answer of CountTokens."""

    input_tokens: int


class Lifecycle(Wire):
    """Whether a model is still offered."""

    status: str = "ACTIVE"


class FoundationModel(Wire):
    """A row of ListFoundationModels."""

    model_id: str
    model_name: str = ""
    input_modalities: tuple[str, ...] = ()
    output_modalities: tuple[str, ...] = ()
    inference_types_supported: tuple[str, ...] = ()
    model_lifecycle: Lifecycle | None = None


class FoundationModels(Wire):
    """The answer of ListFoundationModels."""

    model_summaries: list[FoundationModel]


class InferenceProfile(Wire):
    """A row of ListInferenceProfiles."""

    inference_profile_id: str
    inference_profile_name: str = ""
    status: str = "ACTIVE"


class InferenceProfiles(Wire):
    """One page of ListInferenceProfiles."""

    inference_profile_summaries: list[InferenceProfile]
    next_token: str | None = None


GUARDRAIL = "guardrail_intervened"
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
_FINISH: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filtered": "content_filter",
}


def finish_reason(raw: str) -> FinishReason:
    """Map the wire's stopReason; reasons yet unknown count as `stop`."""
    return _FINISH.get(raw, "stop")
