from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.secret import Secret
from openclaw.identity.locality import Browser, Source
from openclaw.listeners.ws_handshake import Accepted, Handshake, Outcome, Phase, Refused, Waits, Written
from openclaw.protocol.device_auth import encode_base64url
from tests.fakes.devices import no_devices
from tests.listeners.device import sign
from tests.listeners.fakes import TOKEN, authenticator

ALL = ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"]
LOCAL = Source("127.0.0.1", True)
REMOTE = Source("9.9.9.9", False)
DEVICE = {"id": "signed"}
"""Stands for a device that signs the request as a whole."""
ORIGIN = (
    "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)"
)
MISMATCH = "unauthorized: gateway token mismatch (provide gateway auth token)"


def browser(kind: Browser) -> Source:
    return Source("127.0.0.1", True, True, kind)


def params(version: int = 4, client: str = "cli/cli", **changes: Any) -> dict[str, Any]:
    client_id, _, mode = client.partition("/")
    body: dict[str, Any] = {
        "minProtocol": version,
        "maxProtocol": version,
        "client": {"id": client_id, "version": "1", "platform": "linux", "mode": mode},
        "auth": {"token": TOKEN},
        "role": "operator",
        "scopes": ALL,
    }
    body.update(changes)
    return {key: value for key, value in body.items() if value is not None}


def machine_for(source: Source, phase: Phase = "ready", mode: str = "token", **limits: int) -> Handshake:
    clock = ManualClock()
    book = no_devices(clock)
    return Handshake("nonce", clock.now_ms(), source, authenticator(clock, mode, book, **limits), book, phase)


def run(
    first: Any, source: Source = LOCAL, *, phase: Phase = "ready", mode: str = "token", is_text: bool = True
) -> Outcome:
    machine = machine_for(source, phase, mode)
    data = first if isinstance(first, bytes) else json.dumps(first).encode()
    return settled(machine, machine.receive(data, is_text))


def settled(machine: Handshake, outcome: Outcome | Waits) -> Outcome:
    """Do what a handshake waits for, and return how it ends."""
    return machine.resume(outcome, asyncio.run(_done(outcome))) if isinstance(outcome, Waits) else outcome


async def _done(waits: Waits) -> Written:
    return await waits.work()


def connect(body: dict[str, Any], source: Source = LOCAL, **options: Any) -> Outcome:
    if body.get("device") is DEVICE:
        body = sign(body, "nonce", ManualClock().now_ms(), version="v3" if body["maxProtocol"] > 3 else "v2")
    return run({"type": "req", "id": "c1", "method": "connect", "params": body}, source, **options)


def error_of(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Refused)
    assert outcome.frame is not None
    frame = json.loads(outcome.frame)
    assert (frame["type"], frame["id"], frame["ok"]) == ("res", "c1", False)
    error: dict[str, Any] = frame["error"]
    assert error["message"].encode()[:123].decode(errors="ignore") == outcome.reason
    return error


def test_the_challenge_is_an_event_with_nonce_and_time() -> None:
    machine = machine_for(LOCAL)
    assert json.loads(machine.challenge()) == {
        "type": "event",
        "event": "connect.challenge",
        "payload": {"nonce": "nonce", "ts": machine.now_ms},
    }


