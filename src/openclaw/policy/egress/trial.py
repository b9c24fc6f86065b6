"""A request tried on paper: the verdicts that its hops would get, without sending anything.

The steps are those of `tools.builtin.egress` and `net.pinned`: parse, judge the name, look it up once, judge every
address, and all of it again at each redirect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from openclaw.net.egress import Place, is_address, place
from openclaw.net.error import NetError
from openclaw.net.hop import MAX_REDIRECTS, METHODS, header_problem, next_place, travelling
from openclaw.policy.egress.door import EgressRules, Errand
from openclaw.policy.gatekeeper import Verdict

Lookup = Callable[[str, int], Sequence[str] | None]
"""A name and a port → its addresses; None when nobody wants to know. Raises: OSError."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What would happen. `connect_ip` is where the last connection goes.

    `denied_hop` is the redirect that was refused, the first of them being 1; 0 when the request itself was, or nothing.
    """

    verdict: Verdict
    connect_ip: str = ""
    denied_hop: int = 0
    stripped: tuple[str, ...] = ()
    lookups: tuple[str, ...] = ()


def tried(
    rules: EgressRules,
    errand: Errand,
    url: str,
    lookup: Lookup,
    *,
    headers: Mapping[str, str] | None = None,
    hops: Sequence[str] = (),
    method: str = "GET",
) -> Trial:
    """Return what would happen to a request whose server answers with these redirects, one after the other.

    Redirects are judged for every method, though the tools follow those of GET and HEAD alone.
    """
    if verdict := _of_head(method, headers or {}):
        return Trial(verdict=verdict)
    sent = dict(headers or {})
    lookups: list[str] = []
    here: Place | None = None
    verdict, address = _NOTHING, ""
    for hop, location in enumerate((url, *hops)):
        try:
            there = place(location) if here is None else next_place(here, location)
        except NetError as error:
            verdict = Verdict("deny", "egress.url", error.reason)
        else:
            if here is not None:
                sent = travelling(sent, here, there)
            here = there
            if hop > MAX_REDIRECTS:
                verdict = Verdict("deny", "egress.redirects", f"more than {MAX_REDIRECTS} redirects are not followed")
            else:
                verdict, address = _stop(rules, errand, here, lookup, lookups)
        if verdict.answer != "allow":
            address = ""
            break
    return Trial(
        verdict=verdict,
        connect_ip=address,
        denied_hop=hop if verdict.answer != "allow" else 0,
        stripped=tuple(name for name in headers or {} if name not in sent),
        lookups=tuple(lookups),
    )


_NOTHING = Verdict("deny", "egress.url", "there is no address")


def _of_head(method: str, headers: Mapping[str, str]) -> Verdict | None:
    if method.upper() not in METHODS:
        return Verdict("deny", "egress.method", f"a request is one of {', '.join(METHODS)}")
    why = header_problem(headers)
    return Verdict("deny", "egress.header", why) if why else None


def _stop(rules: EgressRules, errand: Errand, here: Place, lookup: Lookup, lookups: list[str]) -> tuple[Verdict, str]:
    """Return the verdict on one hop, and the address that it connects to."""
    verdict = rules.host(errand, here.host, here.port)
    if verdict.answer != "allow":
        return verdict, ""
    if is_address(here.host):
        found: Sequence[str] | None = (here.host,)
    else:
        lookups.append(here.host)
        try:
            found = lookup(here.host, here.port)
        except OSError:
            found = ()
    if found is None:
        return verdict, ""
    if not found:
        return Verdict("deny", "egress.no-address", f"{here.host} has no address"), ""
    for address in found:
        judged = rules.address(errand, here.host, here.port, address)
        if judged.answer != "allow":
            return judged, ""
    return verdict, found[0]
