"""Tokens of others: what opens the gateway, and everything near it that does not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import Forbidden, OpenClawError, RateLimited, Unauthorized, Unavailable
from openclaw.base.principal import Limits, Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import (
    AlbConfig,
    AuthConfig,
    CognitoConfig,
    OidcConfig,
    RateLimitConfig,
    RoleConfig,
    TrustedProxyConfig,
)
from openclaw.identity.authenticate import Authenticator, Evidence, Mode
from openclaw.identity.federated.federation import build_federation, owner_of
from openclaw.identity.federated.jws import BadToken, parse
from openclaw.identity.federated.keys import BURST, KEPT_S, ROTATE_S, STALE_S, keys_of
from openclaw.identity.locality import Browser, Source, TrustedProxies, locate
from tests.stand_ins.oidc import ALB_ARN, ISSUER, Keychain, b64, sign

pytestmark = pytest.mark.anyio

REMOTE = Source("9.9.9.9", False)
LOCAL = Source("127.0.0.1", True)
ROLES = {
    "user": RoleConfig(groups=("staff",)),
    "admin": RoleConfig(groups=("boss",)),
    "viewer": RoleConfig(users=("eve",)),
}
POOL = CognitoConfig(user_pool_id="eu-west-1_AbC", client_id="app")
OIDC = AuthConfig(mode="oidc", oidc=OidcConfig(issuer=ISSUER, audience="openclaw"), token=Secret("shared"))
COGNITO = AuthConfig(mode="cognito", cognito=POOL)
ALB = AuthConfig(mode="alb", alb=AlbConfig(region="eu-west-1", signer=ALB_ARN, client_id="c1", issuer="https://idp"))
PROXY = AuthConfig(
    mode="trusted-proxy",
    trusted_proxy=TrustedProxyConfig(
        groups_header="X-Groups", required_headers=("x-proxy-ok",), secret=Secret("between-us")
    ),
)


class House:
    """An authenticator whose callers a keychain vouches for."""

    def __init__(self, auth: AuthConfig = OIDC, chain: Keychain | None = None, attempts: int = 1000) -> None:
        self.clock = ManualClock()
        issuer = ISSUER if auth.mode != "cognito" else "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
        self.chain = chain or Keychain(issuer)
        self.auth = auth
        limits = RateLimitConfig(max_attempts=attempts)
        self.door = Authenticator(auth.mode, auth.token, None, lambda: limits, self.clock)
        self.use(auth)

    def use(self, auth: AuthConfig, roles: dict[str, RoleConfig] | None = None) -> bool:
        federation = build_federation(auth, ROLES if roles is None else roles, self.chain.documents, self.clock)
        return self.door.renew(auth.mode, auth.token, None, (), federation)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.clock.now_ms() // 1000
        known: dict[str, Any] = {"iat": now, "exp": now + 600, "sub": "alice", "iss": self.chain.issuer}
        if self.auth.mode == "cognito":
            known |= {"token_use": "access", "client_id": "app", "cognito:groups": ["staff"]}
        else:
            known |= {"aud": "openclaw", "groups": ["staff"]}
        return {name: value for name, value in {**known, **changes}.items() if value is not None}

    async def http(self, token: str, source: Source = REMOTE) -> Principal:
        headers = {b"authorization": b"Bearer " + token.encode()}
        source = self.door.carrying(source, headers)
        await self.door.prepare(source)
        return self.door.http(headers, source)

    async def refusal(self, token: str, source: Source = REMOTE) -> str:
        with pytest.raises(OpenClawError) as caught:
            await self.http(token, source)
        return str(caught.value.details.get("authReason") or caught.value.details.get("code") or caught.value.code)


async def test_a_good_token_is_a_person_with_the_scopes_of_their_roles() -> None:
    house = House()
    for kid in ("k1", "k2"):
        who = await house.http(house.chain.token(house.claims(), kid))
        assert (who.method, who.subject, who.groups, who.roles) == ("oidc", "alice", ("staff",), ("user",))
        assert who.scopes == {"operator.read", "operator.write"}
        assert who.owner == owner_of("oidc", ISSUER, "alice") != "operator"
        assert house.door.stands(who)
    both = await house.http(house.chain.token(house.claims(groups=["staff", "boss"])))
    assert both.may("operator.admin")
    assert (await house.http(house.chain.token(house.claims(sub="eve", groups=None)))).scopes == {"operator.read"}
    assert house.chain.asked == [f"{ISSUER}/.well-known/openid-configuration", f"{ISSUER}/keys"]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("another issuer", {"iss": "https://id.example/other"}, "issuer"),
    ("an issuer with a slash more", {"iss": ISSUER + "/"}, "issuer"),
    ("no issuer", {"iss": None}, "issuer"),
    ("another audience", {"aud": "other"}, "audience"),
    ("an audience that begins like ours", {"aud": "openclaw2"}, "audience"),
    ("an audience of another type", {"aud": {"openclaw": True}}, "audience"),
    ("audiences without ours", {"aud": ["a", "b"]}, "audience"),
    ("no audience", {"aud": None}, "audience"),
    ("no end", {"exp": None}, "expiry"),
    ("an end that is text", {"exp": "9999999999"}, "malformed"),
    ("an end that is true", {"exp": True}, "malformed"),
    ("an end beyond time", {"exp": 1e300}, "malformed"),
    ("nobody", {"sub": None}, "subject"),
    ("an empty name", {"sub": "  "}, "subject"),
    ("a name that is a number", {"sub": 7}, "subject"),
    ("a name with a line's end", {"sub": "a\nb"}, "subject"),
    ("a name without end", {"sub": "a" * 257}, "subject"),
    ("groups that are an object", {"groups": {"staff": 1}}, "groups"),
    ("a group that is a number", {"groups": [1]}, "groups"),
    ("no role", {"groups": ["strangers"]}, "AUTH_NO_ROLE"),
    ("a group named like a role", {"groups": ["admin", "operator"]}, "AUTH_NO_ROLE"),
]


@pytest.mark.parametrize(("changes", "reason"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
async def test_a_token_with_wrong_claims_is_refused(changes: dict[str, Any], reason: str) -> None:
    house = House()
    assert await house.refusal(house.chain.token(house.claims(**changes))) == reason


@pytest.mark.parametrize(
    ("claim", "offset_s", "reason"),
    [
        ("exp", -60, "expired"),
        ("exp", -59, ""),
        ("exp", -86_400, "expired"),
        ("nbf", 60, ""),
        ("nbf", 61, "not_yet"),
        ("iat", 60, ""),
        ("iat", 61, "not_yet"),
    ],
)
async def test_times_have_a_leeway_of_a_minute(claim: str, offset_s: int, reason: str) -> None:
    house = House()
    token = house.chain.token(house.claims(**{claim: house.clock.now_ms() // 1000 + offset_s}))
    if reason:
        assert await house.refusal(token) == reason
    else:
        assert (await house.http(token)).subject == "alice"


def _forged(house: House, header: dict[str, Any], signature: str = "") -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(house.claims()).encode())}.{signature or b64(b'x')}"


def _hmac_with(house: House, secret: bytes, algorithm: str = "HS256") -> str:
    return sign({"alg": algorithm, "kid": "k1"}, json.dumps(house.claims()).encode(), secret)


def _with_header(**header: Any) -> Callable[[House], str]:
    return lambda house: house.chain.token(house.claims(), **header)


def _strangers(house: House, **header: Any) -> str:
    stranger = Keychain(seed=1)
    return stranger.token(house.claims(), **header)


def _own_key(house: House) -> str:
    stranger = Keychain(seed=1)
    return stranger.token(house.claims(), jwk=stranger.keys["k1"].as_dict(private=False))


def _repeated(house: House) -> str:
    claims = json.dumps(house.claims())[:-1] + ', "groups": ["boss"]}'
    return sign({"alg": "RS256", "kid": "k1"}, claims.encode(), house.chain.keys["k1"])


def _der_signature(house: House) -> str:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    head, body, signature = house.chain.token(house.claims(), "k2").split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    return f"{head}.{body}.{b64(der)}"


TRICKS: list[tuple[str, Callable[[House], str], str]] = [
    ("none", lambda house: _forged(house, {"alg": "none"}), "algorithm"),
    ("None", lambda house: _forged(house, {"alg": "NoNe", "kid": "k1"}), "algorithm"),
    ("no algorithm", lambda house: _forged(house, {"kid": "k1"}), "algorithm"),
    ("an algorithm that is a list", lambda house: _forged(house, {"alg": ["RS256"], "kid": "k1"}), "algorithm"),
    ("HMAC with the public key as PEM", lambda house: _hmac_with(house, house.chain.pem("k1")), "algorithm"),
    (
        "HMAC with the public key as JSON",
        lambda house: _hmac_with(house, json.dumps(house.chain.jwks()).encode()),
        "algorithm",
    ),
    ("PS256", lambda house: _forged(house, {"alg": "PS256", "kid": "k1"}), "algorithm"),
    ("RS512", lambda house: _forged(house, {"alg": "RS512", "kid": "k1"}), "algorithm"),
    ("EdDSA", lambda house: _forged(house, {"alg": "EdDSA", "kid": "k1"}), "algorithm"),
    ("ES256 with an RSA key", lambda house: _forged(house, {"alg": "ES256", "kid": "k1"}), "algorithm"),
    ("RS256 with an EC key", lambda house: _forged(house, {"alg": "RS256", "kid": "k2"}), "algorithm"),
    ("a key of the token's own", _own_key, "header"),
    ("a key that is elsewhere", _with_header(jku="https://evil.example/keys"), "header"),
    ("a certificate that is elsewhere", _with_header(x5u="https://evil.example/c"), "header"),
    ("a certificate of the token's own", _with_header(x5c=["MII"]), "header"),
    ("an extension to be understood", _with_header(crit=["exp"]), "header"),
    ("a body that is not encoded", _with_header(b64=False), "header"),
    ("a compressed body", _with_header(zip="DEF"), "header"),
    ("another type", _with_header(typ="secevent+jwt"), "type"),
    ("another's key of the same name", _strangers, "signature"),
    ("an unknown key", lambda house: _forged(house, {"alg": "RS256", "kid": "k9"}), "unknown_key"),
    ("no key named among several", lambda house: _forged(house, {"alg": "RS256"}), "unknown_key"),
    ("a path as key id", lambda house: _forged(house, {"alg": "RS256", "kid": "../../k1"}), "unknown_key"),
    ("a key id with a zero byte", lambda house: _forged(house, {"alg": "RS256", "kid": "k1\x00"}), "kid"),
    ("a key id that is a number", lambda house: _forged(house, {"alg": "RS256", "kid": 1}), "kid"),
    ("a key id without end", lambda house: _forged(house, {"alg": "RS256", "kid": "k" * 257}), "kid"),
    ("a name said twice", _repeated, "malformed"),
    ("an EC signature as DER", _der_signature, "signature"),
    ("an empty signature", lambda house: house.chain.token(house.claims()).rpartition(".")[0] + ".", "malformed"),
    ("a zero EC signature", lambda h: h.chain.token(h.claims(), "k2").rpartition(".")[0] + "." + "A" * 86, "signature"),
    ("padding", lambda house: house.chain.token(house.claims()) + "=", "malformed"),
    ("a token without end", lambda house: house.chain.token(house.claims(x="a" * 20_000)), "too_long"),
    ("claims that are a list", lambda h: sign({"alg": "RS256", "kid": "k1"}, b"[]", h.chain.keys["k1"]), "malformed"),
    ("claims with NaN", lambda h: sign({"alg": "RS256", "kid": "k1"}, b'{"exp":NaN}', h.chain.keys["k1"]), "malformed"),
]


@pytest.mark.parametrize(("trick", "reason"), [case[1:] for case in TRICKS], ids=[case[0] for case in TRICKS])
async def test_a_trick_is_refused(trick: Callable[[House], str], reason: str) -> None:
    house = House()
    assert (await house.http(house.chain.token(house.claims()))).subject == "alice"
    assert await house.refusal(trick(house)) == reason


async def test_a_token_changed_in_any_one_place_is_refused() -> None:
    house = House()
    token = house.chain.token(house.claims(), "k2")
    for index, character in enumerate(token):
        other = "A" if character != "A" else "B"
        mutant = token[:index] + other + token[index + 1 :]
        with pytest.raises((Unauthorized, Forbidden)):
            await house.http(mutant)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_is_refused_never_a_crash(text: str) -> None:
    with pytest.raises(BadToken):
        parse(f"ey{text}")


def test_weak_and_odd_keys_of_a_set_are_left_out() -> None:
    chain = Keychain()
    chain.add_rsa("weak", 1024)
    good = chain.jwks()["keys"]
    odd = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "o"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "p"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "off-curve"},
        {**good[0], "kid": "enc", "use": "enc"},
        {**good[0], "kid": "ps", "alg": "PS256"},
        {**good[0], "kid": "e1", "e": "AQ"},
        {**good[0], "kid": 7},
        {"kty": "RSA", "kid": "empty"},
    ]
    assert sorted(keys_of(json.dumps({"keys": odd + good}).encode())) == ["k1", "k2"]
    with pytest.raises(msgspec.MsgspecError):
        keys_of(b"[]")


async def test_keys_that_turn_are_found_at_the_first_token_and_made_up_ids_cost_the_provider_little() -> None:
    house = House()
    await house.http(house.chain.token(house.claims()))
    house.chain.add_rsa("k3")
    assert (await house.http(house.chain.token(house.claims(), "k3"))).subject == "alice"
    asked = len(house.chain.asked)
    for number in range(50):
        assert await house.refusal(_forged(house, {"alg": "RS256", "kid": f"made-up-{number}"})) == "unknown_key"
    assert len(house.chain.asked) == asked + BURST - 2
    house.chain.add_rsa("k4")
    house.clock.advance(ROTATE_S)
    await house.refusal(_forged(house, {"alg": "RS256", "kid": "made-up"}))
    assert len(house.chain.asked) == asked + BURST - 1
    assert (await house.http(house.chain.token(house.claims(), "k4"))).subject == "alice"


async def test_who_comes_while_keys_are_fetched_waits_for_them_and_one_fetch_serves_all() -> None:
    house = House(attempts=1)
    token = house.chain.token(house.claims())
    assert {found.subject for found in await asyncio.gather(*(house.http(token) for _ in range(20)))} == {"alice"}
    asked = len(house.chain.asked)
    house.chain.add_rsa("k3")
    house.clock.advance(ROTATE_S)
    turned = house.chain.token(house.claims(), "k3")
    assert {found.subject for found in await asyncio.gather(*(house.http(turned) for _ in range(20)))} == {"alice"}
    assert len(house.chain.asked) == asked + 1


async def test_a_locked_out_program_of_this_machine_with_the_right_token_needs_no_key_from_before() -> None:
    house = House(attempts=1)
    await house.refusal("x" * 40, LOCAL)
    assert (await house.http(house.chain.token(house.claims()), LOCAL)).subject == "alice"


async def test_a_key_that_was_withdrawn_opens_nothing_after_the_next_fetch() -> None:
    house = House()
    token = house.chain.token(house.claims(exp=house.clock.now_ms() // 1000 + 90_000))
    await house.http(token)
    del house.chain.keys["k1"]
    house.clock.advance(STALE_S)
    assert await house.refusal(token) == "unknown_key"


async def test_while_the_provider_is_away_its_keys_go_on_for_a_day_and_without_any_nobody_is_counted_wrong() -> None:
    house = House(attempts=1)
    house.chain.down = True
    with pytest.raises(Unavailable):
        await house.http(house.chain.token(house.claims()))
    house.chain.down = False
    house.clock.advance(ROTATE_S)
    late = house.chain.token(house.claims(exp=house.clock.now_ms() // 1000 + 200_000))
    assert (await house.http(late)).subject == "alice"
    house.chain.down = True
    house.clock.advance(KEPT_S - 1)
    assert (await house.http(late)).subject == "alice"
    house.clock.advance(2)
    with pytest.raises(Unavailable):
        await house.http(late)


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": ISSUER + "x", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER, "jwks_uri": "http://id.example/keys"},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER},
    ],
)
async def test_a_discovery_document_that_leads_astray_is_not_followed(document: dict[str, str]) -> None:
    house = House()

    async def documents(url: str) -> bytes:
        assert url.endswith("openid-configuration")
        return json.dumps(document).encode()

    federation = build_federation(OIDC, ROLES, documents, house.clock)
    house.door = Authenticator("oidc", None, None, RateLimitConfig, house.clock, federation=federation)
    with pytest.raises(Unavailable):
        await house.http(house.chain.token(house.claims()))


async def test_a_wrong_token_counts_and_a_lockout_holds_for_the_right_one_too() -> None:
    house = House(attempts=3)
    good = house.chain.token(house.claims())
    for _ in range(3):
        assert await house.refusal(_strangers(house)) == "signature"
    with pytest.raises(RateLimited):
        await house.http(good)
    assert (await house.http(good, Source("8.8.8.8", False))).subject == "alice"
    expired = house.chain.token(house.claims(exp=1))
    assert {await house.refusal(expired, Source("7.7.7.7", False)) for _ in range(5)} == {"expired"}


async def test_beside_a_provider_the_shared_token_opens_to_programs_on_this_machine_only() -> None:
    house = House(attempts=2)
    assert (await house.http("shared", LOCAL)).method == "token"
    page = Source("127.0.0.1", True, True, "own")
    for source in (REMOTE, page):
        assert await house.refusal("shared", source) == "token_mismatch"
    assert house.door.connect(Evidence(token="shared"), LOCAL, "operator", ("operator.admin",), 4).method == "token"
    with pytest.raises(Unauthorized):
        house.door.connect(Evidence(token="shared"), REMOTE, "operator", (), 4)


def test_a_connect_request_is_given_what_it_asks_for_of_what_the_roles_give() -> None:
    house = House()
    import anyio

    anyio.run(house.http, house.chain.token(house.claims()))
    token = house.chain.token(house.claims())

    def scopes(*asked: str) -> set[str]:
        return set(house.door.connect(Evidence(token=token), REMOTE, "operator", asked, 4, "d1").scopes)

    assert scopes() == scopes("operator.admin") == {"operator.read", "operator.write"}
    assert scopes("operator.read") == {"operator.read"}
    assert scopes("operator.pairing") == set()
    assert scopes("operator.pairing", "operator.write", "made.up") == {"operator.write"}
    with pytest.raises(Forbidden):
        house.door.connect(Evidence(token=token), REMOTE, "node", (), 4, "d1")


async def test_whoever_is_in_stands_until_the_token_ends_the_roles_change_or_the_provider_does() -> None:
    house = House()
    who = await house.http(house.chain.token(house.claims()))
    called: list[str] = []
    house.door.holders.add(lambda: called.append("look"))
    assert not house.use(OIDC)
    assert called == []
    assert house.use(OIDC, {"viewer": RoleConfig(groups=("staff",))})
    assert not house.door.stands(who)
    assert house.use(OIDC, ROLES)
    assert house.door.stands(who)
    other = msgspec.structs.replace(OIDC, oidc=OidcConfig(issuer=ISSUER, audience="another"))
    assert house.use(other)
    assert not house.door.stands(who)
    house.use(OIDC)
    house.clock.advance(659)
    assert house.door.stands(who)
    assert house.door.left_s(who) == 1
    house.clock.advance(1)
    assert not house.door.stands(who)
    assert len(called) == 4


COGNITO_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other"}, "issuer"),
    ({"iss": "https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AbC"}, "issuer"),
    ({"client_id": "other"}, "client"),
    ({"client_id": None}, "client"),
    ({"client_id": None, "aud": "app"}, "client"),
    ({"token_use": "id", "aud": "other"}, "audience"),
    ({"token_use": "id"}, "audience"),
    ({"token_use": "refresh"}, "token_use"),
    ({"token_use": None}, "token_use"),
    ({"cognito:groups": None, "groups": ["boss"]}, "AUTH_NO_ROLE"),
]


@pytest.mark.parametrize(("changes", "reason"), COGNITO_WRONG)
async def test_a_token_of_another_pool_client_or_use_is_refused(changes: dict[str, Any], reason: str) -> None:
    house = House(COGNITO)
    assert await house.refusal(house.chain.token(house.claims(**changes))) == reason


async def test_access_and_id_tokens_of_the_pool_open_unless_one_kind_is_named() -> None:
    house = House(COGNITO)
    access = house.chain.token(house.claims())
    by_id = house.chain.token(house.claims(token_use="id", client_id=None, aud="app"))
    assert (await house.http(access)).owner == (await house.http(by_id)).owner
    for use, good, bad in (("access", access, by_id), ("id", by_id, access)):
        pool = msgspec.structs.replace(POOL, token_use=use)
        house.use(msgspec.structs.replace(COGNITO, cognito=pool))
        assert (await house.http(good)).method == "cognito"
        assert await house.refusal(bad) == "token_use"


class Balancer(House):
    """Behind a load balancer."""

    def __init__(self) -> None:
        super().__init__(ALB)
        self.chain.add_ec("lb-1")

    def header(self, **changes: Any) -> dict[str, Any]:
        exp = self.clock.now_ms() // 1000 + 120
        known = {"signer": ALB_ARN, "client": "c1", "iss": "https://idp", "exp": exp, "typ": "JWT"}
        return {name: value for name, value in {**known, **changes}.items() if value is not None}

    async def via(self, token: str) -> Principal:
        headers = {b"x-amzn-oidc-data": token.encode(), b"authorization": b"Bearer nonsense"}
        source = self.door.carrying(REMOTE, headers)
        await self.door.prepare(source)
        return self.door.http(headers, source)


async def test_what_a_load_balancer_signs_opens_also_with_its_padding() -> None:
    here = Balancer()
    claims = {"sub": "alice", "groups": ["staff"]}
    token = here.chain.token(claims, "lb-1", **here.header())
    assert (await here.via(token)).subject == "alice"
    assert (await here.via(here.chain.padded(claims, "lb-1", **here.header()))).subject == "alice"
    assert here.chain.asked == ["https://public-keys.auth.elb.eu-west-1.amazonaws.com/lb-1"]


@pytest.mark.parametrize(
    ("changes", "kid", "reason"),
    [
        ({"signer": ALB_ARN + "2"}, "lb-1", "signer"),
        ({"signer": None}, "lb-1", "signer"),
        ({"client": "c2"}, "lb-1", "client"),
        ({"iss": "https://other"}, "lb-1", "issuer"),
        ({"exp": 1}, "lb-1", "expired"),
        ({"exp": None}, "lb-1", "expiry"),
        ({}, "k1", "algorithm"),
        ({"kid": "../k2"}, "lb-1", "unknown_key"),
        ({"kid": "k2"}, "lb-1", "signature"),
        ({"kid": "nowhere"}, "lb-1", "unknown_key"),
        ({"jku": "https://evil.example"}, "lb-1", "header"),
    ],
)
async def test_what_another_signs_or_for_another_is_refused(changes: dict[str, Any], kid: str, reason: str) -> None:
    here = Balancer()
    token = here.chain.token({"sub": "alice", "groups": ["staff"]}, kid, **here.header(**changes))
    with pytest.raises(Unauthorized) as caught:
        await here.via(token)
    assert caught.value.details["authReason"] == reason


async def test_a_load_balancers_header_changed_in_any_bit_is_refused() -> None:
    here = Balancer()
    token = here.chain.padded({"sub": "alice", "groups": ["staff"]}, "lb-1", **here.header())
    assert (await here.via(token)).subject == "alice"
    for index, character in enumerate(token):
        for bit in range(7):
            here.door.limiter.succeeded(REMOTE.key)
            mutant = token[:index] + chr(ord(character) ^ 1 << bit) + token[index + 1 :]
            with pytest.raises((Unauthorized, Forbidden)):
                await here.via(mutant)


NAMED = {b"x-forwarded-user": b"alice", b"x-groups": b"staff, boss", b"x-proxy-ok": b"1"}
PROVEN = {**NAMED, b"x-openclaw-proxy-secret": b"between-us"}
FORWARDED = {b"x-forwarded-for": b"9.9.9.9"}


def through(
    house: House, peer: str, headers: dict[bytes, bytes], proxies: tuple[str, ...] = ("10.0.0.1",)
) -> Principal:
    proxy = house.auth.trusted_proxy
    trusted = TrustedProxies(proxies, proxy.proof_header, proxy.secret)
    source = house.door.carrying(locate(peer, headers, trusted), headers)
    return house.door.http(headers, source)


@pytest.mark.parametrize(("browser", "enters"), [("no", True), ("own", True), ("allowed", True), ("foreign", False)])
def test_a_page_of_another_site_acts_for_nobody_whom_a_proxys_cookie_signs_in(browser: Browser, enters: bool) -> None:
    house = House(PROXY)
    trusted = TrustedProxies(("10.0.0.1",), PROXY.trusted_proxy.proof_header, PROXY.trusted_proxy.secret)
    source = house.door.carrying(locate("10.0.0.1", {**NAMED, **FORWARDED}, trusted, browser), NAMED)
    if enters:
        assert house.door.http(NAMED, source).subject == "alice"
    else:
        with pytest.raises(Forbidden, match="origin not allowed"):
            house.door.http(NAMED, source)


def test_a_listed_proxy_names_the_user_and_the_groups() -> None:
    house = House(PROXY)
    who = through(house, "10.0.0.1", {**NAMED, **FORWARDED})
    assert (who.owner, who.method, who.roles) == ("proxy:alice", "trusted-proxy", ("admin", "user"))
    assert through(house, "127.0.0.1", {**PROVEN, **FORWARDED}, ("127.0.0.1",)).subject == "alice"
    assert through(house, "127.0.0.1", PROVEN, ("127.0.0.1",)).subject == "alice"


@pytest.mark.parametrize(
    ("peer", "headers", "proxies", "reason"),
    [
        ("10.0.0.2", NAMED, ("10.0.0.1",), "proxy"),
        ("10.0.0.2", PROVEN, ("10.0.0.1",), "proxy"),
        ("127.0.0.1", NAMED, ("10.0.0.1",), "proxy"),
        ("127.0.0.1", NAMED, ("127.0.0.1",), "proxy"),
        ("127.0.0.1", {**NAMED, **FORWARDED}, ("127.0.0.1",), "proxy"),
        ("::1", NAMED, ("::1", "127.0.0.1"), "proxy"),
        ("::ffff:127.0.0.1", NAMED, ("127.0.0.1",), "proxy"),
        ("127.0.0.1", {**NAMED, b"x-openclaw-proxy-secret": b"between-u"}, ("127.0.0.1",), "proxy"),
        ("10.0.0.1", {b"x-forwarded-user": b"alice"}, ("10.0.0.1",), "required_header"),
        ("10.0.0.1", {**NAMED, b"x-forwarded-user": b"a\x01b"}, ("10.0.0.1",), "subject"),
        ("10.0.0.1", {b"x-proxy-ok": b"1"}, ("10.0.0.1",), "token_missing"),
    ],
)
def test_a_name_from_anybody_else_is_refused(
    peer: str, headers: dict[bytes, bytes], proxies: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(Unauthorized) as caught:
        through(House(PROXY), peer, headers, proxies)
    assert caught.value.details["authReason"] == reason


def test_a_name_from_anybody_else_is_left_out_beside_a_credential() -> None:
    house = House(msgspec.structs.replace(PROXY, token=Secret("shared")))
    given = {**NAMED, b"authorization": b"Bearer shared"}
    for proxies in (("10.0.0.1",), ("127.0.0.1",)):
        who = through(house, "127.0.0.1", given, proxies)
        assert (who.method, who.subject, who.owner) == ("token", "", "operator")
    with pytest.raises(Unauthorized):
        through(house, "127.0.0.1", {**given, b"authorization": b"Bearer wrong"}, ("127.0.0.1",))
    with pytest.raises(Unauthorized):
        through(house, "10.0.0.2", given)  # which is not this machine
    assert through(house, "10.0.0.1", given).subject == "alice"


def test_a_proxy_names_only_users_that_are_allowed() -> None:
    proxy = msgspec.structs.replace(PROXY.trusted_proxy, allow_users=("bob",))
    house = House(msgspec.structs.replace(PROXY, trusted_proxy=proxy))
    with pytest.raises(Unauthorized):
        through(house, "10.0.0.1", NAMED)
    assert through(house, "10.0.0.1", {**NAMED, b"x-forwarded-user": b"bob"}).subject == "bob"


def test_where_a_secret_is_agreed_a_proxy_on_this_machine_is_not_believed_without() -> None:
    trusted = TrustedProxies(("127.0.0.1",), "x-proof", Secret("between-us"))
    assert not locate("127.0.0.1", FORWARDED, trusted).attributed
    proven = locate("127.0.0.1", {**FORWARDED, b"x-proof": b"between-us"}, trusted)
    assert (proven.key, proven.attributed, proven.direct, proven.by_proxy) == ("9.9.9.9", True, False, True)


def test_limits_of_several_roles_are_taken_at_their_widest() -> None:
    from openclaw.identity.roles import Roles

    roles = Roles(
        {
            "a": RoleConfig(groups=("x",), scopes=("operator.read", "made.up"), agents=("main",), usd_per_day=2),
            "b": RoleConfig(groups=("x", "y"), scopes=(), agents=("coder",), models=("p/m",), usd_per_day=5),
            "c": RoleConfig(groups=("z",), sessions="all"),
            "viewer": RoleConfig(groups=("*",), scopes=None, agents=()),
        }
    )
    both = roles.of("u", ("x",))
    assert both.scopes == {"operator.read"}
    assert both.limits == Limits(agents=("coder", "main"), models=None)
    assert roles.of("u", ("z",)).limits == Limits(sessions="all")
    assert roles.of("u", ()).limits == Limits(agents=())


def test_no_two_providers_share_an_owner_and_none_is_the_operator() -> None:
    names = {
        owner_of("oidc", "https://a", "operator"),
        owner_of("oidc", "https://b", "operator"),
        owner_of("cognito", "https://a", "operator"),
        owner_of("trusted-proxy", "proxy", "operator"),
    }
    assert len(names) == 4
    assert "operator" not in names


MODES: tuple[Mode, ...] = ("oidc", "cognito", "alb", "trusted-proxy")


@pytest.mark.parametrize("mode", MODES)
async def test_nothing_at_all_is_missing_not_wrong(mode: Mode) -> None:
    auth = {"oidc": OIDC, "cognito": COGNITO, "alb": ALB, "trusted-proxy": PROXY}[mode]
    house = House(auth, attempts=1)
    for _ in range(3):
        with pytest.raises(Unauthorized):
            house.door.http({}, house.door.carrying(REMOTE, {}))
