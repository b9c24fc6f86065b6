"""What the doctor says of a configuration by itself, for the record of its change.

Only checks that look at settings, and at no file, process or peer: they take milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from openclaw.config.changes.record import Remark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openclaw.base.errors import OpenClawError
    from openclaw.config.changes.record import Side
    from openclaw.config.load import Loaded
    from openclaw.ops.doctor.scene import Configured, Finding

MAX_CHARS: Final = 300
_LINE: Final = re.compile(r"^line \d+: ")


@dataclass(frozen=True)
class Settings:
    """A configuration that can be used, and nothing else."""

    loaded: Loaded
    broken: OpenClawError | None = None


def settings_checks() -> tuple[Callable[[Configured], Iterator[Finding]], ...]:
    """Return those of the table's checks that look at nothing but the settings."""
    from openclaw.ops.doctor.checks import config, exposure, token

    return (
        config.config_findings,
        config.spelling_findings,
        token.auth_findings,
        token.duplicate_findings,
        token.hooks_findings,
        exposure.proxy_trust_findings,
        exposure.origin_findings,
        exposure.egress_findings,
    )


def remarks(side: Side) -> tuple[Remark, ...]:
    """Return each error and warning in one line, the errors first, without any secret of the configuration.

    Lines of the file are left out: they move with every change, and what is new is found by comparing.
    """
    if isinstance(side, str):
        return (Remark(id="config.file", severity="error", seen=_line(side)),)
    settings = Settings(side)
    found = [one for check in settings_checks() for one in check(settings) if one.severity in ("error", "warning")]
    if not found:
        return ()
    clean = _cleaner(side)
    told = [
        Remark(
            id=one.id,
            severity="error" if one.severity == "error" else "warning",
            seen=_line(clean(_LINE.sub("", one.evidence))),
        )
        for one in found
    ]
    return tuple(sorted(told, key=lambda one: one.severity != "error"))


def _cleaner(loaded: Loaded) -> Callable[[str], str]:
    from openclaw.config.redaction.secret_values import known_secrets
    from openclaw.telemetry.redact import Redactor

    redactor = Redactor()
    for secret in known_secrets(loaded):
        redactor.add(secret)
    return redactor.clean


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 1]}…"
