"""What was judged is what runs: the whole of a command as plain facts, and one digest over them. Pure.

1. A plan holds every program's words, directory, variables and redirections, the files that they resolve to, and for
   whom it runs. It is carried out by execve, never by a shell that reads the text again.
2. Two plans are the same when their digests are. Before an approved plan runs it is made anew from the disk; when
   anything differs it is refused, and the refusal says what.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import msgspec

from openclaw.policy.exec.program import Program, Used
from openclaw.policy.exec.shell import Join, Redirection
from openclaw.policy.gatekeeper import Verdict

SAME: Final = Verdict("allow", "exec.same-plan", "what runs is what was approved")


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One program to start: `execve(program.path, argv, environment)` in `cwd`, a real path.

    Shape: `environment` is all it gets, in the order of the names. `program` None could not be found, and cannot run.
    `uses` is what its words, and the commands inside it, named on the disk; `inner` the programs that it starts.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: tuple[tuple[str, str], ...]
    redirections: tuple[Redirection, ...] = ()
    program: Program | None = None
    inner: tuple[Program, ...] = ()
    uses: tuple[Used, ...] = ()


class Stage(msgspec.Struct, frozen=True):
    """A pipeline, and whether it runs after the status of the one before. Its status is that of its last program."""

    join: Join
    runs: tuple[Run, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole command. `text` is what people are shown."""

    stages: tuple[Stage, ...]
    text: str
    workspace: str
    agent: str = ""
    session: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 over everything that the plan says."""
        return sha256(msgspec.json.encode(self)).hexdigest()


def verify(approved: Plan, now: Plan) -> Verdict:
    """Return whether the plan made now is the one that was approved, and if not, what differs."""
    if approved.digest == now.digest:
        return SAME
    return Verdict("deny", "exec.plan-changed", f"{_difference(approved, now)} changed after it was approved")


def _difference(old: Plan, new: Plan) -> str:
    if (old.agent, old.session) != (new.agent, new.session):
        return "the agent or session"
    if old.workspace != new.workspace:
        return "the workspace"
    before = [run for stage in old.stages for run in stage.runs]
    after = [run for stage in new.stages for run in stage.runs]
    if [run.argv for run in before] != [run.argv for run in after]:
        return "the command"
    for one, two in zip(before, after, strict=True):
        if one.cwd != two.cwd:
            return "the directory"
        if one.environment != two.environment:
            return "the environment"
        if one.program != two.program or one.inner != two.inner:
            return f"the program {one.argv[0]}"
        changed = set(one.uses) ^ set(two.uses)
        if changed:
            return f"the file {min(used.word for used in changed)}"
    return "how the commands are joined"
