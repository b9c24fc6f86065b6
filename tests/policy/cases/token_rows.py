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


def _jwks(*kids: str) -> dict[str, Any]:
    keys = chain().keys
    return {"keys": [keys[kid].as_dict(private=False) for kid in kids or ("k1", "k2")]}


def _claims(changes: dict[str, Any]) -> dict[str, Any]:
    known = {"iss": ISSUER, "aud": "openclaw", "sub": "alice", "groups": ["staff"], "exp": NOW + 600, "iat": NOW - 10}
    return {name: value for name, value in {**known, **changes}.items() if value is not ...}


def _header(kid: str, changes: dict[str, Any]) -> dict[str, Any]:
    known = {"alg": "ES256" if kid == "k2" else "RS256", "kid": kid, "typ": "JWT"}
    return {name: value for name, value in {**known, **changes}.items() if value is not ...}


def made(kid: str = "k1", seed: int = 0, header: dict[str, Any] | None = None, **claims: Any) -> str:
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


def _line(token: str, config: dict[str, Any] = OIDC, **more: Any) -> dict[str, Any]:
    return {"kind": "token", "config": config, "token": token, "jwks": _jwks(), "now": NOW, **more}


def rows() -> list[Row]:
    """Return the table."""
    oidc = (_algorithms, _headers, _kids, _keys, _claim_rows, _times, _forms, _configs)
    return [row for part in (*oidc, _cognito, _alb, _shared, _roles) for row in part()]


