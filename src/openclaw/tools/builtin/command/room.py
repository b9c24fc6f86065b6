"""From what an agent wants to run to a job: judged, asked about, verified, written down, started.

1. A command is judged on the disk as it is. What is allowed starts; what is denied never does.
2. What is to be asked about becomes a row for people. When none can be reached, the answer is no at once.
3. After a yes everything is judged anew, and only the very plan that was approved starts, within the same walls.
4. The row in the ledger comes before the start. It names programs and digests, no word of the command.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET

from openclaw.base.audit import Fact
from openclaw.base.errors import Conflict, PolicyDenied, ToolError, Unavailable
from openclaw.config.schema import ExecConfig, SandboxConfig
from openclaw.policy.approval import DECISIONS, Approval, Decision
from openclaw.policy.approvals import Approvals, NewApproval
from openclaw.policy.exec.door import FACT, KIND, Wanted
from openclaw.policy.exec.judge import Judgement, Request, judge
from openclaw.policy.exec.plan import Plan
from openclaw.policy.exec.program import Programs, within
from openclaw.policy.exec.rules import ExecPolicy, policy_of
from openclaw.policy.exec.rules_file import AgentRules, ExecRules, Listed
from openclaw.policy.gatekeeper import Ask, Gatekeeper, Verdict, refused
from openclaw.processes.sandbox import job as sandbox
from openclaw.processes.sandbox.choice import Choice, Sandboxes
from openclaw.tools.api import Caller
from openclaw.tools.builtin.command.jobs import Job, Jobs

MAX_LISTED: Final = 2000
MAX_VALUE: Final = 300
"""How much of a variable's value people are shown."""
WRITES: Final = 5
"""Tries to add a rule to a file that others change meanwhile."""
HEX: Final = 16


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent wants to run. Shape: `folder` is seen from the workspace; 0 seconds is the configured time."""

    text: str
    folder: str = ""
    environment: Mapping[str, str] = {}
    timeout_s: int = 0
    takes_input: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one caller now.

    Shape: `main`: the session is the agent's main one; `confined`: by which skill it is; `trusted`: `tools.tainted`
    names commands.
    """

    exec: ExecConfig
    sandbox: SandboxConfig
    main: bool
    confined: str = ""
    trusted: bool = False


class Place(Caller, Protocol):
    """For whom, and in which workspace. Context and ToolContext are such."""

    @property
    def workspace(self) -> Path: ...


WayOut = Callable[[Place], AbstractAsyncContextManager[Path]]
"""Opens a Unix socket that leads to the door of egress, for as long as a command of this caller runs."""


