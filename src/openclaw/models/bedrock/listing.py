"""Which models an account's region offers: base models that can be called as they are, and inference profiles."""

from __future__ import annotations

import logging
from typing import TypeVar
from urllib.parse import quote

import msgspec

from openclaw.base.errors import ModelError
from openclaw.base.model import ModelInfo
from openclaw.models.bedrock.model_id import model_id
from openclaw.models.bedrock.transport import Transport
from openclaw.models.bedrock.wire import FoundationModel, FoundationModels, InferenceProfile, InferenceProfiles
from openclaw.models.catalog import Catalog

T = TypeVar("T")

PAGES = 20
_log = logging.getLogger("openclaw.models")
_read_models = msgspec.json.Decoder(FoundationModels).decode
_read_profiles = msgspec.json.Decoder(InferenceProfiles).decode


async def listed(transport: Transport, region: str, catalog: Catalog) -> list[ModelInfo]:
    """Return base models and inference profiles. Raises: ModelError when base models cannot be listed.

    A credential may be allowed to call models and not to list them: that is the caller's to judge.
    """
    offered = (await transport.get(region, "/foundation-models?byOutputModality=TEXT", _read_models)).model_summaries
    by_id = {row.model_id: row for row in offered}
    out = [_base(transport.provider, row, catalog) for row in offered if _can_be_called(row)]
    try:
        profiles = await _profiles(transport, region)
    except ModelError as error:
        _log.info("bedrock_profiles_unlisted", extra={"fields": {"provider": transport.provider, "code": error.code}})
        return out
    out.extend(
        _profile(transport.provider, row, by_id, catalog)
        for row in profiles
        if row.status == "ACTIVE" and (not by_id or model_id(row.inference_profile_id).base in by_id)
    )
    return out


async def _profiles(transport: Transport, region: str) -> list[InferenceProfile]:
    out: list[InferenceProfile] = []
    token: str | None = ""
    for _ in range(PAGES):
        path = "/inference-profiles?maxResults=1000" + (f"&nextToken={quote(token, safe='-._~')}" if token else "")
        page = await transport.get(region, path, _read_profiles)
        out.extend(page.inference_profile_summaries)
        token = page.next_token
        if not token:
            break
    return out


def _can_be_called(row: FoundationModel) -> bool:
    active = row.model_lifecycle is None or row.model_lifecycle.status == "ACTIVE"
    return active and "ON_DEMAND" in row.inference_types_supported


def _base(provider: str, row: FoundationModel, catalog: Catalog) -> ModelInfo:
    return _info(provider, row.model_id, row.model_name, row, catalog)


def _profile(provider: str, row: InferenceProfile, by_id: dict[str, FoundationModel], catalog: Catalog) -> ModelInfo:
    base = by_id.get(model_id(row.inference_profile_id).base)
    return _info(provider, row.inference_profile_id, row.inference_profile_name, base, catalog)


def _info(provider: str, ident: str, name: str, row: FoundationModel | None, catalog: Catalog) -> ModelInfo:
    info = catalog.info(provider, ident)
    images = info.images or (row is not None and "IMAGE" in row.input_modalities)
    return msgspec.structs.replace(info, name=name or info.name, images=images)
