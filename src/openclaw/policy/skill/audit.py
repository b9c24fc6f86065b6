"""The audit of a skill: seven rows, each pass, warn or fail, with what was seen and where.

1. Rows: metadata, egress, files, processes, secrets, updates, and content (orders to the model, hidden text).
2. What a skill declares under `metadata.openclaw` (`requires`, `permissions`) must cover what its files make use of.
3. The files are read as text: nothing of them is imported, run, unpacked or fetched. The same files have the same
   report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final

import msgspec

from openclaw.policy.skill.breadth import too_broad
from openclaw.policy.skill.finding import ROW_OF, ROWS, Finding, Notes, Power, Row, State, line_of, shown
from openclaw.policy.skill.head import MAX_HEAD_BYTES, Manifest, Powers, frontmatter, head_lines, manifest, repeated
from openclaw.policy.skill.headcheck import doubts
from openclaw.policy.skill.names import RESERVED, imitates
from openclaw.policy.skill.python import read_python
from openclaw.policy.skill.scan import scan
from openclaw.policy.skill.shell import read_shell
from openclaw.policy.skill.steering import steers
from openclaw.policy.skill.text import look, look_at_name
from openclaw.policy.skill.tokens import read_tokens
from openclaw.policy.skill.tree import Tree
from openclaw.policy.skill.web import ANY, NAMESPACES, covers, hosts

AUDITOR: Final = 2
"""Grows whenever the same files could get another report: what an older one passed is looked at again."""
FILE_NAME: Final = "SKILL.md"
MAX_TEXT_BYTES: Final = 256 * 1024
MAX_ALL_TEXT: Final = 2 * 1024 * 1024

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_FENCE: Final = re.compile(r" {0,3}(`{3,64}|~{3,64})[ \t]*([\w+-]{0,32})")
_PROMPT: Final = re.compile(r"^[ \t]{0,16}[$>#] ", re.M)
_SHELLS: Final = frozenset(("sh", "bash", "zsh", "shell", "console", "terminal", "shell-session", "ksh"))
_PYTHONS: Final = frozenset(("python", "py", "python3"))
_PROSE: Final = frozenset((".md", ".txt", ".rst", ".adoc", ""))
_DATA_TEXT: Final = """
    .json .json5 .yaml .yml .toml .csv .tsv .xml .svg .html .css .ini .cfg .lock .example .template
"""
_DATA: Final = frozenset(_DATA_TEXT.split())
_MEDIA: Final = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"wOF2",
    b"wOFF",
    b"OTTO",
    b"ID3",
    b"OggS",
    b"%PDF-",
)
_ACTIVE: Final = re.compile(r"<(?:(script|object|embed|applet)|(iframe|frame|link|base|meta|form))\b", re.I)
_IMPORT: Final = re.compile(r"^(?:import|from) +\w", re.M)
_PAGES: Final = re.compile(
    r"(?:readme|licen[cs]e|notice|copying|changelog|authors|contributors|version|todo)\b.*|\..*", re.I
)
"""Names without a suffix that are prose, or steer something (`steering`)."""
_GIVEN: Final = re.compile(r"#![^\n]*[ \t]-(?:S|c|e)\b")
_FIRST_LINE: Final = re.compile(r"#![ \t]*[^\s]{0,200}/(?:env[ \t]+(?:-S[ \t]+)?)?(\w+)")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit found. Shape: `digest` is the tree's; `rows` has every row; findings are sorted, failures first."""

    name: str
    version: str
    digest: str
    state: State
    rows: dict[Row, State]
    findings: tuple[Finding, ...]
    declared: Powers
    observed: Powers
    manifest: Manifest
    auditor: int = AUDITOR


def audit(tree: Tree, folder: str, installed: Iterable[str] = ()) -> Report:
    """Judge a skill's files. `folder` is the folder's name; `installed` are the names of the skills beside it."""
    notes = Notes()
    for path, why in tree.problems:
        notes.fail("files", shown(why), shown(path))
    head = _head(tree.contents.get(FILE_NAME, b""))
    said = manifest(frontmatter(head), folder)
    _metadata(tree, head, said, folder, installed, notes)
    left = MAX_ALL_TEXT
    for path, data in sorted(tree.contents.items()):
        left -= _file(path, data, left, notes)
    _compare(said, notes)
    order: dict[State, int] = {"fail": 0, "warn": 1, "pass": 2}
    found = tuple(sorted(notes.findings.values(), key=lambda each: (order[each.state], ROWS.index(each.row), each)))
    rows: dict[Row, State] = {row: _worst(each.state for each in found if each.row == row) for row in ROWS}
    return Report(
        name=said.name,
        version=said.version,
        digest=tree.digest,
        state=_worst(rows.values()),
        rows=rows,
        findings=found,
        declared=said.declared,
        observed=notes.observed(),
        manifest=said,
    )


def _worst(states: Iterable[State]) -> State:
    known = set(states)
    return "fail" if "fail" in known else "warn" if "warn" in known else "pass"


