"""Lines of kind dm by a table: modes, ids, groups, accounts and pairings in every shape that somebody may write."""

from __future__ import annotations

from typing import Any, Final

import pytest

from openclaw.policy.cases.dm import dm_case

Row = tuple[dict[str, Any], dict[str, Any], list[Any], str]


def on(policy: dict[str, Any], wanted: str, *paired: Any, **message: Any) -> Row:
    return policy, {"channel": "telegram", "sender": "5", **message}, list(paired), wanted


ME: Final = {"allowIds": ["telegram:5"]}
PAIRING: Final = {"mode": "pairing"}
OPEN: Final = {"mode": "open", "allowIds": ["*"]}
OPEN_GROUP: Final = {"groupPolicy": "open", "groupAllowFrom": ["*"]}
GROUP: Final = {"groupPolicy": "allowlist", "groupAllowFrom": [5]}
ACCOUNTS: Final = {
    "telegram": {
        "dmPolicy": "pairing",
        "allowFrom": [1],
        "accounts": {
            "work": {"dmPolicy": "allowlist", "allowFrom": [5]},
            "shut": {"dmPolicy": "disabled"},
            "off": {"enabled": False},
            "wide": {"dmPolicy": "open", "allowFrom": ["*"]},
            "meant": {"dmPolicy": "open"},
        },
    }
}

MODES: Final = (
    on({}, "deny"),
    on({"mode": "allowlist"}, "deny"),
    on({"dmPolicy": {}}, "deny"),
    on(ME, "allow"),
    on(ME, "deny", sender="6"),
    on(ME, "deny", sender="55"),
    on(ME, "deny", sender="-5"),
    on(ME, "deny", sender="05"),
    on(ME, "deny", channel="discord"),
    on({"allowIds": ["5"]}, "deny"),
    on({"allowIds": ["discord:5"]}, "deny"),
    on({"allowIds": ["telegram:*"]}, "deny"),
    on({"allowIds": ["*"]}, "deny"),
    on({"allowIds": ["Telegram:5"]}, "deny"),
    on({"allowIds": ["telegram:5 "]}, "allow"),
    on({"mode": "open"}, "deny"),
    on({"mode": "open", "allowIds": ["telegram:*"]}, "deny"),
    on({"mode": "open", "allowIds": ["**"]}, "deny"),
    on({"mode": "open", "allowIds": [" *"]}, "deny"),
    on({"mode": "open", "allowIds": ["telegram:5"]}, "allow"),
    on({"mode": "open", "allowIds": ["telegram:5"]}, "deny", sender="6"),
    on(OPEN, "allow"),
    on(OPEN, "allow", sender="999999999999"),
    on({"mode": "disabled", "allowIds": ["*", "telegram:5"]}, "deny"),
    on({"mode": "disabled"}, "deny", "telegram:5"),
    on({"dmPolicy": {"mode": "disabled"}, "telegram": {"dmPolicy": "open", "allowFrom": ["*"]}}, "deny"),
    on({"dmPolicy": {"mode": "open", "allowIds": ["*"]}, "telegram": {"dmPolicy": "allowlist"}}, "deny"),
    on({"dmPolicy": {"mode": "open", "allowIds": ["*"]}, "telegram": {"dmPolicy": "disabled"}}, "deny"),
    on({"dmPolicy": {"mode": "allowlist"}, "channels": {"telegram": {"dmPolicy": "pairing"}}}, "ask"),
    on({"dmPolicy": {"mode": "pairing"}, "channels": {"discord": {"dmPolicy": "open", "allowFrom": ["*"]}}}, "ask"),
    on({"dmPolicy": "open", "allowFrom": ["*"]}, "allow"),
    on({"dmPolicy": "open"}, "deny"),
    on({"dmPolicy": "pairing", "allowFrom": ["telegram:5"]}, "allow"),
    on({"dmPolicy": "allowlist", "allowFrom": ["5", 6]}, "allow"),
    on({"dmPolicy": "allowlist", "allowFrom": ["5", 6]}, "allow", sender=6),
    on({"channels": {"telegram": {"enabled": False, "allowFrom": [5]}}}, "deny"),
    on({"mode": "allowlist", "unknownReply": "Who are you?"}, "deny"),
    on({"mode": "pairing", "unknownReply": "Who are you?"}, "ask"),
    on(PAIRING, "ask"),
)

