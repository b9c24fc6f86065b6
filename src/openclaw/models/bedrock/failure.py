"""From AWS' exceptions, in an answer's head or in the middle of a stream, to our typed errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from openclaw.base.errors import ModelAuth, ModelError
from openclaw.models.transport.failure import Failures

_CODES: dict[str, str] = {
    "AccessDeniedException": "permission_error",
    "UnauthorizedException": "authentication_error",
    "UnrecognizedClientException": "authentication_error",
    "InvalidSignatureException": "authentication_error",
    "SignatureDoesNotMatch": "authentication_error",
    "IncompleteSignature": "authentication_error",
    "IncompleteSignatureException": "authentication_error",
    "MissingAuthenticationToken": "authentication_error",
    "MissingAuthenticationTokenException": "authentication_error",
    "InvalidClientTokenId": "authentication_error",
    "ExpiredToken": "authentication_error",
    "ExpiredTokenException": "authentication_error",
    "RequestExpired": "authentication_error",
    "OptInRequired": "permission_error",
    "ResourceNotFoundException": "not_found_error",
    "ThrottlingException": "rate_limit_error",
    "TooManyRequestsException": "rate_limit_error",
    "ServiceQuotaExceededException": "rate_limit_error",
    "ModelNotReadyException": "overloaded_error",
    "ModelErrorException": "api_error",
    "ModelStreamErrorException": "api_error",
    "ModelTimeoutException": "timeout_error",
    "InternalServerException": "api_error",
    "InternalFailure": "api_error",
    "ServiceUnavailableException": "overloaded_error",
    "ServiceUnavailable": "overloaded_error",
    "ValidationException": "invalid_request_error",
    "ConflictException": "invalid_request_error",
}
"""AWS' names to the ones that models.failure knows."""

STALE_CREDENTIAL = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId"}
)
"""Errors after which the credential is looked up anew."""

_OVERFLOW = re.compile(r"input is too long|too many total text bytes|exceeds? the (maximum|max) (input|context)", re.I)
_NO_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput isn.t supported|model version has reached the end of its life",
    re.I,
)
_FILTERED = re.compile(r"content filter(ing)? policy|blocked by guardrail", re.I)
_SIGNATURE_TEXT = re.compile(r"\s*The Canonical String.*", re.S)
_HINT = "Check the AWS credential, its region, and that the account has access to the model."


class AwsFailures:
    """Makes the errors of one Bedrock provider."""

    __slots__ = ("plain",)

    def __init__(self, plain: Failures) -> None:
        self.plain = plain

    def answer(self, model: str, status: int, headers: Mapping[str, str], body: bytes) -> tuple[ModelError, str]:
        """Map an answer whose status is not 200; return AWS' own name of the error too, "" when it has none."""
        name, text = _named(headers, body)
        if not name and not text:
            return self.plain.http(model, status, headers, body), ""
        return self._told(model, name, text, status, headers), name

    def event(self, model: str, name: str, payload: bytes) -> ModelError:
        """Map an exception that came as a message of a stream. Shape: `name` as the stream has it (camelCase)."""
        name = name[:1].upper() + name[1:]
        found = _object(payload)
        text = " ".join(str(found[key]) for key in ("message", "originalMessage") if found.get(key))
        # "Too many tokens" is told of quotas too: only the status says that it is not the context's size.
        status = 429 if _CODES.get(name) == "rate_limit_error" else None
        return self._told(model, name, text, status, None)

    def protocol(self, model: str, reason: str) -> ModelError:
        """Say that Bedrock broke its own wire format."""
        return self.plain.protocol(model, reason)

    def _told(
        self, model: str, name: str, text: str, status: int | None, headers: Mapping[str, str] | None
    ) -> ModelError:
        code = _CODES.get(name, name)
        if code == "invalid_request_error" or not code:
            code = _of_text(text) or code
        # What AWS wanted to see signed holds the session token.
        error = self.plain.told(model, code, _SIGNATURE_TEXT.sub("", text) or name, status=status, headers=headers)
        if name:
            error.details["awsError"] = name[:100]
        if isinstance(error, ModelAuth):
            error.hint = _HINT
        return error


def _of_text(text: str) -> str:
    if _OVERFLOW.search(text):
        return "context_length_exceeded"
    if _NO_MODEL.search(text):
        return "not_found_error"
    return "content_filter" if _FILTERED.search(text) else ""


def _named(headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    found = _object(body)
    kind = headers.get("x-amzn-errortype") or found.get("__type") or found.get("code") or ""
    text = found.get("message") or found.get("Message") or ""
    name = str(kind).partition(":")[0].rpartition("#")[2].strip()
    return name, text if isinstance(text, str) else ""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
