"""Evidence to Principal. Decisions rest on verified facts, never on the presence of a field.

1. Every comparison is of hashes in constant time; the limiter counts every wrong credential, whichever field it came
   in: a right one beside it lets in, but does not make guesses at the shared secret free. Failures are forgotten by
   the shared credential alone: who has another could else guess at it without end.
2. A lockout never keeps out the right credential of a local program: any process here could else lock the operator out.
   In mode `password` it does, as people choose what can be guessed.
3. A credential that was replaced with a grace opens as before until its time is over (see `grace`).
4. A device's token, as `token` or as `deviceToken`, and a setup code count only from a device that has proved its key.
   Over HTTP, where nothing can be proved, the token alone counts, for the role `operator`.
5. Where an identity provider or a proxy vouches for callers, the shared token still opens the gateway to programs on
   this machine, and to nobody else; devices that were paired keep what they were approved for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import Forbidden, OpenClawError, RateLimited, Unauthorized, Unavailable
from openclaw.base.principal import AuthMethod, Principal
from openclaw.base.secret import Secret, masked
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.bearer import bearer
from openclaw.identity.federated.federation import FEDERATED, Carried, Federation, NoRole
from openclaw.identity.federated.jws import BadToken
from openclaw.identity.grace import Former
from openclaw.identity.locality import NOT_ALLOWED, Source
from openclaw.identity.rate_limit import SignInLimiter
from openclaw.identity.scopes import ADMIN, KNOWN, OPERATOR_ALLOWED, Role, covers, granted
from openclaw.telemetry.metrics import METRICS

Mode = Literal["token", "password", "none", "trusted-proxy", "oidc", "cognito", "alb"]
MAX_CREDENTIAL_CHARS: Final = 4096
"""Longer evidence is wrong without being hashed."""
CROWD: Final = 10
"""As many clients' wrong guesses are what all clients together have that a proxy names without having proved itself."""
MAX_SIGN_IN_S: Final = 86_400.0
"""No connection outlives this that came by somebody else's word, whatever that word says."""

_failures = METRICS.counter(
    "openclaw_auth_failures", "Refused credentials by surface and reason.", ("surface", "reason")
)


SHARED_METHODS: Final[tuple[AuthMethod, ...]] = ("token", "password", "none")
"""How callers come by the shared credential, or by none being needed."""

AMBIENT: Final[frozenset[Mode]] = frozenset(("trusted-proxy", "alb"))
"""Where the browser itself brings what signs a person in, their cookie at the proxy: for any page that asks it to."""

RENEWED: Final = "gateway auth changed"
"""Why a connection closes that came by a shared credential that is no more; with 4001."""


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """The `auth` object of a connect request."""

    token: str | None = None
    password: str | None = None
    device_token: str | None = None
    bootstrap_token: str | None = None

    __repr__ = masked

    @property
    def given(self) -> bool:
        """Whether any credential is there at all."""
        return bool(self.token or self.password or self.device_token or self.bootstrap_token)


class SignIns(Protocol):
    """Is told who comes in and who does not (policy.sign_ins.SignIns). Must not block or raise."""

    def accepted(self, principal: Principal, client: str, surface: str) -> None: ...

    def refused(self, client: str, surface: str, reason: str) -> None: ...


class DeviceToken(Protocol):
    """identity.devices.record.Token."""

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def digest(self) -> str: ...


class Setup(Protocol):
    """identity.devices.record.SetupCode."""

    @property
    def granted(self) -> Mapping[Role, tuple[str, ...]]: ...


class DeviceCredentials(Protocol):
    """What devices hold (identity.devices.book.Devices)."""

    def token_of(self, device_id: str, role: Role, candidate: str) -> DeviceToken | None: ...

    def setup_of(self, candidate: str, role: Role) -> Setup | None: ...

    def bearer_of(self, candidate: str) -> tuple[str, DeviceToken] | None: ...

    def holds(self, device_id: str, role: Role, fingerprint: str) -> bool: ...


