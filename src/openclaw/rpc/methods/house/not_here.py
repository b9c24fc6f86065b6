"""What clients of protocol 4 ask for on their pages and this gateway does not have: boards, plugins, tasks, projects of
other machines, mentions, companions.

Each is one row with an honest answer: a constant, or the little that is true. Parameters are checked as for any method,
so that a client's mistake is named here as elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import InvalidRequest, NotFound, NotSupported
from openclaw.base.principal import Scope
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import Handler, MethodSpec
from openclaw.rpc.methods.conversation.sessions import Key, NotEmpty, project_id
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import agents_for
from openclaw.rpc.room import Room

MAX_WATCHED: Final = 32
Id = Annotated[str, Meta(min_length=1, max_length=256)]
State = Literal["queued", "running", "completed", "failed", "cancelled", "timed_out"]
AuditStatus = Literal["started", "succeeded", "failed", "cancelled", "timed_out", "blocked", "unknown"]


class OfSession(Params, frozen=True):
    """Names a session."""

    session_key: Key
    agent_id: NotEmpty = ""


class OfAgent(Params, frozen=True):
    """Names an agent."""

    agent_id: NotEmpty = ""


class GitHubOptionsParams(OfSession, frozen=True):
    """Names a session, and an attempt to publish it."""

    idempotency_key: NotEmpty = ""


class TypingParams(OfSession, frozen=True, kw_only=True):
    """Who types is not told: a session has one person."""

    session_id: NotEmpty
    typing: bool
    preview: Annotated[str, Meta(max_length=400)] = ""


class ViewersParams(Params, frozen=True):
    """The sessions that are open on a client's screen."""

    session_keys: Annotated[tuple[NotEmpty, ...], Meta(max_length=MAX_WATCHED)]
    agent_id: NotEmpty = ""


class VisibleParams(Params, frozen=True):
    """Whether a client's window is seen."""

    visible: bool


class PullRequestsParams(Params, frozen=True):
    """Sessions whose pull requests are wanted."""

    session_keys: Annotated[tuple[NotEmpty, ...], Meta(max_length=1000)]
    agent_id: NotEmpty = ""


class CatalogListParams(Params, frozen=True):
    """Which catalogues of foreign sessions, and which page of them."""

    catalog_id: Id = ""
    cursors: dict[str, str] = msgspec.field(default_factory=dict)
    agent_id: NotEmpty = ""
    progress_id: Annotated[str, Meta(min_length=1, max_length=128)] = ""
    search: Annotated[str, Meta(max_length=4096)] = ""
    limit_per_host: Annotated[int, Meta(ge=1)] = 1
    host_ids: tuple[NotEmpty, ...] = ()
    metadata_only: bool = False
    allow_partial_results: bool = False


class ProjectsListParams(Params, frozen=True):
    """Projects that other machines have seen there are none."""

    include_observed: bool = False


class TasksListParams(Params, frozen=True):
    """Filters of an empty list."""

    status: State | tuple[State, ...] = ()
    agent_id: NotEmpty = ""
    session_key: NotEmpty = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: str = ""
    sort_by: Literal["updatedAt", "endedAt"] = "updatedAt"


class TasksGetParams(Params, frozen=True):
    """Names a task."""

    task_id: Id


class ArtifactsListParams(Params, frozen=True):
    """Whose artifacts: a session's, a run's or a task's."""

    session_key: NotEmpty = ""
    run_id: NotEmpty = ""
    task_id: NotEmpty = ""
    agent_id: NotEmpty = ""
    type: Literal["image"] | UnsetType = UNSET
    message_role: Literal["assistant"] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=4)] = 4
    cursor: Id = ""


class AuditListParams(Params, frozen=True):
    """Filters of an empty list."""

    agent_id: NotEmpty = ""
    session_key: NotEmpty = ""
    run_id: NotEmpty = ""
    kind: Literal["agent_run", "tool_action"] | UnsetType = UNSET
    status: AuditStatus | UnsetType = UNSET
    after: Annotated[int, Meta(ge=0)] = 0
    before: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    cursor: NotEmpty = ""


