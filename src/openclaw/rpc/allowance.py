"""What is left of the budgets that apply to a caller, as data and as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from openclaw.base.ids import AgentId, RunId
from openclaw.base.money import USD_MICROS, dollars
from openclaw.base.principal import Principal
from openclaw.models.spend.caps import Allowance, allowances, budgets_of, utc
from openclaw.rpc.room import Room
from openclaw.store.api import Spender

CHANNEL = "rpc"
"""What messages by this door are counted as."""


async def allowance(room: Room, principal: Principal, agent_id: AgentId) -> list[Allowance]:
    """Return what is left of each budget that applies when this caller talks to this agent."""
    deps = room.deps
    budgets = budgets_of(deps.config().config.models.budgets, principal.limits)
    if deps.usage is None or not budgets:
        return []
    spender = Spender(
        run_id=RunId(""), tenant=principal.tenant, owner=principal.owner, agent_id=agent_id, channel=CHANNEL
    )
    return await allowances(deps.usage, budgets, spender, deps.clock)


def allowance_lines(found: Sequence[Allowance]) -> list[str]:
    """Return a line of text per budget."""
    return [
        f"{_whose(one)}, this {one.window}: {dollars(one.left_usd_micros)} left of {dollars(one.limit_usd_micros)}"
        f" ({dollars(one.spent_usd_micros)} spent, {dollars(one.held_usd_micros)} held for calls under way);"
        f" starts anew at {utc(one.ends_ms)}"
        for one in found
    ]


def allowance_row(one: Allowance) -> dict[str, Any]:
    """Return a budget as the wire shows it, amounts in USD."""
    return {
        "scope": one.scope,
        "subject": one.subject,
        "window": one.window,
        "endsAt": one.ends_ms,
        "limit": one.limit_usd_micros / USD_MICROS,
        "spent": one.spent_usd_micros / USD_MICROS,
        "held": one.held_usd_micros / USD_MICROS,
        "left": one.left_usd_micros / USD_MICROS,
    }


def _whose(one: Allowance) -> str:
    return f"{one.scope} {one.subject}" if one.subject else "all calls"
