"""The door before every command. What the command means was judged before (policy.exec); here is what holds around it.

1. What the judgement denies stays denied, also when a person has approved something that it was made from.
2. Without walls that the operator has not chosen to do without, everything is asked about.
3. A command that takes input later is asked about: what it will be told is not in the plan.
4. A conversation with a confined skill runs nothing without walls, whatever anybody approves.
5. An approved command runs when its plan, made anew, is the one that was approved.
"""

from __future__ import annotations

from typing import Final

import msgspec

from openclaw.policy.content_door import when_tainted
from openclaw.policy.exec.judge import Judgement
from openclaw.policy.exec.plan import Plan, verify
from openclaw.policy.exec.rules_file import AskWhen
from openclaw.policy.gatekeeper import Ask, Verdict

KIND: Final = "exec"
FACT: Final = "command"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The one fact of this door. `approved` is the plan that a person has allowed, `no_walls` why there are none,
    `confined` by which skill its conversation is confined.

    Shape: `free`: what rules allow may run after text from outside too, because walls shut it in, or because the
    operator says so (`tools.tainted`). Walls have no way out but the one that asks about new hosts itself.
    """

    judgement: Judgement
    ask: AskWhen
    no_walls: str = ""
    takes_input: bool = False
    confined: str = ""
    free: bool = False
    approved: Plan | None = None


def exec_rule(ask: Ask) -> Verdict:
    """Decide by the judgement and what is around it. An ask without a judgement is denied."""
    wanted = ask.facts.get(FACT)
    if not isinstance(wanted, Wanted):
        return Verdict("deny", "exec.unjudged", "the command was not judged")
    found = wanted.judgement.verdict
    if found.answer == "deny":
        return found
    if wanted.confined and (wanted.no_walls or wanted.takes_input):
        why = wanted.no_walls or "it would take input later"
        return Verdict("deny", "skill.confined-use", f"the conversation is confined by {wanted.confined}, and {why}")
    if wanted.approved is not None:
        same = verify(wanted.approved, wanted.judgement.plan)
        return same if same.answer != "allow" else Verdict("allow", "exec.approved", "a person has approved this plan")
    if found.answer == "allow" and wanted.no_walls:
        found = Verdict("ask", "exec.no-walls", f"nothing would shut the command in: {wanted.no_walls}")
    elif found.answer == "allow" and wanted.takes_input and found.rule_id != "exec.full":
        found = Verdict("ask", "exec.input", "what it will be told later is not known")
    else:
        stricter = found if wanted.free else when_tainted(found, ask)
        if stricter is found:
            return found
        found = stricter
    if wanted.ask == "off":
        return Verdict("deny", found.rule_id, f"{found.reason}; and tools.exec.ask is off")
    return found
