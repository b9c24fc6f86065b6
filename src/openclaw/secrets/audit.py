"""What is wrong with how a configuration keeps its secrets. No finding holds a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.base.secret import Secret
from openclaw.config.keypath import KeyPath, format_path
from openclaw.config.load import Loaded
from openclaw.config.paths import StatePaths
from openclaw.config.redaction.redact import REFERENCE, is_secret_key
from openclaw.config.reference import NotAReference, Reference, parse_reference
from openclaw.config.schema import Config, SecretProviderConfig, Section
from openclaw.config.schema.shape import Shape, fields, is_secret
from openclaw.secrets.file import weakness
from openclaw.secrets.former import FILE as FORMER
from openclaw.secrets.outcome import Unresolved
from openclaw.secrets.pointer import split_id
from openclaw.secrets.provider import BUILT_IN, STORE, provider_of
from openclaw.secrets.store import members_of

FindingId = Literal["plain-text", "weak-mode", "unresolved", "unused", "duplicate"]
_AS_TOKENS = ("gateway.remote.token",)
"""Secrets that are meant to be the same as another: the token of a gateway elsewhere may be this one's."""


class Place(msgspec.Struct, frozen=True, rename="camel"):
    """One place for a secret that the file fills. Shape: `source` is `plain text`, `variable`, or a reference's."""

    path: str
    source: str
    id: str = ""
    provider: str = ""
    resolved: bool = True
    problem: str = ""
    used_by: tuple[str, ...] = ()
    """Every setting that this same secret fills, this one too; one in plain text has its own alone."""


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    """One thing to mend; `path` is a key path or a file."""

    id: FindingId
    path: str
    message: str
    hint: str


def places(loaded: Loaded) -> list[Place]:
    """Return every place for a secret that the file fills, in the file's order."""
    problems = {placed.path: placed.problem for placed in loaded.references}
    missing = {issue.path for issue in loaded.issues if issue.kind == "missing-env"}
    found: list[Place] = []
    for path, value in _filled(Config, loaded.parsed, ()):
        where = format_path(path)
        reference = _reference(value)
        if reference is not None:
            found.append(_referenced(where, reference, loaded, problems.get(where, "it stands where none is read")))
        elif isinstance(value, str) and REFERENCE.fullmatch(value):
            problem = "the variable is not set" if where in missing else ""
            found.append(Place(where, "variable", value[2:-1], "", not problem, problem))
        elif isinstance(value, str) and value:
            found.append(Place(where, "plain text"))
    users: dict[tuple[str, str, str], list[str]] = {}
    for each in found:
        users.setdefault(_key(each), []).append(each.path)
    return [
        msgspec.structs.replace(each, used_by=tuple(users[_key(each)]) if each.id else (each.path,)) for each in found
    ]


def _key(place: Place) -> tuple[str, str, str]:
    """Tell one secret from another: `${NAME}` and a reference to the variable are the same."""
    return ("env" if place.source == "variable" else place.source, place.provider or BUILT_IN, place.id)


def reference_at(loaded: Loaded, path: str) -> Reference | None:
    """Return what names the secret of a setting, a variable too; None for one that is not there or in plain text."""
    for place, value in _filled(Config, loaded.parsed, ()):
        if format_path(place) == path:
            if isinstance(value, str) and REFERENCE.fullmatch(value) and value.startswith("${"):
                return Reference("env", value[2:-1])
            return _reference(value)
    return None


def findings(loaded: Loaded, paths: StatePaths) -> list[Finding]:
    """Return everything to mend, worst first."""
    kept = places(loaded)
    return [*_plain(kept), *_modes(loaded, paths), *_unresolved(kept), *_duplicates(loaded), *_unused(loaded, paths)]


def _referenced(where: str, reference: Reference, loaded: Loaded, problem: str) -> Place:
    try:
        name, provider = provider_of(reference, loaded.config.secrets)
    except Unresolved:
        return Place(where, reference.source or "secrets", reference.id, reference.provider, not problem, problem)
    return Place(where, provider.source, reference.id, name, not problem, problem)


def _reference(value: Any) -> Reference | None:
    try:
        return parse_reference(value)
    except NotAReference:
        return None


