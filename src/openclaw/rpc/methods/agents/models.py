"""models.*: the models that this gateway can call, and how their providers are signed in to."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from openclaw.base.errors import InvalidRequest, NotSupported
from openclaw.base.model import ModelInfo
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.reach import default_for
from openclaw.rpc.room import Room
from openclaw.rpc.upkeep_port import ProviderAuth

THINKING: Final = ("off", "low", "medium", "high")
"""Levels that clients offer for a model that can think."""


class ModelsListParams(Params, frozen=True):
    """Only models of configured or usable providers are known, so that every view but `provider-config` is the same.

    `provider` narrows the list; `preparedOnly` leaves out what cannot be called now; `refresh` has no meaning:
    nothing here is cached.
    """

    agent_id: Annotated[str, Meta(min_length=1)] = ""
    session_key: str = ""
    auth_profile_id: str = ""
    provider: str = ""
    include_default_models: bool = False
    include_provider_capabilities: bool = False
    include_details: bool = False
    prepared_only: bool = False
    refresh: bool = False
    view: Literal["default", "configured", "provider-config", "all"] = "default"


class ModelsAuthStatusParams(Params, frozen=True):
    """Credentials are read at the start and by secrets.reload, so that `refresh` finds nothing new."""

    refresh: bool = False
    agent_id: str = ""


class ModelsAuthLogoutParams(Params, frozen=True):
    """Names what would be forgotten."""

    provider: Annotated[str, Meta(min_length=1, max_length=128)]
    profile_ids: Annotated[tuple[str, ...], Meta(min_length=1, max_length=200)] | None = None
    agent_id: str = ""


def models_list(room: Room, peer: Peer, params: Params) -> dict[str, Any]:
    """Return every model that the caller may use, unavailable ones marked."""
    if not isinstance(params, ModelsListParams):
        params = ModelsListParams()  # protocol 3 has none
    if params.prepared_only and params.refresh:
        raise InvalidRequest("invalid models.list params: preparedOnly and refresh exclude each other")
    default = _default(room, peer, params.agent_id)
    models = [model for model in room.deps.models.models() if peer.principal.may_call(model.ref)]
    if params.view == "provider-config":
        configured = room.deps.config().config.models.providers
        models = [model for model in models if model.provider in configured]
    if params.provider:
        models = [model for model in models if model.provider == params.provider]
    if params.prepared_only:
        models = [model for model in models if model.available]
    keyed = _takes_key(room) if params.include_provider_capabilities else {}
    return {"models": [_row(model, default, keyed) for model in models]}


def _default(room: Room, peer: Peer, agent_id: str) -> str:
    service = room.deps.agent
    resolved = service.resolve_agent(agent_id) if agent_id else default_for(peer.principal, service)
    return next((agent.model for agent in room.deps.agent.agents() if agent.id == resolved), "")


def _takes_key(room: Room) -> dict[str, bool]:
    return {each.provider: each.takes_key for each in _providers(room)}


def _providers(room: Room) -> list[ProviderAuth]:
    return room.deps.upkeep.provider_auth() if room.deps.upkeep else []


def _row(model: ModelInfo, default: str, keyed: dict[str, bool]) -> dict[str, Any]:
    levels = THINKING if model.reasoning else THINKING[:1]
    row: dict[str, Any] = {
        "id": model.id,
        "name": model.name or model.id,
        "provider": model.provider,
        "contextWindow": model.context_tokens,
        "reasoning": model.reasoning,
        "input": ["text", "image"] if model.images else ["text"],
        "supportsTools": model.tools,
        "thinkingLevels": [{"id": level, "label": level} for level in levels],
        "thinkingDefault": "off",
        "available": model.available,
    }
    if not model.available:
        row["unavailableReason"] = "missing-auth"
    if model.ref == default:
        row["tags"] = ["default"]
    if model.provider in keyed:
        row["apiKeySupported"] = keyed[model.provider]
    return row


def models_auth_status(room: Room, peer: Peer, params: ModelsAuthStatusParams) -> dict[str, Any]:
    """Return how each provider is signed in to, by names only."""
    found = _providers(room)
    return {
        "ts": room.deps.clock.now_ms(),
        "providers": [_auth_row(each) for each in found if each.key or each.profiles or each.problem],
        "providerCapabilities": [
            {"provider": each.provider, "apiKeySupported": each.takes_key, "quickApiKeySetup": False} for each in found
        ],
    }


def _auth_row(each: ProviderAuth) -> dict[str, Any]:
    row: dict[str, Any] = {
        "provider": each.provider,
        "authProvider": each.provider,
        "displayName": each.provider,
        "status": "missing" if each.problem else "static",
        "profiles": [{"profileId": name, "type": "api_key", "status": "static"} for name in each.profiles],
    }
    if each.key:
        row["apiKey"] = {"source": each.key}
    if each.problem:
        row["reason"] = each.problem
    return row


def models_auth_logout(room: Room, peer: Peer, params: ModelsAuthLogoutParams) -> dict[str, Any]:
    """Refuse. Raises: NotSupported."""
    raise NotSupported(
        "credentials of model providers are not removed from here",
        hint="Remove the entry from auth-profiles.json or models.providers, then call secrets.reload.",
    )


METHODS = (
    MethodSpec(
        "models.list",
        ModelsListParams,
        "operator.read",
        models_list,
        "Lists the models that this gateway can call. Protocol 3 takes no parameters and lists only available ones.",
        "`{models: [{id, name, provider, contextWindow, reasoning, input[], supportsTools, thinkingLevels[], "
        "thinkingDefault, available, unavailableReason?, tags?, apiKeySupported?}]}`",
    ),
    MethodSpec(
        "models.authStatus",
        ModelsAuthStatusParams,
        "operator.read",
        models_auth_status,
        "Says how model providers are signed in to: where a key comes from and the names of credentials, never either.",
        "`{ts, providers: [{provider, authProvider, displayName, status, profiles[], apiKey?{source}, reason?}], "
        "providerCapabilities[]}`",
        since=4,
    ),
    MethodSpec(
        "models.authLogout",
        ModelsAuthLogoutParams,
        "operator.admin",
        models_auth_logout,
        "Refused: credentials are files of the operator, which the gateway reads and never writes.",
        "Error NOT_SUPPORTED.",
        since=4,
    ),
)
