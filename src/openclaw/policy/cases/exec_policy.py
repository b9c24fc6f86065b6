"""The policy of a line of kind `exec`, in each of the shapes that people have it in.

1. What stands under `tools.exec`, by itself or with the way to it (`{tools: {exec: …}}`, `{"tools.exec": …}`), also
   with `agents.list[].tools.exec` for the line's `agent`; or a file of rules (`{version, defaults, agents}`).
2. `mode` says security, and `rules` or `allow` the allowlist, where a table calls them so. A rule may be a text, an
   entry of the file of rules, the words of a call, or `{program, args, cwd, sha256}`.
3. `tools.deny` and `tools.allow` hold here too: an agent without the tool `exec` runs nothing.
4. Both spellings of a key are heard, and the stricter of two modes holds. What this door has no word for makes the line
   an error: an allowance must not come of a limit that was not understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import ExecConfig
from openclaw.policy.content_door import listed
from openclaw.policy.exec.pattern import name_set, quoted
from openclaw.policy.exec.program import PROGRAM_PATH
from openclaw.policy.exec.rules import EVERY, STRICTEST, ExecPolicy, policy_of, rules_of
from openclaw.policy.exec.rules_file import AgentRules, AskWhen, Listed, RulesFile, Security

Folder = Annotated[str, Meta(pattern="^/", max_length=4096)]

_MODES: Final[Mapping[str, tuple[Security, AskWhen | None]]] = {
    "deny": ("deny", None),
    "allowlist": ("allowlist", None),
    "ask": ("allowlist", "on-miss"),
    "auto": ("allowlist", "on-miss"),
    "full": ("full", None),
}
_SPELLED: Final = {
    "rules": "allowlist", "allow": "allowlist", "allowList": "allowlist", "allow_list": "allowlist",
    "safe_bins": "safeBins", "path_prepend": "pathPrepend", "ask_fallback": "askFallback",
}  # fmt: skip
_ELSEWHERE: Final = name_set(
    "askFallback autoAllowSkills host node backgroundMs timeoutSec approvalTimeoutSec maxMemoryMb maxProcesses "
    "cleanupMs notifyOnExit notifyOnExitEmptySuccess safeBinTrustedDirs safeBinProfiles applyPatch strictInlineEval "
    "approvalRunningNoticeMs commandHighlighting expected comment note"
)
"""Keys that decide nothing here: who may be asked, where and how long a command runs, notes."""
NAME: Final = "exec"
_KNOWN: Final = ("security", "ask", "allowlist", "safeBins", "pathPrepend", "env")
_RULE_WORDS: Final = {
    "program": ("program", "binary", "bin", "path", "executable", "command", "cmd"),
    "args": ("args", "argv", "arguments"),
    "cwd": ("cwd", "workdir"),
    "sha256": ("sha256", "hash"),
}


class _Policy(msgspec.Struct, frozen=True, rename="camel"):
    security: Security = "allowlist"
    ask: AskWhen = "on-miss"
    allowlist: Annotated[tuple[str | Listed, ...], Meta(max_length=2000)] = ()
    safe_bins: tuple[str, ...] = ()
    path_prepend: tuple[Folder, ...] = ()
    env: tuple[str, ...] = ()


class _Lists(msgspec.Struct, frozen=True):
    """What stands beside `exec` in `tools`."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    program: str | UnsetType = UNSET
    args: tuple[str, ...] | str | UnsetType = UNSET
    cwd: Folder | UnsetType = UNSET
    sha256: Annotated[str, Meta(pattern="^(sha256[:=-])?[0-9A-Fa-f]{64}$")] | UnsetType = UNSET


def policy_of_line(policy: Mapping[str, Any], agent: str = "") -> ExecPolicy:
    """Return what holds for a line. Raises: InvalidRequest, msgspec.ValidationError."""
    if _is_file(policy):
        return _of_file(msgspec.convert({"version": 1, **policy}, RulesFile), agent)
    parts = [_plain(part) for part in _sections(policy, agent)]
    found = msgspec.convert({key: value for part in parts for key, value in part.items()}, _Policy)
    return ExecPolicy(
        security=found.security if _offered(policy, agent) else "deny",
        ask=found.ask,
        rules=rules_of(found.allowlist, "policy.allowlist"),
        path=(*found.path_prepend, *PROGRAM_PATH),
        safe=frozenset(found.safe_bins),
        variables=frozenset(found.env),
    )


def _is_file(policy: Mapping[str, Any]) -> bool:
    """Say whether this is a file of rules, and no configuration: both may begin with `agents`."""
    agents = policy.get("agents", {})
    named = isinstance(agents, Mapping) and not agents.keys() & {"list", "defaults"}
    return named and policy.keys() <= set(RulesFile.__struct_fields__) and bool(policy.keys() & {"agents", "defaults"})


