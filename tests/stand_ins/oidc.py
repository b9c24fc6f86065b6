"""An identity provider: keys that turn, discovery, and tokens as the libraries of the field make them (joserfc)."""

from __future__ import annotations

import base64
import hmac
import json
import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwk, jws
from joserfc.jwk import ECKey, RSAKey

from tests.stand_ins.server import Raw, Request, StandIn

ISSUER = "https://id.example/realm"
ALB_ARN = "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/ours/1"


class Keychain:
    """Signing keys by id; `documents` answers what a provider's addresses do and counts how often it was asked."""

    def __init__(self, issuer: str = ISSUER, seed: int = 0) -> None:
        self.issuer = issuer
        self._seed = seed
        self.keys: dict[str, RSAKey | ECKey] = {}
        self.asked: list[str] = []
        self.down = False
        self.add_rsa("k1")
        self.add_ec("k2")

    def add_rsa(self, kid: str, bits: int = 2048) -> None:
        """Take an RSA key, the same one for the same seed and name."""
        self.keys[kid] = _rsa(kid, bits, self._seed)

    def add_ec(self, kid: str) -> None:
        """Take a P-256 key."""
        self.keys[kid] = _ec(kid, self._seed)

    def jwks(self) -> dict[str, Any]:
        """Return the public keys."""
        return {"keys": [key.as_dict(private=False) for key in self.keys.values()]}

    def pem(self, kid: str) -> bytes:
        """Return one public key as load balancers publish it."""
        return self.keys[kid].as_pem(private=False)

    def token(self, claims: Mapping[str, Any], kid: str = "k1", /, **header: Any) -> str:
        """Return a signed token; `header` is more of it, or other than it would be."""
        key = self.keys[kid]
        fields = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256", "kid": kid, "typ": "JWT", **header}
        if not header:
            return jws.serialize_compact(fields, json.dumps(claims), key)
        return sign(fields, json.dumps(claims).encode(), key)

    def padded(self, claims: Mapping[str, Any], kid: str, /, **header: Any) -> str:
        """Return a token as AWS load balancers write it: base64url with its padding, which is signed with the rest."""
        fields = {"alg": "ES256", "kid": kid, **header}
        parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in (fields, claims)]
        signed = ".".join(parts)
        key: Any = self.keys[kid].private_key
        r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
        return f"{signed}.{base64.urlsafe_b64encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big')).decode()}"

    async def documents(self, url: str) -> bytes:
        """Answer a GET."""
        self.asked.append(url)
        if self.down:
            raise OSError("refused")
        if url == f"{self.issuer}/.well-known/openid-configuration":
            return json.dumps({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}).encode()
        if url in (f"{self.issuer}/keys", f"{self.issuer}/.well-known/jwks.json"):
            return json.dumps(self.jwks()).encode()
        kid = url.rpartition("/")[2]
        if kid in self.keys:
            return self.pem(kid)
        raise OSError("404")


@lru_cache
def _rsa(kid: str, bits: int, seed: int) -> RSAKey:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwk.RSAKey.generate_key(bits, {"kid": kid, "use": "sig"}, private=True)


@lru_cache
def _ec(kid: str, seed: int) -> ECKey:
    return jwk.ECKey.generate_key("P-256", {"kid": kid, "use": "sig"}, private=True)


def sign(header: Mapping[str, Any], payload: bytes, key: Any) -> str:
    """Return a compact JWS with any header at all, by a key of the chain or by bytes for HS256."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    if isinstance(key, bytes):
        return f"{signed}.{b64(hmac.digest(key, signed.encode(), 'sha256'))}"
    private: Any = key.private_key
    if isinstance(key, RSAKey):
        return f"{signed}.{b64(private.sign(signed.encode(), PKCS1v15(), SHA256()))}"
    r, s = decode_dss_signature(private.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class OidcServer(StandIn):
    """The provider on a port of this machine; its issuer is its address."""

    def __init__(self) -> None:
        super().__init__(self._document)
        self.chain = Keychain()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.chain.issuer = self.base_url
        return self

    def _document(self, request: Request) -> Raw:
        issuer, jwks = self.chain.issuer, self.chain.jwks()
        found = {
            "/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/keys"},
            "/keys": jwks,
        }.get(request.path)
        return Raw((json.dumps(found).encode(),), status=200 if found else 404)
