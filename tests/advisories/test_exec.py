"""Published failures of execution approvals, one test for each: the policy and the shell must not disagree."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import msgspec
import pytest

from openclaw.config.schema import ExecConfig
from openclaw.policy.exec.judge import Judgement, Request, judge
from openclaw.policy.exec.plan import verify
from openclaw.policy.exec.program import Programs
from openclaw.policy.exec.rules import ExecPolicy, policy_of, rules_of
from openclaw.policy.exec.rules_file import Resolved, RulesFile
from openclaw.policy.exec.shell import MAX_CHARS, Reader, Stopped, Unclear, parse

WIDE: Final = ExecPolicy(rules=rules_of(("*", "/**"), "wide"))
"""A rule for every program: what is asked about under it, no rule short of the call itself allows."""


def asked(folder: Path, text: str, policy: ExecPolicy = WIDE, **more: object) -> Judgement:
    request = msgspec.structs.replace(Request(text=text, cwd=str(folder), workspace=str(folder)), **more)
    return judge(request, policy, Programs())


@pytest.mark.parametrize("shell", ["sh", "ash", "env sh", "timeout 1 sh"])
@pytest.mark.parametrize("box", ["busybox", "/bin/busybox", "/usr/bin/busybox", "toybox"])
def test_cve_2026_22175_a_shell_inside_a_multiplexer_is_asked_about(tmp_path: Path, box: str, shell: str) -> None:
    found = asked(tmp_path, f"{box} {shell} -c 'touch canary'")
    assert (found.verdict.answer, found.standing) == ("ask", ())


@pytest.mark.parametrize("applet", ["awk", "find", "vi", "xargs", "nc", "wget", "ls", "cat"])
def test_ghsa_2cq5_mf3v_mx44_no_applet_of_a_multiplexer_runs_unasked(tmp_path: Path, applet: str) -> None:
    (tmp_path / applet).symlink_to("/bin/busybox")
    for text in (f"busybox {applet} x", f"./{applet} x"):
        found = asked(tmp_path, text)
        assert (found.verdict.answer, found.standing) == ("ask", ())


@pytest.mark.parametrize(
    "text",
    [
        "env -S 'touch canary'",
        "env -S'sh -c id'",
        "env --split-string=ls",
        "env -iS ls",
        "env -vS ls",
        "env -u A -S ls",
    ],
)
def test_cve_2026_31992_ghsa_796m_2973_wc5q_env_does_not_split_a_string(tmp_path: Path, text: str) -> None:
    found = asked(tmp_path, text)
    assert (found.verdict.answer, found.standing) == ("ask", ())


@pytest.mark.parametrize(
    "text", ['echo "$\\\n(touch canary)"', "echo $\\\n(touch canary)", 'echo "`\\\ntouch canary`"']
)
def test_cve_2026_28460_a_substitution_over_a_continued_line_is_seen(tmp_path: Path, text: str) -> None:
    assert isinstance(parse(text), Unclear)
    assert asked(tmp_path, text).verdict.answer == "ask"


@pytest.mark.parametrize(
    "text", ["cat <<E\n$(touch canary)\nE", "cat <<-E\n\t`touch canary`\n\tE", "cat <<<$(touch canary)"]
)
def test_ghsa_65rx_fvh6_r4h2_a_here_document_is_asked_about(tmp_path: Path, text: str) -> None:
    assert asked(tmp_path, text).verdict.rule_id == "exec.unclear"


@pytest.mark.parametrize(
    "word", ["*", "?", "[a-z]", "$HOME/.ssh/id", "~/.ssh/id", "~root/x", "{/etc/passwd,x}", '"$HOME"', "a=~/x"]
)
def test_cve_2026_28463_words_of_safe_programs_are_literal(tmp_path: Path, word: str) -> None:
    assert asked(tmp_path, f"head -1 {word}").verdict.rule_id == "exec.unclear"
    assert asked(tmp_path, f"bash -c 'head -1 {word}'").verdict.rule_id == "exec.unclear"


@pytest.mark.parametrize("shell", ["zsh", "bash", "sh", "/bin/bash", "env bash", "dash"])
def test_cve_2026_29607_allow_always_never_stores_a_shell(tmp_path: Path, shell: str) -> None:
    assert asked(tmp_path, f"{shell} -c 'mkdir x'", ExecPolicy()).standing == ()
    assert asked(tmp_path, f"{shell} x.sh", ExecPolicy()).standing == ()


def test_issue_23276_allow_always_stores_the_command_with_its_words(tmp_path: Path) -> None:
    (rule,) = asked(tmp_path, "mkdir x", ExecPolicy()).standing
    kept = ExecPolicy(rules=rules_of((rule,), "kept"))
    answers = [asked(tmp_path, text, kept).verdict.answer for text in ("mkdir x", "mkdir y", "mkdir x y", "rmdir x")]
    assert answers == ["allow", "ask", "ask", "ask"]


def test_ghsa_2j8v_hwgc_x698_changed_words_are_refused_after_approval(tmp_path: Path) -> None:
    approved = asked(tmp_path, "mkdir x", ExecPolicy()).plan
    for text in ("mkdir y", "mkdir x y", "mkdir -p x", "rm x", "mkdir x; rm x", "mkdir x && mkdir x", "mkdir x > f"):
        assert verify(approved, asked(tmp_path, text, ExecPolicy()).plan).answer == "deny"


@pytest.mark.parametrize(
    "shell", ["node", "python3", "perl", "sh", "bash", "ruby", "php", "zsh -s", "awk -f -", "sed -f - a"]
)
def test_issue_128470_a_pipe_into_an_interpreter_is_asked_about(tmp_path: Path, shell: str) -> None:
    assert asked(tmp_path, f"cat x | {shell}").verdict.answer == "ask"


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "ZDOTDIR",
        "BASH_ENV",
        "ENV",
        "SHELLOPTS",
        "BASHOPTS",
        "PS4",
        "IFS",
        "CDPATH",
        "GIT_DIR",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_GLOBAL",
        "GIT_SSH_COMMAND",
        "GIT_EXTERNAL_DIFF",
        "NODE_OPTIONS",
        "NODE_PATH",
        "PYTHONSTARTUP",
        "PYTHONPATH",
        "PERL5OPT",
        "PERL5LIB",
        "RUBYOPT",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "DYLD_INSERT_LIBRARIES",
        "PATH",
        "PAGER",
        "LESSOPEN",
        "EDITOR",
        "MAKEFLAGS",
        "GCONV_PATH",
        "LOCPATH",
        "TAR_OPTIONS",
        "BASH_FUNC_ls%%",
        "PROMPT_COMMAND",
    ],
)
def test_variables_that_hijack_are_an_allowlist_away_from_any_command(tmp_path: Path, name: str) -> None:
    assert asked(tmp_path, "ls", environment={name: "x"}).verdict.answer == "deny"
    full = ExecPolicy(security="full")
    assert asked(tmp_path, "ls", full, environment={name: "x"}).verdict.answer == "deny"
    if name.isidentifier():
        for text in (f"{name}=x ls", f"env {name}=x ls", f"timeout 1 env {name}=x ls", f"bash -c '{name}=x ls'"):
            assert asked(tmp_path, text).verdict.answer == "ask"
        assert isinstance(parse(f"export {name}=x; ls"), Unclear)
        assert isinstance(parse(f"{name}=x; ls"), Unclear)


def test_the_default_posture_asks_and_denies_where_nobody_answers(tmp_path: Path) -> None:
    policy = policy_of(ExecConfig(), RulesFile(version=1), "main")
    assert (policy.security, policy.ask, Resolved().ask_fallback) == ("allowlist", "on-miss", "deny")
    assert asked(tmp_path, "touch canary", policy).verdict.answer == "ask"


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "core.pager",
        "core.hooksPath",
        "core.sshCommand",
        "diff.external",
        "diff.x.textconv",
        "diff.x.command",
        "filter.x.clean",
        "filter.x.process",
        "merge.x.driver",
        "alias.status",
        "gpg.program",
        "credential.helper",
        "include.path",
        "includeIf.gitdir:/.path",
        "core.worktree",
        "core.attributesFile",
    ],
)
def test_a_repositorys_configuration_does_not_choose_what_git_runs(tmp_path: Path, setting: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    git = ExecPolicy(rules=rules_of(("git", "git status"), "rules"))
    assert asked(tmp_path, "git status", git).verdict.answer == "allow"
    subprocess.run(["git", "-C", str(tmp_path), "config", setting, "touch canary"], check=True)
    assert asked(tmp_path, "git status", git).verdict.rule_id == "exec.git-config"
    assert asked(tmp_path, "timeout 5 git diff", git).verdict.answer == "ask"


@pytest.mark.parametrize(
    "config",
    [
        "[core]\n# \x0c[color]\nfsmonitor = x\n",
        "[core]\n\tbare = false \\\n[color]\nfsmonitor = x\n",
        "[core]fsmonitor = x\n",
        "[core] # ]\nfsmonitor = x\n",
        "[color]\n[CORE]\nFsMonitor = x\n",
        "[core]\r\n\tfsmonitor = x\r\n",
        '[color "]"]\n[core]\nfsmonitor = x\n',
        "\ufeff[core]\nfsmonitor = x\n",
    ],
)
def test_no_way_of_writing_a_repositorys_configuration_hides_a_program_in_it(tmp_path: Path, config: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text(config, newline="")
    git = ExecPolicy(rules=rules_of(("git",), "rules"))
    assert asked(tmp_path, "git status", git).verdict.rule_id == "exec.git-config"


def test_a_folder_that_git_could_take_for_a_repository_is_asked_about(tmp_path: Path) -> None:
    git = ExecPolicy(rules=rules_of(("git",), "rules"))
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    assert asked(tmp_path, "git status", git).verdict.rule_id == "exec.git-config"
    (tmp_path / "HEAD").unlink()
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    assert asked(tmp_path, "git status", git).verdict.rule_id == "exec.git-config"


@pytest.mark.parametrize(
    "text",
    [
        "git -C evil status",
        "git -c core.fsmonitor=x status",
        "git log --output=canary",
        "git diff --ext-diff",
        "git --exec-path=. status",
        "git --git-dir=x status",
        "git grep -Ox a",
        "git fetch",
        "git push",
        "git config a.b c",
    ],
)
def test_options_of_git_that_choose_what_runs_are_asked_about(tmp_path: Path, text: str) -> None:
    assert asked(tmp_path, text, ExecPolicy(rules=rules_of(("git", "git *"), "rules"))).verdict.answer == "ask"


@pytest.mark.parametrize("open_quote", ['"', "'", '"$', "`", "$(", "${", ""])
def test_pr_90976_issue_61881_a_run_of_backslashes_after_an_open_quote_takes_linear_time(open_quote: str) -> None:
    steps = []
    for size in (1 << 15, 1 << 16):
        text = open_quote + "\\" * (size - 1)
        reader = Reader(text)
        with pytest.raises(Stopped):
            reader.script()
        steps.append(reader.steps)
        assert isinstance(parse(text), Unclear)
    assert steps[1] <= 2 * steps[0] + 8
    assert isinstance(parse("x" * (MAX_CHARS + 1)), Unclear)