ACCEPTED = [
    # client, version, source, changes, scopes
    ("gateway-client/backend", 4, LOCAL, {}, ALL),
    ("cli/cli", 4, LOCAL, {}, ALL),
    ("cli/probe", 4, LOCAL, {}, []),
    ("test/test", 4, LOCAL, {}, []),
    ("cli/cli", 4, LOCAL, {"scopes": ["operator.read"]}, ["operator.read"]),
    ("cli/cli", 4, LOCAL, {"scopes": None}, []),
    ("cli/cli", 4, LOCAL, {"scopes": ["operator.read", "operator.root"]}, ["operator.read"]),
    ("cli/cli", 4, LOCAL, {"device": DEVICE}, ALL),
    ("openclaw-tui/ui", 4, LOCAL, {"device": DEVICE}, ALL),
    ("cli/cli", 4, REMOTE, {}, []),
    ("cli/cli", 4, LOCAL, {"auth": {"password": TOKEN}}, ALL),
    ("cli/cli", 4, LOCAL, {"minProtocol": 3}, ALL),
    ("openclaw-control-ui/webchat", 4, browser("own"), {"device": DEVICE}, ALL),
    ("node-host/node", 4, LOCAL, {"role": "node", "device": DEVICE, "commands": ["x"], "caps": ["y"]}, []),
    ("gateway-client/backend", 3, LOCAL, {}, ALL),
    ("cli/cli", 3, LOCAL, {}, ALL),
    ("cli/probe", 3, LOCAL, {}, ALL),
    ("test/test", 3, LOCAL, {}, ALL),
    ("cli/cli", 3, LOCAL, {"scopes": None}, ["operator.admin"]),
    ("cli/cli", 3, LOCAL, {"device": DEVICE}, ALL),
    ("cli/cli", 3, LOCAL, {"role": "node"}, []),
    ("cli/cli", 3, REMOTE, {}, []),
]


@pytest.mark.parametrize(("client", "version", "source", "changes", "scopes"), ACCEPTED)
def test_who_is_let_in_and_with_which_scopes(
    client: str, version: int, source: Source, changes: dict[str, Any], scopes: list[str]
) -> None:
    outcome = connect(params(version, client, **changes), source)
    assert isinstance(outcome, Accepted), outcome
    assert outcome.request_id == "c1"
    assert outcome.protocol == version
    assert outcome.principal.scopes == frozenset(scopes)
    assert outcome.client.id == client.partition("/")[0]


