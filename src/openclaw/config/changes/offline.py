"""A change of the file by a command or a fix: checked, written, recorded. A running gateway takes it up by itself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import ConfigError
from openclaw.config.changes.ledger import Ledger
from openclaw.config.changes.record import ChangeRecord, Wish, make_record
from openclaw.config.env import Environment
from openclaw.config.load import Loaded, load, load_text
from openclaw.config.paths import StatePaths
from openclaw.config.refusal import refusals
from openclaw.config.writable import require_writable
from openclaw.config.writing.commit import write_config


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
    *,
    mend: bool = False,
    complete: Callable[[Loaded, str | None], Loaded] = lambda loaded, _: loaded,
) -> Written:
    """Write what `rewrite` makes of the file as it is, unless that makes something worse than it was.

    `mend` takes a text with errors too, but none that a start refuses: for the way back to what once was.
    `complete` gives a configuration, of the file or of a text, the secrets that it names: without it they are issues.
    Raises: ConfigError naming what would be wrong; NotSupported in read-only mode; Conflict; what `rewrite` raises.
    """
    require_writable(env, paths.config_path)
    before = complete(load(paths, env), None)
    text = rewrite(before)
    if before.exists and text == before.raw:
        return Written(before, before, None)
    after = complete(load_text(text, paths, env), text)
    _refuse_worse(before, after, mend=mend)
    old = paths.config_path.read_bytes() if paths.config_path.exists() else None
    write_config(paths.config_path, text, before.file_hash, env)
    ledger = Ledger(paths.state_dir, clock)
    record = make_record(wish, before, after, record_id=ledger.new_id(), at_ms=clock.now_ms(), outcome="written")
    ledger.add(record, old, text.encode())
    return Written(before, after, record)


def _refuse_worse(before: Loaded, after: Loaded, *, mend: bool) -> None:
    known = {str(issue) for issue in before.issues if issue.severity == "error"}
    found = [] if mend else [str(issue) for issue in after.issues if issue.severity == "error"]
    worse = [issue for issue in found if issue not in known]
    worse += [error.message for error in refusals(after)]
    if worse:
        raise ConfigError(
            f"Nothing was written: {'; '.join(worse)}", hint="docs/settings.md has each setting's values."
        )
