"""Evidence to Principal. Decisions rest on verified facts, never on the presence of a field.

1. Every comparison is of hashes in constant time; the limiter counts every wrong credential, whichever field it came
   in: a right one beside it lets in, but does not make guesses at the shared secret free.
2. A lockout never keeps out the right credential of a local program: any process here could else lock the operator out.
3. A credential that was replaced with a grace opens as before until its time is over (see `grace`).
4. A device's token, as `token` or as `deviceToken`, and a setup code count only from a device that has proved its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, Protocol

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import OpenClawError, RateLimited, Unauthorized
from openclaw.base.principal import AuthMethod, Principal
from openclaw.base.secret import Secret, masked
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.grace import Former
from openclaw.identity.locality import Source
from openclaw.identity.rate_limit import SignInLimiter
from openclaw.identity.scopes import KNOWN, OPERATOR_ALLOWED, Role, covers, granted
from openclaw.telemetry.metrics import METRICS

Mode = Literal["token", "password", "none"]
MAX_CREDENTIAL_CHARS: Final = 4096
"""Longer evidence is wrong without being hashed."""

_failures = METRICS.counter(
    "openclaw_auth_failures", "Refused credentials by surface and reason.", ("surface", "reason")
)


SHARED_METHODS: Final[tuple[AuthMethod, ...]] = ("token", "password", "none")
"""How callers come by the shared credential, or by none being needed."""

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


class DeviceToken(Protocol):
    """identity.devices.record.Token."""

    @property
    def scopes(self) -> tuple[str, ...]: ...


class Setup(Protocol):
    """identity.devices.record.SetupCode."""

    @property
    def granted(self) -> Mapping[Role, tuple[str, ...]]: ...


class DeviceCredentials(Protocol):
    """What devices hold (identity.devices.book.Devices)."""

    def token_of(self, device_id: str, role: Role, candidate: str) -> DeviceToken | None: ...

    def setup_of(self, candidate: str, role: Role) -> Setup | None: ...


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


class _Found(NamedTuple):
    """A credential that is right: its text, how it was given, the scopes that it opens; a shared one's fingerprint."""

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
    ) -> None:
        self._limiter = SignInLimiter(rate_limit, clock)
        self._clock = clock
        self._devices = devices
        self.former = former
        """What was replaced and still opens the gateway."""
        self.mode: Mode = mode
        self._secret: Secret | None = None
        self.holders: set[Callable[[], object]] = set()
        self.renew(mode, token, password, former)

    def renew(self, mode: Mode, token: Secret | None, password: Secret | None, former: tuple[Former, ...] = ()) -> bool:
        """Take the shared credential that holds from the next request on. Say whether it is another than before."""
        secret = token if mode == "token" else password if mode == "password" else None
        same = mode == self.mode and secret == self._secret
        fewer = set(self.former) - set(former)
        self.mode, self._secret, self.former = mode, secret, former
        self._credential = secret.fingerprint() if secret else ""
        self._http_principal = Principal(method=mode, scopes=OPERATOR_ALLOWED, credential=self._credential)
        if fewer or not same:
            self._call_holders()
        return not same

    def allow(self, former: tuple[Former, ...]) -> None:
        """Take what was replaced and still opens the gateway; whoever came by what no longer does is shut out."""
        fewer = set(self.former) - set(former)
        self.former = former
        if fewer:
            self._call_holders()

    def _call_holders(self) -> None:
        for shut_out in list(self.holders):
            shut_out()

    def stands(self, principal: Principal) -> bool:
        """Say whether what let a caller in would let it in now; devices' own tokens are not judged here."""
        if principal.method not in SHARED_METHODS:
            return True
        if principal.method != self.mode:
            return False
        now_ms = self._clock.now_ms()
        live = (one.fingerprint for one in self.former if now_ms < one.until_ms)
        return principal.credential == self._credential or principal.credential in live

    def http(self, headers: Mapping[bytes, bytes], source: Source) -> Principal:
        """Authenticate a request by `Authorization: Bearer`. Raises: Unauthorized, RateLimited."""
        if self.mode == "none":
            self._check_local(source, "http")
            return self._http_principal
        scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not credential:
            _failures.inc("http", "missing")
            raise _refusal(f"{self.mode}_missing")
        locked_s = self._locked_s(source, "http")
        text = credential[: MAX_CREDENTIAL_CHARS + 1].strip().decode("utf-8", "surrogateescape")
        if fingerprint := self._shared(text):
            self._succeeded(source, locked_s)
            if fingerprint == self._credential:
                return self._http_principal
            return Principal(method=self.mode, scopes=OPERATOR_ALLOWED, credential=fingerprint)
        raise self._failed(source, f"{self.mode}_mismatch", "http", locked_s)

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
        shared, reason = self._candidate(evidence, protocol)
        if reason.endswith("_missing"):
            _failures.inc("connect", reason)
            raise _refusal(reason)
        locked_s = self._locked_s(source, "connect")
        if shared is not None and (fingerprint := self._shared(shared)):
            found: _Found | None = _Found(shared, self.mode, _ALLOWED[role], fingerprint)
        else:
            found = self._of_device(evidence, role, device_id)
        if found is None:
            if device_id and evidence.device_token:
                reason = "device_token_mismatch"  # on which clients forget it; some send it as `token` too
            may_retry = reason == "token_mismatch" and bool(device_id) and protocol >= 4
            raise self._failed(source, reason, "connect", locked_s, may_retry=may_retry)
        if shared in (None, found.text):
            self._succeeded(source, locked_s)
        else:
            self._failed(source, reason, "connect", locked_s)  # counted, and let in all the same (rule 1)
        return self._principal(found, role, scopes, device_id)

    def forged(self, source: Source) -> None:
        """Count a device signature that is wrong, like a wrong credential. Raises: RateLimited."""
        locked_s = self._locked_s(source, "connect")
        _failures.inc("connect", "device_signature")
        if locked_s is not None:
            raise _locked(locked_s)
        self._limiter.failed(source.key)

    def _candidate(self, evidence: Evidence, protocol: int) -> tuple[str | None, str]:
        """Return what may be the shared credential, and what to say when nothing that was sent is right."""
        own, other = evidence.token, evidence.password
        if self.mode == "password":
            own, other = other, own
        if own is None and protocol >= 4:
            own = other  # newer clients send what they have in either field
        if own is not None:
            return own, f"{self.mode}_mismatch"
        if evidence.device_token:
            return None, "device_token_mismatch"
        if evidence.bootstrap_token:
            return None, "bootstrap_token_invalid"
        return None, f"{self.mode}_missing"

    def _shared(self, candidate: str) -> str:
        """Return the fingerprint of the shared credential that a text is, or ""."""
        secret = self._secret
        if not secret or len(candidate) > MAX_CREDENTIAL_CHARS:
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
            _failures.inc(surface, "not_local")
            raise _refusal("not_local")

    def _locked_s(self, source: Source, surface: str) -> float | None:
        """Return how long an address is still locked out. Raises: RateLimited for all but local programs (rule 2)."""
        locked_s = self._limiter.retry_after_s(source.key)
        if locked_s is not None and not source.local:
            _failures.inc(surface, "rate_limited")
            raise _locked(locked_s)
        return locked_s

    def _succeeded(self, source: Source, locked_s: float | None) -> None:
        if locked_s is None:
            self._limiter.succeeded(source.key)

    def _failed(
        self, source: Source, reason: str, surface: str, locked_s: float | None, *, may_retry: bool = False
    ) -> OpenClawError:
        """Count a wrong credential; return what to say."""
        _failures.inc(surface, reason)
        if locked_s is not None:
            return _locked(locked_s)
        self._limiter.failed(source.key)
        return _refusal(reason, may_retry=may_retry)


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
