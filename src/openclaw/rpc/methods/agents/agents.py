"""agents.create, update, delete: the agents of the configuration. agents.files and .workspace: what they work with."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from mimetypes import guess_type
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from msgspec import UNSET, Meta, UnsetType

from openclaw.agent.leaving import to_trash
from openclaw.agent.roster import checked_workspace, created, deleted, id_for, updated
from openclaw.base.errors import InvalidRequest, NotFound, ToolError
from openclaw.base.ids import AgentId
from openclaw.config.env import expand, state_dir_of
from openclaw.config.load import Loaded
from openclaw.config.paths import holds_state
from openclaw.config.writing.apply import with_values
from openclaw.policy.content_door import PROMPT_FILES
from openclaw.protocol.validate import Params
from openclaw.rpc.config_port import ConfigChange
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.house.config import WRITES, desk_of
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.tools.workspace import Facts, Workspace

T = TypeVar("T")

KNOWN_FILES: Final = PROMPT_FILES
"""Only these are read and written by name."""

MAX_FILE_BYTES: Final = 1024 * 1024
MAX_ENTRIES: Final = 1000
"""Entries of a folder in one answer."""

Text = Annotated[str, Meta(min_length=1, max_length=200)]
PathText = Annotated[str, Meta(min_length=1, max_length=4096)]
AgentName = Annotated[str, Meta(min_length=1, max_length=128)]


class AgentsCreateParams(Params, frozen=True):
    """The id is made from the name. Without a workspace the agent gets a folder of its own in the state directory."""

    name: Text
    workspace: PathText = ""
    model: Text = ""
    emoji: Annotated[str, Meta(max_length=64)] = ""
    avatar: Annotated[str, Meta(max_length=2048)] = ""


class AgentsUpdateParams(Params, frozen=True):
    """What is absent stays; `model` null goes back to the default."""

    agent_id: AgentName
    name: Text = ""
    workspace: PathText = ""
    model: Text | UnsetType | None = UNSET
    emoji: Annotated[str, Meta(max_length=64)] = ""
    avatar: Annotated[str, Meta(max_length=2048)] = ""


class AgentsDeleteParams(Params, frozen=True):
    """`deleteFiles` moves the agent's folders to the trash of the state directory."""

    agent_id: AgentName
    delete_files: bool = True


class AgentsFilesListParams(Params, frozen=True):
    """Names an agent."""

    agent_id: AgentName


class AgentsFilesGetParams(AgentsFilesListParams, frozen=True):
    """Names one of the known files."""

    name: PathText


class AgentsFilesSetParams(AgentsFilesGetParams, frozen=True):
    """`content` is the whole new text."""

    content: Annotated[str, Meta(max_length=MAX_FILE_BYTES)]


class AgentsWorkspaceListParams(AgentsFilesListParams, frozen=True):
    """`path` is a folder relative to the workspace; empty is the workspace itself."""

    path: Annotated[str, Meta(max_length=4096)] = ""
    offset: Annotated[int, Meta(ge=0)] = 0
    limit: Annotated[int, Meta(ge=1)] = MAX_ENTRIES


class AgentsWorkspaceGetParams(AgentsFilesListParams, frozen=True):
    """`path` is a file relative to the workspace."""

    path: PathText


async def agents_create(room: Room, peer: Peer, params: AgentsCreateParams) -> dict[str, Any]:
    """Add an agent to the configuration."""
    name = params.name.strip()
    agent_id = id_for(name)
    where: list[str] = []

    def rewrite(before: Loaded) -> str:
        chosen = _workspace(params.workspace, before)
        where[:] = [chosen or str(state_dir_of(before.env) / f"workspace-{agent_id}")]
        entry: dict[str, Any] = {"id": agent_id, "name": name}
        entry |= {key: value for key, value in (("workspace", chosen), ("model", params.model)) if value}
        if looks := _looks(params):
            entry["identity"] = looks
        return with_values(before, created(before.parsed, entry))

    await desk_of(room).write(ConfigChange(method="agents.create", rewrite=rewrite), peer.principal)
    answer = {"ok": True, "agentId": agent_id, "name": name, "workspace": where[0]}
    return {**answer, "model": params.model} if params.model else answer


async def agents_update(room: Room, peer: Peer, params: AgentsUpdateParams) -> dict[str, Any]:
    """Change an agent of the configuration."""

    def rewrite(before: Loaded) -> str:
        changes: dict[str, Any] = {}
        if params.name:
            changes["name"] = params.name.strip()
        if params.workspace:
            changes["workspace"] = _workspace(params.workspace, before)
        if params.model is not UNSET:
            changes["model"] = params.model
        if looks := _looks(params):
            changes["identity"] = looks
        return with_values(before, updated(before.parsed, params.agent_id, changes))

    await desk_of(room).write(ConfigChange(method="agents.update", rewrite=rewrite), peer.principal)
    return {"ok": True, "agentId": params.agent_id}


