"""Tools that the caller of a request runs itself: offered to the model beside the agent's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec

from openclaw.base.errors import InvalidRequest
from openclaw.base.model import ToolSpec

MAX_TOOLS: Final = 128
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NO_PARAMETERS: Final[dict[str, Any]] = {"type": "object", "properties": {}}


class FunctionSpec(msgspec.Struct, frozen=True):
    """A function that the model may ask for. `parameters` is a JSON Schema of type object."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatTool(msgspec.Struct, frozen=True):
    """A tool of a chat completion request."""

    function: FunctionSpec | None = None
    type: str = "function"


class ResponseTool(msgspec.Struct, frozen=True):
    """A tool of a Responses request: the function's fields stand beside its type."""

    type: str = "function"
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionName(msgspec.Struct, frozen=True):
    """The function that is wanted."""

    name: str


class NamedChoice(msgspec.Struct, frozen=True):
    """One tool that the model shall call. Chat completions nest the name, Responses do not."""

    type: str
    function: FunctionName | None = None
    name: str | None = None


ToolChoice = Literal["auto", "none", "required"] | NamedChoice


class Offer(NamedTuple):
    """What the model is shown, and what it must call: `choice` as in ModelRequest.tool_choice."""

    tools: tuple[ToolSpec, ...] = ()
    choice: str = ""


def chat_offer(tools: Sequence[ChatTool] | None, choice: ToolChoice | None) -> Offer:
    """Return what a chat completion request offers. Raises: InvalidRequest."""
    functions = []
    for index, tool in enumerate(tools or ()):
        if tool.type != "function" or tool.function is None:
            raise InvalidRequest(f"tools[{index}]: only tools of type 'function' can be offered")
        functions.append(tool.function)
    return _offer(functions, choice)


def response_offer(tools: Sequence[ResponseTool] | None, choice: ToolChoice | None) -> Offer:
    """Return what a Responses request offers. Raises: InvalidRequest."""
    functions = []
    for index, tool in enumerate(tools or ()):
        if tool.type != "function" or tool.name is None:
            raise InvalidRequest(f"tools[{index}]: only tools of type 'function' with a name can be offered")
        functions.append(FunctionSpec(tool.name, tool.description, tool.parameters, tool.strict))
    return _offer(functions, choice)


def _offer(functions: Sequence[FunctionSpec], choice: ToolChoice | None) -> Offer:
    if len(functions) > MAX_TOOLS:
        raise InvalidRequest(f"tools: at most {MAX_TOOLS} are taken")
    specs: dict[str, ToolSpec] = {}
    for index, function in enumerate(functions):
        if not _NAME.match(function.name):
            raise InvalidRequest(f"tools[{index}]: a name has up to 64 letters, digits, '_' and '-'")
        if function.name in specs:
            raise InvalidRequest(f"tools[{index}]: the name '{function.name}' is taken")
        parameters = function.parameters or _NO_PARAMETERS
        if parameters.get("type", "object") != "object":
            raise InvalidRequest(f"tools[{index}].parameters: must be a JSON schema of type object")
        specs[function.name] = ToolSpec(function.name, function.description or "", {**parameters, "type": "object"})
    return _chosen(specs, choice)


def _chosen(specs: dict[str, ToolSpec], choice: ToolChoice | None) -> Offer:
    if choice is None or choice == "auto":
        return Offer(tuple(specs.values()))
    if choice == "none":
        return Offer()
    if choice == "required":
        if not specs:
            raise InvalidRequest("tool_choice: 'required' needs tools")
        return Offer(tuple(specs.values()), "required")
    wanted = choice.function.name if choice.function is not None else choice.name
    if choice.type != "function" or wanted is None:
        raise InvalidRequest("tool_choice: only a choice of type 'function' with a name is taken")
    if wanted not in specs:
        raise InvalidRequest(f"tool_choice: '{wanted[:64]}' is not among the tools")
    return Offer((specs[wanted],), "required" if wanted in ("none", "required") else wanted)