class EnvironmentsListParams(Params, frozen=True):
    """Filters of a list of one."""

    runtime_id: Annotated[str, Meta(min_length=1, max_length=128)] = ""
    projection: Literal["profiles"] | UnsetType = UNSET
    include_desktop_setup: bool = False


class EnvironmentStatusParams(Params, frozen=True):
    """Names an environment."""

    environment_id: Id


class CatalogBrowseParams(Params, frozen=True):
    """What a person looks for in a catalogue of plugins."""

    query: Annotated[str, Meta(max_length=200)] = ""
    search_source: Literal["openclaw-control-ui"] | UnsetType = UNSET
    intent: Literal["all", "bundled", "trending", "official", "featured"] = "all"
    category: Annotated[str, Meta(min_length=1, max_length=64)] = ""
    cursor: Annotated[str, Meta(min_length=1, max_length=4096)] = ""
    page_size: Annotated[int, Meta(ge=1, le=100)] = 100


class SurfaceParams(Params, frozen=True):
    """Which plugin surface."""

    surface: Id
    observed_url: Annotated[str, Meta(max_length=4096)] = ""


def always(value: Any) -> Handler:
    """Return a handler whose answer is always the same."""
    return lambda room, peer, params: value


def _about(answer: Callable[[str], dict[str, Any]]) -> Handler:
    """Return a handler whose answer is about the session named."""
    return lambda room, peer, params: answer(room.session_key(peer.principal, params.session_key, params.agent_id))


def _board(key: str) -> dict[str, Any]:
    return {"sessionKey": key, "revision": 0, "tabs": [], "widgets": []}


def _members(room: Room, peer: Peer, params: OfSession) -> dict[str, Any]:
    key = room.session_key(peer.principal, params.session_key, params.agent_id)
    role = "admin" if room.is_admin(peer) else "owner"
    return {"sessionKey": key, "members": [], "identities": [], "role": role, "allowedVisibilities": ["shared"]}


def _suggestions(room: Room, peer: Peer, params: OfSession) -> dict[str, Any]:
    return {"role": "admin" if room.is_admin(peer) else "owner", "suggestions": []}


def _viewers(room: Room, peer: Peer, params: ViewersParams) -> dict[str, Any]:
    return {
        "sessionKeys": sorted({room.session_key(peer.principal, key, params.agent_id) for key in params.session_keys})
    }


def _environment(room: Room) -> dict[str, Any]:
    return {
        "id": "gateway",
        "type": "local",
        "label": "This gateway",
        "status": "available",
        "platform": sys.platform,
        "sessionHost": True,
        "trust": "persistent",
        "capabilities": ["agent.run", "sessions", "tools", "workspace"],
    }


def _environments(room: Room, peer: Peer, params: EnvironmentsListParams) -> dict[str, Any]:
    return {"environments": [_environment(room)], "profiles": []}


def _environment_status(room: Room, peer: Peer, params: EnvironmentStatusParams) -> dict[str, Any]:
    if params.environment_id != "gateway":
        raise NotFound("unknown environmentId", hint="environments.list shows those there are.")
    return _environment(room)


def _projects(room: Room, peer: Peer, params: ProjectsListParams) -> dict[str, Any]:
    projects = [
        {
            "id": project_id(info.id),
            "displayName": info.workspace.rstrip("/").rpartition("/")[2] or info.id,
            "repoRoot": info.workspace,
            "source": "workspace",
            "agentId": info.id,
        }
        for info in agents_for(peer.principal, room.deps.agent)
        if info.workspace
    ]
    return {"projects": projects, **({"observedProjects": []} if params.include_observed else {})}


def _no_task(room: Room, peer: Peer, params: TasksGetParams) -> dict[str, Any]:
    raise NotFound(f"task not found: {params.task_id}", hint="This gateway keeps no tasks apart from its runs.")


def _artifacts(room: Room, peer: Peer, params: ArtifactsListParams) -> dict[str, Any]:
    if not (params.session_key or params.run_id or params.task_id):
        details = {"type": "artifact_query_unsupported"}
        raise InvalidRequest("artifacts.list needs sessionKey, runId or taskId", details=details)
    return {"artifacts": []}


def _surface(room: Room, peer: Peer, params: SurfaceParams) -> dict[str, Any]:
    raise NotSupported(f"{params.surface} plugin surface unavailable", hint="No plugin has a surface here.")


