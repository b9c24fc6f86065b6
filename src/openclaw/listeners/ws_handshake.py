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
 9. Neither credential nor device: NOT_PAIRED. A node brings a device, but for protocol 3 on direct loopback.
10. A device that is there proves its key before anything else is looked at; see identity.devices.proof. A wrong
    signature counts as a wrong credential.
11. Then the credential decides: the shared one, or what a proven device has of its own (its token, a setup code). Where
    the message has none, the one that the upgrade itself brought.
12. Without a device, scopes are requested ∩ allowed on direct loopback: in protocol 4 for `cli`/`cli` and
    `gateway-client`/`backend` only, in protocol 3 for everybody, and none asked means admin. All others are let in with
    no scope at all. A node never has scopes.
13. A device has what was approved for it. With the shared credential on direct loopback it is paired, or given another
    role or more scopes, without asking; with a setup code it is paired with what the code holds. Everything else, and
    always a device that has become another kind of machine, waits for `device.pair.approve`: NOT_PAIRED. More scopes
    than its token opens: AUTH_SCOPE_MISMATCH.
    "Direct" leaves out pages of other origins, also those that the configuration allows. Our own page is paired by the
    token that a person has typed into it: that is the confirmation, and nobody else is there who could give one.
14. Whom somebody else vouches for (identity.federated) has the scopes of their roles, with a device or without. The
    device is not paired by it, and is given no token: it would open the gateway as the operator's.
15. What pairs or asks is durable before it is answered: the machine returns `Waits`, and `resume` says how it ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Literal, NoReturn, Protocol, TypeAlias, TypeVar

import msgspec

from openclaw.base.errors import OpenClawError, RateLimited, Unavailable
from openclaw.base.principal import Principal
from openclaw.identity.authenticate import RENEWED, Evidence
from openclaw.identity.devices.proof import BadProof, prove
from openclaw.identity.devices.record import Ask, Device, Issued, PairingRequest, Reason, SetupCode, lacking
from openclaw.identity.federated.federation import FEDERATED
from openclaw.identity.locality import NOT_ALLOWED, Source
from openclaw.identity.scopes import KNOWN, Role
from openclaw.listeners.connect_params import BadConnect, Connect, ask, claim, client_info, evidence, parse_connect
from openclaw.listeners.origin import FOREIGN, MISSING
from openclaw.protocol.frames import BadFrame, Request, decode_request, encode_error, encode_event
from openclaw.protocol.limits import CUT, close_reason
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
T = TypeVar("T")


class Authenticate(Protocol):
    """identity.Authenticator."""

    @property
    def mode(self) -> str: ...

    def stands(self, principal: Principal) -> bool: ...

    def vouches(self, evidence: Evidence, source: Source) -> bool: ...

    def wants(self, source: Source, given: str = "") -> bool: ...

    async def prepare(self, source: Source, given: str = "") -> None: ...

    def arrived(self, principal: Principal, source: Source) -> None: ...

    def left_s(self, principal: Principal) -> float | None: ...

    def connect(
        self,
        evidence: Evidence,
        source: Source,
        role: Role,
        scopes: tuple[str, ...],
        protocol: int,
        device_id: str = "",
    ) -> Principal: ...

    def forged(self, source: Source) -> None: ...


class DeviceBook(Protocol):
    """identity.devices.book.Devices."""

    def get(self, device_id: str) -> Device | None: ...

    def open_token(self, device_id: str, role: Role) -> Issued | None: ...

    def setup_of(self, candidate: str, role: Role) -> SetupCode | None: ...

    def used(self, device_id: str, role: Role) -> None: ...

    async def pair(self, ask: Ask) -> Issued: ...

    async def renew(self, device_id: str, role: Role) -> Issued: ...

    async def redeem(self, setup_id: str, ask: Ask) -> tuple[Issued, ...]: ...

    async def request(self, ask: Ask, reason: Reason) -> PairingRequest: ...


class Accepted(msgspec.Struct, frozen=True):
    """The client is in; answer `request_id` with hello-ok. `issued` are its device's tokens, that of its role first."""

    request_id: str
    protocol: int
    principal: Principal
    client: ClientInfo
    issued: tuple[Issued, ...] = ()


