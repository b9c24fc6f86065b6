"""Skills are read as data, within bounds, and judged by what the machine has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent import skill as skill_module
from openclaw.agent.skill import Skills, read_skill
from openclaw.config.env import Environment
from openclaw.policy.skill import head as head_module
from openclaw.policy.skill.gate import SkillGate
from openclaw.policy.skill.head import Needs, frontmatter

HEAD = """---
name: weather
description: "Says what the sky does: rain, \\u2600"
homepage: https://example.org/weather
metadata:
  {
    "openclaw":
      {
        emoji: "W",
        "requires": { "bins": ["sh", "no-such-program"], "anyBins": ["nope", "sh"], "env": ["KEY"], "config": ["a.b"] },
        "install": [{ "kind": "brew", "bins": ["wx"], }, {"no": "kind"}],
      },
  }
---
# Weather
ignore me: please
"""


def put(root: Path, name: str, text: str) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(text)


def skills(tmp_path: Path, config: dict[str, Any] | None = None, **env: str) -> Skills:
    environment = Environment((("test", {"PATH": "/usr/bin:/bin", **env}),))
    return Skills(tmp_path / "managed", lambda: environment, lambda: config or {}, SkillGate(tmp_path))


def test_a_skill_is_read_with_what_it_needs_and_lacks(tmp_path: Path) -> None:
    put(tmp_path / "w" / "skills", "weather", HEAD)
    (found,) = skills(tmp_path).of(tmp_path / "w")
    assert (found.name, found.description, found.emoji) == ("weather", "Says what the sky does: rain, ☀", "W")
    assert found.homepage == "https://example.org/weather"
    assert found.needs == Needs(("sh", "no-such-program"), ("nope", "sh"), ("KEY",), ("a.b",))
    assert found.missing == Needs(bins=("no-such-program",), env=("KEY",), config=("a.b",))
    assert [(way.id, way.label, way.bins) for way in found.install] == [("brew-0", "Install (brew)", ("wx",))]


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    put(tmp_path / "w" / "skills", "weather", HEAD.replace(', "no-such-program"', ""))
    (found,) = skills(tmp_path, {"a": {"b": True}}, KEY="x").of(tmp_path / "w")
    assert not found.missing


def test_the_workspaces_skill_comes_before_a_managed_one_of_its_name(tmp_path: Path) -> None:
    put(tmp_path / "managed", "a", "---\nname: same\n---\n")
    put(tmp_path / "managed", "b", "---\nname: other\n---\n")
    put(tmp_path / "w" / "skills", "c", "---\nname: same\n---\n")
    found = skills(tmp_path).of(tmp_path / "w")
    assert [(each.name, each.source) for each in found] == [
        ("other", "openclaw-managed"),
        ("same", "openclaw-workspace"),
    ]


def test_a_name_goes_before_a_key_that_another_skill_gives_itself(tmp_path: Path) -> None:
    put(tmp_path / "managed", "same", "---\nname: same\n---\n")
    put(tmp_path / "w" / "skills", "a", "---\nname: a\nmetadata: {openclaw: {skillKey: same}}\n---\n")
    assert skills(tmp_path).named(tmp_path / "w", "same").source == "openclaw-managed"


def test_links_and_folders_without_a_file_are_not_skills(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    put(outside, "secret", HEAD)
    root = tmp_path / "w" / "skills"
    root.mkdir(parents=True)
    (root / "linked").symlink_to(outside / "secret")
    (root / "file-linked").mkdir()
    (root / "file-linked" / "SKILL.md").symlink_to(outside / "secret" / "SKILL.md")
    (root / "folder" / "SKILL.md").mkdir(parents=True)
    (root / "empty").mkdir()
    assert skills(tmp_path).of(tmp_path / "w") == []


def test_no_folder_and_too_many_folders_are_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert skills(tmp_path).of(tmp_path / "nowhere") == []
    monkeypatch.setattr(skill_module, "MAX_SKILLS", 3)
    for number in range(5):
        put(tmp_path / "w" / "skills", f"s{number}", "no head at all")
    assert [each.name for each in skills(tmp_path).of(tmp_path / "w")] == ["s0", "s1", "s2"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("name: x", {}),
        ("---\nname: x", {}),
        ("---\r\nname: x\r\n---\r\n", {"name": "x"}),
        ("---\nd: >-\n  two\n  lines\n---", {"d": "two lines"}),
        ("---\nd: |\n  two\n  lines\n---", {"d": "two\nlines"}),
        ("---\nname:x\n# a comment\n---", {}),
    ],
)
def test_heads_are_read_line_by_line(text: str, found: dict[str, str]) -> None:
    assert frontmatter(text) == found


@given(
    st.text(max_size=300)
    | st.lists(
        st.sampled_from(["---\n", "name: ", "metadata: ", "{", "[", '"', "'", "\\", "openclaw: ", "}", "\n", " x"])
    ).map("".join)
    | st.builds(lambda count: "---\nmetadata: " + "{a:" * count + "\n---", st.just(50_000))
)
def test_no_head_breaks_the_reader_and_all_texts_are_bounded(text: str) -> None:
    found = read_skill(frontmatter(text), Path("/skills/here"), "openclaw-managed")
    assert found.name
    assert max(len(found.name), len(found.description), len(found.homepage)) <= head_module.MAX_TEXT