PAIRED: Final = (
    on(PAIRING, "allow", "telegram:5"),
    on(PAIRING, "allow", "telegram:default:5"),
    on(PAIRING, "allow", "5"),
    on(PAIRING, "allow", 5),
    on(PAIRING, "allow", "telegram:5", sender=5),
    on(PAIRING, "allow", "telegram:5", sender="telegram:5"),
    on(PAIRING, "allow", "telegram:5", account="a"),
    on(PAIRING, "allow", "5", account="a"),
    on(PAIRING, "allow", "telegram:a:5", account="a"),
    on(PAIRING, "ask", "telegram:a:5", account="b"),
    on(PAIRING, "ask", "telegram:a:5"),
    on(PAIRING, "ask", "telegram:default:5", account="a"),
    on(PAIRING, "ask", "discord:5"),
    on(PAIRING, "ask", "discord:default:5"),
    on(PAIRING, "ask", "telegram:6", "telegram:55", "telegram:", "", "telegram", ":5", "telegram::5"),
    on(PAIRING, "ask", "alice", "@alice", "telegram:alice", name="alice"),
    on(PAIRING, "ask", "*", "telegram:*", "telegram:default:*"),
    on(PAIRING, "allow", {"channel": "telegram", "sender": "5"}),
    on(PAIRING, "allow", {"channel": "telegram", "sender": 5}, account="a"),
    on(PAIRING, "allow", {"channel": "telegram", "account": "a", "sender": "5"}, account="a"),
    on(PAIRING, "allow", {"channel": "telegram", "account": "a", "id": "telegram:5"}, account="a"),
    on(PAIRING, "allow", {"channel": "telegram", "account": "default", "id": 5}),
    on(PAIRING, "ask", {"channel": "telegram", "account": "b", "sender": "5"}, account="a"),
    on(PAIRING, "ask", {"channel": "telegram", "account": "a", "sender": "5"}),
    on(PAIRING, "ask", {"channel": "discord", "sender": "5"}),
    on(PAIRING, "ask", {"channel": "telegram"}, {}),
    on({"mode": "allowlist"}, "deny", "telegram:5"),
    on({"mode": "open"}, "deny", "telegram:5"),
    on(PAIRING, "deny", "telegram:5", chat="group", mentioned=True),
    on({**PAIRING, **OPEN_GROUP}, "allow", chat="group", mentioned=True),
    on({**PAIRING, **GROUP}, "ask"),
)