_WRONG: Final[dict[str, tuple[str, str, str]]] = {
    "token_mismatch": (
        "AUTH_TOKEN_MISMATCH",
        "gateway token mismatch (provide gateway auth token)",
        "update_auth_credentials",
    ),
    "token_missing": (
        "AUTH_TOKEN_MISSING",
        "gateway token missing (provide gateway auth token)",
        "update_auth_configuration",
    ),
    "password_mismatch": (
        "AUTH_PASSWORD_MISMATCH",
        "gateway password mismatch (provide gateway auth password)",
        "update_auth_credentials",
    ),
    "password_missing": (
        "AUTH_PASSWORD_MISSING",
        "gateway password missing (provide gateway auth password)",
        "update_auth_configuration",
    ),
    "device_token_mismatch": (
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "device token mismatch (rotate/reissue device token)",
        "update_auth_credentials",
    ),
    "bootstrap_token_invalid": (
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
        "setup code invalid, expired, revoked, or already used (create a new code; review `openclaw devices list`)",
        "review_auth_configuration",
    ),
    "not_local": (
        "AUTH_UNAUTHORIZED",
        "gateway.auth.mode is none, which admits local programs only (set gateway.auth.token)",
        "update_auth_configuration",
    ),
}
"""Reason → (details.code, message, recommendedNextStep)."""


RETRY_WITH_DEVICE: Final = "gateway token mismatch (use this gateway's gateway.auth.token or pair the device)"
"""What a proven device is told that came with a wrong token, and has not tried its own yet."""


def _refusal(reason: str, *, may_retry: bool = False) -> Unauthorized:
    code, message, step = _WRONG[reason]
    if may_retry:
        message, step = RETRY_WITH_DEVICE, "retry_with_device_token"
    return Unauthorized(
        f"unauthorized: {message}",
        details={
            "code": code,
            "authReason": reason,
            "canRetryWithDeviceToken": may_retry,
            "recommendedNextStep": step,
        },
    )


def _scope_mismatch() -> Unauthorized:
    return Unauthorized(
        "unauthorized: device token scope mismatch (re-pair or approve scope upgrade)",
        details={
            "code": "AUTH_SCOPE_MISMATCH",
            "authReason": "scope_mismatch",
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "review_auth_configuration",
        },
    )


def _rejected(bad: BadToken) -> Unauthorized:
    return Unauthorized(
        f"unauthorized: {bad}",
        details={
            "code": "AUTH_IDENTITY_REJECTED",
            "authReason": bad.reason,
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "update_auth_credentials",
        },
    )


UNCOUNTED: Final = frozenset(("expired", "not_yet"))
"""Refusals of tokens that were right once, or will be: whoever holds one guesses nothing."""

_NOTHING: Final = Carried()


class _Found(NamedTuple):
    """A credential that is right: its text, how it was given, the scopes that it opens, its fingerprint."""

    text: str
    method: AuthMethod
    allowed: frozenset[str]
    credential: str = ""


_ALLOWED: Final[dict[Role, frozenset[str]]] = {"operator": OPERATOR_ALLOWED, "node": frozenset()}
"""What the holder of the shared credential may have, by role."""


