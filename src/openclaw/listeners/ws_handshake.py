"""The WebSocket handshake of protocols 3 and 4, without I/O.

 1. The server speaks first: one `connect.challenge` with a fresh nonce.
 2. Silence for HANDSHAKE_TIMEOUT_MS closes with 1000. So does a first message that is binary or no JSON.
 3. A first frame that is no request closes with 1008 `invalid request frame`, without an answer.
 4. From here on every refusal is a `res` with ok:false, then a close whose reason is the same text, cut to 123 bytes.
 5. The first request must be `connect`; its parameters must fit the version that the client asks for. A client that
    speaks nothing newer than 3 is checked, and refused, in the shapes of 3; everybody else in those of 4.
 6. No common version closes with 1002. While the gateway starts or drains, 1013 and a time to try again.
 7. A role is `operator` or `node`.
 8. A browser client, or any client with an Origin header, needs an Origin that is ours; the operator UIs also a device.
 9. Neither credential nor device: NOT_PAIRED. A device alone is not evidence yet: pairing comes with device identity.
10. The credential decides. A `device` beside a valid shared credential is not verified yet, and so counts for nothing
    but rule 8 and rule 11.
11. Scopes are requested ∩ allowed. In protocol 4 they are kept only on direct loopback, for `cli`/`cli`,
    `gateway-client`/`backend` and clients with a device; in protocol 3 on direct loopback, and none asked means admin.
    All others are let in with no scope at all. A node needs a device in protocol 4 and never has scopes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

import msgspec

from openclaw.base.errors import OpenClawError, RateLimited
from openclaw.base.principal import Principal
from openclaw.identity.authenticate import Evidence, Role
from openclaw.identity.locality import Source
from openclaw.listeners.connect_params import BadConnect, Connect, client_info, evidence, parse_connect
from openclaw.listeners.origin import FOREIGN, MISSING
from openclaw.protocol.frames import BadFrame, Request, decode_request, encode_error, encode_event
from openclaw.protocol.limits import close_reason
from openclaw.protocol.versions import CURRENT, OLDEST, negotiate, shape_for
from openclaw.rpc.peer import ClientInfo

RETRY_AFTER_MS: Final = 1000

BROWSER_CLIENTS: Final = frozenset(("webchat", "webchat-ui", "openclaw-control-ui", "openclaw-browser-copilot"))
DEVICE_UIS: Final[dict[int, frozenset[str]]] = {
    3: frozenset(("openclaw-control-ui",)),
    4: frozenset(("openclaw-control-ui", "openclaw-tui")),
}
"""Operator UIs that must bring a device."""

DEVICELESS: Final = frozenset((("cli", "cli"), ("gateway-client", "backend")))
"""(client, mode) that keep their scopes with the shared credential alone."""

Phase = Literal["starting", "ready", "draining"]


class Authenticate(Protocol):
    """identity.Authenticator.connect."""

    def __call__(
        self, evidence: Evidence, source: Source, role: Role, scopes: tuple[str, ...], protocol: int
    ) -> Principal: ...


class Accepted(msgspec.Struct, frozen=True):
    """The client is in; answer `request_id` with hello-ok."""

    request_id: str
    protocol: int
    principal: Principal
    client: ClientInfo


class Refused(msgspec.Struct, frozen=True):
    """Send `frame`, if any, then close."""

    code: int
    reason: str
    frame: bytes | None = None


Outcome = Accepted | Refused
SILENCE: Final = Refused(1000, "")


class _Refusal(Exception):
    """Inside the table: stop here. `reason` is the close's, when it differs from the message."""

    def __init__(self, message: str, details: dict[str, Any] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.code = str(more.pop("code", "INVALID_REQUEST"))
        self.close_code = int(more.pop("close_code", 1008))
        self.more = more


class _Attempt:
    """What is known so far of one connect request."""

    __slots__ = ("handshake", "info", "params", "principal", "role", "shape", "version")

    def __init__(self, handshake: Handshake, params: Connect, shape: int) -> None:
        self.handshake = handshake
        self.params = params
        self.shape = shape
        self.version = shape
        self.role: Role = "operator"
        self.info = client_info(params, handshake.source.key)
        self.principal = Principal()

    @property
    def has_device(self) -> bool:
        return not isinstance(self.params.device, msgspec.UnsetType)


class Handshake:
    """One connection's handshake: `challenge` once, then `receive` once, or `SILENCE` when nothing came in time."""

    __slots__ = ("authenticate", "no_credential_needed", "nonce", "now_ms", "phase", "source")

    def __init__(
        self,
        nonce: str,
        now_ms: int,
        source: Source,
        authenticate: Authenticate,
        phase: Phase = "ready",
        no_credential_needed: bool = False,
    ) -> None:
        self.nonce = nonce
        self.now_ms = now_ms
        self.source = source
        self.authenticate = authenticate
        self.phase = phase
        self.no_credential_needed = no_credential_needed

    def challenge(self) -> bytes:
        """Return the first frame (rule 1)."""
        return encode_event("connect.challenge", {"nonce": self.nonce, "ts": self.now_ms})

    def receive(self, data: bytes, is_text: bool = True) -> Outcome:
        """Judge the first message."""
        if not is_text:
            return SILENCE
        try:
            request = decode_request(data)
        except BadFrame as bad:
            return Refused(1008, "invalid request frame") if bad.is_json else SILENCE
        shape = CURRENT
        try:
            if request.method != "connect":
                raise _Refusal("invalid handshake: first request must be connect")  # noqa: TRY301  # one exit for all
            raw = _decode(request)
            if isinstance(raw, dict):
                shape = shape_for(raw.get("minProtocol"), raw.get("maxProtocol"))
            attempt = _Attempt(self, parse_connect(raw, shape), shape)
            for check in CHECKS:
                check(attempt)
        except BadConnect as bad:
            return _refused(request.id, shape, _Refusal(f"invalid connect params: {bad}"))
        except _Refusal as refusal:
            return _refused(request.id, shape, refusal)
        return Accepted(request.id, attempt.version, attempt.principal, attempt.info)


def _decode(request: Request) -> Any:
    try:
        return msgspec.json.decode(request.params)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadConnect("must be valid JSON") from None


def _refused(request_id: str, shape: int, refusal: _Refusal) -> Refused:
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.details and (shape >= 4 or "expectedProtocol" in refusal.details):
        error["details"] = refusal.details
    error.update(refusal.more)
    return Refused(refusal.close_code, close_reason(refusal.message), encode_error(request_id, error))


def _check_version(attempt: _Attempt) -> None:
    low, high = attempt.params.min_protocol, attempt.params.max_protocol
    version = negotiate(low, high)
    if version is None:
        details = {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": low,
            "clientMaxProtocol": high,
            "expectedProtocol": CURRENT,
            "minimumProbeProtocol": OLDEST,
        }
        raise _Refusal("protocol mismatch", details, close_code=1002)
    attempt.version = version


def _check_phase(attempt: _Attempt) -> None:
    phase = attempt.handshake.phase
    if phase == "ready":
        return
    message = "gateway starting; retry shortly" if phase == "starting" else "gateway stopping; retry shortly"
    raise _Refusal(
        message,
        {"code": f"GATEWAY_{phase.upper()}"},
        code="UNAVAILABLE",
        close_code=1013,
        retryable=True,
        retryAfterMs=RETRY_AFTER_MS,
    )


def _check_role(attempt: _Attempt) -> None:
    role = attempt.params.role
    if role == "node":
        attempt.role = "node"
    elif not isinstance(role, msgspec.UnsetType) and role != "operator":
        raise _Refusal("invalid role")


def _check_origin(attempt: _Attempt) -> None:
    browser = attempt.handshake.source.browser
    is_browser_client = attempt.info.mode == "webchat" or attempt.info.id in BROWSER_CLIENTS
    if browser == "own" or (browser == "no" and not is_browser_client):
        return
    raise _Refusal(
        "origin not allowed "
        "(open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)",
        {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": MISSING if browser == "no" else FOREIGN},
    )


def _check_ui_device(attempt: _Attempt) -> None:
    if attempt.has_device or attempt.info.id not in DEVICE_UIS[attempt.version]:
        return
    if attempt.shape < 4:
        raise _Refusal("control ui requires HTTPS or localhost (secure context)")
    raise _Refusal(
        "control ui requires device identity (use HTTPS or localhost secure context)",
        {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
    )


def _check_credential(attempt: _Attempt) -> None:
    handshake = attempt.handshake
    found = evidence(attempt.params)
    if not found.given and not handshake.no_credential_needed:
        _refuse_unpaired()
    try:
        attempt.principal = handshake.authenticate(
            found, handshake.source, attempt.role, _kept_scopes(attempt), attempt.version
        )
    except RateLimited as error:
        wait_ms = int((error.retry_after_s or 0) * 1000)
        raise _Refusal(error.message, error.details, retryable=True, retryAfterMs=wait_ms) from None
    except OpenClawError as error:
        raise _Refusal(error.message, error.details) from None


def _check_node_device(attempt: _Attempt) -> None:
    if attempt.role == "node" and attempt.version >= 4 and not attempt.has_device:
        _refuse_unpaired()


def _refuse_unpaired() -> None:
    raise _Refusal("device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"}, code="NOT_PAIRED")


def _kept_scopes(attempt: _Attempt) -> tuple[str, ...]:
    """Apply rule 11 to what was asked."""
    asked = attempt.params.scopes
    scopes = () if isinstance(asked, msgspec.UnsetType) else asked
    if attempt.role == "node" or not attempt.handshake.source.direct:
        return ()
    if attempt.version < 4:
        return scopes or ("operator.admin",)
    if attempt.has_device or (attempt.info.id, attempt.info.mode) in DEVICELESS:
        return scopes
    return ()


CHECKS: Final[tuple[Callable[[_Attempt], None], ...]] = (
    _check_version,
    _check_role,
    _check_origin,
    _check_phase,
    _check_ui_device,
    _check_credential,
    _check_node_device,
)
"""The table: in this order, the first that refuses wins."""
