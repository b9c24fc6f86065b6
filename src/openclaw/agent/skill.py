"""Skills as they lie on disk: folders with a SKILL.md, read as data. Nothing of one is run, installed or obeyed here.

1. The head of a SKILL.md is `key: value` lines between two `---`; `metadata` is one JSON5 object.
2. Links are not followed, and sizes and counts are bounded: a workspace is written by agents and strangers.
3. A skill of the workspace comes before a managed one of its name.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.env import Environment
from openclaw.config.reading.parse import parse

FILE_NAME: Final = "SKILL.md"
FOLDER: Final = "skills"
MAX_SKILLS: Final = 200
"""Per folder of skills; the first by name."""
MAX_HEAD_BYTES: Final = 65_536
MAX_TEXT: Final = 1024
MAX_ITEMS: Final = 64

Source = Literal["openclaw-workspace", "openclaw-managed"]

_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63}):(?:[ \t]+(.*))?$")
_BLOCK = re.compile(r"[|>][-+0-9]{0,3}$")


class Needs(msgspec.Struct, frozen=True, rename="camel"):
    """What a skill wants to find, or what of it was not found."""

    bins: tuple[str, ...] = ()
    any_bins: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    os: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class Install(msgspec.Struct, frozen=True):
    """A way to install what a skill needs, as its author says."""

    id: str
    kind: str
    label: str
    bins: tuple[str, ...] = ()


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """One skill, and whether it could be used here."""

    name: str
    description: str
    source: Source
    folder: Path
    key: str
    emoji: str = ""
    homepage: str = ""
    primary_env: str = ""
    always: bool = False
    needs: Needs = Needs()
    missing: Needs = Needs()
    install: tuple[Install, ...] = ()


class Skills:
    """The skills that one gateway knows. `config` returns the configuration as written. Blocks: use a thread."""

    def __init__(self, managed: Path, env: Callable[[], Environment], config: Callable[[], Mapping[str, Any]]) -> None:
        self.managed = managed
        self._env = env
        self._config = config

    def of(self, workspace: Path) -> list[Skill]:
        """Return the skills of an agent with that workspace, by name."""
        found: dict[str, Skill] = {}
        for root, source in _roots(self.managed, workspace):
            found |= {skill.name: skill for skill in _read_all(root, source)}
        return [self._judged(found[name]) for name in sorted(found)]

    def _judged(self, skill: Skill) -> Skill:
        needs, env = skill.needs, self._env()
        found_any = any(self._has(name) for name in needs.any_bins)
        missing = Needs(
            bins=tuple(name for name in needs.bins if not self._has(name)),
            any_bins=() if found_any else needs.any_bins,
            env=tuple(name for name in needs.env if not env.get(name)),
            config=tuple(path for path in needs.config if not self.is_set(path)),
            os=() if not needs.os or sys.platform in needs.os else needs.os,
        )
        return msgspec.structs.replace(skill, missing=missing)

    def _has(self, program: str) -> bool:
        return os.sep not in program and shutil.which(program, path=self._env().get("PATH") or os.defpath) is not None

    def is_set(self, path: str) -> bool:
        """Say whether a setting has a value that is not empty, zero or false."""
        value: Any = self._config()
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return bool(value)


def _roots(managed: Path, workspace: Path) -> tuple[tuple[Path, Source], ...]:
    return (managed, "openclaw-managed"), (workspace / FOLDER, "openclaw-workspace")


def _read_all(root: Path, source: Source) -> Iterator[Skill]:
    try:
        with os.scandir(root) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    for name in names[:MAX_SKILLS]:
        head = _head(root / name / FILE_NAME)
        if head is not None:
            yield read_skill(frontmatter(head), root / name, source)


def _head(path: Path) -> str | None:
    """Return the beginning of a file that is one, no link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            return file.read(MAX_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def frontmatter(text: str) -> dict[str, str]:
    """Return the keys of a head with their values as written, continued lines joined; {} when there is no head."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].strip() != "---":
        return {}
    found: dict[str, list[str]] = {}
    key = ""
    for line in lines[1:]:
        if line.rstrip() == "---":
            return {name: _joined(parts) for name, parts in found.items()}
        begins = _KEY.match(line)
        if begins:
            key = begins[1]
            found[key] = [begins[2] or ""]
        elif key:
            found[key].append(line)
    return {}


def _joined(parts: list[str]) -> str:
    first, rest = parts[0].strip(), parts[1:]
    if _BLOCK.match(first):
        return ("\n" if first[0] == "|" else " ").join(line.strip() for line in rest).strip()
    return "\n".join([first, *rest]).strip()


def read_skill(head: Mapping[str, str], folder: Path, source: Source) -> Skill:
    """Return the skill that a head describes; what is not as it should be is left out."""
    said = _metadata(head.get("metadata", ""))
    requires = said.get("requires")
    needs = requires if isinstance(requires, dict) else {}
    name = _scalar(head.get("name", "")) or folder.name
    return Skill(
        name=name,
        description=_scalar(head.get("description", "")),
        source=source,
        folder=folder,
        key=_text(said.get("skillKey")) or name,
        emoji=_text(said.get("emoji")),
        homepage=_scalar(head.get("homepage", "")) or _text(said.get("homepage")),
        primary_env=_text(said.get("primaryEnv")),
        always=said.get("always") is True,
        needs=Needs(
            _texts(needs.get("bins")),
            _texts(needs.get("anyBins")),
            _texts(needs.get("env")),
            _texts(needs.get("config")),
            _texts(said.get("os")),
        ),
        install=tuple(_installs(said.get("install"))),
    )


def _metadata(text: str) -> dict[str, Any]:
    if not text.startswith("{"):
        return {}
    try:
        said = parse(text).get("openclaw")
    except ConfigError:
        return {}
    return said if isinstance(said, dict) else {}


def _scalar(raw: str) -> str:
    """Return the text of a plain or quoted value."""
    raw = " ".join(raw.split("\n")).strip()
    if len(raw) >= 2 and raw[0] == raw[-1] == "'":
        return raw[1:-1].replace("''", "'")[:MAX_TEXT]
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        try:
            return msgspec.json.decode(raw, type=str)[:MAX_TEXT]
        except msgspec.DecodeError:
            return raw[1:-1][:MAX_TEXT]
    return raw[:MAX_TEXT]


def _text(value: Any) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else []
    return tuple(text for item in items[:MAX_ITEMS] if (text := _text(item)))


def _installs(value: Any) -> Iterator[Install]:
    items = value if isinstance(value, list) else []
    for number, item in enumerate(items[:MAX_ITEMS]):
        if isinstance(item, dict) and (kind := _text(item.get("kind"))):
            name = _text(item.get("id")) or f"{kind}-{number}"
            yield Install(name, kind, _text(item.get("label")) or f"Install ({kind})", _texts(item.get("bins")))
