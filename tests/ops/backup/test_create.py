"""A backup holds what belongs to it and nothing else, while others write, and any tar can unpack it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from openclaw.base.clock import SYSTEM_CLOCK, ManualClock
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.ops.backup.create import FILES, name_of
from openclaw.ops.backup.parts import PARTS
from openclaw.ops.backup.restore import restore_in_place
from openclaw.ops.backup.unpack import unpack, verify
from tests.ops.backup.house import CONFIG, KEY, NOW_MS, PASSPHRASE, backups_of, make, tree

pytestmark = pytest.mark.anyio

BELONGS = (
    ".env",
    "agents/main/auth-profiles.json",
    "credentials/gateway-token",
    "secrets.json",
    "gateway/tls/gateway-key.pem",
    "openclaw.db",
    "openclaw.json",
    "skills/weather/SKILL.md",
    "snapshots/1.json",
    "workspace-second/Grüße – 你好.txt",
    f"workspace/{'long-' * 30}/{'name-' * 30}.txt",
    "workspace/notes/a.txt",
    "workspace/run.sh",
)


async def test_what_belongs_is_in_it_with_its_mode_and_to_the_letter(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    assert sorted(entry.path for entry in made.manifest.files) == sorted(BELONGS)
    (tmp_path / "back").mkdir()
    opened = unpack(made.place, tmp_path / "back", None)
    assert opened.signer == KEY.device_id
    assert opened.manifest == made.manifest
    before, after = tree(state), tree(tmp_path / "back")
    assert {path: before[path] for path in BELONGS if path != "openclaw.db"} == {
        path: content for path, content in after.items() if path != "openclaw.db"
    }
    assert after["openclaw.json"][1].decode() == CONFIG, "a reference stays a reference"
    assert made.place.stat().st_mode & 0o777 == 0o600


async def test_parts_that_are_left_out_are_not_in_it(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out", parts=frozenset(PARTS) - {"workspace", "snapshots"})
    assert not [entry.path for entry in made.manifest.files if entry.path.startswith(("workspace", "snapshots"))]
    assert made.manifest.parts == ("store", "config", "secrets", "agents", "skills")


async def test_tar_unpacks_what_is_not_encrypted(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    with tarfile.open(made.place) as archive:
        assert {name.removeprefix(FILES) for name in archive.getnames()[2:]} == set(BELONGS)
        member = archive.extractfile(f"{FILES}workspace-second/Grüße – 你好.txt")
        assert member is not None
        assert member.read() == b"hello\n"


async def test_a_file_larger_than_a_tar_header_can_say_is_written_and_read() -> None:
    from openclaw.ops.backup.tape import TapeReader, TapeWriter

    class Zeros:
        def read(self, size: int, /) -> bytes:
            raise OSError("enough was seen")

    out = io.BytesIO()
    writer = TapeWriter(out)
    with pytest.raises(OSError, match="enough"):
        writer.add("files/large", 9 << 30, 0o600, 0, Zeros())
    writer.close()
    assert TapeReader(io.BytesIO(out.getvalue())).next() == ("files/large", 9 << 30)


async def test_without_a_passphrase_there_is_a_warning_and_with_one_there_is_none(state: Path, tmp_path: Path) -> None:
    assert any("not encrypted" in warning for warning in make(state, tmp_path / "open").warnings)
    sealed = make(state, tmp_path / "sealed", passphrase=PASSPHRASE)
    assert sealed.warnings == ()
    assert sealed.name.endswith(".tar.gz.age")
    raw = sealed.place.read_bytes()
    assert b"manifest" not in raw
    assert b"\x1f\x8b\x08" not in raw[:300]
    (tmp_path / "look").mkdir()
    assert verify(sealed.place, tmp_path / "look", PASSPHRASE).encrypted
    (tmp_path / "again").mkdir()
    with pytest.raises(InvalidRequest, match="is encrypted") as error:
        verify(sealed.place, tmp_path / "again", None)
    assert error.value.details == {"code": "BACKUP_PASSPHRASE"}


async def test_links_pipes_and_names_no_other_system_has_are_left_out_and_named(state: Path, tmp_path: Path) -> None:
    workspace = state / "workspace"
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "folder-link").symlink_to(state / "credentials")
    os.mkfifo(workspace / "pipe")
    (workspace / "README.md").write_text("one")
    (workspace / "readme.md").write_text("two")
    (workspace / "turned\u202etxt").write_text("three")
    os.close(os.open(os.fsencode(workspace) + b"/\xff", os.O_CREAT))
    made = make(state, tmp_path / "out")
    left = {each.path.removeprefix("workspace/") for each in made.left_out}
    assert left == {"link", "folder-link", "pipe", "readme.md", "turned\u202etxt", "\udcff"}
    assert any("6 files are not in it" in warning for warning in made.warnings)
    (tmp_path / "look").mkdir()
    verify(made.place, tmp_path / "look", None)


async def test_the_manifest_names_no_secret(state: Path, tmp_path: Path) -> None:
    made = make(state, tmp_path / "out")
    with tarfile.open(made.place) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        raw = member.read()
    assert b"q8Zr1vLx0Pf7Tn3Kd9Ws5Hb2Mc6Jy4Ga" not in raw


async def test_without_a_store_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with pytest.raises(NotFound, match="no store"):
        make(tmp_path / "state", tmp_path / "out")


async def test_a_configuration_from_elsewhere_is_put_aside_and_said(state: Path, tmp_path: Path) -> None:
    from openclaw.ops.backup.create import Plan, create

    (state / "openclaw.json").unlink()
    elsewhere = tmp_path / "etc" / "config.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text("gateway: {}\n")
    (tmp_path / "out").mkdir()
    plan = Plan(
        state_dir=state,
        database=state / "openclaw.db",
        configs=(elsewhere,),
        parts=frozenset(PARTS),
        now_ms=0,
        host="here",
        version="1",
    )
    made = create(plan, KEY, tmp_path / "out")
    assert made.manifest.config == "restored-config/config.yaml"
    assert any("outside the state directory" in warning for warning in made.warnings)


def test_names_sort_by_time_and_differ() -> None:
    names = [name_of(ms, encrypted=False) for ms in (0, 1_000, 1_800_000_000_000)]
    assert names == sorted(names)
    assert name_of(0, encrypted=True) != name_of(0, encrypted=True)


async def test_files_that_the_configuration_includes_are_in_it_and_come_back(state: Path, tmp_path: Path) -> None:
    (state / "conf.d").mkdir()
    (state / "conf.d" / "models.json5").write_text("{logging: {level: 'error'}}")
    (state / "conf.d" / "notes.txt").write_text("nobody includes this")
    (state / "openclaw.json").write_text("{$include: './conf.d/models.json5'}")
    backups = backups_of(state, ManualClock(NOW_MS))
    done = backups.create(parts=backups.parts(), passphrase=lambda: None)
    paths = [entry.path for entry in done.made.manifest.files if entry.part == "config"]
    assert sorted(paths) == [".env", "conf.d/models.json5", "openclaw.json"]
    (state / "conf.d" / "models.json5").write_text("{}")
    restore_in_place(Path(done.where), state, None, now_ms=NOW_MS)
    assert (state / "conf.d" / "models.json5").read_text() == "{logging: {level: 'error'}}"
    assert (state / "conf.d" / "notes.txt").read_text() == "nobody includes this"


async def test_what_a_killed_backup_left_goes_with_a_later_one(state: Path, tmp_path: Path) -> None:
    now_ms = SYSTEM_CLOCK.now_ms()
    for name, age_s in (("old", 90_000), ("young", 60)):
        left = state / f".backup-{name}"
        left.mkdir()
        os.utime(left, (now_ms / 1000 - age_s,) * 2)
    backups = backups_of(state, ManualClock(now_ms))
    backups.create(parts=backups.parts(), passphrase=lambda: None)
    assert not (state / ".backup-old").exists()
    assert (state / ".backup-young").exists()


async def test_a_state_directory_that_is_a_link_is_backed_up_as_what_it_leads_to(state: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(state)
    (state / "extra.json5").write_text("{}")
    (state / "openclaw.json").write_text("{$include: './extra.json5'}")
    backups = backups_of(link, ManualClock(NOW_MS))
    done = backups.create(parts=backups.parts(), passphrase=lambda: None)
    assert {"openclaw.json", "extra.json5", ".env"} <= {entry.path for entry in done.made.manifest.files}
    restore_in_place(Path(done.where), link, None, now_ms=NOW_MS)
    assert (state / "extra.json5").exists()


async def test_files_of_the_table_that_are_links_are_taken_and_folders_that_are_links_stay(
    state: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "dotfiles"
    (elsewhere / "space").mkdir(parents=True)
    for name in ("openclaw.json", ".env"):
        (state / name).rename(elsewhere / name)
        (state / name).symlink_to(elsewhere / name)
    (state / "workspace-linked").symlink_to(elsewhere / "space")
    backups = backups_of(state, ManualClock(NOW_MS))
    done = backups.create(parts=backups.parts(), passphrase=lambda: None)
    assert {"openclaw.json", ".env"} <= {entry.path for entry in done.made.manifest.files}
    assert [each.path for each in done.made.left_out] == ["workspace-linked"]
    restore_in_place(Path(done.where), state, None, now_ms=NOW_MS)
    assert (state / "openclaw.json").read_text() == CONFIG
    assert (state / "workspace-linked").is_symlink()
    assert (elsewhere / "openclaw.json").exists()
