"""Actions in plain Python become tools."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pydantic
import pytest

from openclaw import Action, Context, action
from openclaw.base.errors import ConfigError, ToolError
from openclaw.testing import call_action, make_context, run_action
from openclaw.tools.action import Capabilities, build_tool
from openclaw.tools.result import RESULT_LIMIT_BYTES, result_text
from openclaw.tools.thread import MAX_THREADS, in_thread

pytestmark = pytest.mark.anyio


class TranslateAction(Action):
    """Translate text.

    This is for people, not for models.
    """

    writes = True
    network: ClassVar = ["api.example.com"]

    def __init__(self, target_lang: str) -> None:
        self.target_lang = target_lang

    def run(self, input_text: str, times: int = 1) -> str:
        """Translate.

        Args:
            input_text: What to translate.
        """
        return f"{self.target_lang}:{input_text * times}"


@action
def shout(text: str) -> str:
    """Say it loud."""
    return text.upper()


@action(name="wait_a_moment", dangerous=True, timeout_s=0.05)
async def wait(context: Context) -> str:
    """Wait for ever."""
    await asyncio.Event().wait()
    return "never"


@action
def context_facts(context: Context) -> list[str]:
    """Tell what the context knows."""
    return [context.principal.owner, context.agent_id, context.session_key, context.run_id, context.workspace.name]


def test_a_class_becomes_a_tool() -> None:
    tool = build_tool(TranslateAction, args={"target_lang": "es"})
    assert tool.spec.name == "translate"
    assert tool.spec.description == "Translate text."
    assert tool.spec.parameters == {
        "type": "object",
        "properties": {
            "input_text": {"type": "string", "description": "What to translate."},
            "times": {"type": "integer", "default": 1},
        },
        "required": ["input_text"],
        "additionalProperties": False,
    }
    assert tool.safety == "write"
    assert tool.capabilities == Capabilities(writes=True, network=("api.example.com",))
    assert run_action(TranslateAction("es"), input_text="a", times=2) == "es:aa"


def test_a_function_stays_a_function_and_becomes_a_tool() -> None:
    assert shout("hey") == "HEY"
    tool = build_tool(shout)
    assert (tool.spec.name, tool.spec.description, tool.safety) == ("shout", "Say it loud.", "safe")
    assert build_tool(shout, "loud").spec.name == "loud"
    assert run_action(shout, text="hey") == "HEY"


def test_what_the_decorator_was_told_is_kept() -> None:
    tool = build_tool(wait)
    assert (tool.spec.name, tool.safety, tool.timeout_s) == ("wait_a_moment", "dangerous", 0.05)
    assert tool.spec.parameters["properties"] == {}


def test_a_context_is_given_and_not_shown(tmp_path: Path) -> None:
    assert run_action(context_facts, in_context=make_context(tmp_path / "w")) == (
        '["operator","test","agent:test:main","test-run","w"]'
    )


def test_an_action_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ToolError, match=r"wait_a_moment did not end within 0\.05 seconds"):
        run_action(wait)


async def test_cancelling_reaches_an_async_action_at_once() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    @action
    async def endless() -> None:
        """Never end."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.ensure_future(call_action(endless))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_sync_action_learns_that_nobody_waits_any_more() -> None:
    started, saw = threading.Event(), threading.Event()

    @action
    def patient(context: Context) -> str:
        """Wait until told."""
        started.set()
        while not context.cancelled:
            pass
        saw.set()
        return "dropped"

    task = asyncio.ensure_future(call_action(patient))
    assert await asyncio.to_thread(started.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(saw.wait, 5)


async def test_a_blocking_action_does_not_block_the_loop() -> None:
    release = threading.Event()

    @action
    def blocking() -> str:
        """Block."""
        return str(release.wait(5))

    task = asyncio.ensure_future(call_action(blocking))
    await asyncio.sleep(0)
    release.set()
    assert await task == "True"


async def test_progress_is_heard_while_the_call_runs(tmp_path: Path) -> None:
    heard: list[str] = []

    @action
    def steps(context: Context) -> str:
        """Take steps."""
        context.progress("one")
        context.progress("x" * 5_000)
        return "done"

    assert await call_action(steps, in_context=make_context(tmp_path, progress=heard.append)) == "done"
    assert [len(text) for text in heard] == [3, 2_000]
    assert await call_action(steps, in_context=make_context(tmp_path)) == "done"


async def test_calls_of_one_instance_run_at_the_same_time() -> None:
    barrier = threading.Barrier(8, timeout=5)

    class Meet(Action):
        """Meet the others."""

        def run(self, number: int) -> int:
            barrier.wait()
            return number

    meet = Meet()
    assert await asyncio.gather(*(call_action(meet, number=number) for number in range(8))) == [*"01234567"]


async def test_a_sync_run_may_return_an_awaitable() -> None:
    @action
    def later() -> Any:
        """Answer later."""

        async def answer() -> str:
            return "later"

        return answer()

    assert await call_action(later) == "later"


async def test_threads_are_counted_and_bounded() -> None:
    release = threading.Event()
    waiting = [asyncio.ensure_future(in_thread(release.wait)) for _ in range(MAX_THREADS)]
    await asyncio.sleep(0)
    with pytest.raises(ToolError, match="still running"):
        await in_thread(release.wait)
    release.set()
    assert all(await asyncio.gather(*waiting))
    assert await in_thread(lambda: 1) == 1


async def test_what_a_thread_raises_arrives() -> None:
    def stop() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        await in_thread(stop)


class NoRun(Action):
    """Has no run."""


class NoDoc(Action):
    def run(self) -> str:
        return ""


@dataclass
class NoDocDataclass(Action):
    key: str

    def run(self) -> str:
        return ""


class Yields(Action):
    """Yield."""

    def run(self) -> Iterator[str]:
        yield "x"


class YieldsAsync(Action):
    """Yield."""

    async def run(self) -> AsyncIterator[str]:
        yield "x"


class Untyped(Action):
    """Untyped."""

    def run(self, value) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return str(value)


def plain() -> None:
    """Is no action."""


@pytest.mark.parametrize(
    ("target", "args", "told"),
    [
        (NoRun, {}, "no `run`"),
        (NoDoc, {}, "no docstring"),
        (NoDocDataclass, {"key": "k"}, "no docstring"),
        (Yields, {}, "yields"),
        (YieldsAsync, {}, "yields"),
        (Untyped, {}, "value has no type"),
        (plain, {}, "plain is not an action"),
        (Action, {}, "base class"),
        (dict, {}, "dict is not an action"),
        (3, {}, "int is not an action"),
        (shout, {"a": 1}, "`args` are for classes"),
        (TranslateAction, {}, "target_lang is required"),
        (TranslateAction, {"target_lang": 5}, "target_lang: Expected `str`, got `int`"),
        (TranslateAction, {"target_lang": "es", "lang": "es"}, "lang is not an argument"),
    ],
)
def test_what_is_wrong_with_an_action_is_said(target: Any, args: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        build_tool(target, args=args)


def test_a_name_that_providers_refuse_is_refused() -> None:
    with pytest.raises(ConfigError, match="not a tool name"):
        build_tool(shout, "two words")


class Answer(pydantic.BaseModel):
    text: str
    score: float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "done (no result)"),
        (5, "5"),
        (True, "true"),
        ({"b": 1, "a": [1, 2]}, '{"b":1,"a":[1,2]}'),
        (Answer(text="x", score=0.5), '{"text":"x","score":0.5}'),
        ([Answer(text="x", score=1)], '[{"text":"x","score":1.0}]'),
        ("lone \ud800", "lone ?"),
    ],
)
def test_results_become_text(value: Any, text: str) -> None:
    assert result_text(value) == text


def _cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"raw", "returned bytes"),
        (bytearray(b"raw"), "returned bytes"),
        (object(), "returned a object"),
        (lambda: 1, "returned a function"),
        ({"f": object()}, "returned a dict"),
        (_cycle(), "returned a list"),
        ({"a": "\ud800"}, "returned a dict"),
        (Answer, "returned a ModelMetaclass"),
    ],
)
def test_results_that_are_no_text_are_refused(value: Any, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        result_text(value)


@pytest.mark.parametrize("make", [lambda: "é" * 100_000, lambda: ["x"] * 100_000])
def test_long_results_are_cut_and_say_so(make: Callable[[], Any]) -> None:
    text = result_text(make())
    assert len(text.encode()) < RESULT_LIMIT_BYTES + 100
    assert text.endswith(f"only the first {RESULT_LIMIT_BYTES} are shown]")
