"""Skills out of repositories: real packs of a real git, read without it; hostile ones refused."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import LOCAL_OPERATOR, Principal
from openclaw.ops.git_pack import MAX_INFLATED, Pack
from openclaw.ops.skill_desk import Terms
from openclaw.ops.skill_git import GitAddress, GitSource, asked, git_address, packed
from openclaw.policy.skill.tree import Tree
from tests.ops.test_skill_desk import GOOD, house

pytestmark = pytest.mark.anyio
COMMIT = "a" * 40
needs_git = pytest.mark.skipif(not shutil.which("git"), reason="needs git")


def git(folder: Path, *words: str, given: bytes = b"", check: bool = True) -> bytes:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_PROTOCOL": "version=2", "HOME": str(folder)}
    who = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    return subprocess.run(
        ("git", *who, *words), cwd=folder, env=env, input=given, capture_output=True, check=check
    ).stdout


def repository(folder: Path) -> tuple[str, str]:
    """Make a repository with two commits; return both. Deltas, a filter, hooks and a submodule lie in it."""
    canary = folder / "canary"
    skill = folder / "skills" / "tidy-notes"
    (skill / "scripts").mkdir(parents=True)
    git(folder, "init", "-q")
    (skill / "SKILL.md").write_bytes(GOOD.tree.contents["SKILL.md"])
    (skill / "notes.md").write_text("".join(f"line {number}\n" for number in range(500)))
    (skill / "scripts" / "a.sh").write_text("#!/bin/sh\necho hi\n")
    (skill / "scripts" / "a.sh").chmod(0o755)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    (skill / "notes.md").write_text("".join(f"line {number}\n" for number in range(1, 501)))
    (skill / "more.md").write_text("".join(f"line {number}\n" for number in range(2, 501)))
    (folder / ".gitattributes").write_text("*.md filter=evil\n")
    (folder / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ./x\n')
    (folder / "link").symlink_to("/etc/passwd")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    git(folder, "config", "filter.evil.smudge", f"touch {canary}")
    git(folder, "repack", "-adq")
    one, two = git(folder, "log", "--format=%H", "--reverse").decode().split()
    return one, two


def served(folder: Path, commit: str) -> bytes:
    return git(folder, "upload-pack", "--stateless-rpc", ".", given=asked(commit), check=False)


@needs_git
def test_a_commits_folder_is_read_as_it_was_committed_and_nothing_of_it_runs(tmp_path: Path) -> None:
    one, two = repository(tmp_path)
    for commit, count in ((one, 3), (two, 4)):
        pack = Pack(packed(served(tmp_path, commit)), 20)
        tree = pack.files(commit, "skills/tidy-notes")
        for file in tree.files:
            told = git(tmp_path, "cat-file", "blob", f"{commit}:skills/tidy-notes/{file.path}")
            assert tree.contents[file.path] == told
        assert len(tree.files) == count
        assert [file.path for file in tree.files if file.executable] == ["scripts/a.sh"]
    assert not (tmp_path / "canary").exists()
    for folder, why in (
        ("", "link"),
        ("skills", "add #FOLDER"),
        ("no", "no folder"),
        ("skills/tidy-notes/SKILL.md", "no"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            pack.files(two, folder)
    with pytest.raises(InvalidRequest, match="the server says"):
        packed(served(tmp_path, "b" * 40))


@needs_git
async def test_a_skill_is_installed_from_its_commit_and_the_lock_says_from_where(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    _, commit = repository(tmp_path / "repo")

    class Local(GitSource):
        async def fetch(self, by: Principal, address: GitAddress) -> Tree:
            return Pack(packed(served(tmp_path / "repo", address.commit)), 20).files(address.commit, address.folder)

    here = house(tmp_path, source=Local(None, None))  # type: ignore[arg-type]  # no request is made
    address = f"git+https://example.org/skills@{commit}#skills/tidy-notes"
    await here.desk.fetch(LOCAL_OPERATOR, address, Terms())
    (found,) = here.skills.of(tmp_path / "workspace")
    assert found.standing.answer == "ready"
    assert found.standing.entry is not None
    assert found.standing.entry.origin == address
    assert here.rows.entries[-1].facts["origin"] == address


@pytest.mark.parametrize(
    "text",
    [
        "git+https://example.org/a@main",
        "git+https://example.org/a",
        f"git+http://example.org/a@{COMMIT}",
        f"git+ssh://example.org/a@{COMMIT}",
        f"git+file:///etc@{COMMIT}",
        f"git+https://user:key@example.org/a@{COMMIT}",
        f"git+https://example.org/a?x=1@{COMMIT}",
        f"git+https://example.org/a@{COMMIT}#../up",
        f"git+https://example.org/a@{COMMIT}#a//b",
        f"git+https://example.org/a@{COMMIT[:12]}",
        f"git+https://example.org/a b@{COMMIT}",
        f"git+ext::sh -c id@{COMMIT}",
        f"git+https://-oProxyCommand=id/a@{COMMIT}x",
    ],
)
def test_an_address_that_is_not_https_and_a_commit_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        git_address(text)


def pack_of(*objects: tuple[int, bytes], count: int | None = None, claimed: int | None = None) -> bytes:
    out = b"PACK\0\0\0\2" + (len(objects) if count is None else count).to_bytes(4, "big")
    for kind, data in objects:
        size = len(data) if claimed is None else claimed
        first, size = size & 15, size >> 4
        out += bytes((kind << 4 | first | (128 if size else 0),))
        while size:
            out += bytes((size & 127 | (128 if size > 127 else 0),))
            size >>= 7
        out += zlib.compress(data)
    return out + hashlib.sha1(out, usedforsecurity=False).digest()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PACK",
        pack_of((3, b"x"), count=1_000_000),
        pack_of((3, b"x"), count=2),
        pack_of((3, b"x"), claimed=100),
        pack_of((3, b"x" * 100), claimed=1),
        pack_of((3, b"x"), claimed=MAX_INFLATED + 1),
        pack_of((0, b"x")),
        pack_of((5, b"x")),
        pack_of((3, b"x"))[:-1] + b"\0",
    ],
)
def test_a_hostile_pack_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        Pack(data, 20).files(COMMIT, "")


def name(kind: bytes, data: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(data) + data, usedforsecurity=False).digest()


def test_a_number_without_an_end_is_refused_at_once() -> None:
    for text in (b"\xb0" + b"\xff" * 4_000_000, b"\xe5" + b"\xff" * 4_000_000):  # a size; how far back a base lies
        data = b"PACK\0\0\0\2\0\0\0\1" + text
        with pytest.raises(InvalidRequest):
            Pack(data + hashlib.sha1(data, usedforsecurity=False).digest(), 20)


def test_a_tree_that_names_another_many_times_at_each_level_is_refused_at_once() -> None:
    objects, inner = [(2, b"")], name(b"tree", b"")
    for _ in range(7):  # 100 times 100 times … folders, and no file
        tree = b"".join(b"40000 %02d\0" % each + inner for each in range(100))
        objects, inner = [*objects, (2, tree)], name(b"tree", tree)
    commit = b"tree " + inner.hex().encode() + b"\n"
    pack = Pack(pack_of(*objects, (1, commit)), 20)
    with pytest.raises(InvalidRequest, match="files and folders"):
        pack.files(name(b"commit", commit).hex(), "")


def test_differences_that_come_before_what_they_differ_from_are_applied_once_each() -> None:
    count = 20_000
    texts = [b"x%d" % each for each in range(count)]
    chain = [(7, name(b"blob", old), bytes((len(old), len(new), len(new))) + new) for old, new in pairwise(texts)]
    commit = b"tree " + name(b"tree", tree := b"100644 SKILL.md\0" + name(b"blob", texts[-1])).hex().encode() + b"\n"
    out = b"PACK\0\0\0\2" + (count + 2).to_bytes(4, "big")
    for _, base, delta in reversed(chain):
        out += bytes((7 << 4 | len(delta),)) + base + zlib.compress(delta)
    out += pack_of((3, texts[0]), (2, tree), (1, commit))[12:-20]
    began = time.process_time()
    pack = Pack(out + hashlib.sha1(out, usedforsecurity=False).digest(), 20)
    assert pack.files(name(b"commit", commit).hex(), "").contents["SKILL.md"] == texts[-1]
    assert time.process_time() - began < 5.0  # half a minute, if each were tried again and again


def test_names_in_a_tree_that_lead_out_or_collide_are_refused() -> None:
    blob = name(b"blob", b"x")
    for entries in (
        b"100644 ..\0" + blob,
        b"100644 a/b\0" + blob,
        b"100644 a\0" + blob + b"100644 A\0" + blob,
        b"120000 a\0" + blob,
        b"160000 a\0" + blob,
        b"40000 a\0" + blob,
        b"100644 a\0" + blob[:10],
        b"100644 a\0" + b"\1" * 20,
    ):
        commit = b"tree " + name(b"tree", entries).hex().encode() + b"\n"
        with pytest.raises(InvalidRequest):
            Pack(pack_of((3, b"x"), (2, entries), (1, commit)), 20).files(name(b"commit", commit).hex(), "")


@given(st.binary(max_size=200))
def test_any_answer_is_a_pack_or_refused(data: bytes) -> None:
    for text in (data, b"000dpackfile\n" + data, pack_of((6, data)), pack_of((7, data)), b"0000" + data):
        with pytest.raises(InvalidRequest):
            Pack(text if text[:4] == b"PACK" else packed(text), 20).files(COMMIT, "")
