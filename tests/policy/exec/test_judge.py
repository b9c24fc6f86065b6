"""The judgement of a whole command: modes, reasons, standing rules, and that only the approved plan runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from openclaw.policy.exec.command import MAX_READ
from openclaw.policy.exec.judge import SHELL, Judgement, Request, judge
from openclaw.policy.exec.plan import verify
from openclaw.policy.exec.program import MAX_HASHED, Programs
from openclaw.policy.exec.rules import ExecPolicy, rules_of
from openclaw.policy.exec.rules_file import AskWhen, Security

PROGRAMS = Programs()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    workspace = tmp_path / "ws"
    (workspace / "src").mkdir(parents=True)
    (workspace / "a.txt").write_text("alpha\n")
    (workspace / "build.py").write_text("print('fine')\n")
    return workspace


def asked(folder: Path, text: str = "", policy: ExecPolicy | None = None, **more: object) -> Judgement:
    request = Request(text=text, cwd=str(folder), workspace=str(folder))
    return judge(msgspec.structs.replace(request, **more), policy or ExecPolicy(), PROGRAMS)


def test_a_judgement_reads_so_many_bytes_and_no_more(tmp_path: Path) -> None:
    for number in range(6):
        with (tmp_path / f"large{number}").open("wb") as file:
            file.truncate(MAX_HASHED)
    text = "ls " + " ".join(f"large{number}" for number in range(6))
    found = judge(Request(text=text, cwd=str(tmp_path), workspace=str(tmp_path)), ExecPolicy(), Programs())
    read = [used for used in found.plan.stages[0].runs[0].uses if used.sha256]
    assert found.verdict.answer == "allow"
    assert len({used.word for used in read}) == MAX_READ // MAX_HASHED


@pytest.mark.parametrize(
    ("security", "ask", "safe", "miss"),
    [
        ("deny", "off", "deny", "deny"),
        ("deny", "on-miss", "deny", "deny"),
        ("deny", "always", "deny", "deny"),
        ("allowlist", "off", "allow", "deny"),
        ("allowlist", "on-miss", "allow", "ask"),
        ("allowlist", "always", "ask", "ask"),
        ("full", "off", "allow", "allow"),
        ("full", "on-miss", "allow", "allow"),
        ("full", "always", "ask", "ask"),
    ],
)
def test_mode_and_asking_decide_what_becomes_of_a_hit_and_a_miss(
    folder: Path, security: Security, ask: AskWhen, safe: str, miss: str
) -> None:
    policy = ExecPolicy(security=security, ask=ask)
    answers = [asked(folder, text, policy).verdict.answer for text in ("ls", "rm a.txt", "rm $X")]
    assert answers == [safe, miss, miss]


def test_a_variable_that_hijacks_is_denied_even_where_everything_may_run(folder: Path) -> None:
    found = asked(folder, "ls", ExecPolicy(security="full"), environment={"LD_PRELOAD": "x.so"})
    assert (found.verdict.answer, found.verdict.rule_id) == ("deny", "exec.env")


def test_the_whole_is_as_strict_as_its_strictest_part_and_each_part_is_shown(folder: Path) -> None:
    found = asked(folder, "ls && rm a.txt; cat a.txt")
    assert [each.verdict.rule_id for each in found.commands] == ["exec.safe", "exec.unlisted", "exec.safe"]
    assert found.verdict.rule_id == "exec.unlisted"


def test_argv_is_judged_like_text_without_a_shell_between(folder: Path) -> None:
    assert asked(folder, argv=("cat", "a.txt")).verdict.answer == "allow"
    assert asked(folder, argv=("cat", "$(id)")).verdict.answer == "allow"
    assert asked(folder, argv=("cat", "a\u202eb")).verdict.rule_id == "exec.unclear"
    assert asked(folder, argv=("bash", "-c", "rm a.txt")).verdict.answer == "ask"
    assert asked(folder, argv=("cd", "src")).verdict.rule_id == "exec.program-missing"


@pytest.mark.parametrize("word", ["a\0b", "a\ud800b"])
def test_what_no_program_can_be_given_is_denied(folder: Path, word: str) -> None:
    for found in (asked(folder, word), asked(folder, argv=("cat", word)), asked(folder, "ls", environment={"A": word})):
        assert found.verdict.answer == "deny"
        assert found.plan.digest


def test_the_directory_itself_must_lie_in_the_workspace(folder: Path) -> None:
    assert asked(folder, "ls", cwd="/").verdict.rule_id == "exec.cwd"
    (folder / "link").symlink_to("/")
    assert asked(folder, "ls", cwd=str(folder / "link")).verdict.rule_id == "exec.cwd"
    assert asked(folder, "ls", workspace=str(folder) + "x").verdict.rule_id == "exec.cwd"


def test_an_unclear_text_is_planned_as_one_shell_for_a_person_to_decide(folder: Path) -> None:
    found = asked(folder, "for i in 1; do sh build.py; done")
    assert [run.argv for stage in found.plan.stages for run in stage.runs] == [(*SHELL, found.plan.text)]
    assert found.standing == ()


def test_the_plan_runs_in_the_directory_that_a_cd_leads_to_with_the_fixed_path(folder: Path) -> None:
    run = asked(folder, "cd src && LC_ALL=C ls", environment={"TERM": "dumb"}).plan.stages[0].runs[0]
    assert run.cwd == str(folder / "src")
    assert dict(run.environment) == {
        "HOME": "/nonexistent",
        "LANG": "C.UTF-8",
        "LC_ALL": "C",
        "PATH": ":".join(ExecPolicy().path),
        "PWD": run.cwd,
        "TERM": "dumb",
    }


def test_git_runs_without_the_configuration_of_others(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text('[core]\n\tbare = false\n[remote "origin"]\n\turl = x\n')
    policy = ExecPolicy(rules=rules_of(("git status *",), "rules"))
    found = asked(folder, "git status -s", policy)
    environment = dict(found.plan.stages[0].runs[0].environment)
    assert found.verdict.answer == "allow"
    assert (environment["GIT_CONFIG_GLOBAL"], environment["GIT_CONFIG_NOSYSTEM"]) == ("/dev/null", "1")
    for line in (
        "[core]\n\tfsmonitor = x\n",
        "[alias]\n\ts = !x\n",
        '[filter "x"]\n\tclean = y\n',
        "[include]\n\tpath = x\n",
        "[core] fsmonitor = x\n",
        "[core]\n\tbare = \\\nfalse\n",
        '[core "]"]\n',
        '[remote "o"]\nuploadpack = x',
    ):
        (folder / ".git/config").write_text(line)
        assert asked(folder, "git status -s", policy).verdict.rule_id == "exec.git-config"
    (folder / ".git/config").unlink()
    (folder / ".gitmodules").write_text("")
    assert asked(folder, "git status -s", policy).verdict.rule_id == "exec.git-config"


def test_an_allow_always_allows_this_very_call_and_no_other(folder: Path) -> None:
    found = asked(folder, "mkdir new && ls | tee 'x y'")
    assert [each.pattern for each in found.standing] == [os.path.realpath("/usr/bin/mkdir"), "/usr/bin/tee"]
    policy = ExecPolicy(rules=rules_of(found.standing, "file"))
    assert asked(folder, "mkdir new && ls | tee 'x y'", policy).verdict.answer == "allow"
    for text in ("mkdir newer", "mkdir new -p", "tee x y", "mkdir", "cd src && mkdir new"):
        assert asked(folder, text, policy).verdict.answer == "ask"
    bare = ExecPolicy(rules=rules_of(asked(folder, "sync").standing, "file"))
    assert (asked(folder, "sync", bare).verdict.answer, asked(folder, "sync -f", bare).verdict.answer) == (
        "allow",
        "ask",
    )


@pytest.mark.parametrize(
    "text",
    [
        "bash -c 'mkdir x'",
        "sh build.py",
        "python3 build.py",
        "perl -v",
        "env mkdir x",
        "timeout 5 mkdir x",
        "xargs ls",
        "busybox ls",
        "find . -delete",
        "sudo ls",
        "sed -i s/a/b/ a.txt",
        "git -C src status",
        "awk 1 a.txt",
        "make",
        "mkdir x > f",
        "FOO=1 mkdir x",
        "mkdir x; python3 build.py",
        "echo $X",
        "missing-program",
    ],
)
def test_no_standing_rule_is_made_of_what_carries_out_other_commands(folder: Path, text: str) -> None:
    assert asked(folder, text).standing == ()


Change = Callable[[Path], dict[str, object]]


def _rewritten(folder: Path) -> dict[str, object]:
    (folder / "build.py").write_text("print('evil')\n")
    return {}


def _rewritten_alike(folder: Path) -> dict[str, object]:
    status = (folder / "build.py").stat()
    (folder / "build.py").write_text("print('evil')\n")
    os.utime(folder / "build.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    return {}


def _linked(folder: Path) -> dict[str, object]:
    (folder / "other.py").write_text("print('fine')\n")
    (folder / "build.py").unlink()
    (folder / "build.py").symlink_to("other.py")
    return {}


def _moved(folder: Path) -> dict[str, object]:
    (folder / "src").rmdir()
    (folder / "src").symlink_to("/")
    return {}


def _program(folder: Path) -> dict[str, object]:
    (folder / "tool").write_text("#!/bin/sh\necho evil\n")
    return {}


def _made(folder: Path) -> dict[str, object]:
    (folder / "later.py").write_text("print('evil')\n")
    return {}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda _: {"text": "./tool build.py later.py src/x"}, "the command"),
        (lambda folder: {"cwd": str(folder / "src")}, "the"),
        (lambda _: {"environment": {"TERM": "x"}}, "the environment"),
        (lambda _: {"agent": "other"}, "the agent or session"),
        (lambda _: {"session": "other"}, "the agent or session"),
        (_rewritten, "the file build.py"),
        (_rewritten_alike, "the file build.py"),
        (_linked, "the file build.py"),
        (_moved, "the file src"),
        (_program, "the program ./tool"),
        (_made, "the file later.py"),
    ],
)
def test_any_change_between_approval_and_run_is_refused(folder: Path, change: Change, what: str) -> None:
    (folder / "tool").write_text("#!/bin/sh\necho good\n")
    (folder / "tool").chmod(0o755)
    text = "./tool build.py later.py src"
    approved = asked(folder, text, agent="main", session="s").plan
    assert verify(approved, asked(folder, text, agent="main", session="s").plan).answer == "allow"
    again: dict[str, object] = {"text": text, "agent": "main", "session": "s"} | change(folder)
    refused = verify(approved, asked(folder, **again).plan)  # type: ignore[arg-type]
    assert (refused.answer, refused.rule_id) == ("deny", "exec.plan-changed")
    assert refused.reason.startswith(what)


@pytest.mark.parametrize(
    "text", ["bash -c 'python3 build.py'", "python3 < build.py", "for i in 1; do python3 build.py; done"]
)
def test_files_inside_wrapped_and_unclear_texts_are_bound_too(folder: Path, text: str) -> None:
    approved = asked(folder, text).plan
    (folder / "build.py").write_text("print('evil')\n")
    assert verify(approved, asked(folder, text).plan).answer == "deny"


def test_a_plan_survives_being_kept(folder: Path) -> None:
    plan = asked(folder, "cat a.txt | wc -l > /dev/null").plan
    assert msgspec.json.decode(msgspec.json.encode(plan), type=type(plan)) == plan
