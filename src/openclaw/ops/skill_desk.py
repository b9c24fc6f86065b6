"""Installing, updating, removing and locking skills. Each goes through the audit; nothing of a skill is run.

1. An upload is kept in memory until it is installed: few at a time, each bounded.
2. A skill is written into a folder beside its place, then moved there in one step; the lock is written last. Whatever
   breaks off in between leaves a skill that does not load, never one that loads unaudited.
3. A skill that fails its audit is not written at all. An update that wants more than before says what, and waits for
   that to be accepted.
"""

from __future__ import annotations

import os
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.agent.skill import Skill, Skills
from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, PolicyDenied
from openclaw.base.ids import new_id
from openclaw.config.disk import make_private
from openclaw.ops.skill_archive import MAX_ARCHIVE_BYTES, read_archive
from openclaw.policy.skill.audit import Report, audit
from openclaw.policy.skill.finding import Finding
from openclaw.policy.skill.head import Powers
from openclaw.policy.skill.lock import Locked, locked
from openclaw.policy.skill.tree import Tree, read_tree

MAX_UPLOADS: Final = 4
MAX_SHOWN: Final = 12
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Upload(msgspec.Struct):
    """An archive on its way. `data` grows up to `size` bytes."""

    slug: str
    size: int
    sha256: str
    data: bytearray
    whole: bool = False


class Prepared(msgspec.Struct, frozen=True):
    """A skill that was audited and may be locked, or why not; what it may do more and less than the one before."""

    report: Report
    tree: Tree
    folder: Path
    more: Powers
    less: Powers
    replaced: bool
    enabled: bool
    refusal: PolicyDenied | None = None


class SkillDesk:
    """Changes the managed skills of one gateway. What touches the disk blocks: use a thread."""

    def __init__(self, skills: Skills) -> None:
        self._skills = skills
        self._uploads: BoundedMap[str, Upload] = BoundedMap("skills.uploads", MAX_UPLOADS)

    def begin(self, slug: str, size: int, digest: str = "") -> str:
        """Return the id of a new upload; the oldest of too many is forgotten. Raises: InvalidRequest."""
        _named(slug)
        if size > MAX_ARCHIVE_BYTES:
            raise InvalidRequest(f"a skill's archive may have {MAX_ARCHIVE_BYTES} bytes, not {size}")
        upload_id = new_id()
        self._uploads.put(upload_id, Upload(slug, size, digest.lower(), bytearray()))
        return upload_id

    def add(self, upload_id: str, offset: int, data: bytes) -> int:
        """Add bytes; return how many there are. Raises: NotFound, Conflict for a gap, InvalidRequest for too many."""
        upload = self._upload(upload_id)
        if offset != len(upload.data) or upload.whole:
            raise Conflict(f"the upload has {len(upload.data)} bytes; the next piece begins there, not at {offset}")
        if offset + len(data) > upload.size:
            raise InvalidRequest(f"the upload was to have {upload.size} bytes, and these are more")
        upload.data += data
        return len(upload.data)

    def commit(self, upload_id: str, digest: str = "") -> str:
        """Check that an upload is whole; return its SHA-256. Raises: NotFound, InvalidRequest."""
        upload = self._upload(upload_id)
        found = sha256(upload.data).hexdigest()
        if len(upload.data) != upload.size or any(each and each != found for each in (upload.sha256, digest.lower())):
            raise InvalidRequest("the upload is not whole: its size or its SHA-256 is another")
        upload.whole = True
        return found

    def prepare(self, upload_id: str, slug: str, digest: str = "", *, replace: bool, accept: bool) -> Prepared:
        """Audit an upload and say what its installation would do. Nothing is written.

        `replace` takes the place of a skill of that name; `accept` agrees to what it may do beyond the one before.
        Raises: NotFound, Conflict, InvalidRequest.
        """
        _named(slug)
        upload = self._upload(upload_id)
        if not upload.whole or upload.slug != slug or (digest and sha256(upload.data).hexdigest() != digest.lower()):
            raise InvalidRequest("the upload is of another skill, of another content, or not committed")
        tree = read_archive(bytes(upload.data))
        folder = self._skills.managed / slug
        before = self._skills.gate.lock().skills.get(self._skills.gate.key(folder))
        if os.path.lexists(folder) and not replace:
            raise Conflict(f"the skill {slug} is installed", hint="`openclaw skills update` replaces it.")
        report = audit(tree, slug, self._names() - {slug})
        if report.name != slug:
            raise InvalidRequest(
                f"the skill calls itself {report.name}, not {slug}", hint=f"Install it as {report.name}."
            )
        if before is None:
            return Prepared(report, tree, folder, report.declared, Powers(), False, True, _failure(report))
        more, less = report.declared.beyond(before.declared), before.declared.beyond(report.declared)
        refusal = _failure(report) or (None if accept or not more else _widening(slug, more))
        return Prepared(report, tree, folder, more, less, True, before.enabled, refusal)

    def install(self, prepared: Prepared, upload_id: str) -> None:
        """Put a skill that was prepared in its place, then lock it. Raises: PolicyDenied, OSError."""
        self._allowed(prepared)
        _place(prepared.tree, prepared.folder)
        self._lock(prepared)
        self._uploads.pop(upload_id)

    def inspect(self, workspace: Path, name: str) -> Prepared:
        """Audit a skill where it lies. Raises: NotFound."""
        skill = self._skills.named(workspace, name)
        tree = read_tree(skill.folder)
        report = audit(tree, skill.folder.name, self._names() - {skill.name})
        return Prepared(report, tree, skill.folder, report.declared, Powers(), True, True, _failure(report))

    def lock(self, prepared: Prepared) -> None:
        """Bind a skill that was inspected to its content. Raises: PolicyDenied."""
        self._allowed(prepared)
        self._lock(prepared)

    def _allowed(self, prepared: Prepared) -> None:
        if prepared.refusal is not None:
            raise prepared.refusal

    def _lock(self, prepared: Prepared) -> None:
        entry = locked(prepared.report, prepared.tree)
        self._skills.gate.put(prepared.folder, msgspec.structs.replace(entry, enabled=prepared.enabled))

    def remove(self, slug: str) -> None:
        """Remove a managed skill, audited or not. Raises: NotFound."""
        _named(slug)
        folder, gate = self._skills.managed / slug, self._skills.gate
        if not os.path.lexists(folder) and gate.key(folder) not in gate.lock().skills:
            raise NotFound(f"no skill {slug} is installed", hint="A skill of a workspace is removed with its folder.")
        gate.put(folder, None)
        _away(folder)

    def audit(self, workspace: Path, name: str = "") -> list[tuple[Skill, Report]]:
        """Audit the skills of an agent where they lie, or one of them. Raises: NotFound."""
        found = [self._skills.named(workspace, name)] if name else self._skills.of(workspace)
        names = frozenset(skill.name for skill in self._skills.of(workspace))
        return [(skill, audit(read_tree(skill.folder), skill.folder.name, names - {skill.name})) for skill in found]

    def switch(self, workspace: Path, name: str, *, enabled: bool) -> Locked:
        """Switch an audited skill on or off. Raises: NotFound, PolicyDenied."""
        skill = self._skills.named(workspace, name)
        if skill.standing.entry is None:
            raise PolicyDenied(f"{skill.name} was not audited", hint=f"`openclaw skills audit {skill.name} --lock`.")
        entry = msgspec.structs.replace(skill.standing.entry, enabled=enabled)
        self._skills.gate.put(skill.folder, entry)
        return entry

    def _names(self) -> frozenset[str]:
        return frozenset(entry.name for entry in self._skills.gate.lock().skills.values())

    def _upload(self, upload_id: str) -> Upload:
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise NotFound("there is no such upload", hint="Begin it again: few are kept at a time.")
        return upload


