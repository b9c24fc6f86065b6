"""A second authoriser: slow and obvious, by docs/rpc.md and the rules for roles, with nothing of ours imported.

It answers what the first one must: "served", or why not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from tests.authorisation.matrix import METHODS, ONLY_3, ONLY_4, ROUTES

COMMANDS: Final = {
    "reset": "operator.admin",
    "new": "operator.admin",
    "compact": "operator.write",
    "model": "operator.write",
    "think": "operator.write",
    "status": "operator.read",
    "allowance": "operator.read",
    "usage": "operator.read",
    "help": "operator.read",
}
"""Slash commands that people type, which take what the methods take that they stand for."""

BUILT_IN: Final = {
    "viewer": {"operator.read"},
    "user": {"operator.read", "operator.write"},
    "approver": {"operator.read", "operator.approvals", "operator.questions"},
    "operator": {"operator.read", "operator.write", "operator.approvals", "operator.pairing", "operator.questions"},
    "admin": {"operator.admin"},
}


def holds(scopes: frozenset[str], wanted: str) -> bool:
    """Admin implies everything, writing implies reading; nothing else implies anything."""
    if "operator.admin" in scopes:
        return True
    if wanted == "operator.read" and "operator.write" in scopes:
        return True
    return wanted in scopes


def method(name: str, protocol: int, role: str, scopes: frozenset[str]) -> str:
    """Say what becomes of a call."""
    who = METHODS.get(name)
    if who is None or (protocol == 3 and name in ONLY_4) or (protocol == 4 and name in ONLY_3):
        return "unknown"
    if who == "nodes only":
        return "served" if role == "node" else "role"
    if role != "operator":
        return "role"
    if who == "any operator" or holds(scopes, who):
        return "served"
    return f"missing {who}"


def reaches(params: Mapping[str, Any], allowed: Sequence[str] | None) -> bool:
    """Say whether a call is about agents alone that the roles allow: those that it names, and of whose sessions."""
    if allowed is None or "*" in allowed:
        return True
    about = {params["agentId"]} if params.get("agentId") else set()
    keys = [params.get(name) for name in ("sessionKey", "key", "parentSessionKey", "spawnedBy")]
    for name in ("sessionKeys", "keys"):
        keys += params.get(name) or []
    about |= {key.split(":")[1] for key in keys if isinstance(key, str) and key.startswith("agent:")}
    return about <= set(allowed)


def command(name: str, scopes: frozenset[str]) -> str:
    """Say what becomes of a slash command."""
    wanted = COMMANDS[name]
    return "served" if holds(scopes, wanted) else f"missing {wanted}"


def route(verb: str, pattern: str, *, signed_in: bool, here: bool, page: bool, scopes: frozenset[str]) -> str:
    """Say what becomes of a request: `here` is a program's on this machine, a `page` is never one."""
    who, scope = ROUTES[f"{verb} {pattern}"]
    if who == "anyone" or (who == "here" and here and not page):
        return "served"
    if not signed_in:
        return "unauthorized"
    return "served" if not scope or holds(scopes, scope) else f"missing {scope}"


def session(owner: str, oversees: bool, name: str) -> tuple[str, str] | None:
    """Return whose session somebody means by a whole key, and what that one calls it; None: there is none for them."""
    agent, rest = name.split(":")[1], ":".join(name.split(":")[2:])
    if not rest.startswith("@") or ":" not in rest[2:] or (rest.endswith(":") and rest.count(":") == 1):
        return owner, f"agent:{agent}:{rest}"
    whose, inner = unquote(rest[1:].split(":")[0]), ":".join(rest.split(":")[1:])
    nested = inner.startswith("@") and ":" in inner[2:-1]
    if (whose == owner or oversees) and not nested:
        return whose, f"agent:{agent}:{inner}"
    return None


def granted(asked: Sequence[str], allowed: frozenset[str], known: frozenset[str]) -> frozenset[str]:
    """A client only narrows."""
    return frozenset(scope for scope in asked if scope in known and holds(allowed, scope))


def roles(config: Mapping[str, Mapping[str, Any]], subject: str, groups: Sequence[str]) -> tuple[set[str], set[str]]:
    """Return the roles and scopes of a person."""
    names: set[str] = set()
    scopes: set[str] = set()
    for name, role in config.items():
        members = list(role.get("groups", ()))
        if "*" not in members and subject not in role.get("users", ()) and not any(each in members for each in groups):
            continue
        names.add(name)
        own = role.get("scopes")
        scopes |= BUILT_IN.get(name, set()) if own is None else set(own)
    return names, scopes
