"""The audit itself: the checks of settings, files and ledger, and what the probes of the running process saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from openclaw.ops.doctor.checks.audit import chain_findings
from openclaw.ops.doctor.checks.gateway import listening_findings
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.security_audit.commands import command_findings
from openclaw.ops.security_audit.doors import door_findings
from openclaw.ops.security_audit.files import file_findings
from openclaw.ops.security_audit.live import Probe, Prober, Running
from openclaw.ops.security_audit.rules import ORDER, Finding, found
from openclaw.ops.security_audit.settings import setting_findings
from openclaw.ops.security_audit.skills import code_findings
from openclaw.ops.security_audit.vouching import vouching_findings
from openclaw.telemetry.redact import Redactor

FIX_GROUPS = ("state", "token", "exposure")
"""The doctor's groups whose patches `--fix` applies."""
_LEDGER = {"audit.chain": "ledger.chain_broken", "audit.head": "ledger.chain_replaced"}

_SOCKETS = {"listen.bind": "deep.listen_beyond_bind", "listen.owner": "deep.foreign_listener"}
_MENDED_BY: dict[str, str] = {
    "deep.forwarded_forged": "Take this machine out of gateway.trustedProxies, or have the proxy overwrite the header.",
    "deep.egress_leak": "Look at networkPolicy: it names this machine or a network that holds it.",
    "deep.secret_in_logs": "Rotate what is in there (`openclaw gateway token rotate`), then move the file away.",
}
_REPORT = "A gateway that is well refuses this: stop it, and report it with `openclaw version` and the configuration."


class Summary(msgspec.Struct, frozen=True):
    """How many findings there are of each severity."""

    critical: int
    warn: int
    info: int


def examine(scene: Scene) -> list[Finding]:
    """Return what settings, files and ledger show."""
    checks = (
        setting_findings,
        vouching_findings,
        command_findings,
        door_findings,
        file_findings,
        code_findings,
        _ledger,
    )
    return [one for check in checks for one in check(scene)]


def counted(findings: Sequence[Finding]) -> Summary:
    """Count findings by severity."""
    return Summary(*(sum(each.severity == severity for each in findings) for severity in ORDER))


def reported(findings: Sequence[Finding], redactor: Redactor) -> list[Finding]:
    """Return findings the worst first, without any known secret."""
    clean = redactor.clean
    return [
        msgspec.structs.replace(one, detail=clean(one.detail), remediation=clean(one.remediation))
        for one in sorted(findings, key=lambda each: ORDER.index(each.severity))
    ]


def _ledger(scene: Scene) -> Iterator[Finding]:
    for each in chain_findings(scene):
        if each.severity == "error":
            yield found(_LEDGER[each.id], each.evidence, each.fix)


def examine_running(scene: Scene, running: Running) -> tuple[list[Probe], list[Finding]]:
    """Probe the running gateway and its sockets. It takes seconds and blocks."""
    findings = [
        found(_SOCKETS[each.id], each.evidence, each.fix)
        for each in listening_findings(scene)
        if each.severity in ("error", "warning")
    ]
    probes: list[Probe] = []
    try:
        probes.extend(Prober(running).probes())
    except OSError as error:
        seen = f"{running.http_url} does not answer: {error.strerror or error}"
        findings.append(found("gateway.probe_failed", seen, "Start it (`openclaw gateway`), or name it with --url."))
    findings += [
        found(each.check_id, f"{each.name}: {each.seen}", _MENDED_BY.get(each.check_id, _REPORT))
        for each in probes
        if not each.ok
    ]
    return probes, findings
