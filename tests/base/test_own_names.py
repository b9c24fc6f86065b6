"""Names of one's own: kept apart, told back as they were said, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from openclaw.base.errors import NotFound
from openclaw.base.ids import OPERATOR, OwnerId, SessionKey
from openclaw.base.own_names import (
    beside,
    called,
    expect_own,
    kept_key,
    kept_run,
    mark,
    owner_of,
    plain,
    runs_meant,
    told,
    told_text,
)
from openclaw.base.principal import Limits, Principal

ALICE = Principal(owner=OwnerId("proxy:alice"), scopes=frozenset(("operator.write",)))
BOB = Principal(owner=OwnerId("proxy:bob"), scopes=frozenset(("operator.write",)))
ROOT = Principal(owner=OwnerId("proxy:root"), scopes=frozenset(("operator.admin",)))
READER = Principal(owner=OwnerId("proxy:reader"), limits=Limits(sessions="all"))
SHARED = Principal(scopes=frozenset(("operator.admin",)))
MAIN = SessionKey("agent:main:main")
HERS = SessionKey("agent:main:@proxy%3Aalice:main")

names = some.text(some.characters(min_codepoint=0x21, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
owners = names.map(OwnerId)


def say(viewer: Principal, said: Any) -> Any:
    return msgspec.json.decode(told(viewer, msgspec.json.encode(said)))


def test_everybody_has_a_main_session_of_their_own() -> None:
    assert [kept_key(each, MAIN) for each in (SHARED, ALICE)] == [MAIN, HERS]
    assert kept_key(ALICE, HERS) == HERS
    assert (owner_of(HERS), plain(HERS)) == (ALICE.owner, MAIN)
    assert beside(HERS, "copy") == "@proxy%3Aalice:copy"


@given(owners, owners, names, names)
def test_two_people_never_meet_whatever_they_call_things(one: OwnerId, two: OwnerId, first: str, second: str) -> None:
    alice, bob = Principal(owner=one), Principal(owner=two)
    kept = []
    for who, name in ((alice, first), (bob, second)):
        try:
            kept.append(kept_key(who, SessionKey(f"agent:main:{name}")))
        except NotFound:
            return
        assert owner_of(kept[-1]) == who.owner
    assert one == two or kept[0] != kept[1]
    assert one == two or kept_run(alice, first) != kept_run(bob, second) or OPERATOR in (one, two)


@given(owners, names)
def test_what_was_said_is_what_is_told(owner: OwnerId, name: str) -> None:
    who, key = Principal(owner=owner), SessionKey(f"agent:main:{name}")
    try:
        kept = kept_key(who, key)
    except NotFound:
        return
    if not name.startswith("@"):
        assert say(who, [kept, {kept: kept}, {"a": f"{kept_run(who, name)}:user"}]) == [
            key,
            {key: key},
            {"a": f"{name}:user"},
        ]


def test_a_whole_name_of_somebody_else_is_nothing_to_who_may_not_look() -> None:
    for key in (HERS, SessionKey("agent:main:@proxy%3Anobody:main"), SessionKey("agent:main:@operator:main")):
        with pytest.raises(NotFound, match="no session"):
            kept_key(BOB, key)
    assert kept_key(ROOT, HERS) == kept_key(READER, HERS) == kept_key(SHARED, HERS) == HERS
    assert kept_key(ROOT, SessionKey("agent:main:@operator:main")) == MAIN
    assert kept_key(SHARED, SessionKey("agent:main:@operator:main")) == MAIN
    for who in (BOB, ROOT, SHARED):
        with pytest.raises(NotFound):
            expect_own(who, HERS)
    expect_own(ALICE, HERS)


def test_who_sees_all_is_told_whole_names_of_others() -> None:
    his = kept_key(ROOT, MAIN)
    assert say(ROOT, [MAIN, HERS, his]) == ["agent:main:@operator:main", HERS, MAIN]
    assert say(SHARED, [MAIN, HERS, his]) == [MAIN, HERS, his]
    assert [called(ROOT, key) for key in (MAIN, HERS, his)] == ["agent:main:@operator:main", HERS, MAIN]
    assert [kept_key(ROOT, called(ROOT, key)) for key in (MAIN, HERS, his)] == [MAIN, HERS, his]
    assert runs_meant(ROOT, "r") == ("@proxy%3Aroot:r", "r")
    assert (runs_meant(ALICE, "r"), runs_meant(SHARED, "r")) == (("@proxy%3Aalice:r",), ("r",))


def test_what_people_wrote_is_left_as_it_is() -> None:
    texts = [f"see {HERS}", f'"{HERS}"', f'x,"{HERS}', "agent: main", f"\\,{HERS}", '["agent:main:main"]']
    for who in (ALICE, ROOT):
        assert say(who, {"text": texts}) == {"text": texts}
    assert told_text(ALICE, f"no session {HERS!r}") == f"no session {MAIN!r}"
    assert told_text(SHARED, f"no session {HERS!r}") == f"no session {HERS!r}"
    assert mark(OPERATOR) == ""
