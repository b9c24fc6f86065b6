"""Installing, updating, removing and locking skills. Each goes through the audit; nothing of a skill is run.

1. An upload is kept in memory until it is installed: few at a time, each bounded.
2. A skill is written into a folder beside its place, then locked, then moved there. What breaks off before the lock
   has changed nothing; what breaks off after it is brought to its end when the gateway starts (`recover`).
3. A skill that the door refuses is not written at all. An update that wants more than before says what, and waits for
   that to be accepted. What an operator vouches for is bound to one content: an update is not vouched for.
4. Changes are made one after another, each to its end.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import threading
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from openclaw.agent.skill import Skill, Skills
from openclaw.base.audit import Fact
from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, Conflict, InvalidRequest, NotFound, NotSupported, PolicyDenied
from openclaw.base.ids import new_id
from openclaw.base.principal import Principal
from openclaw.config.disk import make_private
from openclaw.ops.skill_archive import MAX_ARCHIVE_BYTES, read_archive
from openclaw.ops.skill_git import GitSource, git_address
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict
from openclaw.policy.skill.audit import FILE_NAME, Report, audit
from openclaw.policy.skill.door import FACT, KIND, Locking, failed, unfit
from openclaw.policy.skill.finding import Finding, Row, shown
from openclaw.policy.skill.head import MAX_HEAD_BYTES, Powers, frontmatter, manifest
from openclaw.policy.skill.lock import Locked, Vouched, locked
from openclaw.policy.skill.tree import Tree, read_tree

MAX_UPLOADS: Final = 4
MAX_SHOWN: Final = 12
MIN_WHY: Final = 8
MAX_REASON: Final = 200
MAX_VOUCHED_MS: Final = 366 * 86_400_000
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Upload(msgspec.Struct):
    """An archive on its way. `data` grows up to `size` bytes."""

    slug: str
    size: int
    sha256: str
    data: bytearray
    whole: bool = False


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms an operator takes a skill.

    `replace` takes the place of the one of that name; `wider` agrees to what it may do beyond that. With `why` the
    operator vouches for the content, for `for_ms` (0 = for good), and for the rows of `accepts`, which fail.
    """

    replace: bool = False
    wider: bool = False
    why: str = ""
    accepts: tuple[Row, ...] = ()
    for_ms: int = 0
    origin: str = ""
    """The address that it was fetched from."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that was audited; what it may do more and less than the one before, and on what terms it is taken."""

    report: Report
    tree: Tree
    folder: Path
    more: Powers = Powers()
    less: Powers = Powers()
    replaced: bool = False
    enabled: bool = True
    terms: Terms = Terms()

    @property
    def confined(self) -> bool:
        """Whether it was taken though rows fail that nobody accepts."""
        return bool(failed(self.report).difference(self.terms.accepts))


