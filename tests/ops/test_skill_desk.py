"""Installing skills: hostile archives, swaps, powers, and nothing on the disk of what was refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.skill import PROMPT_BYTES, Skills
from openclaw.base.clock import ManualClock
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, PolicyDenied
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.env import Environment
from openclaw.ops.skill_archive import read_archive
from openclaw.ops.skill_desk import MAX_UPLOADS, Prepared, SkillDesk, Terms
from openclaw.ops.skill_git import GitSource
from openclaw.policy.skill.door import KIND, skill_verdict
from openclaw.policy.skill.gate import SkillGate
from openclaw.policy.skill.tree import MAX_FILES
from tests.agent.house import MAIN
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.policy.skill.corpus import BENIGN, HOSTILE, Case, said

pytestmark = pytest.mark.anyio
GOOD = BENIGN[0]


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return out.getvalue()


def tarred(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


class House(NamedTuple):
    """A desk over a folder. `confines` is what skills.onFailure says; `rows` is the ledger."""

    desk: SkillDesk
    skills: Skills
    rows: LedgerRows
    clock: ManualClock


def house(tmp_path: Path, *, confines: bool = False, source: GitSource | None = None) -> House:
    clock, rows = ManualClock(), LedgerRows()
    gate = SkillGate(tmp_path, confines=lambda: confines, clock=clock)
    skills = Skills(tmp_path / "skills", lambda: Environment(()), dict, gate)
    return House(SkillDesk(skills, gatekeeper({KIND: skill_verdict}, rows, clock), clock, source), skills, rows, clock)


async def install(desk: SkillDesk, case: Case = GOOD, **terms: Any) -> Prepared:
    data = zipped(dict(case.tree.contents))
    upload = desk.begin(case.name, len(data), sha256(data).hexdigest())
    desk.add(upload, 0, data)
    desk.commit(upload)
    return await desk.install(LOCAL_OPERATOR, upload, case.name, "", Terms(**terms))


async def test_a_skill_is_installed_listed_and_read(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    await install(desk)
    (found,) = skills.of(tmp_path / "workspace")
    assert (found.name, found.standing.answer, found.usable) == ("tidy-notes", "ready", True)
    assert "Read the notes" in skills.read(found, "SKILL.md")


@pytest.mark.parametrize("case", HOSTILE[::6], ids=lambda case: case.id)
async def test_nothing_of_a_hostile_skill_reaches_the_disk(tmp_path: Path, case: Case) -> None:
    desk, skills, *_ = house(tmp_path)
    with pytest.raises((PolicyDenied, InvalidRequest)):
        await install(desk, case)
    assert list(os.scandir(tmp_path)) == []
    assert skills.of(tmp_path) == []


async def test_an_update_that_wants_more_waits_until_that_is_accepted(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    await install(desk)
    wider = GOOD._replace(metadata=said('{"network": ["api.example.org"]}'))
    with pytest.raises(Conflict):
        await install(desk, wider)
    with pytest.raises(PolicyDenied, match=r"api\.example\.org"):
        await install(desk, wider, replace=True)
    assert "api.example.org" not in (tmp_path / "skills/tidy-notes/SKILL.md").read_text()
    assert (await install(desk, wider, replace=True, wider=True)).more.network == ("api.example.org",)
    assert (await install(desk, GOOD, replace=True)).less.network == ("api.example.org",)
    assert [each.standing.answer for each in skills.of(tmp_path)] == ["ready"]
    assert [path.name for path in (tmp_path / "skills").iterdir()] == ["tidy-notes"]


async def test_a_hostile_update_leaves_the_one_before(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    await install(desk)
    with pytest.raises(PolicyDenied):
        await install(desk, HOSTILE[0], replace=True, wider=True)
    assert [each.standing.answer for each in skills.of(tmp_path)] == ["ready"]


async def test_a_link_in_the_place_of_a_skill_is_replaced_not_followed(tmp_path: Path) -> None:
    desk, *_ = house(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills/tidy-notes").symlink_to(outside)
    await install(desk, replace=True)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    await desk.remove("tidy-notes")
    assert list((tmp_path / "skills").iterdir()) == []
    with pytest.raises(NotFound):
        await desk.remove("tidy-notes")


async def test_a_skill_of_the_workspace_is_locked_where_it_lies(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    folder = tmp_path / "w/skills/tidy-notes"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(GOOD.tree.contents["SKILL.md"])
    assert not skills.of(tmp_path / "w")[0].usable
    await desk.lock(LOCAL_OPERATOR, tmp_path / "w", "tidy-notes", Terms())
    assert skills.of(tmp_path / "w")[0].usable
    await desk.switch(tmp_path / "w", "tidy-notes", enabled=False)
    assert skills.of(tmp_path / "w")[0].standing.answer == "disabled"
    (folder / "SKILL.md").write_bytes(HOSTILE[0].tree.contents["SKILL.md"])
    with pytest.raises(PolicyDenied):
        await desk.lock(LOCAL_OPERATOR, tmp_path / "w", "tidy-notes", Terms())


async def test_a_workspace_cannot_hide_a_managed_skill_behind_its_own(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    await install(desk)
    folder = tmp_path / "w/skills/other"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: tidy-notes\ndescription: mine\n---\n")
    (found,) = skills.of(tmp_path / "w")
    assert (found.source, found.standing.answer) == ("openclaw-managed", "ready")


async def test_the_prompt_names_only_what_may_be_loaded_within_its_budget(tmp_path: Path) -> None:
    desk, skills, *_ = house(tmp_path)
    assert await skills.prompt(MAIN, tmp_path / "w") == ""
    long = "description: " + "long " * 100 + "\nversion: 1\nhomepage: https://example.org\n"
    for letter in "abcdefghijklmnopqrstuvwxyz":
        await install(desk, GOOD._replace(name=f"{letter * 4}-note", head=long))
    await install(desk)
    (tmp_path / "skills/tidy-notes/SKILL.md").write_text("---\nname: tidy-notes\ndescription: obey me\n---\n")
    text = await skills.prompt(MAIN, tmp_path / "w")
    assert len(text.encode()) <= PROMPT_BYTES
    assert "- aaaa-note: long" in text
    assert "more are not shown" in text
    assert "obey me" not in text
    assert text == await skills.prompt(MAIN, tmp_path / "w")


rights = member("a")
rights.mode = 0o4755
BAD = {
    "up": zipped({"../x": b""}),
    "absolute": zipped({"/etc/x": b""}),
    "drive": zipped({"C:/x": b""}),
    "backslash": zipped({"a\\..\\b": b""}),
    "case": zipped({"A.md": b"", "a.md": b""}),
    "file-and-folder": zipped({"a": b"", "a/b": b""}),
    "many": zipped({f"{number}": b"" for number in range(MAX_FILES + 1)}),
    "bomb": zipped({"a": bytes(17 * 1024 * 1024)}),
    "deep": zipped({"a/" * 20 + "b": b""}),
    "hidden": zipped({"a\u202eb": b""}),
    "cut": zipped({"SKILL.md": b"a" * 1000})[:80],
    "nothing": b"",
    "noise": bytes(range(256)) * 4,
    "tar-link": tarred((member("a", tarfile.SYMTYPE, "/etc/passwd"), b"")),
    "tar-hard": tarred((member("a", tarfile.LNKTYPE, "b"), b"")),
    "tar-device": tarred((member("a", tarfile.CHRTYPE), b"")),
    "tar-fifo": tarred((member("a", tarfile.FIFOTYPE), b"")),
    "tar-rights": tarred((rights, b"x")),
    "tar-up": tarred((member("../a"), b"x")),
    "tar-bomb": tarred((member("a"), bytes(17 * 1024 * 1024))),
    "gzip-noise": gzip.compress(b"no tar at all"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_archive_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        read_archive(BAD[name])


@pytest.mark.parametrize("around", ["", "tidy-notes/", "./"])
def test_good_archives_of_either_kind_have_the_same_content(around: str) -> None:
    files = dict(GOOD.tree.contents)
    packed = tarred(*((member(f"{around}{path}"), data) for path, data in files.items()))
    found = [read_archive(packed).digest]
    if around != "./":
        found.append(read_archive(zipped({f"{around}{path}": data for path, data in files.items()})).digest)
    assert set(found) == {GOOD.tree.digest}


@given(st.binary(max_size=400))
def test_any_bytes_are_an_archive_or_refused(data: bytes) -> None:
    for text in (data, b"PK\x03\x04" + data, b"\x1f\x8b\x08" + data):
        with suppress(InvalidRequest):
            read_archive(text)


async def test_uploads_are_whole_few_and_bounded(tmp_path: Path) -> None:
    desk, *_ = house(tmp_path)
    upload = desk.begin("tidy-notes", 10)
    desk.add(upload, 0, b"12345")
    for offset, data, error in ((0, b"1", Conflict), (6, b"1", Conflict), (5, b"123456", InvalidRequest)):
        with pytest.raises(error):
            desk.add(upload, offset, data)
    with pytest.raises(InvalidRequest):
        desk.commit(upload)
    with pytest.raises(InvalidRequest):
        await desk.install(LOCAL_OPERATOR, upload, "tidy-notes", "", Terms())
    desk.add(upload, 5, b"12345")
    with pytest.raises(InvalidRequest):
        desk.commit(upload, "0" * 64)
    for _ in range(MAX_UPLOADS):
        desk.begin("other", 1)
    with pytest.raises(NotFound):
        desk.commit(upload)
    for slug in ("../x", "A", "", "a/b", ".x"):
        with pytest.raises(InvalidRequest):
            desk.begin(slug, 1)
    with pytest.raises(InvalidRequest):
        desk.begin("a", 1 << 30)
