"""Lines of kind dm: each gets the verdict that the door itself gives, or an error of its own."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest
from openclaw.policy.cases.dm import dm_case


def answer(policy: dict[str, Any], paired: Any = (), **message: Any) -> str:
    message = {"channel": "telegram", "account": "default", "sender": "1", "name": "alice", **message}
    rule: str = dm_case({"id": 7, "kind": "dm", "policy": policy, "message": message, "paired": list(paired)})["rule"]
    return rule


@pytest.mark.parametrize(
    "policy",
    [
        {"mode": "allowlist", "allowIds": ["telegram:1"]},
        {"dmPolicy": {"allowIds": ["telegram:1"]}},
        {"dmPolicy": "allowlist", "allowFrom": [1]},
        {"channels": {"telegram": {"allowFrom": ["telegram:1"]}}},
        {"telegram": {"allowFrom": ["1"]}},
    ],
)
def test_a_policy_may_be_spelled_from_the_top_or_from_its_channel(policy: dict[str, Any]) -> None:
    assert answer(policy) == "dm.listed"
    assert answer(policy, sender="telegram:1") == "dm.listed"
    assert answer(policy, sender=1) == "dm.listed"
    assert answer(policy, sender="2") == "dm.unknown"


def test_a_name_in_the_message_changes_nothing() -> None:
    policy = {"allowFrom": ["alice", "@alice", "telegram:alice"]}
    assert answer(policy, name="alice") == "dm.unknown"
    assert answer(policy, sender="alice") == "dm.no-id"


@pytest.mark.parametrize(
    ("paired", "rule"),
    [
        (["telegram:1"], "dm.paired"),
        (["telegram:default:1"], "dm.paired"),
        ([{"channel": "telegram", "account": "default", "sender": 1}], "dm.paired"),
        (["telegram:2"], "dm.pairing"),
        (["discord:1"], "dm.pairing"),
        (["telegram:other:1"], "dm.pairing"),
        ([{"channel": "telegram", "account": "other", "sender": "1"}], "dm.pairing"),
        (["alice"], "dm.pairing"),
    ],
)
def test_a_pairing_holds_for_one_account_of_one_channel(paired: list[Any], rule: str) -> None:
    assert answer({"mode": "pairing"}, paired) == rule
    named = paired != ["telegram:1"]
    assert answer({"mode": "pairing"}, paired, account="third") == ("dm.pairing" if named else "dm.paired")


@pytest.mark.parametrize("chat", ["group", "supergroup", "channel", "anything", {"type": "group", "id": "-5"}])
def test_a_pairing_opens_no_group(chat: Any) -> None:
    assert answer({"mode": "pairing"}, ["telegram:1"], chat=chat, mentioned=True) == "dm.group-sender"


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"message": "x"},
        {"message": {"channel": 1, "sender": "1"}},
        {"message": {"channel": "Telegram", "sender": "1"}},
        {"message": {"channel": "", "sender": "1"}},
        {"message": {"sender": "1"}},
        {"message": {"channel": "telegram", "sender": ["1"]}},
        {"message": {"channel": "telegram", "sender": True}},
        {"message": {"channel": "telegram", "sender": 1.5}},
        {"message": {"channel": "telegram", "sender": "1", "chat": ["dm"]}},
        {"message": {"channel": "telegram", "sender": "1", "mentioned": "yes"}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"dmPolicy": "sometimes"}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"groupPolicy": "pairing"}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"requireMention": "no"}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"accounts": {"a": {"dmPolicy": "yes"}}}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"accounts": {"a": "pairing"}}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"groups": {"-5": {"allowFrom": 1}}}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"groups": []}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": []},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"mode": "sometimes"}},
        {"message": {"channel": "telegram", "sender": "1"}, "policy": {"allowFrom": "1"}},
        {"message": {"channel": "telegram", "sender": "1"}, "paired": [True]},
        {"message": {"channel": "telegram", "sender": "1"}, "paired": "telegram:1"},
    ],
)
def test_a_bad_line_says_so(line: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        dm_case({"id": 1, "kind": "dm", **line})


def test_a_limit_that_nobody_knows_is_an_error_and_no_allowance() -> None:
    for policy in ({"mode": "open", "allowIds": ["*"], "denyIds": ["telegram:1"]}, {"dmPolicy": {"block": [1]}}):
        with pytest.raises(InvalidRequest):
            answer(policy)
    assert answer({"mode": "allowlist", "allow_ids": ["telegram:1"], "note": "x"}) == "dm.listed"
    assert answer({"dmPolicy": {"mode": "allowlist", "allowFrom": ["telegram:1"]}}) == "dm.listed"
    assert answer({"dmPolicy": {"allow_ids": ["telegram:1"]}, "gateway": {"port": 1}}) == "dm.listed"


def test_a_group_may_be_a_yes_or_a_no() -> None:
    policy = {"allowIds": ["telegram:1"]}
    assert answer(policy, group=False) == "dm.listed"
    assert answer(policy, group=True).startswith("dm.group")
