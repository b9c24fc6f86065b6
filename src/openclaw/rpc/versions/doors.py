"""Channels, speech, skills and usage, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Errors, Results, without


def _tts_status(result: dict[str, Any]) -> dict[str, Any]:
    kept = without("persona", "personas", "providerStates")(result)
    return {**kept, "hasOpenAIKey": False, "hasElevenLabsKey": False, "edgeEnabled": False}


RESULTS: Final[Results] = {
    "channels.status": without("eventLoop"),
    "tts.status": _tts_status,
    "skills.status": without("agentId"),
}

ERRORS: Final[Errors] = {"send": without("details"), "channels.logout": without("details")}
