"""A credential that was replaced with a grace opens the gateway until its time is over, and not a moment longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unauthorized
from openclaw.base.secret import Secret
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.authenticate import Authenticator, Evidence
from openclaw.identity.grace import MAX_GRACE_MS, former, grace_file, load, save
from openclaw.identity.locality import Source

OLD, NEW = Secret("old-" * 10), Secret("new-" * 10)
HERE = Source("127.0.0.1", True)


def bearer(secret: Secret) -> dict[bytes, bytes]:
    return {b"authorization": b"Bearer " + secret.reveal().encode()}


def test_the_old_credential_works_until_its_time_is_over() -> None:
    clock = ManualClock()
    door = Authenticator("token", OLD, None, RateLimitConfig, clock)
    before = door.http(bearer(OLD), HERE)
    told: list[str] = []
    door.holders.add(lambda: told.append("closed"))
    assert door.renew("token", NEW, None, (former(OLD, clock.now_ms() + 60_000),))
    after = door.http(bearer(NEW), HERE)
    late = door.connect(Evidence(token=OLD.reveal()), HERE, "operator", ("operator.read",), 4)
    assert [door.stands(one) for one in (before, after, late)] == [True, True, True]

    clock.advance(60)

    assert [door.stands(one) for one in (before, after, late)] == [False, True, False]
    with pytest.raises(Unauthorized):
        door.http(bearer(OLD), HERE)
    with pytest.raises(Unauthorized):
        door.connect(Evidence(token=OLD.reveal()), HERE, "operator", (), 4)
    told.clear()
    door.allow(())
    assert told == ["closed"]


def test_without_a_grace_the_old_one_ends_at_once() -> None:
    door = Authenticator("token", OLD, None, RateLimitConfig, ManualClock())
    before = door.http(bearer(OLD), HERE)
    door.renew("token", NEW, None)
    assert not door.stands(before)


def test_another_mode_ends_what_came_by_the_same_text() -> None:
    door = Authenticator("token", OLD, None, RateLimitConfig, ManualClock())
    before = door.http(bearer(OLD), HERE)
    door.renew("password", None, OLD)
    assert not door.stands(before)


def test_the_file_holds_hashes_only_and_what_has_ended_or_lasts_too_long_is_not_read(tmp_path: Path) -> None:
    path = grace_file(tmp_path)
    kept = former(OLD, 2_000)
    save(path, (kept, former(NEW, 500), former(Secret("x" * 40), MAX_GRACE_MS + 5_000)))
    assert path.stat().st_mode & 0o777 == 0o600
    assert OLD.reveal().encode() not in path.read_bytes()
    assert load(path, 1_000) == (kept,)
    path.write_text("{")
    assert load(path, 1_000) == ()
    save(path, ())
    assert not path.exists()
