"""Sign-ins in the ledger: guessing fills neither disk nor memory, and what is left out is counted."""

from __future__ import annotations

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.principal import Principal
from openclaw.policy.ledger import Ledger
from openclaw.policy.sign_ins import MAX_WAITING, REFUSED_EVERY_S, SignIns
from tests.fakes.doors import LedgerRows

pytestmark = pytest.mark.anyio


async def test_a_guesser_is_a_row_a_minute_and_more_clients_than_can_wait_are_a_number() -> None:
    rows, clock = LedgerRows(), ManualClock()
    sign_ins = SignIns(Ledger(rows, clock), clock)
    for _ in range(3):
        sign_ins.refused("192.0.2.1", "http", "mismatch")
    clock.advance(REFUSED_EVERY_S)
    sign_ins.refused("192.0.2.1", "http", "mismatch")
    for number in range(MAX_WAITING):
        sign_ins.accepted(Principal(), f"client-{number}", "connect")
    await sign_ins.close()
    assert [row.rule for row in rows.entries[:2]] == ["auth.mismatch"] * 2
    assert len(rows.entries) == MAX_WAITING + 1
    assert (rows.entries[-1].action, rows.entries[-1].facts) == ("sign-ins left out", {"rows": 2})
