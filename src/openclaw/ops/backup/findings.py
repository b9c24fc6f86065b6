"""What the doctor says about backups. Its checks look at the state directory only; no gateway need run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from openclaw.base.errors import OpenClawError
from openclaw.config.schema import BackupConfig
from openclaw.ops.backup.due import due_ms, is_scheduled
from openclaw.ops.backup.runs import past, read_runs
from openclaw.ops.backup.swap import JOURNAL, WAITING

LATE_MS: Final = 6 * 3_600_000
_DAY_MS: Final = 86_400_000


class Remark(NamedTuple):
    """One thing to say; the doctor makes a finding of it. `fix` is what to do, empty when all is well."""

    id: str
    severity: Literal["ok", "info", "warning", "error"]
    evidence: str
    fix: str = ""


def backup_findings(state_dir: Path, settings: BackupConfig, now_ms: int) -> Iterator[Remark]:
    """Report a restore that was broken off, backups that fail or are late, and that there are none."""
    if (state_dir / JOURNAL).exists():
        yield Remark(
            id="backup.restore",
            severity="error",
            evidence=f"a restore into {state_dir} was broken off",
            fix="Start the gateway, or run `openclaw backup restore --undo`: both put back what was there.",
        )
    if (state_dir / WAITING).exists():
        yield Remark(
            id="backup.waiting",
            severity="info",
            evidence="a restore waits for the gateway's next start",
            fix="Restart the gateway, or drop it: openclaw backup restore --undo",
        )
    runs = read_runs(state_dir)
    good = max((run.at_ms for run in runs if run.ok), default=None)
    age = "" if good is None else f"the last backup is {(now_ms - good) / _DAY_MS:.1f} days old"
    if runs and not runs[-1].ok:
        yield Remark(
            id="backup.failed",
            severity="warning",
            evidence=f"the last backup failed: {runs[-1].error}{f'; {age}' if age else ''}",
            fix="Mend what it names; `openclaw backup create` tries at once.",
        )
    if not is_scheduled(settings):
        yield Remark(
            id="backup.schedule",
            severity="info",
            evidence=f"no backups are scheduled; {age or 'none has been made'}",
            fix="openclaw backup schedule --every 1d",
        )
        return
    try:
        due = due_ms(settings, [run for run in past(runs, now_ms) if run.ok], now_ms)
    except OpenClawError as error:
        yield Remark(
            id="backup.schedule", severity="error", evidence=error.message, fix="Set backup.cron, or backup.every."
        )
        return
    if due is not None and due + LATE_MS < now_ms:
        yield Remark(
            id="backup.late",
            severity="warning",
            evidence=f"a backup is {(now_ms - due) / _DAY_MS:.1f} days overdue; {age or 'none has been made'}",
            fix="Look whether the gateway runs, and why it makes none: openclaw logs --component backup",
        )
    elif good is not None:
        yield Remark(id="backup.schedule", severity="ok", evidence=age)
