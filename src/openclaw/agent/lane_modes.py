"""What a message does that arrives at a session. Pure: facts in, decision out.

Rules
1. An idle lane starts the message, whatever the mode.
2. `reject` refuses while a run is going.
3. `interrupt` stops the run and everything that waits, and goes next.
4. `steer` joins the run that is going: the model sees it at its next step.
5. `followup` and `collect` wait in order; `collect` later joins all that waits into one turn.
6. A full queue follows the drop rule: refuse the new one, drop the oldest, or drop the oldest and keep a line of it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from openclaw.base.run import LaneMode

DropPolicy = Literal["reject-new", "drop-oldest", "summarise"]
Action = Literal["start", "queue", "steer", "interrupt", "reject"]


class Decision(msgspec.Struct, frozen=True):
    """What to do with an arrival, and whether the oldest that waits must go for it."""

    action: Action
    drop_oldest: bool = False
    keep_summary: bool = False


START = Decision("start")
_BUSY: dict[LaneMode, Action] = {
    "followup": "queue",
    "collect": "queue",
    "steer": "steer",
    "interrupt": "interrupt",
    "reject": "reject",
}
_FULL: dict[DropPolicy, Decision] = {
    "reject-new": Decision("reject"),
    "drop-oldest": Decision("queue", drop_oldest=True),
    "summarise": Decision("queue", drop_oldest=True, keep_summary=True),
}


def decide(*, busy: bool, waiting: int, mode: LaneMode, cap: int, drop: DropPolicy) -> Decision:
    """Return the decision for one arrival at a lane with a run going (`busy`) and `waiting` messages."""
    if not busy and waiting == 0:
        return START
    action = _BUSY[mode]
    if action == "steer" and not busy:
        action = "queue"
    if action == "queue" and waiting >= cap:
        return _FULL[drop]
    return Decision(action)
