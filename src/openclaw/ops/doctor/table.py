"""The table of checks, in the order in which one would mend. docs/doctor.md is written from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, get_args

from openclaw.base.errors import InvalidRequest
from openclaw.config.issue import IssueKind
from openclaw.ops.doctor.checks import (
    audit,
    config,
    exposure,
    gateway,
    outside,
    policy,
    sandbox,
    service,
    skills,
    state,
    token,
)
from openclaw.ops.doctor.scene import Finding, Scene, Severity


class Check(NamedTuple):
    """One look. `reports` has the worst severity of each finding's id; all of them belong to `group`."""

    group: str
    looks_at: str
    run: Callable[[Scene], Iterator[Finding]]
    reports: Mapping[str, Severity]


_REMARKS: Final = ("unknown-key", "not-available", "overridden", "old-name")
_ISSUES: Final[Mapping[str, Severity]] = {
    f"config.{kind}": "warning" if kind in _REMARKS else "error" for kind in get_args(IssueKind)
}

CHECKS: Final = (
    Check(
        "config",
        "the file, its schema, what is quarantined",
        config.config_findings,
        {"config.file": "error", **_ISSUES},
    ),
    Check(
        "config", "names that older versions gave settings", config.spelling_findings, {"config.deprecated": "warning"}
    ),
    Check("config", "both .env files", config.environment_findings, {"env.file": "warning"}),
    Check(
        "state",
        "the state directory and the files with secrets: owner, mode, writable",
        state.state_findings,
        {
            "state.dir": "info",
            "state.owner": "warning",
            "state.writable": "error",
            "state.mode": "warning",
            "state.file-mode": "warning",
            "state.file-owner": "warning",
        },
    ),
    Check("state", "the lock of the state directory", state.lock_findings, {"lock.holder": "warning"}),
    Check("state", "unfinished files", state.leftover_findings, {"state.leftovers": "info"}),
    Check(
        "backup",
        "scheduled backups, their last run, restores that wait or were broken off",
        state.backup_findings,
        {
            "backup.restore": "error",
            "backup.waiting": "info",
            "backup.failed": "warning",
            "backup.schedule": "error",
            "backup.late": "warning",
        },
    ),
    Check(
        "skills",
        "managed skills, and those of the agents' workspaces, against their lock",
        skills.skill_findings,
        {"skills.lock": "error", "skills.blocked": "warning"},
    ),
    Check("disk", "free space", state.disk_findings, {"disk.space": "error"}),
    Check(
        "store",
        "SQLite's own check, and the schema",
        outside.store_findings,
        {"store.integrity": "error", "store.schema": "error"},
    ),
    Check(
        "audit",
        "the chain of the audit ledger, against itself and against the heads in the log",
        audit.chain_findings,
        {"audit.chain": "error", "audit.head": "error"},
    ),
    Check(
        "token",
        "the shared credential and its strength",
        token.auth_findings,
        {"gateway.refuses": "error", "gateway.auth": "warning", "gateway.token": "warning"},
    ),
    Check(
        "token",
        "every copy of it: configuration, gateway.remote, environment, .env, token file, service unit",
        token.parity_findings,
        {"token.parity": "error"},
    ),
    Check("token", "one secret used twice", token.duplicate_findings, {"token.duplicate": "error"}),
    Check("token", "the token of the webhooks", token.hooks_findings, {"hooks.token": "warning"}),
    Check(
        "devices",
        "devices with operator.admin, unseen for 90 days",
        token.device_findings,
        {"devices.unseen": "warning"},
    ),
    Check("policy", "doors that are open for a time", policy.widening_findings, {"policy.widened": "warning"}),
    Check("policy", "senders that are named, not identified", policy.sender_findings, {"policy.sender": "warning"}),
    Check("models", "the default model", outside.model_findings, {"model.file": "error", "model.default": "error"}),
    Check(
        "models",
        "credentials of the providers; they are tried with `--deep` only",
        outside.provider_findings,
        {"providers.credential": "warning", "providers.answer": "error"},
    ),
    Check("models", "packages that settings need", outside.extra_findings, {"extras.missing": "error"}),
    Check("channels", "configured channels", outside.channel_findings, {"channels.config": "info"}),
    Check(
        "network",
        "proxies and authorities in the environment",
        outside.network_findings,
        {"network.proxy": "info", "network.authorities": "error"},
    ),
    Check(
        "network",
        "this clock against a provider's, with `--deep` only",
        outside.clock_findings,
        {"clock.skew": "error"},
    ),
    Check(
        "exposure",
        "gateway.trustedProxies",
        exposure.proxy_trust_findings,
        {"exposure.trusted-proxies": "error", "exposure.proxy-untrusted": "info"},
    ),
    Check("exposure", "gateway.controlUi.allowedOrigins", exposure.origin_findings, {"exposure.origins": "warning"}),
    Check("exposure", "gateway.controlUi.root", exposure.page_findings, {"page.root": "error"}),
    Check(
        "exposure",
        "gateway.tls: the certificate, how long it lasts, who can read its key",
        exposure.tls_findings,
        {"tls.certificate": "error", "tls.key-mode": "warning"},
    ),
    Check(
        "exposure",
        "networkPolicy: how wide it is, entries that open nothing",
        exposure.egress_findings,
        {"exposure.egress": "warning", "exposure.egress-entry": "warning"},
    ),
    Check("exposure", "reviews of networkPolicy", exposure.review_findings, {"exposure.egress-review": "warning"}),
    Check(
        "exposure",
        "tools.exec and the walls around commands: bubblewrap, docker, or none",
        sandbox.sandbox_findings,
        {"exec.policy": "warning", "sandbox.off": "warning", "sandbox.walls": "error", "sandbox.image": "error"},
    ),
    Check(
        "service",
        "the installed service: what its file says against what would be written, its program, port and state",
        service.service_findings,
        {
            "service.unit": "info",
            "service.drift": "warning",
            "service.missing": "error",
            "service.version": "warning",
            "service.port": "warning",
            "service.state": "error",
        },
    ),
    Check(
        "service",
        "every systemd unit of openclaw: secrets in it, and its environment files",
        service.unit_findings,
        {"service.secret": "error", "service.environment": "error"},
    ),
    Check(
        "gateway",
        "what answers on the port, its version, and whether it runs by the file",
        gateway.gateway_findings,
        {
            "gateway.reachable": "info",
            "gateway.port": "error",
            "gateway.token-parity": "error",
            "gateway.version": "warning",
            "gateway.restart": "warning",
            "gateway.reload": "warning",
        },
    ),
    Check(
        "gateway",
        "the sockets that really listen (/proc/net)",
        gateway.listening_findings,
        {"listen.bind": "error", "listen.owner": "error"},
    ),
)

GROUPS: Final = tuple(dict.fromkeys(check.group for check in CHECKS))


def examine(scene: Scene, groups: Sequence[str] = ()) -> list[Finding]:
    """Run the checks of these groups, or all. Raises: InvalidRequest for a group that does not exist."""
    wanted = chosen(groups)
    return [finding for check in CHECKS if check.group in wanted for finding in check.run(scene)]


def chosen(groups: Iterable[str]) -> frozenset[str]:
    """Return the groups that are named, or all. Raises: InvalidRequest."""
    named = frozenset(groups)
    if unknown := sorted(named.difference(GROUPS)):
        raise InvalidRequest(f"there is no check {unknown[0]!r}", hint=f"Checks: {', '.join(GROUPS)}.")
    return named or frozenset(GROUPS)
