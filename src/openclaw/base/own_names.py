"""Names that people choose, of sessions and of runs, are their own: two people may choose the same and never meet.

1. A name is kept with its owner in it: `agent:main:@proxy%3Aalice:main`. The operator's names are kept as they are.
2. People say and see their own names without that. What they are told goes through `told`, whatever it is in.
3. Who may look at what is other people's calls it by its whole name; the operator's is then
   `agent:main:@operator:main`. To everybody else a whole name of somebody else is a session that is not there, whether
   it is there or not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

from openclaw.base.errors import NotFound
from openclaw.base.ids import OPERATOR, OwnerId, RunId, SessionKey
from openclaw.base.principal import Principal

_AGENT = r"agent:[a-z0-9][a-z0-9_-]{0,63}:"
_KEY = re.compile(rf"({_AGENT})(.*)", re.DOTALL)
_MARK = re.compile(r"@([^:]+):(?=.)", re.DOTALL)
_OPERATORS = f"@{OPERATOR}:"
_BEFORE = (b"[", b"{", b",", b":")
"""What stands before a text in JSON without spaces. A quote within a text has a backslash before it."""

_BEGINNING = re.compile(rf'[\[{{,:]"(?:{_AGENT})?'.encode())
_BARE = re.compile(rb'[a-z0-9][a-z0-9_-]{0,63}:(?!@[^":]+:[^"])')
_LONGEST_PREFIX = 80


@lru_cache(maxsize=1024)
def mark(owner: OwnerId) -> str:
    """Return what stands before an owner's names where they are kept: `@owner:`, nothing for the operator."""
    return "" if owner == OPERATOR else f"@{quote(owner, safe='@+~')}:"


def owner_of(key: SessionKey) -> OwnerId:
    """Return whose a session is, by its key alone."""
    found = _KEY.match(key)
    marked = _MARK.match(found[2]) if found else None
    return OwnerId(unquote(marked[1])) if marked else OPERATOR


def kept_key(principal: Principal, key: SessionKey) -> SessionKey:
    """Return the key under which what the principal calls so is kept. A key that is kept already stays the same.

    Raises: NotFound for a whole name of somebody else, unless the principal may look at it.
    """
    found = _KEY.match(key)
    if found is None:
        return key
    agent, name = found[1], found[2]
    owner, marked = principal.owner, _MARK.match(name)
    if marked is not None:
        owner, name = OwnerId(unquote(marked[1])), name[marked.end() :]
        oversees = principal.looks_at is None or principal.rows_of is None
        if (owner != principal.owner and not oversees) or _MARK.match(name):
            raise _no_session(key)
    return SessionKey(agent + mark(owner) + name)


def plain(key: SessionKey) -> SessionKey:
    """Return the key without its owner: what that one calls it."""
    found = _KEY.match(key)
    marked = _MARK.match(found[2]) if found else None
    return SessionKey(found[1] + found[2][marked.end() :]) if found and marked else key


def called(viewer: Principal, key: SessionKey) -> SessionKey:
    """Return what the viewer calls a session that is kept under a key: `kept_key` gives the key again."""
    owner = owner_of(key)
    if owner == viewer.owner:
        return plain(key)
    found = _KEY.match(key)
    return SessionKey(found[1] + _OPERATORS + found[2]) if found and owner == OPERATOR else key


def expect_own(principal: Principal, key: SessionKey) -> None:
    """Make sure that a session which begins is kept among its owner's. Raises: NotFound, as if it were not there."""
    if owner_of(key) != principal.owner:
        raise _no_session(key)


def _no_session(key: SessionKey) -> NotFound:
    return NotFound(f"no session {key!r}", hint="`openclaw sessions list` shows the sessions there are.")


def kept_name(principal: Principal, name: str) -> str:
    """Return the name under which something is kept. One that is kept already stays the same."""
    own = mark(principal.owner)
    return name if own and name.startswith(own) else own + name


def kept_run(principal: Principal, run_id: str) -> RunId:
    """Return the id under which a run is kept that the principal calls so."""
    return RunId(kept_name(principal, run_id))


def runs_meant(principal: Principal, run_id: str) -> tuple[RunId, ...]:
    """Return the runs that may be meant: one's own, and for who may act for everybody the one that is kept so."""
    own = kept_run(principal, run_id)
    return (own,) if principal.rows_of is not None or own == run_id else (own, RunId(run_id))


def beside(key: SessionKey, name: str) -> str:
    """Return a name that is kept for the same person as a session is."""
    return mark(owner_of(key)) + name


def told(viewer: Principal, frame: bytes) -> bytes:
    """Return JSON with the viewer's names in it as the viewer says them: every text that begins with one is one."""
    own = mark(viewer.owner).encode()
    if not own:
        return frame
    if viewer.looks_at is None or viewer.rows_of is None:
        frame = _with_operators(frame)
    return _without(frame, own) if own in frame else frame


def told_text(viewer: Principal, text: str) -> str:
    """Return a text of ours for people, with the viewer's names in it as the viewer says them."""
    own = mark(viewer.owner)
    return text.replace(own, "") if own else text


def _without(frame: bytes, own: bytes) -> bytes:
    """Take a mark out where a text begins with it, or with an agent and it. Linear: frames may be megabytes."""
    first, *parts = frame.split(own)
    made = [first]
    for part in parts:
        before = made[-1]
        quoted = before.rfind(b'"', -_LONGEST_PREFIX)
        if quoted < 1 or not _BEGINNING.fullmatch(before, quoted - 1):
            made.append(own)
        made.append(part)
    return b"".join(made)


def _with_operators(frame: bytes) -> bytes:
    """Put the operator's name into the keys that have none."""
    first, *parts = frame.split(b'"agent:')
    made = [first]
    for part in parts:
        bare = _BARE.match(part) if made[-1][-1:] in _BEFORE else None
        made += [b'"agent:', bare[0], _OPERATORS.encode(), part[bare.end() :]] if bare else [b'"agent:', part]
    return b"".join(made)
