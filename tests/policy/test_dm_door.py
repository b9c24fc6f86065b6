"""Who may talk: by ids that platforms give, never by names, account by account."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.config.schema import Config, DmPolicyConfig
from openclaw.policy.dm_door import EVERYBODY, Message, dm_verdict, own_id, terms_of


def verdict(policy: DmPolicyConfig, channel: dict[str, Any], message: Message, paired: bool = False) -> tuple[str, str]:
    found = dm_verdict(terms_of(policy, {message.channel: channel}, message), message, lambda _: paired)
    return found.answer, found.rule_id


def direct(sender: str = "1", channel: str = "telegram", account: str = "default") -> Message:
    return Message(channel=channel, sender=sender, account=account)


def in_group(sender: str = "1", *, mentioned: bool = True) -> Message:
    return Message(channel="telegram", sender=sender, group="-100", mentioned=mentioned)


@pytest.mark.parametrize(
    ("mode", "ids", "paired", "rule"),
    [
        ("allowlist", (), False, "dm.unknown"),
        ("allowlist", ("telegram:1",), False, "dm.listed"),
        ("allowlist", ("telegram:2", "discord:1", "1", "@alice", "alice"), False, "dm.unknown"),
        ("allowlist", ("*",), False, "dm.unknown"),
        ("allowlist", (), True, "dm.unknown"),
        ("pairing", (), False, "dm.pairing"),
        ("pairing", (), True, "dm.paired"),
        ("pairing", ("telegram:1",), False, "dm.listed"),
        ("open", (), False, "dm.not-open"),
        ("open", ("telegram:1",), False, "dm.listed"),
        ("open", ("*",), False, "dm.open"),
        ("disabled", ("*", "telegram:1"), True, "dm.disabled"),
    ],
)
def test_the_mode_decides_who_may_write_directly(mode: Any, ids: tuple[str, ...], paired: bool, rule: str) -> None:
    assert verdict(DmPolicyConfig(mode=mode, allow_ids=ids), {}, direct(), paired)[1] == rule


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"allowFrom": [1]}, "dm.listed"),
        ({"allowFrom": ["1"]}, "dm.listed"),
        ({"allowFrom": ["telegram:1"]}, "dm.listed"),
        ({"allowFrom": ["discord:1", "@a", "Alice", True, None, {"id": 1}]}, "dm.unknown"),
        ({"dmPolicy": "disabled", "allowFrom": [1]}, "dm.disabled"),
        ({"enabled": False, "allowFrom": [1]}, "dm.disabled"),
        ({"dmPolicy": "nonsense"}, "dm.unknown"),
        ({"accounts": {"default": {"allowFrom": [1]}}}, "dm.listed"),
        ({"accounts": {"other": {"allowFrom": [1]}}}, "dm.unknown"),
        ({"allowFrom": [1], "accounts": {"default": {"allowFrom": []}}}, "dm.unknown"),
        ({"dmPolicy": "open", "allowFrom": ["*"]}, "dm.open"),
        ({"dmPolicy": "pairing"}, "dm.pairing"),
        ({"groupAllowFrom": [1]}, "dm.unknown"),
    ],
)
def test_a_channel_and_its_account_say_otherwise(body: dict[str, Any], rule: str) -> None:
    assert verdict(DmPolicyConfig(), body, direct())[1] == rule


def test_what_is_off_for_all_channels_no_channel_switches_on() -> None:
    body = {"dmPolicy": "open", "allowFrom": ["*"], "groupPolicy": "open", "groupAllowFrom": ["*"]}
    assert verdict(DmPolicyConfig(mode="disabled"), body, direct()) == ("deny", "dm.disabled")
    assert verdict(DmPolicyConfig(mode="disabled"), body, in_group()) == ("deny", "dm.group-disabled")


@pytest.mark.parametrize(
    ("body", "mentioned", "rule"),
    [
        ({}, True, "dm.group-sender"),
        ({"allowFrom": [1]}, True, "dm.group-sender"),
        ({"groupAllowFrom": [1]}, True, "dm.group"),
        ({"groupAllowFrom": [1]}, False, "dm.not-mentioned"),
        ({"groupAllowFrom": [1], "requireMention": False}, False, "dm.group"),
        ({"groupAllowFrom": [1], "requireMention": "no"}, False, "dm.not-mentioned"),
        ({"groupAllowFrom": ["*"]}, True, "dm.group-sender"),
        ({"groupPolicy": "open"}, True, "dm.group-sender"),
        ({"groupPolicy": "open", "groupAllowFrom": ["*"]}, True, "dm.group"),
        ({"groupPolicy": "disabled", "groupAllowFrom": [1]}, True, "dm.group-disabled"),
        ({"groupAllowFrom": [1], "groups": {"-200": {}}}, True, "dm.group-unknown"),
        ({"groupAllowFrom": [1], "groups": {"-100": {"requireMention": False}}}, False, "dm.group"),
        ({"groupAllowFrom": [1], "groups": {"*": {}}}, True, "dm.group"),
        ({"groupAllowFrom": [1], "groups": {"-100": {"allowFrom": [2]}}}, True, "dm.group-sender"),
    ],
)
def test_groups_have_a_list_of_their_own(body: dict[str, Any], mentioned: bool, rule: str) -> None:
    policy = DmPolicyConfig(mode="pairing", allow_ids=("telegram:1",))
    assert verdict(policy, body, in_group(mentioned=mentioned), paired=True)[1] == rule


@pytest.mark.parametrize(
    ("channel", "sender"),
    [
        ("telegram", "@alice"),
        ("telegram", "alice"),
        ("telegram", "telegram:1"),
        ("telegram", "1 "),
        ("telegram", "1\n"),
        ("telegram", "١"),
        ("telegram", "*"),
        ("telegram", ""),
        ("slack", "alice"),
        ("discord", "alice#1234"),
        ("whatsapp", "Alice"),
        ("matrix", "alice"),
        ("Telegram", "1"),
        ("", "1"),
        ("own", "Alice Smith"),
        ("own", "@alice"),
    ],
)
def test_who_has_no_id_of_the_platform_is_nobody(channel: str, sender: str) -> None:
    body = {"dmPolicy": "open", "allowFrom": ["*", sender]}
    assert verdict(DmPolicyConfig(), body, direct(sender, channel)) == ("deny", "dm.no-id")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_name_never_opens_what_is_listed_by_id(entry: str, sender: str) -> None:
    found = verdict(DmPolicyConfig(), {"allowFrom": [entry]}, direct(sender))
    if found[0] == "allow":
        assert sender == own_id("telegram", entry) != ""
        assert sender.removeprefix("-").isdecimal()


def test_the_default_lets_nobody_in() -> None:
    assert verdict(Config().dm_policy, {}, direct()) == ("deny", "dm.unknown")
    assert EVERYBODY not in Config().dm_policy.allow_ids
