"""A message from a channel: written down when it is refused, answered as the policy says, and no more than that."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Unavailable
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import Config, DmPolicyConfig
from openclaw.policy.dm_door import Message, dm_rule
from openclaw.policy.reception import REPLY_S, ROW_S, Reception
from openclaw.policy.senders import CODE_CHARS, Senders
from tests.fakes.doors import LedgerRows, gatekeeper
from tests.fakes.memory_shelf import MemoryShelf

pytestmark = pytest.mark.anyio

STRANGER = Message(channel="telegram", sender="42")


class House:
    def __init__(self, **policy: Any) -> None:
        self.config = Config(dm_policy=DmPolicyConfig(**policy))
        self.clock, self.rows = ManualClock(), LedgerRows()
        self.senders = Senders(MemoryShelf(), self.clock)
        gate = gatekeeper({"dm": dm_rule(lambda: self.config, self.senders.is_paired)}, self.rows, self.clock)
        self.reception = Reception(gate, self.senders, lambda: self.config.dm_policy, self.clock)


async def test_a_refusal_is_written_with_channel_id_and_agent_but_a_flood_is_not() -> None:
    house = House()
    for _ in range(50):
        assert not (await house.reception.admit(STRANGER, "main")).allowed
    (row,) = house.rows.entries
    assert (row.kind, row.channel, row.target, row.agent) == ("dm", "telegram", "telegram:42", "main")
    assert (row.answer, row.rule, row.tainted) == ("deny", "dm.unknown", True)
    await house.reception.admit(Message(channel="telegram", sender="43"), "main")
    house.clock.advance(ROW_S)
    await house.reception.admit(STRANGER, "main")
    assert len(house.rows.entries) == 3


async def test_a_stranger_hears_nothing_or_what_the_policy_says_once_an_hour() -> None:
    assert (await House().reception.admit(STRANGER, "main")).reply == ""
    house = House(unknown_reply="Who is it?")
    replies = [(await house.reception.admit(STRANGER, "main")).reply for _ in range(3)]
    assert replies == ["Who is it?", "", ""]
    house.clock.advance(REPLY_S)
    assert (await house.reception.admit(STRANGER, "main")).reply == "Who is it?"
    grouped = Message(channel="telegram", sender="77", group="-1")
    assert (await house.reception.admit(grouped, "main")).reply == ""
    assert (await house.reception.admit(Message(channel="telegram", sender="@x"), "main")).reply == ""


async def test_a_code_is_sent_once_and_lets_its_sender_in() -> None:
    house = House(mode="pairing")
    reply = (await house.reception.admit(STRANGER, "main", "Ann")).reply
    code = reply.split("code is ")[1][:CODE_CHARS]
    assert (await house.reception.admit(STRANGER, "main")).reply == ""
    await house.senders.approve(LOCAL_OPERATOR, "telegram", "default", code)
    assert (await house.reception.admit(STRANGER, "main")).allowed
    assert [row.answer for row in house.rows.entries] == ["ask", "allow"]


async def test_without_the_ledger_nobody_is_let_in() -> None:
    house = House(allow_ids=("telegram:42",))
    house.rows.full = True
    with pytest.raises(Unavailable):
        await house.reception.admit(STRANGER, "main")
