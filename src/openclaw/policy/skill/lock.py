"""The lock file of skills: which content of which skill was audited, and what the audit said.

1. It lies in the state directory, where no tool writes. Its bytes follow from what it holds: keys sorted, and no times
   but those of what an operator has vouched for.
2. A skill is named by its folder: relative to the state directory, absolute when it lies elsewhere.
3. A lock that cannot be read locks nothing: no skill is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.disk import write_atomically
from openclaw.policy.skill.audit import Report
from openclaw.policy.skill.finding import Row, State
from openclaw.policy.skill.head import Powers
from openclaw.policy.skill.tree import File, Tree

FILE_NAME: Final = "skills.lock.json"
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_SKILLS: Final = 1_000


class Vouched(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an operator answers for, of one content. Times are Unix ms; `until_ms` 0 = it does not end.

    `accepts` are rows that failed. Without one, what the skill says counts as the operator's own words.
    """

    by: str
    why: str
    at_ms: int
    until_ms: int = 0
    accepts: tuple[Row, ...] = ()

    def holds(self, now_ms: int) -> bool:
        """Say whether it has not ended."""
        return not self.until_ms or now_ms < self.until_ms


class Locked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One audited skill. `auditor` is the version of the rules that passed it.

    `source` is what it says of itself, `origin` the address that it was fetched from.
    """

    name: str
    description: str
    version: str
    source: str
    digest: str
    state: State
    rows: dict[Row, State]
    declared: Powers
    observed: Powers
    auditor: int
    files: tuple[File, ...]
    enabled: bool = True
    vouched: Vouched | None = None
    origin: str = ""


class Lock(msgspec.Struct, frozen=True):
    """All of them, by folder."""

    version: int = 1
    skills: dict[str, Locked] = {}


def locked(report: Report, tree: Tree, vouched: Vouched | None = None, origin: str = "") -> Locked:
    """Return the entry of a skill as it was audited."""
    return Locked(
        name=report.name,
        description=report.manifest.description,
        version=report.version,
        source=report.manifest.source,
        digest=report.digest,
        state=report.state,
        rows=report.rows,
        declared=report.declared,
        observed=report.observed,
        auditor=report.auditor,
        files=tree.files,
        vouched=vouched,
        origin=origin,
    )


def read_lock(path: Path) -> Lock:
    """Return what is locked. Raises: ConfigError for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        found = msgspec.json.decode(raw, type=Lock)
    except FileNotFoundError:
        return Lock()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"the lock of the skills cannot be read: {error}",
            hint=f"Restore {path} from a backup, or remove it and audit the skills again.",
        ) from error
    if found.version != 1 or len(raw) > MAX_BYTES:
        raise ConfigError(
            "the lock of the skills is of another version, or too large",
            hint="Use the version of openclaw that wrote it.",
        )
    return found


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the lock. Blocking. Raises: OSError."""
    sorted_ = Lock(lock.version, dict(sorted(lock.skills.items())))
    write_atomically(path, msgspec.json.format(msgspec.json.encode(sorted_, order="sorted"), indent=1) + b"\n")
