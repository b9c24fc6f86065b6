"""From what a provider or the network answered to the one ModelError that says who acts next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.base.clock import Clock
from openclaw.base.errors import (
    ModelAuth,
    ModelBadRequest,
    ModelContentFiltered,
    ModelContextOverflow,
    ModelError,
    ModelNotFound,
    ModelOverloaded,
    ModelProtocol,
    ModelRateLimited,
    ModelTimeout,
    ModelUnreachable,
)
from openclaw.base.secret import Secret
from openclaw.net.error import NetError
from openclaw.telemetry.redact import REDACTOR

TEXT_LIMIT_CHARS = 300
_NO_CREDIT = "The account has no credit left: check its plan and billing at the provider."

_BY_STATUS: dict[int, type[ModelError]] = {
    400: ModelBadRequest,
    401: ModelAuth,
    402: ModelAuth,
    403: ModelAuth,
    404: ModelNotFound,
    408: ModelTimeout,
    409: ModelOverloaded,
    413: ModelContextOverflow,
    422: ModelBadRequest,
    429: ModelRateLimited,
    500: ModelOverloaded,
    502: ModelUnreachable,
    503: ModelOverloaded,
    504: ModelTimeout,
    529: ModelOverloaded,
}
_BY_CODE: dict[str, type[ModelError]] = {
    "authentication_error": ModelAuth,
    "invalid_api_key": ModelAuth,
    "permission_error": ModelAuth,
    "billing_error": ModelAuth,
    "insufficient_quota": ModelAuth,
    "not_found_error": ModelNotFound,
    "model_not_found": ModelNotFound,
    "rate_limit_error": ModelRateLimited,
    "rate_limit_exceeded": ModelRateLimited,
    "overloaded_error": ModelOverloaded,
    "api_error": ModelOverloaded,
    "server_error": ModelOverloaded,
    "timeout_error": ModelTimeout,
    "request_too_large": ModelContextOverflow,
    "context_length_exceeded": ModelContextOverflow,
    "exceed_context_size_error": ModelContextOverflow,
    "content_filter": ModelContentFiltered,
    "content_policy_violation": ModelContentFiltered,
    "invalid_request_error": ModelBadRequest,
}
_CREDIT_CODES = frozenset({"insufficient_quota", "billing_error"})
_OVERFLOW = re.compile(
    r"maximum context length|prompt is too long|exceed(s|ed)? (the )?(available |model'?s? )?context"
    r"|context (window|length|size|limit)[^.]{0,40}(exceed|too (long|large|small))"
    r"|(input|request|prompt)[^.]{0,60}exceeds?[^.]{0,40}(context|token (limit|count))|too many (input )?tokens",
    re.IGNORECASE,
)
_NO_CREDIT_TEXT = re.compile(r"credit balance is too low|insufficient (credits|balance)", re.IGNORECASE)

_TIMEOUTS = {
    "timeout-connect": "connect",
    "timeout-first-byte": "first token",
    "timeout-idle": "idle",
    "timeout-total": "total",
}


class Failures:
    """Makes the errors of one provider: every one carries provider and model, none the credential."""

    __slots__ = ("_clock", "_hints", "_key", "_provider")

    def __init__(
        self, provider: str, key: Secret | None, clock: Clock, hints: Mapping[type[ModelError], str] | None = None
    ) -> None:
        """`hints` replace a class's own hint; `{model}` in them is the model's id."""
        self._provider = provider
        self._hints = hints or {}
        self._key = key
        self._clock = clock

    def http(self, model: str, status: int, headers: Mapping[str, str], body: bytes) -> ModelError:
        """Map an answer whose status is not 200."""
        error = error_in(body)
        if error is None:
            return self._without_body(model, status, headers)
        code, text = error
        return self.told(model, code, text, status=status, headers=headers)

    def told(
        self, model: str, code: str, text: str, *, status: int | None = None, headers: Mapping[str, str] | None = None
    ) -> ModelError:
        """Map an error the provider put into words: in a failed answer, in a 200, or in the middle of a stream."""
        kind = self._kind(code, text, status)
        hint = _NO_CREDIT if kind is ModelAuth and (code in _CREDIT_CODES or _is_no_credit(text, status)) else ""
        return self._make(
            kind, model, f"{self._clean(text) or code or 'no reason given'}", status=status, headers=headers, hint=hint
        )

    def net(self, model: str, error: NetError) -> ModelError:
        """Map a failure of the network."""
        if limit := _TIMEOUTS.get(error.kind):
            return self._make(ModelTimeout, model, f"{limit} timeout: {error}", timeout=limit.replace(" ", "_"))
        if error.kind in ("protocol", "too-large"):
            return self._make(ModelProtocol, model, str(error))
        return self._make(ModelUnreachable, model, str(error))

    def protocol(self, model: str, reason: str) -> ModelError:
        """Say that the provider broke its own wire format."""
        return self._make(ModelProtocol, model, reason)

    def _kind(self, code: str, text: str, status: int | None) -> type[ModelError]:
        by_code = _BY_CODE.get(code)
        if by_code is ModelContentFiltered:
            return by_code
        if status in (None, 200, 400, 413, 422, 500) and _OVERFLOW.search(text):
            return ModelContextOverflow
        if _is_no_credit(text, status):
            return ModelAuth
        if by_code is not None and (by_code is not ModelBadRequest or status in (None, 200, 400)):
            return by_code
        if status in (None, 200):
            status = int(code) if code.isdigit() and len(code) == 3 else 0
        return _of_status(status or 0)

    def _without_body(self, model: str, status: int, headers: Mapping[str, str]) -> ModelError:
        if 300 <= status < 400:
            return self._make(ModelProtocol, model, "the provider redirects; set baseUrl to its final address")
        if status in (404, 405, 410):
            return self._make(ModelProtocol, model, "no such API at this address", status=status)
        return self._make(_of_status(status), model, "no reason given", status=status, headers=headers)

    def _make(
        self,
        kind: type[ModelError],
        model: str,
        reason: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        hint: str = "",
        **extra: str,
    ) -> ModelError:
        details: dict[str, Any] = {"provider": self._provider, "model": model, **extra}
        answered = ""
        if status is not None:
            details["status"] = status
            answered = f" (HTTP {status})"
        wait = retry_after_s(headers, self._clock.now_ms()) if headers else None
        hint = hint or self._hints.get(kind, "").replace("{model}", model)
        return kind(f"{self._provider}/{model}{answered}: {reason}", hint=hint, retry_after_s=wait, details=details)

    def _clean(self, text: str) -> str:
        """Providers quote what they were sent: take the credential out, keep the text short and on one line."""
        if self._key:
            text = text.replace(self._key.reveal(), "***")
        text = " ".join(REDACTOR.clean(text).split())
        return text if len(text) <= TEXT_LIMIT_CHARS else text[: TEXT_LIMIT_CHARS - 1] + "…"


def error_in(body: bytes) -> tuple[str, str] | None:
    """Return (code, text) of a JSON error body: {"error": {…}}, {"error": "…"} or {"detail": …}; None for any other."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    error = found.get("error") or found.get("detail") or found.get("message")
    return described(error) if error else None


def described(error: object) -> tuple[str, str]:
    """Return (code, text) of the error value itself. A specific code beats a general type."""
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else "unreadable error"
    code, kind = error.get("code"), error.get("type")
    known = next((str(name) for name in (code, kind) if isinstance(name, str) and name in _BY_CODE), None)
    text = error.get("message")
    return known or str(code or kind or ""), text if isinstance(text, str) else ""


def retry_after_s(headers: Mapping[str, str], now_ms: int) -> float | None:
    """Read `retry-after-ms` or `retry-after` (seconds or an HTTP date); None when absent or unreadable."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_ms / 1000)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


def _of_status(status: int) -> type[ModelError]:
    found = _BY_STATUS.get(status)
    if found is not None:
        return found
    if status >= 500:
        return ModelOverloaded
    return ModelBadRequest if status >= 400 else ModelProtocol


def _is_no_credit(text: str, status: int | None) -> bool:
    return status == 402 or _NO_CREDIT_TEXT.search(text) is not None
