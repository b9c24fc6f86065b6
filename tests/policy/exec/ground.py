"""The ground that commands are tried on: a workspace with traps, real bash, and plans carried out.

Attacks are meant to work here. So both bash and the plans run in a sandbox that has no network, no capabilities (a test
that sets the machine's clock is not undone by deleting its folder) and can write to the one folder it is given.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from openclaw.policy.exec.plan import Plan, Run
from openclaw.policy.exec.rules import ExecPolicy

CANARY: Final = "canary"
WORKERS: Final = 2
BASE: Final = {**dict(ExecPolicy().environment), "PATH": ":".join(ExecPolicy().path), "GIT_CONFIG_NOSYSTEM": "1"}
_TOUCH: Final = "#!/bin/sh\n/usr/bin/touch canary\n"
_FILES: Final = {
    "a.txt": "alpha\nbeta\nbeta\n",
    "b.txt": "beta\ngamma\n",
    "with space.txt": "space\n",
    "café.txt": "café\n",
    "src/main.py": "print('main')\n",
    "src/util.py": "x = 1\n",
    "src/deep/note.md": "# note\n",
    "names": "canary\n",
    "evil.sh": _TOUCH,
    "run.sh": _TOUCH,
    "ls": _TOUCH,
    "timeout": _TOUCH,
    "Makefile": "all:\n\t@touch canary\n",
    "x.pl": "open(F, '>canary');\n",
    "x.js": "require('fs').writeFileSync('canary', '')\n",
    "x.awk": 'BEGIN { system("touch canary") }\n',
    "x.sed": "w canary\n",
    "x.c": "int main(void) { return 0; }\n",
}
_TRAP: Final = "touch ../canary; cat"


class Outcome(msgspec.Struct, frozen=True):
    """What a command did: its status, what it printed, whether the canary is there, and the names of all files."""

    status: int
    printed: bytes
    canary: bool
    files: frozenset[str]


def lay_out(folder: Path) -> None:
    """Make the workspace that others are copied from."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "big.txt").write_text("".join(f"{number % 7919}\n" for number in range(9000)))
    for name in ("evil.sh", "run.sh", "ls", "timeout"):
        (folder / name).chmod(0o755)
    shutil.copy2("/usr/bin/touch", folder / "tool")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    subprocess.run(["tar", "cf", "t.tar", "a.txt"], cwd=folder, check=True)
    _repository(folder / "repo")
    _repository(folder / "trap")
    (folder / "trap/.gitattributes").write_text("f filter=x diff=x\n")
    for key in ("core.fsmonitor", "core.editor", "diff.external", "filter.x.clean", "diff.x.textconv", "gpg.program"):
        _git(folder / "trap", "config", key, _TRAP)
    _git(folder / "trap", "config", "core.hooksPath", "..")
    (folder / "trap/f").write_text("changed\n")
    (folder / "repo/f").write_text("changed\n")


def copies(template: Path, folder: Path, texts: Sequence[str]) -> list[Path]:
    """Return a copy of the workspace for each text; the repositories only where the text names them.

    Files that a text does not name are links, which takes a fifth of the time; `state` of the template says whether
    that was well.
    """
    made: list[Path] = []
    for number, text in enumerate(texts):
        place = folder / str(number) / "ws"
        without = [name for name in ("repo", "trap", "t.tar", "big.txt", "tool") if name not in text]
        copy = partial(_copied, text)
        shutil.copytree(template, place, symlinks=True, ignore=shutil.ignore_patterns(*without), copy_function=copy)
        made.append(place)
    return made


def _copied(text: str, source: str, target: str) -> None:
    if os.path.basename(source) in text or "/repo/" in source or "/trap/" in source:  # noqa: PTH119 - many thousands
        shutil.copy2(source, target)
    else:
        os.link(source, target)


def state(folder: Path) -> str:
    """Return a digest over the names, kinds, rights and bytes in a folder."""
    paths = sorted(folder.rglob("*"))
    found = [(str(path), path.lstat().st_mode, path.is_file() and path.read_bytes()) for path in paths]
    return sha256(repr(found).encode()).hexdigest()


