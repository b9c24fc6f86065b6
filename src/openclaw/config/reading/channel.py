"""What can be said about a channel's section before its room exists: the kinds of the keys that channels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DM_POLICIES = ("pairing", "allowlist", "open", "disabled")
_GROUP_POLICIES = ("open", "disabled", "allowlist")


def _is_id_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int) for item in value)


def _is_credential(value: Any) -> bool:
    return isinstance(value, str | dict)


_CHECKS: dict[str, tuple[Any, str]] = {
    "enabled": (lambda value: isinstance(value, bool), "true or false"),
    "dmPolicy": (lambda value: value in _DM_POLICIES, "one of " + ", ".join(_DM_POLICIES)),
    "groupPolicy": (lambda value: value in _GROUP_POLICIES, "one of " + ", ".join(_GROUP_POLICIES)),
    "allowFrom": (_is_id_list, "a list of ids"),
    "groupAllowFrom": (_is_id_list, "a list of ids"),
    "botToken": (_is_credential, "text, or a secret reference"),
    "token": (_is_credential, "text, or a secret reference"),
    "appToken": (_is_credential, "text, or a secret reference"),
    "signingSecret": (_is_credential, "text, or a secret reference"),
    "webhookSecret": (_is_credential, "text, or a secret reference"),
    "accounts": (lambda value: isinstance(value, dict), "an object { name: … }"),
    "name": (lambda value: isinstance(value, str), "text"),
}


def check_channel(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (key, what was expected) for every shared key of the wrong kind."""
    return [(key, wanted) for key, (holds, wanted) in _CHECKS.items() if key in body and not holds(body[key])]
