"""Which changes may open a door: all of which nobody has said that they do not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from openclaw.base.secret import Secret
from openclaw.config.schema import Config
from openclaw.config.schema.describe import leaves
from openclaw.policy.loosening import _RULES, changes_between


def config(**sections: Any) -> Config:
    return msgspec.convert(sections, Config, dec_hook=lambda type_, value: Secret(value) if type_ is Secret else value)


@pytest.mark.parametrize(
    ("section", "stricter", "looser"),
    [
        ("networkPolicy", {"allowEgress": False}, {"allowEgress": True}),
        ("networkPolicy", {"egressAllowlist": ["a.com"]}, {"egressAllowlist": ["a.com", "b.com"]}),
        ("networkPolicy", {"egressAllowlist": ["a.com", "b.com"]}, {"egressAllowlist": ["a.com", "*.com"]}),
        ("dmPolicy", {"mode": "disabled"}, {"mode": "allowlist"}),
        ("dmPolicy", {"mode": "allowlist"}, {"mode": "pairing"}),
        ("dmPolicy", {"allowIds": []}, {"allowIds": ["*"]}),
        ("tools", {"exec": {"security": "deny"}}, {"exec": {"security": "allowlist"}}),
        ("tools", {"exec": {"ask": "always"}}, {"exec": {"ask": "on-miss"}}),
        ("tools", {"exec": {"safeBins": []}}, {"exec": {"safeBins": ["*"]}}),
        ("tools", {"deny": ["a", "b"]}, {"deny": ["a"]}),
        ("gateway", {"nodes": {"commands": {"deny": ["*"]}}}, {"nodes": {"commands": {"deny": []}}}),
        ("gateway", {"tls": {"enabled": True}}, {"tls": {"enabled": False}}),
        ("hooks", {"enabled": False}, {"enabled": True}),
    ],
)
def test_the_direction_of_a_change_decides(section: str, stricter: dict[str, Any], looser: dict[str, Any]) -> None:
    narrow, wide = config(**{section: stricter}), config(**{section: looser})
    assert any(each.looser for each in changes_between(narrow, wide))
    backwards = changes_between(wide, narrow)
    assert backwards
    if looser != {"egressAllowlist": ["a.com", "*.com"]}:
        assert not any(each.looser for each in backwards)


def test_asking_for_nothing_is_looser_than_asking_always() -> None:
    always, off = config(tools={"exec": {"ask": "always"}}), config(tools={"exec": {"ask": "off"}})
    assert [each.looser for each in changes_between(always, off)] == [True]
    assert [each.looser for each in changes_between(off, always)] == [True], "what was denied is asked about now"


def test_what_has_no_rule_counts_as_looser() -> None:
    before, after = config(), config(gateway={"port": 1234}, storage={"quotas": {"mediaBytes": 5}})
    assert [(each.path, each.looser) for each in changes_between(before, after)] == [
        ("gateway.port", True),
        ("storage.quotas.mediaBytes", True),
    ]


def test_a_secret_is_never_shown() -> None:
    before = config(gateway={"auth": {"token": "sekret-1"}}, channels={"telegram": {"botToken": "sekret-2"}})
    after = config(gateway={"auth": {"token": "sekret-3"}}, channels={"telegram": {"botToken": "sekret-4"}})
    found = changes_between(before, after)
    assert [each.path for each in found] == ["channels.telegram.botToken", "gateway.auth.token"]
    assert "sekret" not in repr(found)
    assert all(each.looser for each in found)


def test_every_rule_is_about_a_setting_that_there_is() -> None:
    assert set(_RULES) <= {leaf.path for leaf in leaves()}
