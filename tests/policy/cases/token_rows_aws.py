"""Rows of the table of tokens: those of Amazon's user pools and load balancers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.policy.cases.token_rows import ALB, COGNITO, NOW, OIDC, POOL, Row, chain, line, made, public
from tests.stand_ins.oidc import ALB_ARN, sign


def cognito() -> Iterator[Row]:
    access = {
        "iss": POOL,
        "token_use": "access",
        "client_id": "app",
        "aud": ...,
        "groups": ...,
        "cognito:groups": ["staff"],
    }
    ident = {"iss": POOL, "token_use": "id", "aud": "app", "groups": ..., "cognito:groups": ["staff"], "email": "a@b.c"}
    pool = COGNITO["cognito"]
    for name, config in {
        "by the pool's id": COGNITO,
        "with its region": {"mode": "cognito", "cognito": {**pool, "region": "eu-west-1"}},
        "flat": {"mode": "cognito", **pool, "region": "eu-west-1"},
        "in snake case": {"mode": "cognito", "cognito": {"user_pool_id": "eu-west-1_AbC", "client_id": "app"}},
        "by its issuer": {"mode": "cognito", "cognito": {"issuer": POOL, "clientId": "app"}},
        "by its issuer and audience": {"mode": "cognito", "cognito": {"issuer": POOL, "audience": "app"}},
        "with keys elsewhere": {"mode": "cognito", "cognito": {**pool, "jwksUrl": "http://127.0.0.1:1/keys"}},
        "by mode oidc": {"mode": "oidc", "oidc": {"issuer": POOL, "clientId": "app", "groupsClaim": "cognito:groups"}},
    }.items():
        yield Row(f"cognito {name}: access", "allow", line(made(**access), config))
        yield Row(f"cognito {name}: id", "allow", line(made(**ident), config))
    for use, of_access, of_id in (("access", "allow", "deny"), ("id", "deny", "allow"), ("any", "allow", "allow")):
        config = {"mode": "cognito", "cognito": {**pool, "tokenUse": use}}
        yield Row(f"cognito tokenUse {use}: access", of_access, line(made(**access), config))
        yield Row(f"cognito tokenUse {use}: id", of_id, line(made(**ident), config))
    for change in (
        {"iss": POOL.replace("_AbC", "_Abd")},
        {"iss": POOL.replace("https://cognito-idp.eu-west-1", "https://cognito-idp.us-east-1")},
        {"iss": POOL.replace("_AbC", "_abc")},
        {"iss": POOL + "/"},
        {"iss": POOL.replace("amazonaws.com", "amazonaws.com.evil.example")},
        {"client_id": "other"},
        {"client_id": "APP"},
        {"client_id": ["app"]},
        {"client_id": ...},
        {"client_id": ..., "aud": "app"},
        {"token_use": "refresh"},
        {"token_use": "ACCESS"},
        {"token_use": ["access"]},
        {"token_use": ...},
        {"token_use": "id"},
        {"exp": NOW - 61},
        {"nbf": NOW + 61},
        {"cognito:groups": {"staff": 1}},
        {"sub": ...},
    ):
        yield Row(f"cognito access with {change!r}"[:90], "deny", line(made(**{**access, **change}), COGNITO))
    for other in (
        {"aud": "other"},
        {"aud": ...},
        {"aud": [], "client_id": "app"},
        {"token_use": "access"},
        {"aud": "ap"},
    ):
        yield Row(f"cognito id with {other!r}", "deny", line(made(**{**ident, **other}), COGNITO))
    for bad in ({"mode": "cognito"}, {"mode": "cognito", "cognito": {"userPoolId": "eu-west-1_AbC"}}):
        yield Row(f"cognito with {bad!r}"[:90], "deny", line(made(**access), bad))


def alb() -> Iterator[Row]:
    facts = {"signer": ALB_ARN, "iss": "https://idp.example", "client": "c1", "exp": NOW + 120}
    person = {
        "sub": "alice",
        "email": "a@b.example",
        "groups": ["staff"],
        "exp": NOW + 120,
        "iss": "https://idp.example",
    }
    keys = chain()

    def token(person_changes: dict[str, Any] | None = None, **header: Any) -> str:
        fields = {name: value for name, value in {**facts, **header}.items() if value is not ...}
        body = {name: value for name, value in {**person, **(person_changes or {})}.items() if value is not ...}
        return keys.padded(body, "k2", **fields)

    good, pem = token(), keys.pem("k2").decode()
    yield Row("alb, padded", "allow", line(good, ALB))
    plain = sign({"alg": "ES256", "kid": "k2", **facts}, json.dumps(person).encode(), keys.keys["k2"])
    yield Row("alb, not padded", "allow", line(plain, ALB))
    yield Row("alb with its key as PEM", "allow", line(good, ALB, jwks=pem))
    yield Row("alb with its keys as PEM by id", "allow", line(good, ALB, jwks={"k2": pem}))
    yield Row("alb with another key as PEM", "deny", line(good, ALB, jwks=chain(1).pem("k2").decode()))
    yield Row("alb with its key under another id", "deny", line(good, ALB, jwks={"k3": pem}))
    yield Row("alb with an RSA key as PEM", "error", line(good, ALB, jwks=keys.pem("k1").decode()))
    yield Row("alb with a PEM that is none", "error", line(good, ALB, jwks="-----BEGIN PUBLIC KEY-----\nx\n"))
    yield Row("alb, flat", "allow", line(good, {"mode": "alb", "region": "eu-west-1", "signer": ALB_ARN}))
    yield Row(
        "alb by signerArn", "allow", line(good, {"mode": "alb", "alb": {"region": "eu-west-1", "signerArn": ALB_ARN}})
    )
    by_arn = {"mode": "alb", "alb": {"loadBalancerArn": ALB_ARN}}
    yield Row("alb by its ARN alone", "allow", line(good, by_arn))
    full = {"mode": "alb", "alb": {**ALB["alb"], "issuer": "https://idp.example", "clientId": "c1"}}
    yield Row("alb with issuer and client", "allow", line(good, full))
    yield Row("alb of another issuer", "deny", line(token(iss="https://evil.example"), full))
    yield Row("alb of another client", "deny", line(token(client="c2"), full))
    yield Row("alb without its client", "deny", line(token(client=...), full))
    yield Row("alb without its issuer", "deny", line(token({"iss": ...}, iss=...), full))
    for signer in (
        ALB_ARN + "x",
        ALB_ARN[:-1],
        ALB_ARN.upper(),
        ALB_ARN.replace("eu-west-1", "us-east-1"),
        "",
        None,
        [ALB_ARN],
        ...,
    ):
        yield Row(f"alb signed by {str(signer)[-24:]!r}", "deny", line(token(signer=signer), ALB))
    yield Row("alb with its signer in the body only", "deny", line(token({"signer": ALB_ARN}, signer=...), ALB))
    yield Row("alb that is not told its signer", "deny", line(good, {"mode": "alb", "alb": {"region": "eu-west-1"}}))
    yield Row(
        "alb: neither is there a signer",
        "deny",
        line(token(signer=""), {"mode": "alb", "alb": {"region": "eu-west-1"}}),
    )
    yield Row("alb: it ended", "deny", line(token(exp=NOW - 60), ALB))
    yield Row("alb: its body ended", "deny", line(token({"exp": NOW - 60}), ALB))
    yield Row("alb: an end in the header only", "allow", line(token({"exp": ...}), ALB))
    yield Row("alb: an end in the body only", "allow", line(token(exp=...), ALB))
    yield Row("alb: no end", "deny", line(token({"exp": ...}, exp=...), ALB))
    yield Row("alb: an end that is text", "deny", line(token(exp="9999999999"), ALB))
    yield Row("alb: nobody", "deny", line(token({"sub": ...}), ALB))
    rsa = sign({"alg": "RS256", "kid": "k1", **facts}, json.dumps(person).encode(), keys.keys["k1"])
    yield Row("alb by RS256", "deny", line(rsa, ALB))
    bare = sign({"alg": "ES256", **facts}, json.dumps(person).encode(), keys.keys["k2"])
    yield Row("alb without kid", "deny", line(bare, ALB))
    yield Row("alb without kid, one key", "deny", line(bare, ALB, jwks=public("k2")))
    yield Row("alb without kid, one key as PEM", "deny", line(bare, ALB, jwks=pem))
    yield Row("alb with an empty kid", "deny", line(token(kid=""), ALB, jwks=pem))
    for kid in ("../k2", "k2/", "k2?x", "k2#", "k%32", "https://evil.example/k2", "k9"):
        yield Row(f"alb with kid {kid!r}", "deny", line(token(kid=kid), ALB))
    yield Row("alb with jku", "deny", line(token(jku="https://evil.example"), ALB))
    head, body, signature = good.split(".")
    yield Row("alb, its signature's padding cut off", "deny", line(f"{head}.{body}.{signature.rstrip('=')}", ALB))
    yield Row("alb, one sign of padding cut off", "deny", line(good[:-1], ALB))
    yield Row("alb, its body's padding cut off", "deny", line(f"{head}.{body.rstrip('=')}x.{signature}", ALB))
    yield Row("alb, more padding", "deny", line(f"{good}=", ALB))
    yield Row("alb, the token of an OpenID provider", "deny", line(made("k2"), ALB))
    yield Row("an OpenID provider, the token of a load balancer", "deny", line(good, OIDC))
