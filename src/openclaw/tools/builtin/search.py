"""Finding text in files, within bounds: a search ends, whatever the files and the query are.

Plain text only. Python's regular expressions backtrack while they hold the interpreter's lock: one hostile pattern
would freeze the gateway, and no thread or deadline helps against that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ToolError
from openclaw.policy.files.descriptor import WRITE_LIMIT_BYTES, Entry
from openclaw.policy.files.path import components, glob
from openclaw.tools.workspace import Workspace

MAX_MATCHES = 200
MAX_VISITED = 50_000
MAX_SEARCHED_BYTES = 256 * 1024 * 1024
MAX_LINE_SHOWN = 240
SEARCH_DEADLINE_S = 10.0


class Query(msgspec.Struct, frozen=True):
    """What to look for, below which folder (or in which file), in files that match which glob."""

    text: str
    path: str = "."
    pattern: str | None = None
    ignore_case: bool = False


class Bounds:
    """Counts the work of one walk and says what ended it."""

    def __init__(self, clock: Clock, cancelled: Callable[[], bool]) -> None:
        self._clock = clock
        self._cancelled = cancelled
        self._deadline = clock.monotonic_s() + SEARCH_DEADLINE_S
        self.visited = 0
        self.read_bytes = 0
        self.found = 0

    def spent(self, most_found: int) -> str:
        """Return why to stop now, or ""."""
        if self.found >= most_found:
            return f"only the first {most_found} are shown"
        if self.visited >= MAX_VISITED:
            return f"stopped after {MAX_VISITED} files and folders"
        if self.read_bytes >= MAX_SEARCHED_BYTES:
            return f"stopped after {MAX_SEARCHED_BYTES} bytes"
        if self._cancelled() or self._clock.monotonic_s() >= self._deadline:
            return f"stopped after {SEARCH_DEADLINE_S:.0f} seconds"
        return ""


def found_entries(
    room: Workspace, path: str, pattern: str | None, recursive: bool, bounds: Bounds, most: int
) -> Generator[Entry, None, None]:
    """Yield the entries below `path` that match a glob (relative to `path`) until a bound is reached."""
    start = len(components(path))
    matches: Callable[[Sequence[str]], bool] = glob(pattern) if pattern else bool
    with closing(room.entries(path, recursive=recursive)) as entries:
        for entry in entries:
            if bounds.spent(most):
                return
            bounds.visited += 1
            if matches(entry.parts[start:]):
                yield entry


def search(room: Workspace, query: Query, bounds: Bounds) -> str:
    """Return `path:line: content` lines, and a note when a bound ended the search or files were left out."""
    if "\n" in query.text:
        raise ToolError("The text to find spans lines. Search for a piece of one line.")
    lines: list[str] = []
    skipped = 0
    with closing(_files(room, query, bounds)) as files:
        for path in files:
            try:
                data = room.read_bytes(path)
            except ToolError:
                skipped += 1
                continue
            bounds.read_bytes += len(data)
            lines.extend(_matches(path, data, query, MAX_MATCHES - bounds.found))
            bounds.found = len(lines)
    why = bounds.spent(MAX_MATCHES)
    if why:
        lines.append(f"[{why}: narrow the path or the pattern]")
    if skipped:
        lines.append(f"[{skipped} files could not be searched: larger than {WRITE_LIMIT_BYTES} bytes, or linked]")
    return "\n".join(lines) or "(no match)"


def _files(room: Workspace, query: Query, bounds: Bounds) -> Generator[str, None, None]:
    if room.is_file(query.path):
        yield "/".join(components(query.path))
        return
    with closing(found_entries(room, query.path, query.pattern, True, bounds, MAX_MATCHES)) as entries:
        for entry in entries:
            if entry.kind == "file":
                yield "/".join(entry.parts)


def _matches(path: str, data: bytes, query: Query, most: int) -> Iterator[str]:
    if b"\0" in data or (not query.ignore_case and query.text.encode() not in data):
        return
    wanted = query.text.casefold() if query.ignore_case else query.text
    found = 0
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
        at = (line.casefold() if query.ignore_case else line).find(wanted)
        if at < 0:
            continue
        yield f"{path}:{number}: {_excerpt(line.rstrip(), at)}"
        found += 1
        if found == most:
            return


def _excerpt(line: str, at: int) -> str:
    if len(line) <= MAX_LINE_SHOWN:
        return line
    start = max(0, min(at - 80, len(line) - MAX_LINE_SHOWN))
    end = start + MAX_LINE_SHOWN
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
