"""The effective policy as rows: what holds, whether that is fit for production, and the setting that makes it so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from openclaw.config.refusal import binds_loopback_only, is_weak
from openclaw.config.schema import Config
from openclaw.policy.dm_door import EVERYBODY
from openclaw.policy.exec.rules import EVERY, exec_config
from openclaw.policy.node_door import admin_only

Level = Literal["production", "developer"]


class Row(msgspec.Struct, frozen=True):
    """One row of the matrix. `setting` is the key path that decides it."""

    area: str
    what: str
    value: str
    level: Level
    setting: str


def posture(config: Config) -> tuple[Row, ...]:
    """Return the rows, area by area."""
    return (
        *_listening(config),
        *_credentials(config),
        *_talking(config),
        *_egress(config),
        *_high_risk(config),
    )


def _level(*, good: bool) -> Level:
    return "production" if good else "developer"


def _listening(config: Config) -> Iterator[Row]:
    gateway = config.gateway
    local = binds_loopback_only(gateway)
    safe = local or gateway.tls.enabled or bool(gateway.trusted_proxies)
    area, where = "listening", gateway.custom_bind_host if gateway.bind == "custom" else gateway.bind
    yield Row(area, "address", where, _level(good=safe), "gateway.bind")
    yield Row(area, "TLS", "on" if gateway.tls.enabled else "off", _level(good=safe), "gateway.tls.enabled")
    origins = gateway.control_ui.allowed_origins
    yield Row(
        area,
        "browser origins",
        ", ".join(origins) or "its own",
        _level(good="*" not in origins),
        "gateway.controlUi.allowedOrigins",
    )


def _credentials(config: Config) -> Iterator[Row]:
    auth = config.gateway.auth
    yield Row("credentials", "method", auth.mode, _level(good=auth.mode != "none"), "gateway.auth.mode")
    for name, secret in (("token", auth.token), ("password", auth.password)):
        if secret:
            weak = is_weak(secret)
            value = f"{len(secret)} characters{', weak' if weak else ''}"
            yield Row("credentials", name, value, _level(good=not weak), f"gateway.auth.{name}")
    value = "taken" if auth.allow_url_token else "refused"
    yield Row(
        "credentials", "in an address", value, _level(good=not auth.allow_url_token), "gateway.auth.allowUrlToken"
    )
    limit = auth.rate_limit
    value = f"{limit.max_attempts} failures in {limit.window_ms // 1000} s, then {limit.lockout_ms // 1000} s"
    yield Row("credentials", "lockout", value, _level(good=limit.max_attempts <= 20), "gateway.auth.rateLimit")


def _talking(config: Config) -> Iterator[Row]:
    area, policy = "session identity", config.dm_policy
    yield Row(area, "direct messages", policy.mode, _level(good=policy.mode != "open"), "dmPolicy.mode")
    ids = ", ".join(policy.allow_ids[:5]) or "nobody"
    yield Row(area, "who may write", ids, _level(good=EVERYBODY not in policy.allow_ids), "dmPolicy.allowIds")
    for name, body in sorted(config.channels.items()):
        for key in ("dmPolicy", "groupPolicy"):
            if key in body:
                yield Row(
                    area, f"{name} {key}", str(body[key]), _level(good=body[key] != "open"), f"channels.{name}.{key}"
                )


def _egress(config: Config) -> Iterator[Row]:
    network = config.network_policy
    value = "any public host" if network.allow_egress else "the list alone"
    yield Row("egress", "tools reach", value, _level(good=not network.allow_egress), "networkPolicy.allowEgress")
    listed = network.egress_allowlist
    shown = ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
    wide = any(entry.strip() in ("*", "0.0.0.0/0", "::/0") or entry.count(".") < 1 for entry in listed)
    yield Row("egress", "list", shown or "nothing", _level(good=not wide), "networkPolicy.egressAllowlist")
    proxy = config.proxy
    if proxy.enabled and proxy.proxy_url:
        value = f"{proxy.proxy_url}, names by the {proxy.lookup}"
        yield Row("egress", "proxy", value, _level(good=proxy.lookup == "gateway"), "proxy.lookup")


def _high_risk(config: Config) -> Iterator[Row]:
    area, rules = "high risk", config.tools.exec
    yield Row(area, "commands", rules.security, _level(good=rules.security != "full"), "tools.exec.security")
    unasked = rules.ask == "off" and rules.security == "full"
    yield Row(area, "asking", rules.ask, _level(good=not unasked), "tools.exec.ask")
    held = config.agents.defaults.sandbox
    bare = [agent.id for agent in config.agents.list if agent.sandbox is not None and agent.sandbox.mode != "all"]
    value = f"{held.mode}, {held.backend}" + (f"; not all of {', '.join(bare[:5])}" if bare else "")
    safe = (held.mode == "all" and not bare) or rules.security == "deny"
    yield Row(area, "sandbox", value, _level(good=safe), "agents.defaults.sandbox.mode")
    any_program = any(entry.split(" ", 1)[0] in ("*", "**", "/**") for entry in rules.allowlist)
    value = ", ".join(rules.allowlist[:5]) or "nothing"
    yield Row(area, "unasked commands", value, _level(good=not any_program), "tools.exec.allowlist")
    value = "all programs that are known to" if EVERY in rules.safe_bins else ", ".join(rules.safe_bins[:5])
    yield Row(area, "unasked reading", value or "nothing", "production", "tools.exec.safeBins")
    for at, agent in enumerate(config.agents.list):
        if agent.tools.exec is not None:
            own = exec_config(config, agent.id)
            good = own.security != "full"
            setting = f"agents.list[{at}].tools.exec"
            yield Row(area, f"commands of {agent.id}", f"{own.security}, ask {own.ask}", _level(good=good), setting)
    risky = [name for name in config.gateway.nodes.commands.allow if admin_only(name)]
    value = ", ".join(risky[:5]) or "none of risk"
    yield Row(area, "node commands", value, _level(good=not risky), "gateway.nodes.commands.allow")
    value = "on" if config.hooks.enabled else "off"
    yield Row(area, "webhooks", value, "production", "hooks.enabled")
    failing = config.skills.on_failure
    yield Row(area, "skills that fail", failing, _level(good=failing == "block"), "skills.onFailure")
    value = f"{len(config.actions)} of your own" if config.actions else "none"
    yield Row(area, "actions", value, "production", "actions")
