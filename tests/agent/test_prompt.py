"""The stable prefix."""

from __future__ import annotations

from pathlib import Path

from openclaw.agent.prompt import MAX_INSTRUCTIONS_BYTES, TOOL_RULES, PromptRoom


def test_the_prefix_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Be kind.")
    room = PromptRoom()
    prompts = {room.system("You are X.", tmp_path, tools=True) for _ in range(50)}
    assert prompts == {f"You are X.\n\nAGENTS.md:\nBe kind.\n\n{TOOL_RULES}"}


def test_a_changed_instructions_file_is_read_again(tmp_path: Path) -> None:
    room = PromptRoom()
    before = room.system("x", tmp_path, tools=False)
    (tmp_path / "AGENTS.md").write_text("New.")
    assert before == "x"
    assert room.system("x", tmp_path, tools=False) == "x\n\nAGENTS.md:\nNew."


def test_a_huge_or_broken_instructions_file_is_cut(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_bytes(b"\xff" * (MAX_INSTRUCTIONS_BYTES * 2))
    text = PromptRoom().system("x", tmp_path, tools=False)
    assert len(text) < MAX_INSTRUCTIONS_BYTES + 200
    assert "cut" in text


def test_an_instructions_file_that_leads_elsewhere_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary")
    room = tmp_path / "room"
    room.mkdir()
    for make in (Path.symlink_to, Path.hardlink_to):
        make(room / "AGENTS.md", tmp_path / "secret")
        assert PromptRoom().system("x", room, tools=False) == "x"
        (room / "AGENTS.md").unlink()


def test_skills_stand_after_the_rules_of_the_tools_that_read_them(tmp_path: Path) -> None:
    room = PromptRoom()
    assert room.system("x", tmp_path, tools=True, skills="S").endswith(f"{TOOL_RULES}\n\nS")
    assert room.system("x", tmp_path, tools=False, skills="S") == "x"
