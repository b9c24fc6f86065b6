"""Kind `egress` of `policy test --stdin`: one line, one verdict, by the code that the door itself goes by.

A line has `url`, and may have `headers`, `hops` (the redirects that servers answer with), `dns` (name → the answers of
its first lookup, of its second …; the last stays), `policy` (networkPolicy, either spelling), `method`, and `class`,
`agent`, `action` for whom it is. Without `dns` the verdict is on names and literal addresses alone. Without `class` and
`action` the question is whether bytes may go there for any purpose: the answer's `class` is the one that lets them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.config.schema import AgentNetworkConfig, NetworkPolicyConfig
from openclaw.policy.egress.allowlist import plain
from openclaw.policy.egress.door import CLASSES, EgressRules, Errand
from openclaw.policy.egress.trial import Trial, tried

MAX_HOPS: Final = 1000
MAX_HEADERS: Final = 200
_SPELLINGS: Final = {"allow_egress": "allowEgress", "egress_allowlist": "egressAllowlist"}
_CLASS_SPELLINGS: Final = {
    **dict.fromkeys(("hosts", "egressAllowlist", "egress_allowlist", "allowlist"), "allow"),
    **dict.fromkeys(("reviewDate", "review_date"), "review"),
}
_NOTES: Final = frozenset({"comment", "note"})
_KEYS: Final = frozenset({"allowEgress", "egressAllowlist", "classes", "actions", "agents"})
_CLASS_KEYS: Final = frozenset({"allow", "owner", "review"})
_AGENT_KEYS: Final = frozenset({"egressAllowlist", "actions"})
_ACTION_KEYS: Final = frozenset({"egressAllowlist"})


def egress_case(line: Mapping[str, Any], default: EgressRules | None = None) -> dict[str, Any]:
    """Return the answer to a line. `default` are the rules of a line without a policy. Raises: InvalidRequest."""
    url = line.get("url")
    if not isinstance(url, str):
        raise InvalidRequest("an egress case needs a url")
    policy = line.get("policy")
    rules = default or EgressRules(NetworkPolicyConfig()) if policy is None else case_rules(policy)
    headers, hops = _texts(line, "headers", MAX_HEADERS), _hops(line)
    trials: list[tuple[Errand, Trial]] = []
    for errand in _errands(line, rules):
        names = _Names(line.get("dns"))
        trial = tried(rules, errand, url, names.lookup, headers=headers, hops=hops, method=_method(line))
        trials.append((errand, trial))
    errand, trial = next((each for each in trials if each[1].verdict.answer == "allow"), trials[0])
    answer: dict[str, Any] = {
        "id": line.get("id"),
        "verdict": trial.verdict.answer,
        "rule": trial.verdict.rule_id,
        "reason": trial.verdict.reason,
        "class": errand.klass,
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
    body = _respelled(inner, _KEYS, "networkPolicy")
    agents = body.pop("agents", None)
    if agents is None and inner is not policy:  # a whole configuration
        agents = policy.get("agents")
    by_class = body.get("egressAllowlist")
    if isinstance(by_class, Mapping):  # grouped by class in place of a plain list
        body["egressAllowlist"] = []
        body["classes"] = {**(body.get("classes") or {}), **{name: {"allow": each} for name, each in by_class.items()}}
    classes = body.get("classes") or {}
    if isinstance(classes, Mapping):
        if unknown := sorted(set(map(str, classes)) - set(CLASSES)):
            raise InvalidRequest(f"there is no egress class {unknown[0][:60]!r}")
        body["classes"] = {
            name: {"allow": each}
            if isinstance(each, list)
            else _respelled(each, _CLASS_KEYS, f"classes.{name}", _CLASS_SPELLINGS)
            for name, each in classes.items()
        }
    body["actions"] = _narrowed(body.get("actions") or {})
    try:
        return EgressRules(
            msgspec.convert(body, NetworkPolicyConfig), msgspec.convert(_agents(agents), dict[str, AgentNetworkConfig])
        )
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"networkPolicy: {error}") from None


def _agents(given: Any) -> dict[str, Any]:
    """Return the narrower lists by agent, of an object by id or of a configuration's `agents.list`."""
    if isinstance(given, Mapping) and isinstance(given.get("list"), list):
        entries = [each for each in given["list"] if isinstance(each, Mapping) and "id" in each]
        given = {str(each["id"]): each.get("networkPolicy", each.get("network_policy", {})) for each in entries}
    if not isinstance(given or {}, Mapping):
        raise InvalidRequest("agents is no object")
    found: dict[str, Any] = {}
    for name, each in (given or {}).items():
        own = {"egressAllowlist": each} if isinstance(each, list) else each
        body = found[str(name)] = _respelled(own, _AGENT_KEYS, f"agents.{name}")
        body["actions"] = _narrowed(body.get("actions") or {})
    return found


def _narrowed(actions: Any) -> dict[str, Any]:
    if not isinstance(actions, Mapping):
        raise InvalidRequest("actions is no object")
    return {
        str(name): {"egressAllowlist": each}
        if isinstance(each, list)
        else _respelled(each, _ACTION_KEYS, f"actions.{name}")
        for name, each in actions.items()
    }


def _respelled(
    given: Any, keys: frozenset[str], where: str, spellings: Mapping[str, str] = _SPELLINGS
) -> dict[str, Any]:
    """Return an object's members under the names of today. Raises: InvalidRequest for what has no such name, or two."""
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{where[:60]} is no object")
    body: dict[str, Any] = {}
    for key, value in given.items():
        name = spellings.get(str(key), str(key))
        if name in body:
            raise InvalidRequest(f"{where[:60]} says {name!r} twice")
        if name not in _NOTES:
            body[name] = value
    if unknown := sorted(set(body) - keys):
        raise InvalidRequest(f"{where[:60]} has no {unknown[0][:60]!r}")
    return body


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


def _errands(line: Mapping[str, Any], rules: EgressRules) -> Iterator[Errand]:
    """Yield what the line may be about: tools, then each class that has a list, unless the line says which."""
    klass = line.get("class")
    if klass is not None and klass not in CLASSES:
        raise InvalidRequest(f"class is none of {', '.join(CLASSES)}")
    action, agent = (str(line.get(key) or "") for key in ("action", "agent"))
    yield Errand(klass or "tools", action, agent, configured=line.get("configured") is True)
    if klass is None and not action:
        yield from (Errand(each, "", agent) for each in CLASSES if each != "tools" and rules.lists(each))


def _method(line: Mapping[str, Any]) -> str:
    given = line.get("method")
    if not isinstance(given, str | None):
        raise InvalidRequest("method is no text")
    return "GET" if given is None else given


def _texts(line: Mapping[str, Any], key: str, most: int) -> dict[str, str]:
    given = line.get(key)
    if given is None:
        return {}
    if isinstance(given, list):  # names alone, or pairs of a name and a value
        given = dict(_pair(each, key) for each in given)
    if not isinstance(given, Mapping) or len(given) > most:
        raise InvalidRequest(f"{key} is no object, or has more than {most} members")
    return {str(name): str(value) for name, value in given.items()}


def _pair(given: Any, key: str) -> tuple[str, Any]:
    if isinstance(given, str):
        return given, ""
    if isinstance(given, list) and len(given) == 2:
        return str(given[0]), given[1]
    raise InvalidRequest(f"{key} holds something else than names, or pairs of a name and a value")


def _hops(line: Mapping[str, Any]) -> list[str]:
    given = line.get("hops")
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > MAX_HOPS or not all(isinstance(each, str) for each in given):
        raise InvalidRequest(f"hops is no list of at most {MAX_HOPS} texts")
    return given
