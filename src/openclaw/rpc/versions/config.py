"""The configuration, for protocol 3."""

from __future__ import annotations

from typing import Any, Final

from openclaw.rpc.versions.shaping import Errors, Results, without

_BASE_REQUIRED: Final = "config base hash required"
_INVALID: Final = "invalid config"
_WRITES: Final = ("config.set", "config.patch", "config.apply")
_GET_ONLY_4: Final = (
    "runtimeConfig",
    "sourceConfig",
    "configRevisionHash",
    "appliedConfigHash",
    "includedPaths",
    "includeProvenance",
    "agentRosterIncludeOwned",
    "bindingsIncludeOwned",
    "restartRequired",
    "reloadProblem",
)


class ConfigAnswer(dict[str, Any]):
    """The answer of config.get. `sha256` is what protocol 3 calls the content: hex of the file's bytes."""

    sha256 = ""


def _get(result: ConfigAnswer) -> dict[str, Any]:
    return {**without(*_GET_ONLY_4)(result), "hash": result.sha256}


def _written(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result[key] for key in ("ok", "path", "config")}


def _refused(error: dict[str, Any]) -> dict[str, Any]:
    """Protocol 3 names neither the setting that lacks a base hash nor, in the message, what is invalid."""
    if error["message"].startswith(_BASE_REQUIRED):
        return {**error, "message": f"{_BASE_REQUIRED}; re-run config.get and retry"}
    if error["message"].startswith(f"{_INVALID}:"):
        return {**error, "message": _INVALID}
    return error


RESULTS: Final[Results] = {"config.get": _get, **dict.fromkeys(_WRITES, _written)}
ERRORS: Final[Errors] = dict.fromkeys(_WRITES, _refused)
