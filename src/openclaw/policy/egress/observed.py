"""What was asked for, by the ledger, against what is allowed now: hosts that a list lacks, entries that nobody uses."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from openclaw.base.audit import Entry
from openclaw.config.schema import Config
from openclaw.net.egress import is_address
from openclaw.policy.egress.allowlist import Allowlist, parsed_entry, plain
from openclaw.policy.egress.door import CLASSES, EgressClass, Errand, egress_rules
from openclaw.policy.gatekeeper import Verdict

AUDIT_SESSION: Final = "security-audit"
"""Where the security audit asks for what has to be refused: nobody needs that."""
MAX_SEEN: Final = 5_000
"""Different destinations that are kept apart; more are counted, and not told of one by one."""


class Seen(msgspec.Struct, kw_only=True, rename="camel"):
    """A destination that was asked for. `answer`, `rule` and `reason` are what holds now; `denied` of `times` then."""

    host: str
    port: int
    klass: EgressClass = msgspec.field(name="class")
    agent: str
    action: str
    times: int
    denied: int
    last_ms: int
    answer: str
    rule: str
    reason: str


class Unused(msgspec.Struct, frozen=True):
    """An entry that nothing needed which was asked for."""

    setting: str
    entry: str


class Observed(msgspec.Struct, frozen=True):
    """Everything that was asked for. `beyond` were rows of destinations that were too many to keep apart."""

    seen: list[Seen]
    unused: list[Unused]
    beyond: int = 0

    @property
    def missing(self) -> list[Seen]:
        """What was asked for and is denied now."""
        return [each for each in self.seen if each.answer != "allow"]


def observed(entries: Iterable[Entry], config: Config) -> Observed:
    """Compare rows of kind `egress` with a configuration. Destinations come in the order of how often they were."""
    rules = egress_rules(config)
    found: dict[tuple[str, Errand], Seen] = {}
    used: dict[EgressClass, set[tuple[str, int]]] = {name: set() for name in CLASSES}
    beyond = 0
    for entry in entries:
        if entry.session.endswith(f":{AUDIT_SESSION}") and entry.answer == "deny":
            continue
        parsed = _destination(entry)
        if parsed is None:
            continue
        host, port, errand = parsed
        seen = found.get((entry.target, errand))
        if seen is None:
            if len(found) >= MAX_SEEN:
                beyond += 1
                continue
            now = rules.host(errand, host, port)
            found[entry.target, errand] = seen = _seen(host, port, errand, now)
        seen.times += 1
        seen.denied += entry.answer != "allow"
        seen.last_ms = max(seen.last_ms, entry.at_ms)
        address = entry.facts.get("address")
        if isinstance(address, str) and seen.answer == "allow":
            judged = rules.address(errand, host, port, address)
            seen.answer, seen.rule, seen.reason = judged.answer, judged.rule_id, judged.reason
        used[errand.klass].add((host, port))
        if isinstance(address, str):
            used[errand.klass].add((address, port))
    order = sorted(found.values(), key=lambda each: (-each.times, each.host, each.port))
    return Observed(order, list(_unused(config, used)), beyond)


def _seen(host: str, port: int, errand: Errand, now: Verdict) -> Seen:
    return Seen(
        host=host,
        port=port,
        klass=errand.klass,
        agent=errand.agent,
        action=errand.action,
        times=0,
        denied=0,
        last_ms=0,
        answer=now.answer,
        rule=now.rule_id,
        reason=now.reason,
    )


def _destination(entry: Entry) -> tuple[str, int, Errand] | None:
    host, colon, digits = entry.target.rpartition(":")
    klass = entry.facts.get("class", "tools")
    if entry.kind != "egress" or not colon or not digits.isdigit() or klass not in CLASSES:
        return None
    configured = entry.facts.get("configured") is True
    name: EgressClass = next(each for each in CLASSES if each == klass)
    return plain(host), int(digits), Errand(name, entry.action, entry.agent, configured=configured)


def _unused(config: Config, used: dict[EgressClass, set[tuple[str, int]]]) -> Iterator[Unused]:
    policy = config.network_policy
    everywhere = set().union(*used.values())
    for entry in policy.egress_allowlist:
        if not _needed(entry, everywhere):
            yield Unused("networkPolicy.egressAllowlist", entry)
    for name in CLASSES:
        for entry in getattr(policy.classes, name).allow:
            if not _needed(entry, used[name]):
                yield Unused(f"networkPolicy.classes.{name}.allow", entry)


def _needed(text: str, places: Collection[tuple[str, int]]) -> bool:
    entry = parsed_entry(text)
    if entry is not None and entry.network is not None and any(not is_address(host) for host, _ in places):
        return True  # which address a name stood for is not in the ledger
    alone = Allowlist((text,))
    return any(alone.opens(host, port) for host, port in places)
