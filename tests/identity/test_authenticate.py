from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.base.clock import ManualClock
from openclaw.base.errors import RateLimited, Unauthorized
from openclaw.base.principal import ALL_SCOPES, Principal
from openclaw.base.secret import Secret
from openclaw.config.schema import RateLimitConfig
from openclaw.identity.authenticate import Authenticator, Evidence, Mode
from openclaw.identity.devices.record import Ask
from openclaw.identity.locality import Source
from openclaw.identity.rate_limit import MAX_ADDRESSES, SignInLimiter
from openclaw.identity.scopes import granted, require
from tests.fakes.devices import no_devices

pytestmark = pytest.mark.anyio

LOCAL = Source("127.0.0.1", True)
REMOTE = Source("9.9.9.9", False)
BROWSER = Source("127.0.0.1", True, True, "own")
GOOD = {b"authorization": b"Bearer s3cret"}
BAD = {b"authorization": b"Bearer nope"}


def make(clock: ManualClock | None = None, mode: Mode = "token", attempts: int = 10) -> Authenticator:
    limits = RateLimitConfig(max_attempts=attempts)
    return Authenticator(mode, Secret("s3cret"), Secret("pass"), lambda: limits, clock or ManualClock())


def reason_of(authenticator: Authenticator, evidence: Evidence, protocol: int = 4) -> str:
    with pytest.raises(Unauthorized) as caught:
        authenticator.connect(evidence, REMOTE, "operator", (), protocol)
    return str(caught.value.details["code"])


def test_the_bearer_token_opens_http() -> None:
    principal = make().http(GOOD, REMOTE)
    assert principal.method == "token"
    assert all(principal.may(scope) for scope in ALL_SCOPES)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic czNjcmV0",
        b"s3cret",
        b"Bearer s3cre",
        b"Bearer \xff\xfe",
        b"Bearer " + b"x" * 99999,
    ],
)
def test_anything_else_does_not(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        make().http({b"authorization": value}, REMOTE)


@given(st.binary())
def test_any_bytes_are_refused_never_a_crash(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        make(attempts=10_000).http({b"authorization": b"Bearer x" + value}, REMOTE)


def test_password_mode_takes_the_password() -> None:
    authenticator = make(mode="password")
    assert authenticator.http({b"authorization": b"Bearer pass"}, REMOTE).method == "password"
    assert reason_of(authenticator, Evidence(password="x")) == "AUTH_PASSWORD_MISMATCH"


def test_mode_none_admits_local_programs_and_our_own_pages_only() -> None:
    authenticator = make(mode="none")
    assert authenticator.http({}, LOCAL).method == "none"
    assert authenticator.http({}, BROWSER).method == "none"
    for source in (REMOTE, Source("127.0.0.1", True, True, "foreign")):
        with pytest.raises(Unauthorized):
            authenticator.http({}, source)


def test_the_refusal_names_the_credential_and_the_next_step() -> None:
    with pytest.raises(Unauthorized) as caught:
        make().connect(Evidence(token="wrong"), LOCAL, "operator", (), 4)
    assert caught.value.message == "unauthorized: gateway token mismatch (provide gateway auth token)"
    assert caught.value.details == {
        "code": "AUTH_TOKEN_MISMATCH",
        "authReason": "token_mismatch",
        "canRetryWithDeviceToken": False,
        "recommendedNextStep": "update_auth_credentials",
    }


def test_each_kind_of_evidence_has_its_own_refusal() -> None:
    authenticator = make()
    assert reason_of(authenticator, Evidence(device_token="x")) == "AUTH_DEVICE_TOKEN_MISMATCH"
    assert reason_of(authenticator, Evidence(bootstrap_token="x")) == "AUTH_BOOTSTRAP_TOKEN_INVALID"
    assert reason_of(authenticator, Evidence(password="x"), 3) == "AUTH_TOKEN_MISSING"
    assert reason_of(authenticator, Evidence(password="x"), 4) == "AUTH_TOKEN_MISMATCH"


def test_a_device_token_equal_to_the_secret_proves_nothing() -> None:
    assert reason_of(make(), Evidence(device_token="s3cret")) == "AUTH_DEVICE_TOKEN_MISMATCH"


def test_newer_clients_may_send_the_secret_in_either_field() -> None:
    assert make().connect(Evidence(password="s3cret"), LOCAL, "operator", ALL_SCOPES, 4).scopes == frozenset(ALL_SCOPES)


def test_scopes_are_what_was_asked_and_is_allowed() -> None:
    asked = ("operator.read", "operator.root", "operator.talk")
    principal = make().connect(Evidence(token="s3cret"), LOCAL, "operator", asked, 4)
    assert principal.scopes == {"operator.read", "operator.talk"}
    node = make().connect(Evidence(token="s3cret"), LOCAL, "node", ALL_SCOPES, 4)
    assert (node.role, node.scopes) == ("node", frozenset())


def test_ten_wrong_guesses_lock_an_address_out_and_no_other() -> None:
    clock = ManualClock()
    authenticator = make(clock)
    for _ in range(10):
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, REMOTE)
    with pytest.raises(RateLimited) as caught:
        authenticator.http(GOOD, REMOTE)
    assert caught.value.retry_after_s == pytest.approx(300)
    authenticator.http(GOOD, Source("8.8.8.8", False))
    clock.advance(301)
    authenticator.http(GOOD, REMOTE)


def test_guesses_spread_over_time_never_lock_out() -> None:
    clock = ManualClock()
    authenticator = make(clock)
    for _ in range(100):
        clock.advance(7)
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, REMOTE)