def _of_file(file: RulesFile, agent: str) -> ExecPolicy:
    """Return what a file of rules says of an agent, where the configuration says no more than the defaults do."""
    name = agent or next(iter(file.agents), "")
    own = file.agents.get(name) or file.agents.get(EVERY) or AgentRules()
    config = ExecConfig(
        security=own.security or file.defaults.security or "allowlist",
        ask=own.ask or file.defaults.ask or "on-miss",
    )
    return policy_of(config, file, name)


def _offered(policy: Mapping[str, Any], agent: str) -> bool:
    """Say whether the lists of tools leave `exec` to the agent. Raises: msgspec.ValidationError."""
    tools = [policy.get("tools", {}), *(each.get("tools", {}) for each in _agents(policy, agent))]
    lists = [msgspec.convert(each, _Lists) for each in tools]
    return all((not each.allow or listed(each.allow, NAME)) and not listed(each.deny, NAME) for each in lists)


def _sections(policy: Mapping[str, Any], agent: str) -> list[Mapping[str, Any]]:
    """Return the parts that speak of commands, the agent's own behind the one for all. Raises: InvalidRequest."""
    tools = policy.get("tools")
    inside = _mapping(tools).get("exec") if "tools" in policy else policy.get("tools.exec", policy.get("exec"))
    own = [_mapping(_mapping(each.get("tools", {})).get("exec", {})) for each in _agents(policy, agent)]
    if "tools" in policy or "tools.exec" in policy or "exec" in policy or "agents" in policy:
        return [_mapping(inside if inside is not None else {}), *own]
    dotted = {key.removeprefix("tools.exec."): value for key, value in policy.items()}
    return [dotted]


def _agents(policy: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return what a configuration says of one agent."""
    agents = _mapping(policy.get("agents", {})).get("list", [])
    every = agents if isinstance(agents, list | tuple) else ()
    return [each for each in every if isinstance(each, Mapping) and name and each.get("id") == name]


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest("the policy has something else than an object on the way to tools.exec")
    return value


def _plain(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section under the names of today. Raises: InvalidRequest for a key that nobody knows."""
    named = {_SPELLED.get(key, key): value for key, value in section.items()}
    mode = named.pop("mode", None)
    if unknown := sorted(set(named) - set(_KNOWN) - _ELSEWHERE):
        raise InvalidRequest(f"tools.exec has no {unknown[0][:60]!r}", hint=f"It has {', '.join(sorted(_KNOWN))}.")
    found = {key: value for key, value in named.items() if key in _KNOWN}
    if mode is not None:
        if mode not in _MODES:
            raise InvalidRequest(f"there is no mode {str(mode)[:40]!r}", hint="A mode is deny, allowlist or full.")
        security, ask = _MODES[mode]
        said = found.get("security", security)
        found["security"] = min(security, said, key=STRICTEST.index) if said in STRICTEST else said
        if ask is not None:
            found.setdefault("ask", ask)
    if isinstance(found.get("allowlist"), Sequence) and not isinstance(found["allowlist"], str):
        found["allowlist"] = [each if isinstance(each, str) else _rule(each) for each in found["allowlist"]]
    return found


def _rule(entry: Any) -> Any:
    """Return an entry as the file of rules would hold it. Raises: InvalidRequest when it says what no rule can."""
    if isinstance(entry, list):
        entry = {"args": entry}
    if not isinstance(entry, Mapping):
        raise InvalidRequest("a rule is a text, a list or an object")
    if "pattern" in entry:
        return {key: value for key, value in entry.items() if key not in ("comment", "note")}
    names = {word: name for name, words in _RULE_WORDS.items() for word in words}
    try:
        rule = msgspec.convert({names.get(key, key): value for key, value in entry.items()}, _Rule)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"a rule cannot be read: {error}") from None
    args = rule.args
    program = rule.program
    if program is UNSET and isinstance(args, tuple) and args:  # the whole call as one list
        program, args = args[0], args[1:]
    if program is UNSET:
        raise InvalidRequest("a rule names no program")
    said = [args] if isinstance(args, str) else [_argument(word) for word in args or ()]
    if args == ():
        said = ["@no-arguments"]
    if rule.cwd is not UNSET:
        said.append("@cwd=" + quoted(rule.cwd))
    if rule.sha256 is not UNSET:
        said.append(f"@sha256={rule.sha256[-64:]}")
    return {"pattern": program, "argPattern": " ".join(said)} if said else program


def _argument(word: str) -> str:
    """Return one word of a list as a pattern: its wildcards are such, all else is taken literally."""
    pieces = re.split(r"([*?]+)", word)
    return "".join(piece if at % 2 else quoted(piece) * bool(piece) for at, piece in enumerate(pieces)) or "''"
