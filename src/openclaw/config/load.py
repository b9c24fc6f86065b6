"""From the file to a frozen Config that always can be used: read, substitute, split, validate, override."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from openclaw.base.errors import ConfigError
from openclaw.base.network import parse_network
from openclaw.base.secret import Secret
from openclaw.config import lastgood
from openclaw.config.env import Environment
from openclaw.config.issue import Issue
from openclaw.config.paths import StatePaths, is_yaml
from openclaw.config.reading.form import read
from openclaw.config.reading.include import assemble, named_files
from openclaw.config.reading.normalise import normalise
from openclaw.config.reading.old_names import OldNames
from openclaw.config.reading.override import override, replace_at
from openclaw.config.reading.parse import MAX_CONFIG_BYTES
from openclaw.config.reading.scan import Positions
from openclaw.config.reading.split import Split
from openclaw.config.reading.substitute import Substitution
from openclaw.config.reading.validate import Validator
from openclaw.config.reference import NO_ANSWER, Answer, Placed
from openclaw.config.schema import Config
from openclaw.config.vouching import problem_of

LoadSource = Literal["file", "last-good", "defaults"]
Files = Mapping[Path, bytes]
"""The file and those that it includes, in the order of reading; empty where there is no file."""


class Draft(msgspec.Struct, frozen=True):
    """A text that may become the file. `files` are those that it includes, None for those on disk."""

    text: str
    files: Files | None = None


_TOKEN_PATH = "gateway.auth.token"  # noqa: S105  # the name of a setting


class Loaded(msgspec.Struct, frozen=True):
    """A configuration ready for use, with all that a person may ask about it."""

    config: Config
    issues: tuple[Issue, ...]
    raw: str
    """Text on disk, also when it could not be parsed."""
    hash: str
    """sha256 hex of the bytes on disk, included files too; the base hash of clients. Empty text has a hash too."""
    file_hash: str
    """sha256 hex of the bytes of the file itself; the base hash for the next write."""
    path: Path
    exists: bool
    valid: bool
    """The file on disk was used and no issue is an error; warnings do not count."""
    source: LoadSource
    parsed: dict[str, Any]
    """What the files say, before substitution: holds references instead of values from the environment."""
    own: dict[str, Any]
    """What the file itself says: `parsed` without what it includes."""
    included: tuple[Path, ...]
    positions: Positions
    """Where each setting is written."""
    sources: dict[str, str]
    """Where a setting came from: `file` or `NAME (source)`; what is absent here is on its default."""
    references: tuple[Placed, ...]
    """Every reference at a place for a secret, and what is wrong with it."""
    env: Environment
    """The environment including the config's own `env` block."""

    def __repr__(self) -> str:
        # The text and the environment hold secrets; a repr ends up in logs and tracebacks.
        return f"Loaded({str(self.path)!r}, source={self.source!r}, valid={self.valid}, issues={len(self.issues)})"

    @property
    def standalone(self) -> str:
        """The text, or, where it includes others, one text (JSON, which is YAML too) that says all of it."""
        return msgspec.json.encode(self.parsed).decode() if self.included else self.raw

    def line_of(self, path: str) -> int:
        """Return the line on which the file sets a key path, or 0."""
        from openclaw.config.keypath import parse_path

        if self.source != "file" or self.sources.get(path) != "file":
            return 0
        return self.positions.at(parse_path(path))[0]


def load(paths: StatePaths, env: Environment, secrets: Answer = NO_ANSWER) -> Loaded:
    """Read the configuration file. A missing one means defaults; a broken one means the last that worked, loudly.

    `secrets` knows the values of references; what it does not know is an issue.

    Raises: CONFIG_INVALID with line and column when the file cannot be read and there is no last-known-good.
    """
    raw = b""
    try:
        raw = _read(paths.config_path)
        return load_text(_decode(raw), paths, env, "file", raw, secrets)
    except FileNotFoundError:
        return load_text("{}", paths, env, "defaults", raw, secrets)
    except ConfigError as error:
        return _fall_back(error, paths, env, raw, secrets)


