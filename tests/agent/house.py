"""A study on a real store with scripted models, for the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from openclaw.agent.api import Run
from openclaw.agent.asking import Workshop
from openclaw.agent.conversation import Recent
from openclaw.agent.directory import Directory, build_directory
from openclaw.agent.prompt import PromptRoom
from openclaw.agent.service import Study
from openclaw.automation.system_event import SystemEvents
from openclaw.base.clock import SYSTEM_CLOCK, Clock
from openclaw.base.errors import ModelNotFound
from openclaw.base.ids import AgentId, RunId, SessionKey, new_run_id
from openclaw.base.message import Message, user
from openclaw.base.model import ModelInfo, ToolSpec
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.run import Inbound, LaneMode
from openclaw.config.schema import AgentDefaults, AgentsConfig, Config, LimitsConfig, QueueConfig
from openclaw.models.calling.single import SingleCaller
from openclaw.models.client import LLMClient
from openclaw.models.fake.client import FakeClient
from openclaw.store.sqlite import SqliteStore
from openclaw.tools.api import ToolBox, ToolContext

MAIN = AgentId("main")
KEY = SessionKey("agent:main:main")


class Resolved(msgspec.Struct, frozen=True):
    client: LLMClient
    info: ModelInfo


class OneModel:
    """Every reference but `nope/…` is the same scripted client."""

    def __init__(self, client: LLMClient, **profile: Any) -> None:
        self.client = client
        self.profile = profile

    def default_ref(self) -> str:
        return "fake/echo"

    def resolve(self, ref: str) -> Resolved:
        provider, _, model = ref.partition("/")
        if provider == "nope":
            raise ModelNotFound(f"no model {ref}")
        return Resolved(self.client, ModelInfo(id=model, provider=provider, **self.profile))


ToolFunction = Callable[[str], str]


class Box:
    """Tools as plain functions from argument text to result text."""

    def __init__(self, functions: Mapping[str, ToolFunction]) -> None:
        self.functions = functions
        self.calls: list[str] = []
        self.keys: list[str] = []
        self.taints: list[str] = []
        """What each call was told of text from outside."""
        self.outside: set[str] = set()
        """The tools whose results come from outside."""
        self.hold: asyncio.Event | None = None

    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(ToolSpec(name, name, {"type": "object", "properties": {}}) for name in sorted(self.functions))

    async def call(self, name: str, arguments: str, context: ToolContext) -> tuple[str, bool]:
        self.calls.append(name)
        self.keys.append(context.idempotency_key)
        self.taints.append(context.tainted)
        if name in self.outside and context.took_in is not None:
            context.took_in(name)
        if self.hold is not None:
            await self.hold.wait()
        if name not in self.functions:
            return f"unknown tool: {name}", True
        return self.functions[name](arguments), False


class Tools:
    def __init__(self, box: ToolBox) -> None:
        self.box = box

    def toolbox(self, allow: tuple[str, ...], deny: tuple[str, ...]) -> ToolBox:
        return self.box

    def actions(self) -> frozenset[str]:
        return frozenset()


class House:
    """What a test needs in its hands."""

    def __init__(self, study: Study, store: SqliteStore, client: FakeClient, box: Box, models: OneModel) -> None:
        self.study, self.store, self.client, self.box, self.models = study, store, client, box, models
        self.events: SystemEvents

    async def say(self, text: str, *, key: SessionKey = KEY, run_id: str = "", **more: Any) -> Run:
        return await self.study.submit(inbound(text, key=key, run_id=run_id, **more))

    async def transcript(self, key: SessionKey = KEY) -> list[Message]:
        steps = await self.study.history(key, LOCAL_OPERATOR)
        return [message for step in steps for message in step.messages]

    async def texts(self, key: SessionKey = KEY) -> list[str]:
        return [message.text for message in await self.transcript(key)]


def inbound(
    text: str,
    *,
    key: SessionKey = KEY,
    run_id: str = "",
    lane_mode: LaneMode | None = None,
    **more: Any,
) -> Inbound:
    return Inbound(
        run_id=RunId(run_id) if run_id else new_run_id(),
        session_key=key,
        agent_id=MAIN,
        message=user(text),
        principal=LOCAL_OPERATOR,
        lane_mode=lane_mode,
        **more,
    )


def config_of(
    *, limits: LimitsConfig | None = None, queue: QueueConfig | None = None, max_concurrent: int = 64
) -> Config:
    defaults = AgentDefaults(
        limits=limits or LimitsConfig(), queue=queue or QueueConfig(), max_concurrent=max_concurrent
    )
    return Config(agents=AgentsConfig(defaults=defaults))


def directory_of(config: Config, box: ToolBox, folder: Path) -> Directory:
    return build_directory(config, Tools(box), workspace=folder / "workspace", state_dir=folder)


@asynccontextmanager
async def house(
    folder: Path,
    client: FakeClient | None = None,
    *,
    config: Config | None = None,
    functions: Mapping[str, ToolFunction] | None = None,
    clock: Clock = SYSTEM_CLOCK,
    profile: Mapping[str, Any] | None = None,
    grace_s: float = 0,
    announcing: bool = False,
    skills: Callable[[AgentId, Path], Awaitable[str]] | None = None,
) -> AsyncIterator[House]:
    client = client or FakeClient()
    box = Box(functions or {})
    models = OneModel(client, **(profile or {}))
    store = await SqliteStore.open(folder / "openclaw.db", clock=clock)
    events = SystemEvents(store.shelf, clock)
    shop = Workshop(
        store=store,
        models=models,
        caller=SingleCaller(models),
        prompts=PromptRoom(),
        clock=clock,
        route=lambda inbound, purpose, tokens: None,
        purse=lambda inbound: None,
        recent=Recent(),
        announcements=events if announcing else None,
        skills=skills,
    )
    study = Study(directory=directory_of(config or config_of(), box, folder), shop=shop)
    try:
        here = House(study, store, client, box, models)
        here.events = events
        yield here
    finally:
        await study.stop(grace_s)
        await store.close()


async def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    """Let the loop turn until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # any turn of the loop may be the one that makes it true
            await asyncio.sleep(0)
