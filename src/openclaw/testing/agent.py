"""Running a whole agent in a test: the real study, store and tools; only the model is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import msgspec

from openclaw.agent.asking import Workshop
from openclaw.agent.conversation import Recent
from openclaw.agent.directory import build_directory
from openclaw.agent.prompt import PromptRoom
from openclaw.agent.service import Study
from openclaw.base.clock import SYSTEM_CLOCK
from openclaw.base.ids import AgentId, SessionKey, new_run_id
from openclaw.base.message import user
from openclaw.base.model import ModelInfo
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import Inbound, Reply
from openclaw.config.schema import Config
from openclaw.models.calling.single import SingleCaller
from openclaw.models.fake.client import FakeClient, Step
from openclaw.store.sqlite import SqliteStore
from openclaw.testing.action import open_gate
from openclaw.tools.action import build_tool
from openclaw.tools.api import ToolBox
from openclaw.tools.registry import builtin_tools
from openclaw.tools.toolbox import Box

_AGENT = AgentId("main")
_SESSION = SessionKey("agent:main:main")


class _Resolved(msgspec.Struct, frozen=True):
    client: FakeClient
    info: ModelInfo


class _OneModel:
    """Every reference is the same fake model."""

    def __init__(self, client: FakeClient) -> None:
        self._client = client

    def default_ref(self) -> str:
        return "fake/echo"

    def resolve(self, ref: str) -> _Resolved:
        provider, _, model = ref.partition("/")
        return _Resolved(self._client, ModelInfo(id=model, provider=provider))


class _OneBox:
    """The built-in tools and the actions under test."""

    def __init__(self, targets: Iterable[Any]) -> None:
        self._actions = [build_tool(target) for target in targets]
        self._tools = [*builtin_tools(), *self._actions]

    def actions(self) -> frozenset[str]:
        return frozenset(tool.spec.name for tool in self._actions)

    def toolbox(self, allow: tuple[str, ...], deny: tuple[str, ...]) -> ToolBox:
        return Box((tool for tool in self._tools if tool.spec.name not in deny), open_gate)


class AgentHarness:
    """One agent with a fake model, the built-in tools and some actions. Use it as an async context manager.

    `script` holds the model's answers in order; without one the model repeats what it was told and makes the tool calls
    that lines like `/tool read_file {"path": "notes.txt"}` in the message spell out. `workspace` is a temporary folder,
    gone afterwards, and `model.requests` is what the model was asked.
    """

    workspace: Path

    def __init__(self, *targets: Any, script: Iterable[Step] = (), config: Config | None = None) -> None:
        self.model = FakeClient(script)
        self._tools = _OneBox(targets)
        self._config = config or Config()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> AgentHarness:
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="openclaw-test-")))
            self.workspace = folder / "workspace"
            store = await SqliteStore.open(folder / "openclaw.db", clock=SYSTEM_CLOCK)
            stack.push_async_callback(store.close)
            directory = build_directory(self._config, self._tools, workspace=self.workspace, state_dir=folder)
            models = _OneModel(self.model)
            shop = Workshop(
                store=store,
                models=models,
                caller=SingleCaller(models),
                prompts=PromptRoom(),
                clock=SYSTEM_CLOCK,
                route=lambda inbound, purpose, tokens: None,
                purse=lambda inbound: None,
                recent=Recent(),
            )
            self._study = Study(directory=directory, shop=shop)
            stack.push_async_callback(self._study.stop, 0)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def say(self, text: str) -> Reply:
        """Send a message in the one session and wait for how its run ends."""
        run = await self._study.submit(
            Inbound(
                run_id=new_run_id(),
                session_key=_SESSION,
                agent_id=_AGENT,
                message=user(text),
                principal=LOCAL_OPERATOR,
            )
        )
        return await run.result()


def run_agent(text: str, *targets: Any, script: Iterable[Step] = ()) -> Reply:
    """Send one message to an agent that has these actions, and return how its run ended."""

    async def once() -> Reply:
        async with AgentHarness(*targets, script=script) as agent:
            return await agent.say(text)

    return asyncio.run(once())
