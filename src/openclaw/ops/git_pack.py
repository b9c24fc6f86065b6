"""Reads the files of one commit out of a pack, in memory. No program is started, and nothing is written.

1. Every object is named by the hash of its bytes: what comes out under a commit is what the commit names.
2. What a header claims is not believed: sizes are counted as they come out, and all of it together is bounded. So is
   the work: numbers have an end, each difference is applied once, and a folder counts as often as it is named.
3. Links, submodules and other trees' entries that are no plain files refuse the whole.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from openclaw.base.errors import InvalidRequest
from openclaw.base.path_rules import Occupied, unfit
from openclaw.policy.skill.tree import MAX_BYTES, MAX_DEPTH, MAX_FILES, Tree, tree_of

MAX_PACK_BYTES: Final = 32 * 1024 * 1024
MAX_OBJECTS: Final = 50_000
MAX_INFLATED: Final = 128 * 1024 * 1024
MAX_ENTRIES: Final = 4 * MAX_FILES
"""Files and folders below the folder of a skill, each counted as often as it is named."""
MAX_NUMBER_BITS: Final = 56
MAX_NAMED: Final = 10
_PIECE: Final = 16 * 1024
_KINDS: Final[Mapping[int, bytes]] = {1: b"commit", 2: b"tree", 3: b"blob", 4: b"tag"}
_BY_OFFSET: Final = 6
_BY_NAME: Final = 7
_FOLDER: Final = b"40000"
_FILES: Final = (b"100644", b"100755", b"100664")


def refused(why: str) -> InvalidRequest:
    """Return the error for a repository that is not taken."""
    return InvalidRequest(
        f"the repository is not taken: {why}",
        hint="Nothing was installed. Name a commit and a folder that holds plain files.",
        details={"code": "SKILL_GIT"},
    )


class _Object(NamedTuple):
    kind: bytes
    data: bytes


class _Delta(NamedTuple):
    """What makes the object at a place out of another one."""

    at: int
    data: bytes


class Pack:
    """The objects of a pack by their names. Blocking. Raises: InvalidRequest for what is damaged or too large."""

    def __init__(self, data: bytes, name_bytes: int) -> None:
        self._data = data
        self._name_bytes = name_bytes
        self._left = MAX_INFLATED
        self._entries_left = 0
        self._objects: dict[bytes, _Object] = {}
        self._places: dict[int, bytes] = {}
        try:
            self._read()
        except (zlib.error, IndexError, ValueError) as error:
            raise refused("its pack is damaged") from error

    def files(self, commit: str, folder: str) -> Tree:
        """Return the files of a folder of a commit, as a skill."""
        at = self._get(bytes.fromhex(commit), b"commit")
        if not at.startswith(b"tree "):
            raise refused("the commit is damaged")
        place = bytes.fromhex(at[5 : at.index(b"\n")].decode("ascii", "replace"))
        for name in folder.split("/") if folder else ():
            entry = next((each for each in self._entries(place) if each[1] == name), None)
            if entry is None or entry[0] != _FOLDER:
                raise refused(f"it has no folder {ascii(folder)[:200]}")
            place = entry[2]
        contents: dict[str, bytes] = {}
        executable: set[str] = set()
        self._entries_left = MAX_ENTRIES
        self._walk(place, "", contents, executable, Occupied())
        if "SKILL.md" not in contents:
            raise refused(f"there is no SKILL.md in {folder or 'its root'}{_elsewhere(contents, folder)}")
        return tree_of(contents, frozenset(executable))

    def _walk(
        self, place: bytes, above: str, contents: dict[str, bytes], executable: set[str], occupied: Occupied
    ) -> None:
        for mode, name, inner in self._entries(place):
            self._entries_left -= 1
            if self._entries_left < 0:
                raise refused(f"the folder holds more than {MAX_ENTRIES} files and folders")
            path = f"{above}{name}"
            if why := unfit(path) or ("" if mode == _FOLDER else occupied.clash(path)):
                raise refused(f"{ascii(path)[:200]}: {why}")
            if path.count("/") > MAX_DEPTH:
                raise refused(f"it is deeper than {MAX_DEPTH} folders")
            if mode == _FOLDER:
                self._walk(inner, f"{path}/", contents, executable, occupied)
                continue
            if mode not in _FILES:
                raise refused(f"{ascii(path)[:200]} is a link or a submodule")
            contents[path] = self._get(inner, b"blob")
            if mode == b"100755":
                executable.add(path)
            if len(contents) > MAX_FILES or sum(map(len, contents.values())) > MAX_BYTES:
                raise refused(f"the folder holds more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB")

    def _entries(self, place: bytes) -> Iterator[tuple[bytes, str, bytes]]:
        data, at = self._get(place, b"tree"), 0
        while at < len(data):
            space, end = data.find(b" ", at), data.find(b"\0", at)
            if not at < space < end or end + self._name_bytes >= len(data) + 1:
                raise refused("a folder in it is damaged")
            try:
                name = data[space + 1 : end].decode()
            except UnicodeDecodeError:
                raise refused("a name in it is not UTF-8") from None
            yield data[at:space], name, data[end + 1 : end + 1 + self._name_bytes]
            at = end + 1 + self._name_bytes

    def _get(self, name: bytes, kind: bytes) -> bytes:
        found = self._objects.get(name)
        if found is None or found.kind != kind:
            raise refused(f"the {kind.decode()} {name.hex()[:12]} is not in its pack")
        return found.data

    def _read(self) -> None:
        data = self._data
        count = int.from_bytes(data[8:12], "big")
        if data[:4] != b"PACK" or data[4:8] != b"\0\0\0\2" or count > MAX_OBJECTS:
            raise refused(f"its pack is of another kind, or has more than {MAX_OBJECTS} objects")
        if self._hash(data[: -self._name_bytes]) != data[-self._name_bytes :]:
            raise refused("its pack is cut or damaged")
        deltas: dict[int | bytes, list[_Delta]] = {}
        at = 12
        for _ in range(count):
            at = self._one(at, deltas)
        whole = list(self._places.items())
        while whole:
            place, name = whole.pop()
            for delta in (*deltas.pop(place, ()), *deltas.pop(name, ())):
                base = self._objects[name]
                data = self._applied(base.data, delta.data)
                whole.append((delta.at, self._keep(delta.at, _Object(base.kind, data))))
        if deltas:
            raise refused("its pack names objects that it does not hold")

    def _one(self, start: int, deltas: dict[int | bytes, list[_Delta]]) -> int:
        """Read the object at a place; return where the next one begins."""
        byte, at = self._data[start], start + 1
        kind, size = byte >> 4 & 7, byte & 15
        if byte & 128:
            more, at = _number(self._data, at)
            size |= more << 4
        base: int | bytes = 0
        if kind == _BY_OFFSET:
            byte, at = self._data[at], at + 1
            back = byte & 127
            while byte & 128:
                byte, at = self._data[at], at + 1
                back = (back + 1 << 7) | byte & 127
                if back > start:
                    raise refused("its pack names objects that it does not hold")
            base = start - back
        elif kind == _BY_NAME:
            base, at = self._data[at : at + self._name_bytes], at + self._name_bytes
        elif kind not in _KINDS:
            raise refused("its pack holds objects of an unknown kind")
        content, at = self._inflated(at, size)
        if kind in _KINDS:
            self._keep(start, _Object(_KINDS[kind], content))
        else:
            deltas.setdefault(base, []).append(_Delta(start, content))
        return at

    def _inflated(self, at: int, size: int) -> tuple[bytes, int]:
        self._spend(size)
        unpacker, pieces, got = zlib.decompressobj(), [], 0
        while not unpacker.eof:
            piece = self._data[at : at + _PIECE]
            if not piece:
                raise refused("its pack is cut")
            out = unpacker.decompress(piece, size - got + 1)
            got += len(out)
            pieces.append(out)
            if got > size:
                raise refused("an object in it is larger than it says")
            at += len(piece) - len(unpacker.unused_data) - len(unpacker.unconsumed_tail)
        if got != size:
            raise refused("an object in it is smaller than it says")
        return b"".join(pieces), at

    def _applied(self, base: bytes, delta: bytes) -> bytes:
        wanted, at = _number(delta, 0)
        size, at = _number(delta, at)
        if wanted != len(base):
            raise refused("a difference in its pack is of another object")
        self._spend(size)
        pieces, got = [], 0
        while at < len(delta):
            code, at = delta[at], at + 1
            if code & 128:
                start, length, at = _copy(delta, code, at)
                piece = base[start : start + length]
                if len(piece) != length:
                    raise refused("a difference in its pack is damaged")
            elif code:
                piece, at = delta[at : at + code], at + code
            else:
                raise refused("a difference in its pack is damaged")
            got += len(piece)
            if got > size:
                raise refused("a difference in its pack is larger than it says")
            pieces.append(piece)
        if got != size:
            raise refused("a difference in its pack is smaller than it says")
        return b"".join(pieces)

    def _keep(self, at: int, found: _Object) -> bytes:
        """Keep what stands at a place; return its name."""
        name = self._hash(found.kind + b" %d\0" % len(found.data) + found.data)
        self._objects[name] = found
        self._places[at] = name
        return name

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise refused(f"it holds more than {MAX_INFLATED >> 20} MiB")

    def _hash(self, data: bytes) -> bytes:
        # The format's own hash: what binds a skill afterwards is the SHA-256 of its files.
        if self._name_bytes == 20:
            return hashlib.sha1(data, usedforsecurity=False).digest()
        return hashlib.sha256(data).digest()


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if not byte & 128:
            return value, at
        if shift > MAX_NUMBER_BITS:
            raise refused("a number in its pack has no end")


def _copy(delta: bytes, code: int, at: int) -> tuple[int, int, int]:
    start = length = 0
    for bit in range(4):
        if code & 1 << bit:
            start, at = start | delta[at] << 8 * bit, at + 1
    for bit in range(3):
        if code & 16 << bit:
            length, at = length | delta[at] << 8 * bit, at + 1
    return start, length or 0x10000, at


def _elsewhere(contents: Mapping[str, bytes], folder: str) -> str:
    found = (path.rpartition("/")[0] for path in contents if path.endswith("/SKILL.md"))
    folders = sorted(f"{folder}/{each}" if folder else each for each in found)
    return f"; add #FOLDER, one of: {', '.join(folders[:MAX_NAMED])}" if folders else ""
