"""What an audit of a skill says. The auditor itself is heavy, and loads when there is something to audit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from openclaw.policy.skill.finding import Finding, Row, State
from openclaw.policy.skill.head import Manifest, Powers

if TYPE_CHECKING:
    from openclaw.policy.skill.tree import Tree

AUDITOR: Final = 2
"""Grows whenever the same files could get another report: what an older one passed is looked at again."""
FILE_NAME: Final = "SKILL.md"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found. Shape: `digest` is the tree's; `rows` has every row; findings are sorted, failures first."""

    name: str
    version: str
    digest: str
    state: State
    rows: dict[Row, State]
    findings: tuple[Finding, ...]
    declared: Powers
    observed: Powers
    manifest: Manifest
    auditor: int = AUDITOR


def audited(tree: Tree, folder: str, installed: Iterable[str] = ()) -> Report:
    """Return what `audit.audit` says, for rooms that a gateway without skills opens too."""
    from openclaw.policy.skill.audit import audit

    return audit(tree, folder, installed)
