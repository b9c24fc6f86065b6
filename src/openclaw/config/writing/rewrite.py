"""New texts from what clients send: a whole text, or a merge patch; and what is wrong with one, in clients' words."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from openclaw.base.errors import ConfigError, InvalidRequest, TooLarge
from openclaw.config.issue import Issue
from openclaw.config.keypath import MAX_PATH_CHARS, KeyPath, format_path, parse_path
from openclaw.config.load import Loaded
from openclaw.config.paths import is_yaml
from openclaw.config.reading.form import read_plain
from openclaw.config.reading.include import includes
from openclaw.config.reading.parse import parse
from openclaw.config.reading.values import lookup
from openclaw.config.redaction.redact import comments, placeholders
from openclaw.config.redaction.restore import restored, restored_text
from openclaw.config.writing.apply import with_values
from openclaw.config.writing.difference import difference, edited, merged

MAX_CHARS: Final = 1_000_000
TOLD_ISSUES: Final = 20
TOLD_CHARS: Final = 200
"""Of a name that a client chose."""
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_INDEX: Final = re.compile(r"\[\d+\]")
T = TypeVar("T")


def whole(raw: str, before: Loaded) -> str:
    """Return the text to write for a whole text that was sent.

    A text that a program made (strict JSON, no comments) is taken as what it says, and the file's own text is edited
    into saying it: a form that was saved does not cost the person their comments.

    Raises: InvalidRequest, TooLarge.
    """
    _require_small(raw, before)
    if is_yaml(before.path):
        return _whole_yaml(raw, before)
    text = _read(lambda: restored_text(raw, before.raw, before.parsed), raw)
    usable = before.source == "file" and (before.included or any(True for _ in comments(before.raw)))
    if not usable or any(True for _ in comments(text)) or not _is_strict(text):
        return text
    values = parse(text)
    try:
        if includes(values):
            return edited(before.raw, difference(before.own, values), values)
        return with_values(before, values)
    except TooLarge:
        if before.included:  # the text as it was sent would make what other files say the file's own
            raise
        return text


def _whole_yaml(raw: str, before: Loaded) -> str:
    """Do the same for YAML; JSON, as forms send it, is edited into the text that is there."""
    from openclaw.config.writing.yaml_edit import set_at

    if _is_strict(raw) and before.source == "file" and not includes(values := patch_of(raw)):
        return with_values(before, restored(values, before.parsed))
    new = _read(lambda: read_plain(raw, yaml=True, placed=False).parsed, raw)
    old = read_plain(before.raw, yaml=True, placed=False).parsed if before.source == "file" else {}
    whole_values = restored(new, old)
    text = raw
    for path in tuple(placeholders(new)):
        text = set_at(text, path, lookup(whole_values, path))
    return text


def patched(raw: str, before: Loaded, replace: Collection[str] | None = None) -> str:
    """Return the text to write for a JSON5 merge patch; `replace` as in `merged`. Raises: InvalidRequest, TooLarge."""
    _require_small(raw, before)
    if before.source == "last-good":
        raise InvalidRequest(
            "the configuration file cannot be parsed, so there is nothing to patch",
            hint="Send a whole text with config.set.",
        )
    replaced = None if replace is None else {_INDEX.sub("[]", path.strip()) for path in replace}
    return with_values(before, merged(before.parsed, restored(patch_of(raw), before.parsed), replaced))


def _require_small(raw: str, before: Loaded) -> None:
    """Every change is worked out while others wait; what takes seconds belongs into the file by other ways."""
    for chars, what in ((len(raw), "raw"), (len(before.raw), str(before.path))):
        if chars > MAX_CHARS:
            raise TooLarge(
                f"{what} has {chars} characters; clients may change a configuration of {MAX_CHARS} at most",
                hint="Edit the file itself, which is taken up too; parts of it may be files of their own ($include).",
            )


def patch_of(raw: str) -> dict[str, Any]:
    """Return a merge patch. Raises: InvalidRequest."""
    return _read(lambda: parse(raw), raw)


def patch_paths(patch: Mapping[str, Any], limit: int = 5) -> str:
    """Return the leaves that a patch sets, as a short text."""
    found: list[str] = []
    _leaves(patch, (), found, limit + 1)
    return ", ".join(path[:TOLD_CHARS] for path in found[:limit]) + (", …" if len(found) > limit else "")


def _leaves(value: Any, path: KeyPath, found: list[str], limit: int) -> None:
    if len(found) >= limit:
        return
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            _leaves(inner, (*path, key), found, limit)
    elif path:
        found.append(format_path(path))


def worse(after: Loaded, before: Loaded) -> list[dict[str, str]]:
    """Return what a new text gets wrong that the old one did not: errors, and keys that nobody knows."""
    known = {_gist(issue) for issue in before.issues}
    new = (issue for issue in after.issues if issue.severity == "error" or issue.kind == "unknown-key")
    return [_told(issue) for issue in new if _gist(issue) not in known][:TOLD_ISSUES]


def broken(after: Loaded, before: Loaded) -> list[str]:
    """Return what is wrong with a file that was well before, a place that was wrong already left out."""
    known = {_gist(issue)[:2] for issue in before.issues if issue.severity == "error"}
    new = (issue for issue in after.issues if issue.severity == "error" and _gist(issue)[:2] not in known)
    # Their hints tell what a start would make of them, which is not to happen.
    return [str(msgspec.structs.replace(issue, hint="")) for issue in new][:TOLD_ISSUES]


def invalid(issues: Iterable[Mapping[str, str]]) -> InvalidRequest:
    """Return the refusal of a text that may not be written."""
    told = list(issues)
    said = "; ".join(f"{issue['path'] or '<root>'}: {issue['message']}" for issue in told)
    return InvalidRequest(f"invalid config: {said}", details={"issues": told})


def _gist(issue: Issue) -> tuple[str, str, str]:
    """Return what stays the same about an issue when lines and entries around it move."""
    return issue.kind, _INDEX.sub("[]", issue.path), issue.message


def _told(issue: Issue) -> dict[str, str]:
    if issue.kind == "unknown-key" and 0 < len(issue.path) <= MAX_PATH_CHARS:
        *parent, key = parse_path(issue.path)
        place = format_path(tuple(parent))
        return {"path": place[:TOLD_CHARS], "message": f'Unrecognized key: "{str(key)[:TOLD_CHARS]}"'}
    return {"path": issue.path[:TOLD_CHARS], "message": issue.message[: 5 * TOLD_CHARS]}


def _is_strict(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True


def _read(read: Callable[[], T], raw: str) -> T:
    """Return what `read` does; a text that does not parse is refused in the words that clients know."""
    try:
        return read()
    except ConfigError as error:
        if "one object" in error.message:
            raise InvalidRequest("raw must be a JSON5 object", hint=error.hint) from None
        form = "YAML" if "YAML" in error.hint else "JSON5"
        line, column = error.details.get("line", 1), error.details.get("column", 1)
        lines = _LINE_END.split(raw)
        rest = lines[line - 1][column - 1 :] if line <= len(lines) else ""
        what = f"invalid character '{rest[0]}'" if rest else "invalid end of input"
        raise InvalidRequest(f"SyntaxError: {form}: {what} at {line}:{column}", hint=error.message) from None
