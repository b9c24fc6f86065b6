"""Values to the typed Config: every problem is found and named, and each disables only what it must.

1. An entry (provider, model, agent, action, channel, variable) with a problem is dropped alone.
2. A bad leaf elsewhere goes back to its default, so that the control plane always comes up.
3. `tools` is closed while it is broken: a deny list that cannot be read must not open anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import NODEFAULT

from openclaw.base.secret import Secret
from openclaw.config.issue import Issue, IssueKind
from openclaw.config.keypath import KeyPath, format_path, section_of
from openclaw.config.reading.channel import check_channel
from openclaw.config.reading.scan import Positions
from openclaw.config.reference import NO_ANSWER, Answer, NotAReference, Placed, parse_reference
from openclaw.config.schema import Config, HooksConfig, NodeCommandsConfig, Section, ToolsConfig
from openclaw.config.schema.shape import Shape, base_types, expected, fields, is_secret, shape_of

CLOSED_TOOLS = ToolsConfig(allow=("none-until-the-config-is-fixed",))
"""Offers nothing: the one name that it allows belongs to no tool."""


CLOSED_NODES = NodeCommandsConfig(deny=("*",))
"""Lets no command through: what a broken list was to deny is not known."""


def _with_closed_nodes(config: Config) -> Config:
    nodes = msgspec.structs.replace(config.gateway.nodes, commands=CLOSED_NODES)
    return msgspec.structs.replace(config, gateway=msgspec.structs.replace(config.gateway, nodes=nodes))


class _Invalid:
    """Marks a value that had a problem, which is already reported."""


INVALID = _Invalid()


def to_secret(type_: type, value: Any) -> Any:
    """msgspec's hook: plain text for a Secret leaf becomes a Secret, and what only names one does not."""
    if type_ is Secret and isinstance(value, str) and parse_reference(value) is None:
        return Secret(value)
    raise ValueError("Expected `str`")


