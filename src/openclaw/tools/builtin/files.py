"""The file tools: ordinary actions on the agent's workspace."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

from msgspec import Meta

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.errors import ToolError
from openclaw.policy.files.descriptor import Entry
from openclaw.tools.action import Context, action
from openclaw.tools.builtin.search import SEARCH_DEADLINE_S, Bounds, Query, found_entries, search
from openclaw.tools.workspace import READ_LIMIT_BYTES, Workspace

MAX_LISTED = 1_000

FilePath = Annotated[str, Meta(description="File path relative to the workspace, e.g. `notes/today.txt`.")]
FolderPath = Annotated[str, Meta(description="Folder relative to the workspace; `.` is the workspace itself.")]


@action(result_bytes=READ_LIMIT_BYTES + 1024)
def read_file(
    path: FilePath,
    context: Context,
    offset: Annotated[int, Meta(description="First line to read, counted from 1.", ge=1)] = 1,
    limit: Annotated[int, Meta(description="How many lines to read.", ge=1, le=100_000)] = 1000,
) -> str:
    """Read a text file in the workspace. Long files come in pages; the end of the result says where to go on."""
    with Workspace(context.workspace) as room:
        page = room.read_page(path, offset, limit)
    if not page.text:
        return "(the file is empty)"
    if not page.more:
        return page.text
    note = f"lines {page.first}-{page.last}"
    if page.cut:
        note += f", the end of line {page.last} is left out for its length"
    end = "" if page.text.endswith("\n") else "\n"
    return f"{page.text}{end}[{note}; more follows: read on with offset={page.last + 1}]"


@action
def list_files(
    context: Context,
    path: FolderPath = ".",
    recursive: Annotated[bool, Meta(description="Also list what is in the folders below.")] = False,
    pattern: Annotated[
        str | None, Meta(description="Only paths that match this glob, e.g. `*.py` or `src/**/*.ts`.")
    ] = None,
) -> str:
    """List files and folders in the workspace. Folders end in `/`; sizes are in bytes."""
    bounds = Bounds(SYSTEM_CLOCK, lambda: context.cancelled)
    lines: list[str] = []
    deep = recursive or (pattern is not None and "/" in pattern)
    with (
        Workspace(context.workspace) as room,
        closing(found_entries(room, path or ".", pattern, deep, bounds, MAX_LISTED)) as found,
    ):
        for entry in found:
            lines.append(_line(entry))
            bounds.found += 1
    if why := bounds.spent(MAX_LISTED):
        lines.append(f"[{why}: list a folder below, or narrow by pattern]")
    return "\n".join(lines) or "(nothing found)"


@action(timeout_s=SEARCH_DEADLINE_S + 5)
def search_files(
    text: Annotated[str, Meta(description="Text to find: plain text, not a regular expression.", min_length=1)],
    context: Context,
    path: FolderPath = ".",
    pattern: Annotated[str | None, Meta(description="Only files that match this glob, e.g. `*.py`.")] = None,
    ignore_case: Annotated[bool, Meta(description="Take upper and lower case as the same.")] = False,
) -> str:
    """Find the lines that contain a text, in all text files of a folder. Each result is `path:line: content`."""
    with Workspace(context.workspace) as room:
        query = Query(text, path or ".", pattern, ignore_case)
        return search(room, query, Bounds(SYSTEM_CLOCK, lambda: context.cancelled))


@action(writes=True, inward=True, own_words=True)
def write_file(
    path: FilePath, content: Annotated[str, Meta(description="The whole new content.")], context: Context
) -> str:
    """Create a file in the workspace, or replace all of its content. Folders are made as needed."""
    with Workspace(context.workspace) as room:
        new = room.write_text(path, content)
    return f"{'Created' if new else 'Replaced'} {path} ({len(content.encode())} bytes)."


@action(writes=True, inward=True, own_words=True)
def edit_file(
    path: FilePath,
    old_text: Annotated[str, Meta(description="Exact text to replace, with enough around it to occur once.")],
    new_text: Annotated[str, Meta(description="What takes its place.")],
    context: Context,
    replace_all: Annotated[bool, Meta(description="Replace every occurrence.")] = False,
) -> str:
    """Change part of a text file in the workspace: replace one exact piece of text by another."""
    count = 0

    def change(old: str) -> str:
        nonlocal count
        changed, count = replaced(old, old_text, new_text, replace_all)
        return changed

    with Workspace(context.workspace) as room:
        room.edit_text(path, change)
    return f"Changed {path} ({count} {'place' if count == 1 else 'places'})."


def replaced(text: str, old: str, new: str, replace_all: bool) -> tuple[str, int]:
    """Return the text with `old` replaced, and how often. Raises: ToolError unless it occurs once, or all are meant."""
    if not old:
        raise ToolError("old_text is empty. Give the text to replace; write_file replaces a whole file.")
    if old == new:
        raise ToolError("old_text and new_text are the same: nothing to change.")
    if old not in text and "\r\n" in text and "\r" not in old:
        # Models write \n whatever the file has; the file keeps its line ends.
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old)
    if count == 0:
        raise ToolError("old_text does not occur in the file. Read the file; spaces and line ends must match exactly.")
    if count > 1 and not replace_all:
        raise ToolError(f"old_text occurs {count} times. Give more of the text around it, or set replace_all.")
    return text.replace(old, new), count


def _line(entry: Entry) -> str:
    name = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in entry.path)
    if entry.kind == "file":
        return f"{name}  {entry.size}"
    return (
        name + {"folder": "/", "link": "  (symbolic link: not followed)", "other": "  (not a regular file)"}[entry.kind]
    )
