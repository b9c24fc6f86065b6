"""models.list: the models that this gateway can call."""

from __future__ import annotations

from typing import Any, Literal

from openclaw.base.model import ModelInfo
from openclaw.protocol.validate import Params
from openclaw.rpc.method import MethodSpec
from openclaw.rpc.peer import Peer
from openclaw.rpc.room import Room


class ModelsListParams(Params, frozen=True):
    """Views are the same here: only configured models are known."""

    agent_id: str = ""
    include_provider_capabilities: bool = False
    include_details: bool = False
    prepared_only: bool = False
    refresh: bool = False
    view: Literal["default", "configured", "provider-config", "all"] = "default"


def models_list(room: Room, peer: Peer, params: ModelsListParams) -> dict[str, Any]:
    """Return every model, unavailable ones marked."""
    default = room.default_model()[0]
    return {"models": [_row(model, default) for model in room.deps.models.models()]}


def _row(model: ModelInfo, default: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": model.id,
        "name": model.name or model.id,
        "provider": model.provider,
        "contextWindow": model.context_tokens,
        "reasoning": model.reasoning,
        "input": ["text", "image"] if model.images else ["text"],
        "supportsTools": model.tools,
        "available": model.available,
    }
    if model.ref == default:
        row["tags"] = ["default"]
    return row


METHODS = (
    MethodSpec(
        "models.list",
        ModelsListParams,
        "operator.read",
        models_list,
        "Lists the models that this gateway can call. Protocol 3 takes no parameters and lists only available ones.",
        "`{models: [{id, name, provider, contextWindow, reasoning, input[], supportsTools, available, tags?}]}`",
    ),
)