def _algorithms() -> Iterator[Row]:
    rsa: Any = chain().keys["k1"].private_key
    ec: Any = chain().keys["k2"].private_key
    p384 = generate_private_key(SECP384R1())
    edward = Ed25519PrivateKey.generate()
    yield Row("RS256", "allow", _line(made()))
    yield Row("ES256", "allow", _line(made("k2")))
    for alg in ("none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "Rs256", "RS256\x00", "ES256K", "RS1", "A128KW"):
        yield Row(f"alg {alg!r}", "deny", _line(signed_with(alg, lambda data: b"")))
        yield Row(f"alg {alg!r} with a good signature", "deny", _line(made(header={"alg": alg})))
    for odd in (None, 1, ["RS256"], {"RS256": 1}, True):
        yield Row(f"alg is {odd!r}", "deny", _line(made(header={"alg": odd})))
    yield Row("no alg", "deny", _line(made(header={"alg": ...})))
    pem, der = chain().pem("k1"), chain().keys["k1"].as_der(private=False)
    secrets = {"PEM": pem, "PEM without its last line's end": pem.rstrip(), "DER": der, "nothing": b""}
    secrets["the JWK"] = json.dumps(_jwks()["keys"][0]).encode()
    secrets["the modulus"] = _jwks()["keys"][0]["n"].encode()
    for name, secret in secrets.items():
        for alg in ("HS256", "HS384", "RS256"):
            token = sign(_header("k1", {"alg": alg}), json.dumps(_claims({})).encode(), secret)
            yield Row(f"{alg} by HMAC with {name} as the secret", "deny", _line(token))
    for alg, hashed in (("RS384", SHA384()), ("RS512", SHA512()), ("RS256", SHA384()), ("RS256", SHA512())):
        maker = _rsa_maker(rsa, hashed)
        yield Row(f"{alg} made with {hashed.name}", "deny", _line(signed_with(alg, maker)))
    for alg in ("PS256", "RS256"):
        maker = _pss_maker(rsa)
        yield Row(f"{alg} made with PSS", "deny", _line(signed_with(alg, maker)))
    for alg in ("ES384", "ES256"):
        maker = _ec_maker(p384, SHA384(), 48)
        yield Row(f"{alg} made with P-384", "deny", _line(signed_with(alg, maker, "k2")))
    for alg in ("EdDSA", "Ed25519", "ES256"):
        yield Row(f"{alg} made with Ed25519", "deny", _line(signed_with(alg, edward.sign, "k2")))
    yield Row("RS256 by the EC key", "deny", _line(signed_with("RS256", _ec_maker(ec, SHA256(), 32), "k2")))
    yield Row("ES256 by the RSA key", "deny", _line(signed_with("ES256", _rsa_maker(rsa, SHA256()))))
    der_maker = lambda data: ec.sign(data, ECDSA(SHA256()))  # noqa: E731
    yield Row("ES256 with its signature as DER", "deny", _line(signed_with("ES256", der_maker, "k2")))
    for name, pair in {
        "r=s=0": (0, 0),
        "r=1 s=0": (1, 0),
        "r=0 s=1": (0, 1),
        "r=s=1": (1, 1),
        "r=s=n": (P256_ORDER, P256_ORDER),
        "r=s=max": (2**256 - 1, 2**256 - 1),
    }.items():
        forged = b"".join(number.to_bytes(32, "big") for number in pair)
        yield Row(f"ES256 with {name}", "deny", _line(signed_with("ES256", lambda data, it=forged: it, "k2")))
    for size in (0, 1, 32, 63, 65, 128):
        yield Row(f"ES256 with {size} bytes", "deny", _line(signed_with("ES256", lambda data, n=size: b"x" * n, "k2")))
    yield Row("RS256 with zeros", "deny", _line(signed_with("RS256", lambda data: bytes(256))))
    yield Row("RS256 cut short", "deny", _line(signed_with("RS256", lambda data: _rsa_maker(rsa, SHA256())(data)[:-1])))
    longer = lambda data: b"\0" + _rsa_maker(rsa, SHA256())(data)  # noqa: E731
    yield Row("RS256 with a zero before it", "deny", _line(signed_with("RS256", longer)))
    cve = lambda data: b"\0" + _ec_maker(ec, SHA256(), 32)(data)  # noqa: E731
    yield Row("ES256 with a zero before it", "deny", _line(signed_with("ES256", cve, "k2")))
    yield Row("a stranger's key of the same name", "deny", _line(made(seed=1)))
    yield Row("a stranger's EC key of the same name", "deny", _line(made("k2", seed=1)))


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
    yield Row("a key in the header", "deny", _line(brought))
    for name, value in {
        "jwk": _jwks()["keys"][0],
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/cert",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
    }.items():
        yield Row(f"{name} in the header", "deny", _line(made(header={name: value})))
        yield Row(f"{name} in the header, null", "deny", _line(made(header={name: None})))
    yield Row("b64: true", "deny", _line(made(header={"b64": True})))
    yield Row("an empty crit", "deny", _line(made(header={"crit": []})))
    yield Row("a crit of something unknown", "deny", _line(made(header={"crit": ["x"], "x": 1})))
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
        yield Row(f"typ {kind!r}", verdict, _line(made(header={"typ": kind})))
    yield Row("a thumbprint, as some providers send", "allow", _line(made(header={"x5t": "abc", "x5t#S256": "d"})))
    yield Row("a header that is a list", "deny", _line(_parts(b"[]", b"{}")))
    yield Row("a header that is text", "deny", _line(_parts(b'"RS256"', b"{}")))
    yield Row("a header that is no JSON", "deny", _line(_parts(b"{alg:RS256}", b"{}")))
    yield Row("alg twice", "deny", _line(_twice(b'{"alg":"none","alg":"RS256","kid":"k1"}')))
    yield Row("kid twice", "deny", _line(_twice(b'{"alg":"RS256","kid":"k9","kid":"k1"}')))


def _twice(header: bytes) -> str:
    return _parts(header, json.dumps(_claims({})).encode())


def _parts(header: bytes, payload: bytes) -> str:
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(_rsa_maker(chain().keys['k1'].private_key, SHA256())(signed.encode()))}"


def _kids() -> Iterator[Row]:
    tricks = ["k9", "K1", "k1 ", " k1", "../../k1", "/dev/null", "k1' OR '1'='1", "k1\x00", "k1\n", "k1;ls", "", "k2"]
    for kid in [*tricks, "кey", "k" * 5000, "http://evil/keys", 1, None, ["k1"], {"kid": "k1"}, True]:
        yield Row(f"kid {str(kid)[:20]!r}", "deny", _line(made(header={"kid": kid})))
    yield Row("no kid among several keys", "deny", _line(made(header={"kid": ...})))
    yield Row("no kid where there is one key", "allow", _line(made(header={"kid": ...}), jwks=_jwks("k1")))
    yield Row(
        "no kid and the only key is another's", "deny", _line(made(header={"kid": ...}, seed=1), jwks=_jwks("k1"))
    )
    first, other = _jwks("k1")["keys"][0], chain(1).keys["k1"].as_dict(private=False)
    yield Row("a kid twice in the set", "allow", _line(made(), jwks={"keys": [first, other]}))
    yield Row("a kid twice in the set, by the later", "deny", _line(made(seed=1), jwks={"keys": [first, other]}))