class SkillDesk:
    """Changes the skills of one gateway. What touches the disk blocks: use a thread, all but for the awaitables."""

    def __init__(self, skills: Skills, gate: Gatekeeper, clock: Clock, source: GitSource | None = None) -> None:
        self._skills = skills
        self._source = source
        self._gate = gate
        self._clock = clock
        self._one = asyncio.Lock()
        self._disk = threading.RLock()
        """A thread whose caller is gone goes on: it still has the disk to itself."""
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

    async def install(self, by: Principal, upload_id: str, slug: str, digest: str, terms: Terms) -> Prepared:
        """Audit an upload and put it in its place, when the door lets it.

        Raises: NotFound, Conflict, InvalidRequest, PolicyDenied, Unavailable.
        """
        _named(slug)
        upload = self._upload(upload_id)
        if not upload.whole or upload.slug != slug or (digest and sha256(upload.data).hexdigest() != digest.lower()):
            raise InvalidRequest("the upload is of another skill, of another content, or not committed")
        tree = await asyncio.to_thread(read_archive, bytes(upload.data))
        found = await self.place(by, tree, slug, terms)
        self._uploads.pop(upload_id)
        return found

    async def fetch(self, by: Principal, address: str, terms: Terms) -> Prepared:
        """Fetch a skill from a repository and put it in its place, when the doors let it. Raises: as `install`."""
        if self._source is None:
            raise NotSupported("this gateway fetches no repositories")
        wanted = git_address(address)
        tree = await self._source.fetch(by, wanted)
        head = tree.contents[FILE_NAME][:MAX_HEAD_BYTES].decode("utf-8", "replace")
        slug = manifest(frontmatter(head), "").name
        _named(slug)
        return await self.place(by, tree, slug, msgspec.structs.replace(terms, origin=wanted.text))

    async def place(self, by: Principal, tree: Tree, slug: str, terms: Terms) -> Prepared:
        """Put files in the place of a managed skill, when the door lets them, then lock them. Raises: as `install`."""
        async with self._one:
            found = await asyncio.to_thread(self._prepared, tree, slug, terms)
            vouched = await self._admitted(by, found)
            return await asyncio.to_thread(self._placed, found, vouched)

    async def lock(self, by: Principal, workspace: Path, name: str, terms: Terms) -> Prepared:
        """Bind a skill where it lies to its content, when the door lets it. Raises: NotFound, PolicyDenied."""
        async with self._one:
            found = await asyncio.to_thread(self._inspected, workspace, name, terms)
            vouched = await self._admitted(by, found)
            return await asyncio.to_thread(self._locked, found, vouched)

    async def remove(self, slug: str) -> None:
        """Remove a managed skill, audited or not. Raises: NotFound."""
        async with self._one:
            await asyncio.to_thread(self._removed, slug)

    async def switch(self, workspace: Path, name: str, *, enabled: bool) -> Locked:
        """Switch an audited skill on or off. Raises: NotFound, PolicyDenied."""
        async with self._one:
            return await asyncio.to_thread(self._switched, workspace, name, enabled)

    def audit(self, workspace: Path, name: str = "") -> list[tuple[Skill, Report]]:
        """Audit the skills of an agent where they lie, or one of them. Raises: NotFound."""
        found = [self._skills.named(workspace, name)] if name else self._skills.of(workspace)
        names = frozenset(skill.name for skill in self._skills.of(workspace))
        return [(skill, audit(read_tree(skill.folder), skill.folder.name, names - {skill.name})) for skill in found]

    def _prepared(self, tree: Tree, slug: str, terms: Terms) -> Prepared:
        folder = self._skills.managed / slug
        before = self._skills.gate.lock().skills.get(self._skills.gate.key(folder))
        if os.path.lexists(folder) and not terms.replace:
            raise Conflict(f"the skill {slug} is installed", hint="`openclaw skills update` replaces it.")
        report = audit(tree, slug, self._names() - {slug})
        if report.name != slug:
            raise InvalidRequest(
                f"the skill calls itself {shown(report.name)}, not {slug}", hint="Install it by that name."
            )
        if before is None:
            return Prepared(report=report, tree=tree, folder=folder, more=report.declared, terms=terms)
        return Prepared(
            report=report,
            tree=tree,
            folder=folder,
            more=report.declared.beyond(before.declared),
            less=before.declared.beyond(report.declared),
            replaced=True,
            enabled=before.enabled,
            terms=terms,
        )

    def _inspected(self, workspace: Path, name: str, terms: Terms) -> Prepared:
        skill = self._skills.named(workspace, name)
        tree = read_tree(skill.folder)
        report = audit(tree, skill.folder.name, self._names() - {skill.name})
        before = skill.standing.entry
        origin = before.origin if before is not None and before.digest == report.digest else ""
        terms = msgspec.structs.replace(
            terms, wider=True, origin=origin
        )  # it lies there, and what it declares is shown
        return Prepared(report=report, tree=tree, folder=skill.folder, replaced=True, terms=terms)

    async def _admitted(self, by: Principal, found: Prepared) -> Vouched | None:
        """Pass the door, its row in the ledger; return what the operator vouches for. Raises: PolicyDenied."""
        report, vouched = found.report, self._vouched(by, found)
        wider = _powers(found.more) if found.replaced and not found.terms.wider else ""
        wish = Locking(
            report=report,
            unfit=unfit(report, found.tree),
            accepted=frozenset(vouched.accepts if vouched else ()),
            wider=wider,
            vouched=vouched is not None,
            confines=self._skills.gate.confines(),
        )
        ask = Ask(
            kind=KIND,
            principal=by,
            action="skill.lock",
            target=shown(report.name),
            facts={FACT: wish},
            written={
                "digest": report.digest,
                "version": shown(report.version),
                "state": report.state,
                **({"origin": found.terms.origin} if found.terms.origin else {}),
                **(_written(vouched) if vouched else {}),
            },
        )
        verdict = await self._gate.admit(ask)
        if verdict.answer != "allow":
            raise _refused(report, verdict)
        return vouched

    def _vouched(self, by: Principal, found: Prepared) -> Vouched | None:
        terms = found.terms
        accepts = tuple(sorted(failed(found.report).intersection(terms.accepts)))
        if not terms.why.strip():
            if terms.accepts:
                raise InvalidRequest("whoever accepts what failed says why")
            return None
        if len(terms.why.strip()) < MIN_WHY:
            raise InvalidRequest(f"the reason has fewer than {MIN_WHY} characters")
        if terms.for_ms > MAX_VOUCHED_MS or (accepts and not terms.for_ms):
            raise InvalidRequest("what failed is accepted for a time, a year at most", hint="Add --for 30d.")
        now_ms = self._clock.now_ms()
        until_ms = now_ms + terms.for_ms if terms.for_ms else 0
        return Vouched(by=by.owner, why=terms.why.strip(), at_ms=now_ms, until_ms=until_ms, accepts=accepts)

    def _placed(self, found: Prepared, vouched: Vouched | None) -> Prepared:
        folder, gate = found.folder, self._skills.gate
        with self._disk:
            before = gate.lock().skills.get(gate.key(folder))
            staging = _staged(found.tree, folder)
            try:
                self._locked(found, vouched)
                _moved(staging, folder)
            except OSError:
                gate.put(folder, before)
                raise
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return found

    def _locked(self, found: Prepared, vouched: Vouched | None) -> Prepared:
        entry = locked(found.report, found.tree, vouched, found.terms.origin)
        with self._disk:
            self._skills.gate.put(found.folder, msgspec.structs.replace(entry, enabled=found.enabled))
        return found

    def recover(self) -> None:
        """Bring to its end what a crash broke off: what was locked is moved to its place, what was not is deleted."""
        try:
            left = [path for path in self._skills.managed.iterdir() if _LEFT.fullmatch(path.name)]
            skills = self._skills.gate.lock().skills if left else {}
        except (OSError, ConfigError):
            return
        for path in left:
            folder = path.with_name(path.name[1:].partition(".")[0])
            entry = skills.get(self._skills.gate.key(folder))
            wanted = entry.digest if entry else ""
            tree = read_tree(path)
            if not tree.problems and tree.digest == wanted and read_tree(folder).digest != wanted:
                _moved(path, folder)
            else:
                _deleted(path)

    def _removed(self, slug: str) -> None:
        _named(slug)
        folder, gate = self._skills.managed / slug, self._skills.gate
        with self._disk:
            if not os.path.lexists(folder) and gate.key(folder) not in gate.lock().skills:
                raise NotFound(
                    f"no skill {slug} is installed", hint="A skill of a workspace is removed with its folder."
                )
            gate.put(folder, None)
            _away(folder)

    def _switched(self, workspace: Path, name: str, enabled: bool) -> Locked:
        with self._disk:
            skill = self._skills.named(workspace, name)
            if skill.standing.entry is None:
                raise PolicyDenied(
                    f"{skill.name} was not audited", hint=f"`openclaw skills audit {skill.name} --lock`."
                )
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


