"""What an administrator opened for a time, and the policy that this makes. Pure: the desk keeps and tells.

1. A widening adds one entry to one list (`networkPolicy.egressAllowlist`, `tools.exec.allowlist`, `dmPolicy.allowIds`).
   It lowers nothing else: lists that narrow, modes and what is shut for ever hold as before.
2. Whether it is open is asked at every verdict. It ends by the wall clock, by the machine's steady clock since its
   start, and for good when the wall clock is found behind a time that was already seen: no clock can prolong it.
3. Metadata, loopback and other inner addresses that machines keep for themselves, whole top-level domains, every
   program and everybody cannot be opened this way.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal, get_args

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.ids import OwnerId
from openclaw.config.schema import Config
from openclaw.net.egress import is_address, refusal
from openclaw.policy.dm_door import own_id
from openclaw.policy.exec.hazard import carries
from openclaw.policy.exec.program import plain_names
from openclaw.policy.exec.rules import rules_of
from openclaw.policy.exec.wrapper import SHELLS, WRAPPERS
from openclaw.policy.gatekeeper import Ask, Rule, Verdict

Door = Literal["egress", "exec", "dm"]
DOORS: Final[tuple[Door, ...]] = get_args(Door)
MIN_MS: Final = 1_000
MAX_MS: Final = 86_400_000
"""Nothing is opened for more than a day: what is needed for longer belongs into the configuration."""
SLACK_MS: Final = 5_000
"""How far clocks are set back when they are kept in time."""
MAX_VALUE: Final = 512

End = Literal["", "time", "narrowed", "clock"]


class Widening(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One opening. Times are Unix ms; `ends_s` is the end on the steady clock of `boot`, the machine's start."""

    id: str
    door: Door
    value: str
    ticket: str
    why: str
    by: OwnerId
    started_at_ms: int
    ends_at_ms: int
    boot: str = ""
    ends_s: float = 0.0
    ended_at_ms: int = 0
    end: End = ""
    ended_by: str = ""

    @property
    def place(self) -> str:
        """The id of its record: widenings in the order they were made."""
        return f"{self.started_at_ms:014d}.{self.id}"


class Moment(msgspec.Struct, frozen=True):
    """Now, on both clocks; `floor_ms` is the latest wall time that was ever seen."""

    now_ms: int
    steady_s: float
    boot: str
    floor_ms: int = 0


def end_of(widening: Widening, at: Moment) -> End:
    """Return why a widening is over, "" while it is open."""
    if widening.end:
        return widening.end
    if at.now_ms + SLACK_MS < max(at.floor_ms, widening.started_at_ms):
        return "clock"
    return "" if remaining_s(widening, at) else "time"


def remaining_s(widening: Widening, at: Moment) -> float:
    """Return how long it is still open, in seconds, at least 0."""
    left = (widening.ends_at_ms - at.now_ms) / 1000
    if widening.boot and widening.boot == at.boot:
        left = min(left, widening.ends_s - at.steady_s)
    return max(left, 0.0)


def checked(door: Door, value: str, state_dir: Path) -> str:
    """Return a value in the form it is kept in. Raises: InvalidRequest for what may not be opened."""
    value = value.strip()
    if not value or len(value) > MAX_VALUE or not value.isprintable():
        raise InvalidRequest(f"a value is 1 to {MAX_VALUE} printable characters")
    refused = {"egress": _egress, "exec": _exec, "dm": _dm}[door](value, state_dir)
    if refused:
        raise InvalidRequest(
            f"{door} cannot be widened to {value[:80]}: {refused}", details={"code": "WIDENING_FORBIDDEN"}
        )
    return value


def _egress(value: str, state_dir: Path) -> str:
    """Return why an entry may not be opened, or ""."""
    host, colon, port = value.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host = value
    elif not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        return "the port is none"
    host = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if "/" in host:
        return _network(host)
    if is_address(host):
        return _address(host)
    if not re.fullmatch(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?", host):
        return "name a host, *.suffix, an address or a network, each with :port if need be"
    if host.count(".") < (2 if host.startswith("*.") else 1) or host.rpartition(".")[2] in _INNER_NAMES:
        return "it is no host of the public web, or a whole top-level domain"
    return ""


_INNER_NAMES: Final = ("localhost", "local", "internal", "lan", "home", "corp", "intranet", "arpa", "onion")
_OPENABLE: Final = ("", "private", "a carrier's own (CGNAT)")
"""Kinds of addresses that an operator may have a reason to reach."""


def _address(host: str) -> str:
    kind = refusal(host)
    return "" if kind in _OPENABLE else f"the address is {kind}, which is shut for ever"


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "it is no network"
    kinds = {refusal(str(network[0])), refusal(str(network[-1]))}
    if len(kinds) > 1 or not kinds <= set(_OPENABLE) or network.prefixlen < (16 if network.version == 4 else 48):
        return "a network is opened whole: at most a /16 (IPv6: /48) of public or of private addresses"
    return ""


def _exec(value: str, state_dir: Path) -> str:
    (rule, *_) = rules_of((value,), "widening") or (None,)
    if rule is None:
        return "it is no rule: write a program, and patterns of its arguments"
    if rule.program.exact is None:
        return "the program must be spelled out: a pattern of programs is not opened for a time"
    name = rule.program.exact.rpartition("/")[2]
    if not rule.exact and (name in WRAPPERS or name in SHELLS or carries(plain_names(name))):
        return (
            f"{name} carries out whatever it is told, so that only a whole call of it without wildcards opens anything"
        )
    if str(state_dir) in value:
        return "the state directory is out of every command's reach"
    return ""


def _dm(value: str, state_dir: Path) -> str:
    channel, colon, sender = value.partition(":")
    if not colon or not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", channel) or not own_id(channel, sender):
        return "name one sender as channel:id, with the id that the platform gave"
    return ""


def widened(config: Config, openings: Sequence[Widening]) -> Config:
    """Return the configuration with what is open added to its lists."""
    more: dict[Door, tuple[str, ...]] = {
        door: tuple(each.value for each in openings if each.door == door) for door in DOORS
    }
    if more["egress"]:
        network = config.network_policy
        network = msgspec.structs.replace(network, egress_allowlist=(*network.egress_allowlist, *more["egress"]))
        config = msgspec.structs.replace(config, network_policy=network)
    if more["exec"]:
        rules = msgspec.structs.replace(config.tools.exec, allowlist=(*config.tools.exec.allowlist, *more["exec"]))
        config = msgspec.structs.replace(config, tools=msgspec.structs.replace(config.tools, exec=rules))
    if more["dm"]:
        policy = msgspec.structs.replace(config.dm_policy, allow_ids=(*config.dm_policy.allow_ids, *more["dm"]))
        config = msgspec.structs.replace(config, dm_policy=policy)
    return config


def widening_rule(strict: Rule, wider: Rule, openings: Callable[[Door], Sequence[Widening]], door: Door) -> Rule:
    """Return the rule that goes by `strict`, and where that says no by `wider` while something is open.

    The verdict of `wider` names the widenings that it rests on, so that the ledger tells them from the configuration.
    """

    def rule(ask: Ask) -> Verdict:
        verdict = strict(ask)
        if verdict.answer == "allow":
            return verdict
        open_now = openings(door)
        if not open_now or wider(ask).answer != "allow":
            return verdict
        named = ", ".join(each.id for each in open_now)
        until = min(each.ends_at_ms for each in open_now)
        return Verdict("allow", f"{door}.widened", f"widened for a time: {named}", expires_at_ms=until)

    return rule
