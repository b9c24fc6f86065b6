"""A newer catalog from a file or an address: checked, kept in the state directory, laid over the program's own."""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound, TooLarge, Unavailable
from openclaw.models.catalog import CatalogFile, builtin
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.target import target

FILE_NAME = "model-catalog.json"
"""Its name in the state directory."""
LIMIT_BYTES = 4 * 1024 * 1024
"""Ten thousand models take half of it."""
_TIMEOUTS = Timeouts(connect=10.0, first_byte=30.0, idle=30.0, total=60.0)
_AT_HOME = ("embedded", "fake")
"""Providers whose models are part of the program: no other file describes them."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_log = logging.getLogger("openclaw.models")


class Refreshed(msgspec.Struct, frozen=True):
    """What a refresh found. `kept` False: the catalog in use is as new, nothing was written."""

    date: str
    previous: str
    models: int
    kept: bool


def stored(path: Path) -> CatalogFile | None:
    """Return the catalog that was kept, None when there is none, it is damaged, or the program's own is as new."""
    try:
        with path.open("rb") as file:
            found = read_catalog(file.read(LIMIT_BYTES + 1))
    except OSError:
        return None
    except (InvalidRequest, TooLarge) as error:
        _log.warning("catalog_ignored", extra={"fields": {"path": str(path), "reason": error.message}})
        return None
    return found if found.date > builtin().date else None


def read_catalog(raw: bytes) -> CatalogFile:
    """Return a catalog from its text. Raises: TooLarge, InvalidRequest naming what is wrong with it."""
    if len(raw) > LIMIT_BYTES:
        raise TooLarge(f"the catalog is over {LIMIT_BYTES} bytes")
    try:
        file = msgspec.json.decode(raw, type=CatalogFile)
        written = date.fromisoformat(file.date).isoformat()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"this is no model catalog: {error}",
            hint="Its form is that of models/data/catalog.json in the source; a newer form needs a newer openclaw.",
        ) from None
    if written != file.date:
        raise InvalidRequest("the catalog's date is not YYYY-MM-DD")  # dates are compared as text
    for row in file.models:
        if problem := _problem(row):
            raise InvalidRequest(f"the catalog's row {row.provider}/{row.id}: {problem}")
    return msgspec.structs.replace(file, models=tuple(row for row in file.models if row.provider not in _AT_HOME))


async def refresh(source: str, path: Path, *, http: HttpClient, clock: Clock) -> Refreshed:
    """Take a catalog from a file or an https address and keep it if it is newer than the one in use.

    Raises: InvalidRequest, NotFound, TooLarge, Unavailable (the address cannot be reached).
    """
    raw = await _fetched(source, http) if "://" in source else _from_file(Path(source))
    file = read_catalog(raw)
    latest = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).date() + timedelta(days=1)
    if date.fromisoformat(file.date) > latest:
        # It would keep every true one out.
        raise InvalidRequest(f"the catalog's date, {file.date}, is in the future")
    previous = (stored(path) or builtin()).date
    if file.date <= previous:
        return Refreshed(file.date, previous, len(file.models), kept=False)
    _keep(path, raw)
    return Refreshed(file.date, previous, len(file.models), kept=True)


async def _fetched(source: str, http: HttpClient) -> bytes:
    try:
        where = target(source)
        if where.scheme != "https" and where.host not in _LOOPBACK:
            raise InvalidRequest("a catalog decides what calls cost: it is fetched by https only")
        answer = await http.get_json(source, timeouts=_TIMEOUTS, purpose="download", limit_bytes=LIMIT_BYTES)
    except NetError as error:
        if error.kind == "too-large":
            raise TooLarge(f"the catalog is over {LIMIT_BYTES} bytes") from None
        if error.kind == "refused-url":
            raise InvalidRequest(f"this address cannot be used: {error.reason}") from None
        raise Unavailable(
            f"the catalog cannot be fetched: {error}", hint="Check the address and the network."
        ) from None
    if answer.status != 200:
        raise Unavailable(
            f"{where.origin} answered HTTP {answer.status}", hint="Check the address; redirects are not followed."
        )
    return answer.body


def _from_file(path: Path) -> bytes:
    try:
        with path.expanduser().open("rb") as file:
            return file.read(LIMIT_BYTES + 1)
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror or error}", hint="Name a file or an https address."
        ) from None


def _keep(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _problem(row: msgspec.Struct) -> str:
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if type(value) is int and value < (1 if name.endswith(("_tokens", "_percent")) else 0):
            return f"{name} is {value}"
    return "" if getattr(row, "id", "") and getattr(row, "provider", "") else "it has no id or no provider"
