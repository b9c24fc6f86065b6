"""The door before every request: which hosts, ports and addresses the operator has named, and for what.

1. Tools reach what `networkPolicy.egressAllowlist` or `classes.tools.allow` lists, and the public web when
   `allowEgress` is on. The lists of an agent and of an action narrow that; they never widen it.
2. A server that a setting names (a model's baseUrl, an MCP server, a vault) is named by that. Once its class has a list
   of its own, that list counts.
3. A name is judged before it is looked up, and every address of it before the connection. Inner addresses need an
   entry that is an address (`policy.egress.allowlist`); a setting's own server may be inside, but not at metadata
   addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple

from openclaw.base.principal import Principal
from openclaw.config.schema import AgentNetworkConfig, Config, EgressClassConfig, NetworkPolicyConfig
from openclaw.net.egress import is_address, is_public_name, refusal, refusal_of_named
from openclaw.net.way import Purpose
from openclaw.policy.egress.allowlist import WEB_PORTS, Allowlist, allowlist, one_by_one, plain, shown
from openclaw.policy.gatekeeper import Ask, Rule, Verdict

KIND: Final = "egress"
SETTING: Final = "networkPolicy.egressAllowlist"
MAX_TOLD: Final = 10
"""Entries of a list that a refusal repeats."""

_NO_REMEDY: Final = "nothing that an agent does needs it"
"""For metadata and disguised addresses: a command to copy would be the next step of an attack."""

EgressClass = Literal["inference", "channels", "artifacts", "telemetry", "tools", "internal"]
CLASSES: Final[tuple[EgressClass, ...]] = ("inference", "channels", "artifacts", "telemetry", "tools", "internal")
CLASS_OF: Final[Mapping[Purpose, EgressClass]] = {
    "inference": "inference",
    "local": "internal",
    "tools": "tools",
    "mcp": "tools",
    "download": "artifacts",
    "backup": "artifacts",
    "secrets": "internal",
    "identity": "internal",
    "telemetry": "telemetry",
}


class Errand(NamedTuple):
    """What a request is for. `configured` says that a setting of the operator names the server."""

    klass: EgressClass = "tools"
    action: str = ""
    agent: str = ""
    configured: bool = False


TOOLS: Final = Errand()
_CONFIGURED: Final = Verdict("allow", "egress.configured", "a setting names it")


class EgressRules:
    """One configuration, as far as this door goes by it. `agents` are the lists of agents that have their own."""

    def __init__(self, policy: NetworkPolicyConfig, agents: Mapping[str, AgentNetworkConfig] | None = None) -> None:
        self.policy = policy
        self.agents = agents or {}
        self._lists: dict[EgressClass, Allowlist] = {}

    def host(self, errand: Errand, host: str, port: int) -> Verdict:
        """Decide about a name, or an address that stands in its place. Nothing is looked up."""
        if errand.configured and not self._class(errand.klass).allow:
            return _CONFIGURED  # what every call of a model asks
        host = plain(host)
        listed = self._listed(errand).opens(host, port)
        if errand.configured:
            return _CONFIGURED if listed else self._not_of_class(errand, host, port)
        if not listed:
            if kind := refusal(host) if is_address(host) else "":
                return self._closed(errand, (host,), port, "egress.address", f"{host} is {kind}")
            if not (self.policy.allow_egress and port in WEB_PORTS and is_public_name(host)):
                return self._unlisted(errand, host, port)
        for where, narrow in self._narrowings(errand):
            if not allowlist(narrow).opens(host, port):
                reason = f"{shown(host)}:{port} is not in {where}, which narrows networkPolicy"
                return Verdict(
                    "deny", "egress.narrowed", f'{reason}; to allow it the operator adds "{shown(host)}" there'
                )
        if listed:
            return Verdict("allow", "egress.listed", "networkPolicy names it")
        return Verdict("allow", "egress.open", "networkPolicy.allowEgress is on")

    def address(self, errand: Errand, host: str, port: int, address: str) -> Verdict:
        """Decide about one address of a host that `host` allows."""
        host = plain(host)
        kind = refusal_of_named(host, address) if errand.configured else refusal(address)
        if not kind:
            return Verdict("allow", "egress.address", "the address may be reached")
        entries = self._listed(errand)
        if (errand.configured or entries.opens(host, port)) and entries.opens_address(
            address, port, named=not is_address(host)
        ):
            return Verdict("allow", "egress.listed", "networkPolicy names the address")
        missing = (address,) if errand.configured or entries.opens(host, port) else (host, address)
        said = f"{host} is {kind}" if host == address else f"{host} stands for {address}, which is {kind}"
        return self._closed(errand, missing, port, "egress.address", said)

    def lists(self, klass: EgressClass) -> bool:
        """Say whether a class has a list of its own."""
        return bool(self._class(klass).allow)

    def _not_of_class(self, errand: Errand, host: str, port: int) -> Verdict:
        setting = f"networkPolicy.classes.{errand.klass}.allow"
        reason = f"{shown(host)}:{port} is not named in {setting}"
        return Verdict(
            "deny", "egress.unlisted", f'{reason}; to allow it the operator adds "{entry_for(host, port)}" there'
        )

    def _listed(self, errand: Errand) -> Allowlist:
        found = self._lists.get(errand.klass)
        if found is None:
            entries = (*self.policy.egress_allowlist, *self._class(errand.klass).allow)
            found = self._lists[errand.klass] = Allowlist(entries)
        return found

    def _class(self, klass: EgressClass) -> EgressClassConfig:
        found: EgressClassConfig = getattr(self.policy.classes, klass)
        return found

    def _narrowings(self, errand: Errand) -> list[tuple[str, tuple[str, ...]]]:
        action = errand.action.removeprefix("tool ")
        found: list[tuple[str, tuple[str, ...]]] = []
        if (narrow := self.policy.actions.get(action)) is not None:
            found.append((f"networkPolicy.actions.{action}.egressAllowlist", narrow.egress_allowlist))
        own = self.agents.get(errand.agent)
        if own is not None:
            if own.egress_allowlist is not None:
                found.append((f"networkPolicy.egressAllowlist of the agent {errand.agent}", own.egress_allowlist))
            if (narrow := own.actions.get(action)) is not None:
                found.append(
                    (
                        f"networkPolicy.actions.{action}.egressAllowlist of the agent {errand.agent}",
                        narrow.egress_allowlist,
                    )
                )
        return found

    def _unlisted(self, errand: Errand, host: str, port: int) -> Verdict:
        open_here = self.policy.allow_egress and is_public_name(host)
        what = f"port {port} of {host}" if open_here or port not in WEB_PORTS else f"the host {host}"
        return self._closed(errand, (host,), port, "egress.unlisted", what)

    def _closed(self, errand: Errand, hosts: tuple[str, ...], port: int, rule: str, what: str) -> Verdict:
        said = "and not named" if rule == "egress.address" else "is not named"
        entries = tuple(entry_for(host, port) for host in hosts)
        remedy = _NO_REMEDY if rule == "egress.address" and one_by_one(what) else self._remedy(entries)
        return Verdict("deny", rule, f"{what} {said} in {SETTING} (class {errand.klass}); {remedy}")

    def _remedy(self, entries: tuple[str, ...]) -> str:
        """Say how the operator opens these: the whole command while the list is short."""
        listed = self.policy.egress_allowlist
        if len(listed) > MAX_TOLD:
            added = " and ".join(f'"{each}"' for each in entries)
            return f"to allow it the operator adds {added} to {SETTING}"
        lines = ", ".join(f'"{each}"' for each in (*listed, *entries))
        return f"to allow it the operator runs: openclaw config set {SETTING} '[{lines}]'"


def egress_rules(config: Config) -> EgressRules:
    """Return the rules of a configuration."""
    own = {agent.id: agent.network_policy for agent in config.agents.list if agent.network_policy is not None}
    return EgressRules(config.network_policy, own)


class RulesOfNow:
    """The rules of the configuration of the moment, made anew when it changes."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config
        self._made: tuple[Config, EgressRules] | None = None

    def __call__(self) -> EgressRules:
        """Return them."""
        config = self._config()
        if self._made is None or self._made[0] is not config:
            self._made = (config, egress_rules(config))
        return self._made[1]