def test_a_lockout_never_keeps_out_the_right_credential_of_a_local_program() -> None:
    authenticator = make()
    for _ in range(10):
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, LOCAL)
    authenticator.http(GOOD, LOCAL)
    with pytest.raises(RateLimited):
        authenticator.http(BAD, LOCAL)
    with pytest.raises(RateLimited):
        authenticator.http(GOOD, BROWSER)


def test_where_people_choose_the_secret_a_lockout_holds_for_local_programs_too() -> None:
    authenticator = make(mode="password")
    for _ in range(10):
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, LOCAL)
    with pytest.raises(RateLimited):
        authenticator.http({b"authorization": b"Bearer pass"}, LOCAL)
    assert authenticator.http({b"authorization": b"Bearer pass"}, REMOTE).method == "password"


@pytest.mark.parametrize("mode", ["token", "password"])
def test_naming_another_client_with_each_guess_ends_too(mode: Mode) -> None:
    authenticator = make(mode=mode)
    good = {b"authorization": b"Bearer s3cret" if mode == "token" else b"Bearer pass"}

    def named(number: int) -> Source:
        return Source(f"10.0.0.{number}", False, via="by 127.0.0.1")

    for number in range(100):
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, named(number))
    with pytest.raises(RateLimited):
        authenticator.http(BAD, named(200))
    if mode == "token":  # which cannot be guessed: nobody shuts out those behind the proxy
        authenticator.http(good, named(200))
    else:
        with pytest.raises(RateLimited):
            authenticator.http(good, named(200))
    authenticator.http(good, REMOTE)


@pytest.mark.parametrize("extra", [{}, {"device_token": "x"}, {"bootstrap_token": "x"}, {"password": "x"}])
def test_no_other_field_switches_the_limiter_off(extra: dict[str, Any]) -> None:
    authenticator = make()
    for _ in range(10):
        with pytest.raises(Unauthorized):
            authenticator.connect(Evidence(token="x", **extra), REMOTE, "operator", (), 4)
    with pytest.raises(RateLimited):
        authenticator.connect(Evidence(token="s3cret", **extra), REMOTE, "operator", (), 4)


def test_who_has_a_credential_of_their_own_does_not_guess_at_the_shared_one_without_end() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    asked = Ask(device_id="d", public_key="k", role="operator", scopes=("operator.read",))
    token = anyio.run(devices.pair, asked).token
    authenticator = Authenticator("token", Secret("s3cret"), None, RateLimitConfig, clock, devices)
    for _ in range(10):
        assert authenticator.http({b"authorization": b"Bearer " + token.encode()}, REMOTE).method == "device-token"
        with pytest.raises(Unauthorized):
            authenticator.http(BAD, REMOTE)
    with pytest.raises(RateLimited):
        authenticator.http(GOOD, REMOTE)


def test_a_missing_credential_is_no_guess() -> None:
    authenticator = make()
    for _ in range(50):
        with pytest.raises(Unauthorized):
            authenticator.http({}, REMOTE)
    authenticator.http(GOOD, REMOTE)


def test_the_limiter_forgets_the_oldest_address_first() -> None:
    limiter = SignInLimiter(lambda: RateLimitConfig(max_attempts=1), ManualClock())
    for index in range(MAX_ADDRESSES + 1):
        limiter.failed(f"a{index}")
    assert limiter.retry_after_s("a0") is None
    assert limiter.retry_after_s(f"a{MAX_ADDRESSES}") is not None


