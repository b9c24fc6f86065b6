"""Several credentials of one provider, from `auth-profiles.json`: an agent's own before the state directory's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.clock import Clock
from openclaw.base.secret import Secret
from openclaw.config.issue import Issue, IssueKind

FILE = "auth-profiles.json"
MAX_FILE_BYTES = 1_000_000
MAX_PROFILES = 200
"""Profiles read from one file."""
FAILURES_KEPT = 1_000

_KEY_OF = {"api_key": "key", "token": "token"}
"""Which field holds the secret, by the profile's type."""


class Credential(msgspec.Struct, frozen=True):
    """One credential of one provider. `name` is the profile's, `agent/profile` for an agent's own; never the secret."""

    name: str
    provider: str
    key: Secret


_Lists = dict[str, tuple[Credential, ...]]
NONE: tuple[Credential, ...] = ()


class Credentials:
    """All credentials of one gateway. Nothing is ever written back.

    Shape: every secret goes to `on_secret` before anybody can use it (so that no log line holds it).
    """

    def __init__(self, state_dir: Path, *, clock: Clock, on_secret: Callable[[Secret], None]) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._on_secret = on_secret
        self._shared: _Lists = {}
        self._by_agent: dict[str, _Lists] = {}
        self._failed_at: BoundedMap[tuple[str, str], float] = BoundedMap("failed credentials", FAILURES_KEPT)
        self.issues: tuple[Issue, ...] = ()

    def load(self) -> tuple[Issue, ...]:
        """Read the files anew and return what is wrong with them; what cannot be read counts as empty.

        Blocks for the time of a few small reads: call it at the start and at a reload.
        """
        issues: list[Issue] = []
        self._shared = self._read(self._state_dir / FILE, "", issues)
        agents = self._state_dir / "agents"
        folders = sorted(agents.iterdir()) if agents.is_dir() else []
        found = {folder.name: self._read(folder / FILE, folder.name, issues) for folder in folders}
        self._by_agent = {agent: lists for agent, lists in found.items() if lists}
        self._failed_at.clear()
        self.issues = tuple(issues)
        return self.issues

    def of(self, provider: str, agent_id: str = "") -> tuple[Credential, ...]:
        """Return a provider's credentials in the order of use: the one that failed longest ago, or never, comes first.

        An agent's own take the place of the shared ones.
        """
        own = self._by_agent.get(agent_id)
        found = own.get(provider) if own else None
        if found is None:
            found = self._shared.get(provider, NONE)
        if len(found) > 1 and len(self._failed_at):
            return tuple(sorted(found, key=lambda each: self._failed_at.get((provider, each.name)) or 0.0))
        return found

    def first(self, provider: str) -> Credential | None:
        """Return the shared credential to use where nobody rotates them, or None: the same until they are read anew."""
        found = self._shared.get(provider)
        return found[0] if found else None

    def failed(self, credential: Credential) -> None:
        """Note that a credential failed just now: the others come before it from here on."""
        self._failed_at.put((credential.provider, credential.name), max(self._clock.monotonic_s(), 1e-9))

    def _read(self, path: Path, agent: str, issues: list[Issue]) -> _Lists:
        try:
            stat = path.stat()
            if stat.st_size > MAX_FILE_BYTES:
                issues.append(_issue("unreadable", path, f"is larger than {MAX_FILE_BYTES} bytes", severity="error"))
                return {}
            raw = msgspec.json.decode(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            issues.append(_issue("unreadable", path, error.strerror or "cannot be read", severity="error"))
            return {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # The decoder's own words may quote the file, and the file holds secrets.
            issues.append(_issue("parse-error", path, "is not JSON", severity="error"))
            return {}
        if stat.st_mode & 0o077:
            mode = f"has mode {stat.st_mode & 0o777:04o}: others on this machine can read or change its secrets"
            issues.append(_issue("invalid-value", path, mode, hint=f"Run `chmod 600 {path}`."))
        return self._profiles(raw, path, agent, issues)

    def _profiles(self, raw: Any, path: Path, agent: str, issues: list[Issue]) -> _Lists:
        profiles = raw.get("profiles") if isinstance(raw, dict) else None
        if not isinstance(profiles, dict):
            issues.append(_issue("invalid-value", path, "has no object `profiles`", severity="error"))
            return {}
        lists: dict[str, list[Credential]] = {}
        if len(profiles) > MAX_PROFILES:
            issues.append(_issue("invalid-value", path, f"has more than {MAX_PROFILES} profiles; the rest is not used"))
        for name in _in_order(raw, list(profiles))[:MAX_PROFILES]:
            found = self._profile(profiles[name], f"{agent}/{name}" if agent else name)
            if isinstance(found, str):
                issues.append(_issue("invalid-value", path, f"profile {name!r} is not used: {found}"))
                continue
            self._on_secret(found.key)
            lists.setdefault(found.provider, []).append(found)
        return {provider: tuple(credentials) for provider, credentials in lists.items()}

    def _profile(self, raw: Any, name: str) -> Credential | str:
        """Return the credential, or why the profile is none."""
        if not isinstance(raw, dict):
            return "it is not an object"
        provider, kind = raw.get("provider"), raw.get("type", "api_key")
        if not isinstance(provider, str) or not provider.strip():
            return "it names no provider"
        field = _KEY_OF.get(kind) if isinstance(kind, str) else None
        if field is None:
            return "only the types api_key and token are supported"
        secret = raw.get(field)
        if not isinstance(secret, str) or not secret.strip():
            return f"it has no `{field}`"
        if not secret.strip().isprintable():
            return f"its `{field}` holds control characters"
        expires = raw.get("expires")
        if isinstance(expires, int | float) and 0 < expires <= self._clock.now_ms():
            return "it has expired"
        return Credential(name, provider.strip().lower(), Secret(secret.strip()))


def _in_order(raw: dict[str, Any], names: list[str]) -> list[str]:
    """Sort profiles as the file's `order` wants, then the one that was last good, then as they stand."""
    order, good = raw.get("order"), raw.get("lastGood")
    wanted: list[Any] = []
    if isinstance(order, dict):
        wanted += [name for listed in order.values() if isinstance(listed, list) for name in listed]
    if isinstance(good, dict):
        wanted += good.values()
    first = dict.fromkeys(name for name in wanted if isinstance(name, str) and name in raw["profiles"])
    return list(dict.fromkeys((*first, *names)))


def _issue(kind: IssueKind, path: Path, message: str, *, severity: Any = "warning", hint: str = "") -> Issue:
    return Issue(kind, str(path), message, severity=severity, hint=hint, section="models")