def _keys() -> Iterator[Row]:
    key, curve = _jwks()["keys"]
    public = {name: value for name, value in key.items() if name not in ("use", "key_ops", "alg")}
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
        yield Row(f"a key {name}", verdict, _line(made(), jwks={"keys": [{**public, **change}]}))
    weak = chain().keys["weak"].as_dict(private=False)
    yield Row("an RSA key of 1024 bits", "deny", _line(made("weak"), jwks={"keys": [weak]}))
    for name, change in (
        ("of another curve's name", {"crv": "P-384"}),
        ("of a curve for bitcoins", {"crv": "secp256k1"}),
        ("off the curve", {"x": curve["y"], "y": curve["x"]}),
        ("at infinity", {"x": "AA", "y": "AA"}),
        ("without y", {"y": None}),
    ):
        yield Row(f"an EC key {name}", "deny", _line(made("k2"), jwks={"keys": [{**curve, **change}]}))
    yield Row("an empty set", "deny", _line(made(), jwks={"keys": []}))
    yield Row("no set", "deny", {name: value for name, value in _line(made()).items() if name != "jwks"})
    yield Row("a set as a list", "allow", _line(made(), jwks=_jwks()["keys"]))
    yield Row("one key alone", "allow", _line(made(), jwks=_jwks("k1")["keys"][0]))
    yield Row("a set as text", "allow", _line(made(), jwks=json.dumps(_jwks())))
    yield Row("a set that is a number", "error", _line(made(), jwks=7))
    yield Row("a set whose keys are none", "error", _line(made(), jwks={"keys": "k1"}))
    yield Row("a bad key beside a good one", "allow", _line(made(), jwks={"keys": [{"kty": "RSA"}, *_jwks()["keys"]]}))


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
        yield Row(f"iss {iss!r}", "deny", _line(made(iss=iss)))
    for aud in ("openclaw", ["openclaw"], ["x", "openclaw"], ["openclaw", "openclaw"]):
        yield Row(f"aud {aud!r}", "allow", _line(made(aud=aud)))
    for aud in (
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
        yield Row(f"aud {aud!r}", "deny", _line(made(aud=aud)))
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
        yield Row(f"sub {str(sub)[:12].encode('unicode_escape')!r}", "deny", _line(made(sub=sub)))
    for sub in ("alice@example.com", "Ålice Ö", "auth0|123", "a" * 256, "arn:aws:iam::1:user/x"):
        yield Row(f"sub {sub[:12]!r}", "allow", _line(made(sub=sub)))
    for groups in ([], ["a"], "staff", ..., None, ["a"] * 256, ["Ü b"], ["/realm/admins"]):
        yield Row(f"groups {str(groups)[:24]!r}", "allow", _line(made(groups=groups)))
    for groups in (
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
        yield Row(f"groups {str(groups)[:24]!r}", "deny", _line(made(groups=groups)))


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
        yield Row(f"{claim} {offset:+} s", verdict, _line(made(**{claim: NOW + offset})))
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
            yield Row(f"{claim} is {value!r}", "deny", _line(made(**{claim: value})))
        for text in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5000):
            body = json.dumps(_claims({claim: ...}))[:-1].encode() + b', "' + claim.encode() + b'": ' + text + b"}"
            yield Row(f"{claim} is {text[:9].decode()}", "deny", _line(raw(body)))
    yield Row("no exp", "deny", _line(made(exp=...)))
    yield Row("exp is null", "deny", _line(made(exp=None)))
    yield Row("exp is 0", "deny", _line(made(exp=0)))
    yield Row("exp is the year 9999", "allow", _line(made(exp=253402300799)))
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
        yield Row(f"now is {now!r}", verdict, _line(made(), now=now))


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
        yield Row(f"form: {name}", "deny", _line(token))
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
        yield Row(f"payload: {name}", "deny", _line(raw(payload)))
    yield Row(
        "payload: spaces and unknown claims", "allow", _line(raw(json.dumps(_claims({"x": [1]}), indent=2).encode()))
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
        "clientId instead of audience": {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "openclaw"}},
        "client_id": {"mode": "oidc", "oidc": {"issuer": ISSUER, "client_id": "openclaw"}},
        "both, the same": {"mode": "oidc", "oidc": {**oidc, "clientId": "openclaw"}},
        "rateLimit beside": {**OIDC, "rateLimit": {"maxAttempts": 3}},
        "a token beside": {**OIDC, "token": "x" * 40},
        "a reference beside": {**OIDC, "token": {"source": "env", "id": "GATEWAY_TOKEN"}},
        "other modes beside": {**OIDC, "cognito": COGNITO["cognito"], "alb": ALB["alb"]},
        "a whole gateway": {"gateway": {"port": 18789, "bind": "loopback", "auth": OIDC}},
    }.items():
        yield Row(f"config: {name}", "allow", _line(made(), config))
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
        yield Row(f"config: {name}", "deny", _line(made(), config))
    yield Row(
        "empty issuer and an empty iss", "deny", _line(made(iss=""), {"mode": "oidc", "oidc": {"audience": "openclaw"}})
    )
    yield Row("no issuer and no iss", "deny", _line(made(iss=...), {"mode": "oidc", "oidc": {"audience": "openclaw"}}))
    yield Row("no audience and no aud", "deny", _line(made(aud=...), {"mode": "oidc", "oidc": {"issuer": ISSUER}}))
    yield Row("no audience and an empty aud", "deny", _line(made(aud=""), {"mode": "oidc", "oidc": {"issuer": ISSUER}}))
    for bad in (
        {"mode": "magic"},
        {"mode": 1},
        {"mode": "oidc", "oidc": []},
        {"mode": "oidc", "oidc": {"issuer": 1}},
        "x",
        [],
        None,
    ):
        yield Row(f"config: {bad!r}"[:60], "error", _line(made(), bad))  # type: ignore[arg-type]
    both = {"mode": "oidc", "oidc": {"issuer": ISSUER, "audience": "openclaw", "clientId": "app"}}
    for name, verdict, claims in (
        ("azp", "allow", {"azp": "app"}),
        ("client_id", "allow", {"client_id": "app"}),
        ("the client in aud", "allow", {"aud": ["openclaw", "app"]}),
        ("another azp", "deny", {"azp": "other"}),
        ("another client_id", "deny", {"client_id": "other"}),
        ("azp right, client_id wrong", "deny", {"azp": "app", "client_id": "other"}),
        ("no client", "deny", {}),
        ("another azp and ours in aud", "deny", {"aud": ["openclaw", "app"], "azp": "other"}),
        ("azp that is a list", "deny", {"azp": ["app"]}),
    ):
        yield Row(f"clientId and audience: {name}", verdict, _line(made(**claims), both))
    alone = {"mode": "oidc", "oidc": {"issuer": ISSUER, "clientId": "app"}}
    for name, verdict, claims in (
        ("aud", "allow", {"aud": "app"}),
        ("aud and azp", "allow", {"aud": ["x", "app"], "azp": "app"}),
        ("aud and another azp", "deny", {"aud": ["x", "app"], "azp": "x"}),
        ("client_id without aud", "allow", {"aud": ..., "client_id": "app"}),
        ("client_id with another aud", "deny", {"aud": "x", "client_id": "app"}),
        ("azp without aud", "deny", {"aud": ..., "azp": "app"}),
        ("another client_id", "deny", {"aud": ..., "client_id": "x"}),
    ):
        yield Row(f"clientId alone: {name}", verdict, _line(made(**claims), alone))
    deep = {"mode": "oidc", "oidc": {**oidc, "groupsClaim": "realm_access.roles", "subjectClaim": "email"}}
    nested = made(groups=..., realm_access={"roles": ["staff"]}, email="a@b.example")
    yield Row("groups deep in an object", "allow", _line(nested, {"gateway": {"auth": deep, "roles": ROLES}}))
    yield Row("no such claim", "deny", _line(made(), deep))


