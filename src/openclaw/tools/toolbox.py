"""The tools of one agent: from the model's text to a result text, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import msgspec

from openclaw.base.errors import InvalidRequest, OpenClawError, PolicyDenied, ToolError
from openclaw.base.model import ToolSpec
from openclaw.telemetry.redact import REDACTOR
from openclaw.tools.action import DEFAULT_TIMEOUT_S
from openclaw.tools.api import Tool, ToolContext

_log = logging.getLogger("openclaw.tools")

ARGUMENTS_LIMIT = 8 * 1024 * 1024
"""Longest arguments text, in characters: a file of 1 MiB fits, however it is escaped."""
MAX_ERROR_TEXT = 2_000

DENIED = "The policy does not allow this call: "
"""How the text of a call begins before which the door stayed shut."""

Gate = Callable[[Tool, Mapping[str, Any], ToolContext], Awaitable[None]]
"""The policy's door: passed before each act. Raises: PolicyDenied, Unavailable when the verdict cannot be written."""


class Box:
    """Implements ToolBox. `specs` never change, so that the prompt's prefix keeps its bytes."""

    def __init__(self, tools: Iterable[Tool], gate: Gate) -> None:
        self._tools = {tool.spec.name: tool for tool in sorted(tools, key=lambda tool: tool.spec.name)}
        self._specs = tuple(tool.spec for tool in self._tools.values())
        self._gate = gate

    def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is shown, sorted by name."""
        return self._specs

    async def call(self, name: str, arguments: str, context: ToolContext) -> tuple[str, bool]:
        """Run a tool with JSON text as the model wrote it. Return (text, is_error); raises nothing but Cancelled."""
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(self._tools) or "none"
            return f"There is no tool {name[:80]!r}. There are: {known}.", True
        timeout_s: float = getattr(tool, "timeout_s", DEFAULT_TIMEOUT_S)
        deadline = asyncio.timeout(timeout_s)
        try:
            given = _decoded(arguments)
            await self._gate(tool, given, context)
            if context.took_in is not None and not tool.own_words:
                context.took_in(name)
            async with deadline:
                return await tool.call(given, context), False
        except TimeoutError as error:
            if deadline.expired():
                _log.warning("tool_timed_out", extra={"fields": {"tool": name, "timeout_s": timeout_s}})
                return f"{name} did not end within {timeout_s:g} seconds and was given up.", True
            return _unexpected(name, error), True
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return _unexpected(name, error), True  # the tool's own: nobody cancelled us
        except PolicyDenied as error:
            if context.refused is not None:
                context.refused(error)
            return f"{DENIED}{error.message}", True
        except (ToolError, InvalidRequest) as error:
            return _told(error), True
        except (Exception, SystemExit) as error:  # noqa: BLE001  # strangers' code: its failure is one call's result
            return _unexpected(name, error), True


def _decoded(arguments: str) -> dict[str, Any]:
    if len(arguments) > ARGUMENTS_LIMIT:
        raise InvalidRequest(f"The arguments have {len(arguments)} characters; the limit is {ARGUMENTS_LIMIT}.")
    if not arguments.strip():
        return {}
    try:
        given = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise InvalidRequest(f"The arguments are not valid JSON: {error}.") from None
    if not isinstance(given, dict):
        raise InvalidRequest(f"The arguments must be a JSON object, not {type(given).__name__}.")
    return given


def _told(error: OpenClawError) -> str:
    hint = error.hint if error.hint != type(error).default_hint else ""
    return _clean(f"{error.message} {hint}".rstrip())


def _unexpected(name: str, error: BaseException) -> str:
    _log.warning("tool_failed", exc_info=error, extra={"fields": {"tool": name}})
    detail = _clean(str(error)).strip()
    return f"{name} failed: {type(error).__name__}{': ' if detail else ''}{detail}"


def _clean(text: str) -> str:
    return REDACTOR.clean(text)[:MAX_ERROR_TEXT].encode("utf-8", "replace").decode()