def _filled(section: type[Section], raw: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not isinstance(raw, Mapping):
        return
    known = fields(section)
    for key, value in raw.items():
        if key in known:
            yield from _values(known[key].shape, value, (*path, key))
        elif isinstance(value, str | Mapping):
            yield from _named(value, (*path, key))


def _values(shape: Shape, value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if shape.kind == "section" and shape.section:
        yield from _filled(shape.section, value, path)
    elif shape.item and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(shape.item, item, (*path, index))
    elif shape.item and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _values(shape.item, item, (*path, key))
    elif is_secret(shape):
        yield path, value
    else:
        yield from _named(value, path)


def _named(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    """Yield what is a secret by its name in a part that the schema does not describe."""
    if isinstance(path[-1], str) and is_secret_key(path[-1]) and (isinstance(value, str) or _reference(value)):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _named(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _named(item, (*path, index))


def _plain(kept: list[Place]) -> Iterator[Finding]:
    for place in kept:
        if place.source == "plain text":
            # Clients on this machine read the token as well, and know `${NAME}` but not every kind of reference.
            own = place.path == "gateway.auth.token"
            hint = f"openclaw secrets set {place.path}"
            hint = f"openclaw gateway token show | {hint} --to env" if own else hint
            yield Finding("plain-text", place.path, "the secret itself stands in the configuration", hint)


def _modes(loaded: Loaded, paths: StatePaths) -> Iterator[Finding]:
    folder = paths.state_dir
    own = [
        loaded.path,
        paths.env_file,
        folder / STORE,
        folder / "auth-profiles.json",
        folder / FORMER,
        paths.token,
        paths.identity,
    ]
    given = (provider.path for provider in loaded.config.secrets.providers.values() if _is_checked(provider))
    for path in dict.fromkeys([*own, *(folder / Path(text).expanduser() for text in given)]):
        try:
            weak = weakness(path.stat())
        except OSError:
            continue
        if weak:
            yield Finding("weak-mode", str(path), f"it {weak}", f"chmod 600 {path}")


def _is_checked(provider: SecretProviderConfig) -> bool:
    return provider.source == "file" and bool(provider.path) and not provider.allow_insecure


def _unresolved(kept: list[Place]) -> Iterator[Finding]:
    for place in kept:
        if place.problem:
            message = f"{place.source} {place.id} has no value, or an old one: {place.problem}"
            yield Finding("unresolved", place.path, message, "Mend the source, then: openclaw secrets reload")


def _duplicates(loaded: Loaded) -> Iterator[Finding]:
    first: dict[bytes, str] = {}
    for path, secret in _secrets(loaded.config, ()):
        where = format_path(path)
        if where in _AS_TOKENS or not secret:
            continue
        before = first.setdefault(sha256(secret.reveal().encode("utf-8", "surrogatepass")).digest(), where)
        if before != where:
            message = f"it is the same secret as {before}: who learns one has both"
            yield Finding("duplicate", where, message, f"openclaw secrets set {where}")


def _secrets(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Secret]]:
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, Section):
        for field in fields(type(value)).values():
            yield from _secrets(getattr(value, field.name), (*path, field.key))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, (*path, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _secrets(item, (*path, index))


def _unused(loaded: Loaded, paths: StatePaths) -> Iterator[Finding]:
    used: set[str] = set()
    members: set[str] = set()
    config = loaded.config.secrets
    for placed in loaded.references:
        try:
            name, provider = provider_of(placed.reference, config)
        except Unresolved:
            continue
        used.add(name)
        file, member = (provider.path, placed.reference.id) if provider.path else split_id(placed.reference.id)
        if file in (STORE, str(paths.state_dir / STORE)):
            members.update((member, member.removeprefix("/").replace("~1", "/").replace("~0", "~")))
    for name in config.providers.keys() - used - {BUILT_IN}:
        message = "no reference is read by this provider"
        yield Finding("unused", f"secrets.providers.{name}", message, f"openclaw config unset secrets.providers.{name}")
    store = paths.state_dir / STORE
    try:
        kept = members_of(store, store.read_bytes())
    except (OSError, ConfigError):
        return
    for name in kept.keys() - members:
        yield Finding("unused", str(store), f"no reference names its member {name!r}", "Remove the member.")
