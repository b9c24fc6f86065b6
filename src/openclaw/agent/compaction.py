"""Old conversation made small: a model summarises it in bounded pieces. Whatever fails, the turn goes on without it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from openclaw.agent.taint import outside_of
from openclaw.base.errors import ModelProtocol
from openclaw.base.message import ImagePart, Message, TextPart, ToolCall, ToolOutcome, user
from openclaw.base.model import ModelInfo, ModelRequest, Usage
from openclaw.models.assemble import Assembler
from openclaw.models.call import Attempt, CallPlan, ModelCaller, Purse
from openclaw.models.tokens import estimate_text

MARK = "[Summary of the earlier conversation]\n"
INSTRUCTIONS = (
    "You keep the memory of a conversation. Write a short summary in plain text: what the user wants, facts, names,"
    " numbers, decisions, files, and what is still open. Do not answer the user. At most 200 words."
)
MAX_SUMMARY_TOKENS = 600
MAX_SUMMARY_CHARS = 4_000
MESSAGE_CHARS = 2_000
"""Of one message; tool outcomes are cut shorter still."""
OUTCOME_CHARS = 300
MAX_PIECES = 6
"""Model calls for one compaction; what would need more is left out from the oldest end."""


class Summary(msgspec.Struct, frozen=True):
    """What stands in the place of old messages, and what making it took."""

    message: Message
    usage: Usage
    model: str
    provider: str


async def summarise(
    messages: Sequence[Message],
    caller: ModelCaller,
    refs: tuple[str, ...],
    purse: Purse | None,
    attempts: list[Attempt],
) -> Summary:
    """Return a summary. Raises: the ModelError classes, BudgetExceeded; ModelProtocol for an empty one."""
    last: list[ModelInfo] = []
    summary, usage = "", Usage()
    for piece in _pieces(messages):
        asked = f"Summary so far:\n{summary}\n\nWhat came next:\n{piece}" if summary else piece

        def request(info: ModelInfo, asked: str = asked) -> ModelRequest:
            last[:] = [info]
            cut = max(500, (info.context_tokens - MAX_SUMMARY_TOKENS - estimate_text(INSTRUCTIONS)) * 2)
            return ModelRequest(
                model=info.id,
                system=INSTRUCTIONS,
                messages=(user(asked[-cut:]),),
                max_tokens=MAX_SUMMARY_TOKENS,
                purpose="summary",
            )

        whole = Assembler()
        plan = CallPlan(refs=refs, request=request, purse=purse, stream=False)
        async for batch in caller.call(plan, attempts):
            whole.feed(batch)
        if whole.finish is None or not whole.text.strip():
            raise ModelProtocol("the model gave an empty summary")
        summary = whole.text.strip()[:MAX_SUMMARY_CHARS]
        usage = usage.plus(whole.finish.usage)
    return Summary(user(MARK + summary, outside_of(messages)), usage, last[0].id, last[0].provider)


def _pieces(messages: Sequence[Message], size: int = 12_000) -> list[str]:
    """Return the messages as text in pieces of about `size` characters, the latest MAX_PIECES of them."""
    pieces: list[str] = []
    lines: list[str] = []
    length = 0
    for message in messages:
        line = _line(message)
        if lines and length + len(line) > size:
            pieces.append("\n".join(lines))
            lines, length = [], 0
        lines.append(line)
        length += len(line)
    return [*pieces, "\n".join(lines)][-MAX_PIECES:]


def _line(message: Message) -> str:
    said: list[str] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            said.append(part.text[:MESSAGE_CHARS])
        elif isinstance(part, ToolCall):
            said.append(f"(called {part.name} with {part.arguments[:OUTCOME_CHARS]})")
        elif isinstance(part, ToolOutcome):
            said.append(f"({part.name} gave: {part.text[:OUTCOME_CHARS]})")
        elif isinstance(part, ImagePart):
            said.append("(an image)")
    return f"{message.role}: {' '.join(said)}"
