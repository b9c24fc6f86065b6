"""What an operator should look at again in the egress lists: a review that is due, an entry that opens nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple

from openclaw.config.schema import Config
from openclaw.policy.egress.allowlist import problem
from openclaw.policy.egress.door import CLASSES


class Due(NamedTuple):
    """A class whose list was to be looked at by a day that has passed. `owner` is "" when nobody is named."""

    setting: str
    review: str
    owner: str
    entries: int


def reviews_due(config: Config, now_ms: int) -> Iterator[Due]:
    """Yield the classes whose review is due. A day that is none, as 2027-02-30, is due."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    for name in CLASSES:
        group = getattr(config.network_policy.classes, name)
        if group.review and not _lies_ahead(group.review, today):
            yield Due(f"networkPolicy.classes.{name}", group.review, group.owner, len(group.allow))


def idle_entries(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield (setting, entry, why) for what is written in a list and opens nothing."""
    for setting, entries in _lists(config):
        for entry in entries:
            if why := problem(entry):
                yield setting, entry, why


def _lies_ahead(day: str, today: date) -> bool:
    try:
        return date.fromisoformat(day) >= today
    except ValueError:
        return False


def _lists(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    policy = config.network_policy
    yield "networkPolicy.egressAllowlist", policy.egress_allowlist
    for name in CLASSES:
        yield f"networkPolicy.classes.{name}.allow", getattr(policy.classes, name).allow
    for action, narrow in policy.actions.items():
        yield f"networkPolicy.actions.{action}.egressAllowlist", narrow.egress_allowlist
    for agent in config.agents.list:
        own = agent.network_policy
        if own is not None:
            where = f"agents.list[{agent.id}].networkPolicy"
            yield f"{where}.egressAllowlist", own.egress_allowlist or ()
            for action, narrow in own.actions.items():
                yield f"{where}.actions.{action}.egressAllowlist", narrow.egress_allowlist
