"""secrets.*, update.*, gateway.restart.*, wizard.*: the process itself, and what is done to it from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import NotSupported, Unavailable
from openclaw.protocol.validate import NoParams, Params
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.methods.house.config import WRITES, DeliveryContext
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room
from openclaw.rpc.upkeep_port import UpkeepPort

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Names = Annotated[tuple[Name, ...], Meta(max_length=256)]


class SecretsResolveParams(Params, frozen=True):
    """What a command of another gateway asks for."""

    command_name: Name
    target_ids: Names
    allowed_paths: Names = ()
    forced_active_paths: Names = ()
    optional_active_paths: Names = ()
    provider_overrides: dict[str, str] | UnsetType = UNSET


class UpdateStatusParams(Params, frozen=True):
    """There is no checkout to look at."""

    refresh_checkout: bool = False


class UpdateRunParams(Params, frozen=True):
    """What an update would be reported to."""

    session_key: str = ""
    delivery_context: DeliveryContext | UnsetType = UNSET
    note: str = ""
    continuation_message: str = ""
    restart_delay_ms: Annotated[int, Meta(ge=0)] = 0
    timeout_ms: Annotated[int, Meta(ge=1)] = 1
    target: dict[str, str] | UnsetType = UNSET


class RestartRequestParams(Params, frozen=True):
    """A restart always lets runs end, or parks them; what would hurry or report it has no meaning."""

    reason: Annotated[str, Meta(max_length=500)] = ""
    note: Annotated[str, Meta(max_length=500)] = ""
    session_key: str = ""
    delivery_context: DeliveryContext | UnsetType = UNSET
    delay_ms: Annotated[int, Meta(ge=0)] = 0
    restart_delay_ms: Annotated[int, Meta(ge=0)] = 0
    skip_deferral: bool = False


class WizardStartParams(Params, frozen=True):
    """What would be set up."""

    mode: Literal["local", "remote"] = "local"
    workspace: str = ""
    install_daemon: bool = False
    flow: Literal["setup", "channels"] = "setup"
    channel: Name = "none"


class WizardSessionParams(Params, frozen=True):
    """Names a wizard that goes on."""

    session_id: Name


class WizardAnswer(Params, frozen=True):
    """An answer to a step."""

    step_id: Name
    value: Any = None


class WizardNextParams(WizardSessionParams, frozen=True):
    """Names a wizard and answers its step."""

    answer: WizardAnswer | UnsetType = UNSET


def _upkeep(room: Room) -> UpkeepPort:
    if room.deps.upkeep is None:
        raise Unavailable("the gateway's process cannot be reached from here")
    return room.deps.upkeep


async def secrets_reload(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Read secrets again."""
    return {"ok": True, "warningCount": await _upkeep(room).reload_secrets(peer.principal)}


