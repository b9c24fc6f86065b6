"""Lines of kind `dm`: may this sender talk?

A line holds `policy`, `message` and `paired`. The policy is what stands in the configuration: `dmPolicy`, `channels`,
or the inside of either for the channel of the message.

1. The message holds `channel`, `account`, `sender` (an id, or an object with an `id`), `chat` and `mentioned`; a name
   in it changes nothing, and without an id nobody writes.
2. `chat` is a kind (`direct`, `group` …), an id, or an object of `type`, `id` and `isGroup`. No chat, or one whose id
   is the sender's, is a direct one; what is not known to be direct is a group.
3. `paired` are senders that were let in: `channel:account:id`, or an object. One that names no account holds for the
   account of the message, and one that names no channel for its channel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest
from openclaw.config.reading.channel import check_channel
from openclaw.config.schema import DmPolicyConfig
from openclaw.policy.dm_door import CHANNEL_FORM, DEFAULT_ACCOUNT, Message, dm_verdict, own_id, terms_of

_DIRECT: Final = ("direct", "dm", "im", "private", "user", "1:1", "p2p", "personal")
_OF_DOOR: Final = ("mode", "allowIds", "unknownReply")
_OF_CHANNEL: Final = (
    *("dmPolicy", "allowFrom", "groupPolicy", "groupAllowFrom", "requireMention", "groups", "accounts", "enabled"),
)
_SPELLED: Final = {"allow_ids": "allowIds", "unknown_reply": "unknownReply"}
_NOTES: Final = ("comment", "note")
_Id = str | int | None


class _Chat(msgspec.Struct, frozen=True, rename="camel"):
    type: str | None = None
    kind: str | None = None
    chat_type: str | None = None
    id: _Id = None
    is_group: bool = False
    mentioned: bool = False


class _Sender(msgspec.Struct, frozen=True):
    id: _Id = None


class _Message(msgspec.Struct, frozen=True, rename="camel"):
    channel: Annotated[str, Meta(pattern=f"^{CHANNEL_FORM}$")]
    sender: _Id | _Sender = None
    account: _Id = None
    chat: _Id | _Chat = None
    chat_type: str | None = None
    chat_id: _Id = None
    group: _Id | bool = None
    group_id: _Id = None
    is_group: bool = False
    mentioned: bool = False
    was_mentioned: bool = False
    is_mentioned: bool = False


class _LetIn(msgspec.Struct, frozen=True):
    channel: str | None = None
    account: _Id = None
    sender: _Id = None
    id: _Id = None


class _Line(msgspec.Struct, frozen=True):
    message: _Message
    id: Any = None
    kind: Literal["dm"] = "dm"
    policy: Mapping[str, Any] = {}
    paired: tuple[str | int | _LetIn, ...] = ()


def dm_case(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason}`. Raises: InvalidRequest for a line that is none."""
    try:
        found = msgspec.convert(line, _Line)
        message = _message(found.message)
        door, body = _policy(found.policy, message.channel)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    verdict = dm_verdict(
        terms_of(door, {message.channel: body}, message),
        message,
        lambda who: any(_is_let_in(entry, who) for entry in found.paired),
    )
    return {"id": found.id, "verdict": verdict.answer, "rule": verdict.rule_id, "reason": verdict.reason}


def _message(given: _Message) -> Message:
    sender = given.sender.id if isinstance(given.sender, _Sender) else given.sender
    text = "" if sender is None else str(sender)
    known = own_id(given.channel, text) if text == text.strip() else ""
    return Message(
        channel=given.channel,
        sender=known or text,
        account=str(given.account or DEFAULT_ACCOUNT),
        group=_group(given, known),
        mentioned=given.mentioned or given.was_mentioned or given.is_mentioned or _chat(given).mentioned,
    )