def test_the_limits_of_the_moment_count() -> None:
    clock, most = ManualClock(), [5]
    limiter = SignInLimiter(lambda: RateLimitConfig(max_attempts=most[0]), clock)
    for _ in range(3):
        limiter.failed("a")
    most[0] = 2
    limiter.failed("a")
    assert limiter.retry_after_s("a") is not None
    clock.advance(1_000)
    most[0] = 4
    for expected in (False, False, False, True):
        limiter.failed("a")
        assert (limiter.retry_after_s("a") is not None) is expected


@given(st.lists(st.sampled_from([*ALL_SCOPES, "x", ""])), st.frozensets(st.sampled_from(ALL_SCOPES)))
def test_granted_is_never_more_than_asked(asked: list[str], allowed: frozenset[str]) -> None:
    given_ = granted(asked, allowed)
    assert given_ <= frozenset(asked) & frozenset(ALL_SCOPES)
    if "operator.admin" not in allowed:
        assert given_ <= (allowed | {"operator.read"} if "operator.write" in allowed else allowed)


def test_a_missing_scope_is_named() -> None:
    from openclaw.base.errors import Forbidden

    with pytest.raises(Forbidden) as caught:
        require(Principal(scopes=frozenset(("operator.read",))), "operator.admin")
    assert caught.value.message == "missing scope: operator.admin"
    require(Principal(scopes=frozenset(("operator.admin",))), "operator.read")


async def test_what_is_right_beside_a_guess_lets_in_and_the_guess_is_counted() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    issued = await devices.pair(Ask(device_id="d", public_key="k", role="operator", scopes=("operator.read",)))
    authenticator = Authenticator(
        "password", None, Secret("pass"), lambda: RateLimitConfig(max_attempts=3), clock, devices
    )
    both = Evidence(password="guess", device_token=issued.token)
    for _ in range(3):
        principal = authenticator.connect(both, REMOTE, "operator", ("operator.read",), 4, "d")
        assert (principal.method, principal.device) == ("device-token", "d")
    with pytest.raises(RateLimited):
        authenticator.connect(both, REMOTE, "operator", ("operator.read",), 4, "d")


async def test_a_device_token_sent_as_the_token_is_no_guess() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    issued = await devices.pair(Ask(device_id="d", public_key="k", role="operator", scopes=("operator.read",)))
    authenticator = Authenticator(
        "token", Secret("s3cret"), None, lambda: RateLimitConfig(max_attempts=1), clock, devices
    )
    for _ in range(3):
        found = authenticator.connect(Evidence(token=issued.token), REMOTE, "operator", ("operator.read",), 4, "d")
        assert found.method == "device-token"


async def test_a_device_token_opens_http_until_it_is_revoked_or_replaced() -> None:
    clock = ManualClock()
    devices = no_devices(clock)
    ask = Ask(device_id="d", public_key="k", role="operator", scopes=("operator.read",))
    node = await devices.pair(Ask(device_id="n", public_key="k", role="node"))
    issued = await devices.pair(ask)
    authenticator = Authenticator("token", Secret("s3cret"), None, RateLimitConfig, clock, devices)

    def by(token: str) -> Principal:
        return authenticator.http({b"authorization": b"Bearer " + token.encode()}, REMOTE)

    first = by(issued.token)
    assert (first.method, first.device) == ("device-token", "d")
    assert first.scopes == {"operator.read"}
    assert authenticator.stands(first)
    with pytest.raises(Unauthorized):
        by(node.token)
    second = await devices.rotate("d", "operator", None, Principal(scopes=frozenset(ALL_SCOPES)))
    assert not authenticator.stands(first)
    with pytest.raises(Unauthorized):
        by(issued.token)
    assert by(second.token).device == "d"
    await devices.revoke("d", "operator")
    with pytest.raises(Unauthorized):
        by(second.token)


def test_another_secret_holds_at_once_and_tells_whoever_holds_the_old() -> None:
    authenticator = make()
    called: list[str] = []
    authenticator.holders.add(lambda: called.append("closed"))
    assert not authenticator.renew("token", Secret("s3cret"), Secret("other"))
    assert called == []
    assert authenticator.renew("token", Secret("new"), None)
    assert called == ["closed"]
    with pytest.raises(Unauthorized):
        authenticator.http(GOOD, REMOTE)
    authenticator.http({b"authorization": b"Bearer new"}, REMOTE)
