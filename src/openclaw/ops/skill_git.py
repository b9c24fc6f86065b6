"""Skills out of repositories: one commit, fetched by HTTPS through the door of egress, never by running git.

1. An address is `git+https://HOST/REPOSITORY@COMMIT#FOLDER`. A branch or a tag is no commit: what it names can change.
2. The client speaks the wire protocol, version 2, as far as one shallow fetch needs it: no hooks, filters, submodules
   or large-file servers exist here. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.principal import Principal
from openclaw.net.egress import Place, place
from openclaw.net.error import NetError
from openclaw.net.http import HttpClient, Timeouts
from openclaw.net.way import Way
from openclaw.ops.git_pack import MAX_PACK_BYTES, Pack, refused
from openclaw.policy.skill.finding import shown
from openclaw.policy.skill.tree import Tree

PREFIX: Final = "git+"
ACTION: Final = "skills.install"
_ADDRESS: Final = re.compile(
    r"git\+(https://[A-Za-z0-9.\-:\[\]]{1,260}/[^\s@#?\\]{1,400})@([0-9a-f]{40}|[0-9a-f]{64})(?:#([^\s#?\\]{1,400}))?"
)
_TIMEOUTS: Final = Timeouts(connect=10.0, first_byte=60.0, idle=30.0, total=120.0)
_FLUSH: Final = b"0000"
_DELIMITER: Final = b"0001"
_SECTION: Final = b"packfile\n"

Door = Callable[[Principal, Place], Awaitable[Way]]
"""The policy's egress door. Raises: PolicyDenied, Unavailable."""


class GitAddress(msgspec.Struct, frozen=True):
    """A folder of a commit. `repository` is an https address."""

    repository: str
    commit: str
    folder: str = ""

    @property
    def text(self) -> str:
        """The address as people write it."""
        return f"{PREFIX}{self.repository}@{self.commit}{f'#{self.folder}' if self.folder else ''}"


def git_address(text: str) -> GitAddress:
    """Read an address. Raises: InvalidRequest, which says what is wrong with it."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise InvalidRequest(
            f"{shown(text)} does not name a commit: git+https://HOST/REPOSITORY@COMMIT#FOLDER, with its whole hash",
            hint="A branch or a tag is no commit: what it names can change.",
        )
    folder = (found[3] or "").strip("/")
    if any(part in ("", ".", "..") for part in folder.split("/")) and folder:
        raise InvalidRequest("the folder leads out of the repository")
    return GitAddress(found[1].rstrip("/"), found[2], folder)


class GitSource:
    """Fetches skills. `door` is asked before each request."""

    def __init__(self, http: HttpClient, door: Door) -> None:
        self._http = http
        self._door = door

    async def fetch(self, by: Principal, address: GitAddress) -> Tree:
        """Return the files of a skill. Raises: InvalidRequest (SKILL_GIT), PolicyDenied, Unavailable."""
        try:
            answer = await self._post(by, place(f"{address.repository}/git-upload-pack"), asked(address.commit))
        except NetError as error:
            raise refused(str(error)) from None
        return await asyncio.to_thread(_files, answer, address)

    async def _post(self, by: Principal, where: Place, body: bytes) -> bytes:
        way = await self._door(by, where)
        headers = {
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": "application/x-git-upload-pack-result",
            "Git-Protocol": "version=2",
        }
        async with await self._http.stream(
            "POST", where.url, headers=headers, body=body, timeouts=_TIMEOUTS, purpose="tools", way=way
        ) as response:
            if response.status != 200:
                raise refused(f"the server answered {response.status}; redirects are not followed")
            pieces: list[bytes] = []
            left = MAX_PACK_BYTES
            while piece := await response.read():
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    raise refused(f"it has more than {MAX_PACK_BYTES >> 20} MiB")
        return b"".join(pieces)


def asked(commit: str) -> bytes:
    """Return the request for one commit, without its history."""
    kind = "sha1" if len(commit) == 40 else "sha256"
    words = (f"want {commit}\n", "deepen 1\n", "no-progress\n", "ofs-delta\n", "done\n")
    head = _line("command=fetch\n") + _line(f"object-format={kind}\n")
    return head + _DELIMITER + b"".join(map(_line, words)) + _FLUSH


def _line(text: str) -> bytes:
    return b"%04x" % (len(text) + 4) + text.encode()


def _files(answer: bytes, address: GitAddress) -> Tree:
    return Pack(packed(answer), len(address.commit) // 2).files(address.commit, address.folder)


def packed(answer: bytes) -> bytes:
    """Return the pack that an answer brings. Raises: InvalidRequest."""
    pieces: list[bytes] = []
    at, within = 0, False
    while at < len(answer):
        head = answer[at : at + 4]
        try:
            size = int(head, 16)
        except ValueError:
            raise refused("the server's answer is of another protocol") from None
        line, at = answer[at + 4 : at + size], at + max(size, 4)
        if size < 4:
            if head == _FLUSH and within:
                break
        elif line.startswith(b"ERR "):
            raise refused(f"the server says: {shown(line[4:].decode('utf-8', 'replace').strip())}")
        elif not within:
            within = line == _SECTION
        elif line[:1] == b"\x01":
            pieces.append(line[1:])
        elif line[:1] == b"\x03":
            raise refused(f"the server says: {shown(line[1:].decode('utf-8', 'replace').strip())}")
    if not pieces:
        raise refused("the server sent no files")
    return b"".join(pieces)
