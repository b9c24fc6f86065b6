"""Every command is run, against no gateway and against one: exit code, streams, JSON, what it loads."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.cli.gateway_process import Place
from tests.cli.test_every_command import LEAVES, examples
from tests.cli.walk import Walked

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "chat": "a conversation; tests/cli/test_chat_terminal.py",
    "config edit": "opens an editor; tests/cli/test_config_commands.py",
    "doctor proxy": "asks an address outside; tests/cli/test_doctor_ways_live.py",
    "gateway install": "changes this machine; tests/cli/test_service_commands.py",
    "gateway restart": "changes this machine; the same",
    "gateway run": "serves; it is what these run against",
    "gateway start": "changes this machine; the same",
    "gateway stop": "changes this machine; the same",
    "gateway token rotate": "what runs beside it would no longer get in; tests/cli/test_token_live.py",
    "gateway uninstall": "changes this machine; the same",
    "models pull": "fetches what is large",
    "models refresh": "asks an address outside; tests/cli/test_models_refresh.py",
    "up": "serves",
}
"""Commands that are not walked, and why."""

NO_DOCUMENT = {"config set": "--json is about its VALUE", "logs": "a line of JSON each", "gateway logs": "the same"}

NEVER = {
    "aiohttp",
    "boto3",
    "botocore",
    "httptools",
    "jinja2",
    "mcp",
    "multiprocessing",
    "numpy",
    "openclaw.gateway",
    "openclaw.listeners",
    "openclaw.rpc",
    "pydantic",
    "uvicorn",
    "uvloop",
    "xllamacpp",
    "yaml",
}
"""What no command loads that only asks, looks or writes a setting: it costs more than the work."""

TALKING = {"agent", "agents", "approvals", "channels", "cron", "devices", "doctor", "gateway", "health", "logs"} | {
    "models",
    "nodes",
    "pairing",
    "policy",
    "secrets",
    "security",
    "sessions",
    "skills",
    "status",
    "system",
    "usage",
}
"""The groups of commands that ask a gateway."""

ONLY = {
    "apsw": {"audit", "backup", "policy", "doctor", "security", "status", "upgrade", "version"},
    "cryptography": {"backup"},
    "websockets": TALKING,
}
"""What loads a database, signatures, or the way to a gateway: the groups of commands whose work that is."""


def walked(jobs: Sequence[Sequence[str]], env: dict[str, str], folder: Path) -> list[Walked]:
    """Run these command lines one after the other, each in a process of its own."""
    paths = os.pathsep.join(filter(None, (env.get("PYTHONPATH"), str(ROOT))))
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.walk"],
        input=json.dumps(jobs),
        env=env | {"PYTHONPATH": paths, "LC_ALL": "C"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return [msgspec.json.decode(line, type=Walked) for line in done.stdout.splitlines()]


def command_line(name: str) -> list[str]:
    """Return the first example of a command's help that can be run as it stands, with --json where it has it."""
    own = name.split()
    lines = (shlex.split(re.split(r" {2,}| (?:\||>>?|<|&&) ", line)[0]) for line in examples(LEAVES[name]))
    usable = (line for line in lines if line[: len(own)] == own and not {"--follow", "--output"} & set(line))
    line = next(usable, own)
    flags = {flag for parameter in LEAVES[name].params for flag in parameter.opts}
    return [*line, "--json"] if "--json" in flags and "--json" not in line else line


WALKED = {name: command_line(name) for name in LEAVES if name not in ELSEWHERE}
ASKING = [name for name in WALKED if name.split()[0] in TALKING]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Walked]:
    place = Place(tmp_path_factory.mktemp("alone"))
    place.state.mkdir(mode=0o700)
    return dict(zip(WALKED, walked(list(WALKED.values()), place.env, place.root), strict=True))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Walked]]:
    place = Place(tmp_path_factory.mktemp("served"))
    place.state.mkdir(mode=0o700)
    with place.serving("gateway"):
        yield dict(zip(ASKING, walked([WALKED[name] for name in ASKING], place.env, place.root), strict=True))


def test_no_exception_is_out_of_date() -> None:
    assert set(ELSEWHERE) | set(NO_DOCUMENT) <= set(LEAVES)


@pytest.mark.parametrize("name", WALKED)
def test_without_a_gateway_it_ends_well_or_says_what_to_do(name: str, alone: dict[str, Walked]) -> None:
    _check(name, alone[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKING)
def test_against_a_gateway_it_ends_well_or_says_what_to_do(name: str, served: dict[str, Walked]) -> None:
    _check(name, served[name])


@pytest.mark.slow
def test_a_gateway_that_runs_makes_most_of_them_work(served: dict[str, Walked]) -> None:
    worked = {name for name, ran in served.items() if ran.code == 0}
    assert {"agent", "agents add", "agents list", "channels list", "cron add", "devices list", "gateway call"} <= worked
    assert {"gateway probe", "health", "logs", "models usage", "nodes list", "pairing list", "sessions list"} <= worked
    assert {"sessions export", "skills list", "status", "system presence", "usage"} <= worked


def _check(name: str, ran: Walked) -> None:
    assert ran.code in (0, 1, 2, 78), ran
    assert "\x1b" not in ran.out + ran.err, "colour, and nothing here is a terminal"
    assert "Traceback" not in ran.err, ran.err
    if "--json" in ran.arguments and name not in NO_DOCUMENT:
        answer = msgspec.json.decode(ran.out)
        failed = isinstance(answer, dict) and "error" in answer
        assert not failed or answer["error"]["message"], answer
        assert failed or ran.code in (0, 1)
    elif ran.code:
        assert re.search(r"^Error: .+\n  What to do: .+", ran.err, re.MULTILINE), ran


@pytest.mark.parametrize("name", WALKED)
def test_it_loads_nothing_that_its_work_does_not_need(name: str, alone: dict[str, Walked]) -> None:
    loaded = set(alone[name].loaded)
    heavy = {module for module in NEVER if any(f"{each}.".startswith(f"{module}.") for each in loaded)}
    heavy |= {module for module, groups in ONLY.items() if module in loaded and name.split()[0] not in groups}
    assert not heavy, f"openclaw {' '.join(alone[name].arguments)} loads {sorted(heavy)}"
