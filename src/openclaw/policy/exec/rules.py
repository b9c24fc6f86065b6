"""What may run without asking: the operator's rules, and those that a person made of an approval.

1. A rule names a program (a path pattern, or a bare name that is looked up) and, if it likes, arguments one by one;
   without arguments it is about every call, with a last `*` about any further ones.
2. `@sha256=HEX` binds it to the program's bytes, `@cwd=FOLDER` to a directory, `@no-arguments` to the bare call.
3. A rule that spells out the whole call, without wildcards, is exact; only such a rule allows what could run anything.
4. The stricter holds wherever the configuration and the file of rules both say something.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from openclaw.config.schema import Config, ExecConfig
from openclaw.policy.exec.pattern import Glob, quoted, words
from openclaw.policy.exec.program import PROGRAM_PATH, Program
from openclaw.policy.exec.rules_file import AgentRules, AskWhen, Listed, RulesFile, Security

EVERY: Final = "*"
STRICTEST: Final[tuple[Security, ...]] = ("deny", "allowlist", "full")
MOST_ASKED: Final[tuple[AskWhen, ...]] = ("always", "on-miss", "off")


class Rule(msgspec.Struct, frozen=True):
    """One rule. Shape: `arguments` None is every call; `rest`: more arguments than these may follow."""

    id: str
    program: Glob
    arguments: tuple[Glob, ...] | None
    rest: bool = False
    sha256: str = ""
    cwd: Glob | None = None
    by_path: bool = False

    def matches(self, argv: Sequence[str], program: Program, cwd: str) -> bool:
        """Say whether the rule is about this call of this program in this directory."""
        return self.about(argv[0], program, cwd) and self.takes(argv)

    def about(self, called: str, program: Program, cwd: str) -> bool:
        """Say whether the rule is about this program, called so, in this directory."""
        if self.sha256 and self.sha256 != program.sha256:
            return False
        if program.loose and not self.sha256:
            return False
        if self.cwd is not None and not self.cwd.matches(cwd, path=True):
            return False
        return self._named(called, program)

    def takes(self, argv: Sequence[str]) -> bool:
        """Say whether the rule is about these arguments, the program aside."""
        return self.arguments is None or self._called(argv[1:], self.arguments)

    @property
    def exact(self) -> bool:
        """Whether it spells out the whole call."""
        named = self.program.exact is not None and self.arguments is not None and not self.rest
        return named and all(each.exact is not None for each in self.arguments or ())

    def _named(self, called: str, program: Program) -> bool:
        if self.by_path:
            spelled = self.program.exact or ""
            if spelled.rpartition("/")[2] in program.called and os.path.realpath(spelled) == program.real:
                return True  # /bin/ls where /bin is /usr/bin
            return self.program.matches(program.path, path=True) or self.program.matches(program.real, path=True)
        return "/" not in called and self.program.matches(called, path=True)

    def _called(self, words: Sequence[str], arguments: Sequence[Glob]) -> bool:
        if len(words) < len(arguments) or (len(words) > len(arguments) and not self.rest):
            return False
        return all(glob.matches(word) for glob, word in zip(arguments, words, strict=False))


class ExecPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one agent at this moment. Shape: `safe` names programs that have safe calls; `*` is all."""

    security: Security = "allowlist"
    ask: AskWhen = "on-miss"
    rules: tuple[Rule, ...] = ()
    path: tuple[str, ...] = PROGRAM_PATH
    safe: frozenset[str] = frozenset((EVERY,))
    variables: frozenset[str] = frozenset()
    """What a command may be given besides those that are known to be harmless."""
    environment: tuple[tuple[str, str], ...] = (("HOME", "/nonexistent"), ("LANG", "C.UTF-8"))


def policy_of(config: ExecConfig, file: RulesFile, agent: str) -> ExecPolicy:
    """Return what holds for an agent by the configuration and the file together."""
    agents = [file.agents[name] for name in (agent, EVERY) if name in file.agents]
    own = agents[0] if agents and agent in file.agents else AgentRules()
    security = own.security or file.defaults.security or config.security
    ask = own.ask or file.defaults.ask or config.ask
    listed = [each for rules in agents for each in rules.allowlist or ()]
    return ExecPolicy(
        security=min(security, config.security, key=STRICTEST.index),
        ask=min(ask, config.ask, key=MOST_ASKED.index),
        rules=(*rules_of(config.allowlist, "tools.exec.allowlist"), *rules_of(listed, "exec-approvals")),
        path=(*config.path_prepend, *PROGRAM_PATH),
        safe=frozenset(config.safe_bins),
        variables=frozenset(config.env),
    )


def exec_config(config: Config, agent: str) -> ExecConfig:
    """Return what the configuration says of one agent's commands: its own settings over those for all."""
    own = next((each.tools.exec for each in config.agents.list if each.id == agent), None)
    if own is None:
        return config.tools.exec
    said = {name: value for name in own.__struct_fields__ if (value := getattr(own, name)) is not None}
    return msgspec.structs.replace(config.tools.exec, **said)


def rules_of(entries: Iterable[str | Listed], source: str) -> tuple[Rule, ...]:
    """Return the rules that entries make; one that cannot be read makes none."""
    found = (_rule(entry, f"{source}[{at}]") for at, entry in enumerate(entries))
    return tuple(rule for rule in found if rule is not None)


def standing_rule(argv: Sequence[str], program: Program, cwd: str) -> Listed:
    """Return the rule that allows exactly this call again: these bytes, these arguments, this directory."""
    bound = [f"@sha256={program.sha256}", "@cwd=" + quoted(cwd)]
    arguments = [quoted(word) for word in argv[1:]] or ["@no-arguments"]
    return Listed(
        pattern=quoted(program.real),
        source="allow-always",
        command_text=" ".join(quoted(word) for word in argv)[:4096],
        arg_pattern=" ".join((*arguments, *bound)),
        last_resolved_path=program.real,
    )


def _rule(entry: str | Listed, name: str) -> Rule | None:
    text, more = (entry, "") if isinstance(entry, str) else (entry.pattern, entry.arg_pattern or "")
    if not isinstance(entry, str):
        name = entry.id or name
    found, rest = words(text), words(more)
    if not found or not found[0].tokens or rest is None or (more and not rest):
        return None
    by_path = any(char in ("/", "**") for char, _ in found[0].tokens)
    return _bound(Rule(name, found[0], None, by_path=by_path), (*found[1:], *rest))


def _bound(rule: Rule, tail: Sequence[Glob]) -> Rule | None:
    """Return the rule with its arguments and bindings, None when a binding is not known: it would be too wide."""
    arguments = [glob for glob in tail if not glob.signed]
    bare = False
    for glob in tail:
        if not glob.signed:
            continue
        text = "".join(char for char, _ in glob.tokens)
        key, equals, value = text.partition("=")
        if key == "@sha256" and len(value) == 64:
            rule = msgspec.structs.replace(rule, sha256=value.lower())
        elif key == "@cwd" and value:
            rule = msgspec.structs.replace(rule, cwd=glob.without(len("@cwd=")))
        elif key == "@no-arguments" and not equals and not arguments:
            bare = True
        else:
            return None
    if not arguments and not bare:
        return rule
    rest = bool(arguments) and arguments[-1].is_rest
    return msgspec.structs.replace(rule, arguments=tuple(arguments[:-1] if rest else arguments), rest=rest)
