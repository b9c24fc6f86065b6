"""Another shared token, in every place that openclaw owns, and the old one alive for as long as its holders need.

1. The grace is on disk before the first copy is replaced: a client with the old token is never locked out half-way.
2. Every copy is replaced or none: what was written is put back when a later place fails.
3. Places that are not ours are never touched; the operator is told of each.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import InvalidRequest, NotFound
from openclaw.base.secret import Secret
from openclaw.config.changes.book import Book, side_of
from openclaw.config.changes.record import Wish, by_user
from openclaw.config.disk import replace_unchanged, write_atomically
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.writable import require_writable
from openclaw.config.writing.commit import write_file
from openclaw.config.writing.edit import set_value
from openclaw.identity.grace import MAX_GRACE_MS, former, grace_file, load, save
from openclaw.ops.doctor.summary import remarks
from openclaw.ops.token.copies import Copy, credential_mode, effective
from openclaw.ops.token.place import replaced


class Rotated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of each place. The token itself is nowhere in it.

    Shape: `replaced` and `left` are for people; `until_ms` is when the old token ends (Unix ms), 0 for at once.
    """

    fingerprint: str
    replaced: tuple[str, ...]
    left: tuple[str, ...] = ()
    until_ms: int = 0


def rotate(
    paths: StatePaths,
    look: Callable[[], Loaded],
    copies: Sequence[Copy],
    clock: Clock,
    grace_ms: int = 0,
    in_use: Secret | None = None,
) -> tuple[Secret, Rotated]:
    """Make a token, put it wherever openclaw owns the place, and return it. What that changes is recorded.

    Shape: `look` reads the configuration anew; `in_use` is the token that the running gateway takes, when that is
    known: its holders get the grace.

    Raises: InvalidRequest for another mode than token, or when the place that counts is not ours; NotFound without a
    token; NotSupported in read-only mode; OSError, Conflict when a place cannot be written (nothing is changed then).
    """
    loaded, now_ms = look(), clock.now_ms()
    require_writable(loaded.env, loaded.path)
    old, source = _old(loaded)
    if grace_ms > MAX_GRACE_MS:
        raise InvalidRequest("a grace lasts 7 days at most")
    owned = [copy for copy in copies if copy.owned and copy.path is not None]
    counting = next((copy for copy in copies if copy.counts and copy.secret == old), None)
    if counting is not None and not counting.owned:
        raise InvalidRequest(
            f"the token that counts is {counting.where}, which openclaw does not own",
            hint="Change it there; or remove it from there and set gateway.auth.token, then rotate.",
        )
    new = Secret(secrets.token_urlsafe(32))
    keep = load(grace_file(paths.state_dir), now_ms) if grace_ms else ()
    until_ms = now_ms + grace_ms if grace_ms else 0
    save(grace_file(paths.state_dir), (*keep, former(in_use or old, until_ms)) if grace_ms else ())
    wish = by_user(Wish(method="cli: gateway token rotate"), loaded.env)
    with Book(paths, clock, remarks).around(wish, loaded.env, lambda: side_of(look())):
        _write_all(owned, new)
        where = [copy.where for copy in owned]
        if counting is None:
            where.append(_set_in_config(loaded, new, source))
    left = tuple(copy.where for copy in copies if not copy.owned)
    return new, Rotated(fingerprint=new.fingerprint(), replaced=tuple(where), left=left, until_ms=until_ms)


def _old(loaded: Loaded) -> tuple[Secret, str]:
    if credential_mode(loaded) != "token":
        raise InvalidRequest(
            "gateway.auth.mode is password: a password is chosen, not rotated",
            hint="openclaw config set gateway.auth.password NEW",
        )
    old, source = effective(loaded)
    if not old:
        raise NotFound("No gateway token is configured.", hint="The gateway makes one at its start.")
    return old, source


def _set_in_config(loaded: Loaded, new: Secret, source: str) -> str:
    """The token comes from a reference that nobody here may write: the configuration takes its place."""
    if loaded.source != "file":
        raise InvalidRequest(f"the token comes from {source}, which openclaw does not own", hint="Change it there.")
    if any(placed.path == "gateway.auth.token" for placed in loaded.references):
        raise InvalidRequest(
            "gateway.auth.token names a secret that is kept elsewhere", hint=f"Change it there ({source})."
        )
    text = set_value(loaded.raw, "gateway.auth.token", new.reveal())
    write_file(loaded.path, text.encode(), loaded.file_hash, loaded.env, main=loaded.path)
    return f"gateway.auth.token in {loaded.path}"


def _write_all(owned: Sequence[Copy], new: Secret) -> None:
    before: dict[Path, bytes] = {}
    texts: dict[Path, str] = {}
    for copy in owned:
        assert copy.path is not None
        if copy.path not in before:
            before[copy.path] = copy.path.read_bytes()
            texts[copy.path] = before[copy.path].decode("utf-8", "surrogateescape")
        texts[copy.path] = replaced(texts[copy.path], copy, new)
    done: list[Path] = []
    try:
        for path, text in texts.items():
            replace_unchanged(path, text.encode("utf-8", "surrogateescape"), None)
            done.append(path)
    except OSError:
        for path in done:
            write_atomically(path, before[path])
        raise
