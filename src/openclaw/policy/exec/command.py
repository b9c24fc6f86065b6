"""One command of a script: which program it is, what its words do, and whether that may go without asking.

1. In this order: a rule that spells out the call; what it wraps; a built-in safe call; whether it carries out other
   commands or overwrites things; any rule. What none of these decides is asked about.
2. A wrapper passes when everything that it runs passes, and it is the system's own.
3. Whatever the words say, its variables, redirections and, for git, the repository's configuration must be harmless.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from openclaw.policy.exec import git, safe, variables, wrapper
from openclaw.policy.exec.hazard import carries, hazard
from openclaw.policy.exec.program import MAX_HASHED, Program, Programs, Used, within
from openclaw.policy.exec.rules import EVERY, ExecPolicy, Rule
from openclaw.policy.exec.shell import Command, Folder, Unclear, parse
from openclaw.policy.gatekeeper import Verdict

ALLOW: Final = Verdict("allow", "exec.allowed", "every command passes")
MAX_DEPTH: Final = 4
MAX_BOUND: Final = 65_536
"""A plan is bound to what words name in so many characters; nothing longer can be put before a person to approve."""
MAX_LOOKED: Final = 32_768
"""Folders and names on the disk that are looked at for one judgement: a megabyte of paths takes seconds otherwise."""
MAX_READ: Final = 256 << 20
"""Bytes of files that are read for one judgement; what is over is known by inode, size and times alone."""
NOWHERE: Final = "/dev/null"
_STRICTNESS: Final = {"allow": 0, "ask": 1, "deny": 2}
_EVALUATES: Final = frozenset(("test", "[", "printf"))
"""Builtins that do more than the programs of their name: `test -v` evaluates a word, `printf -v` sets a variable."""
_SEPARATORS: Final = str.maketrans(dict.fromkeys("|&;()<>'\"`${}=,", " "))


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about one command.

    Shape: `environment` is what its program gets over everything else; `lasting`: a rule may be made of it.
    """

    verdict: Verdict
    program: Program | None = None
    inner: tuple[Program, ...] = ()
    uses: tuple[Used, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    lasting: bool = False


class _Call(msgspec.Struct, frozen=True):
    """The words of a command, the program that they call, and how deep inside others they stand."""

    argv: tuple[str, ...]
    cwd: str
    program: Program
    depth: int
    in_shell: bool


def stricter(one: Verdict, other: Verdict) -> Verdict:
    """Return the stricter of two verdicts, the first when they are alike."""
    return other if _STRICTNESS[other.answer] > _STRICTNESS[one.answer] else one


def moved(folders: Sequence[Folder], cwd: str, workspace: str) -> str | None:
    """Return where leading `cd`s lead, None when not simply to a directory of the workspace.

    A shell goes by names, the kernel by links: both must agree.
    """
    for folder in folders:
        by_name = os.path.normpath(folder.path if folder.path[0] == "/" else f"{cwd}/{folder.path}")
        real = os.path.realpath(by_name)
        if by_name != real or not within(real, workspace):
            return None
        if folder.needed and not os.path.isdir(real):  # noqa: PTH112 - a string like the others here
            return None
        cwd = real
    return cwd


class Inspector:
    """Looks at commands for one policy and workspace. Shape: `workspace` is a real path."""

    def __init__(self, policy: ExecPolicy, programs: Programs, workspace: str) -> None:
        self._policy = policy
        self._programs = programs
        self._workspace = workspace
        self._left = MAX_LOOKED
        self._unread = MAX_READ
        self._seen: dict[tuple[str, str], Used] = {}
        """A word is looked up once: all of the judgement goes by the same file."""
        self._rules: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
        """The rules that are about a program in a folder, by its name, its file and the folder."""

    def look(self, command: Command, cwd: str, depth: int = 0, *, in_shell: bool = False) -> Look:
        """Return what was found out about a command with all that stands around it."""
        look = self._words(command.argv, cwd, depth, in_shell=in_shell)
        verdict = stricter(look.verdict, self._assigned(command.assignments))
        uses = list(look.uses)
        for redirection in command.redirections:
            if redirection.mode == "dup" or redirection.target == NOWHERE:
                continue
            used = self._one(redirection.target, cwd)
            if redirection.mode == "read":
                found = self._readable((used,), plain=False)
            else:  # the run itself changes it: only where it lies is bound
                used = Used(used.word, used.real, "other")
                found = Verdict("ask", "exec.redirect", f"output is written to {redirection.target}")
            uses.append(used)
            verdict = stricter(verdict, found)
        lasting = look.lasting and not command.redirections and not command.assignments
        return msgspec.structs.replace(look, verdict=verdict, uses=tuple(uses), lasting=lasting)

    def unread(self, verdict: Verdict, shell: str, text: str, cwd: str) -> Look:
        """Return what is known of a text that is not understood: its plan is bound to all that its words may name."""
        words = dict.fromkeys(text[:MAX_BOUND].translate(_SEPARATORS).split())
        program = self._programs.find(shell, cwd, self._policy.path, self._workspace)
        return Look(verdict=verdict, program=program, uses=self._used(words, cwd))

    def _words(self, argv: tuple[str, ...], cwd: str, depth: int, *, in_shell: bool = False) -> Look:
        program = self._programs.find(argv[0], cwd, self._policy.path, self._workspace)
        if program is None:
            verdict = Verdict("ask", "exec.program-missing", f"there is no program {argv[0]} that could run")
            return Look(verdict=verdict, uses=self._bound(argv, cwd))
        call = _Call(argv, cwd, program, depth, in_shell)
        look = self._decided(call)
        look = msgspec.structs.replace(look, program=program, uses=(*self._bound(argv, cwd), *look.uses))
        return self._inert(look, cwd) if "git" in program.names else look

    def _decided(self, call: _Call) -> Look:
        rules = [rule for rule in self._about(call) if rule.takes(call.argv)]
        exact = next((rule for rule in rules if rule.exact), None)
        if exact:
            return Look(verdict=Verdict("allow", "exec.listed", f"{exact.id} allows exactly this call"))
        names = call.program.names
        seen = wrapper.look(call.program.called, call.argv)
        if seen is not None:
            return self._through(seen, call)
        reading = self._safe(call)
        if reading is not None:
            verdict = self._readable(self._used(reading.paths, call.cwd), plain=reading.plain)
            return Look(verdict=verdict, lasting=True)
        if call.in_shell and _EVALUATES & set(names):
            return _ask("exec.wrapper", f"a shell's own {call.argv[0]} evaluates its words or sets variables")
        if name := carries(names):
            return _ask("exec.interpreter", f"{name} carries out what it is told: only a rule for this very call helps")
        if option := hazard(names, call.argv) or (git.choice(call.argv) if "git" in names else ""):
            return _ask("exec.hazard", f"{option} may run or overwrite something: only a rule for this very call helps")
        if "git" in names and (away := self._away(call)):
            return _ask("exec.outside", f"{away} lies outside the workspace")
        if rules:
            return Look(verdict=Verdict("allow", "exec.listed", f"{rules[0].id} allows it"), lasting=True)
        why = f", and {call.program.loose}" if call.program.loose else ""
        return Look(verdict=Verdict("ask", "exec.unlisted", f"no rule allows {call.argv[0]}{why}"), lasting=True)

    def _through(self, seen: wrapper.Words | wrapper.Text | wrapper.Opaque, call: _Call) -> Look:
        """Judge what a wrapper runs."""
        if isinstance(seen, wrapper.Opaque):
            return _ask("exec.wrapper", f"{call.argv[0]}: {seen.reason}")
        if call.depth >= MAX_DEPTH or not _of_system(call.program):
            return _ask("exec.wrapper", f"{call.argv[0]} runs other commands and is not looked through here")
        if isinstance(seen, wrapper.Words):
            inner = self._words(seen.argv, call.cwd, call.depth + 1)
            verdict = stricter(inner.verdict, self._assigned(seen.assignments))
            return _wrapping([inner], verdict)
        parsed = parse(seen.text)
        if isinstance(parsed, Unclear):
            return _ask("exec.unclear", f"the text of {call.argv[0]} has {parsed.reason}")
        cwd = moved(parsed.folders, call.cwd, self._workspace)
        if cwd is None:
            return _ask("exec.cd", f"the text of {call.argv[0]} leaves the workspace")
        commands = [command for step in parsed.steps for command in step.commands]
        looks = [self.look(command, cwd, call.depth + 1, in_shell=True) for command in commands]
        verdict = ALLOW
        for look in looks:
            verdict = stricter(verdict, look.verdict)
        return _wrapping(looks, verdict)

    def _safe(self, call: _Call) -> safe.Reading | None:
        """Return what a built-in safe call reads, None when this is none."""
        name, real_name = call.program.called
        allowed = name in self._policy.safe or EVERY in self._policy.safe
        same = name == real_name and not call.program.interpreter
        if not allowed or not same or not _of_system(call.program):
            return None
        return safe.reading(name, call.argv)

    def _readable(self, uses: Iterable[Used], *, plain: bool) -> Verdict:
        for used in uses:
            if used.real == NOWHERE:
                continue
            if not within(used.real, self._workspace):
                return Verdict("ask", "exec.outside", f"{used.word} lies outside the workspace")
            if used.what == "other" or (plain and used.what == "folder"):
                return Verdict("ask", "exec.outside", f"{used.word} is not a file that is simply read")
        return Verdict("allow", "exec.safe", "it only reads, inside the workspace")

    def _away(self, call: _Call) -> str:
        """Return the first word that names a place outside the workspace: `git diff` reads any two files it is told."""
        for used in self._bound(call.argv, call.cwd):
            if used.real not in ("", NOWHERE) and not within(used.real, self._workspace):
                return used.word
        return ""

    def _inert(self, look: Look, cwd: str) -> Look:
        """Add what keeps a repository's own configuration from choosing what git runs."""
        config, reason = git.active(cwd)
        uses = (*look.uses, *self._used((config,) if config else (), cwd))
        verdict, lasting = look.verdict, look.lasting
        if reason:
            verdict, lasting = stricter(verdict, Verdict("ask", "exec.git-config", reason)), False
        return msgspec.structs.replace(look, verdict=verdict, uses=uses, lasting=lasting, environment=git.NEUTRAL)

    def _bound(self, argv: Sequence[str], cwd: str) -> tuple[Used, ...]:
        """Return what the words may name on the disk: the plan is bound to it, whatever the program makes of it."""
        words: dict[str, None] = {}
        left = MAX_BOUND
        for word in argv[1:]:
            left -= len(word) + 1
            if left < 0:
                break
            head, equals, tail = word.partition("=")
            for each in (word, tail) if equals else (head,):
                if each and not each.startswith("-"):
                    words[each] = None
        return self._used(words, cwd)

    def _assigned(self, assignments: Iterable[tuple[str, str]]) -> Verdict:
        kind, name = variables.worst(assignments, self._policy.variables)
        if kind == "harmless":
            return ALLOW
        what = "decides what programs load or run" if kind == "hijacker" else "is not known to be harmless"
        return Verdict("ask", "exec.env", f"the variable {name} {what}")

    def _about(self, call: _Call) -> tuple[Rule, ...]:
        key = (call.argv[0], call.program.real, call.cwd)
        found = self._rules.get(key)
        if found is None:
            rules = self._policy.rules
            found = self._rules[key] = tuple(rule for rule in rules if rule.about(call.argv[0], call.program, call.cwd))
        return found

    def _used(self, words: Iterable[str], cwd: str) -> tuple[Used, ...]:
        return tuple(self._one(word, cwd) for word in words)

    def _one(self, word: str, cwd: str) -> Used:
        """Return what a word names. Shape: once MAX_LOOKED is spent that is `other`, nowhere, which nobody may read."""
        if found := self._seen.get((word, cwd)):
            return found
        self._left -= (0 if word.startswith("/") else cwd.count("/")) + word.count("/") + 1
        if self._left >= 0:
            found = self._programs.used(word, cwd, max(0, min(MAX_HASHED, self._unread)))
            self._unread -= found.file.size if found.file and found.sha256 else 0
        else:
            found = Used(word, "", "other")
        self._seen[word, cwd] = found
        return found


def _ask(rule: str, reason: str) -> Look:
    return Look(verdict=Verdict("ask", rule, reason))


def _wrapping(looks: Sequence[Look], verdict: Verdict) -> Look:
    """Return what was found out about a wrapper, from what it runs."""
    programs = [each for look in looks for each in ((look.program, *look.inner) if look.program else ())]
    return Look(
        verdict=verdict,
        inner=tuple(programs),
        uses=tuple(used for look in looks for used in look.uses),
        environment=tuple(pair for look in looks for pair in look.environment),
    )


def _of_system(program: Program) -> bool:
    folders = (program.path.rpartition("/")[0], program.real.rpartition("/")[0])
    return not program.loose and all(folder in safe.SYSTEM_FOLDERS for folder in folders)
