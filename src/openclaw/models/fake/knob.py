"""Behaviour by model name: `fake-n100-d5-l20-b8`, `fake-err429` and combinations."""

from __future__ import annotations

import re
from typing import NamedTuple

_NUMBER = re.compile(r"-([ndlb])(\d{1,6})(?=-|$)")
_FAILURE = re.compile(r"-err(\d{3}|drop|half)(?=-|$)")
_NAME = re.compile(r"echo|fake(-[ndlb]\d{1,6}|-err(\d{3}|drop|half))*")


class Knobs(NamedTuple):
    """How to answer.

    Shape: `chunks` pieces of `chunk_bytes` bytes (0 = echo the user instead), `delay_ms` between pieces, `latency_ms`
    before the first. `failure` is an HTTP status answered instead, `drop` (the connection breaks in the middle) or
    `half` (the stream ends without a finish), "" for none.
    """

    chunks: int = 0
    delay_ms: int = 0
    latency_ms: int = 0
    chunk_bytes: int = 8
    failure: str = ""


def knobs(model: str) -> Knobs | None:
    """Read a model name; None when it is not one of ours."""
    if _NAME.fullmatch(model) is None:
        return None
    numbers = {letter: int(value) for letter, value in _NUMBER.findall(model)}
    failure = _FAILURE.search(model)
    return Knobs(
        chunks=numbers.get("n", 0),
        delay_ms=numbers.get("d", 0),
        latency_ms=numbers.get("l", 0),
        chunk_bytes=numbers.get("b", 8),
        failure=failure.group(1) if failure else "",
    )
