"""Files by which other programs are steered: installers, version control, editors, shells. None of them is used here;
who unpacks a skill elsewhere would run what they name.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

import msgspec

from openclaw.policy.skill.finding import Notes, shown
from openclaw.policy.skill.shell import read_shell

_HOOKS: Final = frozenset(
    ("preinstall", "install", "postinstall", "prepare", "prepublish", "prepublishOnly", "prepack", "postpack")
)
_BACKENDS: Final = frozenset(
    ("setuptools", "hatchling", "flit-core", "poetry-core", "wheel", "pdm-backend", "uv-build", "setuptools-scm")
)
_STARTS: Final = frozenset(("sitecustomize.py", "usercustomize.py", "setup.py"))
_NAMES: Final = frozenset(
    (".envrc", ".npmrc", ".yarnrc", ".pypirc", ".netrc", ".env", ".bashrc", ".zshrc", ".profile", ".gitmodules")
) | frozenset((".git", ".hg", ".svn", ".mcp.json", ".pre-commit-config.yaml"))
_PLACES: Final = re.compile(
    r"(?:^|/)(?:\.vscode/tasks\.json|\.(?:claude|cursor|codex|openclaw)/(?:settings|hooks|mcp)\S*)$"
)
_AGENTS: Final = frozenset(
    ("agents.md", "claude.md", "soul.md", "memory.md", "heartbeat.md", "bootstrap.md", ".cursorrules")
)
_FILTER: Final = re.compile(r"\b(?:filter|diff|merge)=", re.M)
_PACKAGE: Final = re.compile(r"[A-Za-z0-9._-]+")


def steers(path: str, text: str, notes: Notes) -> None:
    """Note what a file makes others do."""
    where, parts = shown(path), path.lower().split("/")
    name = parts[-1]
    if (
        _NAMES.intersection(parts)
        or _PLACES.search(path.lower())
        or (name == ".gitattributes" and _FILTER.search(text))
    ):
        notes.fail("files", "a file that steers other programs: version control, a shell, an editor, an agent", where)
    if name in _AGENTS:
        notes.warn("files", "a file that other agents take as instructions", where)
    if name in _STARTS:
        notes.fail("processes", "a file that runs when something is installed or started", where)
    elif name.endswith(".pth") and re.search(r"^import[ \t]", text, re.M):
        notes.fail("processes", "a file that runs when Python starts", where)
    elif name.endswith((".desktop", ".service", ".plist")) and re.search(r"^Exec\w*=|ProgramArguments", text, re.M):
        notes.fail("processes", "a file that makes a system start programs", where)
    elif name == "package.json":
        _package(text, where, notes)
    elif name == "pyproject.toml":
        _project(text, where, notes)


def _package(text: str, where: str, notes: Notes) -> None:
    try:
        said = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        notes.fail("processes", "a package.json that cannot be read", where)
        return
    scripts = said.get("scripts") if isinstance(said, dict) else None
    for name, command in (scripts if isinstance(scripts, dict) else {}).items():
        if name in _HOOKS:
            notes.fail("processes", f"its package runs {shown(name)} when it is installed", where)
        elif isinstance(command, str):
            read_shell(command, where, notes, one_line=True)


def _project(text: str, where: str, notes: Notes) -> None:
    try:
        said: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        notes.fail("processes", "a pyproject.toml that cannot be read", where)
        return
    build = said.get("build-system")
    if not isinstance(build, dict):
        return
    needed = build.get("requires")
    names = [_named(each) for each in needed] if isinstance(needed, list) else []
    if "backend-path" in build or not _BACKENDS.issuperset(names):
        notes.fail("processes", "its package is built by a program of its own", where)


def _named(requirement: object) -> str:
    found = _PACKAGE.match(requirement) if isinstance(requirement, str) else None
    return found.group().lower().replace("_", "-") if found else ""
