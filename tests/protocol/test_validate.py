"""Bad parameters, told in the words that clients know."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from openclaw.base.errors import InvalidRequest
from openclaw.protocol.validate import MAX_PROBLEMS, NoParams, Params, convert, problems


class Device(Params, frozen=True):
    id: str
    nonce: str


class Connect(Params, frozen=True):
    min_protocol: int
    max_protocol: int
    client: dict[str, Any]
    mode: Literal["cli", "ui"] = "cli"
    device: Device | msgspec.UnsetType = msgspec.UNSET
    limit: Annotated[int, Meta(ge=1, le=10)] = 1
    name: Annotated[str, Meta(min_length=1, max_length=3, pattern="^[a-z]+$")] = "x"
    items: Annotated[list[Device], Meta(max_length=2)] = []  # noqa: RUF012  # msgspec copies it
    note: str | None = None
    table: dict[str, int] = {}  # noqa: RUF012  # msgspec copies it


GOOD = {"minProtocol": 3, "maxProtocol": 4, "client": {}}

MISSING = "; ".join(f"must have required property '{name}'" for name in GOOD)
RECORDED = [
    (
        {},
        MISSING,
    ),
    (
        {"x": 1},
        f"{MISSING}; at root: unexpected property 'x'",
    ),
    ({**GOOD, "bogus": 1}, "at root: unexpected property 'bogus'"),
    ({**GOOD, "limit": "5"}, "at /limit: must be integer"),
    ({**GOOD, "limit": 1.5}, "at /limit: must be integer"),
    ({**GOOD, "limit": True}, "at /limit: must be integer"),
    ({**GOOD, "limit": 0}, "at /limit: must be >= 1"),
    ({**GOOD, "limit": 11}, "at /limit: must be <= 10"),
    ({**GOOD, "mode": "tv"}, "at /mode: must be equal to one of the allowed values"),
    ({**GOOD, "device": {"id": "a"}}, "at /device: must have required property 'nonce'"),
    ({**GOOD, "device": {"id": "a", "nonce": "b", "c": 1}}, "at /device: unexpected property 'c'"),
    ({**GOOD, "name": ""}, 'at /name: must NOT have fewer than 1 characters; at /name: must match pattern "^[a-z]+$"'),
    ({**GOOD, "name": "long"}, "at /name: must NOT have more than 3 characters"),
    ({**GOOD, "items": [{"id": "a", "nonce": 1}]}, "at /items/0/nonce: must be string"),
    ({**GOOD, "items": [{"id": "a", "nonce": "b"}] * 3}, "at /items: must NOT have more than 2 items"),
    ({**GOOD, "note": 1}, "at /note: must be string; at /note: must be null; at /note: must match a schema in anyOf"),
    ({**GOOD, "table": {"a/b": "x"}}, "at /table/a~1b: must be integer"),
    ({**GOOD, "client": None}, "at /client: must be object"),
    ([], "at root: must be object"),
    ("text", "at root: must be object"),
]


@pytest.mark.parametrize(("value", "expected"), RECORDED)
def test_every_problem_is_told_in_the_recorded_words(value: Any, expected: str) -> None:
    for raw in (value, msgspec.Raw(msgspec.json.encode(value))):
        with pytest.raises(InvalidRequest) as caught:
            convert(raw, Connect, "connect")
        assert caught.value.message == f"invalid connect params: {expected}"


def test_good_parameters_become_their_type() -> None:
    raw = msgspec.Raw(b'{"minProtocol":3,"maxProtocol":4.0,"client":{},"limit":5.0}')
    assert convert(raw, Connect, "connect") == Connect(min_protocol=3, max_protocol=4, client={}, limit=5)
    nothings: tuple[Any, ...] = (None, {}, msgspec.Raw(b"{}"), msgspec.Raw(b"null"))
    for nothing in nothings:
        assert convert(nothing, NoParams, "x") == NoParams()


@pytest.mark.parametrize(
    "raw", [b'{"client":"\xff"}', b'{"client":"\\ud800"}', b'{"client":' + b"[" * 5000 + b"]" * 5000 + b"}", b"{"]
)
def test_what_is_no_json_is_refused_and_never_crashes(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        convert(msgspec.Raw(raw), Connect, "connect")


def test_many_problems_are_cut_off() -> None:
    assert len(problems({f"k{index}": 1 for index in range(100)}, NoParams)) == MAX_PROBLEMS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(st.dictionaries(st.sampled_from([*GOOD, "device", "limit", "name", "items", "note", "table", "z"]), json_values))
def test_what_the_walk_finds_good_is_good_and_the_reverse(changes: dict[str, Any]) -> None:
    value = {**GOOD, **changes}
    found = problems(value, Connect)
    with contextlib.ExitStack() as stack:
        if found:
            stack.enter_context(pytest.raises(InvalidRequest, match=r"^invalid connect params: ."))
        convert(msgspec.Raw(msgspec.json.encode(value)), Connect, "connect")
