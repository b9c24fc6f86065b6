"""Evidence to Principal. Decisions rest on verified facts, never on the presence of a field.

Every comparison is of hashes in constant time; the limiter counts every wrong credential, whichever field it came in.
A lockout never keeps out the right credential of a local program: any process here could else lock the operator out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import RateLimited, Unauthorized
from openclaw.base.principal import AuthMethod, Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.locality import Source
from openclaw.identity.rate_limit import SignInLimiter
from openclaw.identity.scopes import OPERATOR_ALLOWED, granted
from openclaw.telemetry.metrics import METRICS

Mode = Literal["token", "password", "none"]
Role = Literal["operator", "node"]

MAX_CREDENTIAL_CHARS: Final = 4096
"""Longer evidence is wrong without being hashed."""

_failures = METRICS.counter(
    "openclaw_auth_failures", "Refused credentials by surface and reason.", ("surface", "reason")
)


class Evidence(msgspec.Struct, frozen=True, rename="camel"):
    """The `auth` object of a connect request."""

    token: str | None = None
    password: str | None = None
    device_token: str | None = None
    bootstrap_token: str | None = None

    @property
    def given(self) -> bool:
        """Whether any credential is there at all."""
        return bool(self.token or self.password or self.device_token or self.bootstrap_token)


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


def _refusal(reason: str) -> Unauthorized:
    code, message, step = _WRONG[reason]
    return Unauthorized(
        f"unauthorized: {message}",
        details={
            "code": code,
            "authReason": reason,
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": step,
        },
    )


class Authenticator:
    """Checks the shared credential for HTTP and for connect."""

    def __init__(
        self,
        mode: Mode,
        token: Secret | None,
        password: Secret | None,
        rate_limit: RateLimitConfig,
        clock: Clock,
    ) -> None:
        self.mode: Mode = mode
        self._secret = token if mode == "token" else password if mode == "password" else None
        self._limiter = SignInLimiter(rate_limit, clock)
        self._method: AuthMethod = mode
        self._http_principal = Principal(method=mode, scopes=OPERATOR_ALLOWED)

    def http(self, headers: Mapping[bytes, bytes], source: Source) -> Principal:
        """Authenticate a request by `Authorization: Bearer`. Raises: Unauthorized, RateLimited."""
        if self.mode == "none":
            self._check_local(source, "http")
            return self._http_principal
        scheme, _, credential = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not credential:
            _failures.inc("http", "missing")
            raise _refusal(f"{self.mode}_missing")
        if len(credential) > MAX_CREDENTIAL_CHARS:
            credential = b""
        self._check(credential.strip().decode("utf-8", "surrogateescape"), source, f"{self.mode}_mismatch", "http")
        return self._http_principal

    def connect(
        self, evidence: Evidence, source: Source, role: Role, scopes: Iterable[str], protocol: int
    ) -> Principal:
        """Authenticate a connect request. The principal's scopes are requested ∩ allowed.

        Raises: Unauthorized with the details that clients act on, RateLimited.
        """
        if self.mode == "none":
            self._check_local(source, "connect")
        else:
            candidate, reason = self._candidate(evidence, protocol)
            if candidate is None:
                _failures.inc("connect", reason)
                raise _refusal(reason)
            self._check(candidate, source, reason, "connect")
        allowed = OPERATOR_ALLOWED if role == "operator" else frozenset[str]()
        return Principal(method=self._method, role=role, scopes=granted(scopes, allowed))

    def _candidate(self, evidence: Evidence, protocol: int) -> tuple[str | None, str]:
        """Return the credential to compare and what to say when it is wrong."""
        own, other = evidence.token, evidence.password
        if self.mode == "password":
            own, other = other, own
        if own is None and protocol >= 4:
            own = other  # newer clients send what they have in either field
        if own is not None:
            return own, f"{self.mode}_mismatch"
        if evidence.device_token:
            return evidence.device_token, "device_token_mismatch"
        if evidence.bootstrap_token:
            return evidence.bootstrap_token, "bootstrap_token_invalid"
        return None, f"{self.mode}_missing"

    def _check_local(self, source: Source, surface: str) -> None:
        if not source.direct or source.browser == "foreign":
            _failures.inc(surface, "not_local")
            raise _refusal("not_local")

    def _check(self, candidate: str, source: Source, reason: str, surface: str) -> None:
        """Compare one credential. Raises: Unauthorized, RateLimited."""
        locked_s = self._limiter.retry_after_s(source.key)
        if locked_s is not None and not source.local:
            _failures.inc(surface, "rate_limited")
            raise _locked(locked_s)
        # A paired device's token or a setup code is never compared with the shared secret: none exist yet.
        is_shared = reason.startswith(self.mode)
        secret = self._secret
        if is_shared and secret and len(candidate) <= MAX_CREDENTIAL_CHARS and secret.matches(candidate):
            if locked_s is None:
                self._limiter.succeeded(source.key)
            return
        _failures.inc(surface, reason)
        if locked_s is not None:
            raise _locked(locked_s)
        self._limiter.failed(source.key)
        raise _refusal(reason)


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
