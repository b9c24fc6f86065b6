"""The tools `exec` and `process`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from openclaw.base.errors import ToolError
from openclaw.policy.exec.door import KIND
from openclaw.tools.action import Context, action, build_tool
from openclaw.tools.api import Caller, Tool
from openclaw.tools.builtin.command.jobs import MAX_INPUT_BYTES, Job
from openclaw.tools.builtin.command.room import Commands, Wish

NAMES: Final = frozenset(("exec", "process"))
"""For agents alone: nobody calls them by hand or from a program, where no run waits for a person's answer."""
HEAD_BYTES: Final = 8 * 1024
TAIL_BYTES: Final = 24 * 1024
SHOWN_CHARS: Final = 80
CALL_S: Final = 90_000.0
"""Commands and approvals have times of their own."""
PROGRESS_BYTES: Final = 2_000
"""How much of its latest output is shown while a command runs."""

Text = Annotated[str, Meta(description="The command, as for bash.", min_length=1, max_length=1_000_000)]
Folder = Annotated[str, Meta(description="Where to run it, from the workspace; empty = there.", max_length=4096)]
Variables = Annotated[dict[str, str], Meta(description="Variables for it.", max_length=64)]
Seconds = Annotated[int, Meta(description="Longest it may run, in seconds; 0 = the usual.", ge=0, le=86_400)]
YieldMs = Annotated[
    int, Meta(description="Go on after this many ms while it runs in the background; 0 = the usual.", ge=0, le=600_000)
]
Act = Literal["list", "poll", "log", "write", "kill", "clear"]


def command_tools(commands: Commands, wait_ms: Callable[[], int]) -> tuple[Tool, ...]:
    """Return both tools. `wait_ms` is how long `exec` waits when it is not told."""
    run = build_tool(_exec(commands, wait_ms))
    run.capabilities = msgspec.structs.replace(run.capabilities, door=KIND, inward=True)
    return (run, build_tool(_process(commands)))


def _exec(commands: Commands, wait_ms: Callable[[], int]) -> Any:
    @action(name="exec", dangerous=True, own_words=True, timeout_s=CALL_S)
    async def run_command(
        command: Text,
        context: Context,
        workdir: Folder = "",
        env: Variables | None = None,
        timeout: Seconds = 0,  # noqa: ASYNC109  # the tool's own word: how long the command may run
        yieldMs: YieldMs = 0,  # as models know it
        background: bool = False,
        stdin: bool = False,
    ) -> str:
        """Run a command in the workspace and return what it writes. People may be asked first.

        `background` returns at once, and `process` tells the rest; `stdin` lets `process` write to it.
        """
        wish = Wish(text=command, folder=workdir, environment=env or {}, timeout_s=timeout, takes_input=stdin)

        latest = bytearray()

        def hear(block: bytes) -> None:
            latest.extend(block[-PROGRESS_BYTES:])
            del latest[:-PROGRESS_BYTES]
            context.progress(latest.decode("utf-8", "replace"))

        job = await commands.start(wish, context, hear)
        context.take_in("exec")  # what is refused before has said nothing
        try:
            if not background:
                await commands.jobs.wait(job, (yieldMs or wait_ms()) / 1000)
        except asyncio.CancelledError:
            await asyncio.shield(commands.jobs.end(job, "its run was stopped"))
            raise
        if job.done.is_set():
            return _report(job, 0)
        text = _news(job)
        return f"{text}[it still runs: see `process` with sessionId {job.id}]"

    return run_command


def _process(commands: Commands) -> Any:
    jobs = commands.jobs

    @action(writes=True, inward=True, own_words=True)
    async def process(
        action: Act,
        context: Context,
        sessionId: Annotated[str, Meta(description="Which command.", max_length=64)] = "",
        data: Annotated[str, Meta(description="What to write to it.", max_length=MAX_INPUT_BYTES)] = "",
        eof: Annotated[bool, Meta(description="Nothing more is written to it.")] = False,
        offset: Annotated[int, Meta(description="First byte of a log.", ge=0)] = 0,
        limit: Annotated[int, Meta(description="Bytes of a log.", ge=1, le=TAIL_BYTES)] = TAIL_BYTES,
    ) -> str:
        """See and steer this session's commands: list, poll (what is new), log, write, kill, clear (the ended)."""
        caller: Caller = context
        if action == "list":
            return "\n".join(_line(job) for job in jobs.of(caller)) or "No commands."
        if action == "clear":
            return f"{jobs.forget(caller)} forgotten."
        job = jobs.get(caller, sessionId)
        if action == "write":
            return await _write(job, data, eof=eof)
        if action == "kill":
            await jobs.end(job, "it was killed")
            return _line(job)
        context.take_in("process")
        if action == "log":
            block, missing = job.since(offset)
            note = f"[{missing} bytes before this are gone]\n" if missing else ""
            return f"{note}{block[:limit].decode('utf-8', 'replace')}\n{_line(job)}"
        return _report(job, job.told) if job.done.is_set() else f"{_news(job)}{_line(job)}"

    return process


async def _write(job: Job, data: str, *, eof: bool) -> str:
    if not job.takes_input:
        raise ToolError("This command takes no input: it was started without `stdin`.")
    if job.done.is_set():
        raise ToolError("The command has ended.")
    try:
        if data:
            await job.running.give(data.encode("utf-8", "replace"))
        if eof:
            await job.running.end_input()
    except ConnectionError:
        raise ToolError("The command has ended.") from None
    return "Written."


def _report(job: Job, position: int) -> str:
    """Return what it wrote from a byte on, and how it ended."""
    block, missing = job.since(position)
    job.told = job.total
    text = _cut(block, missing)
    end = f"[it was ended: {job.note}]" if job.note else f"[exit status {job.status}]" if job.status else ""
    return f"{text}{end}" or "(no output)"


def _news(job: Job) -> str:
    block, missing = job.since(job.told)
    job.told = job.total
    return _cut(block, missing)


def _cut(block: bytes, missing: int) -> str:
    left = len(block) - HEAD_BYTES - TAIL_BYTES
    if missing or left > 0:
        head = b"" if missing else block[:HEAD_BYTES]
        gone = missing + len(block) - len(head) - len(block[-TAIL_BYTES:])
        block = head + f"\n[{gone} bytes are left out]\n".encode() + block[-TAIL_BYTES:]
    text = block.decode("utf-8", "replace")
    return text if not text or text.endswith("\n") else f"{text}\n"


def _line(job: Job) -> str:
    state = (job.note or f"ended with status {job.status}") if job.done.is_set() else "running"
    words = " ".join(job.shown.split())
    return f"{job.id}: {state}: {words[:SHOWN_CHARS]}"
