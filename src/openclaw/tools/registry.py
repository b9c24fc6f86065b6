"""All tools of the gateway: the built-in ones, installed packages' and configured actions."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import ConfigError, OpenClawError
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.model import ToolSpec
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import ActionConfig
from openclaw.tools.action import ActionTool, action_names, build_tool
from openclaw.tools.api import Tool, ToolBox, ToolContext, ToolSource
from openclaw.tools.builtin.files import edit_file, list_files, read_file, search_files, write_file
from openclaw.tools.builtin.image import read_image
from openclaw.tools.builtin.session_status import session_status
from openclaw.tools.module import load_module
from openclaw.tools.package import installed_actions
from openclaw.tools.toolbox import Box, Gate

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger("openclaw.tools")

MAX_BOXES = 256


@lru_cache(maxsize=1)
def builtin_tools() -> tuple[Tool, ...]:
    """The tools that every gateway has."""
    return tuple(
        map(build_tool, (read_file, read_image, list_files, search_files, write_file, edit_file, session_status))
    )


class _Selection(NamedTuple):
    """Which tools an agent may have."""

    allow: frozenset[str]
    deny: frozenset[str]

    def takes(self, name: str) -> bool:
        return (not self.allow or _named(name, self.allow)) and not _named(name, self.deny)


def _named(name: str, names: frozenset[str]) -> bool:
    return name in names or any(each.endswith("*") and name.startswith(each[:-1]) for each in names)


class ToolRegistry:
    """The tools by name, fixed at creation: a changed configuration makes a new registry, and old turns keep theirs.

    `more` are built-in tools that need other rooms. `extra` is what comes and goes meanwhile (MCP servers): its tools
    show up in every box, and where a name is taken already they stay out. An action that cannot be loaded is left out
    and named in `problems`; the others are not touched by it.
    """

    def __init__(
        self,
        actions: tuple[ActionConfig, ...],
        base_dir: Path,
        gate: Gate,
        *,
        more: Iterable[Tool] = (),
        extra: ToolSource | None = None,
    ) -> None:
        self._gate = gate
        self._extra = extra
        self._version = extra.version if extra else 0
        self._builtin = {tool.spec.name: tool for tool in (*builtin_tools(), *more)}
        self._actions: dict[str, Tool] = {}
        self._problems: dict[str, str] = {}
        self._boxes: BoundedMap[_Selection, Box] = BoundedMap("toolboxes", MAX_BOXES)
        for config in actions:
            self._add(config.name, partial(_configured, config, base_dir))
        for entry in installed_actions():
            if entry.name not in self._actions:  # the configuration wins
                self._add(entry.name, partial(_installed, entry))

    def tools(self) -> tuple[Tool, ...]:
        """Every tool that is there now, sorted by name."""
        extra = {tool.spec.name: tool for tool in self._extra.tools()} if self._extra else {}
        every = {**extra, **self._builtin, **self._actions}
        return tuple(every[name] for name in sorted(every))

    def actions(self) -> frozenset[str]:
        """The names of the configured and installed actions."""
        return frozenset(self._actions)

    def problems(self) -> dict[str, str]:
        """Why an action or a source of tools is not there, by its name."""
        return {**(self._extra.problems() if self._extra else {}), **self._problems}

    def toolbox(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> ToolBox:
        """Return the tools that are allowed (none named: all) and not denied; the same box for the same names.

        A name that ends in `*` means all that begin so. With an `extra`, the box shows what is there when it is asked.
        """
        selection = _Selection(frozenset(allow), frozenset(deny))
        return self.box(selection) if self._extra is None else _Current(self, selection)

    def box(self, selection: _Selection) -> Box:
        """Return the box of a selection as the tools are now."""
        if self._extra is not None and self._extra.version != self._version:
            self._boxes.clear()
            self._version = self._extra.version
        box = self._boxes.get(selection)
        if box is None:
            box = Box((tool for tool in self.tools() if selection.takes(tool.spec.name)), self._gate)
            self._boxes.put(selection, box)
        return box

    def _add(self, name: str, build: Callable[[], Tool]) -> None:
        if name in self._builtin or name in self._actions:
            self._problems[name] = f"The name {name!r} is taken by another tool. Choose another name."
            return
        try:
            self._actions[name] = build()
        except (Exception, SystemExit) as error:  # noqa: BLE001  # strangers' code: it fails alone
            reason = self._problems[name] = _reason(error)
            trace = None if isinstance(error, OpenClawError) else error
            _log.warning("action_not_loaded", exc_info=trace, extra={"fields": {"action": name, "reason": reason}})


class _Current:
    """A toolbox that follows what comes and goes."""

    def __init__(self, registry: ToolRegistry, selection: _Selection) -> None:
        self._registry = registry
        self._selection = selection

    def specs(self) -> tuple[ToolSpec, ...]:
        return self._registry.box(self._selection).specs()

    async def call(self, name: str, arguments: str, context: ToolContext) -> tuple[str, bool]:
        return await self._registry.box(self._selection).call(name, arguments, context)


async def test_tool(registry: ToolRegistry, name: str, args_json: str, workspace: Path) -> tuple[str, bool]:
    """Call one tool as the operator at the terminal would, through the gate. Return (text, is_error)."""
    problem = registry.problems().get(name)
    if problem and all(tool.spec.name != name for tool in registry.tools()):
        return f"{name} could not be loaded: {problem}", True
    context = ToolContext(
        principal=LOCAL_OPERATOR,
        agent_id=AgentId("cli"),
        session_key=SessionKey("agent:cli:test"),
        run_id=new_run_id(),
        workspace=workspace,
    )
    return await registry.toolbox().call(name, args_json, context)


test_tool.__test__ = False  # type: ignore[attr-defined]  # pytest collects what is called test_


def _configured(config: ActionConfig, base_dir: Path) -> Tool:
    folder = (base_dir / Path(config.path).expanduser()).resolve()
    module = load_module(config.module, folder, first=bool(config.path))
    target = getattr(module, config.class_, None)
    if target is None:
        raise ConfigError(
            f"The module {config.module!r} has no {config.class_!r}.",
            hint=f"It has: {', '.join(action_names(module)) or 'no action'}.",
        )
    return _vouched(build_tool(target, config.name, config.args))


def _installed(entry: EntryPoint) -> Tool:
    return _vouched(build_tool(entry.load(), entry.name))


def _vouched(tool: ActionTool) -> ActionTool:
    """Take what an action says that talks to no host for its own words: the operator has installed it."""
    capabilities = tool.capabilities
    if not capabilities.network:
        tool.capabilities = msgspec.structs.replace(capabilities, own_words=True)
    return tool


def _reason(error: BaseException) -> str:
    if isinstance(error, OpenClawError):
        return f"{error.message} {error.hint}".rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"
