"""Which model does a piece of work: rules first, then the tier of its purpose, then the agent's own. Pure."""

from __future__ import annotations

import msgspec

from openclaw.base.model import Purpose
from openclaw.config.schema import ModelChoice, RouteConfig, RouteWhen, TiersConfig


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a piece of work before a model is picked.

    Shape: `text` is the latest message's; `tokens` the prompt's estimated size.
    """

    purpose: Purpose = "interactive"
    agent: str = ""
    channel: str = ""
    group: bool = False
    text: str = ""
    tokens: int = 0


def choose(routes: tuple[RouteConfig, ...], tiers: TiersConfig, facts: Facts) -> str | None:
    """Return the model of the first route that holds, else of the purpose's tier, else None: the agent's own."""
    for route in routes:
        if holds(route.when, facts):
            return route.use
    tier: str = getattr(tiers, facts.purpose, "")
    return tier or None


def holds(when: RouteWhen, facts: Facts) -> bool:
    """Say whether everything that a rule sets is true; a rule that sets nothing always holds."""
    return (
        (not when.purpose or when.purpose == facts.purpose)
        and (not when.agent or when.agent == facts.agent)
        and (not when.channel or when.channel == facts.channel)
        and (when.group is None or when.group == facts.group)
        and facts.tokens >= when.tokens
        and (not when.contains or when.contains.casefold() in facts.text.casefold())
    )


def line_up(chosen: str | None, own: str | ModelChoice, default: str) -> tuple[str, ...]:
    """Return the models to try in order: the one chosen in the primary's place, then the agent's fallbacks.

    A rule may keep text away from a provider: the primary that it replaced is therefore no fallback of its own accord.
    """
    choice = own if isinstance(own, ModelChoice) else ModelChoice(primary=own)
    return tuple(dict.fromkeys((chosen or choice.primary or default, *choice.fallbacks)))