def _hooks(room: Room, peer: Peer, params: OfAgent) -> dict[str, Any]:
    agent = room.agent(peer.principal, params.agent_id)
    workspace = next((info.workspace for info in room.deps.agent.agents() if info.id == agent), "")
    return {"workspaceDir": workspace, "managedHooksDir": "", "hooks": []}


def _mentions(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    gateway = room.deps.hub.presence()[0]
    return {"gatewayInstanceId": gateway["instanceId"], "revision": 0, "items": []}


async def _storage(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    agents = []
    for info in agents_for(peer.principal, room.deps.agent):
        _, count = await room.deps.agent.sessions(peer.principal, agent_id=info.id, limit=0)
        sizes = dict.fromkeys(("embeddedArchiveBytes", "databaseBytes", "walBytes", "archiveBytes"), 0)
        hot = {"hotTranscripts": count, "coldTranscripts": 0}
        agents.append({"agentId": info.id, "storePath": room.state_path(), **hot, **sizes})
    never = dict.fromkeys(("lastStartedAt", "lastCompletedAt", "lastError"))
    maintenance = {"running": False, **never, "archivedTranscripts": 0, "externalizedTranscripts": 0}
    return {"agents": agents, "maintenance": maintenance}


_THEME: Final = {
    "id": "claw",
    "name": "Claw",
    "description": "What the client brings itself.",
    "source": "builtin",
    "modes": ["light", "dark"],
}
_THEMES: Final = {
    "current": {"id": "claw", "mode": "system", "scope": "gateway", "overrides": {}},
    "theme": _THEME,
    "themes": [_THEME],
}
_NO_GITHUB: Final = {"personal": None, "shared": None, "pendingPersonal": None}
_NO_UI: Final = {"revision": "none", "plugins": [], "diagnostics": []}
_NO_PLUGINS: Final = {"plugins": [], "diagnostics": [], "mutationAllowed": False}
_READ: Final[Scope] = "operator.read"
_WRITE: Final[Scope] = "operator.write"

_ROWS: Final[tuple[tuple[str, type[Params], Scope, Handler, str, str], ...]] = (
    (
        "artifacts.list",
        ArtifactsListParams,
        _READ,
        _artifacts,
        "Lists files made by runs: none are kept apart.",
        "`{artifacts: []}`",
    ),
    (
        "audit.list",
        AuditListParams,
        _READ,
        always({"events": []}),
        "Lists the audit journal: none is kept for clients.",
        "`{events: []}`",
    ),
    (
        "board.get",
        OfSession,
        _READ,
        _about(_board),
        "Returns a session's board, which is empty.",
        "`{sessionKey, revision: 0, tabs: [], widgets: []}`",
    ),
    (
        "controlUi.sessionPullRequests.subscribe",
        PullRequestsParams,
        _READ,
        always({"subscribed": False}),
        "Follows pull requests of sessions: there are none to follow.",
        "`{subscribed: false}`",
    ),
    (
        "environments.list",
        EnvironmentsListParams,
        _READ,
        _environments,
        "Lists where agents run: in this gateway.",
        "`{environments: [{id, type, label, status, platform, sessionHost, trust, capabilities[]}], profiles: []}`",
    ),
    (
        "environments.status",
        EnvironmentStatusParams,
        _READ,
        _environment_status,
        "Returns one of them.",
        "As one of environments.list.",
    ),
    (
        "hooks.status",
        OfAgent,
        _READ,
        _hooks,
        "Lists scripts that run on events: there are none.",
        "`{workspaceDir, managedHooksDir, hooks: []}`",
    ),
    (
        "mentions.list",
        NoParams,
        _READ,
        _mentions,
        "Lists messages that mention oneself: none can.",
        "`{gatewayInstanceId, revision: 0, items: []}`",
    ),
    (
        "plugin.surface.refresh",
        SurfaceParams,
        _READ,
        _surface,
        "Refused (NOT_SUPPORTED): no plugin has a surface.",
        "An error.",
    ),
    (
        "plugins.catalog.browse",
        CatalogBrowseParams,
        _READ,
        always({"items": []}),
        "Lists plugins that could be installed: none can.",
        "`{items: []}`",
    ),
    (
        "plugins.controlUi.list",
        NoParams,
        _READ,
        always(_NO_UI),
        "Lists plugins for the browser interface: none.",
        "`{revision, plugins: [], diagnostics: []}`",
    ),
    (
        "plugins.list",
        NoParams,
        _READ,
        always(_NO_PLUGINS),
        "Lists plugins: none.",
        "`{plugins: [], diagnostics: [], mutationAllowed: false}`",
    ),
    (
        "plugins.uiDescriptors",
        NoParams,
        _READ,
        always({"ok": True, "descriptors": []}),
        "Lists what plugins show: nothing.",
        "`{ok, descriptors: []}`",
    ),
    (
        "progressCard.get",
        OfSession,
        _READ,
        always({"card": None}),
        "Returns a session's progress card: it has none.",
        "`{card: null}`",
    ),
    (
        "projects.list",
        ProjectsListParams,
        _READ,
        _projects,
        "Lists the agents' workspaces.",
        "`{projects: [{id, displayName, repoRoot, source, agentId}], observedProjects?: []}`",
    ),
    (
        "session.discussion.info",
        OfSession,
        _READ,
        always({"state": "none"}),
        "Says that a session is discussed nowhere else.",
        '`{state: "none"}`',
    ),
    (
        "session.members.list",
        OfSession,
        _READ,
        _members,
        "Lists with whom a session is shared: nobody.",
        "`{sessionKey, members: [], identities: [], role, allowedVisibilities[]}`",
    ),
    (
        "session.members.listEvidence",
        OfSession,
        _READ,
        _members,
        "The same.",
        "The same.",
    ),
    (
        "session.suggestions.list",
        OfSession,
        _READ,
        _suggestions,
        "Lists what others suggest to say: nothing.",
        "`{role, suggestions: []}`",
    ),
    (
        "session.typing",
        TypingParams,
        _WRITE,
        always({"ok": True, "broadcast": False}),
        "Says that somebody types: there is nobody to tell.",
        "`{ok, broadcast: false}`",
    ),
    (
        "sessions.catalog.list",
        CatalogListParams,
        _READ,
        always({"catalogs": []}),
        "Lists sessions of other programs: none are known.",
        "`{catalogs: []}`",
    ),
    (
        "sessions.companion.state",
        OfSession,
        _READ,
        always({"exchanges": []}),
        "Returns what was asked beside a session: nothing.",
        "`{exchanges: []}`",
    ),
    (
        "sessions.github.options",
        GitHubOptionsParams,
        _READ,
        always(_NO_GITHUB),
        "Says as whom a session can be published: as nobody.",
        "`{personal: null, shared: null, pendingPersonal: null}`",
    ),
    (
        "sessions.observer.visibility",
        VisibleParams,
        _READ,
        always({"ok": True}),
        "Takes note of a window that is seen or not; nothing follows.",
        "`{ok}`",
    ),
    (
        "sessions.storage.status",
        NoParams,
        _READ,
        _storage,
        "Counts transcripts per agent; all are in one database, whose size is not told here.",
        "`{agents: [{agentId, storePath, hotTranscripts, …}], maintenance}`",
    ),
    (
        "sessions.viewers.set",
        ViewersParams,
        _READ,
        _viewers,
        "Takes note of the sessions on a screen; nobody is told.",
        "`{sessionKeys[]}`",
    ),
    (
        "tasks.get",
        TasksGetParams,
        _READ,
        _no_task,
        "Refused: there are no tasks.",
        "An error.",
    ),
    (
        "tasks.list",
        TasksListParams,
        _READ,
        always({"tasks": []}),
        "Lists work in the background apart from runs: none.",
        "`{tasks: []}`",
    ),
    (
        "themes.list",
        NoParams,
        _READ,
        always(_THEMES),
        "Lists themes: the client's own.",
        "`{current, theme, themes: [{id, name, description, source, modes[]}]}`",
    ),
    (
        "worktrees.list",
        NoParams,
        _READ,
        always({"worktrees": []}),
        "Lists checkouts made for sessions: none.",
        "`{worktrees: []}`",
    ),
)

METHODS = tuple(MethodSpec(*row, since=4) for row in _ROWS)
