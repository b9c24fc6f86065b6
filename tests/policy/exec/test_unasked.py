"""Random commands of programs that run unasked: whatever is allowed by default changes nothing and shows no secret."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.policy.exec import safe
from openclaw.policy.exec.judge import Request, judge
from openclaw.policy.exec.program import Programs
from openclaw.policy.exec.rules import ExecPolicy
from tests.policy.exec import ground

SECRET: Final = "TOPSECRET"
_PROGRAMS: Final = sorted(safe.programs() - {"seq", "sleep"})
_WRAPPERS: Final = [
    "",
    "",
    "",
    "",
    "timeout 5 ",
    "nice ",
    "env ",
    "env -i /bin/",
    "LC_ALL=C ",
    "stdbuf -o0 ",
    "setsid -w ",
]
_WORDS: Final = [
    *("a.txt", "b.txt", ".", "src", "canary", "link", "out/secret", "out", "../secret", "src/link", "-", "--"),
    *("-exec", "-delete", "-name", "-print", "-newer", "-printf", "-type", "f", "touch", ";", "-fprint", "-L"),
    *("p", "1p", "w", "e", "1,2p", "s/a/b/w", "$p", "x", "1", "5", "+1", "+%s", "%s", "'a b'", "''", "alpha", "=", ":"),
    *("--output=canary", "--files0-from=names", "--file=names", "--recursive", "--from-file=a.txt"),
    *("--regexp=x", "--include=a", "--lines=1", "--color", "--color=always", "--help", "--version", "--all", "--text"),
]  # fmt: skip


def random_call(random: Random) -> str:
    """Return a call of a reading program, perhaps wrapped, with any options and words."""
    words = [random.choice(_PROGRAMS)]
    for _ in range(random.randint(0, 5)):
        letters = "".join(random.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in "ab")
        words.append(random.choice([f"-{letters[0]}", f"-{letters}", *random.choices(_WORDS, k=3)]))
    call = random.choice(_WRAPPERS) + " ".join(words)
    call += random.choice(["", "", "", " < a.txt", " < link", " 2>&1", " >/dev/null", " | cat", " | grep -c a"])
    if random.random() < 0.1 and "'" not in call:
        call = f"bash -c '{call}'"
    return call


def lay_out(folder: Path) -> Path:
    """Return a workspace beside a secret, with links that lead to it."""
    (folder / "secret").write_text(SECRET + "\n")
    (folder / "outside").mkdir()
    (folder / "outside/secret").write_text(SECRET + "\n")
    workspace = folder / "ws"
    (workspace / "src").mkdir(parents=True)
    for name, text in {"a.txt": "alpha\nbeta\n", "b.txt": "beta\n", "src/c.txt": "c\n", "names": "../secret\0"}.items():
        (workspace / name).write_text(text)
    for link, target in {"link": "../secret", "out": "../outside", "src/link": "../../secret"}.items():
        (workspace / link).symlink_to(target)
    return workspace


def allowed(texts: Sequence[str], workspace: Path) -> list[str]:
    """Return those that run unasked by the default policy."""
    programs = Programs()
    requests = {text: Request(text=text, cwd=str(workspace), workspace=str(workspace)) for text in texts}
    return [text for text, each in requests.items() if judge(each, ExecPolicy(), programs).verdict.answer == "allow"]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="random commands are only run in a sandbox")
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 2**64))
def test_what_runs_unasked_changes_nothing_and_shows_nothing_from_outside(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    random = Random(seed)
    folder = tmp_path_factory.mktemp("unasked")
    workspace = lay_out(folder)
    texts = allowed([random_call(random) for _ in range(1500)], workspace)
    assert len(texts) > 50
    before = ground.state(workspace)
    lines = [f"echo {ground.quoted(text)}; bash --norc -c {ground.quoted(text)} </dev/null 2>&1\n" for text in texts]
    drivers = [folder / f"driver{at}" for at in range(ground.WORKERS)]
    for at, driver in enumerate(drivers):
        driver.write_text(f"cd {workspace}\n" + "".join(lines[at :: ground.WORKERS]))
    ground.contained(folder, "bash", "-c", "".join(f"bash {each} > {each}.printed & " for each in drivers) + "wait")
    assert all(SECRET.encode() not in Path(f"{each}.printed").read_bytes() for each in drivers)
    assert ground.state(workspace) == before