class Validator:
    """Builds the Config from raw values and collects the issues."""

    def __init__(
        self,
        positions: Positions,
        missing: Mapping[KeyPath, str],
        replaced: Mapping[KeyPath, str] | None = None,
        secrets: Answer = NO_ANSWER,
    ) -> None:
        self.issues: list[Issue] = []
        self.references: list[Placed] = []
        self._secrets = secrets
        self._positions = positions
        self._missing = missing
        self._replaced = replaced or {}
        self._told: set[KeyPath] = set()
        self._kept: dict[KeyPath, list[int]] = {}

    def config(self, raw: Mapping[str, Any]) -> Config:
        """Return a usable Config, whatever the values are."""
        config = self._fast(raw) if not self._missing else None
        if config is None:
            built = self._section(Config, raw, (), ())
            config = built if isinstance(built, Config) else Config()
        for path in self._missing.keys() - self._told:
            self._lacks(path, (), "warning")
        return self._across(config)

    @staticmethod
    def _fast(raw: Mapping[str, Any]) -> Config | None:
        try:
            return msgspec.convert(raw, Config, dec_hook=to_secret)
        except (msgspec.ValidationError, RecursionError):
            return None

    # `entry` is the path of the innermost entry around a value, () outside of any: it decides what a problem disables.

    def _section(self, section: type[Section], raw: Any, path: KeyPath, entry: KeyPath) -> Section | _Invalid:
        if not isinstance(raw, Mapping):
            self._wrong(shape_of(section), raw, path, entry)
            return INVALID if entry else section()
        values: dict[str, Any] = {}
        broken = False
        for key, field in fields(section).items():
            if key not in raw:
                if field.default is NODEFAULT:
                    broken = True
                    message = f"required, but missing: {expected(field.shape)}"
                    self._report("invalid-value", (*path, key), message, entry)
                continue
            value = self._value(field.shape, raw[key], (*path, key), entry)
            if value is INVALID:
                broken = True
            else:
                values[field.name] = value
        return INVALID if broken and entry else section(**values)

    def _value(self, shape: Shape, raw: Any, path: KeyPath, entry: KeyPath) -> Any:
        if shape.kind == "section" and shape.section and (isinstance(raw, Mapping) or not shape.optional):
            return self._section(shape.section, raw, path, entry)
        if shape.kind == "list" and shape.item and isinstance(raw, list):
            return self._list(shape.item, raw, path, entry)
        if shape.kind == "map" and shape.item and isinstance(raw, Mapping):
            built = {key: self._value(shape.item, item, (*path, key), (*path, key)) for key, item in raw.items()}
            return {key: value for key, value in built.items() if value is not INVALID}
        return self._leaf(shape, raw, path, entry)

    def _list(self, item: Shape, raw: list[Any], path: KeyPath, entry: KeyPath) -> Any:
        entries = item.kind == "section"
        built = [
            self._value(item, value, (*path, index), (*path, index) if entries else entry)
            for index, value in enumerate(raw)
        ]
        self._kept[path] = [index for index, value in enumerate(built) if value is not INVALID]
        kept = tuple(value for value in built if value is not INVALID)
        # Half a list of plain values is another list; half a list of entries is still useful.
        return kept if entries or len(kept) == len(built) else INVALID

    def _leaf(self, shape: Shape, raw: Any, path: KeyPath, entry: KeyPath) -> Any:
        if lacking := [place for place in self._missing if place[: len(path)] == path]:
            for place in lacking:
                self._lacks(place, entry, "error")
            return INVALID
        if is_secret(shape) and (secret := self._referenced(raw, path, entry)) is not None:
            return secret
        try:
            # Text from a variable may stand for a number: "${PORT}" is the only way to write it.
            loose = path in self._replaced and str not in base_types(shape)
            return msgspec.convert(raw, shape.type, strict=not loose, dec_hook=to_secret)
        except (msgspec.ValidationError, RecursionError):
            self._wrong(shape, raw, path, entry)
            return INVALID

    def _referenced(self, raw: Any, path: KeyPath, entry: KeyPath) -> Secret | _Invalid | None:
        """Return the value of a reference, None where the leaf holds none."""
        try:
            reference = parse_reference(raw)
        except NotAReference as error:
            self._report("invalid-value", path, str(error), entry)
            return INVALID
        if reference is None:
            return None
        found, problem = self._secrets.value(reference), self._secrets.problem(reference)
        self.references.append(Placed(format_path(path), reference, problem))
        if problem:
            message = f"the secret {reference} has no value: {problem}"
            hint = f"See `openclaw secrets list`. {_consequence(path, entry)}"
            if found is not None:
                message, hint = (
                    f"the secret {reference} keeps its last value: {problem}",
                    "It is asked for again later.",
                )
            severity: Literal["error", "warning"] = "error" if found is None else "warning"
            self._add(Issue("unresolved-secret", "", message, severity=severity, hint=hint), path, entry)
        return INVALID if found is None else found

    def _across(self, config: Config) -> Config:
        """Check what no single leaf can know."""
        agents = self._unique(config.agents.list, "id", ("agents", "list"))
        actions = self._unique(config.actions, "name", ("actions",))
        channels = {name: body for name, body in config.channels.items() if self._channel(name, body)}
        if len(agents) != len(config.agents.list):
            config = msgspec.structs.replace(config, agents=msgspec.structs.replace(config.agents, list=agents))
        if len(actions) != len(config.actions) or len(channels) != len(config.channels):
            config = msgspec.structs.replace(config, actions=actions, channels=channels)
        config = msgspec.structs.replace(config, hooks=self._hooks(config))
        if any(issue.severity == "error" and issue.section == "tools" for issue in self.issues):
            config = msgspec.structs.replace(config, tools=CLOSED_TOOLS)
        if any(issue.severity == "error" and issue.path.startswith("gateway.nodes") for issue in self.issues):
            config = _with_closed_nodes(config)
        return config

    def _unique(self, entries: tuple[Any, ...], attribute: str, path: KeyPath) -> tuple[Any, ...]:
        seen: dict[str, Any] = {}
        for index, entry in zip(self._kept.get(path, range(len(entries))), entries, strict=True):
            name = getattr(entry, attribute)
            if name in seen:
                message = f"the {attribute} {name!r} is taken by an earlier entry"
                self._report("duplicate-id", (*path, index), message, (*path, index))
            else:
                seen[name] = entry
        return tuple(seen.values())

    def _channel(self, name: str, body: Mapping[str, Any]) -> bool:
        path = ("channels", name)
        problems = check_channel(body)
        for key, wanted in problems:
            message = f"expected {wanted}, got {describe_value(body[key], hide=True)}"
            self._report("invalid-value", (*path, key), message, path)
        if not problems:
            message = "this channel is not available in this version and stays off"
            self._add(Issue("not-available", "", message, severity="warning"), path, path)
        return not problems

    def _hooks(self, config: Config) -> HooksConfig:
        """Return the hooks, switched off when no sender could prove itself or a leak would open the gateway."""
        hooks = config.hooks
        if not hooks.enabled:
            return hooks
        if hooks.token and hooks.token in (config.gateway.auth.token, config.gateway.auth.password):
            path, message = ("hooks", "token"), "the hooks' token must not be the gateway's own"
        elif not hooks.token and not any(mapping.signature for mapping in hooks.mappings):
            path, message = ("hooks", "enabled"), "hooks.enabled needs hooks.token, or mappings with a signature"
        else:
            return hooks
        hint = "Until then no webhook is taken in."
        self._add(Issue("invalid-value", "", message, hint=hint), path, ())
        return msgspec.structs.replace(hooks, enabled=False)

    def _lacks(self, path: KeyPath, entry: KeyPath, severity: Literal["error", "warning"]) -> None:
        self._told.add(path)
        name = self._missing[path]
        hint = f"Set {name}, or edit this line."
        if severity == "error":
            hint += f" {_consequence(path, entry)}"
        issue = Issue("missing-env", "", f"the variable {name} is not set", severity=severity, hint=hint)
        self._add(issue, path, entry)

    def _wrong(self, shape: Shape, raw: Any, path: KeyPath, entry: KeyPath) -> None:
        got = describe_value(raw, hide=is_secret(shape))
        self._report("invalid-value", path, f"expected {expected(shape)}, got {got}", entry)

    def _report(self, kind: IssueKind, path: KeyPath, message: str, entry: KeyPath) -> None:
        self._add(Issue(kind, "", message, hint=_consequence(path, entry)), path, entry)

    def _add(self, issue: Issue, path: KeyPath, entry: KeyPath) -> None:
        line, column = self._positions.at(path)
        section = format_path(entry) if entry else section_of(path)
        message = issue.message + self._positions.written(path)
        placed = {
            "path": format_path(path),
            "line": line,
            "column": column,
            "section": section,
            "file": self._positions.file(path),
        }
        self.issues.append(msgspec.structs.replace(issue, message=message, **placed))


def _consequence(path: KeyPath, entry: KeyPath) -> str:
    if entry:
        return f"Until then {format_path(entry)} is left out."
    if path[:1] == ("tools",):
        return "Until then no tool is offered."
    return "Until then the default is used."


def describe_value(raw: Any, *, hide: bool = False) -> str:
    """Name the kind of a value; short plain values are shown unless they may be secret."""
    if raw is None:
        return "null"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, int | float):
        return "a number" if hide else f"the number {str(raw)[:24]}"
    if isinstance(raw, str):
        return f'"{raw}"' if not hide and len(raw) <= 24 and raw.isprintable() else "text"
    return "a list" if isinstance(raw, list) else "an object"
