"""What the settings of the doors leave open: who may write, what runs unasked, who is an administrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from openclaw.base.network import parse_network
from openclaw.config.paths import holds_state
from openclaw.config.refusal import workspaces
from openclaw.config.schema import Config
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, Severity, found
from openclaw.policy.dm_door import EVERYBODY, names_among

MAX_TOLD: Final = 10
ALL_OF_THEM: Final = "all"
"""Stands for the channel's name where dmPolicy holds for every channel."""
_NARROWER: Final = {4: 8, 6: 24}
"""A network of the web with fewer fixed bits than this is no destination."""


def door_findings(scene: Scene) -> Iterator[Finding]:
    """Report what the doors let through."""
    config = scene.loaded.config
    writers = list(_writers(config))
    yield from writers
    yield from _commands(config, open_to_all=any(each.check_id.endswith(".open") for each in writers))
    for path, place in workspaces(scene.loaded):
        if holds_state(place, scene.paths.state_dir) or scene.paths.config_path.resolve().is_relative_to(place):
            fix = "Name a folder that holds nothing but the agent's files, e.g. ~/openclaw-workspace."
            yield found("agents.workspace_holds_state", f"{path} is {place}", fix)
    for name, role in config.gateway.roles.items():
        admin = name == "admin" if role.scopes is None else "operator.admin" in role.scopes
        if admin and EVERYBODY in role.groups:
            fix = f"Name the groups of administrators in gateway.roles.{name}.groups."
            yield found("gateway.roles.admin_for_everybody", f"gateway.roles.{name}.groups holds *", fix)
    if wide := [entry for entry in _destinations(config) if _is_wide(entry)]:
        fix = "Name the hosts that tools need, or suffixes that belong to one owner."
        yield found("egress.wildcard", f"opened: {', '.join(wide[:MAX_TOLD])}", fix)


def _writers(config: Config) -> Iterator[Finding]:
    door = config.dm_policy
    fix = "openclaw config set dmPolicy.mode pairing, and let people in: openclaw pairing list"
    if door.mode == "open":
        check_id = "channels.*.dm.open" if EVERYBODY in door.allow_ids else "channels.*.dm.open_invalid"
        seen = f"dmPolicy.mode is open, dmPolicy.allowIds holds {', '.join(door.allow_ids[:5]) or 'nobody'}"
        yield found(check_id, seen, fix, of=ALL_OF_THEM)
    for name, body in config.channels.items():
        accounts = body.get("accounts")
        bodies = {"": body} | (dict(accounts) if isinstance(accounts, Mapping) else {})
        for account, own in bodies.items():
            if isinstance(own, Mapping) and door.mode != "disabled" and body.get("enabled", True) is True:
                where = f"channels.{name}.accounts.{account}" if account else f"channels.{name}"
                merged = {**body, **own}
                yield from _of_account(name, where, own, merged, inherited=EVERYBODY in door.allow_ids)
    names = [f"{entry!r} in {setting}" for setting, entry in islice(names_among(door, config.channels), MAX_TOLD)]
    if names:
        fix = "Write the ids that the platforms gave, e.g. telegram:123456; names can be changed by anybody."
        yield found("dm.names_in_lists", ", ".join(names), fix)


def _of_account(
    name: str, where: str, own: Mapping[str, Any], merged: Mapping[str, Any], *, inherited: bool
) -> Iterator[Finding]:
    if {"dmPolicy", "allowFrom"} & own.keys() and merged.get("dmPolicy") == "open":
        everybody = inherited or EVERYBODY in (merged.get("allowFrom") or ())
        seen = f"{where}.dmPolicy is open, allowFrom {'holds' if everybody else 'lacks'} *"
        check_id = "channels.*.dm.open" if everybody else "channels.*.dm.open_invalid"
        yield found(check_id, seen, f"openclaw config set {where}.dmPolicy pairing", of=name)
    everybody = EVERYBODY in (merged.get("groupAllowFrom") or ())
    if {"groupPolicy", "groupAllowFrom"} & own.keys() and merged.get("groupPolicy") == "open" and everybody:
        seen = f"{where}.groupPolicy is open, groupAllowFrom holds *"
        yield found("channels.*.group.open", seen, f"openclaw config set {where}.groupPolicy allowlist", of=name)


def _commands(config: Config, *, open_to_all: bool) -> Iterator[Finding]:
    rules = config.tools.exec
    if rules.security == "deny":
        return
    if any_program := [entry for entry in rules.allowlist if entry.split(" ", 1)[0].strip("/") in ("*", "**")]:
        seen = f"tools.exec.allowlist holds {', '.join(any_program[:5])}"
        yield found("tools.exec.allowlist_any_program", seen, "Name each program that may run unasked.")
    if open_to_all:
        seen = f"strangers may write, and tools.exec.security is {rules.security}"
        fix = "Close the channel, or: openclaw config set tools.exec.security deny"
        severe: Severity = "critical" if rules.security == "full" else "warn"
        yield found("security.exposure.open_channels_with_exec", seen, fix, severity=severe)
    if EVERYBODY in config.tools.tainted:
        fix = "Name the tools that may act elsewhere after an agent has read text from outside."
        yield found("tools.tainted_wildcard", "tools.tainted holds *", fix)


def _destinations(config: Config) -> Iterator[str]:
    policy = config.network_policy
    yield from policy.egress_allowlist
    yield from policy.classes.tools.allow


def _is_wide(entry: str) -> bool:
    """Say whether an entry is a whole top-level domain, or a large part of all addresses."""
    name = entry.strip().lower()
    network = parse_network(name) if "/" in name else None
    if network is not None:
        return network.prefixlen < _NARROWER[network.version]
    return name.startswith("*") and name.split(":")[0].strip("*.").count(".") == 0