def _head(data: bytes) -> str:
    return data[:MAX_HEAD_BYTES].decode("utf-8", "replace")


def _metadata(tree: Tree, head: str, said: Manifest, folder: str, installed: Iterable[str], notes: Notes) -> None:
    row: Row = "metadata"
    if FILE_NAME not in tree.contents:
        notes.fail(row, f"there is no {FILE_NAME}")
        return
    if not frontmatter(head):
        notes.fail(row, "it has no head between two `---` that can be read", FILE_NAME, 1)
    for key in repeated(head):
        notes.fail(row, f"the head says {key} more than once", FILE_NAME)
    for doubt in doubts(head_lines(head), frontmatter(head).get("metadata", "")):
        notes.fail(row, doubt, FILE_NAME)
    _named(said, folder, installed, notes)
    if not said.description:
        notes.fail(row, "it has no description", FILE_NAME)
    if not said.version:
        notes.warn(row, "it has no version", FILE_NAME)
    if not said.source:
        notes.warn(row, "it does not say where it comes from (homepage, repository or author)", FILE_NAME)
    if said.always:
        notes.warn(row, "it wants to be in every prompt (always)", FILE_NAME)
    if said.update:
        notes.fail("updates", f"it names an update channel of its own: {shown(said.update)}", FILE_NAME)
    for name in said.open_ways:
        notes.fail("updates", f"its installation {shown(name)} is fetched without encryption", FILE_NAME)
    for name in said.unpinned:
        notes.warn("updates", f"its installation {shown(name)} names no fixed content; nothing is installed", FILE_NAME)


def _named(said: Manifest, folder: str, installed: Iterable[str], notes: Notes) -> None:
    if not NAME.fullmatch(said.name):
        notes.fail("metadata", "the name is not made of small letters, digits and dashes", FILE_NAME)
    elif said.name in RESERVED:
        notes.fail("metadata", "the name is one of the house's own", FILE_NAME)
    elif said.name != folder:
        notes.warn("metadata", f"it calls itself {said.name} and lies in the folder {shown(folder)}", FILE_NAME)
    if other := imitates(said.name, installed):
        notes.fail("metadata", f"the name can be taken for that of {other}", FILE_NAME)


def _file(path: str, data: bytes, left: int, notes: Notes) -> int:
    """Read one file; return how many bytes of text that were."""
    where = shown(path)
    look_at_name(path, notes)
    if any(part.startswith(".") for part in path.split("/")):
        notes.warn("files", "a hidden file", where)
    text = _text(data)
    if text is None:
        if not data.startswith(_MEDIA):
            notes.fail("processes", "a file that is neither text nor a picture, sound or font", where)
        elif any(mark in data for mark in (b"#!/", b"<?php", b"<script")):
            notes.fail("processes", "a picture or sound that holds a program", where)
        return 0
    if len(data) > min(MAX_TEXT_BYTES, left):
        notes.fail("content", "more text than can be judged", where)
        return 0
    look(text, where, notes)
    steers(path, text, notes)
    _as_kind(_kind(path, text), path, text, notes)
    return len(data)


def _as_kind(kind: str, path: str, text: str, notes: Notes) -> None:
    where = shown(path)
    if kind == "prose":
        _prose(text, where, notes)
    elif kind == "data":
        for host, line in _hosts(text):
            if host not in NAMESPACES:
                notes.power("network", host, where, line)
    elif kind == "python":
        read_python(text, where, notes)
    elif kind == "shell":
        read_shell(text, where, notes)
    elif kind == "unnamed":
        _unnamed(text, where, notes)
    else:
        read_tokens(text, where, notes, language=PurePosixPath(path.lower()).suffix.lstrip("."))


def _unnamed(text: str, where: str, notes: Notes) -> None:
    """Read a file whose name tells nothing as all that it could be."""
    read_tokens(text, where, notes)
    if _IMPORT.search(text):
        read_python(text, where, notes)
    _prose(text, where, notes)


def _text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        return None


def _kind(path: str, text: str) -> str:
    suffix = PurePosixPath(path.lower()).suffix
    if _GIVEN.match(text):
        return "other"
    if first := _FIRST_LINE.match(text):
        program = first[1].rstrip("0123456789.")
        return "python" if program.startswith("python") else "shell" if program in _SHELLS | {"dash"} else "other"
    if suffix in (".py", ".pyw", ".pyi"):
        return "python"
    if suffix in (".sh", ".bash", ".zsh", ".ksh"):
        return "shell"
    if not suffix and not _PAGES.fullmatch(PurePosixPath(path).name):
        return "unnamed"
    if suffix in _PROSE:
        return "prose"
    return "data" if suffix in _DATA and "<script" not in text.lower() else "other"