def _cognito() -> Iterator[Row]:
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
        yield Row(f"cognito {name}: access", "allow", _line(made(**access), config))
        yield Row(f"cognito {name}: id", "allow", _line(made(**ident), config))
    for use, of_access, of_id in (("access", "allow", "deny"), ("id", "deny", "allow"), ("any", "allow", "allow")):
        config = {"mode": "cognito", "cognito": {**pool, "tokenUse": use}}
        yield Row(f"cognito tokenUse {use}: access", of_access, _line(made(**access), config))
        yield Row(f"cognito tokenUse {use}: id", of_id, _line(made(**ident), config))
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
        yield Row(f"cognito access with {change!r}"[:90], "deny", _line(made(**{**access, **change}), COGNITO))
    for change in (
        {"aud": "other"},
        {"aud": ...},
        {"aud": [], "client_id": "app"},
        {"token_use": "access"},
        {"aud": "ap"},
    ):
        yield Row(f"cognito id with {change!r}", "deny", _line(made(**{**ident, **change}), COGNITO))
    for bad in ({"mode": "cognito"}, {"mode": "cognito", "cognito": {"userPoolId": "eu-west-1_AbC"}}):
        yield Row(f"cognito with {bad!r}"[:90], "deny", _line(made(**access), bad))


def _alb() -> Iterator[Row]:
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
    yield Row("alb, padded", "allow", _line(good, ALB))
    plain = sign({"alg": "ES256", "kid": "k2", **facts}, json.dumps(person).encode(), keys.keys["k2"])
    yield Row("alb, not padded", "allow", _line(plain, ALB))
    yield Row("alb with its key as PEM", "allow", _line(good, ALB, jwks=pem))
    yield Row("alb with its keys as PEM by id", "allow", _line(good, ALB, jwks={"k2": pem}))
    yield Row("alb with another key as PEM", "deny", _line(good, ALB, jwks=chain(1).pem("k2").decode()))
    yield Row("alb with its key under another id", "deny", _line(good, ALB, jwks={"k3": pem}))
    yield Row("alb with an RSA key as PEM", "error", _line(good, ALB, jwks=keys.pem("k1").decode()))
    yield Row("alb with a PEM that is none", "error", _line(good, ALB, jwks="-----BEGIN PUBLIC KEY-----\nx\n"))
    yield Row("alb, flat", "allow", _line(good, {"mode": "alb", "region": "eu-west-1", "signer": ALB_ARN}))
    yield Row(
        "alb by signerArn", "allow", _line(good, {"mode": "alb", "alb": {"region": "eu-west-1", "signerArn": ALB_ARN}})
    )
    full = {"mode": "alb", "alb": {**ALB["alb"], "issuer": "https://idp.example", "clientId": "c1"}}
    yield Row("alb with issuer and client", "allow", _line(good, full))
    yield Row("alb of another issuer", "deny", _line(token(iss="https://evil.example"), full))
    yield Row("alb of another client", "deny", _line(token(client="c2"), full))
    yield Row("alb without its client", "deny", _line(token(client=...), full))
    yield Row("alb without its issuer", "deny", _line(token({"iss": ...}, iss=...), full))
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
        yield Row(f"alb signed by {str(signer)[-24:]!r}", "deny", _line(token(signer=signer), ALB))
    yield Row("alb with its signer in the body only", "deny", _line(token({"signer": ALB_ARN}, signer=...), ALB))
    yield Row("alb that is not told its signer", "deny", _line(good, {"mode": "alb", "alb": {"region": "eu-west-1"}}))
    yield Row(
        "alb: neither is there a signer",
        "deny",
        _line(token(signer=""), {"mode": "alb", "alb": {"region": "eu-west-1"}}),
    )
    yield Row("alb: it ended", "deny", _line(token(exp=NOW - 60), ALB))
    yield Row("alb: its body ended", "deny", _line(token({"exp": NOW - 60}), ALB))
    yield Row("alb: an end in the header only", "allow", _line(token({"exp": ...}), ALB))
    yield Row("alb: an end in the body only", "allow", _line(token(exp=...), ALB))
    yield Row("alb: no end", "deny", _line(token({"exp": ...}, exp=...), ALB))
    yield Row("alb: an end that is text", "deny", _line(token(exp="9999999999"), ALB))
    yield Row("alb: nobody", "deny", _line(token({"sub": ...}), ALB))
    rsa = sign({"alg": "RS256", "kid": "k1", **facts}, json.dumps(person).encode(), keys.keys["k1"])
    yield Row("alb by RS256", "deny", _line(rsa, ALB))
    bare = sign({"alg": "ES256", **facts}, json.dumps(person).encode(), keys.keys["k2"])
    yield Row("alb without kid", "deny", _line(bare, ALB))
    yield Row("alb without kid, one key", "deny", _line(bare, ALB, jwks=_jwks("k2")))
    yield Row("alb without kid, one key as PEM", "deny", _line(bare, ALB, jwks=pem))
    yield Row("alb with an empty kid", "deny", _line(token(kid=""), ALB, jwks=pem))
    for kid in ("../k2", "k2/", "k2?x", "k2#", "k%32", "https://evil.example/k2", "k9"):
        yield Row(f"alb with kid {kid!r}", "deny", _line(token(kid=kid), ALB))
    yield Row("alb with jku", "deny", _line(token(jku="https://evil.example"), ALB))
    head, body, signature = good.split(".")
    yield Row("alb, its signature's padding cut off", "deny", _line(f"{head}.{body}.{signature.rstrip('=')}", ALB))
    yield Row("alb, one sign of padding cut off", "deny", _line(good[:-1], ALB))
    yield Row("alb, its body's padding cut off", "deny", _line(f"{head}.{body.rstrip('=')}x.{signature}", ALB))
    yield Row("alb, more padding", "deny", _line(f"{good}=", ALB))
    yield Row("alb, the token of an OpenID provider", "deny", _line(made("k2"), ALB))
    yield Row("an OpenID provider, the token of a load balancer", "deny", _line(good, OIDC))


