"""Frames of the Gateway protocol: msgspec Structs and their encoders. The wire names live here and nowhere above."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Final

import msgspec

UNSET = msgspec.UNSET


class Request(msgspec.Struct, frozen=True, tag_field="type", tag="req", forbid_unknown_fields=True, gc=False):
    """What a client asks. `params` is the JSON as sent, undecoded; `{}` when absent.

    Raw, because most methods decode it straight into their own type and the cached ones never look at it.
    """

    id: str
    method: str
    params: msgspec.Raw = msgspec.Raw(b"{}")
    traceparent: str | msgspec.UnsetType = UNSET


class _NoRequest(msgspec.Struct, tag_field="type", tag=""):
    """Never sent: alone in a decoder, Request would not insist on its `type`."""


class ErrorShape(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A refusal as told to clients."""

    code: str
    message: str
    details: Any = None
    retryable: bool | None = None
    retry_after_ms: int | None = None


class Response(msgspec.Struct, frozen=True, tag_field="type", tag="res"):
    """The answer to a request; exactly one of payload and error is there."""

    id: Any
    ok: bool
    payload: Any = UNSET
    error: Any = UNSET


class EventFrame(msgspec.Struct, frozen=True, tag_field="type", tag="event", rename="camel"):
    """Something that happened. `seq` counts per connection."""

    event: str
    payload: Any = UNSET
    seq: int | msgspec.UnsetType = UNSET
    state_version: Any = UNSET


_encoder: Final = msgspec.json.Encoder()
_request_decoder: Final[msgspec.json.Decoder[Request]] = msgspec.json.Decoder(Request | _NoRequest)
_any_decoder: Final = msgspec.json.Decoder()
_encode = _encoder.encode


class BadFrame(Exception):
    """A text frame that is no request.

    Shape: `is_json` False = not JSON at all; `problems` in the order clients know; `reply_id` is what to answer to.
    """

    def __init__(self, is_json: bool, problems: tuple[str, ...] = (), reply_id: Any = "invalid") -> None:
        super().__init__("; ".join(problems))
        self.is_json = is_json
        self.problems = problems
        self.reply_id = reply_id


def decode_request(data: bytes) -> Request:
    """Decode a request frame. Raises: BadFrame."""
    try:
        request = _request_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        whole = _without_halves(data)
        if whole != data:
            return decode_request(whole)
        raise _explain(data) from None
    if type(request) is Request and request.id and request.method:
        return request
    raise _explain(data)


_ESCAPE: Final = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


def _without_halves(data: bytes) -> bytes:
    """Replace halves of surrogate pairs: JavaScript sends one, in good JSON, for a text cut inside an emoji."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)


_ID: Final = re.compile(rb'\s*\{\s*(?:"type"\s*:\s*"req"\s*,\s*)?"id"\s*:\s*"([ !#-\[\]-~]{1,128})"')


def _explain(data: bytes) -> BadFrame:
    """Say what is wrong with a frame, in the words clients already match on."""
    try:
        value = _any_decoder.decode(data)
    except RecursionError:
        # As good as JSON gets, only too deep for us: whoever waits for the answer is told.
        found = _ID.match(data)
        reply_id = found[1].decode() if found else "invalid"
        return BadFrame(True, ("must not be nested this deeply",), reply_id)
    except (msgspec.MsgspecError, UnicodeError):
        return BadFrame(False)
    if not isinstance(value, dict):
        return BadFrame(True, ("must be object",))
    problems = [f"must have required property '{name}'" for name in ("type", "id", "method") if name not in value]
    unexpected = (name for name in value if name not in _REQUEST_FIELDS)
    problems += [f"at root: unexpected property '{name[:64]}'" for name in islice(unexpected, MAX_UNEXPECTED)]
    if "type" in value and value["type"] != "req":
        problems.append("at /type: must be equal to constant")
    for name in ("id", "method"):
        if name in value and not isinstance(value[name], str):
            problems.append(f"at /{name}: must be string")
        elif value.get(name) == "":
            problems.append(f"at /{name}: must NOT have fewer than 1 characters")
    if not isinstance(value.get("traceparent", ""), str):
        problems.append("at /traceparent: must be string")
    reply_id = value.get("id", "invalid")
    return BadFrame(
        True, tuple(problems), reply_id if isinstance(reply_id, str | int) and reply_id != "" else "invalid"
    )


MAX_UNEXPECTED: Final = 8
"""Properties named in a refusal: a frame may hold a million."""

_REQUEST_FIELDS: Final = frozenset(("type", "id", "method", "params", "traceparent"))


def encode_result(request_id: Any, payload: Any) -> bytes:
    """Encode a good answer."""
    return _encode(Response(request_id, True, payload))


def result_with(request_id: str, payload: bytes) -> bytes:
    """Wrap an already encoded payload into an answer: the hot path of cached results."""
    return b'{"type":"res","id":%b,"ok":true,"payload":%b}' % (_encode(request_id), payload)


def encode_error(request_id: Any, error: ErrorShape | dict[str, Any]) -> bytes:
    """Encode a refusal."""
    return _encode(Response(request_id, False, UNSET, error))


def encode_event(event: str, payload: Any, seq: int | None = None, state_version: Any = None) -> bytes:
    """Encode an event for one connection."""
    return _encode(
        EventFrame(event, payload, UNSET if seq is None else seq, UNSET if state_version is None else state_version)
    )


def event_head(event: str, payload: Any) -> bytes:
    """Encode an event once for many connections; `finish_event` adds what differs."""
    return _encode(EventFrame(event, payload))[:-1]


def finish_event(head: bytes, seq: int) -> bytes:
    """Complete an `event_head` with a connection's sequence number."""
    return b'%b,"seq":%d}' % (head, seq)
