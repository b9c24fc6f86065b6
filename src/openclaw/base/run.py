"""A message on its way in, the run it starts, the events it makes and the reply it ends in."""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw.base.ids import AgentId, RunId, SessionId, SessionKey
from openclaw.base.message import Message, ToolCall
from openclaw.base.model import FinishReason, TextDelta, ThinkingDelta, ToolSpec, Usage
from openclaw.base.principal import Principal
from openclaw.base.thinking import Thinking

RunState = Literal["queued", "running", "ok", "error", "aborted"]
LaneMode = Literal["followup", "collect", "steer", "interrupt", "reject"]


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted message from any door.

    `run_id` doubles as the idempotency key: a second Inbound with the same run_id of the same owner gets the first's
    answer. `history` replaces the stored transcript (stateless HTTP callers bring their own); `ephemeral` sessions are
    pruned. `system` is text added after the agent's own instructions. `source` is the channel that budgets count it in;
    a heartbeat's calls are of that purpose.
    """

    run_id: RunId
    session_key: SessionKey
    agent_id: AgentId
    message: Message
    principal: Principal
    source: Literal["rpc", "http", "cli", "channel", "resume", "cron", "heartbeat"] = "rpc"
    history: tuple[Message, ...] = ()
    system: str = ""
    ephemeral: bool = False
    stateless: bool = False
    """True when the session is this message's own: its history came along, and there is nothing to read back."""
    stream: bool = True
    """False when nobody will read the deltas: the model may then be asked for the whole answer at once."""
    lane_mode: LaneMode | None = None
    model: str | None = None
    """A `provider/model` that overrides the agent's for this run."""
    max_tokens: int | None = None
    temperature: float | None = None
    timeout_s: float | None = None
    depth: int = 0
    """How many agents stand above this run: 0 for a person's or a program's message."""
    client_tools: tuple[ToolSpec, ...] = ()
    """Tools that the caller runs itself. A call of one ends the run: see Reply.client_calls."""
    tool_choice: str = ""
    """As in ModelRequest. One that forces a call shows the model the caller's tools alone."""
    thinking: Thinking = ""
    """How much to think, for models that can; empty: as the session or the agent has it."""


class ToolRecord(msgspec.Struct, frozen=True):
    """One tool call of a run as told to clients."""

    id: str
    name: str
    arguments: str
    result: str = ""
    is_error: bool = False


class RunStarted(msgspec.Struct, frozen=True):
    """The run left the lane's queue and begins."""

    model: str
    provider: str
    started_at_ms: int


class ToolStarted(msgspec.Struct, frozen=True):
    """A tool call begins."""

    call_id: str
    name: str
    arguments: str


class ToolProgress(msgspec.Struct, frozen=True):
    """What a call that runs has to show by now: the latest text stands for all before it. Told, and not kept."""

    call_id: str
    name: str
    text: str


class ToolFinished(msgspec.Struct, frozen=True):
    """A tool call ended."""

    call_id: str
    name: str
    result: str
    is_error: bool


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `text` is the concatenation of every TextDelta that was emitted.

    `error` is an OpenClawError as a dict (`as_dict`), set when state is "error" or "aborted".
    """

    run_id: RunId
    session_key: SessionKey
    session_id: SessionId
    agent_id: AgentId
    state: RunState
    text: str = ""
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    model: str = ""
    provider: str = ""
    actions: tuple[ToolRecord, ...] = ()
    client_calls: tuple[ToolCall, ...] = ()
    """What the caller is asked to run; finish_reason is then "tool_calls". No transcript of ours holds them."""
    error: dict[str, object] | None = None
    accepted_at_ms: int = 0
    started_at_ms: int = 0
    ended_at_ms: int = 0


class Compacted(msgspec.Struct, frozen=True):
    """Old messages were replaced by a summary, or dropped, so that the conversation fits the model."""

    messages: int
    """How many messages went."""
    summary: str
    """What stands in their place; empty when they were dropped."""


class RunEnded(msgspec.Struct, frozen=True):
    """The last event of every run."""

    reply: Reply


RunEvent = RunStarted | TextDelta | ThinkingDelta | ToolStarted | ToolProgress | ToolFinished | Compacted | RunEnded
