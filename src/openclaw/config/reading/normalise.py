"""Other spellings of the same wish, brought to the schema's one spelling before anything is judged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "gateway.bind": {
        "127.0.0.1": "loopback",
        "localhost": "loopback",
        "::1": "loopback",
        "[::1]": "loopback",
        "0.0.0.0": "lan",  # noqa: S104  # a spelling in a file, nothing is bound here
        "::": "lan",
        "[::]": "lan",
        "*": "lan",
    },
    "logging.level": {"trace": "debug", "warn": "warning", "fatal": "error", "silent": "error"},
    "logging.consoleStyle": {"compact": "pretty"},
}
"""Accepted spelling → schema value, by key path. They ignore case."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def normalise_value(path: str, value: Any) -> Any:
    """Return the schema's spelling of a value; anything unknown comes back as it is."""
    if not isinstance(value, str):
        return value
    word = value.strip().lower()
    return SPELLINGS[path].get(word, word)


def normalise(raw: dict[str, Any]) -> None:
    """Bring the spellings in a configuration (our own copy, changed in place) to the schema's."""
    for path in SPELLINGS:
        section, key = path.split(".")
        body = raw.get(section)
        if isinstance(body, dict) and key in body:
            body[key] = normalise_value(path, body[key])
    if isinstance(raw.get("env"), dict):
        raw["env"] = _env_block(raw["env"])
    _node_commands(raw)
    _base_path(raw)
    _no_header(raw)


def _inner(raw: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return a section, or an empty one that is nobody's."""
    found: Any = raw
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _base_path(raw: dict[str, Any]) -> None:
    """`claw`, `claw/` and `/claw/` are `/claw`; `/` is none."""
    page = _inner(raw, "gateway", "controlUi")
    given = page.get("basePath")
    if isinstance(given, str):
        plain = given.strip().removesuffix("/")
        page["basePath"] = f"/{plain}" if plain and not plain.startswith("/") else plain


def _no_header(raw: dict[str, Any]) -> None:
    headers = _inner(raw, "gateway", "http", "securityHeaders")
    if headers.get("strictTransportSecurity") is False:
        headers["strictTransportSecurity"] = ""


def _node_commands(raw: dict[str, Any]) -> None:
    """Older files write `gateway.nodes.allowCommands` and `denyCommands`. Where both places are used, all is denied
    that either denies, and only what the newer one allows is allowed."""
    gateway = raw.get("gateway")
    nodes = gateway.get("nodes") if isinstance(gateway, dict) else None
    if not isinstance(nodes, dict) or not {"allowCommands", "denyCommands"} & set(nodes):
        return
    commands = nodes.setdefault("commands", {})
    if not isinstance(commands, dict):
        return
    if "allowCommands" in nodes:
        commands.setdefault("allow", nodes.pop("allowCommands"))
    if "denyCommands" in nodes:
        old, new = nodes.pop("denyCommands"), commands.get("deny", [])
        commands["deny"] = [*old, *new] if isinstance(old, list) and isinstance(new, list) else None


def _env_block(block: dict[str, Any]) -> dict[str, Any]:
    """Variables may stand in `env.vars` or directly in `env`; numbers are meant as text."""
    given = block.get("vars", {})
    if not isinstance(given, dict):
        return block
    others = {key: value for key, value in block.items() if key != "vars"}
    direct = {key: value for key, value in others.items() if _is_variable(key, value)}
    variables = {key: _as_text(value) for key, value in {**direct, **given}.items()}
    rest = {key: value for key, value in others.items() if key not in direct}
    return {**rest, "vars": variables} if variables or "vars" in block else rest


def _is_variable(key: str, value: Any) -> bool:
    return key != "shellEnv" and isinstance(value, str | int | float) and _VARIABLE.fullmatch(key) is not None


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
