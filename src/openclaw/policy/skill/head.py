"""The head of a SKILL.md: what a skill says about itself. Data from a stranger, read within bounds.

1. The head is `key: value` lines between two `---`.
2. `metadata` is one JSON5 object, or indented YAML of maps, lists and plain values; its part `openclaw` counts.
3. What is not as it should be is left out, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.reading.parse import parse

MAX_HEAD_BYTES: Final = 65_536
MAX_TEXT: Final = 1024
MAX_ITEMS: Final = 64
MAX_DEPTH: Final = 8
MAX_LINES: Final = 1000

_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,63}):(?:[ \t]+(.*))?$")
_BLOCK = re.compile(r"[|>][-+0-9]{0,3}$")
_COMMENT = re.compile(r"\s+#.*$")
_UPDATES: Final = ("update-url", "update_url", "updateUrl", "updates", "update", "auto-update", "autoUpdate")
_SHELL: Final = re.compile(r"\bBash\(\s*([A-Za-z0-9_.+-]{1,64})")
_SITE: Final = re.compile(r"\bWebFetch\(\s*domain:\s*([A-Za-z0-9.*-]{1,253})\s*\)")
_WRITER: Final = re.compile(r"\b(?:Write|Edit|MultiEdit)\b")
"""What the standard's own key grants: `Bash(git:*)`, `WebFetch(domain:a.example)`, `Write`."""
_ALIASES: Final = ("openclaw", "clawdbot", "clawdis")


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


class Powers(msgspec.Struct, frozen=True, order=True):
    """What a skill may do, or does: hosts, paths, programs and variables."""

    network: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def beyond(self, other: Powers) -> Powers:
        """Return what these hold and the others do not."""
        return Powers(
            *(
                tuple(each for each in getattr(self, name) if each not in getattr(other, name))
                for name in self.__struct_fields__
            )
        )

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a head says. Shape: every text has at most MAX_TEXT characters, every list at most MAX_ITEMS items."""

    name: str
    description: str = ""
    version: str = ""
    source: str = ""
    """Where it comes from, in its own words: homepage, repository or author."""
    homepage: str = ""
    key: str = ""
    emoji: str = ""
    primary_env: str = ""
    always: bool = False
    needs: Needs = Needs()
    install: tuple[Install, ...] = ()
    unpinned: tuple[str, ...] = ()
    """Installs that fetch something whose content nobody has fixed."""
    open_ways: tuple[str, ...] = ()
    """Installs that come without encryption."""
    tools: tuple[str, ...] = ()
    declared: Powers = Powers()
    update: str = ""
    """Where its updates come from, as it says; empty = from nowhere by itself."""


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


def head_lines(text: str) -> str:
    """Return the lines between the two `---`."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 1)
    return "\n".join(lines[1:end])


def repeated(text: str) -> list[str]:
    """Return the keys that a head has more than once: readers do not agree on which of them counts."""
    seen: set[str] = set()
    twice: list[str] = []
    for line in text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")[1:]:
        if line.rstrip() == "---":
            break
        if begins := _KEY.match(line):
            if begins[1] in seen:
                twice.append(begins[1])
            seen.add(begins[1])
    return twice


def manifest(head: Mapping[str, str], folder: str) -> Manifest:
    """Return what a head says; a skill without a name is called like its folder."""
    said = _metadata(head.get("metadata", ""))
    requires = _map(said.get("requires"))
    permissions = _map(said.get("permissions"))
    bins, any_bins, env, config = (_texts(requires.get(name)) for name in ("bins", "anyBins", "env", "config"))
    needs = Needs(bins, any_bins, env, config, _texts(said.get("os")))
    name = _scalar(head.get("name", "")) or folder
    installs = [item for item in _list(said.get("install")) if isinstance(item, dict)]
    homepage = _scalar(head.get("homepage", "")) or _text(said.get("homepage"))
    primary = _text(said.get("primaryEnv"))
    ways = tuple(_installs(installs))
    granted = " ".join(head.get(key, "") for key in ("allowed-tools", "allowed_tools", "tools"))[:MAX_HEAD_BYTES]
    return Manifest(
        name=name,
        description=_scalar(head.get("description", "")),
        version=_scalar(head.get("version", "")) or _text(said.get("version")),
        source=homepage
        or next((text for key in ("repository", "source", "author") if (text := _said(head, said, key))), ""),
        homepage=homepage,
        key=_text(said.get("skillKey")) or name,
        emoji=_text(said.get("emoji")),
        primary_env=primary,
        always=said.get("always") is True,
        needs=needs,
        install=ways,
        unpinned=tuple(_text(item.get("id")) or _text(item.get("kind")) for item in installs if not _is_pinned(item)),
        open_ways=tuple(_text(item.get("id")) or _text(item.get("kind")) for item in installs if _is_open(item)),
        tools=_words(head.get("allowed-tools", "")),
        declared=Powers(
            network=_once(
                *(host.lower() for host in _texts(permissions.get("network"))),
                *(host.lower() for host in _SITE.findall(granted)),
            ),
            read=_texts(permissions.get("read")),
            write=_once(*_texts(permissions.get("write")), *((".",) if _WRITER.search(granted) else ())),
            programs=_once(
                *needs.bins,
                *needs.any_bins,
                *_texts(permissions.get("programs")),
                *_SHELL.findall(granted),
                *(name for way in ways for name in way.bins),
            ),
            secrets=_once(*needs.env, *((primary,) if primary else ()), *_texts(permissions.get("secrets"))),
        ),
        update=_text(said.get("update"))
        or _text(permissions.get("update"))
        or next((text for key in _UPDATES if (text := _said(head, said, key))), ""),
    )


