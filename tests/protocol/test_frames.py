from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.protocol.frames import (
    MAX_UNEXPECTED,
    BadFrame,
    ErrorShape,
    decode_request,
    encode_error,
    encode_event,
    encode_result,
    event_head,
    finish_event,
    result_with,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_request_keeps_its_parameters_undecoded() -> None:
    request = decode_request(b'{"type":"req","id":"1","method":"chat.send","params":{"a":[1, 2]}}')
    assert (request.id, request.method, bytes(request.params)) == ("1", "chat.send", b'{"a":[1, 2]}')


def test_absent_parameters_are_an_empty_object() -> None:
    assert bytes(decode_request(b'{"type":"req","id":"1","method":"health"}').params) == b"{}"


@pytest.mark.parametrize(
    ("text", "reply_id", "problems"),
    [
        ('{"type":"req"}', "invalid", ["must have required property 'id'", "must have required property 'method'"]),
        ('{"type":"req","id":5,"method":"health"}', 5, ["at /id: must be string"]),
        (
            '{"type":"zzz","id":"q"}',
            "q",
            ["must have required property 'method'", "at /type: must be equal to constant"],
        ),
        ('{"type":"req","id":"1","method":"x","bogus":1}', "1", ["at root: unexpected property 'bogus'"]),
        ('{"type":"req","id":"","method":"x"}', "invalid", ["at /id: must NOT have fewer than 1 characters"]),
        ('{"id":"1","method":"x"}', "1", ["must have required property 'type'"]),
        ('{"type":"","id":"1","method":"x"}', "1", ["at /type: must be equal to constant"]),
        ("[1]", "invalid", ["must be object"]),
    ],
)
def test_a_bad_frame_is_explained_in_the_words_clients_know(text: str, reply_id: Any, problems: list[str]) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_request(text.encode())
    assert caught.value.is_json
    assert list(caught.value.problems) == problems
    assert caught.value.reply_id == reply_id


@pytest.mark.parametrize("data", [b"", b"hello", b"{", b"\xff\xfe", b'{"type":"req","id":"\xff"}'])
def test_text_that_is_no_json_is_told_apart(data: bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        decode_request(data)
    assert not caught.value.is_json


def test_deep_nesting_is_a_bad_frame_that_is_answered() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_request(b'{"type":"req","id":"7","method":"x","params":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
    assert (caught.value.is_json, caught.value.reply_id) == (True, "7")
    assert caught.value.problems == ("must not be nested this deeply",)
    with pytest.raises(BadFrame) as caught:
        decode_request(b'{"type":' + b"[" * 100_000)
    assert caught.value.reply_id == "invalid"


@pytest.mark.parametrize(
    ("sent", "taken"),
    [
        (r"half \ud83d!", "half \ufffd!"),
        (r"\udE00 the other half", "\ufffd the other half"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\uD83D\uDE00", "\U0001f600"),
        (r"a backslash: \\ud83d and \ud83d", "a backslash: \\ud83d and \ufffd"),
    ],
)
def test_half_an_emoji_is_taken_as_a_replacement_character(sent: str, taken: str) -> None:
    request = decode_request(f'{{"type":"req","id":"1","method":"x","params":{{"m":"{sent}"}}}}'.encode())
    assert msgspec.json.decode(request.params) == {"m": taken}


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_whatever_javascript_writes_is_a_request(one: str, other: str) -> None:
    sent = json.dumps({"type": "req", "id": "1", "method": "x", "params": {"m": one + other}})
    taken = msgspec.json.decode(decode_request(sent.encode()).params)["m"]
    assert taken == (one + other).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_a_million_unexpected_properties_make_a_short_refusal() -> None:
    with pytest.raises(BadFrame) as caught:
        decode_request(
            msgspec.json.encode({"type": "req", "id": "1", "method": "x", **{str(n): n for n in range(9999)}})
        )
    assert len(caught.value.problems) == MAX_UNEXPECTED


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_a_bad_frame(data: bytes) -> None:
    try:
        decode_request(data)
    except BadFrame:
        return


def refusal(value: Any) -> BadFrame | None:
    try:
        decode_request(msgspec.json.encode(value))
    except BadFrame as bad:
        return bad
    return None


@given(JSON)
def test_any_json_gives_a_request_or_named_problems(value: Any) -> None:
    bad = refusal(value)
    assert bad is None or (bad.problems and isinstance(bad.reply_id, str | int))


@given(st.dictionaries(st.sampled_from(["type", "id", "method", "params", "traceparent", "x"]), JSON | st.just("req")))
def test_any_object_is_a_request_exactly_when_it_has_no_problem(value: dict[str, Any]) -> None:
    fits = (
        value.get("type") == "req"
        and all(isinstance(value.get(name), str) and value[name] for name in ("id", "method"))
        and isinstance(value.get("traceparent", ""), str)
        and "x" not in value
    )
    assert (refusal(value) is None) == fits


@given(st.text(), JSON)
def test_results_events_and_errors_are_valid_frames(text: str, payload: Any) -> None:
    answer = json.loads(encode_result(text, payload))
    assert answer == {"type": "res", "id": text, "ok": True, "payload": payload}
    assert json.loads(result_with(text, msgspec.json.encode(payload))) == answer
    event = json.loads(encode_event("tick", payload, seq=3))
    assert event == {"type": "event", "event": "tick", "payload": payload, "seq": 3}
    assert json.loads(finish_event(event_head("tick", payload), 3)) == event
    error = json.loads(encode_error(text, ErrorShape("UNAVAILABLE", text, retryable=True, retry_after_ms=5)))
    assert error["error"] == {"code": "UNAVAILABLE", "message": text, "retryable": True, "retryAfterMs": 5}
    assert error["ok"] is False
