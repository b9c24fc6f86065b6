"""The door before every message from a chat channel: who may talk to an agent.

1. A sender is the id that the platform gave and never changes, named `channel:id`. What people call themselves opens
   nothing, and an id that the platform could not have given is nobody's.
2. Direct messages: `allowlist` lets in who is listed; `pairing` also who was let in by a code, and asks about others;
   `open` lets in everybody, but only with `*` among the ids; `disabled` nobody. A channel's account comes before its
   channel, and the channel before `dmPolicy`; `dmPolicy.mode: disabled` shuts all of them.
3. Groups have a list of their own (`groupPolicy`, `groupAllowFrom`): neither pairing nor the list for direct messages
   opens a group. Where `groups` names some, the others are shut. The agent is to be mentioned, unless that is waived.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from openclaw.base.principal import Principal
from openclaw.config.schema import Config, DmPolicyConfig
from openclaw.policy.gatekeeper import Ask, Rule, Verdict

KIND: Final = "dm"
EVERYBODY: Final = "*"
DEFAULT_ACCOUNT: Final = "default"
_NUMBER: Final = r"\+?[0-9]{5,20}"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FORMS: Final = {
    "discord": r"[0-9]{1,22}",
    "imessage": rf"{_NUMBER}|[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+",
    "matrix": r"@[A-Za-z0-9._=/+-]+:[A-Za-z0-9.:-]+",
    "signal": rf"{_NUMBER}|{_UUID}",
    "slack": r"[A-Z][A-Z0-9]{1,30}",
    "telegram": r"-?[0-9]{1,20}",
    "whatsapp": rf"{_NUMBER}(?:(?::[0-9]+)?@s\.whatsapp\.net|@c\.us)?|[0-9]{{5,20}}@lid",
}
_SPOKEN: Final = re.compile(r"\+[0-9][0-9 ()./-]*")
"""A number as people write it; the signs between its digits mean nothing."""
_BY_NUMBER: Final = ("imessage", "signal", "whatsapp")
_OTHER_FORM: Final = r"[A-Za-z0-9+][A-Za-z0-9+._:=@/-]{0,127}"
CHANNEL_FORM: Final = r"[a-z][a-z0-9_-]{0,31}"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as its channel vouches for it. `sender` and `group` are the platform's ids; `group` "" is a direct one.

    Shape: `sender` is in the form that `own_id` gives; in any other nobody is meant by it.

    The sender's name is not in it: nothing here may go by a name.
    """

    channel: str
    sender: str
    account: str = DEFAULT_ACCOUNT
    group: str = ""
    mentioned: bool = False

    @property
    def place(self) -> str:
        """The sender at one account of one channel: what is kept about somebody is kept under this."""
        return f"{self.channel}:{self.account}:{self.sender}"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What one account of one channel goes by."""

    mode: str = "allowlist"
    ids: frozenset[str] = frozenset()
    group_mode: str = "allowlist"
    group_ids: frozenset[str] = frozenset()
    group_known: bool = True
    require_mention: bool = True


def dm_rule(config: Callable[[], Config], is_paired: Callable[[Message], bool]) -> Rule:
    """Return the rule for kind `dm`; it goes by the configuration of the moment. Facts: `message`, a Message."""

    def rule(ask: Ask) -> Verdict:
        message = ask.facts.get("message")
        if not isinstance(message, Message):
            return Verdict("deny", "dm.no-message", "nothing says who writes")
        now = config()
        return dm_verdict(terms_of(now.dm_policy, now.channels, message), message, is_paired)

    return rule


def dm_ask(principal: Principal, message: Message, agent: str) -> Ask:
    """Return the question whether a message may reach an agent."""
    return Ask(
        kind=KIND,
        principal=principal,
        action="message",
        target=f"{message.channel}:{message.sender}",
        facts={"message": message},
        written={"account": message.account, "group": message.group},
        tainted=True,
        channel=message.channel,
        agent=agent,
    )


def dm_verdict(terms: Terms, message: Message, is_paired: Callable[[Message], bool]) -> Verdict:
    """Decide about one message. `ask` means: a person is asked, and until then the message goes nowhere."""
    known = own_id(message.channel, message.sender) if re.fullmatch(CHANNEL_FORM, message.channel) else ""
    if not known or known != message.sender:
        return Verdict("deny", "dm.no-id", "the sender has no id of this channel; names open nothing")
    if message.group:
        return _group(terms, message)
    if terms.mode == "disabled":
        return Verdict("deny", "dm.disabled", "direct messages are off for this channel")
    if message.sender in terms.ids:
        return Verdict("allow", "dm.listed", "the sender is on the list")
    if terms.mode == "open":
        if EVERYBODY in terms.ids:
            return Verdict("allow", "dm.open", "everybody may write to this channel")
        return Verdict("deny", "dm.not-open", 'open needs "*" among the ids, and the sender is not one of them')
    if terms.mode == "pairing":
        if is_paired(message):
            return Verdict("allow", "dm.paired", "the sender was let in by a code")
        return Verdict(
            "ask", "dm.pairing", "the sender is not known; an operator lets people in: openclaw pairing list"
        )
    return Verdict("deny", "dm.unknown", f"{message.channel}:{message.sender} is not on the list of who may write")


def _group(terms: Terms, message: Message) -> Verdict:
    if terms.group_mode == "disabled":
        return Verdict("deny", "dm.group-disabled", "groups are off for this channel")
    if not terms.group_known:
        return Verdict("deny", "dm.group-unknown", "the channel's groups do not name this one")
    everybody = terms.group_mode == "open" and EVERYBODY in terms.group_ids
    if not everybody and message.sender not in terms.group_ids:
        return Verdict("deny", "dm.group-sender", "the sender is not among groupAllowFrom")
    if terms.require_mention and not message.mentioned:
        return Verdict("deny", "dm.not-mentioned", "in groups the agent answers when it is mentioned")
    return Verdict("allow", "dm.group", "the sender may write in this group")


def terms_of(policy: DmPolicyConfig, channels: Mapping[str, Mapping[str, Any]], message: Message) -> Terms:
    """Return what a message's account goes by. What cannot be understood opens nothing."""
    channel = message.channel
    whole = _mapping(channels.get(channel))
    body = {**whole, **_mapping(_mapping(whole.get("accounts")).get(message.account))}
    groups = _mapping(body.get("groups"))
    group = _mapping(groups.get(message.group, groups.get(EVERYBODY)))
    off = policy.mode == "disabled" or not all(each.get("enabled", True) is True for each in (whole, body))
    group_ids = group.get("allowFrom", body.get("groupAllowFrom"))
    return Terms(
        mode="disabled" if off else str(body.get("dmPolicy", policy.mode)),
        ids=_ids(channel, body.get("allowFrom")) | _global_ids(channel, policy.allow_ids),
        group_mode="disabled" if off else str(body.get("groupPolicy", "allowlist")),
        group_ids=_ids(channel, group_ids),
        group_known=not groups or message.group in groups or EVERYBODY in groups,
        require_mention=group.get("requireMention", body.get("requireMention", True)) is not False,
    )


