"""Tokens as attackers and clumsy makers write them, and good ones as providers do: a table of lines with their answers.

A row is a name, the verdict, and the line. Everything is signed anew from the chain's keys; nothing is recorded.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from tests.stand_ins.oidc import ALB_ARN, ISSUER, Keychain, b64, sign

NOW = 1_800_000_000
POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
OIDC: dict[str, Any] = {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "openclaw"}}
COGNITO: dict[str, Any] = {"mode": "cognito", "cognito": {"userPoolId": "eu-west-1_AbC", "clientId": "app"}}
ALB: dict[str, Any] = {"mode": "alb", "alb": {"region": "eu-west-1", "signer": ALB_ARN}}
ROLES = {"user": {"groups": ["staff"]}, "admin": {"users": ["root"]}}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Row(NamedTuple):
    """What is tried, what is to come of it, and the line."""

    name: str
    verdict: str
    line: dict[str, Any]


@cache
def chain(seed: int = 0) -> Keychain:
    """Return the provider's keys; those of another seed are a stranger's."""
    made = Keychain(seed=seed)
    made.add_rsa("weak", 1024)
    return made


def public(*kids: str) -> dict[str, Any]:
    """Return the chain's public keys as a JWKS."""
    keys = chain().keys
    return {"keys": [keys[kid].as_dict(private=False) for kid in kids or ("k1", "k2")]}


def _claims(changes: dict[str, Any]) -> dict[str, Any]:
    known = {"iss": ISSUER, "aud": "openclaw", "sub": "alice", "groups": ["staff"], "exp": NOW + 600, "iat": NOW - 10}
    return {name: value for name, value in {**known, **changes}.items() if value is not ...}


def _header(kid: str, changes: dict[str, Any]) -> dict[str, Any]:
    known = {"alg": "ES256" if kid == "k2" else "RS256", "kid": kid, "typ": "JWT"}
    return {name: value for name, value in {**known, **changes}.items() if value is not ...}


def made(kid: Any = "k1", seed: Any = 0, header: Any = None, **claims: Any) -> str:
    """Return a token signed by a key of the chain; `...` leaves a name out."""
    body = json.dumps(_claims(claims)).encode()
    return sign(_header(kid, header or {}), body, chain(seed).keys[kid])


def raw(payload: bytes, kid: str = "k1", **header: Any) -> str:
    """Return a token with this payload to the byte."""
    return sign(_header(kid, header), payload, chain().keys[kid])


