"""How a gateway lets others vouch for callers: whom they name becomes a Principal with the scopes of its roles.

1. `judge` decides at once and by verified facts only; `prepare`, before it, fetches the keys that it would miss.
2. Scopes come from roles; what a client asks for only narrows them.
3. A principal `stands` while its provider is configured as it was, its roles give it what they gave, and its token has
   not ended.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.ids import OwnerId
from openclaw.base.principal import FederatedMethod, Principal
from openclaw.config.schema import AlbConfig, AuthConfig, CognitoConfig, OidcConfig, RoleConfig, TrustedProxyConfig
from openclaw.config.vouching import alb_region, cognito_issuer
from openclaw.identity.bearer import bearer
from openclaw.identity.federated.claims import (
    Person,
    check_audience,
    check_client,
    check_issuer,
    check_recipient,
    check_times,
    groups_of,
    person,
    subject_of,
)
from openclaw.identity.federated.jws import BadToken, looks_signed, parse, verify
from openclaw.identity.federated.keys import AlbKeys, Fetch, JwksKeys, Keys
from openclaw.identity.roles import NOTHING, Granted, Roles
from openclaw.identity.scopes import covers

FEDERATED: Final[Mapping[str, FederatedMethod]] = {
    "trusted-proxy": "trusted-proxy",
    "oidc": "oidc",
    "cognito": "cognito",
    "alb": "alb",
}
"""Modes of gateway.auth in which somebody else says who callers are."""
ALB_HEADER: Final = b"x-amzn-oidc-data"
MAX_HEADER_CHARS: Final = 8192


class Carried(msgspec.Struct, frozen=True):
    """What the headers of a request say of who sends it; none of it is believed yet.

    Shape: `missing` are required headers that are not there; `by_proxy` says that a listed proxy sent the request and,
    when it is on this machine, proved itself.
    """

    bearer: str = ""
    alb: str = ""
    user: str = ""
    groups: str = ""
    missing: tuple[str, ...] = ()
    by_proxy: bool = False

    def __repr__(self) -> str:
        return "Carried(***)"


class Provider(Protocol):
    """One way of vouching."""

    @property
    def issuer(self) -> str:
        """What tells this provider's users from those of another."""
        ...

    def credential(self, carried: Carried, given: str) -> str:
        """Return what is to be judged, "" when there is nothing; `given` is the credential of a connect request."""
        ...

    def person(self, carried: Carried, credential: str, now_ms: int) -> Person:
        """Return who is vouched for. Raises: BadToken."""
        ...

    def wants(self, credential: str) -> bool:
        """Say whether a key has to be fetched first."""
        ...

    async def prepare(self, credential: str) -> None:
        """Fetch it."""
        ...


class _Signed:
    """A provider that signs tokens."""

    padded = False

    def __init__(self, keys: Keys) -> None:
        self.keys = keys

    def credential(self, carried: Carried, given: str) -> str:
        """See Provider."""
        text = given or carried.bearer
        return text if looks_signed(text) else ""

    def wants(self, credential: str) -> bool:
        """See Provider."""
        try:
            return self.keys.wants(parse(credential, padded=self.padded))
        except BadToken:
            return False

    async def prepare(self, credential: str) -> None:
        """See Provider."""
        await self.keys.prepare(parse(credential, padded=self.padded))

    def _claims(self, credential: str, now_ms: int) -> tuple[Mapping[str, Any], int]:
        """Return what a token says that is rightly signed and holds now, and when it ends. Raises: BadToken."""
        parsed = parse(credential, padded=self.padded)
        verify(parsed, self.keys.find(parsed))
        return parsed.claims, check_times(parsed.claims, now_ms)


class OidcProvider(_Signed):
    """Any OpenID Connect provider."""

    def __init__(self, config: OidcConfig, keys: Keys) -> None:
        super().__init__(keys)
        self._config = config
        self.issuer = config.issuer

    def person(self, carried: Carried, credential: str, now_ms: int) -> Person:
        """See Provider."""
        config = self._config
        claims, ends_ms = self._claims(credential, now_ms)
        check_issuer(claims, config.issuer)
        check_recipient(claims, config.audience, config.client_id)
        return person(claims, config.subject_claim, config.groups_claim, ends_ms)