class Commands:
    """Starts commands. `settings` returns what holds; `reachable` says whether a person can be asked."""

    def __init__(
        self,
        *,
        gate: Gatekeeper,
        approvals: Approvals,
        rules: ExecRules,
        sandboxes: Sandboxes,
        jobs: Jobs,
        settings: Callable[[Caller], Settings],
        reachable: Callable[[Approval], bool],
        hidden: Callable[[], tuple[Path, ...]],
        way_out: WayOut | None = None,
    ) -> None:
        self.jobs = jobs
        self._gate = gate
        self._approvals = approvals
        self._rules = rules
        self._sandboxes = sandboxes
        self._settings = settings
        self._reachable = reachable
        self._hidden = hidden
        self._way_out = way_out
        self._programs = Programs()

    async def start(self, wish: Wish, context: Place, hear: Callable[[bytes], None] | None = None) -> Job:
        """Start a command that may run. Raises: PolicyDenied, ToolError, Unavailable."""
        self.jobs.check(context)
        settings = self._settings(context)
        choice = await self._sandboxes.choose(settings.sandbox, main=settings.main)
        wanted = await self._judged(wish, context, settings, choice)
        await asyncio.to_thread(_check_folder, wanted.judgement.plan)
        verdict = await self._gate.admit(_ask(wanted, context, choice))
        if verdict.answer == "ask":
            approval = await self._approved(
                _request(wish, context, wanted, verdict, settings, choice), context, verdict
            )
            approved, walls_shown = wanted.judgement.plan, _walls_of(choice)
            settings = self._settings(context)
            choice = await self._sandboxes.choose(settings.sandbox, main=settings.main)
            wanted = await self._judged(wish, context, settings, choice)
            if _walls_of(choice) == walls_shown:
                wanted = msgspec.structs.replace(wanted, approved=approved)
            ask = _ask(wanted, context, choice, approval.id)
            verdict = await self._gate.admit(ask)
            if verdict.answer == "allow" and approval.decision == "allow-always":
                await asyncio.to_thread(self._remember, context.agent_id, wanted.judgement.standing)
        if verdict.answer != "allow":
            raise refused(_ask(wanted, context, choice), verdict)
        self.jobs.check(context)
        plan = _job(wanted.judgement.plan, settings.exec, takes_input=wish.takes_input)
        timeout_s = _timeout_s(wish, settings)
        try:
            async with AsyncExitStack() as stack:
                walls = self._walls(context, settings)
                if self._way_out and _leads_out(settings, choice):
                    path = await stack.enter_async_context(self._way_out(context))
                    walls = msgspec.structs.replace(walls, proxy=path)
                running = await choice.sandbox.start(plan, walls)
                job = self.jobs.start(context, wish.text, running, timeout_s, takes_input=wish.takes_input, hear=hear)
                job.after = stack.pop_all().aclose
                return job
        except (Unavailable, OSError) as error:
            raise ToolError(f"The command was not started: {error}") from None

    async def _judged(self, wish: Wish, context: Place, settings: Settings, choice: Choice) -> Wanted:
        policy, judgement = await asyncio.to_thread(self._judge, wish, context, settings.exec)
        return Wanted(
            judgement=judgement,
            ask=policy.ask,
            no_walls=choice.no_walls,
            takes_input=wish.takes_input,
            confined=settings.confined,
            free=settings.trusted or choice.sandbox.backend != "none",
        )

    def _judge(self, wish: Wish, context: Place, config: ExecConfig) -> tuple[ExecPolicy, Judgement]:
        policy = policy_of(config, self._rules.read().file, context.agent_id)
        workspace = context.workspace.resolve()
        request = Request(
            text=wish.text,
            cwd=str(workspace / wish.folder),
            workspace=str(workspace),
            environment=wish.environment,
            agent=context.agent_id,
            session=context.session_key,
        )
        return policy, judge(request, policy, self._programs)

    async def _approved(self, new: NewApproval, context: Place, verdict: Verdict) -> Approval:
        """Ask a person, and wait. Raises: PolicyDenied for whatever is not a yes. Cancels: nobody is asked any more."""
        approval = await self._approvals.request(context.principal, new, self._reachable)
        if approval.status == "pending":
            try:
                approval = await self._approvals.wait(context.principal, approval.id)
            except asyncio.CancelledError:
                await asyncio.shield(self._approvals.cancel(approval.id))
                raise
        if approval.status != "allowed":
            raise _not_approved(approval, verdict)
        return approval

    def _walls(self, context: Place, settings: Settings) -> sandbox.Walls:
        parts = {"session": context.session_key, "agent": f"agent:{context.agent_id}", "shared": "shared"}
        return sandbox.Walls(
            workspace=context.workspace.resolve(),
            writable=settings.sandbox.workspace_access == "rw",
            hidden=self._hidden(),
            shown=tuple(Path(folder).resolve() for folder in settings.exec.path_prepend),
            scope=parts[settings.sandbox.scope],
        )

    def _remember(self, agent: str, standing: tuple[Listed, ...]) -> None:
        """Add rules to the file. Raises: Conflict when others keep changing it."""
        for attempt in range(WRITES):
            now = self._rules.read()
            own = now.file.agents.get(agent) or AgentRules()
            known = () if own.allowlist is UNSET else own.allowlist
            listed = (*known, *(rule for rule in standing if rule not in known))[-MAX_LISTED:]
            agents = {**now.file.agents, agent: msgspec.structs.replace(own, allowlist=listed)}
            try:
                self._rules.write(msgspec.structs.replace(now.file, agents=agents), now.hash)
            except Conflict:
                if attempt == WRITES - 1:
                    raise
            else:
                return


def _leads_out(settings: Settings, choice: Choice) -> bool:
    return settings.sandbox.network == "proxy" and choice.sandbox.backend == "bubblewrap"


def _check_folder(plan: Plan) -> None:
    """Say which folder is missing: the system's own words would be read as the program's. Raises: ToolError."""
    place = plan.stages[0].runs[0].cwd if plan.stages else plan.workspace
    if within(place, plan.workspace) and "\0" not in place and not Path(place).is_dir():
        name = os.path.relpath(place, plan.workspace)
        raise ToolError(f"There is no folder {name[:200]!r} in the workspace. list_files shows what there is.")


def _walls_of(choice: Choice) -> tuple[str, str]:
    """Return what a person was told of the walls."""
    return choice.sandbox.backend, choice.no_walls


def _timeout_s(wish: Wish, settings: Settings) -> int:
    return wish.timeout_s or settings.exec.timeout_sec


