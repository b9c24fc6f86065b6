"""Actions: tools in plain Python. A class with `run`, or a function under `@action`; the built-in tools are the latter.

1. The description is the docstring's first paragraph, the schema comes from the annotations.
2. `run` may be sync (it gets a thread of its own) or async. One instance serves all calls, several at once.
3. Capabilities are declared (`writes`, `dangerous`, `network`); the policy doors go by them.
4. A parameter annotated `Context` is filled by the gateway and never shown to the model.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, TypeVar, overload

import msgspec

from openclaw.base.errors import ConfigError, ToolError
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.message import ImagePart
from openclaw.base.model import ToolSpec
from openclaw.base.principal import Principal
from openclaw.tools.api import Safety, ToolContext
from openclaw.tools.docstring import summary
from openclaw.tools.result import RESULT_LIMIT_BYTES, result_text
from openclaw.tools.schema import Parameters, config_arguments
from openclaw.tools.thread import in_thread

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_TIMEOUT_S = 60.0
PROGRESS_LIMIT = 2_000
"""Longest progress text, in characters."""

IMAGE_LIMIT_BYTES = 5 * 1024 * 1024
"""Largest image that the providers take."""

_MARK = "__openclaw_action__"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Capabilities(msgspec.Struct, frozen=True):
    """What an action declares about itself. `network` lists the hosts it talks to.

    `door` is for built-in tools alone: the door of their own that they pass in every call.
    An `inward` one may be called by an agent that has read text from outside, without anybody being asked: what it
    changes is read as data, or it passes a door of its own.
    """

    writes: bool = False
    dangerous: bool = False
    network: tuple[str, ...] = ()
    inward: bool = False
    own_words: bool = False
    door: str = ""

    @property
    def safety(self) -> Safety:
        """The policy's class of it."""
        return "dangerous" if self.dangerous else "write" if self.writes else "safe"


class Action:
    """Base of actions that are classes: write `run` with annotated parameters; `__init__` takes the config's `args`."""

    name: ClassVar[str] = ""
    """Name the model sees; the configured name wins, and the class's name in snake_case is the default."""
    writes: ClassVar[bool] = False
    """It changes something: files, a database, another system."""
    dangerous: ClassVar[bool] = False
    """It may do harm that cannot be undone."""
    network: ClassVar[Sequence[str]] = ()
    """Hosts it talks to."""
    inward: ClassVar[bool] = False
    """What it changes is read as data by this agent alone."""
    own_words: ClassVar[bool] = False
    """Its results hold nothing that a stranger may have written."""
    timeout_s: ClassVar[float] = DEFAULT_TIMEOUT_S
    """Longest one call may take."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work. Return text, or anything that JSON can carry; raise ToolError to tell the model why not."""
        raise NotImplementedError


class _Call:
    """One call as its Context sees it; `over` outlives the call in a thread that could not be stopped."""

    __slots__ = ("loop", "over", "tool")

    def __init__(self, tool: ToolContext, loop: asyncio.AbstractEventLoop) -> None:
        self.tool = tool
        self.loop = loop
        self.over = False