async def secrets_status(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Tell of secrets what is none."""
    return {"secrets": _upkeep(room).secret_states()}


def update_status(room: Room, peer: Peer, params: UpdateStatusParams) -> dict[str, Any]:
    """Say that nothing is updated from here."""
    schedule = {"channel": "stable", "autoEnabled": False, "install": {"kind": "package"}}
    return {"sentinel": None, "updateAvailable": None, "effectiveChannel": "stable", "schedule": schedule}


def restart_preflight(room: Room, peer: Peer, params: NoParams) -> dict[str, Any]:
    """Say what a restart would interrupt."""
    running, queued = room.deps.agent.running(), room.deps.agent.queued()
    counts = {
        "queueSize": queued,
        "pendingReplies": 0,
        "embeddedRuns": running,
        "cronRuns": 0,
        "backgroundExecSessions": 0,
        "rootRequests": 0,
        "activeTasks": 0,
        "totalActive": running + queued,
    }
    busy = (("embedded-run", running, "runs are going"), ("queue", queued, "messages wait"))
    blockers = [{"kind": kind, "count": count, "message": f"{count} {what}"} for kind, count, what in busy if count]
    safe = not blockers
    summary = "safe to restart now" if safe else ", ".join(str(each["message"]) for each in blockers)
    return {"safe": safe, "counts": counts, "blockers": blockers, "summary": summary}


def restart_request(room: Room, peer: Peer, params: RestartRequestParams) -> dict[str, Any]:
    """Begin a restart; the answer still arrives."""
    before = restart_preflight(room, peer, NoParams())
    _upkeep(room).request_restart()
    return {"ok": True, "status": "scheduled", "preflight": before}


def _refuse(message: str, hint: str) -> Callable[[Room, Peer, Any], dict[str, Any]]:
    def handler(room: Room, peer: Peer, params: Any) -> dict[str, Any]:
        raise NotSupported(message, hint=hint)

    return handler


_REFUSED: Final = "Error NOT_SUPPORTED."
_no_wizard: Final = _refuse(
    "there is no set-up wizard over RPC",
    "Run `openclaw up` on the gateway's machine, or change settings with config.patch; config.schema describes them.",
)

METHODS = (
    MethodSpec(
        "secrets.reload",
        NoParams,
        "operator.admin",
        secrets_reload,
        "Reads `.env` files, auth-profiles.json and the configuration again, and uses what they say from the next call "
        "on.",
        "`{ok, warningCount}`: how many things are wrong with them; the log names each.",
        rate=WRITES,
        since=4,
    ),
    MethodSpec(
        "secrets.status",
        NoParams,
        "operator.admin",
        secrets_status,
        "Says when each secret that the configuration refers to had its value last.",
        "`{secrets: [{path, source, provider, id, resolvedAtMs, problem}]}`: never a value; `resolvedAtMs` is 0 for "
        "never.",
        since=4,
        announced=False,
    ),
    MethodSpec(
        "secrets.resolve",
        SecretsResolveParams,
        "operator.admin",
        _refuse("secrets never leave the gateway", "Run the command on the gateway's machine, where its secrets are."),
        "Refused: no secret is ever sent to a client.",
        _REFUSED,
        since=4,
    ),
    MethodSpec(
        "update.status",
        UpdateStatusParams,
        "operator.admin",
        update_status,
        "Says which updates wait: none, for the gateway neither looks for them nor installs them.",
        "`{sentinel: null, updateAvailable: null, effectiveChannel, schedule{channel, autoEnabled, install{kind}}}`",
        since=4,
    ),
    MethodSpec(
        "update.run",
        UpdateRunParams,
        "operator.admin",
        _refuse(
            "the gateway does not update itself",
            "Install the new version on its machine (pip install -U openclaw-gateway, or a new image) and restart it.",
        ),
        "Refused: the gateway never changes its own program.",
        _REFUSED,
    ),
    MethodSpec(
        "gateway.restart.preflight",
        NoParams,
        "operator.read",
        restart_preflight,
        "Says what a restart would interrupt.",
        "`{safe, counts{…, totalActive}, blockers: [{kind, count, message}], summary}`",
        since=4,
    ),
    MethodSpec(
        "gateway.restart.request",
        RestartRequestParams,
        "operator.admin",
        restart_request,
        "Restarts the gateway: runs get ten seconds to end and are resumed otherwise, clients are told, and the "
        "process ends with code 75 for its supervisor to start it again. Refused where nobody would (see "
        "OPENCLAW_SUPERVISED).",
        '`{ok, status: "scheduled", preflight}`',
        rate=WRITES,
        since=4,
    ),
    *(
        MethodSpec(
            name,
            params,
            "operator.admin",
            _no_wizard,
            "Refused: `openclaw up` on the gateway's machine sets it up.",
            _REFUSED,
        )
        for name, params in (
            ("wizard.start", WizardStartParams),
            ("wizard.next", WizardNextParams),
            ("wizard.cancel", WizardSessionParams),
            ("wizard.status", WizardSessionParams),
        )
    ),
)
