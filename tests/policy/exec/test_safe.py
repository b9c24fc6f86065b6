"""The built-in reading programs: what of their calls is safe, and that the tables say what the programs do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from openclaw.policy.exec import safe
from openclaw.policy.exec.safe import Reading, reading
from tests.policy.exec import ground

SHAPES = safe._SHAPES


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("cat a b", Reading(("a", "b"))),
        ("cat - a", Reading(("a",))),
        ("cat -- -n", Reading(("-n",))),
        ("head -n 5 a", Reading(("a",))),
        ("head -n5 a", Reading(("a",))),
        ("head -5 a", Reading(("a",))),
        ("head --lines=5 a", Reading(("a",))),
        ("head --lines 5 a", None),
        ("head --line=5 a", None),
        ("tail -f a", None),
        ("grep x a b", Reading(("a", "b"))),
        ("grep -e x a b", Reading(("a", "b"))),
        ("grep -ie x a", Reading(("a",))),
        ("grep -me a", Reading(())),
        ("grep --regexp=x a", Reading(("a",))),
        ("grep -f p a", None),
        ("grep -R x .", None),
        ("grep", None),
        ("sort -o a", None),
        ("sort -k2 a", Reading(("a",))),
        ("uniq a b", None),
        ("diff a b", Reading(("a", "b"), plain=True)),
        ("date +%s", Reading()),
        ("date 010100002020", None),
        ("date -s x", None),
        ("find", Reading((".",))),
        ("find a -name x", Reading(("a",))),
        ("find a -delete", None),
        ("find a -newer b", None),
        ("find -L a", None),
        ("find a -name", None),
        ("sed -n 1,5p a", Reading(("a",))),
        ("sed p", Reading()),
        ("sed -n 1w a", None),
        ("sed -n p a -i", None),
        ("sed -i p a", None),
        ("echo -e x", Reading()),
        ("echo --help", None),
        ("printf %s x", Reading()),
        ("printf -v x y", None),
        ("true", Reading()),
        ("true x", None),
        ("rm a", None),
    ],
)
def test_a_call_is_safe_by_its_words(words: str, found: Reading | None) -> None:
    argv = words.split()
    assert reading(argv[0], argv) == found


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="programs are only tried in a sandbox")
def test_no_option_takes_a_value_that_the_tables_take_for_a_file_or_the_other_way_round(tmp_path: Path) -> None:
    """A word that the table takes for a value, and the program for a file, would be read unseen."""
    calls = [
        (name, letter, letter in shape.valued)
        for name, shape in SHAPES.items()
        for letter in shape.valued + shape.letters
    ]
    lines = [
        f"{name} -{letter} </dev/null >/dev/null 2>{tmp_path}/{at}; true\n"
        for at, (name, letter, _) in enumerate(calls)
    ]
    (tmp_path / "empty").mkdir()  # what lists a folder, or walks through it, has nothing to do
    (tmp_path / "driver").write_text(f"cd {tmp_path}/empty\n" + "".join(lines))
    ground.contained(tmp_path, "timeout", "60", "bash", str(tmp_path / "driver"))
    wrong = []
    for at, (name, letter, valued) in enumerate(calls):
        said = (tmp_path / str(at)).read_text()
        if ("requires an argument" in said) is not valued or "invalid option" in said or "unrecognized" in said:
            wrong.append((name, letter, said[:80]))
    assert wrong == []