class Authenticator:
    """Checks credentials, for HTTP and for connect. `renew` changes the shared one while the gateway runs.

    `holders` are called when it changes: each closes a connection that no hub knows, unless what it came by `stands`.
    """

    def __init__(
        self,
        mode: Mode,
        token: Secret | None,
        password: Secret | None,
        rate_limit: Callable[[], RateLimitConfig],
        clock: Clock,
        devices: DeviceCredentials | None = None,
        former: tuple[Former, ...] = (),
        federation: Federation | None = None,
    ) -> None:
        self.limiter = SignInLimiter(rate_limit, clock)
        self.sign_ins: SignIns | None = None
        self._clock = clock
        self._devices = devices
        self.former = former
        """What was replaced and still opens the gateway."""
        self.mode: Mode = mode
        self._secret: Secret | None = None
        self.federation: Federation | None = None
        """Who vouches for callers, None where they prove themselves."""
        self.holders: set[Callable[[], object]] = set()
        self.renew(mode, token, password, former, federation)

    def renew(
        self,
        mode: Mode,
        token: Secret | None,
        password: Secret | None,
        former: tuple[Former, ...] = (),
        federation: Federation | None = None,
    ) -> bool:
        """Take what holds from the next request on. Say whether callers may have to prove themselves anew."""
        secret = password if mode == "password" else None if mode == "none" else token
        same = mode == self.mode and secret == self._secret
        if federation is not None:
            same = federation.takes_over(self.federation) and same
        fewer = set(self.former) - set(former)
        self.mode, self._secret, self.former, self.federation = mode, secret, former, federation
        self._shared_method: AuthMethod = mode if mode in ("password", "none") else "token"
        self._credential = secret.fingerprint() if secret else ""
        self._http_principal = Principal(
            method=self._shared_method, scopes=OPERATOR_ALLOWED, credential=self._credential
        )
        if fewer or not same:
            self.recheck()
        return not same

    def allow(self, former: tuple[Former, ...]) -> None:
        """Take what was replaced and still opens the gateway; whoever came by what no longer does is shut out."""
        fewer = set(self.former) - set(former)
        self.former = former
        if fewer:
            self.recheck()

    def left_s(self, principal: Principal) -> float | None:
        """Return how long what a caller came by goes on, a day at most; None where it has no end."""
        if not principal.expires_at_ms:
            return None
        return min(max(principal.expires_at_ms - self._clock.now_ms(), 0) / 1000, MAX_SIGN_IN_S)

    def recheck(self) -> None:
        """Have every connection that no hub knows look whether its caller still stands."""
        for shut_out in list(self.holders):
            shut_out()

    def stands(self, principal: Principal) -> bool:
        """Say whether what let a caller in would let it in now."""
        if principal.method in FEDERATED:
            return self.federation is not None and self.federation.stands(principal, self._clock.now_ms())
        if principal.method == "device-token" and principal.credential:
            devices = self._devices
            return devices is not None and devices.holds(principal.device, principal.role, principal.credential)
        if principal.method not in SHARED_METHODS:
            return True
        if principal.method != self._shared_method:
            return False
        now_ms = self._clock.now_ms()
        live = (one.fingerprint for one in self.former if now_ms < one.until_ms)
        return principal.credential == self._credential or principal.credential in live

    def http(self, headers: Mapping[bytes, bytes], source: Source) -> Principal:
        """Authenticate a request by `Authorization: Bearer`, or by who vouches for it.

        Raises: Unauthorized, Forbidden, RateLimited, Unavailable.
        """
        principal = self._http(headers, source)
        self._accepted(principal, source, "http")
        return principal

    def arrived(self, principal: Principal, source: Source) -> None:
        """Note that a client of the Gateway protocol was let in."""
        self._accepted(principal, source, "connect")

    def _accepted(self, principal: Principal, source: Source, surface: str) -> None:
        if self.sign_ins is not None:
            self.sign_ins.accepted(principal, source.key, surface)

    def refused(self, surface: str, reason: str, source: Source) -> None:
        """Count a refusal, and note it."""
        _failures.inc(surface, reason)
        if self.sign_ins is not None:
            self.sign_ins.refused(source.key, surface, reason)

    def _http(self, headers: Mapping[bytes, bytes], source: Source) -> Principal:
        if self.mode == "none":
            self._check_local(source, "http")
            return self._http_principal
        if self.federation is not None and (vouched := self._vouched(self.federation, source, "", "http")) is not None:
            return vouched
        if not (text := bearer(headers)):
            self.refused("http", "missing", source)
            raise _refusal(f"{self._shared_method}_missing")
        locked_s = self._locked_s(source, "http")
        if fingerprint := self._shared(text, source):
            self._succeeded(source, locked_s)
            if fingerprint == self._credential:
                return self._http_principal
            return Principal(method=self._shared_method, scopes=OPERATOR_ALLOWED, credential=fingerprint)
        if (device := self._bearer_device(text)) is not None:
            return device
        raise self._failed(source, f"{self._shared_method}_mismatch", "http", locked_s)

    def carrying(self, source: Source, headers: Mapping[bytes, bytes]) -> Source:
        """Return a source with what headers say of the caller, where that can count."""
        if self.federation is None:
            return source
        carried = self.federation.carried(headers, by_proxy=source.by_proxy)
        return msgspec.structs.replace(source, carried=carried)

    def wants(self, source: Source, given: str = "") -> bool:
        """Say whether `prepare` has to be awaited before what a request brings can be judged."""
        federation = self.federation
        if federation is None or (self.limiter.retry_after_s(source.key) is not None and not source.local):
            return False  # refused whatever it brings; a local program is judged by rule 2, and that takes the key
        return federation.wants(federation.credential(source.carried or _NOTHING, given))

    async def prepare(self, source: Source, given: str = "") -> None:
        """Fetch the key that is missing to judge a request, if it can be had."""
        if self.federation is not None and self.wants(source, given):
            await self.federation.prepare(self.federation.credential(source.carried or _NOTHING, given))

    def vouches(self, evidence: Evidence, source: Source) -> bool:
        """Say whether it is somebody else's word that a connect request would be judged by."""
        federation = self.federation
        return bool(federation and federation.credential(source.carried or _NOTHING, evidence.token or ""))

    def _vouched(self, federation: Federation, source: Source, given: str, surface: str) -> Principal | None:
        """Return who is vouched for, None when nobody is. Raises: Unauthorized, Forbidden, RateLimited, Unavailable."""
        carried = source.carried or _NOTHING
        credential = federation.credential(carried, given)
        if not credential:
            return None
        if source.browser == "foreign" and self.mode in AMBIENT:
            self.refused(surface, "foreign_page", source)
            raise Forbidden(NOT_ALLOWED, details={"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED"})
        locked_s = self._locked_s(source, surface)
        try:
            principal = federation.judge(carried, credential, self._clock.now_ms())
        except BadToken as bad:
            self.refused(surface, bad.reason, source)
            if bad.reason == "no_keys":
                raise Unavailable(str(bad), retry_after_s=5) from None
            if bad.reason in UNCOUNTED:
                raise _rejected(bad) from None
            if locked_s is None:
                self._blame(source)
            raise (_rejected(bad) if locked_s is None else _locked(locked_s)) from None
        except NoRole:
            self.refused(surface, "no_role", source)
            raise Forbidden(
                "you are signed in, but none of your groups has a role here",
                hint="An operator gives one in gateway.roles.<role>.groups or .users.",
                details={"code": "AUTH_NO_ROLE"},
            ) from None
        return principal

    def _bearer_device(self, text: str) -> Principal | None:
        """Apply rule 4 over HTTP."""
        if self._devices is None or len(text) > MAX_CREDENTIAL_CHARS:
            return None
        found = self._devices.bearer_of(text)
        if found is None:
            return None
        device_id, token = found
        return Principal(
            method="device-token",
            scopes=frozenset(token.scopes),
            device=device_id,
            credential=device_credential(token.digest),
        )

    def connect(
        self,
        evidence: Evidence,
        source: Source,
        role: Role,
        scopes: Iterable[str],
        protocol: int,
        device_id: str = "",
    ) -> Principal:
        """Authenticate a connect request. The principal's scopes are requested ∩ allowed.

        `device_id` is that of a device that has proved its key, or empty.

        Raises: Unauthorized with the details that clients act on, RateLimited.
        """
        if self.mode == "none":
            self._check_local(source, "connect")
            return self._principal(_Found("", "none", _ALLOWED[role]), role, scopes, device_id)
        if self.federation is not None:
            vouched = self._vouched(self.federation, source, evidence.token or "", "connect")
            if vouched is not None:
                return _narrowed(vouched, role, scopes, device_id)
        shared, reason = self._candidate(evidence, protocol)
        if reason.endswith("_missing"):
            self.refused("connect", reason, source)
            raise _refusal(reason)
        locked_s = self._locked_s(source, "connect")
        if shared is not None and (fingerprint := self._shared(shared, source)):
            found: _Found | None = _Found(shared, self._shared_method, _ALLOWED[role], fingerprint)
        else:
            found = self._of_device(evidence, role, device_id)
        if found is None:
            if device_id and evidence.device_token:
                reason = "device_token_mismatch"  # on which clients forget it; some send it as `token` too
            may_retry = reason == "token_mismatch" and bool(device_id) and protocol >= 4
            raise self._failed(source, reason, "connect", locked_s, may_retry=may_retry)
        if shared not in (None, found.text):
            self._failed(source, reason, "connect", locked_s)  # counted, and let in all the same (rule 1)
        elif found.method == self._shared_method:
            self._succeeded(source, locked_s)
        return self._principal(found, role, scopes, device_id)

    def forged(self, source: Source) -> None:
        """Count a device signature that is wrong, like a wrong credential. Raises: RateLimited."""
        locked_s = self._locked_s(source, "connect")
        self.refused("connect", "device_signature", source)
        if locked_s is not None:
            raise _locked(locked_s)
        self._blame(source)

    def _candidate(self, evidence: Evidence, protocol: int) -> tuple[str | None, str]:
        """Return what may be the shared credential, and what to say when nothing that was sent is right."""
        own, other = evidence.token, evidence.password
        if self.mode == "password":
            own, other = other, own
        if own is None and protocol >= 4:
            own = other  # newer clients send what they have in either field
        if own is not None:
            return own, f"{self._shared_method}_mismatch"
        if evidence.device_token:
            return None, "device_token_mismatch"
        if evidence.bootstrap_token:
            return None, "bootstrap_token_invalid"
        return None, f"{self._shared_method}_missing"

    def _shared(self, candidate: str, source: Source) -> str:
        """Return the fingerprint of the shared credential that a text is, or ""."""
        secret = self._secret
        if not secret or len(candidate) > MAX_CREDENTIAL_CHARS or (self.federation is not None and not source.local):
            return ""
        if secret.matches(candidate):
            return self._credential
        if self.former:
            now_ms = self._clock.now_ms()
            for one in self.former:
                if one.matches(candidate) and now_ms < one.until_ms:
                    return one.fingerprint
        return ""

    def _of_device(self, evidence: Evidence, role: Role, device_id: str) -> _Found | None:
        """Return what a proven device has of its own."""
        if self._devices is None or not device_id:
            return None
        for text in (evidence.device_token, evidence.token):
            if text and len(text) <= MAX_CREDENTIAL_CHARS:
                token = self._devices.token_of(device_id, role, text)
                if token is not None:
                    return _Found(text, "device-token", frozenset(token.scopes))
        code = evidence.bootstrap_token
        setup = self._devices.setup_of(code, role) if code and len(code) <= MAX_CREDENTIAL_CHARS else None
        return _Found(code or "", "bootstrap-token", frozenset(setup.granted[role])) if setup is not None else None

    def _principal(self, found: _Found, role: Role, scopes: Iterable[str], device_id: str) -> Principal:
        """Raises: Unauthorized when a device's token is asked for more than it opens."""
        asked = tuple(scope for scope in scopes if scope in KNOWN)
        if found.method == "device-token" and not covers(found.allowed, asked):
            raise _scope_mismatch()
        return Principal(
            method=found.method,
            role=role,
            scopes=granted(asked, found.allowed),
            device=device_id,
            credential=found.credential,
        )

    def _check_local(self, source: Source, surface: str) -> None:
        if not source.direct or source.browser == "foreign":
            self.refused(surface, "not_local", source)
            raise _refusal("not_local")

    def _locked_s(self, source: Source, surface: str) -> float | None:
        """Return how long an address is still locked out. Raises: RateLimited for all but those of rule 2."""
        own_s = self.limiter.retry_after_s(source.key)
        crowd_s = self.limiter.retry_after_s(source.via) if source.via else None
        guessable = self.mode == "password"
        if (own_s is not None and (guessable or not source.local)) or (crowd_s is not None and guessable):
            self.refused(surface, "rate_limited", source)
            raise _locked(max(own_s or 0.0, crowd_s or 0.0))
        return own_s if own_s is not None else crowd_s

    def _blame(self, source: Source) -> None:
        """Count a wrong credential against its client, and against all that one unproven proxy names."""
        self.limiter.failed(source.key)
        if source.via:
            self.limiter.failed(source.via, CROWD)

    def _succeeded(self, source: Source, locked_s: float | None) -> None:
        if locked_s is None:
            self.limiter.succeeded(source.key)

    def _failed(
        self, source: Source, reason: str, surface: str, locked_s: float | None, *, may_retry: bool = False
    ) -> OpenClawError:
        """Count a wrong credential; return what to say."""
        self.refused(surface, reason, source)
        if locked_s is not None:
            return _locked(locked_s)
        self._blame(source)
        return _refusal(reason, may_retry=may_retry)


def device_credential(digest: str) -> str:
    """Return what tells a device's token from the one that takes its place."""
    return digest[:16]


def _narrowed(principal: Principal, role: Role, scopes: Iterable[str], device_id: str) -> Principal:
    """Return a principal with what it asks for of what its roles give; who asks for nothing, or for all, has all.

    Raises: Forbidden for a person who wants to be a node.
    """
    if role == "node":
        raise Forbidden("a node comes with a device of its own, not with a person's sign-in")
    asked = tuple(scope for scope in scopes if scope in KNOWN)
    held = principal.scopes
    kept = held if not asked or (ADMIN in asked and ADMIN not in held) else granted(asked, held)
    return msgspec.structs.replace(principal, scopes=kept, device=device_id)


def _locked(seconds: float) -> RateLimited:
    return RateLimited(
        "unauthorized: too many failed authentication attempts (retry later)",
        retry_after_s=seconds,
        details={
            "code": "AUTH_RATE_LIMITED",
            "authReason": "rate_limited",
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "wait_then_retry",
        },
    )
