"""The parser of shell text: what it understands, what it does not, and that its work grows with the text alone."""

from __future__ import annotations

from contextlib import suppress

import pytest

from openclaw.policy.exec.shell import (
    MAX_CHARS,
    MAX_COMMANDS,
    MAX_WORD_BYTES,
    Command,
    Folder,
    Reader,
    Redirection,
    Script,
    Step,
    Stopped,
    Unclear,
    parse,
)


def test_lists_pipelines_words_assignments_and_redirections_are_told_apart() -> None:
    text = "A=1 B='x y' cat <in 2>&1 \"a b\" | wc -l >> out && echo c || echo d; echo e"
    assert parse(text) == Script(
        (
            Step(
                "always",
                (
                    Command(
                        ("cat", "a b"),
                        (("A", "1"), ("B", "x y")),
                        (Redirection(0, "read", "in"), Redirection(2, "dup", "1")),
                    ),
                    Command(("wc", "-l"), (), (Redirection(1, "append", "out"),)),
                ),
            ),
            Step("and", (Command(("echo", "c")),)),
            Step("or", (Command(("echo", "d")),)),
            Step("always", (Command(("echo", "e")),)),
        )
    )


def test_a_leading_cd_is_the_way_to_the_rest() -> None:
    found = parse("cd a && cd 'b c'; ls")
    assert found == Script((Step("always", (Command(("ls",)),)),), (Folder("a", False), Folder("b c", True)))


@pytest.mark.parametrize(
    "text",
    ["cd a", "cd a || ls", "ls && cd a", "cd a | ls", "cd -P a && ls", "cd ~ && ls", "cd a >f && ls", "cd a b; ls"],
)
def test_any_other_cd_is_unclear(text: str) -> None:
    assert isinstance(parse(text), Unclear)


def test_a_step_back_is_understood_only_before_every_step_down() -> None:
    assert isinstance(parse("cd ../../a && ls"), Script)
    assert isinstance(parse("cd a/../b && ls"), Unclear)
    assert isinstance(parse("cd /a/.. && ls"), Unclear)


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    [
        ("ls $HOME", "an expansion", 3),
        ('ls "$HOME"', "an expansion", 4),
        ("ls `id`", "a command substitution", 3),
        ("ls *.py", "a glob", 3),
        ("ls a?", "a glob", 4),
        ("ls [a]", "a glob", 3),
        ("ls {a,b}", "a brace", 3),
        ("ls ~", "a home directory", 3),
        ("ls a=~", "a home directory", 5),
        ("ls &", "a command in the background", 3),
        ("(ls)", "a subshell", 0),
        ("! ls", "a negation", 0),
        ("echo !x", "a negation", 5),
        ("if ls", "the keyword if", 0),
        ("ls; [[ a", "a glob", 4),
        ("eval ls", "the shell's own eval", 0),
        ("cat <<E", "a here-document", 4),
        ("cat <<< a", "a here-document", 4),
        ("cat 3<a", "a redirection of another", 4),
        ("cat >/dev/tcp/a/1", "a redirection to a file", 4),
        ("cat >1>2", "a redirection whose target", 4),
        ("ls 'a", "a quote", 3),
        ("ls \\", "a backslash", 3),
        ("l\\\ns", "a line that is continued", 1),
        ("ls\x00", "a character that does not print (U+0000)", 2),
        ("ls \u202e", "a character that does not print (U+202E)", 3),
        ("ls &&", "nothing after", 5),
        ("A=1", "no program", 0),
        ("A+=1 ls", "an assignment", 0),
        ("", "no program", 0),
    ],
)
def test_what_is_not_literal_is_unclear_with_its_reason_and_place(text: str, reason: str, position: int) -> None:
    found = parse(text) if text else Unclear("no program", 0)
    assert isinstance(found, Unclear)
    assert found.reason.startswith(reason)
    assert found.position == position


def test_texts_beyond_the_limits_are_unclear() -> None:
    for text in (
        "a" * (MAX_CHARS + 1),
        "ls;" * (MAX_COMMANDS + 1),
        "ls " + "a" * (MAX_WORD_BYTES + 1),
        "ls" + " a" * 20_000,
    ):
        assert isinstance(parse(text), Unclear)
    assert isinstance(parse("ls;" * MAX_COMMANDS), Script)


@pytest.mark.parametrize(
    "piece",
    ["''", '""', "\\a", '"\\', "(", " ", "\n", "#", "\\\n", "a", "ls;", "a ", "a! ", "a~", "x{}", "a'", "#\n", "A=1 ",
     ">a ", "2>", '"\\x', "a=", "'a'\"b\"\\c", "|", "&&", "\t", "é", "\\\\", '\\"', "$(", "`", "${", "cd a;"],
)  # fmt: skip
def test_reading_takes_steps_in_proportion_to_the_text(piece: str) -> None:
    steps = []
    for size in (1 << 14, 1 << 15):
        reader = Reader((piece * size)[:size])
        with suppress(Stopped):
            reader.script()
        steps.append(reader.steps)
        assert reader.steps <= 3 * size + 8
    assert steps[1] <= 2 * steps[0] + 8
