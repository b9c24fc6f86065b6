"""Lines of kind `file`: may a tool do this with that path below that root?

The root is opened, and the path walked from it, as the tools do it; nothing is read, written or made. What is not there
yet is judged by the folders above it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from openclaw.base.errors import InvalidRequest, ToolError
from openclaw.policy.files.descriptor import Missing, check_file, check_folder, open_file, open_folder, refuse
from openclaw.policy.files.path import components, file_components

Op = Literal["read", "write", "append", "patch", "delete", "list", "mkdir", "rename_to"]
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
    verdict, rule, reason = "allow", "file.workspace", "it stays in the workspace"
    try:
        parts = components(found.path) if found.op in ("list", "mkdir") else file_components(found.path)
    except ToolError as error:
        verdict, rule, reason = "deny", "file.path", error.message
    else:
        try:
            with _root(found.root) as root:
                _judge(root, parts, found.op)
        except Missing:
            reason = "there is nothing of that name"
        except ToolError as error:
            verdict, rule, reason = "deny", "file.kind", error.message
    return {"id": found.id, "verdict": verdict, "rule": rule, "reason": reason}


@contextmanager
def _root(path: str) -> Iterator[int]:
    try:
        fd = os.open(path, _FOLDER_FLAGS)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"the root cannot be opened: {error}") from None
    try:
        yield fd
    finally:
        os.close(fd)


def _judge(root: int, parts: tuple[str, ...], op: Op) -> None:
    """Raise ToolError for what a tool would be refused, Missing when there is nothing to refuse."""
    fd = os.dup(root)
    try:
        for depth, name in enumerate(parts[:-1], start=1):
            inner = open_folder(fd, name, "/".join(parts[:depth]), create=False)
            fd, done = inner, fd
            os.close(done)
        check_folder(fd, "/".join(parts[:-1]) or ".")
        if parts:
            _judge_last(fd, parts[-1], "/".join(parts), op)
    finally:
        os.close(fd)


def _judge_last(folder: int, name: str, shown: str, op: Op) -> None:
    if op == "list":
        os.close(open_folder(folder, name, shown, create=False))
        return
    if op == "read":
        os.close(open_file(folder, name, shown))
        return
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        refuse(folder, name, shown, error)
    if op == "mkdir" or (op in ("delete", "rename_to") and stat.S_ISDIR(info.st_mode)):
        os.close(open_folder(folder, name, shown, create=False))
        return
    check_file(info, shown)
