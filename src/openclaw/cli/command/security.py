"""`openclaw security`: what is open on this machine, and what the running gateway does when it is attacked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from openclaw.cli import output
from openclaw.cli.reach import Reach, gateway_options
from openclaw.cli.terminal import waiting

if TYPE_CHECKING:
    from openclaw.ops.security_audit.live import Probe, Running
    from openclaw.ops.security_audit.rules import Finding

_MARKS = {"critical": "error", "warn": "warning", "info": "info"}


@click.group()
def security() -> None:
    """Look for what is open: settings, files, the audit ledger, the running process.

    \b
    Examples:
      openclaw security audit
      openclaw security audit --deep
    """


@security.command()
@click.option(
    "--deep", is_flag=True, help="Also probe the running gateway: sockets, routes, forged headers, tools, logs."
)
@click.option("--fix", is_flag=True, help="Mend what the doctor can mend safely, after a snapshot, then look again.")
@output.json_option
@gateway_options
def audit(reach: Reach, deep: bool, fix: bool, as_json: bool) -> int:
    """Report what is open, each under a stable id, with what was seen and what to do. Exit 1 on anything critical.

    \b
    Examples:
      openclaw security audit
      openclaw security audit --deep --json
      openclaw security audit --fix            then `openclaw doctor undo` takes it back
    """
    from openclaw.base.clock import SYSTEM_CLOCK
    from openclaw.cli import doctoring
    from openclaw.ops.doctor.mend import mend
    from openclaw.ops.doctor.report import redactor_of
    from openclaw.ops.security_audit.audit import FIX_GROUPS, counted, examine, examine_running, reported

    mended = mend(partial(doctoring.look, reach, models=False), FIX_GROUPS) if fix else None
    probes: list[Probe] | None = None
    with waiting("looking"):
        scene = doctoring.look(reach, models=False)
        found = examine(scene)
        if deep:
            probes, more = examine_running(scene, _running(reach, scene))
            found += more
    findings = reported(found, redactor_of(scene))
    summary = counted(findings)
    if as_json:
        told: dict[str, Any] = {"ok": not summary.critical, "ts": SYSTEM_CLOCK.now_ms(), "summary": summary}
        told |= {"findings": findings}
        if probes is not None:
            told["deep"] = {
                "gateway": {"attempted": True, "url": reach.target.url, "ok": bool(probes)},
                "probes": probes,
            }
        output.emit_json(told if mended is None else {**told, "fix": mended})
    else:
        if mended is not None:
            done = ", ".join(one.patch for one in mended.patches if one.result == "applied")
            click.echo(
                f"Mended: {done}. To take it back: openclaw doctor undo {mended.id}\n" if done else "Nothing to mend.\n"
            )
        _print(findings, probes or ())
        click.echo(f"\n{summary.critical} critical, {summary.warn} warn, {summary.info} info")
    return 1 if summary.critical else 0


def _running(reach: Reach, scene: Any) -> Running:
    from openclaw.ops.doctor.report import secrets_at
    from openclaw.ops.security_audit.live import Running

    to = reach.target
    return Running(
        http_url=to.http_url,
        bearer=to.bearer,
        fingerprint=to.tls_fingerprint,
        logs_dir=scene.paths.logs_dir,
        secrets=tuple(secrets_at(scene)),
        connect=lambda: reach.run(_connect(reach)),
    )


async def _connect(reach: Reach) -> None:
    """Open a connection without a credential. Raises: as GatewayClient.open."""
    from openclaw.client.handshake import Credentials, Role
    from openclaw.client.tls import Trust
    from openclaw.client.ws import GatewayClient

    to = reach.target
    trust = Trust(fingerprint=to.tls_fingerprint)
    client = await GatewayClient.open(to.url, Role(), Credentials(), trust=trust, timeout_s=reach.timeout_s)
    await client.close()


def _print(findings: Sequence[Finding], probes: Sequence[Probe]) -> None:
    for each in findings:
        click.echo(f"{output.mark(_MARKS[each.severity])}  {each.check_id}: {each.title}: {each.detail}")
        if each.remediation:
            click.echo(f"      → {each.remediation}")
    if probes:
        click.echo()
    for one in probes:
        click.echo(f"{output.mark('ok' if one.ok else 'error')}  {one.name}: {one.seen}")
