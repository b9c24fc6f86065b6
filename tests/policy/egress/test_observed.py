"""What was asked for, against what is allowed now."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.audit import Entry
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import AgentConfig, AgentNetworkConfig, AgentsConfig, Config, NetworkPolicyConfig
from openclaw.policy.egress import observed as egress_observed
from openclaw.policy.egress.door import EgressClass, Errand, egress_ask
from openclaw.policy.egress.observed import AUDIT_SESSION, Unused, observed
from openclaw.policy.egress.review import idle_entries, reviews_due


def row(target: str, answer: Any = "allow", *, at_ms: int = 1, address: str = "", **errand: Any) -> Entry:
    """Return a row as the door has it written."""
    host, _, port = target.rpartition(":")
    ask = egress_ask(LOCAL_OPERATOR, Errand(**errand), host.strip("[]"), int(port), address)
    return Entry(
        at_ms=at_ms,
        kind="egress",
        action=ask.action,
        target=ask.target,
        answer=answer,
        agent=ask.agent,
        facts=ask.written,
    )


def config(**policy: Any) -> Config:
    return Config(network_policy=msgspec.convert(policy, NetworkPolicyConfig))


def test_what_is_asked_for_and_denied_now_is_told_with_the_line_to_add() -> None:
    found = observed(
        [
            row("a.example:443", action="tool web_fetch", agent="main", at_ms=5),
            row("b.example:443", "deny", action="tool web_fetch", agent="main", at_ms=7),
            row("b.example:443", "deny", action="tool web_fetch", agent="main", at_ms=9),
            row("in.example:443", "deny", address="10.0.0.9", action="tool web_fetch"),
            row("[2606:4700::1111]:8443"),
        ],
        config(egressAllowlist=["a.example", "in.example", "[2606:4700::1111]:8443"]),
    )
    (first, *_) = found.seen
    assert (first.host, first.times, first.denied, first.last_ms, first.answer) == ("b.example", 2, 2, 9, "deny")
    assert [each.host for each in found.missing] == ["b.example", "in.example"]
    assert '"b.example"]' in found.missing[0].reason
    assert "10.0.0.9, which is private" in found.missing[1].reason
    assert found.unused == []


def test_what_was_allowed_then_may_be_denied_now_by_class_and_agent() -> None:
    asked = [
        row("m.example:443", klass="inference", configured=True, action="inference"),
        row("a.example:443", agent="shy", action="tool web_fetch"),
        row("a.example:443", agent="main", action="tool web_fetch"),
    ]
    policy = msgspec.convert(
        {"egressAllowlist": ["a.example"], "classes": {"inference": {"allow": ["other.example"]}}}, NetworkPolicyConfig
    )
    shy = AgentConfig(id="shy", network_policy=AgentNetworkConfig(egress_allowlist=()))
    found = observed(asked, Config(network_policy=policy, agents=AgentsConfig(list=(shy,))))
    assert [(each.host, each.agent, each.rule) for each in found.missing] == [
        ("a.example", "shy", "egress.narrowed"),
        ("m.example", "", "egress.unlisted"),
    ]
    assert found.unused == [Unused("networkPolicy.classes.inference.allow", "other.example")]


def test_an_entry_that_nothing_needed_is_told_but_no_network_that_a_name_may_stand_for() -> None:
    policy = {"egressAllowlist": ["a.example", "*.cdn.example", "10.0.0.0/8", "z.example:9", "nonsense/", "8.8.8.8"]}
    by_name = observed([row("a.example:443"), row("x.cdn.example:443"), row("z.example:443", "deny")], config(**policy))
    assert [each.entry for each in by_name.unused] == ["z.example:9", "nonsense/"]
    by_number = observed([row("8.8.8.8:443")], config(**policy))
    assert [each.entry for each in by_number.unused] == [
        "a.example",
        "*.cdn.example",
        "10.0.0.0/8",
        "z.example:9",
        "nonsense/",
    ]


def test_rows_that_are_no_destination_are_left_aside_and_too_many_are_counted(monkeypatch: Any) -> None:
    monkeypatch.setattr(egress_observed, "MAX_SEEN", 2)
    rows = [row(f"h{n % 4}.example:443", "deny") for n in range(8)]
    rows += [Entry(at_ms=1, kind="exec", action="x"), Entry(at_ms=1, kind="egress", action="x", target="odd")]
    found = observed(rows, config())
    assert (len(found.seen), found.beyond) == (2, 4)


def test_what_the_security_audit_asks_for_is_needed_by_nobody_but_what_it_got_is_told() -> None:
    probe = msgspec.structs.replace(row("127.0.0.1:9", "deny"), session=f"agent:main:{AUDIT_SESSION}")
    assert observed([probe], config()).seen == []
    assert len(observed([msgspec.structs.replace(probe, answer="allow")], config()).missing) == 1


def test_a_review_is_due_from_the_day_after_and_a_day_that_is_none_is_due() -> None:
    classes: dict[EgressClass, Any] = {
        "inference": {"allow": ["a.example"], "owner": "ml", "review": "2026-11-19"},
        "tools": {"review": "2026-11-20"},
        "internal": {"review": "2027-02-30"},
        "artifacts": {"allow": ["b.example"]},
    }
    due = list(reviews_due(config(classes=classes), 1_795_132_800_000))  # noon of 2026-11-20
    assert [(each.setting, each.review, each.owner, each.entries) for each in due] == [
        ("networkPolicy.classes.inference", "2026-11-19", "ml", 1),
        ("networkPolicy.classes.internal", "2027-02-30", "", 0),
    ]


def test_entries_that_open_nothing_are_found_in_every_list() -> None:
    bad = ["https://a.example/", "*", "10.0.0.0/99", "a.example:99999", "*.*.example", "", "u@a.example", "a b"]
    for entry in bad:
        policy = config(
            egressAllowlist=[entry, "ok.example"],
            classes={"tools": {"allow": [entry]}},
            actions={"web_fetch": {"egressAllowlist": [entry]}},
        )
        assert len(list(idle_entries(policy))) == 3, entry
    own = AgentNetworkConfig(egress_allowlist=("*",))
    shy = AgentConfig(id="shy", network_policy=own)
    (found,) = idle_entries(Config(agents=AgentsConfig(list=(shy,))))
    assert found[0] == "agents.list[shy].networkPolicy.egressAllowlist"