class Refused(msgspec.Struct, frozen=True):
    """Send `frame`, if any, then close."""

    code: int
    reason: str
    frame: bytes | None = None


Written: TypeAlias = Issued | tuple[Issued, ...] | PairingRequest
Work: TypeAlias = Callable[[], Awaitable[Written]]


class Waits(msgspec.Struct, frozen=True):
    """Await `work()`, then hand what it returns or raises to `Handshake.resume`."""

    request_id: str
    attempt: Any
    work: Work


Outcome = Accepted | Refused
SILENCE: Final = Refused(1000, "")


class _Refusal(Exception):
    """Inside the table: stop here. `reason` is the close's, when it differs; `old_details` are protocol 3's."""

    def __init__(self, message: str, details: dict[str, Any] | None = None, **more: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.code = str(more.pop("code", "INVALID_REQUEST"))
        self.close_code = int(more.pop("close_code", 1008))
        self.reason = str(more.pop("reason", message))
        self.old_details: dict[str, Any] | None = more.pop("old_details", None)
        self.more = more


class _Attempt:
    """What is known so far of one connect request."""

    __slots__ = (
        "ask",
        "handshake",
        "info",
        "issued",
        "params",
        "principal",
        "reason",
        "role",
        "shape",
        "version",
        "work",
    )

    def __init__(self, handshake: Handshake, params: Connect, shape: int) -> None:
        self.handshake = handshake
        self.params = params
        self.shape = shape
        self.version = shape
        self.role: Role = "operator"
        self.info = client_info(params, handshake.source.key)
        self.principal = Principal()
        self.ask: Ask | None = None
        """What a device asks for, once it has proved its key."""
        self.reason: Reason | None = None
        self.issued: tuple[Issued, ...] = ()
        self.work: Work | None = None

    @property
    def has_device(self) -> bool:
        return not isinstance(self.params.device, msgspec.UnsetType)

    def accepted(self, request_id: str) -> Accepted:
        return Accepted(request_id, self.version, self.principal, self.info, self.issued)


class Handshake:
    """One connection's handshake: `challenge` once, then `receive` once, or `SILENCE` when nothing came in time."""

    __slots__ = ("authenticator", "brought", "devices", "nonce", "now_ms", "phase", "source")

    def __init__(
        self,
        nonce: str,
        now_ms: int,
        source: Source,
        authenticator: Authenticate,
        devices: DeviceBook,
        phase: Phase = "ready",
        brought: str = "",
    ) -> None:
        self.nonce = nonce
        self.now_ms = now_ms
        self.source = source
        self.authenticator = authenticator
        self.devices = devices
        self.phase = phase
        self.brought = brought

    def challenge(self) -> bytes:
        """Return the first frame (rule 1)."""
        return encode_event("connect.challenge", {"nonce": self.nonce, "ts": self.now_ms})

    def wants(self, data: bytes) -> str | None:
        """Return the token of a first message that cannot be judged yet: a key has to be fetched. None for all others.

        What the upgrade brought counts as well as what the message says; the token is "" then.
        """
        try:
            given = _given.decode(data).params.auth.token
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return given if self.authenticator.wants(self.source, given) else None

    def receive(self, data: bytes, is_text: bool = True) -> Outcome | Waits:
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
        if attempt.work is not None:
            return Waits(request.id, attempt, attempt.work)
        return attempt.accepted(request.id)

    def resume(self, waits: Waits, written: Written | OpenClawError) -> Outcome:
        """Say how a handshake ends that had to wait."""
        attempt: _Attempt = waits.attempt
        if isinstance(written, PairingRequest):
            return _refused(waits.request_id, attempt.shape, _pairing_required(attempt, written))
        if isinstance(written, OpenClawError):
            return _refused(waits.request_id, attempt.shape, _not_written(written))
        if not self.authenticator.stands(attempt.principal):
            return Refused(CUT, RENEWED)  # the credential that it came by is no more
        attempt.issued = (written,) if isinstance(written, Issued) else written
        return attempt.accepted(waits.request_id)


class _GivenAuth(msgspec.Struct):
    token: str = ""

    def __repr__(self) -> str:
        return "_GivenAuth(***)"


class _GivenParams(msgspec.Struct):
    auth: _GivenAuth = msgspec.field(default_factory=_GivenAuth)


class _Given(msgspec.Struct):
    params: _GivenParams = msgspec.field(default_factory=_GivenParams)


_given: Final = msgspec.json.Decoder(_Given)
"""Of a connect request, its token alone; the whole is parsed when it is judged."""


def _decode(request: Request) -> Any:
    try:
        return msgspec.json.decode(request.params)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadConnect("must be valid JSON") from None


def _refused(request_id: str, shape: int, refusal: _Refusal) -> Refused:
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    details = refusal.details if shape >= 4 else refusal.old_details
    if details:
        error["details"] = details
    error.update(refusal.more)
    return Refused(refusal.close_code, close_reason(refusal.reason), encode_error(request_id, error))


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
    if browser in ("own", "allowed") or (browser == "no" and not is_browser_client):
        return
    raise _Refusal(
        NOT_ALLOWED,
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


def _check_device(attempt: _Attempt) -> None:
    handshake = attempt.handshake
    found = claim(attempt.params, attempt.role)
    if found is None:
        return
    try:
        prove(
            found,
            nonce=handshake.nonce,
            now_ms=handshake.now_ms,
            protocol=attempt.version,
            local=handshake.source.local,
        )
    except BadProof as bad:
        if bad.forged:
            _refusing(partial(handshake.authenticator.forged, handshake.source))
        raise _Refusal(bad.message, bad.details) from None
    attempt.ask = ask(attempt.params, attempt.role, _asked(attempt), handshake.source.key)


def _check_credential(attempt: _Attempt) -> None:
    handshake = attempt.handshake
    found = evidence(attempt.params)
    if not found.given and handshake.brought:
        found = Evidence(token=handshake.brought, password=handshake.brought)
    vouched = handshake.authenticator.vouches(found, handshake.source)
    if not found.given and attempt.ask is None and handshake.authenticator.mode != "none" and not vouched:
        _refuse_unpaired()
    device_id = attempt.ask.device_id if attempt.ask else ""
    attempt.principal = _refusing(
        partial(
            handshake.authenticator.connect,
            found,
            handshake.source,
            attempt.role,
            _asked(attempt) if vouched else _kept_scopes(attempt),
            attempt.version,
            device_id,
        )
    )


def _refusing(decide: Callable[[], T]) -> T:
    """Return what the authenticator says, or refuse in its words."""
    try:
        return decide()
    except RateLimited as error:
        wait_ms = int((error.retry_after_s or 0) * 1000)
        raise _Refusal(error.message, error.details, retryable=True, retryAfterMs=wait_ms) from None
    except Unavailable as error:
        raise _not_written(error) from None
    except OpenClawError as error:
        raise _Refusal(error.message, error.details) from None


def _check_node_device(attempt: _Attempt) -> None:
    if attempt.role == "node" and attempt.ask is None and (attempt.version >= 4 or not attempt.handshake.source.near):
        _refuse_unpaired()


def _refuse_unpaired() -> NoReturn:
    raise _Refusal("device identity required", {"code": "DEVICE_IDENTITY_REQUIRED"}, code="NOT_PAIRED")


def _asked(attempt: _Attempt) -> tuple[str, ...]:
    """Return the scopes that a request names, or means by naming none."""
    scopes = attempt.params.scopes
    if attempt.role == "node":
        return ()
    if not isinstance(scopes, msgspec.UnsetType) and scopes:
        return tuple(dict.fromkeys(scope for scope in scopes if scope in KNOWN))
    return ("operator.admin",) if attempt.version < 4 else ()


def _kept_scopes(attempt: _Attempt) -> tuple[str, ...]:
    """Apply rule 12 to what was asked."""
    if attempt.ask is not None:
        return attempt.ask.scopes
    near = attempt.handshake.source.near
    if near and (attempt.version < 4 or (attempt.info.id, attempt.info.mode) in DEVICELESS):
        return _asked(attempt)
    return ()


def _check_pairing(attempt: _Attempt) -> None:
    """Apply rule 13."""
    wanted, devices = attempt.ask, attempt.handshake.devices
    if wanted is None:
        return
    method, near = attempt.principal.method, attempt.handshake.source.near
    if method in FEDERATED:
        return
    attempt.reason = lacking(devices.get(wanted.device_id), wanted)
    if method == "bootstrap-token":
        setup = devices.setup_of(evidence(attempt.params).bootstrap_token or "", attempt.role)
        if setup is None:
            _refuse_unpaired()
        allowed = tuple(scope for scope in wanted.scopes if scope in attempt.principal.scopes)
        attempt.work = partial(devices.redeem, setup.setup_id, msgspec.structs.replace(wanted, scopes=allowed))
    elif attempt.reason is None:
        issued = _refusing(partial(devices.open_token, wanted.device_id, attempt.role))
        attempt.issued = (issued,) if issued is not None else ()
        if issued is None and near:
            attempt.work = partial(devices.renew, wanted.device_id, attempt.role)
    elif method != "device-token" and near and attempt.reason != "metadata-upgrade":
        attempt.work = partial(devices.pair, wanted)
    else:
        attempt.work = partial(devices.request, wanted, attempt.reason)


_REQUIREMENT: Final[dict[Reason, tuple[str, str]]] = {
    "not-paired": ("device is not approved yet", "Approve the device on the gateway: `openclaw devices approve`."),
    "role-upgrade": (
        "device is asking for a higher role than currently approved",
        "Approve the new role on the gateway: `openclaw devices approve`.",
    ),
    "scope-upgrade": (
        "device is asking for more scopes than currently approved",
        "Ask for fewer scopes, or approve these on the gateway: `openclaw devices approve`.",
    ),
    "metadata-upgrade": (
        "device identity changed and must be re-approved",
        "Look at what has changed, then approve the device on the gateway: `openclaw devices approve`.",
    ),
}
"""Reason → (what clients read after `pairing required: `, what to do)."""


def _pairing_required(attempt: _Attempt, request: PairingRequest) -> _Refusal:
    requirement, hint = _REQUIREMENT[request.reason]
    message = f"pairing required: {requirement}" if attempt.shape >= 4 else "pairing required"
    details: dict[str, Any] = {
        "code": "PAIRING_REQUIRED",
        "reason": request.reason,
        "requestId": request.request_id,
        "remediationHint": hint,
        "deviceId": request.ask.device_id,
        "requestedRole": request.ask.role,
        "requestedScopes": list(request.ask.scopes),
    }
    device = attempt.handshake.devices.get(request.ask.device_id)
    if device is not None:
        details["approvedRoles"] = sorted(device.approved)
        details["approvedScopes"] = sorted({scope for scopes in device.approved.values() for scope in scopes})
    return _Refusal(
        message,
        details,
        code="NOT_PAIRED",
        reason=f"{message} (requestId: {request.request_id})" if attempt.shape >= 4 else message,
        old_details={"requestId": request.request_id},
    )


def _not_written(error: OpenClawError) -> _Refusal:
    """The device could not be kept, or what it relied on was taken away meanwhile."""
    if isinstance(error, Unavailable):
        wait_ms = int((error.retry_after_s or 1) * 1000)
        return _Refusal(error.message, code="UNAVAILABLE", close_code=1013, retryable=True, retryAfterMs=wait_ms)
    return _Refusal(f"pairing failed: {error.message}", {"code": "PAIRING_REQUIRED"}, code="NOT_PAIRED")


CHECKS: Final[tuple[Callable[[_Attempt], None], ...]] = (
    _check_version,
    _check_role,
    _check_origin,
    _check_phase,
    _check_ui_device,
    _check_device,
    _check_credential,
    _check_node_device,
    _check_pairing,
)
"""The table: in this order, the first that refuses wins."""