async def agents_delete(room: Room, peer: Peer, params: AgentsDeleteParams) -> dict[str, Any]:
    """Remove an agent from the configuration, then put its folders away."""
    gone: list[tuple[int, Path]] = []
    folders = {info.id: Path(info.workspace) for info in room.deps.agent.agents()}

    def rewrite(before: Loaded) -> str:
        left, bindings = deleted(before.parsed, params.agent_id)
        gone[:] = [(bindings, state_dir_of(before.env))]
        return with_values(before, left)

    await desk_of(room).write(ConfigChange(method="agents.delete", rewrite=rewrite), peer.principal)
    bindings, state_dir = gone[0]
    answer: dict[str, Any] = {"ok": True, "agentId": params.agent_id, "removedBindings": bindings, "removed": []}
    workspace = folders.pop(AgentId(params.agent_id), None)
    if params.delete_files and workspace is not None:
        stamp = str(room.deps.clock.now_ms())
        others = list(folders.values())
        left = await asyncio.to_thread(to_trash, params.agent_id, workspace, others, state_dir, stamp)
        answer["removed"] = [{"path": each.path, "method": each.method} for each in left if not each.reason]
        if failed := [{"path": each.path, "reason": each.reason} for each in left if each.reason]:
            answer["failed"] = failed
    return answer


def _workspace(text: str, before: Loaded) -> str:
    if not text:
        return ""
    return checked_workspace(text, home=expand(before.env, "~"), state_dir=state_dir_of(before.env))


def _looks(params: AgentsCreateParams | AgentsUpdateParams) -> dict[str, str]:
    return {key: value for key, value in (("emoji", params.emoji), ("avatar", params.avatar)) if value}


async def agents_files_list(room: Room, peer: Peer, params: AgentsFilesListParams) -> dict[str, Any]:
    """Return the known files, those that are missing marked."""

    def read(files: Workspace, root: str) -> dict[str, Any]:
        rows = [_file_row(root, name, files.facts(name)) for name in KNOWN_FILES]
        return {"agentId": params.agent_id, "workspace": root, "files": rows}

    return await _in_workspace(room, params.agent_id, read)


async def agents_files_get(room: Room, peer: Peer, params: AgentsFilesGetParams) -> dict[str, Any]:
    """Return one known file."""
    name = _known(params.name)

    def read(files: Workspace, root: str) -> dict[str, Any]:
        return {"agentId": params.agent_id, "workspace": root, "file": _file(files, root, name)}

    return await _in_workspace(room, params.agent_id, read)


async def agents_files_set(room: Room, peer: Peer, params: AgentsFilesSetParams) -> dict[str, Any]:
    """Write one known file."""
    name = _known(params.name)

    def write(files: Workspace, root: str) -> dict[str, Any]:
        files.write_text(name, params.content)
        return {"ok": True, "agentId": params.agent_id, "workspace": root, "file": _file(files, root, name)}

    return await _in_workspace(room, params.agent_id, write)


async def agents_workspace_list(room: Room, peer: Peer, params: AgentsWorkspaceListParams) -> dict[str, Any]:
    """Return a page of a folder, folders first; links are left out."""
    path = params.path.strip("/")

    def read(files: Workspace, root: str) -> dict[str, Any]:
        found = [entry for entry in files.entries(path or ".") if entry.kind in ("file", "folder")]
        found.sort(key=lambda entry: (entry.kind != "folder", entry.path))
        page = found[params.offset : params.offset + min(params.limit, MAX_ENTRIES)]
        rows = [_entry_row(entry.path, files.facts(entry.path)) for entry in page]
        answer: dict[str, Any] = {"agentId": params.agent_id, "path": path, "entries": [row for row in rows if row]}
        if path:
            answer["parentPath"] = path.rpartition("/")[0]
        return {**answer, "totalEntries": len(found), "offset": params.offset}

    return await _in_workspace(room, params.agent_id, read, every_file=True)


async def agents_workspace_get(room: Room, peer: Peer, params: AgentsWorkspaceGetParams) -> dict[str, Any]:
    """Return a file as text, or as base64 when it is none."""

    def read(files: Workspace, root: str) -> dict[str, Any]:
        facts = files.facts(params.path)
        data = files.read_bytes(params.path, MAX_FILE_BYTES)
        try:
            content, encoding = data.decode(), "utf8"
        except UnicodeDecodeError:
            content, encoding = base64.b64encode(data).decode(), "base64"
        kind = guess_type(params.path)[0] or ("text/plain" if encoding == "utf8" else "application/octet-stream")
        file = {
            "path": params.path,
            "name": params.path.rpartition("/")[2],
            "size": len(data),
            "updatedAtMs": facts.updated_at_ms if facts else 0,
            "mimeType": kind,
            "encoding": encoding,
            "content": content,
        }
        return {"agentId": params.agent_id, "file": file}

    return await _in_workspace(room, params.agent_id, read, every_file=True)


