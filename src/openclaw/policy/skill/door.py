"""The door of skills: what is locked, what is read, and what a conversation that holds a confined one may do.

1. A skill is locked when no row of its audit fails, or when an operator has said why those that fail are accepted.
2. Where `skills.onFailure` is `confine`, one that fails may be locked too. A conversation that has read it keeps to
   reading the workspace, and its commands have walls, no network and nothing to write to.
3. What nobody can bind or name (links, devices, no head, a name that is none) is never locked.
"""

from __future__ import annotations

from typing import Final

import msgspec

from openclaw.policy.gatekeeper import Ask, Verdict
from openclaw.policy.skill.audit import NAME, Report
from openclaw.policy.skill.finding import Row
from openclaw.policy.skill.gate import Standing
from openclaw.policy.skill.tree import Tree

KIND: Final = "skill"
FACT: Final = "skill"
READING: Final = frozenset(
    ("read_file", "read_image", "list_files", "search_files", "session_status", "read_skill", "exec", "process")
)
"""Tools of a confined conversation. Commands have walls of their own, and nobody writes to one that runs already."""


class Locking(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to lock a skill. `accepted` are rows that the operator accepts; `wider` is what it wants beyond before."""

    report: Report
    unfit: str = ""
    accepted: frozenset[Row] = frozenset()
    wider: str = ""
    vouched: bool = False
    confines: bool = False


class Using(msgspec.Struct, frozen=True):
    """A tool call in a conversation that a confined skill is in.

    `inner`: the tool is the gateway's own; `alters`: it is about a command that runs already, and does more than look.
    """

    tool: str
    inner: bool
    alters: bool = False


def skill_verdict(ask: Ask) -> Verdict:
    """Decide about one wish. An ask that says nothing that is known here is denied."""
    wish = ask.facts.get(FACT)
    if isinstance(wish, Locking):
        return _locking(wish)
    if isinstance(wish, Standing):
        return _reading(wish)
    if isinstance(wish, Using):
        return _using(wish, ask.target)
    return Verdict("deny", "skill.unknown-wish", "no rule knows this wish")


def unfit(report: Report, tree: Tree) -> str:
    """Say why a skill can be locked in no way, or nothing."""
    if tree.problems:
        path, why = tree.problems[0]
        return f"{path}: {why}" if path else why
    if not NAME.fullmatch(report.name) or not report.manifest.description:
        return "it has no name and description that could be shown"
    return ""


def failed(report: Report) -> frozenset[Row]:
    """Return the rows that fail."""
    return frozenset(row for row, state in report.rows.items() if state == "fail")


def _locking(wish: Locking) -> Verdict:
    left = failed(wish.report) - wish.accepted
    if wish.unfit:
        return Verdict("deny", "skill.unfit", f"it cannot be locked: {wish.unfit}")
    if left and not wish.confines:
        return Verdict("deny", "skill.audit-fail", f"its audit failed: {', '.join(sorted(left))}")
    if wish.wider:
        return Verdict("deny", "skill.powers", f"it wants more than the one before: {wish.wider}")
    if left:
        return Verdict("allow", "skill.confined", "its audit failed, and it is confined")
    if failed(wish.report):
        return Verdict("allow", "skill.accepted", "an operator has accepted what failed")
    if wish.vouched:
        return Verdict("allow", "skill.vouched", "an operator answers for what it says")
    return Verdict("allow", f"skill.audit-{wish.report.state}", "its audit has no failing row")


def _reading(standing: Standing) -> Verdict:
    if not standing.loads:
        return Verdict("deny", f"skill.{standing.answer}", standing.why)
    return Verdict("allow", f"skill.{standing.answer}", "it is what was audited and locked")


def _using(wish: Using, skill: str) -> Verdict:
    if wish.inner and wish.tool in READING and not wish.alters:
        return Verdict("allow", "skill.confined-read", "it only reads", quiet=True)
    why = f"this conversation holds the skill {skill}, whose audit failed: here only the workspace is read"
    return Verdict("deny", "skill.confined-use", why)
