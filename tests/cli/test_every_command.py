"""Every command of the tree: help with examples that parse, JSON where it reads, exit codes, cheap help, completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from openclaw.cli.app import cli
from tests.cli.conftest import Run
from tests.docs.generate import cli_page, commands

NO_JSON = {
    "approvals allowlist add": "changes a rule; says one sentence",
    "approvals allowlist remove": "changes a rule; says one sentence",
    "approvals revoke": "changes a grant; says one sentence",
    "audit export": "writes JSON lines",
    "chat": "a conversation on a terminal",
    "completion": "prints a script for a shell",
    "config edit": "opens an editor",
    "cron disable": "changes a job; says one sentence",
    "cron enable": "changes a job; says one sentence",
    "cron rm": "removes a job; says one sentence",
    "devices reject": "changes a request; says one sentence",
    "devices remove": "removes a device; says one sentence",
    "devices rename": "changes a device; says one sentence",
    "devices revoke": "changes a device; says one sentence",
    "gateway run": "runs until it is stopped",
    "gateway token show": "prints the token and nothing else",
    "models pull": "fetches a file with a progress bar",
    "models set": "changes a setting; says one sentence",
    "pairing approve": "lets a sender in; says one sentence",
    "pairing deny": "turns a sender away; says one sentence",
    "pairing remove": "takes a sender back; says one sentence",
    "policy narrow": "ends a widening; says one sentence",
    "secrets set": "changes a setting; says one sentence",
    "sessions delete": "removes a session; says one sentence",
    "sessions reset": "changes a session; says one sentence",
    "system heartbeat disable": "changes a switch; says one sentence",
    "system heartbeat enable": "changes a switch; says one sentence",
    "up": "runs until it is stopped",
}
"""The commands without `--json`, and why none of them is for a program to read."""

HEAVY = {"aiohttp", "apsw", "boto3", "cryptography", "jinja2", "numpy", "pydantic", "ssl", "uvicorn", "yaml"}
"""What no help may import; `asyncio` and `msgspec` are on the way of nearly every command."""


TREE = {path.removeprefix("openclaw "): command for path, command, _ in commands() if " " in path}
LEAVES = {name: command for name, command in TREE.items() if not isinstance(command, click.Group)}


def examples(command: click.Command) -> list[str]:
    """Return the command lines of a help's examples, without comments, variables and redirections."""
    block = re.search(r"Examples?:\n((?:      .*\n?)+)", f"{command.help}\n".replace("\n  ", "\n      "))
    lines = [line.strip() for line in block[1].splitlines()] if block else []
    return [found[1] for line in lines if (found := re.search(r"(?:^|[ |(])openclaw ([^)]*)", line))]


def complaint(command: click.Command, words: list[str]) -> str:
    """Return what is wrong with a command's arguments, "" for nothing; the command does not run."""
    try:
        command.make_context(command.name, words)
    except click.UsageError as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("name", TREE)
def test_the_help_has_an_example(name: str) -> None:
    assert re.search(r"^\s*Examples?:$", TREE[name].help or "", re.MULTILINE), "no example in the help"
    assert examples(TREE[name]), TREE[name].help


@pytest.mark.parametrize("name", TREE)
def test_every_example_is_a_command_line_that_parses(name: str, command: Run) -> None:
    for line in examples(TREE[name]):
        # What is set apart by more than one space is a comment; pipes and redirections are the shell's.
        words = shlex.split(re.split(r" {2,}| (?:\||>>?|<|&&) ", line)[0])
        at: click.Command = cli
        while isinstance(at, click.Group) and words and not words[0].startswith("-"):
            with click.Context(at) as context:
                following = at.get_command(context, words[0])
            if following is None:  # `doctor` and `gateway` have a command for what names none
                assert type(at) not in (click.Group, type(cli)), f"{line}: {words[0]} is no command"
                break
            at, words = following, words[1:]
        said = complaint(at, words)
        assert not said or re.search("does not exist|No such file", said), line  # a file of whoever reads the example


@pytest.mark.parametrize("name", LEAVES)
def test_what_a_program_may_want_to_read_it_can_have_as_json(name: str) -> None:
    flags = {flag for parameter in LEAVES[name].params for flag in parameter.opts}
    assert ("--json" in flags) != (name in NO_JSON), NO_JSON.get(name, "neither --json nor a reason")


def test_no_exception_is_out_of_date() -> None:
    assert set(NO_JSON) <= set(LEAVES)


@pytest.mark.parametrize("name", LEAVES)
def test_a_flag_that_is_none_leaves_with_2(name: str, command: Run) -> None:
    ran = command(*name.split(), "--no-such-flag")
    assert ran.code == 2, ran
    assert "--no-such-flag" in ran.err


def test_a_command_that_is_none_leaves_with_2_and_a_failure_with_1(command: Run) -> None:
    assert command("no-such-command").code == 2
    assert command("config", "get", "no.such.setting").code == 1
    assert command("version").code == 0


def test_a_configuration_that_cannot_be_used_leaves_with_78(command: Run, home: Path) -> None:
    (home / "openclaw.json").write_text("{ gateway: ")
    assert command("config", "validate").code == 78


def test_the_manual_names_the_exit_codes() -> None:
    page = " ".join(cli_page().split())
    for code in ("0", "1", "2", "78"):
        assert re.search(rf"\b{code}\b", page[:1_000]), f"exit code {code} is not explained"


PROBE = """
import sys
from openclaw.cli.app import run
for name in sys.argv[2:]:
    code = run([*name.split(), "--help"])
    assert code == 0, (name, code)
    found = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
    assert not found, (name, found)
"""


def test_no_help_imports_anything_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, ",".join(HEAVY), "", *TREE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage:") == len(TREE) + 1


@pytest.mark.parametrize(
    ("shell", "variables", "expected"),
    [
        ("bash", {"COMP_WORDS": "openclaw config va", "COMP_CWORD": "va"}, "validate"),
        ("zsh", {"COMP_WORDS": "openclaw config va", "COMP_CWORD": "2"}, "validate"),
        ("fish", {"COMP_WORDS": "openclaw config va", "COMP_CWORD": "va"}, "validate"),
    ],
)
def test_each_shell_gets_a_script_and_its_answers(
    shell: str, variables: dict[str, str], expected: str, tmp_path: Path, command: Run
) -> None:
    script = command("completion", shell).out
    asks = re.search("_OPENCLAW_COMPLETE=([a-z_]+)", script)
    assert asks is not None
    said = _openclaw([], tmp_path, {"_OPENCLAW_COMPLETE": asks[1], **variables})
    assert expected in said


def _openclaw(arguments: list[str], home: Path, more: dict[str, str]) -> str:
    script = str(Path(sys.executable).with_name("openclaw"))
    env = {**os.environ, "OPENCLAW_STATE_DIR": str(home), **more}
    return subprocess.run([script, *arguments], env=env, capture_output=True, text=True, check=False).stdout
