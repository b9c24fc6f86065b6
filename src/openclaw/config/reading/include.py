"""`$include`: parts of the configuration in files of their own, made one set of values before anything is judged.

1. `$include: "file"` or `$include: ["a", "b"]` may stand in any object. Files merge in order: objects deeply, lists are
   joined, plain values of the later file win. What stands beside `$include` wins over all of them, lists as a whole.
2. A name is relative to the file that includes it and stays in the folder of the configuration; only an absolute path
   leads elsewhere, and what that file includes stays in its folder.
3. Files that somebody else may write are not read.
4. A file that cannot be used is an error of the whole configuration: it may hold the very list that forbids something.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.config.issue import Issue
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.paths import is_yaml
from openclaw.config.reading.form import Document, read_plain
from openclaw.config.reading.parse import MAX_CONFIG_BYTES
from openclaw.config.reading.scan import Positions

INCLUDE: Final = "$include"
MAX_DEPTH: Final = 10
MAX_FILES: Final = 200
"""Inclusions in all, repeated ones too: a handful of files that include each other twice would else never end."""


class _File(msgspec.Struct, frozen=True):
    """A file that was read. `path` is absolute and free of symbolic links; `root` is where its includes stay."""

    path: Path
    root: Path
    parsed: dict[str, Any]
    positions: Positions
    name: str
    """What people are told: relative to the configuration's folder; "" for the main file."""


class _Origin(NamedTuple):
    """Where a value is written."""

    file: _File
    path: KeyPath


class _Part(NamedTuple):
    """A value and where it is written: `origin` has () and every place below whose file is another."""

    value: Any
    origin: dict[KeyPath, _Origin]