DIRECT: Final[tuple[Any, ...]] = ("dm", "direct", "DIRECT", "private", "im", "user", "", None, {})
CHATS: Final = (
    *(on(ME, "allow", chat=kind) for kind in DIRECT),
    *(on(ME, "allow", chat={key: "direct"}) for key in ("type", "kind", "chatType")),
    *(on(ME, "allow", chat=place) for place in ("5", 5, "telegram:5", "dm:5", "direct:5", "user:5")),
    *(on(ME, "allow", chat={"id": place}) for place in ("5", 5, "telegram:5", None, "")),
    on(ME, "allow", chat={"type": "private", "id": 5}),
    on(ME, "allow", chat={"type": "direct", "id": "777"}),
    on(ME, "allow", chat={"type": "private", "id": 5, "isGroup": False}),
    on(ME, "allow", chatType="direct"),
    on(ME, "allow", chatId=5),
    *(on(ME, "deny", chat=kind, mentioned=True) for kind in ("group", "supergroup", "channel", "thread", "room")),
    *(on(ME, "deny", chat={"type": kind, "id": 5}, mentioned=True) for kind in ("group", "GROUP", "channel", "odd")),
    *(on(ME, "deny", chat={key: "group"}, mentioned=True) for key in ("type", "kind", "chatType")),
    *(on(ME, "deny", chat=place, mentioned=True) for place in ("-100200", -100200, "6", "group:5", "odd")),
    on(ME, "deny", chat={"isGroup": True}, mentioned=True),
    on(ME, "deny", chat={"type": "direct", "isGroup": True}, mentioned=True),
    on(ME, "deny", chat={"type": "direct", "kind": "group"}, mentioned=True),
    on(ME, "deny", chat={"id": "-100200"}, mentioned=True),
    on(ME, "deny", isGroup=True, mentioned=True),
    on(ME, "deny", chatType="group", mentioned=True),
    on(ME, "deny", group="-100200", mentioned=True),
    on(ME, "deny", groupId=-100200, chat="direct", mentioned=True),
    on({"allowIds": ["slack:U024BE7LH"]}, "allow", channel="slack", sender="U024BE7LH", chat="D024BE91L"),
    on({"allowIds": ["slack:U024BE7LH"]}, "deny", channel="slack", sender="U024BE7LH", chat="C024BE91L",
       mentioned=True),
    on({"allowIds": ["slack:U024BE7LH"]}, "deny", channel="slack", sender="U024BE7LH", chat="G024BE91L",
       mentioned=True),
    on({"allowIds": ["whatsapp:+4915112345678"]}, "allow", channel="whatsapp", sender="4915112345678",
       chat="4915112345678@s.whatsapp.net"),
    on({"allowIds": ["whatsapp:+4915112345678"]}, "deny", channel="whatsapp", sender="4915112345678",
       chat="4915112345678-1600000000@g.us", mentioned=True),
    on({"allowIds": ["whatsapp:+4915112345678"]}, "deny", channel="whatsapp", sender="4915112345678",
       chat="4915112345678@g.us", mentioned=True),
)  # fmt: skip

GROUPS: Final = (
    on({}, "deny", chat="group", mentioned=True),
    on(GROUP, "allow", chat="group", mentioned=True),
    on(GROUP, "allow", chat={"type": "supergroup", "id": -100}, mentioned=True),
    on(GROUP, "deny", chat="group"),
    on(GROUP, "deny", chat="group", mentioned=False),
    on(GROUP, "allow", chat={"type": "group", "mentioned": True}),
    on(GROUP, "allow", chat="group", wasMentioned=True),
    on({**GROUP, "requireMention": False}, "allow", chat="group"),
    on(GROUP, "deny", chat="group", mentioned=True, sender="6"),
    on(GROUP, "deny"),
    on({"groupAllowFrom": [5]}, "allow", chat="group", mentioned=True),
    on({"groupAllowFrom": ["telegram:5"]}, "allow", chat="group", mentioned=True),
    on({"groupAllowFrom": ["discord:5"]}, "deny", chat="group", mentioned=True),
    on({"groupAllowFrom": ["*"]}, "deny", chat="group", mentioned=True),
    on({"groupPolicy": "open"}, "deny", chat="group", mentioned=True),
    on(OPEN_GROUP, "allow", chat="group", mentioned=True),
    on(OPEN_GROUP, "deny", chat="group"),
    on({**OPEN_GROUP, "groupPolicy": "disabled"}, "deny", chat="group", mentioned=True),
    on({"allowFrom": [5], "dmPolicy": "open"}, "deny", chat="group", mentioned=True),
    on({"dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open"}, "deny", chat="group", mentioned=True),
    on({"dmPolicy": "disabled", **GROUP}, "allow", chat="group", mentioned=True),
    on({"dmPolicy": {"mode": "disabled"}, "telegram": GROUP}, "deny", chat="group", mentioned=True),
    on({**GROUP, "groups": {"-100": {}}}, "allow", chat={"type": "group", "id": "-100"}, mentioned=True),
    on({**GROUP, "groups": {"-100": {}}}, "allow", chat=-100, mentioned=True),
    on({**GROUP, "groups": {"-100": {}}}, "deny", chat={"type": "group", "id": "-200"}, mentioned=True),
    on({**GROUP, "groups": {"-100": {}}}, "deny", chat="group", mentioned=True),
    on({**GROUP, "groups": {"*": {}}}, "allow", chat={"type": "group", "id": "-200"}, mentioned=True),
    on({**GROUP, "groups": {"-100": {"allowFrom": [6]}}}, "deny", chat=-100, mentioned=True),
    on({**GROUP, "groups": {"-100": {"allowFrom": [6]}}}, "allow", chat=-100, mentioned=True, sender="6"),
    on({**GROUP, "groups": {"-100": {"requireMention": False}}}, "allow", chat=-100),
    on({**GROUP, "requireMention": False, "groups": {"-100": {"requireMention": True}}}, "deny", chat=-100),
)