def own_id(channel: str, text: object) -> str:
    """Return an id of a channel in its one form, without the channel's name; "" for what cannot be one."""
    if isinstance(text, bool) or not isinstance(text, int | str):
        return ""
    bare = str(text).strip().removeprefix(f"{channel}:")
    if channel in _BY_NUMBER and _SPOKEN.fullmatch(bare):
        bare = re.sub("[^+0-9]", "", bare)
    if not re.fullmatch(_FORMS.get(channel, _OTHER_FORM), bare):
        return ""
    if channel == "whatsapp" and not bare.endswith("@lid"):  # those numbers are no telephones'
        bare = re.split("[:@]", bare)[0]
    return bare.removeprefix("+") if channel in _BY_NUMBER else bare


def _ids(channel: str, entries: object) -> frozenset[str]:
    listed: Iterable[object] = entries if isinstance(entries, list | tuple) else ()
    return frozenset(EVERYBODY if entry == EVERYBODY else own_id(channel, entry) for entry in listed) - {""}


def _global_ids(channel: str, entries: Iterable[str]) -> frozenset[str]:
    """Return those of `dmPolicy.allowIds` that are of this channel: they name it, or are `*`."""
    return _ids(channel, [each for each in entries if each == EVERYBODY or each.startswith(f"{channel}:")])


def names_among(policy: DmPolicyConfig, channels: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (setting, entry) for entries of lists that are no ids, and so open nothing."""
    for entry in policy.allow_ids:
        channel, colon, own = entry.partition(":")
        if entry != EVERYBODY and not (colon and own_id(channel, own)):
            yield "dmPolicy.allowIds", entry
    for channel, body in channels.items():
        for key in ("allowFrom", "groupAllowFrom"):
            listed = body.get(key)
            for each in listed if isinstance(listed, list | tuple) else ():
                if each != EVERYBODY and not own_id(channel, each):
                    yield f"channels.{channel}.{key}", str(each)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
