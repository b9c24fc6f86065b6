"""Kind `egress` of `policy test --stdin`: one line, one verdict, by the code that the door itself goes by.

A line has `url`, and may have `headers`, `hops` (the redirects that servers answer with), `dns` (name → the answers of
its first lookup, of its second …; the last stays), `policy` (networkPolicy, either spelling), and `class`, `agent`,
`action` for whom it is. Without `dns` the verdict is on names and literal addresses alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import AgentNetworkConfig, NetworkPolicyConfig
from openclaw.policy.egress_door import CLASSES, EgressRules, Errand
from openclaw.policy.egress_list import plain
from openclaw.policy.egress_trial import tried

MAX_HOPS: Final = 50
MAX_HEADERS: Final = 200
_SPELLINGS: Final = {"allow_egress": "allowEgress", "egress_allowlist": "egressAllowlist"}
_KEYS: Final = frozenset({"allowEgress", "egressAllowlist", "classes", "actions", "agents"})


def egress_case(line: Mapping[str, Any], default: EgressRules | None = None) -> dict[str, Any]:
    """Return the answer to a line. `default` are the rules of a line without a policy. Raises: InvalidRequest."""
    url = line.get("url")
    if not isinstance(url, str):
        raise InvalidRequest("an egress case needs a url")
    rules = case_rules(line["policy"]) if "policy" in line else default or EgressRules(NetworkPolicyConfig())
    trial = tried(
        rules,
        _errand(line),
        url,
        _Names(line.get("dns")).lookup,
        headers=_texts(line, "headers", MAX_HEADERS),
        hops=_hops(line),
    )
    answer: dict[str, Any] = {
        "id": line.get("id"),
        "verdict": trial.verdict.answer,
        "rule": trial.verdict.rule_id,
        "reason": trial.verdict.reason,
        "lookups": list(trial.lookups),
        "stripped": list(trial.stripped),
    }
    if trial.connect_ip:
        answer["connect_ip"] = trial.connect_ip
    if trial.denied_hop:
        answer["denied_hop"] = trial.denied_hop
    return answer


def case_rules(policy: Any) -> EgressRules:
    """Return the rules of a policy: `{networkPolicy: {…}}`, or what would stand in it. Raises: InvalidRequest."""
    if not isinstance(policy, Mapping):
        raise InvalidRequest("policy is no object")
    inner = policy.get("networkPolicy", policy.get("network_policy", policy))
    if not isinstance(inner, Mapping):
        raise InvalidRequest("networkPolicy is no object")
    body = {_SPELLINGS.get(key, key): value for key, value in inner.items()}
    if unknown := sorted(set(map(str, body)) - _KEYS):
        raise InvalidRequest(f"networkPolicy has no {unknown[0][:60]!r}")
    agents = body.pop("agents", {})
    by_class = body.get("egressAllowlist")
    if isinstance(by_class, Mapping):  # grouped by class in place of a plain list
        body["egressAllowlist"] = []
        body["classes"] = {**(body.get("classes") or {}), **{name: {"allow": each} for name, each in by_class.items()}}
    classes = body.get("classes") or {}
    if isinstance(classes, Mapping):
        if unknown := sorted(set(map(str, classes)) - set(CLASSES)):
            raise InvalidRequest(f"there is no egress class {unknown[0][:60]!r}")
        body["classes"] = {name: {"allow": e} if isinstance(e, list) else e for name, e in classes.items()}
    try:
        return EgressRules(
            msgspec.convert(body, NetworkPolicyConfig), msgspec.convert(agents, dict[str, AgentNetworkConfig])
        )
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"networkPolicy: {error}") from None


class _Names:
    """A resolver that answers from the line."""

    def __init__(self, dns: Any) -> None:
        if dns is not None and not isinstance(dns, Mapping):
            raise InvalidRequest("dns is no object")
        self._answers = None if dns is None else {plain(str(name)): _answers(each) for name, each in dns.items()}
        self._asked: dict[str, int] = {}

    def lookup(self, host: str, port: int) -> Sequence[str] | None:
        """See egress_trial.Lookup."""
        if self._answers is None:
            return None
        answers = self._answers.get(host)
        if not answers:
            return ()
        asked = self._asked[host] = self._asked.get(host, -1) + 1
        return answers[min(asked, len(answers) - 1)]


def _answers(given: Any) -> list[list[str]]:
    if isinstance(given, str):
        given = [given]
    if isinstance(given, list) and all(isinstance(each, str) for each in given):
        given = [given]
    try:
        return msgspec.convert(given, list[list[str]])
    except msgspec.ValidationError:
        raise InvalidRequest("dns holds something else than lists of addresses") from None


def _errand(line: Mapping[str, Any]) -> Errand:
    klass = line.get("class", "tools")
    if klass not in CLASSES:
        raise InvalidRequest(f"class is none of {', '.join(CLASSES)}")
    action, agent = (str(line.get(key) or "") for key in ("action", "agent"))
    return Errand(klass, action, agent, configured=line.get("configured") is True)


def _texts(line: Mapping[str, Any], key: str, most: int) -> dict[str, str]:
    given = line.get(key, {})
    if not isinstance(given, Mapping) or len(given) > most:
        raise InvalidRequest(f"{key} is no object, or has more than {most} members")
    return {str(name): str(value) for name, value in given.items()}


def _hops(line: Mapping[str, Any]) -> list[str]:
    given = line.get("hops", [])
    if not isinstance(given, list) or len(given) > MAX_HOPS or not all(isinstance(each, str) for each in given):
        raise InvalidRequest(f"hops is no list of at most {MAX_HOPS} texts")
    return given
