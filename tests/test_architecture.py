"""What an import costs, measured in modules in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "aiohttp",
    "apsw",
    "asyncio",
    "botocore",
    "click",
    "httptools",
    "logging",
    "msgspec",
    "multiprocessing",
    "pyjson5",
    "ssl",
    "uvicorn",
    "uvloop",
    "websockets",
    "xllamacpp",
}
SERVER = {"aiohttp", "apsw", "botocore", "httptools", "ssl", "uvicorn", "uvloop", "websockets", "xllamacpp"}


def modules_after(code: str, *arguments: str) -> set[str]:
    """Run code in a fresh interpreter and return the names of the modules that it loaded."""
    probe = (
        "import sys\nbefore = set(sys.modules)\n"
        f"{code}\n"
        "print('\\n' + '\\n'.join(sorted(set(sys.modules) - before)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


def test_importing_openclaw_imports_nothing_heavy_and_nothing_else_of_ours() -> None:
    loaded = modules_after("import openclaw")
    assert loaded & HEAVY == set()
    assert {name for name in loaded if name.startswith("openclaw")} == {"openclaw"}


def test_the_version_is_answered_before_anything_is_imported() -> None:
    loaded = modules_after("from openclaw.cli.entry import main; main()", "--version")
    assert loaded & HEAVY == set()
    ours = {name for name in loaded if name.startswith("openclaw")}
    assert ours == {"openclaw", "openclaw.cli", "openclaw.cli.entry"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["gateway", "run", "--help"], ["chat", "--help"], ["completion", "bash"]], ids=" ".join
)
def test_help_loads_no_server_and_no_database(arguments: list[str]) -> None:
    loaded = modules_after("from openclaw.cli.app import run\nrun(sys.argv[1:])", *arguments)
    assert loaded & (SERVER | {"asyncio"}) == set()


def test_naming_one_command_loads_no_other() -> None:
    loaded = modules_after("from openclaw.cli.app import run\nrun(['version'])")
    commands = {name for name in loaded if name.startswith("openclaw.cli.command.")}
    assert commands == {"openclaw.cli.command.version"}
