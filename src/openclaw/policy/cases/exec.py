"""Lines of kind `exec`: may this command run without asking?

A line holds `argv` or `command`, and may hold `workspace` (else where it runs), `cwd` (seen from the workspace; else
the directory of this process), `env`, `agent` and `policy`: what stands under `tools.exec` in the configuration, or a
configuration that holds it, or the file of rules (see `exec_policy`). Without one the default holds: everything is
asked about. What else stands in a line is another's: a table may note there what it expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.policy.cases.exec_policy import Folder, policy_of_line
from openclaw.policy.exec.judge import Judgement, Request, judge
from openclaw.policy.exec.program import Programs
from openclaw.policy.exec.shell import MAX_CHARS


class _Line(msgspec.Struct, frozen=True):
    cwd: Annotated[str, Meta(max_length=4096)] | None = None
    workspace: Folder | None = None
    id: Any = None
    kind: Literal["exec"] = "exec"
    argv: Annotated[tuple[str, ...], Meta(min_length=1, max_length=65_536)] | UnsetType = UNSET
    command: str | UnsetType = UNSET
    env: dict[str, str] | None = None
    policy: Mapping[str, Any] | None = None
    agent: str = ""


def exec_case(line: Mapping[str, Any], programs: Programs | None = None) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason, commands, digest}`. Looks at the disk.

    Raises: InvalidRequest for a line that is none.
    """
    try:
        found = msgspec.convert(line, _Line)
        policy = policy_of_line(found.policy or {}, found.agent)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    if (found.argv is UNSET) == (found.command is UNSET):
        raise InvalidRequest("a line of kind exec has either argv or command")
    cwd = str(Path(found.workspace or Path.cwd(), found.cwd or ""))
    request = Request(
        cwd=cwd,
        workspace=found.workspace or cwd,
        text="" if found.command is UNSET else found.command[: MAX_CHARS + 1],
        argv=() if found.argv is UNSET else found.argv,
        environment=found.env or {},
    )
    return _answer(found, judge(request, policy, programs or Programs()))


def _answer(line: _Line, found: Judgement) -> dict[str, Any]:
    return {
        "id": line.id,
        "verdict": found.verdict.answer,
        "rule": found.verdict.rule_id,
        "reason": found.verdict.reason,
        "commands": [
            {"argv": each.argv, "verdict": each.verdict.answer, "rule": each.verdict.rule_id} for each in found.commands
        ],
        "digest": found.plan.digest,
    }