def _ask(wanted: Wanted, context: Place, choice: Choice, approval: str = "") -> Ask:
    plan = wanted.judgement.plan
    programs = [run.program for stage in plan.stages for run in stage.runs]
    names = dict.fromkeys(_named(each.real, plan) if each else "unknown" for each in programs)
    hashes = dict.fromkeys(each.sha256[:HEX] for each in programs if each)
    written: dict[str, Fact] = {
        "plan": plan.digest[:HEX],
        "programs": len(programs),
        "sha256": " ".join(hashes)[:300],
        "sandbox": choice.sandbox.backend,
        **({"approval": approval} if approval else {}),
    }
    return Ask(
        kind=KIND,
        principal=context.principal,
        action="exec",
        target=" ".join(names),
        facts={FACT: wanted},
        written=written,
        agent=context.agent_id,
        session=context.session_key,
        run=context.run_id,
        tainted=bool(context.tainted),
    )


def _named(real: str, plan: Plan) -> str:
    """Return a program's path; what an agent has named itself is content."""
    return "workspace" if within(real, plan.workspace) else real


def _request(
    wish: Wish, context: Place, wanted: Wanted, verdict: Verdict, settings: Settings, choice: Choice
) -> NewApproval:
    judgement = wanted.judgement
    plan = judgement.plan
    runs = [run for stage in plan.stages for run in stage.runs]
    always = bool(judgement.standing) and verdict.rule_id not in {"exec.no-walls", "exec.input", "exec.ask-always"}
    offered: tuple[Decision, ...] = tuple(each for each in DECISIONS if always or each != "allow-always")
    warnings = [verdict.reason]
    if wanted.no_walls and verdict.rule_id != "exec.no-walls":
        warnings.append(f"nothing would shut the command in: {wanted.no_walls}")
    if wanted.takes_input and verdict.rule_id != "exec.input":
        warnings.append("it takes input later, which is not shown here")
    if wish.environment:
        given = ", ".join(f"{name}={value[:MAX_VALUE]}" for name, value in sorted(wish.environment.items()))
        warnings.append(f"it is given {given}")
    more: dict[str, Any] = {"envKeys": sorted(wish.environment)} if wish.environment else {}
    return NewApproval(
        kind="exec",
        request={
            "command": printable(wish.text),
            "commandPreview": None,
            "cwd": printable(runs[0].cwd) if runs else None,
            "host": "gateway" if choice.sandbox.backend == "none" else "sandbox",
            "nodeId": None,
            "security": settings.exec.security,
            "ask": wanted.ask,
            "agentId": context.agent_id,
            "resolvedPath": runs[0].program.real if runs and runs[0].program else None,
            "sessionKey": context.session_key,
            "runId": context.run_id,
            "warningText": printable("; ".join(warnings))[:4096],
            "allowedDecisions": offered,
            **more,
        },
        timeout_ms=settings.exec.approval_timeout_sec * 1000,
        agent_id=context.agent_id,
        session_key=context.session_key,
        offered=offered,
    )


def printable(text: str) -> str:
    """Return a text in which a person sees every character: what hides or turns others is spelled out."""
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape", "replace").decode()
        for char in text
    )


def _not_approved(approval: Approval, verdict: Verdict) -> PolicyDenied:
    said = {
        "no-route": "it needs a person's approval and nobody who could give it is connected",
        "timeout": "nobody decided in time",
        "user": "a person has denied it",
    }
    why = said.get(approval.reason, "the question was withdrawn")
    return PolicyDenied(
        f"the command was not run: {why} (asked because: {verdict.reason}; rule {verdict.rule_id})",
        details={"rule": verdict.rule_id, "kind": KIND, "approval": approval.id},
    )


def _job(plan: Plan, config: ExecConfig, *, takes_input: bool) -> sandbox.Job:
    if not plan.stages:
        raise ToolError("There is nothing to run.")
    return sandbox.Job(
        workspace=plan.workspace,
        takes_input=takes_input,
        pins=tuple(_pins(plan)),
        limits=sandbox.Limits(memory_bytes=config.max_memory_mb << 20, processes=config.max_processes),
        stages=tuple(
            sandbox.Stage(
                join=stage.join,
                commands=tuple(
                    sandbox.Command(
                        program=run.program.path if run.program else "",
                        argv=run.argv,
                        cwd=run.cwd,
                        environment=run.environment,
                        redirections=tuple(
                            sandbox.Redirect(each.fd, each.mode, each.target) for each in run.redirections
                        ),
                    )
                    for run in stage.runs
                ),
            )
            for stage in plan.stages
        ),
    )


def _pins(plan: Plan) -> Iterator[sandbox.Pin]:
    """Return what the plan's words name in the workspace, where others may be at work."""
    for run in (run for stage in plan.stages for run in stage.runs):
        programs = [each for each in (run.program, *run.inner) if each is not None]
        found = [(each.path, each.real, each.sha256) for each in programs]
        found += [(os.path.join(run.cwd, each.word), each.real, each.sha256) for each in run.uses]  # noqa: PTH118
        for path, real, digest in found:
            if within(path, plan.workspace) and within(real, plan.workspace):
                yield sandbox.Pin(path, real, digest)
