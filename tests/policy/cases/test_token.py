"""Lines of kind `token` in a table of policy cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from openclaw.base.errors import InvalidRequest
from openclaw.policy.cases.table import answers
from openclaw.policy.cases.token import token_case
from tests.policy.cases.token_rows import rows
from tests.policy.cases.token_rows_aws import alb, cognito
from tests.stand_ins.oidc import ALB_ARN, ISSUER, Keychain

NOW = 1_800_000_000
OIDC = {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "openclaw"}}
POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x"
COGNITO = {"mode": "cognito", "cognito": {"userPoolId": "eu-west-1_x", "clientId": "app", "region": "eu-west-1"}}


def case(config: dict[str, Any], chain: Keychain, kid: str = "k1", now: Any = NOW, **changes: Any) -> dict[str, Any]:
    claims = {"iss": ISSUER, "aud": "openclaw", "sub": "alice", "groups": ["staff"], "exp": NOW + 60, **changes}
    line = {"kind": "token", "id": 7, "config": config, "token": chain.token(claims, kid), "jwks": chain.jwks()}
    return token_case({**line, "now": now})


def test_every_row_of_the_table_has_its_answer() -> None:
    table = [*rows(), *cognito(), *alb()]
    lines = [json.dumps({"id": row.name, **row.line}).encode() for row in table]
    found = {row.name: (row.verdict, answer) for row, answer in zip(table, answers(lines), strict=True)}
    assert len(found) == len(table) > 500
    told = {name: _told(answer) for name, (_, answer) in found.items()}
    assert {name: told[name] for name, (verdict, _) in found.items() if told[name] != verdict} == {}
    for verdict, answer in found.values():
        assert ("principal" in answer) is (verdict == "allow")


def _told(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return "error" if answer["error"]["code"] == "INVALID_REQUEST" else str(answer["error"])
    return str(answer["verdict"])


def test_a_setting_that_there_is_not_is_named() -> None:
    chain = Keychain()
    assert "unknown" not in case(OIDC, chain)
    config = {"mode": "oidc", "leeway": 5, "oidc": {**OIDC["oidc"], "tokenUse": "id"}}  # type: ignore[dict-item]
    assert case(config, chain)["unknown"] == ["leeway", "oidc.tokenUse"]


SHORT = {"enabled": True, "provider": "oidc", "oidc": OIDC["oidc"]}


@pytest.mark.parametrize("config", [OIDC, {"auth": OIDC}, {"gateway": {"auth": OIDC}}, SHORT])
def test_without_roles_the_token_alone_is_judged(config: dict[str, Any]) -> None:
    answer = case(config, Keychain())
    assert (answer["id"], answer["verdict"], answer["rule"]) == (7, "allow", "token.oidc")
    assert answer["principal"]["subject"] == "alice"
    assert (answer["principal"]["groups"], answer["principal"]["scopes"]) == (["staff"], [])


def test_with_roles_they_are_given_or_it_is_refused() -> None:
    config = {"gateway": {"auth": OIDC, "roles": {"user": {"groups": ["staff"]}}}}
    assert case(config, Keychain())["principal"]["scopes"] == ["operator.read", "operator.write"]
    assert case(config, Keychain(), groups=["others"])["rule"] == "token.no-role"


@pytest.mark.parametrize(
    ("changes", "now", "rule"),
    [
        ({"aud": "x"}, NOW, "token.audience"),
        ({"iss": "x"}, NOW, "token.issuer"),
        ({}, NOW + 120, "token.expired"),
        ({}, (NOW + 120) * 1000, "token.expired"),
        ({}, "2027-01-15T08:02:00Z", "token.expired"),
        ({"nbf": NOW + 61}, NOW, "token.not-yet"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], now: Any, rule: str) -> None:
    answer = case(OIDC, Keychain(), now=now, **changes)
    assert (answer["verdict"], answer["rule"], "principal" in answer) == ("deny", rule, False)


def test_cognito_and_load_balancers_are_judged_too() -> None:
    chain = Keychain()
    assert case(COGNITO, chain, iss=POOL, token_use="access", client_id="app")["verdict"] == "allow"
    assert case(COGNITO, chain, iss=POOL, token_use="id")["rule"] == "token.audience"
    config = {"mode": "alb", "alb": {"signer": ALB_ARN, "region": "eu-west-1"}}
    token = chain.token({"sub": "alice"}, "k2", signer=ALB_ARN, exp=NOW + 60)
    line = {"config": config, "token": token, "jwks": chain.jwks(), "now": NOW}
    assert token_case(line)["verdict"] == "allow"
    assert (
        token_case({**line, "config": {"mode": "alb", "alb": {"signer": "other", "region": "r"}}})["rule"]
        == "token.signer"
    )


def test_the_shared_secret_is_compared_and_an_unknown_key_or_a_bad_line_is_told() -> None:
    shared = {"config": {"mode": "token", "token": "s3cret"}, "token": "s3cret"}
    assert token_case(shared)["verdict"] == "allow"
    assert token_case({**shared, "token": "s3cre"})["rule"] == "token.mismatch"
    assert token_case({"config": {"mode": "none"}, "token": "x"})["verdict"] == "deny"
    assert token_case({"config": OIDC, "token": "s3cret"})["rule"] == "token.malformed"
    token = Keychain().token({"sub": "a"})
    assert token_case({"config": OIDC, "token": token})["rule"] == "token.unknown-key"
    for bad in ({}, {"token": "x"}, {"token": 1, "config": {}}, {"token": "x", "config": {"mode": "magic"}}):
        with pytest.raises(InvalidRequest):
            token_case(bad)
    with pytest.raises(InvalidRequest):
        case(OIDC, Keychain(), now="yesterday")
