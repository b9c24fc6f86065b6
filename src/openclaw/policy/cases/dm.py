"""Lines of kind `dm`: may this sender talk?

A line holds `policy`, `message` and `paired`. The policy is what stands in the configuration: `dmPolicy`, `channels`,
or the inside of either for the channel of the message. The message holds `channel`, `account`, `sender`, `chat`
(`direct`, `group`, or an object with `type` and `id`) and `mentioned`; a name in it changes nothing. `paired` are
senders that were let in: `channel:id` of the default account, `channel:account:id`, or an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.config.reading.channel import check_channel
from openclaw.config.schema import DmPolicyConfig
from openclaw.policy.dm_door import DEFAULT_ACCOUNT, Message, dm_verdict, own_id, terms_of

_DIRECT: Final = ("", "direct", "dm", "im", "private", "user")
_OF_DOOR: Final = ("mode", "allowIds", "unknownReply")
_OF_CHANNEL: Final = (
    *("dmPolicy", "allowFrom", "groupPolicy", "groupAllowFrom", "requireMention", "groups", "accounts", "enabled"),
)


class _Message(msgspec.Struct, frozen=True, rename="camel"):
    channel: str
    sender: str | int
    account: str = DEFAULT_ACCOUNT
    chat: str | Mapping[str, Any] = ""
    mentioned: bool = False


class _Line(msgspec.Struct, frozen=True):
    message: _Message
    id: Any = None
    kind: Literal["dm"] = "dm"
    policy: Mapping[str, Any] = {}
    paired: tuple[str | Mapping[str, Any], ...] = ()


def dm_case(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason}`. Raises: InvalidRequest for a line that is none."""
    try:
        found = msgspec.convert(line, _Line)
        message = _message(found.message)
        door, body = _policy(found.policy, message.channel)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    paired = {_place(each) for each in found.paired}
    verdict = dm_verdict(terms_of(door, {message.channel: body}, message), message, lambda who: who.place in paired)
    return {"id": found.id, "verdict": verdict.answer, "rule": verdict.rule_id, "reason": verdict.reason}


def _message(given: _Message) -> Message:
    kind, place = given.chat, ""
    if isinstance(given.chat, Mapping):
        kind = str(given.chat.get("type", given.chat.get("kind", "")))
        place = str(given.chat.get("id", ""))
    direct = str(kind).lower() in _DIRECT
    return Message(
        channel=given.channel,
        sender=own_id(given.channel, given.sender) or str(given.sender),
        account=given.account or DEFAULT_ACCOUNT,
        group="" if direct else place or str(kind),
        mentioned=given.mentioned,
    )


def _policy(policy: Mapping[str, Any], channel: str) -> tuple[DmPolicyConfig, Mapping[str, Any]]:
    """Return the policy for all channels, and what the line says of the message's own. Raises: ValidationError."""
    given = policy.get("dmPolicy")
    door = given if isinstance(given, Mapping) else {name: policy[name] for name in _OF_DOOR if name in policy}
    body: dict[str, Any] = {name: policy[name] for name in _OF_CHANNEL if name in policy}
    if isinstance(given, Mapping):
        body.pop("dmPolicy")
    channels = policy.get("channels", {})
    for own in (channels.get(channel) if isinstance(channels, Mapping) else None, policy.get(channel)):
        body |= own if isinstance(own, Mapping) else {}
    for key, wanted in check_channel(body):
        raise InvalidRequest(f"policy.{key}: expected {wanted}")
    return msgspec.convert(door, DmPolicyConfig), body


def _place(entry: str | Mapping[str, Any]) -> str:
    if isinstance(entry, str):
        channel, _, rest = entry.partition(":")
        account, colon, sender = rest.partition(":")
        if not colon:
            account, sender = DEFAULT_ACCOUNT, account
    else:
        channel = str(entry.get("channel", ""))
        account = str(entry.get("account") or DEFAULT_ACCOUNT)
        sender = entry.get("sender", "")
    return f"{channel}:{account}:{own_id(channel, sender)}"
