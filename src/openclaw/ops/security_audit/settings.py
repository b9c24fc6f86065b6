"""What the configuration opens."""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.base.network import parse_network
from openclaw.config.refusal import MIN_SECRET_CHARS, binds_loopback_only, is_weak
from openclaw.net.egress import refusal
from openclaw.ops.doctor.checks.exposure import WIDE_BITS
from openclaw.ops.doctor.origins import useless
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.rules import Finding, found
from openclaw.ops.token.copies import VARIABLE, credential_mode, effective
from openclaw.policy.egress.allowlist import parsed_entry
from openclaw.policy.node_door import admin_only
from openclaw.secrets.audit import places

MAX_ATTEMPTS = 50
"""More wrong tries than this are no limit to speak of."""
MIN_LOCKOUT_MS = 30_000
MIN_AUDIT_DAYS = 30
_FRESH_HOOKS = 'openclaw config set hooks.token "$(openssl rand -hex 32)"'
_OWN_IDS = {
    "gateway.auth.password": "config.secrets.gateway_password_in_config",
    "hooks.token": "config.secrets.hooks_token_in_config",
}


def setting_findings(scene: Scene) -> Iterator[Finding]:
    """Report everything that settings open."""
    yield _surface(scene)
    yield from _unusable(scene)
    yield from _credential(scene)
    yield from _gateway(scene)
    yield from _hooks(scene)
    yield from _secrets(scene)
    config = scene.loaded.config
    if config.network_policy.allow_egress:
        fix = "openclaw config set networkPolicy.allowEgress false, and name hosts in networkPolicy.egressAllowlist."
        yield found("egress.open", "networkPolicy.allowEgress is on", fix)
    if inner := [entry for entry in config.network_policy.egress_allowlist if _is_inner(entry)]:
        fix = "Take out what no tool needs; give the rest to one tool alone in networkPolicy.actions."
        yield found("egress.inner_addresses", f"networkPolicy.egressAllowlist holds {', '.join(inner[:5])}", fix)
    if flags := _flags(scene):
        yield found("config.insecure_or_dangerous_flags", ", ".join(flags), "Set each back unless you need it.")
    if (days := config.storage.quotas.audit_days) < MIN_AUDIT_DAYS:
        fix = "openclaw config set storage.quotas.auditDays 90"
        yield found("ledger.short_retention", f"storage.quotas.auditDays is {days}", fix)


def _is_inner(entry: str) -> bool:
    """Say whether an entry of a list is an address, or a network, that the web is not."""
    parsed = parsed_entry(entry)
    return parsed is not None and parsed.network is not None and refusal(str(parsed.network.network_address)) != ""


def _unusable(scene: Scene) -> Iterator[Finding]:
    """Report that everything else here goes by another configuration than the file."""
    loaded = scene.loaded
    if scene.broken is not None:
        yield found("config.unusable", f"{scene.broken}; what is told goes by the defaults", scene.broken.hint)
    elif loaded.source == "last-good":
        seen = f"{loaded.path} cannot be used; what is told goes by the last one that worked"
        yield found("config.unusable", seen, "Mend what `openclaw config validate` names.", "warn")


def _surface(scene: Scene) -> Finding:
    config = scene.loaded.config
    gateway, policy = config.gateway, config.network_policy
    parts = (
        f"bind {gateway.custom_bind_host if gateway.bind == 'custom' else gateway.bind}",
        f"auth {gateway.auth.mode}",
        f"tls {'on' if gateway.tls.enabled else 'off'}",
        f"trusted proxies {len(gateway.trusted_proxies)}",
        f"hooks {'on' if config.hooks.enabled else 'off'}",
        f"egress {'every public host' if policy.allow_egress else f'{len(policy.egress_allowlist)} hosts'}",
        f"MCP servers {len(config.mcp.servers)}",
        f"actions {len(config.actions)}",
    )
    return found("summary.attack_surface", "; ".join(parts))


def _credential(scene: Scene) -> Iterator[Finding]:
    gateway = scene.loaded.config.gateway
    if gateway.auth.mode == "none":
        yield found(
            "gateway.loopback_no_auth" if binds_loopback_only(gateway) else "gateway.bind_no_auth",
            f"gateway.auth.mode is none, gateway.bind is {gateway.bind}",
            "openclaw config set gateway.auth.mode token",
        )
        return
    mode = credential_mode(scene.loaded)
    secret, where = effective(scene.loaded)
    if secret and is_weak(secret):
        yield found(
            "gateway.token_too_short",
            f"the {mode} from {where} has {len(secret)} characters, or is a placeholder",
            f"Use at least {MIN_SECRET_CHARS} random characters, e.g. by: openclaw gateway token rotate",
        )
    if gateway.auth.allow_url_token:
        yield found(
            "gateway.auth_url_token",
            "gateway.auth.allowUrlToken is on: addresses are written down in histories and by proxies",
            "openclaw config set gateway.auth.allowUrlToken false",
        )
    stated = any(one.path == f"gateway.auth.{mode}" and one.source == "plain text" for one in places(scene.loaded))
    if stated and scene.env.get(VARIABLE[mode]):
        yield found(
            "gateway.env_token_overrides_config",
            f"{VARIABLE[mode]} is set, and so is gateway.auth.{mode}: the variable counts",
            f"Keep one of the two: openclaw config unset gateway.auth.{mode}",
        )
    limit = gateway.auth.rate_limit
    if limit.max_attempts > MAX_ATTEMPTS or limit.lockout_ms < MIN_LOCKOUT_MS:
        yield found(
            "gateway.auth_no_rate_limit",
            f"{limit.max_attempts} wrong tries are free, then {limit.lockout_ms // 1000} s of lockout",
            "openclaw config unset gateway.auth.rateLimit",
        )


