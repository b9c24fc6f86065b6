"""Which file a name stands for, and whether others could put another in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw.policy.exec.program import MAX_PATH, PROGRAM_PATH, Programs

PROGRAMS = Programs()


def script(path: Path, text: str = "#!/bin/sh -e\ntrue\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_bare_name_is_looked_up_in_the_fixed_directories_and_nowhere_else(tmp_path: Path) -> None:
    script(tmp_path / "ls")
    found = PROGRAMS.find("ls", str(tmp_path), PROGRAM_PATH, str(tmp_path))
    assert found is not None
    assert found.path.endswith("bin/ls")
    assert found.loose == ""
    assert PROGRAMS.find("ls", str(tmp_path), (".", ""), str(tmp_path)) is None


def test_what_could_not_run_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("x")
    for name in ("folder", "plain", "missing", "", "a" * (MAX_PATH + 1)):
        assert PROGRAMS.find(name and f"./{name}", str(tmp_path), PROGRAM_PATH, "/elsewhere") is None


def test_links_are_followed_and_a_program_acts_under_all_its_names(tmp_path: Path) -> None:
    script(tmp_path / "python3.11")
    (tmp_path / "tool").symlink_to("python3.11")
    found = PROGRAMS.find("./tool", str(tmp_path), (), "/elsewhere")
    assert found is not None
    assert found.real == str(tmp_path / "python3.11")
    assert {"tool", "python3.11", "python3", "python"} <= set(found.names)
    assert found.interpreter == ("/bin/sh", "-e")


def test_a_program_that_others_can_replace_is_loose(tmp_path: Path) -> None:
    inside = script(tmp_path / "ws/tool")
    fine = script(tmp_path / "bin/tool")
    writable = script(tmp_path / "bin/open")
    writable.chmod(0o777)
    shared = script(tmp_path / "shared/tool")
    shared.parent.chmod(0o1777)
    below = script(tmp_path / "anyone/folder/tool")
    (tmp_path / "anyone").chmod(0o777)
    (tmp_path / "bin/link").symlink_to(inside)
    workspace = str(tmp_path / "ws")
    loose = {
        path.name + path.parent.name: bool((found := PROGRAMS.find(str(path), "/", (), workspace)) and found.loose)
        for path in (inside, fine, writable, shared, below, tmp_path / "bin/link")
    }
    assert loose == {
        "toolws": True,
        "toolbin": False,
        "openbin": True,
        "toolshared": True,
        "toolfolder": True,
        "linkbin": True,
    }


@pytest.mark.parametrize("restore", [False, True])
def test_other_bytes_are_seen_though_size_and_time_are_put_back(tmp_path: Path, restore: bool) -> None:
    path = script(tmp_path / "tool", "#!/bin/sh\necho a\n")
    before = PROGRAMS.find(str(path), "/", (), "/elsewhere")
    status = path.stat()
    path.write_text("#!/bin/sh\necho b\n")
    if restore:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = PROGRAMS.find(str(path), "/", (), "/elsewhere")
    assert before is not None
    assert after is not None
    assert before.sha256 != after.sha256


def test_a_word_names_a_file_a_folder_something_else_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    kinds = {
        word: PROGRAMS.used(word, str(tmp_path)).what for word in ("file", ".", "pipe", "no", "file/x", "a/" * 600)
    }
    assert kinds == {
        "file": "file", ".": "folder", "pipe": "other", "no": "missing", "file/x": "missing", "a/" * 600: "other"
    }  # fmt: skip


def test_a_program_is_read_whole_though_it_was_a_large_operand_before(tmp_path: Path) -> None:
    script(tmp_path / "tool")
    programs = Programs()
    assert programs.used("tool", str(tmp_path), most=4).sha256 == ""
    found = programs.find("./tool", str(tmp_path), PROGRAM_PATH, "/elsewhere")
    assert found is not None
    assert len(found.sha256) == 64