OWN_ACCOUNTS: Final = (
    on({"channels": ACCOUNTS}, "ask"),
    on({"channels": ACCOUNTS}, "allow", sender="1"),
    on({"channels": ACCOUNTS}, "allow", account="work"),
    on({"channels": ACCOUNTS}, "deny", account="work", sender="1"),
    on({"channels": ACCOUNTS}, "deny", "telegram:work:7", account="work", sender="7"),
    on({"channels": ACCOUNTS}, "ask", account="unnamed"),
    on({"channels": ACCOUNTS}, "deny", account="shut", sender="1"),
    on({"channels": ACCOUNTS}, "deny", account="off", sender="1"),
    on({"channels": ACCOUNTS}, "allow", account="wide", sender="77"),
    on({"channels": ACCOUNTS}, "deny", account="meant", sender="77"),
    on({"channels": ACCOUNTS}, "allow", account="meant", sender="1"),
    on({"channels": ACCOUNTS}, "deny", channel="discord"),
    on({"telegram": {**ACCOUNTS["telegram"], "enabled": False}}, "deny", account="work"),
    on({"telegram": {"enabled": False, "accounts": {"work": {"enabled": True, "allowFrom": [5]}}}}, "deny",
       account="work"),
    on({"dmPolicy": {"allowIds": ["telegram:9"]}, "channels": ACCOUNTS}, "allow", account="work", sender="9"),
)  # fmt: skip

NAMES: Final = (
    *(
        on({"allowIds": [entry], "allowFrom": [entry], "groupAllowFrom": [entry]}, "deny", sender=sender, name="alice")
        for entry in ("alice", "@alice", "telegram:alice", "telegram:@alice", "Alice Smith")
        for sender in ("5", "alice", "@alice", "telegram:alice")
    ),
    *(
        on(OPEN, "deny", sender=sender)
        for sender in ("", None, "alice", "@5", " 5", "5 ", "5\n", "\uff15", "5;6", "0x5", "5.0")
    ),
    on(OPEN, "deny", sender={"name": "alice"}),
    on(OPEN, "deny", sender={"id": None, "username": "alice"}),
    on(ME, "allow", sender={"id": 5, "name": "mallory"}),
    on(ME, "deny", sender={"id": 6, "name": "5", "username": "telegram:5"}),
    on(ME, "deny", sender="6", name="5", username="5", displayName="telegram:5"),
    on(PAIRING, "deny", "telegram:alice", sender="alice"),
)


def named(channel: str, entry: object, sender: object, wanted: str) -> Row:
    return on({"allowFrom": [entry]}, wanted, channel=channel, sender=sender)


