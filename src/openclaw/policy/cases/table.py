"""A table of cases: one JSON object a line in, one answer a line out, by the code that the doors run.

Nothing is sent, run, opened or written. A bad line is answered with an error of its own, and the rest goes on.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, BinaryIO, Final

import msgspec

from openclaw.base.errors import InternalError, InvalidRequest, OpenClawError, TooLarge

KINDS: Final = ("dm", "egress", "exec", "file", "token")
MAX_LINE_BYTES: Final = 4_000_000
"""Longer than what any door takes: what is too long for a door is the door's to say."""

Case = Callable[[Mapping[str, Any]], dict[str, Any]]


def answers(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the answer to every line that is not blank: a verdict, or `{id, error}`."""
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(BOM_UTF8) if number == 1 else line
        if text.strip():
            yield answer(text, number)


def answer(line: bytes, number: int = 1) -> dict[str, Any]:
    """Return the answer to one line. What can have no id names the line by its number."""
    if len(line) > MAX_LINE_BYTES:
        return _failed(None, TooLarge(f"line {number} has more than {MAX_LINE_BYTES} bytes"))
    try:
        found = _decoded(line)
    except (ValueError, RecursionError) as error:
        return _failed(None, InvalidRequest(f"line {number} is not JSON: {error}"))
    if not isinstance(found, dict):
        return _failed(None, InvalidRequest(f"line {number} is no JSON object"))
    said = {name: value for name, value in found.items() if value is not None}
    try:
        return {"id": None, **case_of(said.get("kind"))(said)}
    except OpenClawError as error:
        return _failed(found.get("id"), error)
    except UnicodeEncodeError:
        return _failed(found.get("id"), InvalidRequest("the line holds half a character where only text can be"))
    except Exception as error:  # noqa: BLE001  # what nobody thought of in one line does not end the others
        return _failed(found.get("id"), InternalError(f"the line could not be judged ({type(error).__name__})"))


def _decoded(line: bytes) -> Any:
    """Return what a line says. Half a surrogate pair is what others write for a byte of a file's name that is no text.

    Raises: ValueError, RecursionError for what is no JSON.
    """
    try:
        return msgspec.json.decode(line)
    except msgspec.DecodeError:
        if b"\\ud" not in line.lower():
            raise
    return json.loads(line, parse_constant=msgspec.json.decode)  # which knows no NaN


def as_line(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as a line; halves of surrogate pairs are written as they came in."""
    try:
        return msgspec.json.encode(answer) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(answer).encode() + b"\n"


def case_of(kind: object) -> Case:
    """Return the function for lines of a kind. Raises: InvalidRequest when there is none."""
    if kind is None:
        raise InvalidRequest("the line names no kind", hint=f"A kind is one of {', '.join(KINDS)}.")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidRequest(f"there is no kind {str(kind)[:40]!r}", hint=f"A kind is one of {', '.join(KINDS)}.")
    return _case(kind)


@cache
def _case(kind: str) -> Case:
    """Return the function of a kind; what it has looked up is looked at again by its stamp alone."""
    found = getattr(import_module(f"openclaw.policy.cases.{kind}"), f"{kind}_case")
    assert callable(found)
    if kind == "exec":
        from openclaw.policy.exec.program import Programs

        return partial(found, programs=Programs())
    return found  # type: ignore[no-any-return]  # a Case by the naming of the folder


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines, each cut behind MAX_LINE_BYTES, so that no line fills the memory."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while not line.endswith(b"\n") and (line := file.readline(MAX_LINE_BYTES)):
            pass


def _failed(case_id: Any, error: OpenClawError) -> dict[str, Any]:
    return {"id": case_id, "error": error.as_dict()}
