"""What one change of the configuration was. It holds no secret: those are in the snapshots beside it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from openclaw.config.env import Environment
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.load import Loaded
from openclaw.config.plan import plan
from openclaw.config.reading.values import ABSENT, lookup
from openclaw.config.redaction.redact import hidden_value, hides
from openclaw.config.schema import ReloadClass
from openclaw.config.writing.difference import changes_of

MAX_TOLD: Final = 50


class SettingDiff(msgspec.Struct, frozen=True):
    """One setting before and after, secrets as placeholders; a side without it is left out."""

    path: str
    old: Any | UnsetType = UNSET
    new: Any | UnsetType = UNSET


class Planned(msgspec.Struct, frozen=True):
    """What a change of one setting needs to take effect."""

    path: str
    reload: ReloadClass


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks for a change, by what, and why. `method` is `config.patch`, `cli: config set`, `fix: <check>` …"""

    method: str
    owner: str = ""
    device: str = ""
    reason: str = ""
    ticket: str = ""


Side = Loaded | str
"""A configuration, or why its files could not be read."""


class Remark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the doctor minds, in one line without secrets. `new` = it did not before the change."""

    id: str
    severity: Literal["error", "warning"]
    seen: str
    new: bool = False


class Doctor(Protocol):
    """Says what is wrong with a configuration by itself: offline, without looking at anything else."""

    def __call__(self, side: Side, /) -> Sequence[Remark]: ...


class DoctorSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the doctor says of the new configuration. The counts are of all; `remarks` are the first of them."""

    errors: int
    warnings: int
    remarks: tuple[Remark, ...] = ()

    def new(self) -> tuple[Remark, ...]:
        """Return what the change brought."""
        return tuple(one for one in self.remarks if one.new)


class Kept(msgspec.Struct, frozen=True):
    """A file at one moment. `text` names its content in the ledger and says nothing about it."""

    path: str
    text: str


BEGUN: Final = "begun"
"""The outcome of a change whose files are being written."""
WRITTEN: Final = "written"
"""The outcome of a change that stands in the file, and that no gateway has taken up yet."""


class Undo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one step of a fix is taken back. `kept` names the old content in the ledger, `moved_to` where a file went.

    Shape: `after` names the content that the step wrote, or is the mode (octal) that it set.
    """

    kind: Literal["chmod", "write", "move"]
    path: str
    existed: bool = True
    mode: int = 0
    mtime_ns: int = 0
    kept: str = ""
    moved_to: str = ""
    after: str = ""


class Applied(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one patch of a fix did. `steps` are for people."""

    patch: str
    result: Literal["begun", "applied", "planned", "refused", "undone"]
    steps: tuple[str, ...]
    why: str = ""
    undo: tuple[Undo, ...] = ()


class ChangeRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One change. `at_ms` is Unix time; `more` counts the settings that `diff` has no room for."""

    id: str
    at_ms: int
    method: str
    file: str
    owner: str = ""
    device: str = ""
    reason: str = ""
    ticket: str = ""
    diff: tuple[SettingDiff, ...] = ()
    more: bool = False
    plan: tuple[Planned, ...] = ()
    valid: bool = True
    """Whether the new configuration has no error; `issues` are its errors and warnings."""
    issues: tuple[str, ...] = ()
    doctor: DoctorSummary | None = None
    """None in the records of versions that did not ask."""
    outcome: str = ""
    """`begun`, `written` (no gateway has taken it up), `applied`, `restart-required`, `off` (reload is off),
    `refused: `, `reverted: ` and `broken off: ` with why."""
    before: tuple[Kept, ...] = ()
    """All files of the configuration before the change, the main one first; none where there was no file."""
    after: tuple[Kept, ...] = ()
    patches: tuple[Applied, ...] = ()
    """What a fix did, here and elsewhere in the state directory."""


def by_user(wish: Wish, env: Environment) -> Wish:
    """Return the wish of the person at this machine, named as the system names them."""
    name = env.get("SUDO_USER") or env.get("USER") or env.get("LOGNAME") or user_name(os.getuid())
    return msgspec.structs.replace(wish, owner=name)


def user_name(uid: int) -> str:
    """Return what the system calls a user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def make_record(
    wish: Wish, before: Side, after: Side, doctor: Doctor, *, file: Path, record_id: str, at_ms: int
) -> ChangeRecord:
    """Return the record of a change that is about to be made, but for its files."""
    found, planned = _compared(before, after)
    issues = (after,) if isinstance(after, str) else tuple(str(issue) for issue in after.issues[:MAX_TOLD])
    return ChangeRecord(
        id=record_id,
        at_ms=at_ms,
        method=wish.method,
        file=str(file),
        owner=wish.owner,
        device=wish.device,
        reason=wish.reason,
        ticket=wish.ticket,
        diff=found[:MAX_TOLD],
        more=len(found) > MAX_TOLD,
        plan=planned,
        valid=not isinstance(after, str) and after.valid,
        issues=issues,
        doctor=_summary(before, after, doctor),
        outcome=BEGUN,
    )


def _summary(before: Side, after: Side, doctor: Doctor) -> DoctorSummary:
    """What is new comes first. Of a file that could not be read nothing is known: all that comes after it is old."""
    found = doctor(after)
    comparable = after is not before and (isinstance(after, str) or not isinstance(before, str))
    known = {(one.id, one.seen) for one in doctor(before)} if comparable else set()
    told = [msgspec.structs.replace(one, new=comparable and (one.id, one.seen) not in known) for one in found]
    errors = sum(one.severity == "error" for one in found)
    told.sort(key=lambda one: not one.new)
    return DoctorSummary(errors=errors, warnings=len(found) - errors, remarks=tuple(told[:MAX_TOLD]))


def _compared(before: Side, after: Side) -> tuple[tuple[SettingDiff, ...], tuple[Planned, ...]]:
    if isinstance(before, str) or isinstance(after, str):
        return (), ()
    planned = tuple(Planned(each.path, each.reload) for each in plan(before.config, after.config)[:MAX_TOLD])
    return setting_diffs(before.parsed, after.parsed), planned


def setting_diffs(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[SettingDiff, ...]:
    """Return the settings that differ, secrets hidden; one more than MAX_TOLD when there are more than that."""
    places = (leaf for path in changes_of(old, new, MAX_TOLD + 1) for leaf in _leaves(path, old, new))
    return tuple(_diff(path, old, new) for path in islice(places, MAX_TOLD + 1))


def _leaves(path: KeyPath, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Yield the settings of a section that came or went as a whole."""
    before, after = lookup(old, path), lookup(new, path)
    body = after if before is ABSENT else before if after is ABSENT else None
    if not isinstance(body, dict) or not body:
        yield path
        return
    for key in body:
        yield from _leaves((*path, key), old, new)


def _diff(path: KeyPath, old: Mapping[str, Any], new: Mapping[str, Any]) -> SettingDiff:
    hidden = hides(path)
    shown = [
        UNSET if value is ABSENT else hidden_value(value, hidden=hidden)
        for value in (lookup(old, path), lookup(new, path))
    ]
    return SettingDiff(format_path(path), *shown)