def signed_with(alg: str, maker: Callable[[bytes], bytes], kid: str = "k1", **header: Any) -> str:
    """Return a token with any algorithm's name and any signature."""
    parts = [_header(kid, {"alg": alg, **header}), _claims({})]
    signed = ".".join(b64(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{b64(maker(signed.encode()))}"


def line(token: str, config: Any = OIDC, **more: Any) -> dict[str, Any]:
    """Return a line for a token."""
    return {"kind": "token", "config": config, "token": token, "jwks": public(), "now": NOW, **more}


def rows() -> list[Row]:
    """Return the rows that are here."""
    oidc = (_algorithms, _headers, _kids, _keys, _claim_rows, _times, _forms, _configs)
    return [row for part in (*oidc, _shared, _roles) for row in part()]


def _algorithms() -> Iterator[Row]:
    rsa: Any = chain().keys["k1"].private_key
    ec: Any = chain().keys["k2"].private_key
    p384 = generate_private_key(SECP384R1())
    edward = Ed25519PrivateKey.generate()
    yield Row("RS256", "allow", line(made()))
    yield Row("ES256", "allow", line(made("k2")))
    for alg in ("none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "Rs256", "RS256\x00", "ES256K", "RS1", "A128KW"):
        yield Row(f"alg {alg!r}", "deny", line(signed_with(alg, lambda data: b"")))
        yield Row(f"alg {alg!r} with a good signature", "deny", line(made(header={"alg": alg})))
    for odd in (None, 1, ["RS256"], {"RS256": 1}, True):
        yield Row(f"alg is {odd!r}", "deny", line(made(header={"alg": odd})))
    yield Row("no alg", "deny", line(made(header={"alg": ...})))
    pem, der = chain().pem("k1"), chain().keys["k1"].as_der(private=False)
    secrets = {"PEM": pem, "PEM without its last line's end": pem.rstrip(), "DER": der, "nothing": b""}
    secrets["the JWK"] = json.dumps(public()["keys"][0]).encode()
    secrets["the modulus"] = public()["keys"][0]["n"].encode()
    for name, secret in secrets.items():
        for alg in ("HS256", "HS384", "RS256"):
            token = sign(_header("k1", {"alg": alg}), json.dumps(_claims({})).encode(), secret)
            yield Row(f"{alg} by HMAC with {name} as the secret", "deny", line(token))
    for alg, hashed in (("RS384", SHA384()), ("RS512", SHA512()), ("RS256", SHA384()), ("RS256", SHA512())):
        maker = _rsa_maker(rsa, hashed)
        yield Row(f"{alg} made with {hashed.name}", "deny", line(signed_with(alg, maker)))
    for alg in ("PS256", "RS256"):
        maker = _pss_maker(rsa)
        yield Row(f"{alg} made with PSS", "deny", line(signed_with(alg, maker)))
    for alg in ("ES384", "ES256"):
        maker = _ec_maker(p384, SHA384(), 48)
        yield Row(f"{alg} made with P-384", "deny", line(signed_with(alg, maker, "k2")))
    for alg in ("EdDSA", "Ed25519", "ES256"):
        yield Row(f"{alg} made with Ed25519", "deny", line(signed_with(alg, edward.sign, "k2")))
    yield Row("RS256 by the EC key", "deny", line(signed_with("RS256", _ec_maker(ec, SHA256(), 32), "k2")))
    yield Row("ES256 by the RSA key", "deny", line(signed_with("ES256", _rsa_maker(rsa, SHA256()))))
    der_maker = lambda data: ec.sign(data, ECDSA(SHA256()))  # noqa: E731
    yield Row("ES256 with its signature as DER", "deny", line(signed_with("ES256", der_maker, "k2")))
    for name, pair in {
        "r=s=0": (0, 0),
        "r=1 s=0": (1, 0),
        "r=0 s=1": (0, 1),
        "r=s=1": (1, 1),
        "r=s=n": (P256_ORDER, P256_ORDER),
        "r=s=max": (2**256 - 1, 2**256 - 1),
    }.items():
        forged = b"".join(number.to_bytes(32, "big") for number in pair)
        yield Row(f"ES256 with {name}", "deny", line(signed_with("ES256", _always(forged), "k2")))
    for size in (0, 1, 32, 63, 65, 128):
        yield Row(f"ES256 with {size} bytes", "deny", line(signed_with("ES256", _always(b"x" * size), "k2")))
    yield Row("RS256 with zeros", "deny", line(signed_with("RS256", _always(bytes(256)))))
    yield Row("RS256 cut short", "deny", line(signed_with("RS256", lambda data: _rsa_maker(rsa, SHA256())(data)[:-1])))
    longer = lambda data: b"\0" + _rsa_maker(rsa, SHA256())(data)  # noqa: E731
    yield Row("RS256 with a zero before it", "deny", line(signed_with("RS256", longer)))
    cve = lambda data: b"\0" + _ec_maker(ec, SHA256(), 32)(data)  # noqa: E731
    yield Row("ES256 with a zero before it", "deny", line(signed_with("ES256", cve, "k2")))
    yield Row("a stranger's key of the same name", "deny", line(made(seed=1)))
    yield Row("a stranger's EC key of the same name", "deny", line(made("k2", seed=1)))


def _always(signature: bytes) -> Callable[[bytes], bytes]:
    return lambda data: signature


def _rsa_maker(key: Any, hashed: Any) -> Callable[[bytes], bytes]:
    return lambda data: key.sign(data, PKCS1v15(), hashed)


def _pss_maker(key: Any) -> Callable[[bytes], bytes]:
    return lambda data: key.sign(data, PSS(MGF1(SHA256()), 32), SHA256())


def _ec_maker(key: Any, hashed: Any, size: int) -> Callable[[bytes], bytes]:
    def make(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ECDSA(hashed)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return make


def _headers() -> Iterator[Row]:
    stranger = chain(1)
    own = stranger.keys["k1"].as_dict(private=False)
    brought = sign(_header("k1", {"jwk": own}), json.dumps(_claims({})).encode(), stranger.keys["k1"])
    yield Row("a key in the header", "deny", line(brought))
    for name, value in {
        "jwk": public()["keys"][0],
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
    }.items():
        yield Row(f"{name} in the header", "deny", line(made(header={name: value})))
        yield Row(f"{name} in the header, null", "deny", line(made(header={name: None})))
    yield Row("b64: true", "deny", line(made(header={"b64": True})))
    yield Row("an empty crit", "deny", line(made(header={"crit": []})))
    yield Row("a crit of something unknown", "deny", line(made(header={"crit": ["x"], "x": 1})))
    for kind, verdict in {
        "JWT": "allow",
        "jwt": "allow",
        "at+jwt": "allow",
        "application/at+jwt": "allow",
        ...: "allow",
        "logout+jwt": "deny",
        "dpop+jwt": "deny",
        "JWE": "deny",
        7: "deny",
        None: "deny",
    }.items():
        yield Row(f"typ {kind!r}", verdict, line(made(header={"typ": kind})))
    yield Row("a thumbprint, as some providers send", "allow", line(made(header={"x5t": "abc", "x5t#S256": "d"})))
    yield Row("a header that is a list", "deny", line(_parts(b"[]", b"{}")))
    yield Row("a header that is text", "deny", line(_parts(b'"RS256"', b"{}")))
    yield Row("a header that is no JSON", "deny", line(_parts(b"{alg:RS256}", b"{}")))
    yield Row("alg twice", "deny", line(_twice(b'{"alg":"none","alg":"RS256","kid":"k1"}')))
    yield Row("kid twice", "deny", line(_twice(b'{"alg":"RS256","kid":"k9","kid":"k1"}')))


def _twice(header: bytes) -> str:
    return _parts(header, json.dumps(_claims({})).encode())


def _parts(header: bytes, payload: bytes) -> str:
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(_rsa_maker(chain().keys['k1'].private_key, SHA256())(signed.encode()))}"


def _kids() -> Iterator[Row]:
    tricks = ["k9", "K1", "k1 ", " k1", "../../k1", "/dev/null", "k1' OR '1'='1", "k1\x00", "k1\n", "k1;ls", "", "k2"]
    for kid in [*tricks, "кey", "k" * 5000, "http://evil/keys", 1, None, ["k1"], {"kid": "k1"}, True]:
        yield Row(f"kid {str(kid)[:20]!r}", "deny", line(made(header={"kid": kid})))
    yield Row("no kid among several keys", "deny", line(made(header={"kid": ...})))
    yield Row("no kid where there is one key", "allow", line(made(header={"kid": ...}), jwks=public("k1")))
    yield Row(
        "no kid and the only key is another's", "deny", line(made(header={"kid": ...}, seed=1), jwks=public("k1"))
    )
    first, other = public("k1")["keys"][0], chain(1).keys["k1"].as_dict(private=False)
    yield Row("a kid twice in the set", "allow", line(made(), jwks={"keys": [first, other]}))
    yield Row("a kid twice in the set, by the later", "deny", line(made(seed=1), jwks={"keys": [first, other]}))


def _keys() -> Iterator[Row]:
    key, curve = public()["keys"]
    bare = {name: value for name, value in key.items() if name not in ("use", "key_ops", "alg")}
    for name, verdict, change in (
        ("for signatures", "allow", {"use": "sig"}),
        ("with its algorithm", "allow", {"alg": "RS256"}),
        ("to verify", "allow", {"key_ops": ["verify"]}),
        ("for encryption", "deny", {"use": "enc"}),
        ("use that is a list", "deny", {"use": ["sig"]}),
        ("to sign", "deny", {"key_ops": ["sign"]}),
        ("to wrap", "deny", {"key_ops": ["wrapKey", "encrypt"]}),
        ("key_ops that are a text", "deny", {"key_ops": "verify"}),
        ("key_ops that are a number", "deny", {"key_ops": 1}),
        ("of another algorithm", "deny", {"alg": "RS512"}),
        ("of PSS", "deny", {"alg": "PS256"}),
        ("for HMAC", "deny", {"alg": "HS256"}),
        ("of another kind", "deny", {"kty": "EC"}),
        ("a secret", "deny", {"kty": "oct", "k": "c2VjcmV0"}),
        ("with exponent 1", "deny", {"e": "AQ"}),
        ("with an even exponent", "deny", {"e": "BA"}),
        ("with a padded modulus", "deny", {"n": key["n"] + "=="}),
        ("without a modulus", "deny", {"n": None}),
        ("with a modulus of 0", "deny", {"n": "AA"}),
    ):
        yield Row(f"a key {name}", verdict, line(made(), jwks={"keys": [{**bare, **change}]}))
    weak = chain().keys["weak"].as_dict(private=False)
    yield Row("an RSA key of 1024 bits", "deny", line(made("weak"), jwks={"keys": [weak]}))
    for name, change in (
        ("of another curve's name", {"crv": "P-384"}),
        ("of a curve for bitcoins", {"crv": "secp256k1"}),
        ("off the curve", {"x": curve["y"], "y": curve["x"]}),
        ("at infinity", {"x": "AA", "y": "AA"}),
        ("without y", {"y": None}),
    ):
        yield Row(f"an EC key {name}", "deny", line(made("k2"), jwks={"keys": [{**curve, **change}]}))
    yield Row("an empty set", "deny", line(made(), jwks={"keys": []}))
    yield Row("no set", "deny", {name: value for name, value in line(made()).items() if name != "jwks"})
    yield Row("a set as a list", "allow", line(made(), jwks=public()["keys"]))
    yield Row("one key alone", "allow", line(made(), jwks=public("k1")["keys"][0]))
    yield Row("a set as text", "allow", line(made(), jwks=json.dumps(public())))
    yield Row("a set that is a number", "error", line(made(), jwks=7))
    yield Row("a set whose keys are none", "error", line(made(), jwks={"keys": "k1"}))
    yield Row("a bad key beside a good one", "allow", line(made(), jwks={"keys": [{"kty": "RSA"}, *public()["keys"]]}))


def _claim_rows() -> Iterator[Row]:
    for iss in (
        *(ISSUER + "/", ISSUER.upper(), ISSUER.replace("https", "http"), ISSUER + ".evil.example", ISSUER + "x", ""),
        *(
            "evil" + ISSUER,
            ISSUER[:-1],
            " " + ISSUER,
            ISSUER + "\n",
            ISSUER + "#x",
            ISSUER + "?x",
            None,
            1,
            [ISSUER],
            ...,
        ),
    ):
        yield Row(f"iss {iss!r}", "deny", line(made(iss=iss)))
    for aud in ("openclaw", ["openclaw"], ["x", "openclaw"], ["openclaw", "openclaw"]):
        yield Row(f"aud {aud!r}", "allow", line(made(aud=aud)))
    for wrong in (
        *(
            "openclaw2",
            "open",
            "xopenclaw",
            "OPENCLAW",
            "openclaw ",
            " openclaw",
            "openclaw,x",
            "",
            "*",
            "\x00openclaw",
        ),
        *([], ["open", "claw"], [["openclaw"]], {"openclaw": 1}, None, True, 1, ["*"], ...),
    ):
        yield Row(f"aud {wrong!r}", "deny", line(made(aud=wrong)))
    for sub in (
        "",
        " ",
        "\t",
        None,
        7,
        ["alice"],
        {"a": 1},
        True,
        "a\nb",
        "a\x00b",
        "a" * 257,
        "al\u202eice",
        "\ud800",
        ...,
    ):
        yield Row(f"sub {str(sub)[:12].encode('unicode_escape')!r}", "deny", line(made(sub=sub)))
    for sub in ("alice@example.com", "Ålice Ö", "auth0|123", "a" * 256, "arn:aws:iam::1:user/x"):
        yield Row(f"sub {sub[:12]!r}", "allow", line(made(sub=sub)))
    for groups in ([], ["a"], "staff", ..., None, ["a"] * 256, ["Ü b"], ["/realm/admins"]):
        yield Row(f"groups {str(groups)[:24]!r}", "allow", line(made(groups=groups)))
    for odd in (
        {"staff": 1},
        [["staff"]],
        [1],
        [None],
        [""],
        7,
        True,
        [{"a": "staff"}],
        ["a\n"],
        ["g"] * 257,
        ["g" * 300],
    ):
        yield Row(f"groups {str(odd)[:24]!r}", "deny", line(made(groups=odd)))


def _times() -> Iterator[Row]:
    for claim, offset, verdict in (
        ("exp", 0, "allow"),
        ("exp", -59, "allow"),
        ("exp", -59.5, "allow"),
        ("exp", -60, "deny"),
        ("exp", -61, "deny"),
        ("exp", -86_400, "deny"),
        ("exp", 1.5, "allow"),
        ("exp", 10**9, "allow"),
        ("nbf", 0, "allow"),
        ("nbf", 59, "allow"),
        ("nbf", 60, "allow"),
        ("nbf", 61, "deny"),
        ("nbf", 86_400, "deny"),
        ("iat", 60, "allow"),
        ("iat", 61, "deny"),
        ("iat", -(10**8), "allow"),
    ):
        yield Row(f"{claim} {offset:+} s", verdict, line(made(**{claim: NOW + offset})))
    for claim in ("exp", "nbf", "iat"):
        for value in (
            "1900000000",
            "never",
            True,
            [NOW + 60],
            {"at": NOW},
            -1,
            -1e10,
            1e300,
            (NOW + 60) * 1000,
            10**30,
        ):
            yield Row(f"{claim} is {value!r}", "deny", line(made(**{claim: value})))
        for text in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5000):
            body = json.dumps(_claims({claim: ...}))[:-1].encode() + b', "' + claim.encode() + b'": ' + text + b"}"
            yield Row(f"{claim} is {text[:9].decode()}", "deny", line(raw(body)))
    yield Row("no exp", "deny", line(made(exp=...)))
    yield Row("exp is null", "deny", line(made(exp=None)))
    yield Row("exp is 0", "deny", line(made(exp=0)))
    yield Row("exp is the year 9999", "allow", line(made(exp=253402300799)))
    for now, verdict in (
        (NOW * 1000, "allow"),
        (NOW + 0.5, "allow"),
        ("2027-01-15T08:00:00Z", "allow"),
        ("2027-01-15T08:00:00z", "allow"),
        ("2027-01-15T09:00:00+01:00", "allow"),
        ("2027-01-15 08:00:00", "allow"),
        ("2027-01-15T08:00:00.123456Z", "allow"),
        (str(NOW), "allow"),
        ((NOW + 700) * 1000, "deny"),
        ("2027-01-15T08:12:00Z", "deny"),
        ("2026-01-15", "deny"),
        ("yesterday", "error"),
        ([NOW], "error"),
        (True, "error"),
        (1e300, "error"),
        ("", "error"),
    ):
        yield Row(f"now is {now!r}", verdict, line(made(), now=now))


def _forms() -> Iterator[Row]:
    good = made()
    head, body, signature = good.split(".")
    for name, token in {
        "nothing": "",
        "a space": " ",
        "two parts": f"{head}.{body}",
        "no signature": f"{head}.{body}.",
        "four parts": f"{good}.",
        "four parts, one empty before": f".{good}",
        "five parts, a JWE": f"{head}.{body}.{signature}.{body}.{signature}",
        "five parts, empty": "....",
        "no header": f".{body}.{signature}",
        "no body": f"{head}..{signature}",
        "a space before": f" {good}",
        "a space after": f"{good} ",
        "a line's end after": f"{good}\n",
        "a zero byte after": f"{good}\0",
        "a space within": f"{head}. {body}.{signature}",
        "Bearer before": f"Bearer {good}",
        "quotes around": f'"{good}"',
        "padding": f"{good}==",
        "a padded header": f"{head}=.{body}.{signature}",
        "standard base64": f"{head}.{body}.{_standard(signature)}",
        "another last character of the same bytes": f"{head}.{body}.{_sloppy(signature)}",
        "full-width dots": good.replace(".", "．"),
        "a body of another token": f"{head}.{made(sub='root').split('.')[1]}.{signature}",
        "a header of another token": f"{made(header={'x': 1}).split('.')[0]}.{body}.{signature}",
        "cut in the middle": good[: len(good) // 2],
        "100 000 characters": "ey" + "A" * 100_000 + ".e30.AA",
        "oversized and rightly signed": made(filler="x" * 20_000),
        "text": "open sesame",
        "a number": "12345",
        "JSON serialisation": json.dumps({"protected": head, "payload": body, "signature": signature}),
    }.items():
        yield Row(f"form: {name}", "deny", line(token))
    for name, payload in {
        "a list": b"[]",
        "a text": b'"alice"',
        "null": b"null",
        "nothing": b"",
        "no JSON": b"{sub: alice}",
        "no UTF-8": b'{"sub":"\xff"}',
        "UTF-16": json.dumps(_claims({})).encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + json.dumps(_claims({})).encode(),
        "a comment": b"/**/" + json.dumps(_claims({})).encode(),
        "depth": b'{"a":' * 3000 + b"1" + b"}" * 3000,
        "sub twice": json.dumps(_claims({})).encode()[:-1] + b',"sub":"root"}',
        "exp twice": json.dumps(_claims({})).encode()[:-1] + b',"exp":9999999999}',
        "a name twice, deep": json.dumps(_claims({})).encode()[:-1] + b',"x":{"a":1,"a":2}}',
        "sub twice, once escaped": json.dumps(_claims({})).encode()[:-1] + b',"s\\u0075b":"root"}',
    }.items():
        yield Row(f"payload: {name}", "deny", line(raw(payload)))
    yield Row(
        "payload: spaces and unknown claims", "allow", line(raw(json.dumps(_claims({"x": [1]}), indent=2).encode()))
    )


def _standard(text: str) -> str:
    """Return standard base64 of the same bytes, or something near when the bytes have no 62nd or 63rd character."""
    data = base64.urlsafe_b64decode(text + "==")
    found = base64.b64encode(data).decode().rstrip("=")
    return found if found != text else text + "+"


def _sloppy(text: str) -> str:
    """Return a spelling whose last character differs in bits that no byte takes up."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) | 1]


def _configs() -> Iterator[Row]:
    oidc = {"issuer": ISSUER, "audience": "openclaw"}
    for name, config in {
        "gateway.auth": {"gateway": {"auth": OIDC}},
        "gateway.auth as one name": {"gateway.auth": OIDC},
        "auth": {"auth": OIDC},
        "flat": {"mode": "oidc", **oidc},
        "flat with jwksUrl": {"mode": "oidc", "jwksUrl": "https://id.example/keys", **oidc},
        "jwks_url": {"mode": "oidc", "oidc": {**oidc, "jwks_url": "https://id.example/keys"}},
        "jwksUri": {"mode": "oidc", "oidc": {**oidc, "jwksUri": "https://id.example/keys"}},
        "clientID": {"mode": "oidc", "oidc": {"issuer-url": ISSUER, "clientID": "openclaw"}},
        "clientId instead of audience": {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "openclaw"}},
        "client_id": {"mode": "oidc", "oidc": {"issuer": ISSUER, "client_id": "openclaw"}},
        "both, the same": {"mode": "oidc", "oidc": {**oidc, "clientId": "openclaw"}},
        "rateLimit beside": {**OIDC, "rateLimit": {"maxAttempts": 3}},
        "a token beside": {**OIDC, "token": "x" * 40},
        "a reference beside": {**OIDC, "token": {"source": "env", "id": "GATEWAY_TOKEN"}},
        "other modes beside": {**OIDC, "cognito": COGNITO["cognito"], "alb": ALB["alb"]},
        "a whole gateway": {"gateway": {"port": 18789, "bind": "loopback", "auth": OIDC}},
    }.items():
        yield Row(f"config: {name}", "allow", line(made(), config))
    for name, config in {
        "no issuer": {"mode": "oidc", "oidc": {"audience": "openclaw"}},
        "no audience": {"mode": "oidc", "oidc": {"issuer": ISSUER}},
        "empty issuer": {"mode": "oidc", "oidc": {"issuer": "", "audience": "openclaw"}},
        "empty audience": {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": ""}},
        "another audience": {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "api"}},
        "another client": {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "openclaw", "clientId": "other"}},
        "nothing": {"mode": "oidc"},
        "no mode": {"oidc": oidc},
        "mode token": {"mode": "token", "token": "x" * 40, "oidc": oidc},
        "mode none": {"mode": "none"},
        "mode trusted-proxy": {"mode": "trusted-proxy"},
    }.items():
        yield Row(f"config: {name}", "deny", line(made(), config))
    yield Row(
        "empty issuer and an empty iss", "deny", line(made(iss=""), {"mode": "oidc", "oidc": {"audience": "openclaw"}})
    )
    yield Row("no issuer and no iss", "deny", line(made(iss=...), {"mode": "oidc", "oidc": {"audience": "openclaw"}}))
    yield Row("no audience and no aud", "deny", line(made(aud=...), {"mode": "oidc", "oidc": {"issuer": ISSUER}}))
    yield Row("no audience and an empty aud", "deny", line(made(aud=""), {"mode": "oidc", "oidc": {"issuer": ISSUER}}))
    broken: tuple[Any, ...] = ({"mode": "magic"}, {"mode": 1}, {"mode": "oidc", "oidc": []}, "x", [], None)
    for bad in (*broken, {"mode": "oidc", "oidc": {"issuer": 1}}):
        yield Row(f"config: {bad!r}"[:60], "error", line(made(), bad))
    both = {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "openclaw", "clientId": "app"}}
    cases: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("azp", "allow", {"azp": "app"}),
        ("client_id", "allow", {"client_id": "app"}),
        ("the client in aud", "allow", {"aud": ["openclaw", "app"]}),
        ("another azp", "deny", {"azp": "other"}),
        ("another client_id", "deny", {"client_id": "other"}),
        ("azp right, client_id wrong", "deny", {"azp": "app", "client_id": "other"}),
        ("no client", "deny", {}),
        ("another azp and ours in aud", "deny", {"aud": ["openclaw", "app"], "azp": "other"}),
        ("azp that is a list", "deny", {"azp": ["app"]}),
    )
    for name, verdict, claims in cases:
        yield Row(f"clientId and audience: {name}", verdict, line(made(**claims), both))
    alone = {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "app"}}
    cases = (
        ("aud", "allow", {"aud": "app"}),
        ("aud and azp", "allow", {"aud": ["x", "app"], "azp": "app"}),
        ("aud and another azp", "deny", {"aud": ["x", "app"], "azp": "x"}),
        ("client_id without aud", "allow", {"aud": ..., "client_id": "app"}),
        ("client_id with another aud", "deny", {"aud": "x", "client_id": "app"}),
        ("azp without aud", "deny", {"aud": ..., "azp": "app"}),
        ("another client_id", "deny", {"aud": ..., "client_id": "x"}),
    )
    for name, verdict, claims in cases:
        yield Row(f"clientId alone: {name}", verdict, line(made(**claims), alone))
    deep = {"mode": "oidc", "oidc": {**oidc, "groupsClaim": "realm_access.roles", "subjectClaim": "email"}}
    nested = made(groups=..., realm_access={"roles": ["staff"]}, email="a@b.example")
    yield Row("groups deep in an object", "allow", line(nested, {"gateway": {"auth": deep, "roles": ROLES}}))
    yield Row("no such claim", "deny", line(made(), deep))


def _shared() -> Iterator[Row]:
    secret = "k3J8sQ0vXw5tZ1bN7mR4cY6pL2hD9fGa"
    config = {"mode": "token", "token": secret}
    yield Row("the shared token", "allow", line(secret, config))
    yield Row("the shared token, mode left out", "allow", line(secret, {"token": secret}))
    yield Row("the shared password", "allow", line("correct horse", {"mode": "password", "password": "correct horse"}))
    yield Row("a password beyond ASCII", "allow", line("pässwörd", {"mode": "password", "password": "pässwörd"}))
    wrong = [secret[:length] for length in (0, 1, 8, 16, 31)]
    wrong += [secret + "\n", secret + " ", " " + secret, secret + "\0", secret + "x", secret.lower(), secret[::-1]]
    wrong += ["X" * 32, "Bearer " + secret, secret * 2, "ｋ" + secret[1:], "null", "undefined", made()]
    for index, guess in enumerate(wrong):
        yield Row(f"a wrong shared token ({index})", "deny", line(guess, config))
    for name, given, bad in (
        ("empty against empty", "", {"mode": "token", "token": ""}),
        ("empty against none", "", {"mode": "token"}),
        ("anything against none", "x", {"mode": "token"}),
        ("empty password", "", {"mode": "password", "password": ""}),
        ("the token in mode password", secret, {"mode": "password", "token": secret, "password": "other"}),
        ("the password in mode token", "other", {"mode": "token", "token": secret, "password": "other"}),
        ("the shared token in mode oidc", secret, {**OIDC, "token": secret}),
        ("a password with another normal form", "pa\u0308ssword", {"mode": "password", "password": "p\u00e4ssword"}),
    ):
        yield Row(name, "deny", line(given, bad))
    yield Row(
        "a reference in place of the token",
        "error",
        line(secret, {"mode": "token", "token": {"source": "env", "id": "X"}}),
    )
    for token in (None, 7, [secret], {"token": secret}):
        yield Row(f"a token that is {token!r}", "error", {**line(secret, config), "token": token})


def _roles() -> Iterator[Row]:
    config = {"gateway": {"auth": OIDC, "roles": ROLES}}
    yield Row("a role by group", "allow", line(made(), config))
    yield Row("a role by subject", "allow", line(made(sub="root", groups=[]), config))
    for groups in (["user"], ["admin"], ["STAFF"], ["staff "], ["staff2"], ["*"], [], ["operator.admin"]):
        yield Row(f"no role for {groups!r}", "deny", line(made(groups=groups), config))
    yield Row("roles that give nobody anything", "deny", line(made(), {"gateway": {"auth": OIDC, "roles": {}}}))
    yield Row("roles that are a list", "error", line(made(), {"gateway": {"auth": OIDC, "roles": ["admin"]}}))
