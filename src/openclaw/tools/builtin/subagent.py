"""Sub-agents: an agent gives a task away and gets the answer back.

1. A task is all that the other agent knows: it starts in a session of its own, without this conversation.
2. Depth is bounded: at the deepest allowed the tool says so, and the agent does the task itself.
3. The number that one run may start is bounded, whether they succeed or not.
4. A cancelled call ends the run that it started; one that is tried again after a crash finds the run of its first try.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from openclaw.base.bounded import BoundedMap
from openclaw.base.errors import OpenClawError, ToolError
from openclaw.base.ids import AgentId, RunId, SessionKey
from openclaw.base.principal import Principal
from openclaw.config.schema import SubagentsConfig
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Tool
from openclaw.tools.builtin.sessions import Sent

MAX_TASK_CHARS = 50_000
TIMEOUT_S = 3_600.0
"""The runs have limits of their own, and the parent's wall time ends them all; this only keeps a call from staying."""
MAX_RUNS = 1_024
"""Runs whose number of sub-agents is remembered."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """A task for another agent. `depth` is the one that its run has; `run_key` is the same for every try."""

    agent_id: AgentId
    task: str
    principal: Principal
    depth: int
    run_key: str
    parent_session: SessionKey
    parent_run: RunId
    tainted: str = ""
    """By what way text from outside had a part in the task; empty: by none."""


class SubagentPort(Protocol):
    """What the study offers to this tool."""

    def agents(self) -> Sequence[AgentId]:
        """Return the agents that may be given a task."""
        ...

    async def run(self, errand: Errand) -> Sent:
        """Run the task in a session of its own and wait for its end, however long it takes.

        Cancels: the run is aborted. Raises: OpenClawError when it cannot be accepted.
        """
        ...


def subagent_tools(port: SubagentPort, config: SubagentsConfig) -> tuple[Tool, ...]:
    """Return the tool that starts agents, or nothing where the configuration allows none."""
    if config.max_depth < 1:
        return ()
    started: BoundedMap[RunId, int] = BoundedMap("subagents", MAX_RUNS)

    @action(writes=True, inward=True, timeout_s=TIMEOUT_S)
    async def run_agent(
        task: Annotated[
            str,
            Meta(
                description="What to do, with everything that is needed to do it.",
                min_length=1,
                max_length=MAX_TASK_CHARS,
            ),
        ],
        context: Context,
        agent: Annotated[str, Meta(description="Which agent; empty = one like you.", max_length=64)] = "",
    ) -> str:
        """Have another agent do a task on its own and return its answer. It knows nothing of this conversation."""
        chosen = AgentId(agent or context.agent_id)
        known = [each for each in port.agents() if context.principal.may_talk_to(each)]
        if chosen not in known:
            raise ToolError(f"There is no agent {agent!r}. There are: {', '.join(known) or 'none'}.")
        if context.depth >= config.max_depth:
            raise ToolError(
                f"Agents may be started {config.max_depth} deep, and you are that deep. Do the task yourself."
            )
        count = started.get(context.run_id) or 0
        if count >= config.max_children:
            raise ToolError(f"This run has started {count} agents, which is the limit. Do the rest yourself.")
        started.put(context.run_id, count + 1)
        errand = Errand(
            agent_id=chosen,
            task=task,
            principal=context.principal,
            depth=context.depth + 1,
            run_key=context.idempotency_key,
            parent_session=context.session_key,
            parent_run=context.run_id,
            tainted=context.tainted,
        )
        try:
            sent = await port.run(errand)
        except OpenClawError as error:
            raise ToolError(f"The agent {chosen} did not take the task: {error.message}") from None
        if sent.state != "ok":
            raise ToolError(f"The agent {chosen} ended as {sent.state}: {sent.text or 'it did not say why'}")
        return sent.text or "(it ended without an answer)"

    return (build_tool(run_agent),)
