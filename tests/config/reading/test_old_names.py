"""Names of other years."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.config.reading.old_names import MOVES
from openclaw.config.schema.describe import leaves
from tests.config.make import Home, issue_at, loaded


def test_what_means_the_same_is_read_under_the_name_of_today() -> None:
    found = loaded("{\n agent: {\n  model: 'fake/x',\n  nope: 1 },\n bot: { name: 'B' } }")
    assert (found.config.agents.defaults.model, found.config.identity.name) == ("fake/x", "B")
    assert (issue_at(found, "agent.model").kind, issue_at(found, "agent.model").line) == ("old-name", 3)
    unknown = issue_at(found, "agents.defaults.nope")
    assert (unknown.kind, unknown.line) == ("unknown-key", 4)
    assert unknown.message.endswith("(written as agent.nope)")
    assert found.parsed["agent"]["model"] == "fake/x"


def test_the_name_of_today_wins_and_the_other_is_told() -> None:
    today = "identity: { name: 'new' }, agents: { defaults: { model: 'c/d' } }"
    found = loaded("{ bot: { name: 'old' }, agent: { model: 'a/b' }, " + today + " }")
    assert (found.config.identity.name, found.config.agents.defaults.model) == ("new", "c/d")
    for path in ("bot.name", "agent.model"):
        assert "has no effect" in issue_at(found, path).message


def test_a_wrong_value_under_an_old_name_is_named_where_it_stands() -> None:
    found = loaded("{\n agent: {\n  maxConcurrent: 'many' } }")
    issue = next(each for each in found.issues if each.severity == "error")
    assert (issue.path, issue.line) == ("agents.defaults.maxConcurrent", 3)
    assert "(written as agent.maxConcurrent)" in issue.message


def test_a_variable_under_an_old_name_is_substituted_and_missed() -> None:
    assert loaded("{ gateway: { token: '${T}' } }", T="x" * 40).config.gateway.auth.token is not None
    issue = next(each for each in loaded("{ gateway: {\n token: '${T}' } }").issues if each.kind == "missing-env")
    assert (issue.path, issue.line) == ("gateway.auth.token", 2)


def test_a_secret_under_an_old_name_is_one() -> None:
    found = loaded("{ gateway: { token: 'sekret-sekret' } }")
    assert "sekret" not in str(found.config) + "".join(map(str, found.issues))


def test_what_an_identity_provider_is_called_elsewhere_is_read_in_its_section() -> None:
    found = loaded(
        "{ gateway: { auth: {\n mode: 'oidc', issuer: 'https://id.example',\n audiance: 'x', client_id: 'c',"
        " oidc: { jwksUri: 'https://id.example/keys', issuer: 'https://wins.example', nope: 1 } } } }"
    )
    oidc = found.config.gateway.auth.oidc
    assert (oidc.issuer, oidc.client_id, oidc.jwks_url) == ("https://wins.example", "c", "https://id.example/keys")
    assert "has no effect" in issue_at(found, "gateway.auth.issuer").message
    assert issue_at(found, "gateway.auth.client_id").kind == "old-name"
    assert issue_at(found, "gateway.auth.audiance").kind == "unknown-key"
    other = loaded("{ gateway: { auth: { mode: 'token', issuer: 'x' } } }")
    assert issue_at(other, "gateway.auth.issuer").kind == "unknown-key"


def test_agents_by_id_come_before_the_list_which_wins() -> None:
    found = loaded(
        "{ agents: { entries: { a: { name: 'A' }, b: { name: 'old' } },\n"
        " list: [{ id: 'b', name: 'B' },\n { id: 'c', bad: 1 }] },"
        " routing: { agents: { d: {}, a: {} } } }"
    )
    assert [(agent.id, agent.name) for agent in found.config.agents.list] == [
        ("a", "A"),
        ("d", ""),
        ("b", "B"),
        ("c", ""),
    ]
    assert issue_at(found, "agents.list[3].bad").line == 3


@pytest.mark.parametrize(
    "text", ["{ agent: 5 }", "{ routing: [] }", "{ agents: 5, agent: { model: 'x/y' } }", "{ bot: null }"]
)
def test_odd_shapes_are_left_to_the_quarantine(text: str) -> None:
    assert loaded(text).issues


@pytest.mark.parametrize("old", [old for old, _ in MOVES])
def test_no_old_name_is_a_setting_of_today(old: str) -> None:
    assert [
        leaf.path for leaf in leaves() if leaf.path == old or leaf.path.startswith(f"{old.removesuffix('.*')}.")
    ] == []


def test_an_old_name_in_an_included_file_is_told_with_that_file(home: Home) -> None:
    (home.state / "a.json5").write_text("{ model: 'fake/x' }")
    (home.state / "a.json5").chmod(0o600)
    found = home.load("{ agent: { $include: 'a.json5' } }")
    assert found.config.agents.defaults.model == "fake/x"
    assert issue_at(found, "agent.model").file == "a.json5"


_KEYS = st.sampled_from(
    [
        "agent",
        "agents",
        "bot",
        "routing",
        "gateway",
        "telegram",
        "channels",
        "list",
        "entries",
        "id",
        "name",
        "model",
        "allowFrom",
        "token",
        "auth",
        "defaults",
    ]
)
_ANY: st.SearchStrategy[object] = st.recursive(
    st.sampled_from([None, True, 5, "x", []]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_KEYS, _ANY, max_size=5))
def test_any_values_under_any_of_the_names_load(values: dict[str, object]) -> None:
    found = loaded(msgspec.json.encode(values).decode())
    assert found.parsed == values
    assert all(issue.path for issue in found.issues)


def test_a_narrower_egress_list_counts_in_either_spelling_wherever_it_stands() -> None:
    found = loaded(
        "{ network_policy: { allow_egress: true, actions: { web_fetch: { egress_allowlist: ['a.b'] } } },\n"
        " agents: { entries: { x: { networkPolicy: { egress_allowlist: ['c.d'] } } },\n"
        " list: [{ id: 'y', network_policy: { actions: { http_request: { egress_allowlist: ['e.f'] } } } }] } }"
    )
    policy, (x, y) = found.config.network_policy, found.config.agents.list
    assert policy.allow_egress
    assert policy.actions["web_fetch"].egress_allowlist == ("a.b",)
    assert x.network_policy is not None
    assert x.network_policy.egress_allowlist == ("c.d",)
    assert y.network_policy is not None
    assert y.network_policy.actions["http_request"].egress_allowlist == ("e.f",)
    assert {issue.kind for issue in found.issues} == {"old-name"}
