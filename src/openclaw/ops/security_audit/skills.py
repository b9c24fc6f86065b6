"""What is in the skills that lie there, loaded or not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from openclaw.ops.doctor.checks.skills import skill_folders
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, found
from openclaw.policy.skill.audit import audit
from openclaw.policy.skill.tree import read_tree

MAX_LOOKED_AT = 100


def code_findings(scene: Scene) -> Iterator[Finding]:
    """Report skills whose audit fails. They are read as text; nothing of them is run."""
    for folder in islice(skill_folders(scene), MAX_LOOKED_AT):
        tree = read_tree(folder)
        if tree.problems:
            path, why = tree.problems[0]
            yield found("skills.workspace.symlink_escape", f"{folder}/{path}: {why}", f"Remove it from {folder}.")
            continue
        failed = [each for each in audit(tree, folder.name).findings if each.state == "fail"]
        if failed:
            first, more = failed[0], f" ({len(failed)} findings)" if len(failed) > 1 else ""
            yield found(
                "skills.code_safety",
                f"{folder}/{first.where}: {first.row}: {first.message}{more}",
                f"openclaw skills audit {folder}",
            )
