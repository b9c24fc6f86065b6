"""What of a conversation came from outside: text that strangers may have written, and what was made of it.

1. A tool's outcome is from outside unless the tool speaks for itself; a message is, when its door says so.
2. What a model says after it has read such text is from outside too, and so is a summary of it: dropping the text from
   the context does not drop what it has led to.
3. The mark is part of the message. So it is as durable as the transcript, goes along into copies and other sessions,
   and ends with the session.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from openclaw.base.message import ImagePart, Message, ToolOutcome
from openclaw.base.run import Inbound
from openclaw.policy.skill.confined import strongest

CALLER_TOOLS = "a tool of the caller"
IMAGE = "an image"
EVENT = "an event"


def outside_of(messages: Iterable[Message]) -> str:
    """Return by what way text from outside came into these messages, or "": the mark that counts of all of theirs."""
    return strongest(_marks(messages))


def _marks(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        if message.outside:
            yield message.outside
        if message.role == "tool":
            for part in message.parts:
                if type(part) is ToolOutcome and part.outside:
                    yield part.outside


def marked(message: Message, source: str) -> Message:
    """Return the message as one from outside; with no source, or when it has a mark as strong, as it is."""
    mark = strongest((message.outside, source))
    return message if mark == message.outside else msgspec.structs.replace(message, outside=mark)


def brought_in(inbound: Inbound) -> Inbound:
    """Return an inbound whose images, and whose outcomes of the caller's own tools, are marked."""
    message = _brought(inbound.message)
    history = tuple(map(_brought, inbound.history))
    if message is inbound.message and all(new is old for new, old in zip(history, inbound.history, strict=True)):
        return inbound
    return msgspec.structs.replace(inbound, message=message, history=history)


def _brought(message: Message) -> Message:
    if message.role == "tool":
        return marked(message, CALLER_TOOLS)
    if message.role == "user" and any(type(part) is ImagePart for part in message.parts):
        return marked(message, IMAGE)
    return message
