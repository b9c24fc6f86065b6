"""A secret is a type: it cannot be printed, formatted, pickled or serialised by accident."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import NoReturn


class Secret:
    """Holds a secret text; only `reveal` gives it out. Equality is constant-time."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Call it only where bytes leave for their destination."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare in constant time, whatever the lengths or characters are."""
        mine = sha256(self._value.encode("utf-8", "surrogatepass")).digest()
        theirs = sha256(candidate.encode("utf-8", "surrogatepass")).digest()
        return hmac.compare_digest(mine, theirs)

    def fingerprint(self) -> str:
        """Return 8 hex digits that identify the value to a person without giving it away."""
        return sha256(b"openclaw-fingerprint:" + self._value.encode("utf-8", "surrogatepass")).hexdigest()[:8]

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never serialised")


def masked(self: object) -> str:
    """Serve as the `__repr__` of what must hold a secret as plain text, because it is read from bytes or written."""
    return f"{type(self).__name__}(***)"
