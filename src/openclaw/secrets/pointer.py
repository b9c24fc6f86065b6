"""One member of a JSON text: by its plain name, else by a JSON pointer (RFC 6901), with or without the first slash."""

from __future__ import annotations

from typing import Any

import msgspec

from openclaw.base.secret import Secret
from openclaw.secrets.outcome import Unresolved, secret_of


def parse_json(raw: bytes | str) -> Any:
    """Read a JSON text. Raises: Unresolved, without a word of the text."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Unresolved("what is kept there is not JSON") from None


def pick(value: Any, pointer: str) -> Secret:
    """Return the text at a pointer. Raises: Unresolved when there is none."""
    found = _at(value, pointer)
    if isinstance(found, str):
        return secret_of(found)
    if isinstance(found, int) and not isinstance(found, bool):
        return secret_of(str(found))
    raise Unresolved("what is kept there is not a text")


def split_id(text: str) -> tuple[str, str]:
    """Split `name#pointer`; the pointer is "" without one."""
    name, _, pointer = text.partition("#")
    return name, pointer


def replace(value: Any, pointer: str, secret: Secret) -> None:
    """Put another text where one is, in place. Raises: Unresolved when there is none."""
    pick(value, pointer)
    holder, key = _place(value, pointer)
    holder[key] = secret.reveal()


def _at(value: Any, pointer: str) -> Any:
    holder, key = _place(value, pointer)
    return holder[key]


def _place(value: Any, pointer: str) -> tuple[Any, str | int]:
    """Return what holds the member, and its key there."""
    if isinstance(value, dict) and pointer in value:
        return value, pointer
    holder: Any = {"": value}
    at: str | int = ""
    for piece in pointer.removeprefix("/").split("/"):
        here, key = holder[at], piece.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            holder, at = here, key
        elif isinstance(here, list) and key.isascii() and key.isdecimal() and int(key) < len(here):
            holder, at = here, int(key)
        else:
            raise Unresolved(f"there is no member {pointer[:100]!r}")
    return holder, at
