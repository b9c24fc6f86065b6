"""What a turn that has read text from outside may do alone, and what a person is asked about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.policy.content_door import (
    DETAIL_CHARS,
    KIND,
    Touch,
    content_verdict,
    detail,
    host_of,
    is_control,
    named,
    printable,
    touches,
    when_tainted,
)
from openclaw.policy.gatekeeper import Ask, Verdict


def verdict(tainted: bool = True, **facts: Any) -> Verdict:
    return content_verdict(Ask(kind=KIND, principal=LOCAL_OPERATOR, action="x", facts=facts, tainted=tainted))


@pytest.mark.parametrize("wish", ["outward", "new-host", "control-file", "command"])
def test_each_wish_is_asked_about_when_tainted_and_free_otherwise(wish: str) -> None:
    asked = verdict(wish=wish, source="web_fetch")
    assert (asked.answer, asked.rule_id) == ("ask", f"content.{wish}")
    assert "web_fetch" in asked.reason
    assert verdict(False, wish=wish).answer == "allow"


def test_a_wish_that_no_rule_knows_is_denied() -> None:
    assert verdict(wish="everything").answer == "deny"
    assert verdict().answer == "deny"


def test_a_host_that_the_agent_has_used_needs_no_question_and_only_true_counts() -> None:
    assert verdict(wish="new-host", known=True).answer == "allow"
    for known in (False, "yes", 1, None):
        assert verdict(wish="new-host", known=known).answer == "ask"
    assert verdict(wish="outward", known=True).answer == "ask"


TOUCHES: list[tuple[str, dict[str, Any], str, bool, bool, list[Touch]]] = [
    ("sessions_send", {"session": "x"}, "write", False, False, [Touch("outward", "sessions_send")]),
    ("mcp__mail__send", {}, "write", False, False, [Touch("outward", "mcp__mail__send")]),
    ("wipe", {}, "dangerous", False, False, [Touch("outward", "wipe")]),
    ("mcp__mail__read", {}, "safe", False, False, []),
    ("memory_write", {"text": "x"}, "write", True, False, []),
    ("write_file", {"path": "notes.txt"}, "write", True, False, []),
    ("write_file", {"path": "AGENTS.md"}, "write", True, False, [Touch("control-file", "AGENTS.md")]),
    ("edit_file", {"path": "./a/../x"}, "write", True, False, []),
    ("read_file", {"path": "AGENTS.md"}, "safe", False, False, []),
    ("web_fetch", {"url": "https://a.example/x"}, "safe", False, True, [Touch("new-host", "a.example:443")]),
    ("http_request", {"url": "http://A.example:8080"}, "write", True, True, [Touch("new-host", "a.example:8080")]),
    ("http_request", {"url": "gopher://a"}, "write", True, True, []),
    ("http_request", {"url": 7}, "write", True, True, []),
]


@pytest.mark.parametrize(("tool", "arguments", "safety", "inward", "network", "wanted"), TOUCHES)
def test_what_a_call_has_to_ask_for(
    tool: str, arguments: dict[str, Any], safety: str, inward: bool, network: bool, wanted: list[Touch]
) -> None:
    assert list(touches(tool, arguments, safety=safety, inward=inward, network=network)) == wanted


@pytest.mark.parametrize(
    "path",
    [
        *("AGENTS.md", "agents.MD", "./AGENTS.md", "a/AGENTS.md", "MEMORY.md", "SOUL.md", "HEARTBEAT.md", "skills/x"),
        *("skills/x/SKILL.md", "SKILLS/a", "deep/SKILL.md", ".git/config", ".git/hooks/pre-commit", "x/.GIT/config"),
        *("CLAUDE.md", ".claude/settings.json", ".envrc", "a//AGENTS.md", "AGENTS.md/", ".//./MEMORY.md"),
    ],
)
def test_files_that_are_taken_as_instructions_are_control_files(path: str) -> None:
    assert is_control(path)


@pytest.mark.parametrize(
    "path", ["notes.md", "memory/2026-01-01.md", "src/agents.py", "AGENTS.md.txt", ".", "", None, 3]
)
def test_other_files_are_not(path: object) -> None:
    assert not is_control(path)


@pytest.mark.parametrize(
    ("entries", "host", "found"),
    [
        (("a.example",), "a.example:443", True),
        (("a.example",), "a.example:8443", False),
        (("a.example:8443",), "a.example:8443", True),
        (("A.Example.",), "a.example:80", True),
        (("*.example",), "a.example:443", False),
        (("example",), "a.example:443", False),
        (("10.0.0.0/8",), "10.0.0.1:443", False),
        (("2001:db8::1",), "[2001:db8::1]:443", True),
        ((), "a.example:443", False),
    ],
)
def test_only_an_entry_that_names_the_host_itself_makes_it_a_used_one(
    entries: tuple[str, ...], host: str, found: bool
) -> None:
    assert named(entries, host) is found


def test_a_command_that_only_reads_is_free_and_any_other_that_would_run_is_asked_about() -> None:
    safe, listed = Verdict("allow", "exec.safe", "reads"), Verdict("allow", "exec.listed", "a rule")
    clean = Ask(kind="exec", principal=LOCAL_OPERATOR, action="exec")
    tainted = Ask(kind="exec", principal=LOCAL_OPERATOR, action="exec", tainted=True)
    assert when_tainted(safe, tainted) is safe
    assert when_tainted(listed, clean) is listed
    assert when_tainted(listed, tainted).answer == "ask"
    for stricter in (Verdict("deny", "exec.denied", ""), Verdict("ask", "exec.miss", "")):
        assert when_tainted(stricter, tainted) is stricter


def test_who_is_asked_sees_what_is_hidden() -> None:
    shown = detail({"text": "pay \u202eevil\u200b now\nplease", "raw": "\u2066"})
    assert "\\u202e" in shown
    assert "\\u200b" in shown
    assert shown.replace("\n", "").isprintable()
    assert len(detail({"text": "x" * 100_000})) <= DETAIL_CHARS


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_whatever_is_shown_prints(text: str) -> None:
    assert printable(text).isprintable()


@given(st.text(max_size=60))
def test_no_text_breaks_the_reading_of_an_address(text: str) -> None:
    host_of(text)
    is_control(text)