def _refused(report: Report, verdict: Verdict) -> PolicyDenied:
    """Return the error for a skill that the door does not let in."""
    found = [said(each) for each in report.findings if each.state == "fail"]
    if verdict.rule_id == "skill.powers":
        return PolicyDenied(
            f"the new {report.name} was not taken: {verdict.reason}",
            hint="Look at what it needs that for; `openclaw skills update --accept-powers` agrees to it.",
            details={"code": "SKILL_POWERS", "rule": verdict.rule_id},
        )
    return PolicyDenied(
        f"the audit of {shown(report.name)} failed: {found[0] if found else verdict.reason}",
        hint="`openclaw skills audit` shows all of it. Nothing was installed or run.",
        details={"code": "SKILL_AUDIT", "rule": verdict.rule_id, "findings": found[:MAX_SHOWN]},
    )


def _written(vouched: Vouched) -> dict[str, Fact]:
    """Return what the ledger keeps of what an operator vouches for."""
    return {
        "why": shown(vouched.why, MAX_REASON),
        "untilMs": vouched.until_ms,
        **({"accepts": " ".join(vouched.accepts)} if vouched.accepts else {}),
    }


def said(finding: Finding) -> str:
    """Return a finding as one line."""
    return f"{finding.row}: {finding.where}{': ' if finding.where else ''}{finding.message}"


def _powers(powers: Powers) -> str:
    named = [f"{name} {', '.join(getattr(powers, name))}" for name in powers.__struct_fields__ if getattr(powers, name)]
    return "; ".join(named)


_LEFT: Final = re.compile(r"\.[a-z0-9][a-z0-9_-]{0,62}\.(?:new|old)\.[^/]+")


def _staged(tree: Tree, folder: Path) -> Path:
    """Write a skill beside its place."""
    make_private(folder.parent)
    staging = folder.with_name(f".{folder.name}.new.{new_id()}")
    try:
        for file in tree.files:
            target = staging / file.path
            make_private(target.parent)
            mode = 0o700 if file.executable else 0o600
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, mode), "wb") as out:
                out.write(tree.contents[file.path])
    except OSError:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return staging


def _moved(staging: Path, folder: Path) -> None:
    _away(folder)
    staging.rename(folder)


def _away(folder: Path) -> None:
    """Take what stands in a place out of the way in one step, then delete it. A link is removed, never followed."""
    if os.path.lexists(folder):
        old = folder.with_name(f".{folder.name}.old.{new_id()}")
        folder.rename(old)
        _deleted(old)


def _deleted(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)