class Context:
    """What an action may know about its call. Safe to use from the action's thread."""

    __slots__ = ("_call",)

    def __init__(self, call: _Call) -> None:
        self._call = call

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self._call.tool.principal

    @property
    def agent_id(self) -> AgentId:
        """Which agent calls."""
        return self._call.tool.agent_id

    @property
    def session_key(self) -> SessionKey:
        """In which conversation."""
        return self._call.tool.session_key

    @property
    def run_id(self) -> RunId:
        """In which run."""
        return self._call.tool.run_id

    @property
    def workspace(self) -> Path:
        """The agent's folder. For paths that a model gave, use `Workspace(context.workspace)`: it cannot be left."""
        return self._call.tool.workspace

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the runner tells about the session: model, tokens …"""
        return self._call.tool.facts

    @property
    def idempotency_key(self) -> str:
        """The same for every try of this call, also after a crash: give it along to what must not act twice."""
        return self._call.tool.idempotency_key

    @property
    def tainted(self) -> str:
        """By what way text from outside came into what the model has read; empty: it has read none."""
        return self._call.tool.tainted

    @property
    def depth(self) -> int:
        """How many agents stand above the one that calls; 0 when a person or a program started its run."""
        return self._call.tool.depth

    @property
    def cancelled(self) -> bool:
        """True once nobody waits any more (stopped or timed out). A long sync action looks at it and returns."""
        return self._call.over

    def progress(self, text: str) -> None:
        """Tell the person who waits what is going on; dropped when nobody listens."""
        call = self._call
        if call.tool.progress and not call.over and not call.loop.is_closed():
            call.loop.call_soon_threadsafe(call.tool.progress, text[:PROGRESS_LIMIT])

    def take_in(self, source: str) -> None:
        """Say by what way the result brings text from outside. For async actions with `own_words`."""
        if self._call.tool.took_in and not self._call.over:
            self._call.tool.took_in(source)

    def show(self, image: bytes, media_type: str) -> None:
        """Give the model an image along with the result: PNG, JPEG, GIF or WebP, at most 5 MiB.

        Raises: ToolError when the model takes text only, or the image is too large.
        """
        call = self._call
        if call.tool.show is None:
            raise ToolError("The model in use takes text only: it cannot be shown an image.")
        if len(image) > IMAGE_LIMIT_BYTES:
            raise ToolError(f"The image has {len(image)} bytes; the limit is {IMAGE_LIMIT_BYTES}.")
        if not call.over and not call.loop.is_closed():
            part = ImagePart(media_type, b64encode(image).decode())
            call.loop.call_soon_threadsafe(call.tool.show, part)


class Declaration(msgspec.Struct, frozen=True):
    """What `@action` was told; "" and 0 mean the default."""

    name: str = ""
    capabilities: Capabilities = Capabilities()
    timeout_s: float = DEFAULT_TIMEOUT_S
    result_bytes: int = RESULT_LIMIT_BYTES


@overload
def action(function: F, /) -> F: ...
@overload
def action(
    *,
    name: str = "",
    writes: bool = False,
    dangerous: bool = False,
    network: Sequence[str] = (),
    inward: bool = False,
    own_words: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    result_bytes: int = RESULT_LIMIT_BYTES,
) -> Callable[[F], F]: ...
def action(
    function: F | None = None,
    /,
    *,
    name: str = "",
    writes: bool = False,
    dangerous: bool = False,
    network: Sequence[str] = (),
    inward: bool = False,
    own_words: bool = False,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    result_bytes: int = RESULT_LIMIT_BYTES,
) -> F | Callable[[F], F]:
    """Declare a function as an action. It stays an ordinary function that can be called and tested as such."""
    capabilities = Capabilities(writes, dangerous, _hosts(network), inward, own_words)
    declaration = Declaration(name, capabilities, timeout_s, result_bytes)

    def mark(target: F) -> F:
        setattr(target, _MARK, declaration)
        return target

    return mark if function is None else mark(function)


class ActionTool:
    """An action as a Tool of the registry."""

    def __init__(
        self, name: str, description: str, function: Callable[..., Any], docs: str, declaration: Declaration
    ) -> None:
        self._parameters = Parameters(function, docs, inject=(Context,))
        self._function = function
        self._context_names = tuple(self._parameters.injected)
        self._is_async = inspect.iscoroutinefunction(function)
        self._result_bytes = declaration.result_bytes
        self.capabilities = declaration.capabilities
        self.timeout_s = declaration.timeout_s
        self._spec = ToolSpec(name, description, self._parameters.schema)

    @property
    def spec(self) -> ToolSpec:
        """What the model sees."""
        return self._spec

    @property
    def safety(self) -> Safety:
        """What the policy doors go by."""
        return self.capabilities.safety

    @property
    def inward(self) -> bool:
        """See Capabilities."""
        return self.capabilities.inward

    @property
    def own_words(self) -> bool:
        """See Capabilities."""
        return self.capabilities.own_words

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> str:
        """Run the action. Raises: InvalidRequest, ToolError, and whatever the author's code raises.

        Cancels: an async action at once; a sync one goes on in its thread, and its result is dropped.
        """
        kwargs = self._parameters.convert(arguments, self._spec.name)
        call = _Call(context, asyncio.get_running_loop())
        for name in self._context_names:
            kwargs[name] = Context(call)
        try:
            if self._is_async:
                value = await self._function(**kwargs)
            else:
                value = await in_thread(self._function, **kwargs)
                if inspect.isawaitable(value):
                    value = await value
        finally:
            call.over = True
        return result_text(value, self._result_bytes)


def build_tool(target: Any, name: str = "", args: Mapping[str, Any] | None = None) -> ActionTool:
    """Make a tool of an Action class (made with `args`), an Action instance, or a function under `@action`.

    Raises: ConfigError saying what is wrong with it.
    """
    if isinstance(target, type) and issubclass(target, Action):
        if target is Action:
            raise ConfigError("This is the base class itself.", hint="Name your own subclass of Action.")
        target = target(**config_arguments(target, args or {}))
        args = None
    if args:
        raise ConfigError("`args` are for classes; this is a function or an instance.", hint="Remove `args`.")
    if isinstance(target, Action):
        return _from_instance(target, name)
    declaration = getattr(target, _MARK, None)
    if inspect.isroutine(target) and isinstance(declaration, Declaration):
        doc = target.__doc__ or ""
        return _tool(name or declaration.name or target.__name__, doc, doc, target, declaration)
    raise ConfigError(
        f"{getattr(target, '__name__', type(target).__name__)} is not an action.",
        hint="Subclass openclaw.Action, or put @openclaw.action above the function.",
    )


def action_names(module: ModuleType) -> list[str]:
    """Return the names in a module that `build_tool` takes."""
    return [
        name
        for name, value in vars(module).items()
        if hasattr(value, _MARK) or (isinstance(value, type) and issubclass(value, Action) and value is not Action)
    ]


def _from_instance(target: Action, name: str) -> ActionTool:
    kind = type(target)
    if kind.run is Action.run:
        raise ConfigError(f"{kind.__name__} has no `run` method.")
    class_doc, run_doc = _own_doc(kind), kind.run.__doc__ or ""
    declaration = Declaration(
        target.name,
        Capabilities(
            bool(target.writes),
            bool(target.dangerous),
            _hosts(target.network),
            bool(target.inward),
            bool(target.own_words),
        ),
        float(target.timeout_s),
    )
    default = target.name or _snake(kind.__name__)
    return _tool(
        name or default, class_doc or run_doc, f"{class_doc}\n\n{inspect.cleandoc(run_doc)}", target.run, declaration
    )


def _tool(name: str, doc: str, docs: str, function: Callable[..., Any], declaration: Declaration) -> ActionTool:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a tool name: letters, digits, - and _, at most 64.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError("The action yields. It must return its result; use context.progress() on the way.")
    description = summary(doc)
    if not description:
        raise ConfigError(
            "The action has no docstring.", hint="Write one: it is what the model reads to choose the tool."
        )
    return ActionTool(name, description, function, docs, declaration)


def _own_doc(kind: type) -> str:
    """Return the class's docstring or an ancestor's, but neither Action's own nor the one that dataclass makes up."""
    for cls in kind.__mro__:
        if cls is Action:
            break
        doc = cls.__doc__
        if doc and not doc.startswith(f"{cls.__name__}("):
            return inspect.cleandoc(doc)
    return ""


def _hosts(network: Sequence[str]) -> tuple[str, ...]:
    return (network,) if isinstance(network, str) else tuple(network)


def _snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.removesuffix("Action") or name)
    return words.lower()
