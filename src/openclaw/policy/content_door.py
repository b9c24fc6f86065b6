"""The door for agents that have read text from outside: what such text could make of them, a person is asked about.

1. A turn is tainted when what the model has read holds text that a stranger may have written, or what was made of it
   (`agent.taint`). Without taint this door stands open.
2. A tainted turn asks before whatever acts beyond the agent (messages to other sessions, tools that write elsewhere),
   before a host that the agent has not used, before files that speak to the agent in later turns, and before commands
   that do more than read.
3. What stays with the agent and is read as data later (memories, files of the workspace) needs no question.
4. Who is asked sees what would be done, where, and by what way the text came in. With nobody to ask it is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from openclaw.base.errors import ToolError
from openclaw.net.egress import place
from openclaw.net.error import NetError
from openclaw.policy.files.path import components
from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "content"
Wish = Literal["outward", "new-host", "control-file", "command"]

PROMPT_FILES: Final = (
    "AGENTS.md",
    "SOUL.md",
    "TOOLS.md",
    "IDENTITY.md",
    "USER.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
)
"""Files of a workspace that speak to the agent."""

_CONTROL_NAMES: Final = frozenset(name.casefold() for name in (*PROMPT_FILES, "SKILL.md", "CLAUDE.md", ".envrc"))
_CONTROL_FOLDERS: Final = frozenset(("skills", ".git", ".hg", ".agents", ".claude", ".openclaw"))
"""What is below them is taken as instructions by the agent, or run by programs that find it."""

_WHY: Final[Mapping[str, str]] = {
    "outward": "acts beyond the agent",
    "new-host": "would reach a host that this agent has not used before",
    "control-file": "would change what this agent goes by in later turns",
    "command": "would run more than a command that only reads",
}
DETAIL_CHARS: Final = 8_000


class Touch(NamedTuple):
    """Something that a tainted turn wants, and what it is about."""

    wish: Wish
    target: str


def content_verdict(ask: Ask) -> Verdict:
    """Decide about one wish of a turn. `facts`: wish; source, the way by which the text came in; known, of a host."""
    wish, source = ask.facts.get("wish"), ask.facts.get("source")
    if not ask.tainted:
        return Verdict("allow", "content.clean", "nothing from outside was read", quiet=True)
    why = _WHY.get(str(wish))
    if why is None:
        return Verdict("deny", "content.unknown-wish", "no rule knows this wish")
    if wish == "new-host" and ask.facts.get("known") is True:
        return Verdict("allow", "content.known-host", "this agent has used the host before", quiet=True)
    said = f"the agent has read text from outside ({printable(str(source))[:80]}), and this {why}"
    return Verdict("ask", f"content.{wish}", said)


def touches(
    tool: str, arguments: Mapping[str, Any], *, safety: str, inward: bool, network: bool = False
) -> tuple[Touch, ...]:
    """Return what a tainted turn has to ask for before a call. Pure.

    `inward` tools keep to the agent, or pass a door of their own; `network` ones take a `url`.
    """
    found: list[Touch] = []
    if network and (host := host_of(arguments.get("url"))):
        found.append(Touch("new-host", host))
    if safety != "safe" and not inward:
        found.append(Touch("outward", tool))
    if safety != "safe" and inward and is_control(arguments.get("path")):
        found.append(Touch("control-file", "/".join(components(str(arguments["path"])))))
    return tuple(found)


def host_of(url: object) -> str:
    """Return `host:port` of an address; "" for what is none, which no request is made to."""
    if not isinstance(url, str):
        return ""
    try:
        found = place(url)
    except NetError:
        return ""
    return host_key(found.host, found.port)


def host_key(host: str, port: int) -> str:
    """Return how a server is named here."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_control(path: object) -> bool:
    """Say whether a path of the workspace names what the agent, or a program, takes as instructions."""
    if not isinstance(path, str):
        return False
    try:
        parts = [part.casefold() for part in components(path)]
    except ToolError:
        return False  # the file door refuses it
    return bool(parts) and (parts[-1] in _CONTROL_NAMES or any(part in _CONTROL_FOLDERS for part in parts))


def when_tainted(verdict: Verdict, ask: Ask) -> Verdict:
    """Return the verdict on a command, for the door of execution: what would run beyond reading is asked about."""
    if not ask.tainted or verdict.answer != "allow" or verdict.rule_id == "exec.safe":
        return verdict
    return Verdict("ask", "content.command", f"the agent has read text from outside, and this {_WHY['command']}")


def listed(names: Iterable[str], tool: str) -> bool:
    """Say whether a list of tools has a name, itself or by one that ends in `*`."""
    return any(tool == name or (name.endswith("*") and tool.startswith(name[:-1])) for name in names)


def detail(arguments: Mapping[str, Any]) -> str:
    """Return a call's arguments as a person can read them, whatever is hidden in them."""
    text = msgspec.json.format(msgspec.json.encode(arguments), indent=1).decode()
    shown = printable(text, keep="\n")
    return shown if len(shown) <= DETAIL_CHARS else f"{shown[: DETAIL_CHARS - 40]}… ({len(shown)} characters)"


def printable(text: str, keep: str = "") -> str:
    """Return a text with everything that does not print written out."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def named(entries: Iterable[str], host: str) -> bool:
    """Say whether a list names a `host:port` itself: not by a suffix, a range, or as part of the whole web."""
    name, _, port = host.rpartition(":")
    for entry in entries:
        plain = entry.strip().lower().removesuffix(".")
        if plain == host or (plain in (name, name.strip("[]")) and port in ("80", "443")):
            return True
    return False
