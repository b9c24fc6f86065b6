"""All tools of the gateway: the built-in ones, installed packages' and configured actions."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import ConfigError, OpenClawError
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.config.schema import ActionConfig
from openclaw.tools.action import action_names, build_tool
from openclaw.tools.api import Tool, ToolBox, ToolContext
from openclaw.tools.files import edit_file, list_files, read_file, search_files, write_file
from openclaw.tools.module import load_module
from openclaw.tools.package import installed_actions
from openclaw.tools.session_status import session_status
from openclaw.tools.toolbox import Box, Gate

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger("openclaw.tools")

MAX_BOXES = 256


@lru_cache(maxsize=1)
def builtin_tools() -> tuple[Tool, ...]:
    """The tools that every gateway has."""
    return tuple(map(build_tool, (read_file, list_files, search_files, write_file, edit_file, session_status)))


class ToolRegistry:
    """The tools by name, fixed at creation: a changed configuration makes a new registry, and old turns keep theirs.

    An action that cannot be loaded is left out and named in `problems`; the others are not touched by it.
    """

    def __init__(self, actions: tuple[ActionConfig, ...], base_dir: Path, gate: Gate) -> None:
        self._gate = gate
        self._builtin = {tool.spec.name: tool for tool in builtin_tools()}
        self._actions: dict[str, Tool] = {}
        self._problems: dict[str, str] = {}
        self._boxes: BoundedMap[tuple[frozenset[str], frozenset[str]], Box] = BoundedMap("toolboxes", MAX_BOXES)
        for config in actions:
            self._add(config.name, partial(_configured, config, base_dir))
        for entry in installed_actions():
            if entry.name not in self._actions:  # the configuration wins
                self._add(entry.name, partial(_installed, entry))

    def tools(self) -> tuple[Tool, ...]:
        """Every tool, sorted by name."""
        both = {**self._builtin, **self._actions}
        return tuple(both[name] for name in sorted(both))

    def actions(self) -> frozenset[str]:
        """The names of the tools that are not built in."""
        return frozenset(self._actions)

    def problems(self) -> dict[str, str]:
        """Why an action is not there, by its name."""
        return dict(self._problems)

    def toolbox(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> ToolBox:
        """Return the tools that are allowed (none named: all) and not denied; the same box for the same names."""
        key = (frozenset(allow), frozenset(deny))
        box = self._boxes.get(key)
        if box is None:
            allowed, denied = key
            names = (tool for tool in self.tools() if not allowed or tool.spec.name in allowed)
            box = Box((tool for tool in names if tool.spec.name not in denied), self._gate)
            self._boxes.put(key, box)
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
    return build_tool(target, config.name, config.args)


def _installed(entry: EntryPoint) -> Tool:
    return build_tool(entry.load(), entry.name)


def _reason(error: BaseException) -> str:
    if isinstance(error, OpenClawError):
        return f"{error.message} {error.hint}".rstrip()
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{at}"
