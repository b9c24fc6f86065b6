"""Random shell text: whatever the parser understands, bash splits into the same words and follows in the same order."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.policy.exec.shell import Script, parse
from tests.policy.exec import ground

_PIECES: Final = [
    *"abz019 \t\n\\'\"$`;|&<>(){}[]*?~!#%^=:,.+-/@_é",
    *(" ", " ", "'", '"', "\\", "\\\n", "''", '""', "a b", "{}", "&&", "||", ">f", "2>&1", " >/dev/null ", "A=1 "),
    *("~a", "=~", ":~", "\\'", '\\"', "\\\\", "$'", '"$', "# x", " #", "a#", "!", " ! ", "if", "time"),
    *("1>", "2>g", "<f", "-n", "--"),
]  # fmt: skip
_SEPARATORS: Final = ["; ", " && ", " || ", " | ", "\n", ";\n", " &&\n", "\\\n; "]
_BEFORE: Final = ["", "", "", "A=x ", " ", "\n", "\\\n", ">f "]
_SHOW: Final = 'show() { printf "%s\\0" "${A-}" "$#" "$@" >> "$LOG.$BASHPID"; }; export -f show\n'


def random_text(random: Random) -> str:
    """Return one to three calls of `show`, joined somehow, with anything for words."""

    def call() -> str:
        pieces = [random.choice(_PIECES) for _ in range(random.randint(0, 10))]
        return random.choice(_BEFORE) + "show " + "".join(pieces)

    more = [random.choice(_SEPARATORS) + call() for _ in range(random.choice([0, 0, 1, 2]))]
    return call() + "".join(more)


def expected(script: Script) -> list[tuple[str, ...]]:
    """Return what each call of `show` gets, the variable A first; `show` always succeeds."""
    calls: list[tuple[str, ...]] = []
    for step in script.steps:
        if step.join != "or":
            calls += [(dict(each.assignments).get("A", ""), *each.argv[1:]) for each in step.commands]
    return calls


def written(script: Script) -> set[str]:
    """Return the files that redirections make."""
    steps = [step for step in script.steps if step.join != "or"]
    made = [each for step in steps for command in step.commands for each in command.redirections]
    return {each.target for each in made if each.mode in ("write", "append") and "/" not in each.target}


def understood(texts: list[str]) -> dict[str, Script]:
    """Return those texts that are understood, call nothing but `show`, and read nothing."""
    found: dict[str, Script] = {}
    for text in texts:
        script = parse(text)
        if isinstance(script, Script) and not script.folders:
            commands = [command for step in script.steps for command in step.commands]
            reads = any(
                each.mode == "read" or "/" in each.target.removeprefix("/dev/null") or not each.target.strip(".")
                for command in commands
                for each in command.redirections
            )
            if all(command.argv[0] == "show" for command in commands) and not reads:
                found[text] = script
    return found


def by_bash(texts: list[str], folder: Path) -> list[tuple[list[tuple[str, ...]], set[str]]]:
    """Return what bash makes of each text: the calls of `show`, and the files there are then."""
    lines = [_SHOW]
    for number, text in enumerate(texts):
        (folder / str(number) / "ws").mkdir(parents=True)
        place = folder / str(number)
        said = f"LOG={place}/log exec bash --norc -c {ground.quoted(text)}"
        lines.append(f"(cd {place}/ws; {said}) </dev/null &>/dev/null\n")
    (folder / "driver").write_text("".join(lines), newline="")
    ground.contained(folder, "bash", str(folder / "driver"))
    places = [folder / str(at) for at in range(len(texts))]
    return [(_calls(place), {each.name for each in (place / "ws").iterdir()}) for place in places]


def _calls(place: Path) -> list[tuple[str, ...]]:
    """Return the calls that were logged, by each process in a file of its own."""
    words = [word for log in sorted(place.glob("log.*")) for word in log.read_text().split("\0")[:-1]]
    calls, at = [], 0
    while at < len(words):
        count = int(words[at + 1])
        calls.append((words[at], *words[at + 2 : at + 2 + count]))
        at += 2 + count
    return calls


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="random text is only run in a sandbox")
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_what_is_understood_is_what_bash_understands(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = Random(seed)
    scripts = understood([random_text(random) for _ in range(2000)])
    assert len(scripts) > 100
    found = by_bash(list(scripts), tmp_path_factory.mktemp("fuzz"))
    for (text, script), (calls, files) in zip(scripts.items(), found, strict=True):
        assert (text, sorted(calls)) == (text, sorted(expected(script)))
        assert (text, files) == (text, written(script))