async def _in_workspace(
    room: Room, agent_id: str, work: Callable[[Workspace, str], T], *, every_file: bool = False
) -> T:
    """Run file work of an agent's workspace in a thread. Raises: InvalidRequest for what the workspace refuses.

    `every_file`: the work may reach any file there, so that a workspace around the gateway's own state is refused.
    """
    root = next((info.workspace for info in room.deps.agent.agents() if info.id == agent_id), None)
    if not root:
        raise NotFound(f'unknown agent id "{agent_id}"', hint="agents.list names the agents that there are.")
    return await asyncio.to_thread(_opened, root, work, room.deps.state_dir if every_file else None)


def _opened(root: str, work: Callable[[Workspace, str], T], state_dir: Path | None) -> T:
    if state_dir is not None and holds_state(Path(root), state_dir):
        raise InvalidRequest(
            f"{root} holds the gateway's own state, which is not shown to clients",
            hint="Give the agent a folder of its own as its workspace.",
        )
    with _refusals(), Workspace(Path(root)) as files:
        return work(files, root)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ToolError as error:
        raise InvalidRequest(error.message) from None


def _known(name: str) -> str:
    if name not in KNOWN_FILES:
        raise InvalidRequest(f'unsupported file "{name[:200]}"', hint=f"Known files: {', '.join(KNOWN_FILES)}.")
    return name


def _file(files: Workspace, root: str, name: str) -> dict[str, Any]:
    facts = files.facts(name)
    row = _file_row(root, name, facts)
    return row if row["missing"] else {**row, "content": files.read_text(name)}


def _file_row(root: str, name: str, facts: Facts | None) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "path": f"{root}/{name}", "missing": facts is None or facts.folder}
    if facts is not None and not facts.folder:
        row |= {"size": facts.size, "updatedAtMs": facts.updated_at_ms}
    return row


def _entry_row(path: str, facts: Facts | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    row: dict[str, Any] = {"path": path, "name": path.rpartition("/")[2], "updatedAtMs": facts.updated_at_ms}
    return {**row, "kind": "directory"} if facts.folder else {**row, "kind": "file", "size": facts.size}


_FILE: Final = "{name, path, missing, size?, updatedAtMs?, content?}"

METHODS = (
    MethodSpec(
        "agents.create",
        AgentsCreateParams,
        "operator.admin",
        agents_create,
        "Adds an agent to the configuration. Its id is made from the name; a workspace that holds the gateway's state, "
        "a home directory or the system's files is refused.",
        "`{ok, agentId, name, workspace, model?}`",
        rate=WRITES,
    ),
    MethodSpec(
        "agents.update",
        AgentsUpdateParams,
        "operator.admin",
        agents_update,
        "Changes an agent of the configuration.",
        "`{ok, agentId}`",
        rate=WRITES,
    ),
    MethodSpec(
        "agents.delete",
        AgentsDeleteParams,
        "operator.admin",
        agents_delete,
        "Removes an agent from the configuration, with its bindings. Its folders go to `trash` in the state directory "
        "unless `deleteFiles` is false; a workspace elsewhere, or shared with another agent, stays as it is.",
        "`{ok, agentId, removedBindings, removed: [{path, method}], failed?: [{path, reason}]}`",
        rate=WRITES,
    ),
    MethodSpec(
        "agents.files.list",
        AgentsFilesListParams,
        "operator.read",
        agents_files_list,
        "Lists the files of an agent's workspace that speak to the agent.",
        f"`{{agentId, workspace, files: [{_FILE}]}}`",
    ),
    MethodSpec(
        "agents.files.get",
        AgentsFilesGetParams,
        "operator.read",
        agents_files_get,
        "Reads one of those files.",
        f"`{{agentId, workspace, file: {_FILE}}}`",
        passing="large",
    ),
    MethodSpec(
        "agents.files.set",
        AgentsFilesSetParams,
        "operator.admin",
        agents_files_set,
        "Writes one of those files.",
        f"`{{ok, agentId, workspace, file: {_FILE}}}`",
        rate=WRITES,
    ),
    MethodSpec(
        "agents.workspace.list",
        AgentsWorkspaceListParams,
        "operator.read",
        agents_workspace_list,
        "Lists a folder of an agent's workspace; nothing outside it is ever reached.",
        "`{agentId, path, parentPath?, entries: [{path, name, kind, size?, updatedAtMs}], totalEntries, offset}`",
        since=4,
    ),
    MethodSpec(
        "agents.workspace.get",
        AgentsWorkspaceGetParams,
        "operator.read",
        agents_workspace_get,
        "Reads a file of an agent's workspace, at most 1 MiB.",
        "`{agentId, file: {path, name, size, updatedAtMs, mimeType, encoding, content}}`",
        since=4,
        passing="large",
    ),
)
