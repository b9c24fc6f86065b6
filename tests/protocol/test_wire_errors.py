from __future__ import annotations

import pytest

from openclaw.base.errors import (
    BudgetExceeded,
    Forbidden,
    InvalidRequest,
    LaneBusy,
    ModelRateLimited,
    ModelTimeout,
    OpenClawError,
    Unauthorized,
    catalogue,
)
from openclaw.protocol.wire_errors import from_dict, to_http, to_wire

FIELD_CODES = {"INVALID_REQUEST", "UNAVAILABLE", "FORBIDDEN", "AGENT_TIMEOUT"}


@pytest.mark.parametrize("cls", list(catalogue().values()), ids=lambda cls: cls.__name__)
def test_every_error_has_a_known_code_on_the_wire_and_a_status(cls: type[OpenClawError]) -> None:
    error = cls("what failed")
    for protocol in (3, 4):
        wire = to_wire(error, protocol)
        assert wire["code"] in FIELD_CODES
        assert wire["message"] == "what failed"
    status, body, _ = to_http(error)
    assert 400 <= status <= 504
    assert body["error"]["type"]
    assert (status == 500) == (cls.code == "INTERNAL")


@pytest.mark.parametrize("cls", list(catalogue().values()), ids=lambda cls: cls.__name__)
def test_an_error_survives_its_dict(cls: type[OpenClawError]) -> None:
    error = cls("m", hint="h", retry_after_s=2.5, details={"a": 1})
    again = from_dict(error.as_dict())
    assert (type(again), again.as_dict()) == (cls, error.as_dict())


def test_a_missing_scope_is_forbidden_in_protocol_4_only() -> None:
    error = Forbidden(
        "missing scope: operator.admin", details={"code": "MISSING_SCOPE", "missingScope": "operator.admin"}
    )
    assert to_wire(error, 3) == {"code": "INVALID_REQUEST", "message": "missing scope: operator.admin"}
    assert to_wire(error, 4)["code"] == "FORBIDDEN"
    assert to_wire(error, 4)["details"]["missingScope"] == "operator.admin"


def test_a_plain_refusal_has_no_details() -> None:
    assert to_wire(InvalidRequest("unknown method: x"), 4) == {
        "code": "INVALID_REQUEST",
        "message": "unknown method: x",
    }


def test_a_busy_lane_may_be_tried_again() -> None:
    wire = to_wire(LaneBusy("full", retry_after_s=0.5), 4)
    assert (wire["code"], wire["retryable"], wire["retryAfterMs"]) == ("UNAVAILABLE", True, 500)
    assert wire["details"]["code"] == "LANE_BUSY"


def test_a_providers_fault_is_never_500() -> None:
    assert to_http(ModelTimeout("late"))[0] == 504
    status, _, headers = to_http(ModelRateLimited("slow down", retry_after_s=1.2))
    assert (status, dict(headers)[b"retry-after"]) == (429, b"2")


def test_a_budget_that_is_used_up_is_a_quota_to_clients_of_openai() -> None:
    error = BudgetExceeded("the cap of $5.00 would be passed", retry_after_s=60, details={"scope": "total"})
    status, body, headers = to_http(error)
    assert (status, body["error"]["type"], dict(headers)[b"retry-after"]) == (429, "insufficient_quota", b"60")
    wire = to_wire(error, 4)
    assert (wire["code"], wire["details"]["code"], wire["details"]["scope"]) == (
        "UNAVAILABLE",
        "BUDGET_EXCEEDED",
        "total",
    )


def test_unauthorized_says_nothing_more() -> None:
    status, body, headers = to_http(Unauthorized("gateway token mismatch"))
    assert (status, body) == (401, {"error": {"message": "Unauthorized", "type": "unauthorized"}})
    assert b"www-authenticate" in dict(headers)


def test_an_unknown_code_is_our_fault() -> None:
    assert from_dict({"code": "NOPE", "message": "?"}).code == "INTERNAL"
