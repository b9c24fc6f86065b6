"""The report as text for a ticket. Every known secret is cut out of it, whatever a check has said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from openclaw.base.secret import Secret
from openclaw.config.redaction.secret_values import known_secrets
from openclaw.ops.doctor.scene import Finding, Scene
from openclaw.ops.token.copies import find_copies
from openclaw.telemetry.redact import Redactor

_MARK: Final = {"ok": "ok", "info": "info", "warning": "**warning**", "error": "**ERROR**"}


def secrets_at(scene: Scene) -> list[Secret]:
    """Return every secret that the configuration or a copy of the token holds."""
    copies = find_copies(scene.paths, scene.loaded, scene.env, scene.cwd, scene.units)
    return [*known_secrets(scene.loaded), *(copy.secret for copy in copies)]


def redactor_of(scene: Scene) -> Redactor:
    """Return what cuts all of these out of a text."""
    redactor = Redactor()
    for secret in secrets_at(scene):
        redactor.add(secret)
    return redactor


def cleaned(findings: Sequence[Finding], scene: Scene) -> list[Finding]:
    """Return the findings without any secret that the configuration or a copy of the token holds."""
    redactor = redactor_of(scene)
    return [
        msgspec.structs.replace(one, evidence=redactor.clean(one.evidence), fix=redactor.clean(one.fix))
        for one in findings
    ]


def markdown(findings: Sequence[Finding], version: str) -> str:
    """Return a Markdown report: a line of counts, then a table."""
    counts = {kind: sum(one.severity == kind for one in findings) for kind in ("error", "warning", "info", "ok")}
    lines = [
        f"### openclaw {version}: doctor",
        "",
        ", ".join(f"{count} {kind}" for kind, count in counts.items()),
        "",
        "| | check | seen | what to do |",
        "|---|---|---|---|",
    ]
    for one in sorted(findings, key=lambda each: list(counts).index(each.severity)):
        fix = one.fix if one.severity != "ok" else ""
        lines.append(f"| {_MARK[one.severity]} | `{one.id}` | {_cell(one.evidence)} | {_cell(fix)} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
