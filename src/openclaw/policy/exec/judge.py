"""The judgement of a whole command: allow, ask or deny, by which rule, and the plan that it is about.

1. `deny` denies and `full` allows without looking; `allowlist` allows when every command of the text passes by itself.
   A miss is asked about, or denied where asking is off; where asking is always on, what would be allowed is asked too.
2. The strictest answer of the parts is the answer of the whole.
3. A text that is unclear is shown as it is. Its plan is one shell with that text, for a person to decide; with
   `full` it runs like that.
4. A variable that hijacks programs is denied whatever the mode: the command itself can say `env` where it is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

import msgspec

from openclaw.policy.exec import variables
from openclaw.policy.exec.command import ALLOW, Inspector, Look, moved, stricter
from openclaw.policy.exec.plan import Plan, Run, Stage
from openclaw.policy.exec.program import PROGRAM_PATH, Programs, within
from openclaw.policy.exec.rules import ExecPolicy, standing_rule
from openclaw.policy.exec.rules_file import Listed
from openclaw.policy.exec.shell import Command, Script, Step, Unclear, parse, unprintable_free
from openclaw.policy.gatekeeper import Verdict

_SYSTEM_PATH: Final = frozenset(PROGRAM_PATH)
"""A PATH of these alone says nothing new, and is not what the command gets."""
SHELL: Final = ("/bin/bash", "--noprofile", "--norc", "-c")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to run: `text` for a shell, or `argv`. Shape: absolute paths; one of the two is empty."""

    cwd: str
    workspace: str
    text: str = ""
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    agent: str = ""
    session: str = ""


class Judged(msgspec.Struct, frozen=True):
    """One command of the whole, and the verdict on it."""

    argv: tuple[str, ...]
    verdict: Verdict


class Judgement(msgspec.Struct, frozen=True):
    """The verdict on the whole, on each command, and the plan.

    Shape: `standing` is the rules that an allow-always makes; when it is empty, allow-always is not to be offered.
    """

    verdict: Verdict
    commands: tuple[Judged, ...]
    plan: Plan
    standing: tuple[Listed, ...] = ()


def judge(request: Request, policy: ExecPolicy, programs: Programs) -> Judgement:
    """Return the judgement. Looks at the disk, runs nothing: call it in a thread."""
    given = (request.text, request.cwd, request.workspace, *request.argv, *chain(*request.environment.items()))
    if not _passable(given):
        return _impossible(request)
    workspace, cwd = os.path.realpath(request.workspace), os.path.realpath(request.cwd)
    inspector = Inspector(policy, programs, workspace)
    around = _around(request, cwd, workspace, policy.variables)
    script, cwd, unread = _meaning(request, cwd, workspace)
    if script is None:
        script = Script((Step("always", (Command((*SHELL, request.text)),)),))
        looks = [[inspector.unread(unread, SHELL[0], request.text, cwd)]]
    else:
        looks = [[inspector.look(each, cwd) for each in step.commands] for step in script.steps]
    stages = tuple(
        Stage(
            step.join,
            tuple(_run(request, policy, *pair, cwd) for pair in zip(step.commands, row, strict=True)),
        )
        for step, row in zip(script.steps, looks, strict=True)
    )
    commands = tuple(
        Judged(command.argv, look.verdict)
        for step, row in zip(script.steps, looks, strict=True)
        for command, look in zip(step.commands, row, strict=True)
    )
    whole = stricter(around, unread)
    for each in commands:
        whole = stricter(whole, each.verdict)
    if whole.answer == "allow" and len({each.verdict.rule_id for each in commands}) == 1:
        whole = commands[0].verdict  # of several that only read, all only read
    plan = Plan(
        stages=stages,
        text=request.text or " ".join(request.argv),
        workspace=workspace,
        agent=request.agent,
        session=request.session,
    )
    verdict = _by_mode(whole, policy)
    by_commands = whole.answer == verdict.answer == "ask" and stricter(around, unread).answer == "allow"
    standing = _standing(stages, [look for row in looks for look in row]) if by_commands else ()
    return Judgement(verdict, commands, plan, standing)


