"""Foreign errors of the database, mapped at this one seam to our own."""

from __future__ import annotations

import apsw

from openclaw.base.errors import InternalError, InvalidRequest, OpenClawError, TooLarge, Unavailable


def fault(error: BaseException, what: str) -> OpenClawError:
    """Return the error to raise for a failure of the database while doing `what`."""
    match error:
        case OpenClawError():
            return error
        case apsw.FullError() | apsw.IOError() if _is_full(error):
            return Unavailable(
                f"{what}: the disk that holds the store is full; nothing was written",
                hint="Free some space on the disk of the state directory; the gateway goes on by itself.",
                retry_after_s=10,
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return Unavailable(
                f"{what}: the store's file is damaged ({error})", hint="Stop the gateway and restore a backup."
            )
        case apsw.ReadOnlyError() | apsw.CantOpenError() | apsw.PermissionsError() | apsw.AuthError():
            return Unavailable(
                f"{what}: the store's file cannot be opened for writing ({error})",
                hint="Check that the state directory exists and belongs to the gateway's user.",
            )
        case apsw.TooBigError():
            return TooLarge(f"{what}: a value is too large for the store ({error})")
        case UnicodeEncodeError():
            return InvalidRequest(f"{what}: a text holds characters that are not Unicode (a lone surrogate)")
        case OverflowError():
            return InvalidRequest(f"{what}: a number does not fit in 64 bits")
        case apsw.IOError() | apsw.BusyError() | apsw.LockedError() | apsw.NoMemError() | OSError():
            return Unavailable(
                f"{what}: the store cannot be reached ({error}); nothing was written",
                hint="Check the disk of the state directory (dmesg, `openclaw doctor`).",
                retry_after_s=2,
            )
        case _:
            return InternalError(f"{what}: unexpected {type(error).__name__}: {error}")


def _is_full(error: BaseException) -> bool:
    """Whether the disk has no room, also for the few pages of memory that SQLite shares beside an idle store."""
    return isinstance(error, apsw.FullError) or (
        isinstance(error, apsw.IOError) and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
    )
