"""Installing skills: hostile archives, swaps, powers, and nothing on the disk of what was refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.skill import PROMPT_BYTES, Skills
from openclaw.base.errors import Conflict, InvalidRequest, NotFound, PolicyDenied
from openclaw.config.env import Environment
from openclaw.ops.skill_archive import read_archive
from openclaw.ops.skill_desk import MAX_UPLOADS, Prepared, SkillDesk
from openclaw.policy.skill.gate import SkillGate
from openclaw.policy.skill.tree import MAX_FILES
from tests.policy.skill.corpus import BENIGN, HOSTILE, Case, said

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


def house(tmp_path: Path) -> tuple[SkillDesk, Skills]:
    skills = Skills(tmp_path / "skills", lambda: Environment(()), dict, SkillGate(tmp_path))
    return SkillDesk(skills), skills


def prepared(desk: SkillDesk, data: bytes, slug: str, *, replace: bool, accept: bool) -> tuple[Prepared, str]:
    upload = desk.begin(slug, len(data), sha256(data).hexdigest())
    desk.add(upload, 0, data)
    desk.commit(upload)
    return desk.prepare(upload, slug, replace=replace, accept=accept), upload


def install(desk: SkillDesk, case: Case = GOOD, *, replace: bool = False, accept: bool = False) -> Prepared:
    found, upload = prepared(desk, zipped(dict(case.tree.contents)), case.name, replace=replace, accept=accept)
    desk.install(found, upload)
    return found


def test_a_skill_is_installed_listed_and_read(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    install(desk)
    (found,) = skills.of(tmp_path / "workspace")
    assert (found.name, found.standing.answer, found.usable) == ("tidy-notes", "ready", True)
    assert "Read the notes" in skills.read(tmp_path / "workspace", "tidy-notes", "SKILL.md")


@pytest.mark.parametrize("case", HOSTILE[::6], ids=lambda case: case.id)
def test_nothing_of_a_hostile_skill_reaches_the_disk(tmp_path: Path, case: Case) -> None:
    desk, skills = house(tmp_path)
    with pytest.raises((PolicyDenied, InvalidRequest)):
        install(desk, case)
    assert list(tmp_path.rglob("*")) == []
    assert skills.of(tmp_path) == []


def test_an_update_that_wants_more_waits_until_that_is_accepted(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    install(desk)
    wider = GOOD._replace(metadata=said('{"network": ["api.example.org"]}'))
    with pytest.raises(Conflict):
        install(desk, wider)
    with pytest.raises(PolicyDenied, match=r"api\.example\.org"):
        install(desk, wider, replace=True)
    assert "api.example.org" not in (tmp_path / "skills/tidy-notes/SKILL.md").read_text()
    assert install(desk, wider, replace=True, accept=True).more.network == ("api.example.org",)
    assert install(desk, GOOD, replace=True).less.network == ("api.example.org",)
    assert [each.standing.answer for each in skills.of(tmp_path)] == ["ready"]
    assert [path.name for path in (tmp_path / "skills").iterdir()] == ["tidy-notes"]


def test_a_hostile_update_leaves_the_one_before(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    install(desk)
    with pytest.raises(PolicyDenied):
        install(desk, HOSTILE[0], replace=True, accept=True)
    assert [each.standing.answer for each in skills.of(tmp_path)] == ["ready"]


def test_a_link_in_the_place_of_a_skill_is_replaced_not_followed(tmp_path: Path) -> None:
    desk, _ = house(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills/tidy-notes").symlink_to(outside)
    install(desk, replace=True)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    desk.remove("tidy-notes")
    assert list((tmp_path / "skills").iterdir()) == []
    with pytest.raises(NotFound):
        desk.remove("tidy-notes")


def test_a_skill_of_the_workspace_is_locked_where_it_lies(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    folder = tmp_path / "w/skills/tidy-notes"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_bytes(GOOD.tree.contents["SKILL.md"])
    assert not skills.of(tmp_path / "w")[0].usable
    desk.lock(desk.inspect(tmp_path / "w", "tidy-notes"))
    assert skills.of(tmp_path / "w")[0].usable
    desk.switch(tmp_path / "w", "tidy-notes", enabled=False)
    assert skills.of(tmp_path / "w")[0].standing.answer == "disabled"
    (folder / "SKILL.md").write_bytes(HOSTILE[0].tree.contents["SKILL.md"])
    with pytest.raises(PolicyDenied):
        desk.lock(desk.inspect(tmp_path / "w", "tidy-notes"))


def test_a_workspace_cannot_hide_a_managed_skill_behind_its_own(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    install(desk)
    folder = tmp_path / "w/skills/other"
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text("---\nname: tidy-notes\ndescription: mine\n---\n")
    (found,) = skills.of(tmp_path / "w")
    assert (found.source, found.standing.answer) == ("openclaw-managed", "ready")


@pytest.mark.anyio
async def test_the_prompt_names_only_what_may_be_loaded_within_its_budget(tmp_path: Path) -> None:
    desk, skills = house(tmp_path)
    assert await skills.prompt(tmp_path / "w") == ""
    long = "description: " + "long " * 100 + "\nversion: 1\nhomepage: https://example.org\n"
    for letter in "abcdefghijklmnopqrstuvwxyz":
        install(desk, GOOD._replace(name=f"{letter * 4}-note", head=long))
    install(desk)
    (tmp_path / "skills/tidy-notes/SKILL.md").write_text("---\nname: tidy-notes\ndescription: obey me\n---\n")
    text = await skills.prompt(tmp_path / "w")
    assert len(text.encode()) <= PROMPT_BYTES
    assert "- aaaa-note: long" in text
    assert "more are not shown" in text
    assert "obey me" not in text
    assert text == await skills.prompt(tmp_path / "w")


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


def test_uploads_are_whole_few_and_bounded(tmp_path: Path) -> None:
    desk, _ = house(tmp_path)
    upload = desk.begin("tidy-notes", 10)
    desk.add(upload, 0, b"12345")
    for offset, data, error in ((0, b"1", Conflict), (6, b"1", Conflict), (5, b"123456", InvalidRequest)):
        with pytest.raises(error):
            desk.add(upload, offset, data)
    with pytest.raises(InvalidRequest):
        desk.commit(upload)
    with pytest.raises(InvalidRequest):
        desk.prepare(upload, "tidy-notes", replace=False, accept=False)
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