class CognitoProvider(_Signed):
    """A user pool of Amazon Cognito. Its access tokens have `client_id`, its ID tokens `aud`."""

    def __init__(self, config: CognitoConfig, keys: Keys) -> None:
        super().__init__(keys)
        self._config = config
        self.issuer = cognito_issuer(config)

    def person(self, carried: Carried, credential: str, now_ms: int) -> Person:
        """See Provider."""
        config = self._config
        claims, ends_ms = self._claims(credential, now_ms)
        check_issuer(claims, self.issuer)
        use = claims.get("token_use")
        if use not in ("access", "id") or config.token_use not in (use, "any"):
            raise BadToken("token_use", "the token is of another use")
        if use == "access":
            check_client(claims, config.client_id or config.audience, ("client_id",))
        else:
            check_audience(claims, config.audience or config.client_id)
        return person(claims, "sub", "cognito:groups", ends_ms)


class AlbProvider(_Signed):
    """An AWS Application Load Balancer, which signs in `x-amzn-oidc-data`; the facts are in the token's header."""

    padded = True

    def __init__(self, config: AlbConfig, keys: Keys) -> None:
        super().__init__(keys)
        self._config = config
        self.issuer = config.signer

    def credential(self, carried: Carried, given: str) -> str:
        """See Provider."""
        return carried.alb

    def person(self, carried: Carried, credential: str, now_ms: int) -> Person:
        """See Provider."""
        config, parsed = self._config, parse(credential, padded=True)
        if parsed.algorithm != "ES256":
            raise BadToken("algorithm", "a load balancer signs with ES256")
        if not config.signer or parsed.header.get("signer") != config.signer:
            raise BadToken("signer", "another load balancer signed this")
        if not parsed.kid:
            raise BadToken("kid", "the token does not name its key")
        verify(parsed, self.keys.find(parsed))
        ends_ms = min(check_times(part, now_ms) for part in _ending(parsed.header, parsed.claims))
        if config.issuer:
            check_issuer(parsed.header if "iss" in parsed.header else parsed.claims, config.issuer)
        if config.client_id:
            check_client(parsed.header, config.client_id, ("client",))
        return person(parsed.claims, config.subject_claim, config.groups_claim, ends_ms)


