"""A tool choice for wires that have no field for it: said in words, or by what is offered."""

from __future__ import annotations

from openclaw.base.model import ModelRequest, ToolSpec


def offered(request: ModelRequest) -> tuple[ToolSpec, ...]:
    """Return the tools that a request's choice leaves: none, the named one, or all."""
    wanted = request.tool_choice
    if wanted == "none":
        return ()
    return tuple(tool for tool in request.tools if tool.name == wanted) or request.tools


def choice_note(request: ModelRequest) -> str:
    """Return what a model is told of a call that it must make, or an empty text."""
    if request.tool_choice in ("", "none") or not request.tools:
        return ""
    names = ", ".join(tool.name for tool in offered(request))
    return f"Answer with a call of one of these tools: {names}."