def load_text(
    text: str,
    paths: StatePaths,
    env: Environment,
    source: LoadSource = "file",
    on_disk: bytes | None = None,
    secrets: Answer = NO_ANSWER,
    contents: Files | None = None,
) -> Loaded:
    """Load a text as if it were the file: for candidates of `config set`, of a patch, of a test.

    Shape: `contents` are the files that it includes as they were once; None reads them from disk.
    Raises: CONFIG_INVALID with line and column when it does not parse.
    """
    document = read(text, yaml=is_yaml(paths.config_path) and source != "defaults", placed=source == "file")
    assembly = assemble(document, paths.config_path, placed=source == "file", contents=contents)
    parsed = assembly.parsed
    named = OldNames(parsed, assembly.positions)
    positions = named.positions
    env = _with_config_env(parsed, env)
    substitution = Substitution(env.get)
    raw = substitution.apply(named.values)
    normalise(raw)
    split = Split(raw, positions)
    validator = Validator(positions, substitution.missing, substitution.replaced, secrets)
    config = validator.config(raw)
    sources = dict.fromkeys(split.named, "file" if source == "file" else source)
    config, env_issues = override(config, env, sources)
    config = _with_token_file(config, paths, sources)
    unread = [Issue("unreadable", "env", problem, severity="warning", section="env") for problem in env.problems]
    issues = (
        *document.issues,
        *assembly.issues,
        *named.issues,
        *validator.issues,
        *env_issues,
        *_requirements(config),
        *split.issues,
        *unread,
    )
    disk = text.encode("utf-8", "surrogatepass") if on_disk is None else on_disk
    return Loaded(
        config=config,
        issues=issues,
        raw="" if source == "defaults" else text,
        hash=_hash_of_all(disk, assembly.digests),
        file_hash=sha256(disk).hexdigest(),
        path=paths.config_path,
        exists=source != "defaults",
        valid=not any(issue.severity == "error" for issue in issues),
        source=source,
        parsed=parsed,
        own=document.parsed,
        included=tuple(file for file, _ in assembly.digests),
        positions=positions,
        sources=sources,
        references=tuple(validator.references),
        env=env,
    )


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the configuration file and all that it includes, also what is missing or cannot be read."""
    try:
        document = read(_decode(_read(path)), yaml=is_yaml(path), placed=False)
    except (ConfigError, FileNotFoundError):
        return (path,)
    return (path, *named_files(document, path).paths)


def read_files(path: Path) -> Files:
    """Return the configuration as it is on disk: the file, and what it includes as far as that can be read."""
    try:
        raw = _read(path)
    except (ConfigError, FileNotFoundError):
        return {}
    try:
        document = read(_decode(raw), yaml=is_yaml(path), placed=False)
    except ConfigError:
        return {path: raw}
    return {path: raw, **named_files(document, path).contents}


def hash_of(files: Files) -> str:
    """Return what `Loaded.hash` is for these files."""
    main, *included = files.items() or ((Path(), b""),)
    return _hash_of_all(main[1], tuple((path, sha256(raw).hexdigest()) for path, raw in included))


def load_files(files: Files, paths: StatePaths, env: Environment) -> Loaded:
    """Load a configuration as it was once; secrets that it names elsewhere are issues.

    Raises: CONFIG_INVALID when it could not be read then.
    """
    if not files:
        return load_text("{}", paths, env, "defaults", b"")
    path, raw = next(iter(files.items()))
    paths = msgspec.structs.replace(paths, config_path=path)
    return load_text(_decode(raw), paths, env, on_disk=raw, contents=files)


def _hash_of_all(main: bytes, digests: tuple[tuple[Path, str], ...]) -> str:
    """Without included files it is the plain hash of the file's bytes."""
    found = sha256(main)
    if not digests:
        return found.hexdigest()
    return sha256(msgspec.json.encode([found.hexdigest(), *((str(path), each) for path, each in digests)])).hexdigest()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CONFIG_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(path) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="Give the gateway's user read access to it."
        ) from None
    if len(raw) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_CONFIG_BYTES} bytes")
    return raw


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"the configuration is not UTF-8 at line {line}", details={"line": line, "column": 1}
        ) from None


def _fall_back(error: ConfigError, paths: StatePaths, env: Environment, raw: bytes, secrets: Answer) -> Loaded:
    text = lastgood.load(paths.last_good)
    if text is None:
        raise error
    try:
        good = load_text(text, paths, env, "last-good", raw, secrets)
    except ConfigError:
        raise error from None
    kind: Literal["parse-error", "unreadable"] = "parse-error" if "line" in error.details else "unreadable"
    hint = f"The last configuration that worked is in use. {error.hint}"
    line, column = error.details.get("line", 0), error.details.get("column", 0)
    issue = Issue(kind, "", error.message, line, column, "error", hint)
    disk = raw.decode("utf-8", "replace")
    return msgspec.structs.replace(good, issues=(issue, *good.issues), raw=disk, valid=False)


def _with_config_env(parsed: Mapping[str, Any], env: Environment) -> Environment:
    """Add the config's own variables last; they may themselves refer to the environment, not to each other."""
    block = parsed.get("env")
    if not isinstance(block, dict) or not block:
        return env
    holder: dict[str, Any] = {"env": Substitution(env.get).apply(block)}
    normalise(holder)
    given = holder["env"].get("vars", {})
    if not isinstance(given, dict):
        return env
    known = {key: value for key, value in given.items() if isinstance(value, str) and "${" not in value}
    return env.with_layer("config env block", known)


def _with_token_file(config: Config, paths: StatePaths, sources: dict[str, str]) -> Config:
    if config.gateway.auth.token or config.gateway.auth.mode in ("password", "none"):
        return config
    try:
        text = paths.token.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return config
    if not text:
        return config
    sources[_TOKEN_PATH] = str(paths.token)
    replaced: Config = replace_at(config, tuple(_TOKEN_PATH.split(".")), Secret(text))
    return replaced


def _requirements(config: Config) -> list[Issue]:
    """Settings that are valid alone but useless without another."""
    gateway, issues = config.gateway, []
    if gateway.auth.mode == "password" and not gateway.auth.password:
        message = "mode password needs a password; nobody can sign in"
        hint = "Set gateway.auth.password or OPENCLAW_GATEWAY_PASSWORD."
        issues.append(Issue("invalid-value", "gateway.auth.password", message, hint=hint, section="gateway"))
    if problem := problem_of(gateway):
        hint = "Until then only programs on this machine come in, by the token."
        issues.append(Issue("invalid-value", "gateway.auth.mode", problem, hint=hint, section="gateway"))
    if gateway.mode == "remote" and not gateway.remote.url:
        message, hint = "mode remote needs the address of a gateway", "Set gateway.remote.url."
        issues.append(Issue("invalid-value", "gateway.remote.url", message, hint=hint, section="gateway"))
    for entry in gateway.trusted_proxies:
        if parse_network(entry) is None:
            message = f"{entry[:60]!r} is no address; nobody is trusted by it"
            hint = "Name an IP address or a network: 127.0.0.1, 10.0.0.0/8."
            issues.append(Issue("invalid-value", "gateway.trustedProxies", message, hint=hint, section="gateway"))
    return issues
