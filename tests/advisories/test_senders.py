"""Published failures of channels, as far as they are about who may write."""

from __future__ import annotations

import pytest

from openclaw.policy.cases.dm import dm_case


@pytest.mark.parametrize("mode", ["allowlist", "pairing", "open", "disabled"])
@pytest.mark.parametrize("entry", ["@alice", "alice", "telegram:alice", "telegram:@alice", "Alice Smith"])
def test_cve_2026_28480_a_name_that_can_be_changed_opens_nothing(entry: str, mode: str) -> None:
    policy = {"mode": mode, "allowIds": [entry], "allowFrom": [entry], "groupAllowFrom": [entry]}
    for chat in ("direct", "group"):
        for sender in ("666", "alice", "@alice", "Alice Smith", entry):
            message = {"channel": "telegram", "sender": sender, "name": "alice", "chat": chat, "mentioned": True}
            line = {"kind": "dm", "policy": policy, "message": message, "paired": [entry, f"telegram:{entry}"]}
            assert dm_case(line)["verdict"] != "allow"


def test_a_pairing_is_of_one_account_and_opens_no_group() -> None:
    line = {"kind": "dm", "policy": {"mode": "pairing"}, "paired": ["telegram:a:1"]}
    message = {"channel": "telegram", "account": "a", "sender": "1", "mentioned": True}
    assert dm_case({**line, "message": message})["verdict"] == "allow"
    assert dm_case({**line, "message": {**message, "account": "b"}})["verdict"] == "ask"
    assert dm_case({**line, "message": {**message, "chat": "group"}})["verdict"] == "deny"
