"""Rows to and from bytes: JSON by msgspec, so that any backend and any person can read what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from openclaw.base.message import Message
from openclaw.base.model import Usage
from openclaw.base.run import Inbound, Reply
from openclaw.store.api import NewStep, SessionMarks, SessionRow, StepRow, UsageRow
from openclaw.store.transcript import as_steps

_NOT_HERE = Message("user", ())
_encoder = msgspec.json.Encoder()


class _StepBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A StepRow without its session and seq, which are columns. Never empty: `run_id` is always written."""

    run_id: str
    kind: Literal["inbound", "model", "notice", "summary"]
    messages: tuple[Message, ...]
    at_ms: int
    usage: Usage = Usage()
    model: str = ""
    provider: str = ""
    finish_reason: str = ""
    covers_seq: int = 0


# SQLite knows no booleans: 0 and 1 must do.
_sessions = msgspec.json.Decoder(list[SessionRow], strict=False)
_steps = msgspec.json.Decoder(list[StepRow])
_usage = msgspec.json.Decoder(list[UsageRow])
_marks = msgspec.json.Decoder(SessionMarks)
_NO_MARKS = SessionMarks()
_inbound = msgspec.json.Decoder(Inbound)
_reply = msgspec.json.Decoder(Reply)


def decode_marks(raw: str) -> SessionMarks:
    """Return the marks of a session's row."""
    return _NO_MARKS if raw == "{}" else _marks.decode(raw)


def encode_patch(marks: Mapping[str, str | int | bool | None]) -> str:
    """Return a change of marks as a merge patch: None takes a mark away. Raises: UnicodeEncodeError."""
    return _encoder.encode(marks).decode()


def encode_step(run_id: str, step: NewStep, at_ms: int) -> bytes:
    """Return a step's body."""
    return _encoder.encode(
        _StepBody(
            run_id,
            step.kind,
            step.messages,
            at_ms,
            step.usage,
            step.model,
            step.provider,
            step.finish_reason,
            step.covers_seq,
        )
    )


def encode_inbound_steps(inbound: Inbound, at_ms: int) -> list[bytes]:
    """Return the bodies of an inbound's steps, its message last; an ephemeral one brings its history."""
    bodies = []
    if inbound.ephemeral:
        bodies = [
            _encoder.encode(_StepBody(inbound.run_id, kind, messages, at_ms))
            for kind, messages in as_steps(inbound.history)
        ]
    bodies.append(_encoder.encode(_StepBody(inbound.run_id, "inbound", (inbound.message,), at_ms)))
    return bodies


def encode_inbound(inbound: Inbound, *, whole: bool) -> bytes:
    """Return the inbound, or what of it `encode_inbound_steps` does not store."""
    if whole:
        return _encoder.encode(inbound)
    history = () if inbound.ephemeral else inbound.history
    return _encoder.encode(msgspec.structs.replace(inbound, message=_NOT_HERE, history=history))


def decode_inbound(raw: bytes, steps: Sequence[StepRow] = ()) -> Inbound:
    """Return the inbound whole again, from its row and from its steps where the row does without."""
    inbound = _inbound.decode(raw)
    if inbound.message != _NOT_HERE or not steps:
        return inbound
    history = tuple(message for step in steps[:-1] for message in step.messages) or inbound.history
    return msgspec.structs.replace(inbound, message=steps[-1].messages[0], history=history)


def encode_reply(reply: Reply) -> bytes:
    """Return the reply as JSON."""
    return _encoder.encode(reply)


def decode_reply(raw: bytes) -> Reply:
    """Return the reply."""
    return _reply.decode(raw)


def decode_sessions(raw: bytes) -> list[SessionRow]:
    """Decode a JSON array of sessions."""
    return _sessions.decode(raw)


def decode_steps(raw: bytes) -> list[StepRow]:
    """Decode a JSON array of steps."""
    return _steps.decode(raw)


def decode_usage(raw: bytes) -> list[UsageRow]:
    """Decode a JSON array of ledger rows."""
    return _usage.decode(raw)


def quoted(text: str) -> str:
    """Return a text as a JSON string."""
    return _encoder.encode(text).decode()