def _shared() -> Iterator[Row]:
    secret = "k3J8sQ0vXw5tZ1bN7mR4cY6pL2hD9fGa"
    config = {"mode": "token", "token": secret}
    yield Row("the shared token", "allow", _line(secret, config))
    yield Row("the shared token, mode left out", "allow", _line(secret, {"token": secret}))
    yield Row("the shared password", "allow", _line("correct horse", {"mode": "password", "password": "correct horse"}))
    yield Row("a password beyond ASCII", "allow", _line("pässwörd", {"mode": "password", "password": "pässwörd"}))
    wrong = [secret[:length] for length in (0, 1, 8, 16, 31)]
    wrong += [secret + "\n", secret + " ", " " + secret, secret + "\0", secret + "x", secret.lower(), secret[::-1]]
    wrong += ["X" * 32, "Bearer " + secret, secret * 2, "ｋ" + secret[1:], "null", "undefined", made()]
    for index, token in enumerate(wrong):
        yield Row(f"a wrong shared token ({index})", "deny", _line(token, config))
    for name, token, bad in (
        ("empty against empty", "", {"mode": "token", "token": ""}),
        ("empty against none", "", {"mode": "token"}),
        ("anything against none", "x", {"mode": "token"}),
        ("empty password", "", {"mode": "password", "password": ""}),
        ("the token in mode password", secret, {"mode": "password", "token": secret, "password": "other"}),
        ("the password in mode token", "other", {"mode": "token", "token": secret, "password": "other"}),
        ("the shared token in mode oidc", secret, {**OIDC, "token": secret}),
        ("a password with another normal form", "pa\u0308ssword", {"mode": "password", "password": "p\u00e4ssword"}),
    ):
        yield Row(name, "deny", _line(token, bad))
    yield Row(
        "a reference in place of the token",
        "error",
        _line(secret, {"mode": "token", "token": {"source": "env", "id": "X"}}),
    )
    for line in ({"token": None}, {"token": 7}, {"token": [secret]}, {"token": {"token": secret}}):
        yield Row(f"{line!r}", "error", {**_line(secret, config), **line})


def _roles() -> Iterator[Row]:
    config = {"gateway": {"auth": OIDC, "roles": ROLES}}
    yield Row("a role by group", "allow", _line(made(), config))
    yield Row("a role by subject", "allow", _line(made(sub="root", groups=[]), config))
    for groups in (["user"], ["admin"], ["STAFF"], ["staff "], ["staff2"], ["*"], [], ["operator.admin"]):
        yield Row(f"no role for {groups!r}", "deny", _line(made(groups=groups), config))
    yield Row("roles that give nobody anything", "deny", _line(made(), {"gateway": {"auth": OIDC, "roles": {}}}))
    yield Row("roles that are a list", "error", _line(made(), {"gateway": {"auth": OIDC, "roles": ["admin"]}}))
