"""Lines of kind `file`: may a tool do this with that path below that root?

The root is opened, and the path walked from it, as the tools do it; nothing is read, written or made. What is not there
yet is judged by the folders above it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest, ToolError
from openclaw.policy.files.descriptor import (
    Missing,
    check_file,
    check_folder,
    check_not_read_only,
    check_writable,
    open_file,
    open_folder,
    refuse,
)
from openclaw.policy.files.path import components, file_components

Op = Literal["read", "write", "append", "patch", "delete", "list", "mkdir", "rename_to"]
_OF_FILES: Final = ("read", "write", "append", "patch")
"""What takes a file's path and no folder's."""
_MAKING: Final = ("write", "append", "mkdir", "rename_to")
"""What makes the folders above it, as the tools do."""
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class _Line(msgspec.Struct, frozen=True):
    op: Op
    root: Annotated[str, Meta(pattern="^/", max_length=4096)]
    path: Annotated[str, Meta(max_length=65_536)]
    id: Any = None
    kind: Literal["file"] = "file"


def file_case(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to one line: `{id, verdict, rule, reason}`. Looks at the disk.

    Raises: InvalidRequest for a line that is none.
    """
    try:
        found = msgspec.convert(line, _Line)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"the line cannot be read: {error}") from error
    if "\0" in found.root:
        raise InvalidRequest("the root holds a NUL character")
    verdict, rule, reason = "allow", "file.workspace", "it stays in the workspace"
    try:
        parts = _parts(found)
    except ToolError as error:
        verdict, rule, reason = "deny", "file.path", error.message
    else:
        try:
            with _root(found.root) as root:
                _judge(root, parts, found)
        except Missing:
            reason = "there is nothing of that name"
        except ToolError as error:
            verdict, rule, reason = "deny", "file.kind", error.message
    return {"id": found.id, "verdict": verdict, "rule": rule, "reason": reason}


def _parts(line: _Line) -> tuple[str, ...]:
    parts = file_components(line.path) if line.op in _OF_FILES else components(line.path)
    if not parts and line.op in ("delete", "rename_to"):
        raise ToolError("The workspace itself is neither removed nor replaced.")
    return parts


@contextmanager
def _root(path: str) -> Iterator[int]:
    """Open the root as a workspace is. Its own path is an operator's word, so links in it are followed."""
    try:
        fd = os.open(path, _FOLDER_FLAGS)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not Path(path).is_symlink():
            raise Missing("The workspace is made when it is first used.") from None
        raise ToolError(f"The workspace cannot be opened: {error.strerror}.") from None
    try:
        yield fd
    finally:
        os.close(fd)


def _judge(root: int, parts: tuple[str, ...], line: _Line) -> None:
    """Raise ToolError for what a tool would be refused, Missing when there is nothing to refuse."""
    fd = os.dup(root)
    try:
        check_folder(fd, ".")
        for depth, name in enumerate(parts[:-1], start=1):
            try:
                inner = open_folder(fd, name, "/".join(parts[:depth]), create=False)
            except Missing:
                if line.op in _MAKING:
                    check_writable(fd, "/".join(parts[:depth]))
                raise
            fd, done = inner, fd
            os.close(done)
        if parts:
            _judge_last(fd, parts[-1], line)
    finally:
        os.close(fd)


def _judge_last(folder: int, name: str, line: _Line) -> None:
    op, shown = line.op, line.path
    if op == "list":
        os.close(open_folder(folder, name, shown, create=False))
        return
    if op == "read":
        os.close(open_file(folder, name, shown))
        return
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        if op in _MAKING:
            check_writable(folder, shown)
        raise Missing(shown) from None
    except OSError as error:
        refuse(folder, name, shown, error)
    if op not in _OF_FILES and (stat.S_ISDIR(info.st_mode) or op == "mkdir" or shown.endswith(("/", "/."))):
        os.close(open_folder(folder, name, shown, create=False))
    else:
        check_file(info, shown, folder)
    if op in _OF_FILES:
        check_not_read_only(info, shown)
    if op != "mkdir":
        check_writable(folder, shown)
