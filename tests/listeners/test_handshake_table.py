"""Every outcome of `connect`, in both protocols, on real sockets: what is answered and how the connection closes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.protocol.device_auth import DeviceKey, Version, device_id_of, encode_base64url
from tests.listeners.device import KEY, key, sign
from tests.listeners.fakes import TOKEN, World, world

pytestmark = pytest.mark.anyio

ALL: Final = ["operator.read", "operator.write", "operator.admin", "operator.approvals", "operator.pairing"]
SHARED: Final = {"token": TOKEN}
BAD: Final = "INVALID_REQUEST"

ORIGIN: Final = (
    "origin not allowed (open the Control UI from the gateway host or allow it in gateway.controlUi.allowedOrigins)"
)
UI_NEEDS_DEVICE: Final = "control ui requires device identity (use HTTPS or localhost secure context)"
WRONG_TOKEN: Final = "unauthorized: gateway token mismatch (provide gateway auth token)"
NO_TOKEN: Final = "unauthorized: gateway token missing (provide gateway auth token)"
WRONG_DEVICE_TOKEN: Final = "unauthorized: device token mismatch (rotate/reissue device token)"
RETRY: Final = "unauthorized: gateway token mismatch (use this gateway's gateway.auth.token or pair the device)"
BAD_SETUP: Final = (
    "unauthorized: setup code invalid, expired, revoked, or already used "
    "(create a new code; review `openclaw devices list`)"
)


def auth_details(code: str, reason: str, step: str = "update_auth_credentials", retry: bool = False) -> dict[str, Any]:
    return {
        "code": f"AUTH_{code}",
        "authReason": reason,
        "canRetryWithDeviceToken": retry,
        "recommendedNextStep": step,
    }


def device_details(code: str, reason: str) -> dict[str, str]:
    return {"code": f"DEVICE_AUTH_{code}", "reason": f"device-{reason}"}


def origin_details(reason: str) -> dict[str, str]:
    return {"code": "CONTROL_UI_ORIGIN_NOT_ALLOWED", "reason": reason}


class Row(NamedTuple):
    """One connect. `error` is (code, message, details): details are looked for in protocol 4 only."""

    name: str
    protocol: int
    client: str = "cli/cli"
    changes: Mapping[str, Any] = MappingProxyType({})
    device: dict[str, Any] | None = None
    origin: str = ""
    error: tuple[str, str, dict[str, Any] | None] | None = None
    close: int = 1008
    scopes: list[str] = ALL
    issues: bool = False


NO_ID = (
    "NOT_PAIRED",
    "device identity required",
    {"code": "DEVICE_IDENTITY_REQUIRED"},
)
NODE = {"role": "node", "scopes": None}
FORGED = (BAD, "device signature invalid", device_details("SIGNATURE_INVALID", "signature"))
NO_ORIGIN = (BAD, ORIGIN, origin_details("origin missing or invalid"))
FOREIGN = (BAD, ORIGIN, origin_details("origin not allowed"))
ENUM_3 = "must be equal to constant; at /client/{0}: must match a schema in anyOf"


def bad_params(problem: str) -> tuple[str, str, None]:
    return (BAD, f"invalid connect params: {problem}", None)


BOTH: Final = [
    # what is the same in both protocols
    ("backend with the token", {"client": "gateway-client/backend"}),
    ("cli with the token", {}),
    ("webchat without an Origin", {"client": "webchat/webchat", "error": NO_ORIGIN}),
    ("webchat page without an Origin", {"client": "webchat-ui/webchat", "error": NO_ORIGIN}),
    ("operator page without an Origin", {"client": "openclaw-control-ui/webchat", "error": NO_ORIGIN}),
    (
        "wrong token",
        {
            "changes": {"auth": {"token": "wrong"}},
            "error": (BAD, WRONG_TOKEN, auth_details("TOKEN_MISMATCH", "token_mismatch")),
        },
    ),
    ("nothing to show", {"changes": {"auth": None}, "error": NO_ID}),
    ("bad signature", {"device": {"signature": encode_base64url(b"\1" * 64)}, "error": FORGED}),
    ("short signature", {"device": {"signature": "AAAA"}, "error": FORGED}),
    (
        "another nonce",
        {
            "device": {"nonce": "other"},
            "error": (BAD, "device nonce mismatch", device_details("NONCE_MISMATCH", "nonce-mismatch")),
        },
    ),
    (
        "another id",
        {
            "device": {"id": "ab" * 32},
            "error": (BAD, "device identity mismatch", device_details("DEVICE_ID_MISMATCH", "id-mismatch")),
        },
    ),
    (
        "another public key",
        {
            "device": {"publicKey": encode_base64url(b"\2" * 32)},
            "error": (BAD, "device identity mismatch", device_details("DEVICE_ID_MISMATCH", "id-mismatch")),
        },
    ),
    (
        "an old signature",
        {
            "device": {"signedAt": 1_000_000},
            "error": (BAD, "device signature expired", device_details("SIGNATURE_EXPIRED", "signature-stale")),
        },
    ),
    ("a device and a wrong role", {"changes": {"role": "king"}, "error": (BAD, "invalid role", None)}),
    ("something unknown", {"changes": {"bogus": 1}, "error": bad_params("at root: unexpected property 'bogus'")}),
]

TABLE: Final = [
    *(Row(name, protocol, **row) for name, row in BOTH for protocol in (3, 4)),  # type: ignore[arg-type]
    Row("probe", 3, "cli/probe"),
    Row("probe", 4, "cli/probe", scopes=[]),
    Row("test client", 3, "test/test"),
    Row("test client", 4, "test/test", scopes=[]),
    Row(
        "operator page of ours without a device",
        3,
        "openclaw-control-ui/webchat",
        origin="own",
        error=(BAD, "control ui requires HTTPS or localhost (secure context)", None),
    ),
    Row(
        "operator page of ours without a device",
        4,
        "openclaw-control-ui/webchat",
        origin="own",
        error=(BAD, UI_NEEDS_DEVICE, {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}),
    ),
    Row("operator page of ours", 3, "openclaw-control-ui/webchat", device={"version": "v2"}, origin="own", issues=True),
    Row("operator page of ours", 4, "openclaw-control-ui/webchat", device={}, origin="own", issues=True),
    Row("operator page that signs as 4", 3, "openclaw-control-ui/webchat", device={}, origin="own", error=FORGED),
    Row("terminal without a device", 3, "openclaw-tui/ui", error=bad_params("at /client/id: " + ENUM_3.format("id"))),
    Row(
        "terminal without a device",
        4,
        "openclaw-tui/ui",
        error=(BAD, UI_NEEDS_DEVICE, {"code": "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}),
    ),
    Row("terminal", 4, "openclaw-tui/ui", device={}, issues=True),
    Row("unknown client", 3, "nobody/cli", error=bad_params("at /client/id: " + ENUM_3.format("id"))),
    Row(
        "unknown client", 4, "nobody/cli", error=bad_params("at /client/id: must be equal to one of the allowed values")
    ),
    Row("unknown mode", 3, "cli/zz", error=bad_params("at /client/mode: " + ENUM_3.format("mode"))),
    Row("unknown mode", 4, "cli/zz", error=bad_params("at /client/mode: must be equal to one of the allowed values")),
    Row("signature 3", 3, device={}, error=FORGED),
    Row("signature 3", 4, device={}, issues=True),
    Row("signature 2", 3, device={"version": "v2"}, issues=True),
    Row("signature 2", 4, device={"version": "v2"}, issues=True),
    Row("signature 1 without a nonce", 3, device={"version": "v1", "nonce": None}, issues=True),
    Row("signature 1 with a nonce", 3, device={"version": "v1"}, error=FORGED),
    Row(
        "signature 1 without a nonce",
        4,
        device={"version": "v1", "nonce": None},
        error=bad_params("at /device: must have required property 'nonce'"),
    ),
    Row("signature 1 with a nonce", 4, device={"version": "v1"}, error=FORGED),
    Row("signature 3 without a nonce", 3, device={"nonce": None}, error=FORGED),
    Row(
        "signature 1 from a page",
        3,
        "openclaw-control-ui/webchat",
        device={"version": "v1", "nonce": None},
        origin="own",
        error=(BAD, "device nonce required", None),
    ),
    Row(
        "a nonce of spaces",
        4,
        device={"nonce": "  "},
        error=(BAD, "device nonce required", device_details("NONCE_REQUIRED", "nonce-missing")),
    ),
    Row(
        "a key of another size",
        4,
        device={"publicKey": encode_base64url(b"k" * 31), "id": device_id_of(b"k" * 31)},
        error=(BAD, "device public key invalid", device_details("PUBLIC_KEY_INVALID", "public-key")),
    ),
    Row("node with a device", 3, "node-host/node", NODE, device={"version": "v2"}, scopes=[], issues=True),
    Row("node with a device", 4, "node-host/node", NODE, device={}, scopes=[], issues=True),
    Row("node without a device", 3, "node-host/node", NODE, scopes=[]),
    Row("node without a device", 4, "node-host/node", NODE, error=NO_ID),
    Row(
        "wrong token and a device",
        3,
        changes={"auth": {"token": "no"}},
        device={"version": "v2"},
        error=(BAD, WRONG_TOKEN, None),
    ),
    Row("wrong token, device of 4", 3, changes={"auth": {"token": "no"}}, device={}, error=FORGED),
    Row(
        "wrong token and a device",
        4,
        changes={"auth": {"token": "no"}},
        device={},
        error=(BAD, RETRY, auth_details("TOKEN_MISMATCH", "token_mismatch", "retry_with_device_token", retry=True)),
    ),
    Row(
        "wrong token and a wrong device token",
        4,
        changes={"auth": {"token": "no", "deviceToken": "no"}},
        device={},
        error=(BAD, WRONG_DEVICE_TOKEN, auth_details("DEVICE_TOKEN_MISMATCH", "device_token_mismatch")),
    ),
    Row("wrong password", 3, changes={"auth": {"password": "no"}}, error=(BAD, NO_TOKEN, None)),
    Row(
        "wrong password",
        4,
        changes={"auth": {"password": "no"}},
        error=(BAD, WRONG_TOKEN, auth_details("TOKEN_MISMATCH", "token_mismatch")),
    ),
    Row("the token as password", 3, changes={"auth": {"password": TOKEN}}, error=(BAD, NO_TOKEN, None)),
    Row("the token as password", 4, changes={"auth": {"password": TOKEN}}),
    Row(
        "a device token",
        3,
        changes={"auth": {"deviceToken": "x"}},
        error=bad_params("at /auth: unexpected property 'deviceToken'"),
    ),
    Row(
        "a wrong device token",
        4,
        changes={"auth": {"deviceToken": "x"}},
        error=(
            BAD,
            WRONG_DEVICE_TOKEN,
            auth_details("DEVICE_TOKEN_MISMATCH", "device_token_mismatch"),
        ),
    ),
    Row(
        "a setup code",
        3,
        changes={"auth": {"bootstrapToken": "x"}},
        error=bad_params("at /auth: unexpected property 'bootstrapToken'"),
    ),
    Row(
        "a wrong setup code",
        4,
        changes={"auth": {"bootstrapToken": "x"}},
        error=(
            BAD,
            BAD_SETUP,
            auth_details("BOOTSTRAP_TOKEN_INVALID", "bootstrap_token_invalid", "review_auth_configuration"),
        ),
    ),
    Row(
        "nothing to show but a device",
        4,
        changes={"auth": None},
        device={},
        error=(BAD, NO_TOKEN, auth_details("TOKEN_MISSING", "token_missing", "update_auth_configuration")),
    ),
    Row("both protocols", 4, changes={"minProtocol": 3}),
]


def parameters(row: Row) -> dict[str, Any]:
    client, _, mode = row.client.partition("/")
    body = {
        "minProtocol": row.protocol,
        "maxProtocol": row.protocol,
        "client": {"id": client, "version": "1", "platform": "linux", "mode": mode},
        "caps": [],
        "auth": SHARED,
        "role": "operator",
        "scopes": ALL,
        **row.changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def receive(socket: ClientConnection) -> dict[str, Any]:
    frame: dict[str, Any] = json.loads(await socket.recv())
    return frame


async def shake(
    here: World, body: dict[str, Any], device: dict[str, Any] | None = None, by: DeviceKey = KEY, origin: str = ""
) -> tuple[dict[str, Any], tuple[int, str] | None]:
    """Connect once; return the answer, and how the gateway closed if it did."""
    from_page = {"origin": here.url if origin == "own" else origin} if origin else {}
    async with connect(here.ws_url, proxy=None, **from_page) as socket:  # type: ignore[arg-type]
        nonce = (await receive(socket))["payload"]["nonce"]
        if device is not None:
            body = (
                sign(body, nonce, SYSTEM_CLOCK.now_ms(), by=by, **{"nonce": nonce, **device})
                if device
                else sign(body, nonce, SYSTEM_CLOCK.now_ms(), by=by)
            )
        await socket.send(json.dumps({"type": "req", "id": "c", "method": "connect", "params": body}))
        answer = await receive(socket)
        if answer["ok"]:
            return answer, None
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
        assert caught.value.rcvd is not None
        return answer, (caught.value.rcvd.code, caught.value.rcvd.reason)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.name}-p{row.protocol}")
async def test_a_connect_ends_as_clients_know_it(row: Row) -> None:
    async with world() as here:
        answer, closed = await shake(here, parameters(row), row.device, origin=row.origin)
        if row.error is not None:
            code, message, details = row.error
            expected = {"code": code, "message": message}
            if details is not None and row.protocol >= 4:
                expected["details"] = details  # type: ignore[assignment]  # JSON
            assert answer["error"] == expected
            assert closed == (row.close, message.encode()[:123].decode())
            return
        assert answer["ok"], answer
        hello = answer["payload"]
        assert hello["protocol"] == row.protocol
        auth = hello["auth"]
        if row.protocol >= 4:
            assert (auth["method"], auth["scopes"]) == ("token", sorted(row.scopes))
        elif not row.issues:
            assert auth == {}
        assert ("deviceToken" in auth) is row.issues
        assert ("issuedAtMs" in auth) is row.issues
        if row.issues:
            assert (auth["role"], auth["scopes"]) == (row.changes.get("role", "operator"), sorted(row.scopes))


async def test_protocol_3_names_the_property_of_the_parameters_that_is_missing_first() -> None:
    async with world() as here:
        answer, closed = await shake(here, {})
        assert answer["error"]["message"] == "invalid connect params: must have required property 'minProtocol'"
        assert closed == (1008, answer["error"]["message"])


@pytest.mark.parametrize(("low", "high"), [(1, 1), (1, 2), (5, 5), (99, 99)])
async def test_no_common_protocol_closes_with_1002(low: int, high: int) -> None:
    async with world() as here:
        body = {**parameters(Row("", 4)), "minProtocol": low, "maxProtocol": high}
        answer, closed = await shake(here, body)
        assert answer["error"]["details"] == {
            "code": "PROTOCOL_MISMATCH",
            "clientMinProtocol": low,
            "clientMaxProtocol": high,
            "expectedProtocol": 4,
            "minimumProbeProtocol": 3,
        }
        assert closed == (1002, "protocol mismatch")


async def test_a_device_gets_the_same_token_each_time_and_it_opens_in_either_field() -> None:
    async with world() as here:
        body = parameters(Row("", 4))
        first = (await shake(here, body, {}))[0]["payload"]["auth"]
        again = (await shake(here, body, {"version": "v2"}))[0]["payload"]["auth"]
        old = (await shake(here, parameters(Row("", 3)), {"version": "v1", "nonce": None}))[0]["payload"]["auth"]
        assert first["deviceToken"] == again["deviceToken"] == old["deviceToken"]
        assert first["issuedAtMs"] == again["issuedAtMs"]
        for auth in ({"token": first["deviceToken"]}, {"deviceToken": first["deviceToken"]}):
            hello, _ = await shake(here, {**body, "auth": auth}, {})
            assert hello["payload"]["auth"]["method"] == "device-token"
            assert hello["payload"]["auth"]["scopes"] == sorted(ALL)
        stolen, _ = await shake(here, {**body, "auth": {"deviceToken": first["deviceToken"]}}, {}, by=key("thief"))
        assert stolen["error"]["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"
        alone, _ = await shake(here, {**body, "auth": {"deviceToken": first["deviceToken"]}})
        assert alone["error"]["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"


async def test_a_token_opens_no_more_than_was_approved() -> None:
    async with world() as here:
        body = {**parameters(Row("", 4)), "scopes": ["operator.read"]}
        token = (await shake(here, body, {}))[0]["payload"]["auth"]["deviceToken"]
        wanting = {**body, "auth": {"deviceToken": token}, "scopes": ["operator.read", "operator.admin"]}
        answer, closed = await shake(here, wanting, {})
        message = "unauthorized: device token scope mismatch (re-pair or approve scope upgrade)"
        assert (answer["error"]["message"], answer["error"]["details"]["code"]) == (message, "AUTH_SCOPE_MISMATCH")
        assert closed == (1008, message)
        narrow = (await shake(here, {**wanting, "scopes": []}, {}))[0]["payload"]["auth"]
        assert narrow["scopes"] == []
        node, _ = await shake(here, {**wanting, "role": "node", "scopes": []}, {})
        assert node["error"]["details"]["code"] == "AUTH_DEVICE_TOKEN_MISMATCH"


async def test_a_device_that_has_become_another_kind_of_machine_waits_for_approval() -> None:
    async with world() as here:
        body = parameters(Row("", 4))
        await shake(here, body, {})
        moved = {**body, "client": {**body["client"], "platform": "win32"}}
        answer, closed = await shake(here, moved, {})
        message = "pairing required: device identity changed and must be re-approved"
        details = answer["error"]["details"]
        assert (answer["error"]["code"], answer["error"]["message"]) == ("NOT_PAIRED", message)
        assert details == {
            **details,
            "code": "PAIRING_REQUIRED",
            "reason": "metadata-upgrade",
            "deviceId": KEY.device_id,
            "requestedRole": "operator",
            "requestedScopes": ALL,
            "approvedRoles": ["operator"],
            "approvedScopes": sorted(ALL),
        }
        assert details["remediationHint"]
        assert closed == (1008, f"{message} (requestId: {details['requestId']})")
        assert (await shake(here, body, {}))[0]["ok"]
        old = {**moved, "minProtocol": 3, "maxProtocol": 3}
        answer, closed = await shake(here, old, {"version": "v2"})
        assert answer["error"] == {
            "code": "NOT_PAIRED",
            "message": "pairing required",
            "details": {"requestId": details["requestId"]},
        }
        assert closed == (1008, "pairing required")


FIELDS: Final = ("id", "publicKey", "signature", "signedAt", "nonce")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_no_change_to_what_was_signed_gets_in(data: st.DataObject, anyio_backend: object) -> None:
    version: Version = data.draw(st.sampled_from(("v3", "v2")))
    changes: dict[str, Any] = {}
    spoilt = data.draw(
        st.sampled_from(["role", "scopes", "clientId", "mode", "token", *FIELDS, *(["platform"] * (version == "v3"))])
    )
    body = parameters(Row("", 4))
    signed = sign(body, "n0nce", 1_800_000_000_000, version=version)
    device = signed["device"]
    if spoilt in FIELDS:
        value = device[spoilt]
        if isinstance(value, int):
            changes = {**signed, "device": {**device, spoilt: value + data.draw(st.integers(1, 10**6))}}
        else:
            at = data.draw(st.integers(0, len(value) - 2))
            other = data.draw(st.sampled_from("abcdefXYZ0189").filter(lambda char: char != value[at]))
            changes = {**signed, "device": {**device, spoilt: value[:at] + other + value[at + 1 :]}}
    else:
        client = body["client"]
        others: dict[str, dict[str, Any]] = {
            "role": {"role": "node"},
            "scopes": {"scopes": ALL[:3]},
            "clientId": {"client": {**client, "id": "gateway-client"}},
            "mode": {"client": {**client, "mode": "ui"}},
            "platform": {"client": {**client, "platform": "plan9"}},
            "token": {},
        }
        changes = {**signed, **others[spoilt]}
        if spoilt == "token":
            changes["device"] = sign({**body, "auth": {"token": "other"}}, "n0nce", 1_800_000_000_000)["device"]
    outcome = _judge(changes)
    assert outcome["ok"] is False
    assert outcome["error"]["details"]["code"].startswith("DEVICE_AUTH_")


def _judge(body: dict[str, Any]) -> dict[str, Any]:
    from openclaw.base.clock import ManualClock
    from openclaw.identity.locality import Source
    from openclaw.listeners.ws_handshake import Handshake, Refused
    from tests.fakes.devices import no_devices
    from tests.listeners.fakes import authenticator

    clock = ManualClock(1_800_000_000_000)
    book = no_devices(clock)
    machine = Handshake("n0nce", clock.now_ms(), Source("127.0.0.1", True), authenticator(clock, "token", book), book)
    frame = {"type": "req", "id": "c", "method": "connect", "params": body}
    outcome = machine.receive(json.dumps(frame).encode())
    if not isinstance(outcome, Refused) or outcome.frame is None:
        return {"ok": True}
    answer: dict[str, Any] = json.loads(outcome.frame)
    return answer