FORMS: Final = (
    named("telegram", 123, 123, "allow"),
    named("telegram", "telegram:123", "telegram:123", "allow"),
    named("telegram", "telegram:telegram:123", 123, "deny"),
    named("telegram", "0123", "123", "deny"),
    named("telegram", "123", "+123", "deny"),
    named("slack", "U024BE7LH", "U024BE7LH", "allow"),
    named("slack", "slack:U024BE7LH", "U024BE7LH", "allow"),
    named("slack", "u024be7lh", "U024BE7LH", "deny"),
    named("slack", "U024BE7LH", "u024be7lh", "deny"),
    named("slack", "@alice", "U024BE7LH", "deny"),
    named("discord", "123456789012345678", "123456789012345678", "allow"),
    named("discord", 123456789012345678, "123456789012345678", "allow"),
    named("discord", "alice#1234", "123456789012345678", "deny"),
    named("discord", "alice#1234", "alice#1234", "deny"),
    named("whatsapp", "+4915112345678", "4915112345678", "allow"),
    named("whatsapp", "4915112345678", "+4915112345678", "allow"),
    named("whatsapp", "+49 151 1234-5678", "4915112345678", "allow"),
    named("whatsapp", "+1 (555) 010-9999", "+15550109999", "allow"),
    named("whatsapp", "whatsapp:+4915112345678", "4915112345678@s.whatsapp.net", "allow"),
    named("whatsapp", "+4915112345678", "4915112345678:12@s.whatsapp.net", "allow"),
    named("whatsapp", "4915112345678@c.us", "+4915112345678", "allow"),
    named("whatsapp", "+4915112345678", "4915112345678@lid", "deny"),
    named("whatsapp", "4915112345678@lid", "4915112345678@lid", "allow"),
    named("whatsapp", "4915112345678@lid", "4915112345678", "deny"),
    named("whatsapp", "+4915112345678", "4915112345678@g.us", "deny"),
    named("whatsapp", "+4915112345678", "4915112345678@evil.example", "deny"),
    named("whatsapp", "015112345678", "4915112345678", "deny"),
    named("whatsapp", "+4915112345678", "+49151123456789", "deny"),
    named("whatsapp", "Alice", "4915112345678", "deny"),
    named("signal", "+4915112345678", "+4915112345678", "allow"),
    named("signal", "+4915112345678", "4915112345678", "allow"),
    named("signal", "0b6cf0c2-9a7a-4f6e-8a3a-1f2d3c4b5a69", "0b6cf0c2-9a7a-4f6e-8a3a-1f2d3c4b5a69", "allow"),
    named("imessage", "+15550109999", "+15550109999", "allow"),
    named("imessage", "a@example.com", "a@example.com", "allow"),
    named("imessage", "a@example.com", "b@example.com", "deny"),
    named("matrix", "@a:example.org", "@a:example.org", "allow"),
    named("matrix", "matrix:@a:example.org", "@a:example.org", "allow"),
    named("matrix", "@a:example.org", "@a:evil.example", "deny"),
    named("matrix", "@a", "@a:example.org", "deny"),
    on(PAIRING, "allow", "matrix:@a:example.org", channel="matrix", sender="@a:example.org"),
    on(PAIRING, "allow", "matrix:home:@a:example.org", channel="matrix", sender="@a:example.org", account="home"),
    on(PAIRING, "ask", "matrix:home:@a:example.org", channel="matrix", sender="@a:example.org", account="work"),
    on(PAIRING, "allow", "whatsapp:+4915112345678", channel="whatsapp", sender="4915112345678@s.whatsapp.net"),
)

TABLE: Final = (*MODES, *PAIRED, *CHATS, *GROUPS, *OWN_ACCOUNTS, *NAMES, *FORMS)


def test_the_table_has_enough_rows() -> None:
    assert len(TABLE) >= 200


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[3]}-{str(row[:3])[:80]}")
def test_every_row_gets_its_verdict(row: Row) -> None:
    policy, message, paired, wanted = row
    found = dm_case({"id": 1, "kind": "dm", "policy": policy, "message": message, "paired": paired})
    assert found["verdict"] == wanted, found
