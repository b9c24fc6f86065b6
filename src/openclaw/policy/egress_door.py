"""The door before every request of a tool: which hosts and ports the operator has named.

1. An entry is `host`, `*.suffix` (hosts below the suffix, not the suffix itself), or either with `:port`.
2. An entry without a port opens 80 and 443; one with a port opens that port alone. The whole web means 80 and 443 too.
3. Names are compared in lower case without a final dot, whole labels only. Addresses match by their exact text.
4. What an address is (private, loopback …) is not asked here: `net` refuses those whatever this door says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from openclaw.base.principal import Principal
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.policy.gatekeeper import Ask, Rule, Verdict

KIND: Final = "egress"
WEB_PORTS = (80, 443)
SETTING = "networkPolicy.egressAllowlist"


def egress_rule(config: Callable[[], NetworkPolicyConfig]) -> Rule:
    """Return the rule for kind `egress`; it goes by the configuration of the moment."""

    def rule(ask: Ask) -> Verdict:
        host, port = ask.facts.get("host"), ask.facts.get("port")
        if not isinstance(host, str) or not isinstance(port, int):
            return Verdict("deny", "egress.unknown-target", "the request names no host and port")
        return egress_verdict(config(), host, port)

    return rule


def egress_ask(principal: Principal, action: str, host: str, port: int, **where: Any) -> Ask:
    """Return the question whether a request may go to a host and port. `where` are fields of Ask (agent, run …)."""
    facts = {"host": host, "port": port}
    return Ask(kind=KIND, principal=principal, action=action, target=f"{_shown(host)}:{port}", facts=facts, **where)


def egress_verdict(config: NetworkPolicyConfig, host: str, port: int) -> Verdict:
    """Decide about one host and port."""
    host = _plain(host)
    if listed(config.egress_allowlist, host, port):
        return Verdict("allow", "egress.listed", f"{SETTING} names it")
    if config.allow_egress and port in WEB_PORTS:
        return Verdict("allow", "egress.open", "networkPolicy.allowEgress is on")
    entry = _shown(host) if port in WEB_PORTS else f"{_shown(host)}:{port}"
    lines = ", ".join(f'"{each}"' for each in (*config.egress_allowlist, entry))
    why = f"port {port} of {host}" if config.allow_egress or port not in WEB_PORTS else f"the host {host}"
    return Verdict(
        "deny",
        "egress.unlisted",
        f"{why} is not named in {SETTING}; to allow it the operator runs: openclaw config set {SETTING} '[{lines}]'",
    )


def listed(allowlist: Sequence[str], host: str, port: int) -> bool:
    """Say whether an entry opens this host and port."""
    return any(_opens(entry, _plain(host), port) for entry in allowlist)


def _opens(entry: str, host: str, port: int) -> bool:
    name, its_port = _split(entry)
    if port not in (WEB_PORTS if its_port is None else (its_port,)):
        return False
    if name.startswith("*."):
        return len(name) > 2 and host.endswith(name[1:]) and len(host) > len(name) - 1
    return bool(name) and name == host


def _split(entry: str) -> tuple[str, int | None]:
    """Return (name, port); a malformed port is one that nothing has."""
    entry = entry.strip()
    name, colon, port = entry.rpartition(":")
    if not colon or entry.endswith("]") or (":" in name and not name.endswith("]")):  # no port, or a bare IPv6 address
        return _plain(entry), None
    return _plain(name), int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1


def _plain(host: str) -> str:
    plain = host.strip().removeprefix("[").removesuffix("]").removesuffix(".").lower()
    if plain.isascii():
        return plain
    try:  # requests name hosts in ASCII, operators as they read them
        return plain.encode("idna").decode()
    except UnicodeError:
        return plain


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