def _meaning(request: Request, cwd: str, workspace: str) -> tuple[Script | None, str, Verdict]:
    """Return what is to run, where, and ALLOW; or why it is not understood."""
    if request.argv:
        script = Script((Step("always", (Command(request.argv),)),))
        if request.argv[0] and all(map(unprintable_free, request.argv)):
            return script, cwd, ALLOW
        return script, cwd, Verdict("ask", "exec.unclear", "a word has characters that do not print")
    found = parse(request.text)
    if isinstance(found, Script):
        there = moved(found.folders, cwd, workspace)
        if there is not None:
            return found, there, ALLOW
        verdict = Verdict("ask", "exec.cd", "it changes to a directory that does not simply lie in the workspace")
    else:
        verdict = _unclear(found)
    return None, cwd, verdict


def _unclear(found: Unclear) -> Verdict:
    return Verdict("ask", "exec.unclear", f"it has {found.reason}, at character {found.position}")


def _passable(words: Iterable[str]) -> bool:
    """Say whether words can be given to a program at all: no NUL, and nothing that has no bytes."""
    try:
        return all("\0" not in word and word.encode() is not None for word in words)
    except UnicodeEncodeError:
        return False


def _impossible(request: Request) -> Judgement:
    verdict = Verdict("deny", "exec.impossible", "it holds a character that no program can be given")
    shown = ascii(request.text or " ".join(request.argv))
    plan = Plan(stages=(), text=shown, workspace="", agent=request.agent, session=request.session)
    return Judgement(verdict, (), plan)


def _run(request: Request, policy: ExecPolicy, command: Command, look: Look, cwd: str) -> Run:
    merged = {**dict(policy.environment), **request.environment, **dict(command.assignments)}
    if not any(name == "PATH" for name, _ in command.assignments):
        merged["PATH"] = ":".join(policy.path)
    merged |= {"PWD": cwd, **dict(look.environment)}
    return Run(
        argv=command.argv,
        cwd=cwd,
        environment=tuple(sorted(merged.items())),
        redirections=command.redirections,
        program=look.program,
        inner=look.inner,
        uses=look.uses,
    )


def _around(request: Request, cwd: str, workspace: str, named: frozenset[str]) -> Verdict:
    """Judge what is the same for all commands: the directory, and the variables that the caller sets."""
    given = dict(request.environment)
    if set(given.get("PATH", "").split(":")) <= _SYSTEM_PATH:
        del given["PATH"]
    kind, name = variables.worst(given.items(), named)
    if kind == "hijacker":
        return Verdict("deny", "exec.env", f"{name} decides what programs load or run: it is not the caller's to set")
    if kind == "unlisted":
        return Verdict("ask", "exec.env", f"the variable {name} is not known to be harmless")
    if not within(cwd, workspace):
        return Verdict("ask", "exec.cwd", "the directory is outside the workspace")
    return ALLOW


def _by_mode(found: Verdict, policy: ExecPolicy) -> Verdict:
    if policy.security == "deny":
        return Verdict("deny", "exec.denied", "tools.exec.security is deny")
    if found.answer == "deny":
        return found
    if policy.security == "full":
        found = Verdict("allow", "exec.full", "tools.exec.security is full")
    if found.answer == "allow" and policy.ask == "always":
        return Verdict("ask", "exec.ask-always", "tools.exec.ask is always")
    if found.answer == "ask" and policy.ask == "off":
        return Verdict("deny", found.rule_id, f"{found.reason}; and tools.exec.ask is off")
    return found


def _standing(stages: tuple[Stage, ...], looks: list[Look]) -> tuple[Listed, ...]:
    """Return the rules that would allow each command that misses one, none when that cannot be for any of them."""
    rules: list[Listed] = []
    runs = [run for stage in stages for run in stage.runs]
    for run, look in zip(runs, looks, strict=True):
        if look.verdict.answer == "allow":
            continue
        if not look.lasting or run.program is None:
            return ()
        rules.append(standing_rule(run.argv, run.program, run.cwd))
    return tuple(rules)