class Assembled(Positions):
    """Positions in several files."""

    def __init__(self, origin: Mapping[KeyPath, _Origin]) -> None:
        super().__init__("")
        self._origin = origin

    def _source(self, path: KeyPath) -> _Origin:
        return _origin_of(self._origin, path)

    def at(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column in the file that `file` names."""
        found = self._source(path)
        return found.file.positions.at(found.path)

    def file(self, path: KeyPath) -> str:
        """Return the included file that sets a path, or "" for the main one."""
        return self._source(path).file.name

    def source(self, path: KeyPath) -> KeyPath | None:
        """Return where the main file writes a setting of its own."""
        found = self._source(path)
        return None if found.file.name else found.file.positions.source(found.path)

    def written(self, path: KeyPath) -> str:
        """Return words for a setting that its file writes under another key."""
        found = self._source(path)
        return found.file.positions.written(found.path)


class Assembly(msgspec.Struct, frozen=True):
    """One set of values out of all files. `digests` are the included files and the sha256 (hex) of each."""

    parsed: dict[str, Any]
    positions: Positions
    issues: tuple[Issue, ...] = ()
    digests: tuple[tuple[Path, str], ...] = ()


class Named(msgspec.Struct, frozen=True):
    """The included files as far as they can be told: all that are named, and the bytes of those that can be read."""

    paths: tuple[Path, ...] = ()
    contents: Mapping[Path, bytes] = {}


def assemble(
    document: Document, path: Path, *, placed: bool = True, contents: Mapping[Path, bytes] | None = None
) -> Assembly:
    """Return the document with everything that it includes; most include nothing and come back as they are.

    Shape: `contents` are the included files as they were once, None reads them from disk.
    Raises: CONFIG_INVALID that names file and line of an `$include` that cannot be followed.
    """
    if not includes(document.parsed):
        return Assembly(document.parsed, document.positions)
    return _Assembler(path, placed=placed, contents=contents).run(document)


def named_files(document: Document, path: Path) -> Named:
    """Return every file that a document includes, also one that is missing or broken."""
    if not includes(document.parsed):
        return Named()
    assembler = _Assembler(path, placed=False)
    with contextlib.suppress(ConfigError):
        assembler.run(document)
    return Named(tuple(assembler.named), assembler.read)


def includes(value: Any) -> bool:
    """Whether values include a file anywhere."""
    if isinstance(value, dict):
        return INCLUDE in value or any(map(includes, value.values()))
    return isinstance(value, list) and any(map(includes, value))


class _Assembler:
    def __init__(self, path: Path, *, placed: bool, contents: Mapping[Path, bytes] | None = None) -> None:
        self.named: dict[Path, None] = {}
        self.read: dict[Path, bytes] = {}
        self._contents = contents
        self._main = path
        self._folder = path.parent.resolve()
        self._placed = placed
        self._issues: list[Issue] = []
        self._digests: dict[Path, str] = {}
        self._files: dict[tuple[Path, Path], _File] = {}
        self._count = 0
        self._bytes = 0

    def run(self, document: Document) -> Assembly:
        main = _File(self._main.resolve(), self._folder, document.parsed, document.positions, "")
        part = self._part(document.parsed, _Origin(main, ()), (main,), ())
        return Assembly(part.value, Assembled(part.origin), tuple(self._issues), tuple(self._digests.items()))

    def _part(self, value: Any, here: _Origin, chain: tuple[_File, ...], target: KeyPath) -> _Part:
        if not includes(value):
            return _Part(value, {(): here})
        items = enumerate(value) if isinstance(value, list) else value.items()
        origin: dict[KeyPath, _Origin] = {(): here}
        out: dict[Any, Any] = {}
        for key, inner in items:
            if key == INCLUDE:
                continue
            part = self._part(inner, _Origin(here.file, (*here.path, key)), chain, (*target, key))
            out[key] = part.value
            if len(part.origin) > 1 or part.origin[()] != (here.file, (*here.path, key)):
                origin.update({(key, *path): place for path, place in part.origin.items()})
        if isinstance(value, list):
            return _Part(list(out.values()), origin)
        own = _Part(out, origin)
        return self._with_included(value[INCLUDE], own, here, chain, target) if INCLUDE in value else own

    def _with_included(self, names: Any, own: _Part, here: _Origin, chain: tuple[_File, ...], target: KeyPath) -> _Part:
        place = _Origin(here.file, (*here.path, INCLUDE))
        listed = [names] if isinstance(names, str) else names
        if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
            raise self._error(place, "$include takes the name of a file, or a list of names")
        whole = _Part({}, {(): here})
        for name in listed:
            file = self._open(name, place, chain)
            part = self._part(file.parsed, _Origin(file, ()), (*chain, file), target)
            whole = self._merge(whole, part, target, join=True)
        return self._merge(whole, own, target, join=False)

    def _merge(self, low: _Part, high: _Part, target: KeyPath, *, join: bool) -> _Part:
        if isinstance(low.value, dict) and isinstance(high.value, dict):
            out, origin = dict(low.value), dict(low.origin)
            for key in high.value:
                part = _below(high, key)
                if key in out:
                    part = self._merge(_below(low, key), part, (*target, key), join=join)
                    origin = {path: place for path, place in origin.items() if path[:1] != (key,)}
                out[key] = part.value
                origin.update({(key, *path): place for path, place in part.origin.items()})
            return _Part(out, origin)
        if isinstance(low.value, list) and isinstance(high.value, list):
            if join:
                return _joined(low, high)
            self._tell_of_lost_entries(low, high, target)
        return high

    def _tell_of_lost_entries(self, low: _Part, high: _Part, target: KeyPath) -> None:
        if all(entry in high.value for entry in low.value):
            return
        place = high.origin[()]
        line, column = place.file.positions.at(place.path)
        source = low.origin[()].file.name
        message = f"this list takes the place of the one in {source}, whose other entries have no effect"
        hint = "Write all entries in one of the two files."
        self._issues.append(
            Issue("overridden", format_path(target), message, line, column, "warning", hint, file=place.file.name)
        )

    def _open(self, name: str, place: _Origin, chain: tuple[_File, ...]) -> _File:
        self._count += 1
        if self._count > MAX_FILES:
            raise self._error(place, f"more than {MAX_FILES} files are included")
        path, root = self._locate(name, place)
        if any(file.path == path for file in chain):
            told = " → ".join([*(file.name or self._main.name for file in chain), self._told(path)])
            raise self._error(place, f"files include each other in a circle: {told}")
        if len(chain) > MAX_DEPTH:
            raise self._error(place, f"files are included more than {MAX_DEPTH} deep")
        if known := self._files.get((path, root)):
            return known
        raw = self._read(path, place)
        self._digests[path] = sha256(raw).hexdigest()
        try:
            document = read_plain(raw.decode("utf-8-sig"), yaml=is_yaml(path), placed=self._placed)
        except UnicodeDecodeError:
            raise self._error(place, f"{self._told(path)} is not UTF-8") from None
        except ConfigError as error:
            message = error.message.replace("the configuration", self._told(path), 1)
            raise ConfigError(message, hint=error.hint, details={**error.details, "file": str(path)}) from None
        file = _File(path, root, document.parsed, document.positions, self._told(path))
        self._files[path, root] = file
        return file

    def _locate(self, name: str, place: _Origin) -> tuple[Path, Path]:
        """Return the file without symbolic links, and the folder that its own includes stay in."""
        written = Path(name)
        try:
            path = (place.file.path.parent / written).resolve()
        except (OSError, ValueError, RuntimeError):
            raise self._error(place, f"{name!r} is no name of a file") from None
        self.named[path] = None
        if written.is_absolute():
            return path, path.parent
        if not path.is_relative_to(place.file.root):
            raise self._error(
                place, f"{name!r} leads out of {place.file.root}", "Write the whole path if that is meant."
            )
        return path, place.file.root

    def _read(self, path: Path, place: _Origin) -> bytes:
        if self._contents is None:
            raw = self._read_from_disk(path, place)
        elif path in self._contents:
            raw = self._contents[path]
        else:
            raise self._error(place, f"{self._told(path)} was not there")
        self._bytes += len(raw)
        if self._bytes > MAX_CONFIG_BYTES:
            raise self._error(place, f"the included files are larger than {MAX_CONFIG_BYTES} bytes")
        self.read[path] = raw
        return raw

    def _read_from_disk(self, path: Path, place: _Origin) -> bytes:
        try:
            if not path.is_file():  # os.open would wait for a pipe, and open() has another word for a folder
                raise self._error(place, f"{self._told(path)} is {'no file' if path.exists() else 'not there'}")
            with open(path, "rb", opener=_open_file) as file:  # Path.open takes no opener
                self._check_owner(os.fstat(file.fileno()), path, place)
                return file.read(MAX_CONFIG_BYTES + 1)
        except OSError as error:
            raise self._error(place, f"{self._told(path)} cannot be read: {error.strerror}") from None

    def _check_owner(self, found: os.stat_result, path: Path, place: _Origin) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise self._error(place, f"{self._told(path)} is no file")
        trusted = {0, os.geteuid(), *_owner(self._main)}
        folder = path.parent.stat()
        for status, what in ((found, path), (folder, path.parent)):
            shared = status.st_mode & 0o022 and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX)
            if shared or status.st_uid not in trusted:
                hint = f"chmod go-w {what}" if shared else f"Make {what} yours: chown."
                raise self._error(place, f"others may write {what}, so it is not included", hint)

    def _told(self, path: Path) -> str:
        return str(path.relative_to(self._folder)) if path.is_relative_to(self._folder) else str(path)

    def _error(self, place: _Origin, what: str, hint: str = "") -> ConfigError:
        line, column = place.file.positions.at(place.path)
        told = f"{place.file.name or self._main.name}, line {line}" if line else place.file.name or self._main.name
        return ConfigError(
            f"{told}: {what}",
            hint=hint or "Correct that $include, or the file that it names.",
            details={"line": line, "column": column, "file": str(place.file.path), "path": format_path(place.path)},
        )


def _open_file(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _owner(path: Path) -> Sequence[int]:
    try:
        return (path.stat().st_uid,)
    except OSError:
        return ()


def _origin_of(origin: Mapping[KeyPath, _Origin], path: KeyPath) -> _Origin:
    for length in range(len(path), -1, -1):
        if found := origin.get(path[:length]):
            return _Origin(found.file, (*found.path, *path[length:]))
    raise KeyError(path)


def _below(part: _Part, key: str | int) -> _Part:
    origin = {path[1:]: place for path, place in part.origin.items() if path[:1] == (key,)}
    origin.setdefault((), _origin_of(part.origin, (key,)))
    return _Part(part.value[key], origin)


def _joined(low: _Part, high: _Part) -> _Part:
    origin = dict(low.origin)
    for index in range(len(high.value)):
        moved = (len(low.value) + index,)
        origin.update({(*moved, *path): place for path, place in _below(high, index).origin.items()})
    return _Part([*low.value, *high.value], origin)
