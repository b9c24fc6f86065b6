"""What the messages of a request mean to an agent: instructions, what was said before, and what is said now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.message import ImagePart, Message, Part, TextPart, ToolCall, ToolOutcome
from openclaw.listeners.openai_api.request import ChatMessage, ContentPart, ImageUrl
from openclaw.net.egress import public_place
from openclaw.net.error import NetError

MAX_MESSAGES: Final = 2000
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,([A-Za-z0-9+/=\s]*)\Z")


class Conversation(msgspec.Struct, frozen=True):
    """What the messages mean. `message` is the user's, or the outcomes of the caller's own tools (role "tool")."""

    system: str
    history: tuple[Message, ...]
    message: Message


def conversation(
    messages: Sequence[ChatMessage],
    *,
    keeps_session: bool,
    earlier: Sequence[Message] = (),
    field: str = "messages",
) -> Conversation:
    """Split the messages; `earlier` ones came before them.

    A kept session has its own memory: only what follows the last answer is new then. Its transcript never got the calls
    of the caller's tools, so their outcomes are told to it in the user's words.

    Raises: InvalidRequest naming the message at fault.
    """
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest(f"{field}: at most {MAX_MESSAGES} are taken")
    system: list[str] = []
    said: list[Message] = list(earlier)
    for index, message in enumerate(messages):
        where = f"{field}[{index}]"
        if message.role in ("system", "developer"):
            system.append(_text(message, where))
        else:
            said.append(_message(message, where))
    last = max((index for index, message in enumerate(said) if message.role in ("user", "tool")), default=-1)
    if last < len(earlier):
        raise InvalidRequest(f"Missing user message in `{field}`.")
    history: tuple[Message, ...] = ()
    if keeps_session:
        first = _first(said, last, ("user", "tool"))
        names = {call.id: call.name for message in said for call in message.tool_calls}
        new = Message("user", _joined([_told(message, names) for message in said[first : last + 1]]))
    elif said[last].role == "tool":
        *before, new = _paired(said[: last + 1], field)
        history = tuple(before)
    else:
        first = _first(said, last, ("user",))
        history = _paired(said[:first], field)
        new = Message("user", _joined(said[first : last + 1]))
    if not new.parts:
        raise InvalidRequest(f"Missing user message in `{field}`.")
    return Conversation("\n\n".join(filter(None, system)), history, new)


def _first(said: Sequence[Message], last: int, roles: tuple[str, ...]) -> int:
    """Return where the run of messages of these roles begins that ends with `last`."""
    first = last
    while first > 0 and said[first - 1].role in roles:
        first -= 1
    return first


def _told(message: Message, names: Mapping[str, str]) -> Message:
    """Return a message with outcomes as words."""
    parts: list[Part] = []
    for part in message.parts:
        if isinstance(part, ToolOutcome):
            parts.append(TextPart(f"[Result of {names.get(part.call_id, 'the tool')}]\n{part.text}"))
        else:
            parts.append(part)
    return Message("user", tuple(parts))


def _joined(messages: Sequence[Message]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for message in messages:
        for part in message.parts:
            if isinstance(part, TextPart) and not part.text.strip():
                continue
            last = parts[-1] if parts else None
            if isinstance(part, TextPart) and isinstance(last, TextPart):
                parts[-1] = TextPart(f"{last.text}\n\n{part.text}")
            else:
                parts.append(part)
    return tuple(parts)


def _message(message: ChatMessage, where: str) -> Message:
    if message.role == "user":
        return Message("user", _parts(message, where))
    if message.role == "assistant":
        calls = tuple(
            ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
        )
        text = _text(message, where)
        return Message("assistant", ((TextPart(text),) if text else ()) + calls)
    if message.role in ("tool", "function"):
        if not message.tool_call_id:
            raise InvalidRequest(f"{where}.tool_call_id: required for role 'tool'")
        return Message("tool", (ToolOutcome(message.tool_call_id, "", _text(message, where)),))
    raise InvalidRequest(f"{where}.role: '{message.role[:32]}' is not a role")


def _text(message: ChatMessage, where: str) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = []
    for part in message.content or ():
        if part.type not in ("text", "input_text", "output_text", "refusal"):
            raise InvalidRequest(f"{where}.content: role '{message.role[:32]}' takes text only")
        texts.append(part.text or part.refusal or "")
    return "\n".join(texts)


def _parts(message: ChatMessage, where: str) -> tuple[Part, ...]:
    if isinstance(message.content, str):
        return (TextPart(message.content),)
    parts: list[Part] = []
    for part in message.content or ():
        if part.type in ("text", "input_text"):
            parts.append(TextPart(part.text or ""))
        elif part.type in ("image_url", "input_image"):
            parts.append(_image(part, where))
        else:
            raise InvalidRequest(f"{where}.content: parts of type '{part.type[:32]}' are not supported")
    return tuple(parts)


def _image(part: ContentPart, where: str) -> ImagePart:
    url = part.image_url.url if isinstance(part.image_url, ImageUrl) else part.image_url
    if not url:
        raise InvalidRequest(f"{where}.content: an image part needs image_url.url")
    if url.startswith("data:"):
        found = _DATA_URL.match(url)
        if found is None or not found[1].startswith("image/"):
            raise InvalidRequest(f"{where}.content: the image is no base64 data URL of an image")
        return ImagePart(found[1], "".join(found[2].split()))
    if url.startswith(("https://", "http://")):
        return ImagePart(url=_public_url(url, where))
    raise InvalidRequest(f"{where}.content: image URLs are data:, https: or http:")


def _public_url(url: str, where: str) -> str:
    """Return the address of an image. Who fetches it is the model's server, which may stand beside ours."""
    try:
        return public_place(url).url
    except NetError as error:
        raise InvalidRequest(f"{where}.content: the image's address cannot be used: {error.reason}") from None


def _paired(messages: Sequence[Message], field: str) -> tuple[Message, ...]:
    """Return the history with each answer's outcomes in one message. Raises: InvalidRequest for a broken pair."""
    out: list[Message] = []
    open_calls: dict[str, str] = {}
    for message in messages:
        if message.role == "tool":
            named = tuple(_named(part, open_calls, field) for part in message.parts)
            if out and out[-1].role == "tool":
                out[-1] = Message("tool", (*out[-1].parts, *named))
            else:
                out.append(Message("tool", named))
            continue
        if open_calls:
            break
        open_calls = {call.id: call.name for call in message.tool_calls}
        if message.parts:
            out.append(message)
    if open_calls:
        raise InvalidRequest(f"{field}: the tool call '{next(iter(open_calls))[:64]}' has no result")
    return tuple(out)


def _named(part: Part, open_calls: dict[str, str], field: str) -> Part:
    """Return an outcome with its tool's name, and close its call."""
    assert isinstance(part, ToolOutcome)
    name = open_calls.pop(part.call_id, None)
    if name is None:
        raise InvalidRequest(f"{field}: no tool call '{part.call_id[:64]}' comes before its result")
    return msgspec.structs.replace(part, name=name)
