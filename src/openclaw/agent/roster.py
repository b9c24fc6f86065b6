"""Agents as people add and remove them: the id that a name gives, folders that may become a workspace, the entries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from openclaw.agent.directory import MAIN_AGENT
from openclaw.base.errors import Conflict, InvalidRequest, NotFound
from openclaw.config.paths import OWN_STATE

MAX_AGENTS: Final = 500
_NOT_IN_ID: Final = re.compile(r"[^a-z0-9_-]+")
_SYSTEM: Final = tuple(
    Path(f"/{name}")
    for name in ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "usr", "var/lib", "var/run")
)
_SHARED: Final = tuple(Path(f"/{name}") for name in ("home", "media", "mnt", "opt", "srv", "tmp", "var"))
_NEVER_SHARED: Final = (".ssh", ".gnupg", ".aws", ".kube", ".docker")


def id_for(name: str) -> str:
    """Return the agent id that a name gives. Raises: InvalidRequest when nothing of it can stand in one."""
    agent_id = _NOT_IN_ID.sub("-", name.strip().lower()).strip("-_")[:64].rstrip("-_")
    if not agent_id:
        raise InvalidRequest(f"the name {name[:64]!r} has no letter or digit that an agent id can hold")
    return agent_id


def checked_workspace(text: str, *, home: Path, state_dir: Path) -> str:
    """Return the absolute path of a folder that agents may work in; the folder need not exist.

    What an agent's file tools could read or overwrite there is refused: the whole disk, a home directory as such, the
    system's folders, keys, and the gateway's own state. Links are judged by where they lead.

    Raises: InvalidRequest.
    """
    if not text.isprintable() or len(text) > 1024:
        raise InvalidRequest("the workspace path holds control characters or is longer than 1024 characters")
    path = home / text[2:] if text.startswith("~/") else Path(text)
    if not path.is_absolute() or ".." in path.parts:
        raise InvalidRequest("the workspace must be an absolute path without `..`, or begin with `~/`")
    for place in {path, path.resolve()}:
        if why := _danger(place, home.resolve(), state_dir.resolve()):
            raise InvalidRequest(f"{place} cannot be a workspace: {why}", hint="Choose a folder of its own.")
    return str(path)


def _danger(path: Path, home: Path, state: Path) -> str:
    if path in (home, *home.parents) or path in (state, *state.parents):
        return "it holds a home directory or the gateway's state"
    if path.is_relative_to(state):  # which may well lie below /var/lib
        own = any(path.is_relative_to(state / name) for name in OWN_STATE)
        return "it is the gateway's own" if own else ""
    if path in _SHARED:
        return "others keep their files there"
    if any(path.is_relative_to(folder) for folder in _SYSTEM):
        return "it belongs to the system"
    if any(path.is_relative_to(home / name) for name in _NEVER_SHARED):
        return "it holds keys"
    return ""


def entries_of(parsed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the agents that a configuration names; without any there is `main`, which is named from here on.

    Raises: InvalidRequest when agents.list is no list of objects, or the agents stand in an object by id.
    """
    agents = parsed.get("agents", {})
    if isinstance(agents, Mapping) and agents.get("entries"):
        raise InvalidRequest(
            "the configuration names its agents in agents.entries, which is read but not written",
            hint="Move them to agents.list, each with its id; then clients can change them.",
        )
    found = agents.get("list", []) if isinstance(agents, Mapping) else None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise InvalidRequest("agents.list is no list of objects", hint="Correct it with config.set first.")
    return [dict(entry) for entry in found] or [{"id": str(MAIN_AGENT), "default": True}]


def with_entries(parsed: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the configuration with these agents."""
    agents = parsed.get("agents")
    return {**parsed, "agents": {**(agents if isinstance(agents, dict) else {}), "list": [*entries]}}


def created(parsed: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with one more agent. Raises: Conflict, InvalidRequest."""
    entries, agent_id = entries_of(parsed), entry["id"]
    if agent_id == MAIN_AGENT:
        raise InvalidRequest(f'"{agent_id}" is reserved')
    if any(each.get("id") == agent_id for each in entries):
        raise Conflict(f'agent "{agent_id}" already exists', hint="Choose another name.")
    if len(entries) >= MAX_AGENTS:
        raise InvalidRequest(f"there are {MAX_AGENTS} agents, more than that are not configured by clients")
    return with_entries(parsed, [*entries, entry])


def updated(parsed: Mapping[str, Any], agent_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with an agent changed; None removes a setting, objects merge. Raises: NotFound."""
    entries = entries_of(parsed)
    entry = _find(entries, agent_id)
    for key, value in changes.items():
        if value is None:
            entry.pop(key, None)
        elif isinstance(value, Mapping):
            kept = entry.get(key)
            entry[key] = {**(kept if isinstance(kept, dict) else {}), **value}
        else:
            entry[key] = value
    return with_entries(parsed, entries)


def deleted(parsed: Mapping[str, Any], agent_id: str) -> tuple[dict[str, Any], int]:
    """Return the configuration without an agent and its bindings, and how many bindings went.

    Raises: NotFound; InvalidRequest for the agent that answers when none is named.
    """
    if agent_id == MAIN_AGENT:
        raise InvalidRequest(f'"{agent_id}" cannot be deleted')
    entries = entries_of(parsed)
    entry = _find(entries, agent_id)
    flagged = [each for each in entries if each.get("default")]
    if entry is (flagged[0] if flagged else entries[0]):
        raise InvalidRequest(
            f'agent "{agent_id}" is the default agent and cannot be deleted', hint="Make another agent the default."
        )
    left = with_entries(parsed, [each for each in entries if each is not entry])
    bindings = parsed.get("bindings")
    if not isinstance(bindings, list):
        return left, 0
    kept = [each for each in bindings if not (isinstance(each, Mapping) and each.get("agentId") == agent_id)]
    return {**left, "bindings": kept}, len(bindings) - len(kept)


def _find(entries: Sequence[dict[str, Any]], agent_id: str) -> dict[str, Any]:
    entry = next((each for each in entries if each.get("id") == agent_id), None)
    if entry is None:
        raise NotFound(f'agent "{agent_id}" not found', hint="agents.list names the agents that there are.")
    return entry
