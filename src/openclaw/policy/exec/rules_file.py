"""The file of execution rules, `exec-approvals.json` in the state directory: what may run without asking a person.

1. It is read and written whole, under a lock, against the hash that the writer has seen. Mode 0600.
2. What cannot be read allows nothing: it counts as the empty file, and `problem` says why.
3. The token of the socket never leaves the file; a writer that leaves it out keeps it.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from openclaw.base.errors import Conflict, InvalidRequest, TooLarge
from openclaw.base.secret import masked
from openclaw.config.disk import locked_folder, write_atomically

FILE_NAME: Final = "exec-approvals.json"
SOCKET_NAME: Final = "exec-approvals.sock"
MAX_BYTES: Final = 1_000_000
RETRY: Final = "re-run exec.approvals.get and retry"

Security = Literal["deny", "allowlist", "full"]
AskWhen = Literal["off", "on-miss", "always"]
Text = Annotated[str, Meta(max_length=4096)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
When = Annotated[float, Meta(ge=0)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    pass


class Listed(_Part, frozen=True):
    """One rule of an allowlist: the pattern of a resolved program, and of its arguments."""

    pattern: Text
    id: Name | UnsetType = UNSET
    source: Literal["allow-always"] | UnsetType = UNSET
    command_text: Text | UnsetType = UNSET
    arg_pattern: Text | UnsetType = UNSET
    last_used_at: When | UnsetType = UNSET
    last_used_command: Text | UnsetType = UNSET
    last_resolved_path: Text | UnsetType = UNSET


class ListedTool(_Part, frozen=True):
    """A tool of an MCP server that was allowed for good."""

    server: Name
    tool: Name
    source: Literal["allow-always"]
    added_at: When
    last_used_at: When | UnsetType = UNSET


class Socket(_Part, frozen=True):
    """Where older helpers ask; nothing of ours listens there."""

    path: Text | UnsetType = UNSET
    token: Text | UnsetType = UNSET

    __repr__ = masked


class Defaults(_Part, frozen=True):
    """How agents without rules of their own are treated."""

    security: Security | UnsetType = UNSET
    ask: AskWhen | UnsetType = UNSET
    ask_fallback: Security | UnsetType = UNSET
    auto_allow_skills: bool | UnsetType = UNSET


class AgentRules(Defaults, frozen=True):
    """One agent's rules."""

    allowlist: Annotated[tuple[Listed, ...], Meta(max_length=2000)] | UnsetType = UNSET
    mcp_tools: Annotated[tuple[ListedTool, ...], Meta(max_length=500)] | UnsetType = UNSET


class RulesFile(_Part, frozen=True, omit_defaults=False):
    """The file."""

    version: Literal[1]
    socket: Socket = Socket()
    defaults: Defaults = Defaults()
    agents: dict[str, AgentRules] = {}


class Resolved(msgspec.Struct, frozen=True, rename="camel"):
    """What the defaults mean when they are left out: listed programs run, others are asked about, else denied."""

    security: Security = "allowlist"
    ask: AskWhen = "on-miss"
    ask_fallback: Security = "deny"
    auto_allow_skills: bool = False


class Snapshot(msgspec.Struct, frozen=True):
    """The file as it stands, without the socket's token. `hash` is that of its bytes (of none, when it is missing)."""

    path: str
    exists: bool
    hash: str
    file: RulesFile
    problem: str = ""

    @property
    def resolved_defaults(self) -> Resolved:
        """Return the defaults with nothing left out."""
        named = {name: getattr(self.file.defaults, name) for name in Resolved.__struct_fields__}
        return Resolved(**{name: value for name, value in named.items() if value is not UNSET})


class ExecRules:
    """The file in one state directory. Blocks: call it in a thread."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE_NAME
        self._socket = str(state_dir / SOCKET_NAME)

    def read(self) -> Snapshot:
        """Return the file as it stands."""
        raw = self._raw()
        file, problem = _parsed(raw)
        shown = msgspec.structs.replace(file, socket=Socket(path=file.socket.path or self._socket))
        digest = sha256(raw or b"").hexdigest()
        return Snapshot(str(self._path), raw is not None, digest, shown, problem)

    def write(self, file: RulesFile, base_hash: str) -> Snapshot:
        """Replace the file if it still is what `base_hash` names; a first write needs none.

        Raises: Conflict, InvalidRequest without a hash, TooLarge.
        """
        with locked_folder(self._path.parent):
            now = self.read()
            if now.exists and not base_hash:
                raise InvalidRequest(f"exec approvals base hash required; {RETRY}")
            if now.exists and base_hash != now.hash:
                raise Conflict(f"exec approvals changed since last load; {RETRY}")
            old = _parsed(self._raw())[0].socket
            socket = Socket(path=file.socket.path or old.path or self._socket, token=file.socket.token or old.token)
            whole = msgspec.structs.replace(file, socket=socket)
            data = msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
            if len(data) > MAX_BYTES:
                raise TooLarge(f"the rules have {len(data)} bytes; the file takes {MAX_BYTES}")
            write_atomically(self._path, data)
            self._path.chmod(0o600)
        return self.read()

    def _raw(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None


def _parsed(raw: bytes | None) -> tuple[RulesFile, str]:
    empty = RulesFile(version=1)
    if raw is None:
        return empty, ""
    if len(raw) > MAX_BYTES:
        return empty, f"the file has more than {MAX_BYTES} bytes"
    try:
        return msgspec.json.decode(raw, type=RulesFile), ""
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return empty, f"the file cannot be read: {error}"