def _gateway(scene: Scene) -> Iterator[Finding]:
    gateway = scene.loaded.config.gateway
    if not binds_loopback_only(gateway):
        covered = gateway.tls.enabled or bool(gateway.trusted_proxies)
        yield found(
            "gateway.bind_network_accessible",
            f"gateway.bind is {gateway.bind}{'' if gateway.tls.enabled else ', without TLS of its own'}",
            "" if covered else "Set gateway.tls, or put a reverse proxy with TLS in front and bind to loopback.",
            severity="info" if covered else "warn",
        )
    elif gateway.public_base_url and not gateway.trusted_proxies:
        yield found(
            "gateway.trusted_proxies_missing",
            "gateway.publicBaseUrl is set, gateway.bind is loopback, gateway.trustedProxies is empty",
            "Name the proxy's address in gateway.trustedProxies; `openclaw doctor proxy URL` tests it.",
        )
    for entry in gateway.trusted_proxies:
        network = parse_network(entry)
        if network is not None and network.prefixlen < WIDE_BITS[network.version]:
            yield found(
                "gateway.trusted_proxies_wide",
                f"gateway.trustedProxies holds {entry}: {network.num_addresses:,} addresses",
                "Name the proxy's own address.",
                severity="critical" if network.prefixlen == 0 else "warn",
            )
    for origin in useless(gateway.control_ui.allowed_origins):
        if "*" in origin:
            yield found(
                "gateway.control_ui.allowed_origins_wildcard",
                f"gateway.controlUi.allowedOrigins holds {origin!r}; it matches nothing here",
                "Name whole origins, e.g. https://chat.example.com (or: openclaw security audit --fix)",
            )
    if risky := [name for name in gateway.nodes.commands.allow if admin_only(name)]:
        yield found(
            "gateway.nodes.allow_commands_dangerous",
            f"gateway.nodes.commands.allow holds {', '.join(risky[:5])}",
            "Take out what you do not use; only admins may invoke the rest.",
        )
    if gateway.nodes.sessions == "any":
        fix = "openclaw config set gateway.nodes.sessions own"
        yield found("gateway.nodes.sessions_any", "gateway.nodes.sessions is any", fix)


def _hooks(scene: Scene) -> Iterator[Finding]:
    hooks = scene.loaded.config.hooks
    shared, _ = effective(scene.loaded)
    if hooks.token and shared and hooks.token == shared:
        yield found("hooks.token_reuse_gateway_token", "hooks.token is the gateway's credential", _FRESH_HOOKS)
    if not hooks.enabled:
        return
    if hooks.token and is_weak(hooks.token):
        yield found("hooks.token_too_short", f"hooks.token has {len(hooks.token)} characters", _FRESH_HOOKS)
    if not hooks.allowed_agent_ids or "*" in hooks.allowed_agent_ids:
        fix = "Name the agents that hooks may start."
        yield found("hooks.allowed_agent_ids_unrestricted", "hooks.allowedAgentIds names no agents", fix)
    if not hooks.default_session_key:
        yield found("hooks.default_session_key_unset", "hooks.defaultSessionKey is empty")
    if hooks.allow_request_session_key:
        fix = "openclaw config set hooks.allowRequestSessionKey false"
        if hooks.allowed_session_key_prefixes:
            yield found("hooks.request_session_key_enabled", "hooks.allowRequestSessionKey is on", fix)
        else:
            seen = "hooks.allowRequestSessionKey is on and hooks.allowedSessionKeyPrefixes is empty"
            fix = f"Set hooks.allowedSessionKeyPrefixes, e.g. to `hook:`; or: {fix}"
            yield found("hooks.request_session_key_prefixes_missing", seen, fix)


def _secrets(scene: Scene) -> Iterator[Finding]:
    plain = [one.path for one in places(scene.loaded) if one.source == "plain text"]
    fix = "openclaw secrets set puts each elsewhere and a reference in its place (docs/secrets.md)."
    for path in plain:
        if path in _OWN_IDS:
            yield found(_OWN_IDS[path], f"{path} is plain text", fix)
    if others := [path for path in plain if path not in _OWN_IDS]:
        yield found("config.plaintext_secrets", ", ".join(others[:10]), fix)


def _flags(scene: Scene) -> list[str]:
    config = scene.loaded.config
    flags = {
        "gateway.auth.mode=none": config.gateway.auth.mode == "none",
        "networkPolicy.allowEgress=true": config.network_policy.allow_egress,
        "hooks.allowRequestSessionKey=true": config.hooks.enabled and config.hooks.allow_request_session_key,
        "gateway.nodes.sessions=any": config.gateway.nodes.sessions == "any",
        "tools.exec.security=full": config.tools.exec.security == "full",
        "agents.defaults.sandbox.mode=off": config.agents.defaults.sandbox.mode == "off",
    }
    return [name for name, is_set in flags.items() if is_set]
