"""Lines of kind `exec`: may this command run without asking?

A line holds `argv` or `command`, and may hold `cwd`, `workspace`, `env` and `policy`. The policy is what stands under
`tools.exec` in the configuration; its allowlist may also hold rules in the form of the file of rules. Without a policy
the default holds: built-in reading programs run, everything else is asked about. What else stands in a line, or in its
policy, is another's: a table may note there what it expects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.policy.exec.judge import Judgement, Request, judge
from openclaw.policy.exec.program import PROGRAM_PATH, Programs
from openclaw.policy.exec.rules import EVERY, ExecPolicy, rules_of
from openclaw.policy.exec.rules_file import AskWhen, Listed, Security
from openclaw.policy.exec.shell import MAX_CHARS

_Folder = Annotated[str, Meta(pattern="^/", max_length=4096)]


class _Policy(msgspec.Struct, frozen=True, rename="camel"):
    security: Security = "allowlist"
    ask: AskWhen = "on-miss"
    allowlist: Annotated[tuple[str | Listed, ...], Meta(max_length=2000)] = ()
    safe_bins: tuple[str, ...] = (EVERY,)
    path_prepend: tuple[_Folder, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    cwd: _Folder | UnsetType = UNSET
    workspace: _Folder | UnsetType = UNSET
    id: Any = None
    kind: Literal["exec"] = "exec"
    argv: Annotated[tuple[str, ...], Meta(min_length=1, max_length=65_536)] | UnsetType = UNSET
    command: str | UnsetType = UNSET
    env: dict[str, str] = {}
    policy: Mapping[str, Any] = {}


def exec_case(line: Mapping[str, Any], programs: Programs | None = None) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason, commands, digest}`. Looks at the disk.

    Raises: InvalidRequest for a line that is none.
    """
    try:
        found = msgspec.convert(line, _Line)
        policy = msgspec.convert(_section(found.policy), _Policy)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    if (found.argv is UNSET) == (found.command is UNSET):
        raise InvalidRequest("a line of kind exec has either argv or command")
    workspace = found.workspace or found.cwd
    if not workspace:
        raise InvalidRequest("a line of kind exec names its workspace")
    request = Request(
        cwd=found.cwd or workspace,
        workspace=workspace,
        text="" if found.command is UNSET else found.command[: MAX_CHARS + 1],
        argv=() if found.argv is UNSET else found.argv,
        environment=found.env,
    )
    return _answer(found, judge(request, _policy(policy), programs or Programs()))


def _section(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part under `tools.exec`, also where the line spells out the way to it."""
    for key in ("tools", "exec"):
        inner = policy.get(key)
        if isinstance(inner, Mapping) and len(policy) == 1:
            policy = inner
    return policy


def _policy(found: _Policy) -> ExecPolicy:
    return ExecPolicy(
        security=found.security,
        ask=found.ask,
        rules=rules_of(found.allowlist, "policy.allowlist"),
        path=(*found.path_prepend, *PROGRAM_PATH),
        safe=frozenset(found.safe_bins),
    )


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
