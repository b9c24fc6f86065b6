"""What a child process may know of our environment: an allowlist, so that keys and tokens stay here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Protocol

BASIC = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_*", "TZ", "TMPDIR", "XDG_*", "SYSTEMROOT")
"""What nearly every program needs to find its files and speak the user's language."""

NETWORK = ("*_PROXY", "*_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""What a program needs besides to reach the network the way the user does."""


class EnvironmentSource(Protocol):
    """The environment as config.env offers it."""

    def get(self, name: str) -> str | None:
        """Return a variable's value, or None."""
        ...

    def names(self) -> Iterable[str]:
        """Return the names of all variables."""
        ...


class NoEnvironment:
    """An environment without variables."""

    def get(self, name: str) -> str | None:
        """Return None."""
        return None

    def names(self) -> Iterable[str]:
        """Return nothing."""
        return ()


class CurrentEnvironment:
    """The environment of the moment: children that start after a change know of it."""

    def __init__(self, now: Callable[[], EnvironmentSource]) -> None:
        self._now = now

    def get(self, name: str) -> str | None:
        """Return a variable's value, or None."""
        return self._now().get(name)

    def names(self) -> Iterable[str]:
        """Return the names of all variables."""
        return self._now().names()


def child_environment(
    source: EnvironmentSource, allow: Iterable[str] = BASIC, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables whose names match `allow` (shell patterns), and `extra` over them."""
    patterns = tuple(allow)
    out: dict[str, str] = {}
    for name in source.names():
        value = source.get(name)
        if value is not None and any(fnmatchcase(name, pattern) for pattern in patterns):
            out[name] = value
    out.update(extra or {})
    return out