def _ending(header: Mapping[str, Any], claims: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return those parts of a load balancer's token that say when it ends; both do, in those of AWS."""
    return tuple(part for part in (header, claims) if "exp" in part) or (header,)


class ProxyProvider:
    """A proxy that signs people in and names them in a header."""

    issuer = "proxy"

    def __init__(self, config: TrustedProxyConfig) -> None:
        self._config = config

    def credential(self, carried: Carried, given: str) -> str:
        """See Provider. A name from anybody else is left out where a credential comes with it, which counts alone."""
        return carried.user if carried.by_proxy or not (given or carried.bearer) else ""

    def person(self, carried: Carried, credential: str, now_ms: int) -> Person:
        """See Provider."""
        if not carried.by_proxy:
            raise BadToken("proxy", "who comes past the proxy may not name a user")
        if carried.missing:
            raise BadToken("required_header", f"the proxy did not send {carried.missing[0]}")
        user = subject_of(credential)
        if self._config.allow_users and user not in self._config.allow_users:
            raise BadToken("user", "this user is not in gateway.auth.trustedProxy.allowUsers")
        listed = [group.strip() for group in carried.groups.split(",")]
        return Person(user, groups_of([group for group in listed if group]))

    def wants(self, credential: str) -> bool:
        """See Provider."""
        return False

    async def prepare(self, credential: str) -> None:
        """See Provider."""


class NoRole(Exception):
    """Somebody is who they say, and may do nothing here."""

    def __init__(self, subject: str) -> None:
        super().__init__(subject)
        self.subject = subject


class Federation:
    """A provider with the roles of its users."""

    def __init__(
        self,
        method: FederatedMethod,
        provider: Provider,
        roles: Roles,
        fingerprint: str,
        proxy: TrustedProxyConfig | None = None,
    ) -> None:
        self.method: FederatedMethod = method
        self.fingerprint = fingerprint
        self.provider = provider
        self.roles = roles
        self._proxy = proxy

    def carried(self, headers: Mapping[bytes, bytes], *, by_proxy: bool) -> Carried:
        """Return what a request's headers say."""
        proxy = self._proxy
        if proxy is None:
            return Carried(bearer=bearer(headers), alb=_text(headers, ALB_HEADER))
        names = [name.strip().lower() for name in proxy.required_headers]
        return Carried(
            bearer=bearer(headers),
            user=_text(headers, proxy.user_header.lower().encode()),
            groups=_text(headers, proxy.groups_header.lower().encode()) if proxy.groups_header else "",
            missing=tuple(name for name in names if not headers.get(name.encode("utf-8", "replace"))),
            by_proxy=by_proxy,
        )

    def takes_over(self, old: Federation | None) -> bool:
        """Keep the keys of the one before, where it is the same provider. Say whether nothing at all has changed."""
        if old is None or old.fingerprint != self.fingerprint:
            return False
        self.provider = old.provider
        return self.roles == old.roles

    def credential(self, carried: Carried, given: str = "") -> str:
        """Return what `judge` would judge, "" when nobody is vouched for."""
        return self.provider.credential(carried, given)

    def wants(self, credential: str) -> bool:
        """Say whether `prepare` has something to fetch."""
        return bool(credential) and self.provider.wants(credential)

    async def prepare(self, credential: str) -> None:
        """Fetch the key that `judge` would miss, if it can be had."""
        await self.provider.prepare(credential)

    def judge(self, carried: Carried, credential: str, now_ms: int) -> Principal:
        """Return who is vouched for, with all that its roles give. Raises: BadToken, NoRole."""
        found = self.provider.person(carried, credential, now_ms)
        granted = self.roles.of(found.subject, found.groups)
        if granted == NOTHING:
            raise NoRole(found.subject)
        return self._principal(found, granted)

    def _principal(self, found: Person, granted: Granted) -> Principal:
        return Principal(
            owner=owner_of(self.method, self.provider.issuer, found.subject),
            method=self.method,
            scopes=granted.scopes,
            credential=self.fingerprint,
            subject=found.subject,
            groups=found.groups,
            roles=granted.roles,
            limits=granted.limits,
            expires_at_ms=found.expires_at_ms,
        )

    def stands(self, principal: Principal, now_ms: int) -> bool:
        """Apply rule 3."""
        if (principal.method, principal.credential) != (self.method, self.fingerprint):
            return False
        if principal.expires_at_ms and now_ms >= principal.expires_at_ms:
            return False
        granted = self.roles.of(principal.subject, principal.groups)
        same = (granted.roles, granted.limits) == (principal.roles, principal.limits)
        return same and covers(granted.scopes, principal.scopes)


def owner_of(method: FederatedMethod, issuer: str, subject: str) -> OwnerId:
    """Return whose rows a user makes: nobody of another provider, and no name of our own, is ever the same."""
    if method == "trusted-proxy":
        return OwnerId(f"proxy:{subject}")
    return OwnerId(f"{method}:{hashlib.sha256(issuer.encode()).hexdigest()[:8]}:{subject}")


def build_federation(
    auth: AuthConfig, roles: Mapping[str, RoleConfig], fetch: Fetch, clock: Clock, keys: Keys | None = None
) -> Federation | None:
    """Return the federation that a configuration asks for, None for the other modes. `keys` are instead of fetching."""
    method = FEDERATED.get(auth.mode)
    if method is None:
        return None
    provider: Provider
    if method == "oidc":
        provider = OidcProvider(auth.oidc, keys or JwksKeys(auth.oidc.issuer, auth.oidc.jwks_url, fetch, clock))
    elif method == "cognito":
        issuer = cognito_issuer(auth.cognito)
        url = auth.cognito.jwks_url or f"{issuer}/.well-known/jwks.json"
        provider = CognitoProvider(auth.cognito, keys or JwksKeys(issuer, url, fetch, clock))
    elif method == "alb":
        url = auth.alb.key_url or f"https://public-keys.auth.elb.{alb_region(auth.alb)}.amazonaws.com"
        provider = AlbProvider(auth.alb, keys or AlbKeys(url, fetch, clock))
    else:
        provider = ProxyProvider(auth.trusted_proxy)
    proxy = auth.trusted_proxy if method == "trusted-proxy" else None
    return Federation(method, provider, Roles(roles), _fingerprint(auth), proxy)


def _fingerprint(auth: AuthConfig) -> str:
    """Return what changes with anything that decides who is let in."""
    part = {
        "oidc": auth.oidc,
        "cognito": auth.cognito,
        "alb": auth.alb,
        "trusted-proxy": msgspec.structs.replace(auth.trusted_proxy, secret=None),
    }[auth.mode]
    secret = auth.trusted_proxy.secret
    shared = secret.fingerprint() if secret and auth.mode == "trusted-proxy" else ""
    return hashlib.sha256(msgspec.json.encode((auth.mode, part, shared))).hexdigest()[:16]


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    value = headers.get(name, b"")
    if len(value) > MAX_HEADER_CHARS * 2:
        return ""
    return value.decode("utf-8", "replace").strip()
