"""What a change of the configuration means for the doors: which settings change, and which of them get looser.

A setting is taken to get looser unless a rule here says that it does not: what nobody has thought of is marked. Whoever
approves a change looks at what is marked; nothing is applied by this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.redaction.redact import hides
from openclaw.config.schema import Config
from openclaw.config.schema.leaf import Section


class Change(msgspec.Struct, frozen=True):
    """One setting before and after, as people read it; secrets are never shown."""

    path: str
    before: str
    after: str
    looser: bool


def changes_between(before: Config, after: Config) -> tuple[Change, ...]:
    """Return every setting that differs, by its key path. Values are JSON, whole: nothing of a change is left out.

    What a person would not see (a direction mark, a space of no width) is spelled out.
    """
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    found = []
    for path in (*old, *(path for path in new if path not in old)):
        was, is_ = old.get(path), new.get(path)
        if was != is_:
            name = format_path(path)
            looser = not _harmless(name, was, is_)
            found.append(Change(_escaped(name), _shown(path, was), _shown(path, is_), looser))
    return tuple(sorted(found, key=lambda each: each.path))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, Section):
        for field in msgspec.structs.fields(value):
            yield from _leaves(getattr(value, field.name), (*path, field.encode_name))
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, tuple | list) and any(isinstance(item, Section | Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, tuple(value) if isinstance(value, list) else value


def _shown(path: KeyPath, value: Any) -> str:
    if isinstance(value, Secret) or (value and hides(path)):
        return "a secret" if value else "none"
    return "none" if value is None else _escaped(msgspec.json.encode(value, enc_hook=str).decode())


def _escaped(text: str) -> str:
    """Return a text in which what a person would not see is spelled out."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


Rule = Callable[[Any, Any], bool]
"""Says whether a change of a setting is not looser."""


def _off(was: Any, is_: Any) -> bool:
    return is_ is False


def _on(was: Any, is_: Any) -> bool:
    return is_ is True


def _fewer(was: Any, is_: Any) -> bool:
    return isinstance(is_, tuple) and set(is_) <= set(was or ())


def _more(was: Any, is_: Any) -> bool:
    return isinstance(is_, tuple) and set(is_) >= set(was or ())


def _towards(*strict_to_loose: str) -> Rule:
    def rule(was: Any, is_: Any) -> bool:
        order = strict_to_loose
        return is_ in order and was in order and order.index(is_) <= order.index(was)

    return rule


def _any(was: Any, is_: Any) -> bool:
    return True


_RULES: Final[Mapping[str, Rule]] = {
    "networkPolicy.allowEgress": _off,
    "networkPolicy.egressAllowlist": _fewer,
    "dmPolicy.mode": _towards("disabled", "allowlist", "pairing", "open"),
    "dmPolicy.allowIds": _fewer,
    "dmPolicy.unknownReply": _any,
    "tools.exec.security": _towards("deny", "allowlist", "full"),
    "tools.exec.ask": _towards("always", "on-miss"),
    "tools.exec.allowlist": _fewer,
    "tools.exec.safeBins": _fewer,
    "tools.deny": _more,
    "skills.onFailure": _towards("block", "confine"),
    "gateway.nodes.commands.allow": _fewer,
    "gateway.nodes.commands.deny": _more,
    "gateway.controlUi.allowedOrigins": _fewer,
    "gateway.trustedProxies": _fewer,
    "gateway.tls.enabled": _on,
    "hooks.enabled": _off,
    "cron.enabled": _off,
}
_HARMLESS: Final = (
    "identity.",
    "logging.",
    "agents.defaults.compaction.",
    "agents.defaults.thinking",
    "agents.defaults.heartbeat.every",
)
"""Prefixes of settings that open no door, whatever they say."""


def _harmless(path: str, was: Any, is_: Any) -> bool:
    rule = _RULES.get(path)
    return rule(was, is_) if rule is not None else path.startswith(_HARMLESS)
