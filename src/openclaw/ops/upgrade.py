"""What starting this version would do to a state directory, found out on copies: nothing of it is changed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, Final

import msgspec

from openclaw.base.errors import OpenClawError
from openclaw.config.issue import Issue
from openclaw.config.load import Loaded
from openclaw.config.reading.old_names import MOVES, ROSTERS
from openclaw.config.refusal import refusals
from openclaw.ops.doctor.spelling import RENAMED
from openclaw.store.copy import Rehearsal, rehearse
from openclaw.store.fault import fault

DISTRIBUTION: Final = "openclaw-gateway"
FIRST: Final = "2026.11.0"
NEXT_YEAR: Final = "2027.11.0"
"""An old way stays for a year at least."""


class Deprecation(msgspec.Struct, frozen=True):
    """An old way that still works.

    Shape: `since` is the version that has the new way, `until` the first that may lack the old one; `path` is a key
    path of the configuration (`*` for every key of an object), "" when it is none.
    """

    what: str
    instead: str
    path: str = ""
    since: str = FIRST
    until: str = NEXT_YEAR


def _settings() -> Iterator[Deprecation]:
    for old, new in (*((".".join(one), ".".join(other)) for one, other in RENAMED), *MOVES):
        yield Deprecation(old, new, path=old)
    for roster, is_old in ROSTERS:
        if is_old:
            yield Deprecation(roster, "agents.list", path=roster)


DEPRECATIONS: Final[tuple[Deprecation, ...]] = (
    *_settings(),
    Deprecation("version 3 of the Gateway protocol", "version 4; the hello says which one a client speaks"),
)


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What an upgrade would do.

    Shape: `refusals` say why the gateway would not start; `deprecated` are the old ways in use here; `store` None when
    its copy could not be made, then `store_problem` says why.
    """

    ok: bool
    config: str
    refusals: tuple[str, ...]
    issues: tuple[Issue, ...]
    deprecated: tuple[Deprecation, ...]
    store: Rehearsal | None
    store_problem: str = ""


def check(loaded: Loaded, db_path: Path) -> Report:
    """Rehearse a start of this version. It copies the store: call it where that may take time."""
    stops = tuple(error.message for error in refusals(loaded))
    rehearsal, problem = _rehearsed(db_path)
    return Report(
        ok=not stops and rehearsal is not None and not rehearsal.problems and loaded.source != "last-good",
        config=str(loaded.path),
        refusals=stops,
        issues=loaded.issues,
        deprecated=tuple(each for each in DEPRECATIONS if each.path and _has(loaded.parsed, each.path)),
        store=rehearsal,
        store_problem=problem,
    )


def _rehearsed(db_path: Path) -> tuple[Rehearsal | None, str]:
    import apsw

    # Beside the store: there is a disk that holds it, and /tmp may be memory.
    beside = db_path.parent if db_path.parent.is_dir() else None
    try:
        with tempfile.TemporaryDirectory(prefix=".upgrade-check-", dir=beside) as folder:
            return rehearse(db_path, Path(folder)), ""
    except OpenClawError as error:
        return None, error.message
    except (OSError, apsw.Error) as error:
        return None, fault(error, f"copying {db_path}").message


def _has(parsed: Mapping[str, Any], path: str) -> bool:
    found: Any = parsed
    for key in path.removesuffix(".*").split("."):
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    return True


def extras() -> dict[str, bool]:
    """Return the optional parts of this version and whether all that each needs is installed."""
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return {}
    found: dict[str, bool] = {}
    for line in lines:
        needed, marked, marker = line.partition("extra ==")
        if marked:
            name = marker.strip().strip("'\"")
            found[name] = found.get(name, True) and _installed(needed)
    return found


def _installed(requirement: str) -> bool:
    name = requirement.split(";")[0].split("[")[0]
    for stop in "<>=!~ (":
        name = name.split(stop)[0]
    try:
        package_version(name.strip())
    except PackageNotFoundError:
        return False
    return True
