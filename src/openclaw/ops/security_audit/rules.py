"""The table of checks of the security audit. docs/security.md is written from it; ids are stable.

Ids that other versions of OpenClaw have mean the same here; `ledger.*`, `deep.*` and a few more are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import msgspec

Severity = Literal["critical", "warn", "info"]
ORDER: Final[tuple[Severity, ...]] = ("critical", "warn", "info")


class Rule(NamedTuple):
    """What a check is about. `severity` is its worst; `deep` ones are made with --deep only."""

    severity: Severity
    title: str
    deep: bool = False


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that was seen. It holds no secret. `remediation` is what to do, empty when there is nothing to do."""

    check_id: str
    severity: Severity
    title: str
    detail: str
    remediation: str = ""


RULES: Final[Mapping[str, Rule]] = {
    "summary.attack_surface": Rule("info", "What is open, in one line"),
    "config.unusable": Rule("critical", "The configuration cannot be read, and so not be audited"),
    "gateway.bind_no_auth": Rule("critical", "The gateway listens beyond this machine and asks for no credential"),
    "gateway.loopback_no_auth": Rule("critical", "Every program on this machine may use the gateway"),
    "gateway.bind_network_accessible": Rule("warn", "The gateway is reached from the network"),
    "gateway.auth_url_token": Rule("warn", "The credential is taken from the address of a WebSocket"),
    "gateway.token_too_short": Rule("warn", "The shared credential can be guessed"),
    "gateway.env_token_overrides_config": Rule("warn", "The environment's credential hides the configured one"),
    "gateway.auth_no_rate_limit": Rule("warn", "Guessing the credential is hardly slowed down"),
    "gateway.trusted_proxies_missing": Rule("warn", "A reverse proxy is in front and none is trusted"),
    "gateway.trusted_proxies_wide": Rule("critical", "More than proxies may say where a request comes from"),
    "gateway.trusted_proxy_auth": Rule("info", "A proxy says who callers are"),
    "gateway.trusted_proxy_no_proxies": Rule("critical", "A proxy is to say who callers are, and none is named"),
    "gateway.trusted_proxy_no_allowlist": Rule("warn", "Whoever the proxy names gets in"),
    "gateway.trusted_proxy_allow_loopback": Rule("warn", "Programs on this machine could pose as the proxy"),
    "gateway.control_ui.allowed_origins_wildcard": Rule("warn", "An allowed origin was meant to match every page"),
    "gateway.nodes.allow_commands_dangerous": Rule("warn", "Nodes may be told to run programs or touch files"),
    "gateway.nodes.sessions_any": Rule("warn", "Every approved node may follow and write to every session"),
    "config.insecure_or_dangerous_flags": Rule("warn", "Settings that open something wide"),
    "config.plaintext_secrets": Rule("warn", "Secrets stand in the configuration as plain text"),
    "config.secrets.gateway_password_in_config": Rule("warn", "The gateway's password stands in the configuration"),
    "config.secrets.hooks_token_in_config": Rule("info", "The token of the hooks stands in the configuration"),
    "fs.state_dir.perms_world_writable": Rule("critical", "Everybody may write into the state directory"),
    "fs.state_dir.perms_group_writable": Rule("warn", "A group may write into the state directory"),
    "fs.state_dir.perms_readable": Rule("warn", "Others may look into the state directory"),
    "fs.state_dir.symlink": Rule("warn", "The state directory is a symbolic link"),
    "fs.synced_dir": Rule("warn", "The state directory is copied to a cloud"),
    "fs.config.perms_writable": Rule("critical", "Others may write the configuration"),
    "fs.config.perms_world_readable": Rule("critical", "Everybody may read the configuration"),
    "fs.config.perms_group_readable": Rule("warn", "A group may read the configuration"),
    "fs.config.symlink": Rule("warn", "The configuration is a symbolic link"),
    "fs.config_include.perms_writable": Rule("critical", "Others may write a part of the configuration"),
    "fs.config_include.perms_world_readable": Rule("critical", "Everybody may read a part of the configuration"),
    "fs.config_include.perms_group_readable": Rule("warn", "A group may read a part of the configuration"),
    "fs.credentials_dir.perms_writable": Rule("critical", "Others may write the credentials"),
    "fs.credentials_dir.perms_readable": Rule("warn", "Others may read the credentials"),
    "fs.auth_profiles.perms_writable": Rule("critical", "Others may write the models' credentials"),
    "fs.auth_profiles.perms_readable": Rule("warn", "Others may read the models' credentials"),
    "fs.sessions_store.perms_readable": Rule("warn", "Others may read the conversations"),
    "fs.log_file.perms_readable": Rule("warn", "Others may read the log"),
    "fs.tls_key.perms_readable": Rule("warn", "Others may read the gateway's private key"),
    "hooks.token_too_short": Rule("warn", "The token of the hooks can be guessed"),
    "hooks.token_reuse_gateway_token": Rule("critical", "Who may send a hook holds the gateway's credential"),
    "hooks.allowed_agent_ids_unrestricted": Rule("warn", "Senders of hooks may choose any agent"),
    "hooks.default_session_key_unset": Rule("info", "Every hook begins a session of its own"),
    "hooks.request_session_key_enabled": Rule("warn", "Senders of hooks may name the session"),
    "hooks.request_session_key_prefixes_missing": Rule("critical", "Senders of hooks may write into any session"),
    "tools.exec.security_full_configured": Rule("critical", "Agents may run any command unasked"),
    "sandbox.commands_without_walls": Rule("warn", "Commands run with all rights of the gateway"),
    "sandbox.docker_config_mode_off": Rule("warn", "Containers are configured and not used"),
    "sandbox.dangerous_bind_mount": Rule("info", "Containers are to see more folders"),
    "sandbox.walls_missing": Rule("warn", "The walls around commands cannot be put up"),
    "channels.*.dm.open": Rule("critical", "Everybody may write to an agent"),
    "channels.*.dm.open_invalid": Rule("warn", "Open to everybody in name only"),
    "channels.*.group.open": Rule("warn", "Everybody in a group may write to an agent"),
    "dm.names_in_lists": Rule("warn", "Lists of senders hold names, which let nobody in"),
    "security.exposure.open_channels_with_exec": Rule("critical", "Strangers reach an agent that runs commands"),
    "tools.exec.allowlist_any_program": Rule("warn", "A rule lets programs run unasked that nobody named"),
    "tools.tainted_wildcard": Rule("warn", "What text from outside leads to is not asked about"),
    "agents.workspace_holds_state": Rule("critical", "Agents could reach the state or the configuration"),
    "gateway.roles.admin_for_everybody": Rule("critical", "Everybody who signs in is an administrator"),
    "egress.open": Rule("warn", "Tools may reach every public host"),
    "egress.wildcard": Rule("warn", "Tools may reach whole top-level domains or networks of the web"),
    "egress.inner_addresses": Rule("warn", "Tools may reach addresses inside this network"),
    "skills.code_safety": Rule("warn", "The audit of a skill that lies there fails"),
    "skills.workspace.symlink_escape": Rule("warn", "A skill holds links, devices or files with other names"),
    "ledger.chain_broken": Rule("critical", "The audit ledger was changed"),
    "ledger.chain_replaced": Rule("critical", "The audit ledger is another than the log has seen"),
    "ledger.short_retention": Rule("warn", "The audit ledger forgets before an incident would be noticed"),
    "gateway.probe_failed": Rule("warn", "The running gateway cannot be asked", True),
    "deep.listen_beyond_bind": Rule("critical", "The running process listens where it should not", True),
    "deep.foreign_listener": Rule("critical", "Another process listens on the gateway's port", True),
    "deep.open_route": Rule("critical", "A route answers without a credential", True),
    "deep.open_websocket": Rule("critical", "A client without a credential gets in", True),
    "deep.url_token": Rule("critical", "A credential in a URL is taken", True),
    "deep.host_forged": Rule("critical", "A page may reach the gateway by DNS rebinding", True),
    "deep.origin_forged": Rule("critical", "A page of another site may use the gateway", True),
    "deep.forwarded_forged": Rule("critical", "A forged forwarding header is believed", True),
    "deep.egress_leak": Rule("critical", "A tool reached a host that it may not", True),
    "deep.exec_unapproved": Rule("critical", "A command ran that nobody approved", True),
    "deep.secret_in_logs": Rule("critical", "The log holds a secret", True),
}


def found(
    check_id: str, detail: str, remediation: str = "", severity: Severity | None = None, *, of: str = ""
) -> Finding:
    """Return a finding of the table; `severity` where it is less than the worst, `of` what stands for the `*`."""
    rule = RULES[check_id]
    return Finding(
        check_id.replace("*", of) if of else check_id, severity or rule.severity, rule.title, detail, remediation
    )