def _named(slug: str) -> None:
    if not SLUG.fullmatch(slug):
        raise InvalidRequest(f"a skill's name has small letters, digits and dashes, not {ascii(slug)[:80]}")


def _failure(report: Report) -> PolicyDenied | None:
    failed = [each for each in report.findings if each.state == "fail"]
    if not failed:
        return None
    return PolicyDenied(
        f"the audit of {report.name} failed: {said(failed[0])}",
        hint="`openclaw skills audit` shows all of it. Nothing was installed or run.",
        details={"code": "SKILL_AUDIT", "findings": [said(each) for each in failed[:MAX_SHOWN]]},
    )


def _widening(slug: str, more: Powers) -> PolicyDenied:
    return PolicyDenied(
        f"the new {slug} wants more than the one before: {_powers(more)}",
        hint="Look at what it needs that for; `openclaw skills update --accept-powers` agrees to it.",
        details={"code": "SKILL_POWERS"},
    )


def said(finding: Finding) -> str:
    """Return a finding as one line."""
    return f"{finding.row}: {finding.where}{': ' if finding.where else ''}{finding.message}"


def _powers(powers: Powers) -> str:
    named = [f"{name} {', '.join(getattr(powers, name))}" for name in powers.__struct_fields__ if getattr(powers, name)]
    return "; ".join(named)


def _place(tree: Tree, folder: Path) -> None:
    """Write a skill beside its place, then move it there."""
    make_private(folder.parent)
    staging = folder.with_name(f".{folder.name}.{new_id()}")
    try:
        for file in tree.files:
            target = staging / file.path
            make_private(target.parent)
            mode = 0o700 if file.executable else 0o600
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, mode), "wb") as out:
                out.write(tree.contents[file.path])
        _away(folder)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _away(folder: Path) -> None:
    """Take a folder out of the way in one step, then delete it. A link is removed, never followed."""
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    old = folder.with_name(f".{folder.name}.old.{new_id()}")
    folder.rename(old)
    shutil.rmtree(old, ignore_errors=True)