def _prose(text: str, file: str, notes: Notes) -> None:
    """Read Markdown: its blocks of code by their language, and the addresses that the rest names."""
    outside, blocks = _fenced(text)
    for language, body, first in blocks:
        if language in _SHELLS:
            read_shell(_PROMPT.sub("", body), file, notes, first)
        elif language in _PYTHONS:
            read_python(body, file, notes, first)
        elif language:
            _other_block(language, body, file, notes, first)
        else:
            for number, line in enumerate(body.split("\n"), first):
                if line.lstrip().startswith("$ "):
                    read_shell(line.lstrip()[2:], file, notes, number)
                for host in hosts(line):
                    notes.power("network", host, file, number)
    for host, at in _hosts(outside):
        notes.power("mention", host, file, at)
    for tag in scan(_ACTIVE, outside):
        at = line_of(outside, tag.start())
        notes.fail("egress" if tag[2] else "processes", f"its page holds <{shown(tag[1] or tag[2])}>", file, at)


def _fenced(text: str) -> tuple[str, list[tuple[str, str, int]]]:
    """Return the text with its blocks of code blank, and the blocks: language, text, first line."""
    outside: list[str] = []
    blocks: list[tuple[str, str, int]] = []
    fence, language, body = "", "", [""]
    for number, line in enumerate(text.split("\n"), 1):
        found = _FENCE.match(line)
        if not fence and found:
            fence, language, body = found[1], found[2].lower(), []
            outside.append("")
        elif fence and found and found[1].startswith(fence) and not found[2]:
            blocks.append((language, "\n".join(body), number - len(body)))
            fence = ""
            outside.append("")
        elif fence:
            body.append(line)
            outside.append("")
        else:
            outside.append(line)
    if fence:
        blocks.append((language, "\n".join(body), len(outside) - len(body) + 1))
    return "\n".join(outside), blocks


def _other_block(language: str, body: str, file: str, notes: Notes, first: int) -> None:
    if f".{language}" in _DATA or language in (
        "text",
        "markdown",
        "md",
        "diff",
        "http",
        "sql",
        "log",
        "jsonc",
        "plaintext",
    ):
        for host, line in _hosts(body):
            notes.power("network", host, file, first + line - 1)
    else:
        read_tokens(body, file, notes, first, language=language)


def _hosts(text: str) -> Iterator[tuple[str, int]]:
    for number, line in enumerate(text.split("\n"), 1):
        if "://" in line:
            yield from ((host, number) for host in hosts(line))


def _compare(said: Manifest, notes: Notes) -> None:
    """Hold what was seen against what is declared."""
    declared = said.declared
    home = next(hosts(said.homepage), "")
    for broad, value in too_broad(declared):
        message = f"it declares {shown(value)} for {broad}: whoever declares everything has declared nothing"
        notes.fail(_BROAD_ROWS[broad], message, FILE_NAME)
    for (kind, value), (file, line) in notes.powers.items():
        if kind == "mention":
            if value != home and not covers(declared.network, value):
                notes.warn("egress", f"it names {value}, which it does not declare", file, line)
        elif not _declared(kind, value, declared):
            notes.fail(ROW_OF[kind], f"it uses {_WORDS[kind]} {_value(value)}, which it does not declare", file, line)
    seen = notes.observed()
    for kind in ("network", "write", "secrets"):
        for value in getattr(declared, kind):
            if not any(_declared(kind, each, _only(kind, value)) for each in getattr(seen, kind)):
                notes.warn(ROW_OF[kind], f"it declares {_WORDS[kind]} {shown(value)}, and does not use it", FILE_NAME)


_BROAD_ROWS: Final[dict[str, Row]] = {
    "network": "egress",
    "read": "files",
    "write": "files",
    "programs": "processes",
    "secrets": "secrets",
}
_WORDS: Final[dict[Power, str]] = {
    "network": "host",
    "read": "file",
    "write": "file for writing",
    "programs": "program",
    "secrets": "variable",
}


def _value(value: str) -> str:
    return "that is named at run time" if value == ANY else value


def _only(kind: Power, value: str) -> Powers:
    return msgspec.structs.replace(Powers(), **{kind: (value,)})


def _declared(kind: Power, value: str, declared: Powers) -> bool:
    if kind == "network":
        return covers(declared.network, value)
    if kind in ("read", "write"):
        return _path_declared(value, getattr(declared, kind), reads=kind == "read")
    names: tuple[str, ...] = getattr(declared, kind)
    same = {"python": "python3", "pip3": "pip"}
    return value in names or ANY in names or same.get(value, value) in names


def _path_declared(path: str, allowed: tuple[str, ...], *, reads: bool) -> bool:
    """Say whether a path may be used. `.` is the workspace, whose bounds the files door and the sandbox hold."""
    parts = path.split("/")
    within = path == ANY or not (path.startswith(("/", "~", "$")) or ".." in parts or ":" in parts[0])
    if within and (reads or "." in allowed):
        return True
    return any(
        each == ANY or path == each.rstrip("/") or path.startswith(f"{each.rstrip('/')}/")
        for each in allowed
        if each != "." and ".." not in parts
    )
