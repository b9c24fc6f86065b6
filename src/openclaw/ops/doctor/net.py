"""`doctor net`: what leaves this machine, by which way, and whether a tool may reach a host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from openclaw.client import inspect
from openclaw.config.schema import NetworkPolicyConfig
from openclaw.net.onward import onward
from openclaw.ops.doctor.checks.outside import AUTHORITIES, PROXIES, proxy_host
from openclaw.ops.doctor.scene import Scene
from openclaw.ops.doctor.step import Step
from openclaw.policy.egress.allowlist import WEB_PORTS
from openclaw.policy.egress.door import TOOLS, EgressRules

_PROXY_FIX = "See openclaw config validate, and docs/egress.md."


def net_steps(scene: Scene, host: str = "") -> Iterator[Step]:
    """Yield the policy, proxies and authorities; with a host, the verdict on it and whether it can be reached."""
    policy = scene.loaded.config.network_policy
    yield _policy_step(policy)
    if (carrier := onward(scene.loaded)) is not None:
        who = "it looks names up" if carrier.looks_up else "it is given addresses that were judged here"
        at = f"{carrier.host}:{carrier.port}" if carrier.host else "nowhere: its section is wrong"
        yield Step("proxy", bool(carrier.host), f"requests go through proxy.proxyUrl, {at}; {who}", _PROXY_FIX)
    for name in PROXIES:
        if value := scene.env.get(name):
            seen = f"{name} names {proxy_host(value)}; the gateway's own requests do not use it"
            yield Step("proxy", False, seen, "Unset it; if a proxy is to be used, set proxy.proxyUrl.", warning=True)
    for name in AUTHORITIES:
        if value := scene.env.get(name):
            there = Path(value).exists()
            fix = "" if there else f"Put the file there, or unset {name}."
            yield Step("authorities", there, f"{name} is {value}{'' if there else ', which is not there'}", fix, True)
    if host:
        yield from _host_steps(policy, host)


def _policy_step(policy: NetworkPolicyConfig) -> Step:
    if policy.allow_egress:
        return Step("policy", True, "tools may reach every public host (networkPolicy.allowEgress)")
    listed = ", ".join(policy.egress_allowlist) or "none"
    return Step("policy", True, f"tools may reach these hosts only: {listed}")


def _host_steps(policy: NetworkPolicyConfig, text: str) -> Iterator[Step]:
    host, port = _split(text)
    rules = EgressRules(policy)
    verdict = rules.host(TOOLS, host, port)
    allowed = verdict.answer == "allow"
    yield Step(
        "verdict",
        allowed,
        f"{verdict.answer} ({verdict.rule_id}): {verdict.reason}",
        "" if allowed else verdict.reason,
        True,
    )
    try:
        addresses = inspect.addresses_of(host, port)
    except OSError as error:
        yield Step("name", False, f"{host} has no address: {error.strerror or error}", "Correct the name, or mend DNS.")
        return
    yield Step("name", True, f"{host} is {', '.join(addresses)}")
    for address in addresses:
        judged = rules.address(TOOLS, host, port, address)
        if judged.answer != "allow":
            yield Step(
                "address", False, judged.reason, "Name the address itself, if tools are to reach it.", warning=True
            )
    problems = []
    for address in addresses:
        try:
            took_ms = inspect.tcp_ms(address, port)
        except OSError as error:
            problems.append(f"{address}: {error.strerror or 'no answer in time'}")
            continue
        yield Step("tcp", True, f"{address} port {port} takes connections, {took_ms:.0f} ms")
        return
    yield Step(
        "tcp", False, f"port {port} cannot be reached: {'; '.join(problems)}", "Open the firewall, or set a route."
    )


def _split(text: str) -> tuple[str, int]:
    bare = text.partition("://")[2] or text
    bare = re.split(r"[/?#]", bare, maxsplit=1)[0].rpartition("@")[2]
    host, colon, port = bare.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.endswith("]")):
        return host.strip("[]"), int(port)
    return bare.strip("[]"), WEB_PORTS[0] if text.startswith("http://") else WEB_PORTS[1]
