"""Where every message from a chat channel comes in: the door, a stranger's code, and what they are answered.

1. Every denial is in the ledger with channel, id and agent, the same sender's once a minute at most: a flood of
   messages is not a flood of rows. An allowance is a row once an hour.
2. A group is never answered by a door. A stranger gets one code while it holds, or one answer an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.ids import OwnerId
from openclaw.base.principal import Principal
from openclaw.config.schema import DmPolicyConfig
from openclaw.policy.dm_door import Message, dm_ask
from openclaw.policy.gatekeeper import Gatekeeper, Verdict
from openclaw.policy.senders import CODE_MS, Senders

ROW_S: Final = 60.0
REPLY_S: Final = 3600.0
MAX_KNOWN: Final = 4096


class Admission(msgspec.Struct, frozen=True):
    """Whether a message goes on to its agent, and what its sender is answered by the door; "" is nothing."""

    verdict: Verdict
    reply: str = ""

    @property
    def allowed(self) -> bool:
        """Whether the message goes on."""
        return self.verdict.answer == "allow"


class Reception:
    """Judges messages of channels."""

    def __init__(self, gate: Gatekeeper, senders: Senders, policy: Callable[[], DmPolicyConfig], clock: Clock) -> None:
        self._gate = gate
        self._senders = senders
        self._policy = policy
        self._clock = clock
        self._written: BoundedMap[tuple[str, ...], float] = BoundedMap("policy.refused-senders", MAX_KNOWN)
        self._answered: BoundedMap[tuple[str, ...], float] = BoundedMap("policy.answered-senders", MAX_KNOWN)

    async def admit(self, message: Message, agent: str, name: str = "") -> Admission:
        """Judge a message. `name` is what its sender is called; only people see it. Raises: Unavailable."""
        ask = dm_ask(Principal(owner=OwnerId(message.place), method="none"), message, agent)
        verdict = self._gate.judge(ask)
        key = (message.place, message.group, agent, verdict.rule_id)
        if verdict.answer == "allow" or self._is_due(self._written, key, ROW_S):
            verdict = await self._gate.admit(ask, once=True)
        if verdict.answer == "allow" or message.group or verdict.rule_id == "dm.no-id":
            return Admission(verdict)
        if verdict.answer == "ask" and (code := await self._senders.ask(message, name)):
            return Admission(verdict, self._with_code(code))
        if verdict.answer == "deny" and self._is_due(self._answered, (message.place,), REPLY_S):
            return Admission(verdict, self._policy().unknown_reply)
        return Admission(verdict)

    def _with_code(self, code: str) -> str:
        told = (
            f"Your code is {code}. Whoever runs this assistant can let you in with it for {CODE_MS // 60_000} minutes."
        )
        return f"{self._policy().unknown_reply}\n{told}".strip()

    def _is_due(self, known: BoundedMap[tuple[str, ...], float], key: tuple[str, ...], every_s: float) -> bool:
        now_s = self._clock.monotonic_s()
        last_s = known.get(key)
        if last_s is not None and now_s - last_s < every_s:
            return False
        known.put(key, now_s)
        return True
