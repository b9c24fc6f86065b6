"""How an archive is refused: one code, so that callers need not read prose."""

from __future__ import annotations

from openclaw.base.errors import InvalidRequest

CODE = "BACKUP_INVALID"


def refused(reason: str, hint: str = "") -> InvalidRequest:
    """Return the error for an archive that nothing of is used."""
    return InvalidRequest(
        f"the backup is refused: {reason}",
        hint=hint or "Nothing was written. Take another backup: `openclaw backup list` names them.",
        details={"code": CODE},
    )