def egress_rule(rules: Callable[[], EgressRules]) -> Rule:
    """Return the rule for kind `egress`; it goes by the configuration of the moment."""

    def rule(ask: Ask) -> Verdict:
        if isinstance(why := ask.facts.get("url"), str):
            return Verdict("deny", "egress.url", why)
        host, port, errand = ask.facts.get("host"), ask.facts.get("port"), ask.facts.get("errand")
        if not isinstance(host, str) or not isinstance(port, int) or not isinstance(errand, Errand):
            return Verdict("deny", "egress.unknown-target", "the request names no host and port")
        verdict = rules().host(errand, host, port)
        address = ask.facts.get("address")
        if verdict.answer == "allow" and isinstance(address, str):
            return rules().address(errand, host, port, address)
        return verdict

    return rule


def egress_ask(principal: Principal, errand: Errand, host: str, port: int, address: str = "", **where: Any) -> Ask:
    """Return the question whether a request may go to a host and port, or on to one address of it.

    `where` are fields of Ask (session, run …).
    """
    facts: dict[str, Any] = {"host": host, "port": port, "errand": errand}
    written: dict[str, str | int | bool] = {"class": errand.klass}
    if errand.configured:
        written["configured"] = True
    if address:
        facts["address"] = written["address"] = address
    return Ask(
        kind=KIND,
        principal=principal,
        action=errand.action,
        target=f"{shown(host)}:{port}",
        facts=facts,
        written=written,
        agent=errand.agent,
        **where,
    )


def no_place_ask(principal: Principal, action: str, why: str, **where: Any) -> Ask:
    """Return the question about an address that names no place, which is denied. `where` are fields of Ask."""
    written: dict[str, str | int | bool] = {"class": TOOLS.klass}
    return Ask(
        kind=KIND,
        principal=principal,
        action=action,
        target="(no address)",
        facts={"url": why},
        written=written,
        **where,
    )


def entry_for(host: str, port: int) -> str:
    """Return the entry that opens one port of a host."""
    return shown(host) if port in WEB_PORTS else f"{shown(host)}:{port}"