def _chat(given: _Message) -> _Chat:
    chat = given.chat
    if isinstance(chat, _Chat):
        return chat
    kind, colon, place = chat.partition(":") if isinstance(chat, str) else ("", "", "")
    if not isinstance(chat, str) or (own_id(given.channel, chat) and kind.lower() not in _DIRECT):
        return _Chat(id=chat)
    return _Chat(type=kind, id=place) if colon and kind.lower() in _DIRECT and chat != "1:1" else _Chat(type=chat)


def _group(given: _Message, sender: str) -> str:
    """Return the group that a message was written in; "" for a direct one."""
    chat = _chat(given)
    group = next((str(each) for each in (given.group_id, given.group) if each and each is not True), "")
    place = next((str(each) for each in (group, chat.id, given.chat_id) if each not in (None, "")), "")
    kinds = {str(kind).lower() for kind in (chat.type, chat.kind, chat.chat_type, given.chat_type) if kind}
    own = not place or (sender != "" and own_id(given.channel, place) == sender)
    own = own or (given.channel == "slack" and re.fullmatch("D[A-Z0-9]+", place) is not None)  # its ids name their kind
    told = chat.is_group or given.is_group or given.group is True or group
    direct = kinds <= set(_DIRECT) and bool(kinds or own) and not told
    return "" if direct else place or "a group"


def _policy(policy: Mapping[str, Any], channel: str) -> tuple[DmPolicyConfig, Mapping[str, Any]]:
    """Return the policy for all channels, and what the line says of the message's own. Raises: ValidationError."""
    policy = {_SPELLED.get(name, name): value for name, value in policy.items()}
    given = policy.get("dmPolicy")
    if isinstance(given, Mapping):
        door = _door({"allowIds" if name == "allowFrom" else name: value for name, value in given.items()}, _OF_DOOR)
    elif "channels" in policy or channel in policy:  # a whole configuration
        door = {}
    else:
        door = _door(policy, (*_OF_DOOR, *_OF_CHANNEL))
    body: dict[str, Any] = {name: policy[name] for name in _OF_CHANNEL if name in policy}
    if isinstance(given, Mapping):
        body.pop("dmPolicy")
    channels = policy.get("channels", {})
    for own in (channels.get(channel) if isinstance(channels, Mapping) else None, policy.get(channel)):
        body |= own if isinstance(own, Mapping) else {}
    _check(body, "policy")
    return msgspec.convert(door, DmPolicyConfig), body


def _door(given: Mapping[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return what is said for all channels. Raises: InvalidRequest for what is none: it may have been a limit."""
    spelled = {_SPELLED.get(name, name): value for name, value in given.items() if name not in _NOTES}
    if unknown := sorted(set(spelled) - set(known)):
        raise InvalidRequest(f"dmPolicy has no {unknown[0][:60]!r}", hint=f"It has {', '.join(known)}.")
    return {name: value for name, value in spelled.items() if name in _OF_DOOR}


def _check(body: Mapping[str, Any], where: str) -> None:
    """Raise InvalidRequest for what cannot be a channel's section, its accounts and groups included."""
    for key, wanted in check_channel(body):
        raise InvalidRequest(f"{where}.{key}: expected {wanted}")
    if not isinstance(body.get("requireMention", True), bool):
        raise InvalidRequest(f"{where}.requireMention: expected true or false")
    for key in ("accounts", "groups"):
        inner = body.get(key, {})
        for name, own in inner.items() if isinstance(inner, Mapping) else ((key, None),):
            if not isinstance(own, Mapping):
                raise InvalidRequest(f"{where}.{key}.{name}: expected an object")
            _check(own, f"{where}.{key}.{name}")


def _is_let_in(entry: str | int | _LetIn, who: Message) -> bool:
    if isinstance(entry, _LetIn):
        named = own_id(who.channel, entry.id if entry.sender is None else entry.sender)
        here = entry.channel in (None, who.channel) and str(entry.account or who.account) == who.account
        return here and named == who.sender
    text = str(entry)
    with_account = f"{who.channel}:{who.account}:"
    return own_id(who.channel, text) == who.sender or (
        text.startswith(with_account) and own_id(who.channel, text.removeprefix(with_account)) == who.sender
    )
