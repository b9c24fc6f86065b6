"""A change of the files by a command or a fix: checked, written, recorded. A running gateway takes it up by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError, NotFound
from openclaw.config.changes.book import Book
from openclaw.config.changes.record import ChangeRecord, Doctor, Side, Wish
from openclaw.config.env import Environment
from openclaw.config.load import Draft, Files, Loaded, load, load_text, read_files
from openclaw.config.paths import StatePaths
from openclaw.config.refusal import refusals
from openclaw.config.writable import require_writable


class Whole(Protocol):
    """Gives a configuration, of the files or of a draft, the secrets that it names: without them they are issues."""

    def __call__(self, loaded: Loaded, draft: Draft | None = None) -> Loaded: ...


class Written(msgspec.Struct, frozen=True):
    """The configuration around a change. `record` is None when there was nothing to change."""

    before: Loaded
    after: Loaded
    record: ChangeRecord | None


def change(
    paths: StatePaths,
    env: Environment,
    clock: Clock,
    wish: Wish,
    rewrite: Callable[[Loaded], str],
    whole: Whole,
    doctor: Doctor,
) -> Written:
    """Write what `rewrite` makes of the file as it is, unless that makes something worse than it was.

    Raises: ConfigError naming what would be wrong; NotSupported in read-only mode; Conflict; what `rewrite` raises.
    """
    require_writable(env, paths.config_path)
    before = whole(load(paths, env))
    text = rewrite(before)
    if before.exists and text == before.raw:
        return Written(before, before, None)
    after = whole(load_text(text, paths, env), Draft(text))
    known = {str(issue) for issue in before.issues if issue.severity == "error"}
    _refuse([said for issue in after.issues if issue.severity == "error" and (said := str(issue)) not in known], after)
    record = Book(paths, clock, doctor).write(wish, env, before, after, {paths.config_path: text.encode()})
    return Written(before, after, record)


def roll_back(
    paths: StatePaths,
    env: Environment,
    clock: Clock,
    wish: Wish,
    change_id: str,
    whole: Whole,
    doctor: Doctor,
) -> Written:
    """Put all files of the configuration back as they were before a change, byte for byte.

    It takes files with errors too, but none that a start refuses: this is the way back to what once was.
    Raises: NotFound when there was no file before; ConfigError; NotSupported in read-only mode; Conflict.
    """
    require_writable(env, paths.config_path)
    book = Book(paths, clock, doctor)
    record = book.ledger.get(change_id)
    files = book.ledger.files(record.before)
    if not files:
        raise NotFound(
            f"Before {record.id} there was no file.", hint=f"To be without one again, remove {paths.config_path}."
        )
    if paths.config_path not in files:
        raise ConfigError(
            f"Change {record.id} is one of {next(iter(files))}, and the configuration is {paths.config_path} now.",
            hint="Name the other file with OPENCLAW_CONFIG_PATH.",
        )
    now = read_files(paths.config_path)
    before: Side
    try:
        before = whole(load(paths, env))
    except ConfigError as error:
        before = error.message
    draft = Draft(files[paths.config_path].decode("utf-8-sig"), files)
    after = whole(load_text(draft.text, paths, env, contents=files), draft)
    if all(now.get(path) == data for path, data in files.items()):
        return Written(after, after, None)
    _refuse([], after)
    made = book.write(wish, env, before, after, _other(files, now))
    return Written(after if isinstance(before, str) else before, after, made)


def _other(files: Files, now: Files) -> Files:
    return {path: data for path, data in files.items() if now.get(path) != data}


def _refuse(worse: list[str], after: Loaded) -> None:
    worse += [error.message for error in refusals(after)]
    if worse:
        raise ConfigError(
            f"Nothing was written: {'; '.join(worse)}", hint="docs/settings.md has each setting's values."
        )