def bash(places: Sequence[Path], texts: Sequence[str], variables: Sequence[Mapping[str, str]]) -> list[Outcome]:
    """Let real bash do what each text says, each in its place, in one go without a network."""
    folder = places[0].parent.parent
    lines = []
    for place, text, more in zip(places, texts, variables, strict=True):
        given = "".join(f" {quoted(f'{name}={value}')}" for name, value in more.items())
        words = f"{'env' if given else ''}{given} /bin/bash --norc --noprofile -c {quoted(text)}"
        lines.append(
            f"(cd {quoted(str(place))} && exec {words} </dev/null >../printed 2>../errors); "
            f"echo $? >{quoted(str(place.parent / 'status'))}\n"
        )
    drivers = [folder / f"driver{at}" for at in range(WORKERS)]
    for at, driver in enumerate(drivers):
        driver.write_text("".join(lines[at::WORKERS]), newline="")
    contained(folder, "bash", "-c", "".join(f"bash {driver} & " for driver in drivers) + "wait")
    return [_outcome(place, int((place.parent / "status").read_text())) for place in places]


def carry_out(plans: Sequence[Plan], places: Sequence[Path]) -> list[Outcome]:
    """Do what each plan says in its place, by execve alone."""
    folder = places[0].parent.parent
    (folder / "plans").write_bytes(msgspec.json.encode([*zip(plans, map(str, places), strict=True)]))
    contained(folder, sys.executable, "-m", __name__, str(folder / "plans"))
    return [_outcome(place, int((place.parent / "status").read_text())) for place in places]


def contained(folder: Path, *command: str) -> None:
    """Run a command that can write to one folder, and do nothing else to the machine."""
    sandbox = ["bwrap", "--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    mounts = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--bind"]
    env = {**BASE, "PYTHONPATH": os.pathsep.join((str(Path.cwd()), *sys.path))}
    whole = [*sandbox, *mounts, str(folder), str(folder), "--", *command]
    subprocess.run(whole, env=env, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120)


def _carry_out(plan: Plan, place: Path) -> None:
    status = 0
    with (place.parent / "printed").open("wb") as printed, (place.parent / "errors").open("wb") as errors:
        for stage in plan.stages:
            if stage.join == "always" or (stage.join == "and") == (status == 0):
                status = _pipeline(stage.runs, printed, errors)
    (place.parent / "status").write_text(str(status))


def _pipeline(runs: Sequence[Run], printed: IO[bytes], errors: IO[bytes]) -> int:
    children: list[subprocess.Popen[bytes]] = []
    before: IO[bytes] | None = None
    for run in runs:
        last = run is runs[-1]
        assert run.program is not None
        child: subprocess.Popen[Any] = subprocess.Popen(
            run.argv,
            executable=run.program.path,
            cwd=run.cwd,
            env=dict(run.environment),
            stdin=before or subprocess.DEVNULL,
            stdout=printed if last else subprocess.PIPE,
            stderr=errors,
            preexec_fn=lambda run=run: _redirect(run),
        )
        if before:
            before.close()
        before = child.stdout
        children.append(child)
    return [child.wait(10) for child in children][-1]


def _redirect(run: Run) -> None:
    flags = {"read": os.O_RDONLY, "write": os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "append": os.O_WRONLY | os.O_APPEND}
    for each in run.redirections:
        source = int(each.target) if each.mode == "dup" else os.open(each.target, flags[each.mode], 0o666)
        os.dup2(source, each.fd)


def _outcome(place: Path, status: int) -> Outcome:
    files = frozenset(str(path.relative_to(place)) for path in place.rglob("*") if ".git" not in path.parts)
    printed = (place.parent / "printed").read_bytes().replace(str(place).encode(), b"WORKSPACE")
    canary = any(name.rpartition("/")[2].startswith(CANARY) for name in files)
    return Outcome(status, printed, canary, files)


def quoted(word: str) -> str:
    """Return a word as bash reads it literally."""
    return "'" + word.replace("'", "'\\''") + "'"


def _repository(folder: Path) -> None:
    folder.mkdir()
    _git(folder, "init", "-q")
    (folder / "f").write_text("alpha\n")
    _git(folder, "add", "f")
    _git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "first")


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=BASE, check=True)


if __name__ == "__main__":
    for each, where in msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=list[tuple[Plan, str]]):
        _carry_out(each, Path(where))