AUTH_DETAILS = {
    "code": "AUTH_TOKEN_MISMATCH",
    "authReason": "token_mismatch",
    "canRetryWithDeviceToken": False,
    "recommendedNextStep": "update_auth_credentials",
}
NO_TOKEN = "unauthorized: gateway token missing (provide gateway auth token)"
NO_TOKEN_DETAILS = {
    **AUTH_DETAILS,
    "code": "AUTH_TOKEN_MISSING",
    "authReason": "token_missing",
    "recommendedNextStep": "update_auth_configuration",
}
MISSING = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": "origin missing or invalid"}
FOREIGN = {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": "origin not allowed"}
NO_DEVICE = {"code": "DEVICE_IDENTITY_REQUIRED"}
UI_DEVICE = "control ui requires device identity (use HTTPS or localhost secure context)"
BAD_ID_3 = "at /client/id: must be equal to constant; at /client/id: must match a schema in anyOf"
BAD_MODE_3 = "at /client/mode: must be equal to constant; at /client/mode: must match a schema in anyOf"
BAD_ID_4 = "at /client/id: must be equal to one of the allowed values"
BAD_MODE_4 = "at /client/mode: must be equal to one of the allowed values"
BOOTSTRAP = (
    "unauthorized: setup code invalid, expired, revoked, or already used "
    "(create a new code; review `openclaw devices list`)"
)

REFUSED: list[tuple[str, int, Source, dict[str, Any], str, str, dict[str, Any] | None, int]] = [
    # client, version, source, changes, code, message, details, close
    ("webchat/webchat", 4, LOCAL, {}, "INVALID_REQUEST", ORIGIN, MISSING, 1008),
    ("webchat-ui/webchat", 4, LOCAL, {}, "INVALID_REQUEST", ORIGIN, MISSING, 1008),
    ("openclaw-control-ui/webchat", 4, LOCAL, {}, "INVALID_REQUEST", ORIGIN, MISSING, 1008),
    (
        "openclaw-control-ui/webchat",
        4,
        browser("foreign"),
        {"device": DEVICE},
        "INVALID_REQUEST",
        ORIGIN,
        FOREIGN,
        1008,
    ),
    ("cli/cli", 4, browser("foreign"), {}, "INVALID_REQUEST", ORIGIN, FOREIGN, 1008),
    ("webchat/webchat", 3, LOCAL, {}, "INVALID_REQUEST", ORIGIN, None, 1008),
    (
        "openclaw-control-ui/webchat",
        4,
        browser("own"),
        {},
        "INVALID_REQUEST",
        UI_DEVICE,
        {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
        1008,
    ),
    (
        "openclaw-control-ui/webchat",
        3,
        browser("own"),
        {},
        "INVALID_REQUEST",
        "control ui requires HTTPS or localhost (secure context)",
        None,
        1008,
    ),
    (
        "openclaw-tui/ui",
        4,
        LOCAL,
        {},
        "INVALID_REQUEST",
        UI_DEVICE,
        {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"},
        1008,
    ),
    ("openclaw-tui/ui", 3, LOCAL, {}, "INVALID_REQUEST", f"invalid connect params: {BAD_ID_3}", None, 1008),
    ("nobody/cli", 3, LOCAL, {}, "INVALID_REQUEST", f"invalid connect params: {BAD_ID_3}", None, 1008),
    ("cli/zz", 3, LOCAL, {}, "INVALID_REQUEST", f"invalid connect params: {BAD_MODE_3}", None, 1008),
    ("nobody/cli", 4, LOCAL, {}, "INVALID_REQUEST", f"invalid connect params: {BAD_ID_4}", None, 1008),
    ("cli/zz", 4, LOCAL, {}, "INVALID_REQUEST", f"invalid connect params: {BAD_MODE_4}", None, 1008),
    ("node-host/node", 4, LOCAL, {"role": "node"}, "NOT_PAIRED", "device identity required", NO_DEVICE, 1008),
    ("cli/cli", 4, LOCAL, {"auth": {"token": "no"}}, "INVALID_REQUEST", MISMATCH, AUTH_DETAILS, 1008),
    ("cli/cli", 4, LOCAL, {"auth": {"password": "no"}}, "INVALID_REQUEST", MISMATCH, AUTH_DETAILS, 1008),
    ("cli/cli", 3, LOCAL, {"auth": {"token": "no"}}, "INVALID_REQUEST", MISMATCH, None, 1008),
    (
        "cli/cli",
        3,
        LOCAL,
        {"auth": {"password": TOKEN}},
        "INVALID_REQUEST",
        "unauthorized: gateway token missing (provide gateway auth token)",
        None,
        1008,
    ),
    ("cli/cli", 4, LOCAL, {"auth": None}, "NOT_PAIRED", "device identity required", NO_DEVICE, 1008),
    ("cli/cli", 4, LOCAL, {"auth": {"token": ""}}, "NOT_PAIRED", "device identity required", NO_DEVICE, 1008),
    ("cli/cli", 4, LOCAL, {"auth": None, "device": DEVICE}, "INVALID_REQUEST", NO_TOKEN, NO_TOKEN_DETAILS, 1008),
    ("node-host/node", 3, REMOTE, {"role": "node"}, "NOT_PAIRED", "device identity required", None, 1008),
    ("cli/cli", 3, LOCAL, {"auth": None}, "NOT_PAIRED", "device identity required", None, 1008),
    (
        "cli/cli",
        4,
        LOCAL,
        {"auth": {"deviceToken": "x"}},
        "INVALID_REQUEST",
        "unauthorized: device token mismatch (rotate/reissue device token)",
        {**AUTH_DETAILS, "code": "AUTH_DEVICE_TOKEN_MISMATCH", "authReason": "device_token_mismatch"},
        1008,
    ),
    (
        "cli/cli",
        4,
        LOCAL,
        {"auth": {"bootstrapToken": "x"}},
        "INVALID_REQUEST",
        BOOTSTRAP,
        {
            "code": "AUTH_BOOTSTRAP_TOKEN_INVALID",
            "authReason": "bootstrap_token_invalid",
            "canRetryWithDeviceToken": False,
            "recommendedNextStep": "review_auth_configuration",
        },
        1008,
    ),
    (
        "cli/cli",
        3,
        LOCAL,
        {"auth": {"deviceToken": "x"}},
        "INVALID_REQUEST",
        "invalid connect params: at /auth: unexpected property 'deviceToken'",
        None,
        1008,
    ),
    (
        "cli/cli",
        4,
        LOCAL,
        {"device": {"id": "d", "publicKey": "k", "signature": "s", "signedAt": 1}},
        "INVALID_REQUEST",
        "invalid connect params: at /device: must have required property 'nonce'",
        None,
        1008,
    ),
    ("cli/cli", 4, LOCAL, {"role": "king"}, "INVALID_REQUEST", "invalid role", None, 1008),
    ("cli/cli", 3, LOCAL, {"role": "king"}, "INVALID_REQUEST", "invalid role", None, 1008),
    (
        "cli/cli",
        4,
        LOCAL,
        {"bogus": 1},
        "INVALID_REQUEST",
        "invalid connect params: at root: unexpected property 'bogus'",
        None,
        1008,
    ),
]


@pytest.mark.parametrize(("client", "version", "source", "changes", "code", "message", "details", "close"), REFUSED)
def test_who_is_refused_and_in_which_words(
    client: str,
    version: int,
    source: Source,
    changes: dict[str, Any],
    code: str,
    message: str,
    details: dict[str, Any] | None,
    close: int,
) -> None:
    outcome = connect(params(version, client, **changes), source)
    error = error_of(outcome)
    assert (error["code"], error["message"], error.get("details")) == (code, message, details)
    assert isinstance(outcome, Refused)
    assert outcome.code == close


@pytest.mark.parametrize(("low", "high"), [(1, 1), (99, 99), (5, 9)])
def test_no_common_version_closes_with_1002(low: int, high: int) -> None:
    outcome = connect(params(minProtocol=low, maxProtocol=high))
    assert error_of(outcome) == {
        "code": "INVALID_REQUEST",
        "message": "protocol mismatch",
        "details": {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": low,
            "clientMaxProtocol": high,
            "expectedProtocol": 4,
            "minimumProbeProtocol": 3,
        },
    }
    assert isinstance(outcome, Refused)
    assert outcome.code == 1002


def test_no_parameters_name_the_first_thing_missing() -> None:
    assert error_of(connect({}))["message"] == "invalid connect params: must have required property 'minProtocol'"


def test_protocol_3_names_everything_missing() -> None:
    error = error_of(connect({"minProtocol": 3, "maxProtocol": 3, "x": 1}))
    assert error["message"] == (
        "invalid connect params: must have required property 'client'; at root: unexpected property 'x'"
    )


@pytest.mark.parametrize(("phase", "word"), [("starting", "starting"), ("draining", "stopping")])
def test_a_gateway_that_is_not_ready_asks_to_come_back(phase: Phase, word: str) -> None:
    outcome = connect(params(), phase=phase)
    error = error_of(outcome)
    assert (error["code"], error["retryable"], error["retryAfterMs"]) == ("UNAVAILABLE", True, 1000)
    assert word in error["message"]
    assert isinstance(outcome, Refused)
    assert outcome.code == 1013


def test_mode_none_needs_no_credential_here_and_none_helps_elsewhere() -> None:
    accepted = connect(params(auth=None), mode="none")
    assert isinstance(accepted, Accepted)
    assert accepted.principal.method == "none"
    assert error_of(connect(params(auth=None), REMOTE, mode="none"))["details"]["code"] == "AUTH_UNAUTHORIZED"


def test_too_many_guesses_say_when_to_come_back() -> None:
    machine = machine_for(REMOTE, max_attempts=2)
    outcomes: list[Outcome] = []
    for _ in range(3):
        body = {"type": "req", "id": "c1", "method": "connect", "params": params(auth={"token": "no"})}
        outcomes.append(settled(machine, machine.receive(json.dumps(body).encode())))
    error = error_of(outcomes[-1])
    assert (error["details"]["code"], error["retryAfterMs"]) == ("AUTH_RATE_LIMITED", 300_000)


def test_a_wrong_signature_counts_as_a_wrong_credential() -> None:
    machine = machine_for(REMOTE, max_attempts=2)
    codes = []
    for _ in range(3):
        body = sign(params(), "nonce", machine.now_ms, signature=encode_base64url(b"x" * 64))
        frame = {"type": "req", "id": "c1", "method": "connect", "params": body}
        outcome = settled(machine, machine.receive(json.dumps(frame).encode()))
        codes.append(error_of(outcome)["details"]["code"])
    assert codes == ["DEVICE_AUTH_SIGNATURE_INVALID"] * 2 + ["AUTH_RATE_LIMITED"]


def test_a_token_that_changes_while_a_device_is_being_paired_lets_nobody_in() -> None:
    machine = machine_for(LOCAL)
    body = sign(params(), "nonce", machine.now_ms)
    frame = {"type": "req", "id": "c1", "method": "connect", "params": body}
    waits = machine.receive(json.dumps(frame).encode())
    assert isinstance(waits, Waits)
    machine.authenticator.renew("token", Secret("another"), None)  # type: ignore[attr-defined]  # the real one
    assert settled(machine, waits) == Refused(4001, "gateway auth changed")


@pytest.mark.parametrize(
    ("first", "is_text", "code", "reason"),
    [
        (b"hello", True, 1000, ""),
        (b"", True, 1000, ""),
        (b'{"type":"req"}', False, 1000, ""),
        (b'{"x":1}', True, 1008, "invalid request frame"),
        (b"[]", True, 1008, "invalid request frame"),
        (b'{"type":"req","id":"1"}', True, 1008, "invalid request frame"),
    ],
)
def test_a_first_frame_that_is_no_request_gets_no_answer(first: bytes, is_text: bool, code: int, reason: str) -> None:
    assert run(first, is_text=is_text) == Refused(code, reason)


def test_the_first_request_must_be_connect() -> None:
    error = error_of(run({"type": "req", "id": "c1", "method": "health"}))
    assert error == {"code": "INVALID_REQUEST", "message": "invalid handshake: first request must be connect"}


@given(st.binary(max_size=100))
def test_no_bytes_get_in(data: bytes) -> None:
    assert isinstance(run(data), Refused)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["minProtocol", "maxProtocol", "client", "auth", "role", "scopes", "device", "caps", "locale", "x"]


@given(st.dictionaries(st.sampled_from(FIELDS), JSON), st.sampled_from([3, 4]))
def test_any_change_to_the_parameters_is_let_in_or_refused_in_form(changes: dict[str, Any], version: int) -> None:
    outcome = connect({**params(version), **changes})
    if isinstance(outcome, Refused):
        assert outcome.code in (1002, 1008)
        assert len(outcome.reason.encode()) <= 123
        error_of(outcome)
    else:
        assert outcome.principal.scopes <= frozenset(ALL)


DEVICE_FIELDS = {"id": JSON, "publicKey": JSON, "signature": JSON, "signedAt": JSON, "nonce": JSON}
TEXTS = st.text(max_size=90) | st.text("ABCabc012-_=+/", min_size=40, max_size=90)


@given(
    st.fixed_dictionaries({}, optional={**DEVICE_FIELDS, "extra": JSON})
    | st.fixed_dictionaries(
        {"id": TEXTS, "publicKey": TEXTS, "signature": TEXTS, "signedAt": st.integers(0), "nonce": TEXTS}
    ),
    st.sampled_from([3, 4]),
)
def test_no_made_up_device_gets_in(device: dict[str, Any], version: int) -> None:
    outcome = connect({**params(version), "device": device})
    assert isinstance(outcome, Refused)
    error_of(outcome)


@given(st.text().filter(lambda text: text != TOKEN), st.sampled_from([3, 4]), st.sampled_from([LOCAL, REMOTE]))
def test_no_other_token_gets_in(token: str, version: int, source: Source) -> None:
    if not any(0xD800 <= ord(char) <= 0xDFFF for char in token):
        assert isinstance(connect(params(version, auth={"token": token}), source), Refused)