def _said(head: Mapping[str, str], said: Mapping[str, Any], key: str) -> str:
    return _scalar(head.get(key, "")) or _text(said.get(key))


def _is_open(item: Mapping[str, Any]) -> bool:
    """Say whether an install comes by a way on which anybody can change it."""
    return any(_text(value).lower().startswith(("http://", "ftp://")) for value in item.values())


def _is_pinned(item: Mapping[str, Any]) -> bool:
    """Say whether an install names exactly one content: a checksum, or a version of a package."""
    if _text(item.get("sha256")):
        return True
    package = next((text for key in ("package", "module", "formula") if (text := _text(item.get(key)))), "")
    return "==" in package or ("@" in package[1:] and not package.endswith("@latest"))


def _joined(parts: list[str]) -> str:
    first, rest = parts[0].strip(), parts[1:]
    if _BLOCK.match(first):
        return ("\n" if first[0] == "|" else " ").join(line.strip() for line in rest).strip()
    return "\n".join([first, *rest]).strip("\n") if not first else "\n".join([first, *rest]).strip()


def _metadata(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            whole = parse(text.strip())
        except ConfigError:
            return {}
    else:
        whole = _map(_Lines(text).value())
    said = next((whole[name] for name in _ALIASES if name in whole), None)
    return _map(said)


class _Lines:
    """Reads indented maps and lists. Anchors, tags, merges and documents have no code here."""

    def __init__(self, text: str) -> None:
        lines = [_COMMENT.sub("", line.rstrip()) for line in text.split("\n")[:MAX_LINES]]
        self._lines = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
        self._at = 0

    def value(self) -> Any:
        """Return what the lines mean; None where they mean nothing plain."""
        return self._block(_indent(self._lines[0]), 0) if self._lines else None

    def _block(self, indent: int, depth: int) -> Any:
        if depth > MAX_DEPTH:
            self._at = len(self._lines)
            return None
        is_list = self._lines[self._at].lstrip().startswith("- ")
        items: list[Any] = []
        pairs: dict[str, Any] = {}
        while self._at < len(self._lines) and _indent(self._lines[self._at]) == indent:
            line = self._lines[self._at].strip()
            if line.startswith("- ") != is_list:
                break
            if is_list:
                self._item(line[2:].strip(), indent, depth, items)
            else:
                self._pair(line, indent, depth, pairs)
        return items if is_list else pairs

    def _item(self, rest: str, indent: int, depth: int, items: list[Any]) -> None:
        if _KEY.match(rest):
            self._lines[self._at] = " " * (indent + 2) + rest
            items.append(self._block(indent + 2, depth + 1))
        else:
            self._at += 1
            items.append(_plain(rest))

    def _pair(self, line: str, indent: int, depth: int, pairs: dict[str, Any]) -> None:
        begins = _KEY.match(line)
        self._at += 1
        if begins is None:
            return
        if begins[2]:
            pairs[begins[1]] = _plain(begins[2].strip())
        elif self._at < len(self._lines) and (
            _indent(self._lines[self._at]) > indent
            or (_indent(self._lines[self._at]) == indent and self._lines[self._at].lstrip().startswith("- "))
        ):
            pairs[begins[1]] = self._block(_indent(self._lines[self._at]), depth + 1)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _plain(text: str) -> Any:
    if text.startswith("[") and text.endswith("]"):
        return [_plain(part.strip()) for part in text[1:-1].split(",") if part.strip()][:MAX_ITEMS]
    if text.startswith("{"):
        try:
            return parse(text)
        except ConfigError:
            return None
    return {"true": True, "false": False}.get(text, _scalar(text))


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


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,\[\]]+", _scalar(raw)) if word not in ("", "-"))[:MAX_ITEMS]


def _once(*items: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))[:MAX_ITEMS]


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value[:MAX_ITEMS] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for item in _list(value) if (text := _text(item)))


def _installs(items: list[dict[str, Any]]) -> Iterator[Install]:
    for number, item in enumerate(items):
        if kind := _text(item.get("kind")):
            name = _text(item.get("id")) or f"{kind}-{number}"
            yield Install(name, kind, _text(item.get("label")) or f"Install ({kind})", _texts(item.get("bins")))
