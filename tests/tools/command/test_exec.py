"""Commands from the wish to the end: what is allowed runs, what is not approved never does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from openclaw.base.errors import Unavailable
from openclaw.base.ids import OwnerId, RunId
from openclaw.base.principal import LOCAL_OPERATOR
from openclaw.base.tasks import TaskSet
from openclaw.config.schema import ExecConfig, SandboxConfig
from openclaw.policy.approval import Decision
from openclaw.processes.sandbox import bubblewrap as bubblewrap_module
from openclaw.processes.sandbox.carried import Bare, Carried
from tests.processes.sandbox.support import names
from tests.processes.waiting import alive, until
from tests.tools.command.bench import Bench

pytestmark = pytest.mark.anyio


async def call(bench: Bench, command: str, **more: Any) -> tuple[str, bool]:
    return await bench.box.call("exec", json.dumps({"command": command, **more}), bench.context())


async def process(bench: Bench, action: str, **more: Any) -> tuple[str, bool]:
    return await bench.box.call("process", json.dumps({"action": action, **more}), bench.context())


async def decided(
    bench: Bench, command: str, decision: Decision, between: Callable[[], object] = lambda: None, **more: Any
) -> tuple[str, bool]:
    """Ask for a command, let something happen, then let a person decide."""
    before = len(bench.asked)
    asking = TaskSet("test").spawn(call(bench, command, **more), "ask")
    await until(lambda: len(bench.asked) > before)
    between()
    await bench.approvals.decide(LOCAL_OPERATOR, bench.asked[-1].id, decision, by="a person")
    return await asking


async def test_a_reading_command_runs_unasked_and_is_in_the_ledger_first(bench: Bench) -> None:
    (bench.workspace / "a.txt").write_text("alpha\n")
    assert await call(bench, "cat a.txt | wc -l && ls") == ("1\na.txt\n", False)
    (row,) = bench.rows
    assert (row.kind, row.action, row.answer) == ("exec", "exec", "allow")
    assert "alpha" not in str(row)
    assert "a.txt" not in str(row)
    assert row.facts["sandbox"] == "none"
    assert row.target.startswith("/usr/bin/")


async def test_by_default_everything_is_asked_about_and_nobody_there_means_no(bench: Bench) -> None:
    bench.exec, bench.present = ExecConfig(), False
    text, is_error = await call(bench, "ls")
    assert is_error
    assert "exec.unlisted" in text


async def test_without_a_row_in_the_ledger_nothing_runs(bench: Bench) -> None:
    bench.exec = ExecConfig(allowlist=("touch *",))
    bench.ledger.full = True
    text, is_error = await call(bench, "touch canary")
    assert is_error
    assert "ledger" in text
    assert names(bench.workspace) == []


async def test_where_nobody_can_be_asked_the_answer_is_no_at_once(bench: Bench) -> None:
    bench.present = False
    text, is_error = await call(bench, "touch canary")
    assert is_error
    assert "nobody who could give it is connected" in text
    assert names(bench.workspace) == []
    assert [row.answer for row in bench.rows] == ["ask"]


async def test_what_a_person_allows_once_runs_once(bench: Bench) -> None:
    assert await decided(bench, "touch canary", "allow-once") == ("(no output)", False)
    assert (bench.workspace / "canary").exists()
    assert [(row.answer, row.rule) for row in bench.rows][-1] == ("allow", "exec.approved")
    assert bench.rows[-1].facts["approval"] == bench.asked[0].id
    bench.present = False
    (bench.workspace / "canary").unlink()
    assert (await call(bench, "touch canary"))[1]
    assert not (bench.workspace / "canary").exists()


async def test_what_a_person_denies_does_not_run(bench: Bench) -> None:
    text, is_error = await decided(bench, "touch canary", "deny")
    assert is_error
    assert "a person has denied it" in text
    assert names(bench.workspace) == []


async def test_a_person_sees_the_whole_command_and_every_character_of_it(bench: Bench) -> None:
    await decided(bench, "echo x > f # \u202etxt.exe", "deny", env={"TERM": "dumb"})
    request = bench.asked[0].request
    assert request["command"] == "echo x > f # \\u202etxt.exe"
    assert request["host"] == "gateway"
    assert request["cwd"] == str(bench.workspace)
    assert request["envKeys"] == ["TERM"]
    assert request["warningText"].endswith("it is given TERM=dumb")


async def test_allow_always_makes_a_rule_for_this_very_call(bench: Bench) -> None:
    await decided(bench, "touch canary", "allow-always")
    (rule,) = bench.rules.read().file.agents["main"].allowlist or ()
    assert rule.source == "allow-always"
    bench.present = False
    assert await call(bench, "touch canary") == ("(no output)", False)
    assert (await call(bench, "touch other"))[1]
    assert not (bench.workspace / "other").exists()


@pytest.mark.parametrize("command", ["bash -c 'touch canary; $X'", "python3 -c 'print(1)'", "xargs touch"])
async def test_allow_always_is_not_offered_for_what_runs_anything(command: str, bench: Bench) -> None:
    await decided(bench, command, "deny")
    assert "allow-always" not in bench.asked[0].offered


async def test_unclear_text_that_a_person_allows_runs_as_it_stands(bench: Bench) -> None:
    text = 'for i in 1 2; do echo "$i $((i+1))"; done > out; cat out'
    assert await decided(bench, text, "allow-once") == ("1 2\n2 3\n", False)


def _changes(bench: Bench) -> dict[str, Callable[[], object]]:
    workspace = bench.workspace

    def relink() -> None:
        (workspace / "link").unlink()
        (workspace / "link").symlink_to("/etc/passwd")

    return {
        "file": lambda: (workspace / "run.sh").write_text("#!/bin/sh\ntouch canary\n"),
        "program": lambda: (workspace / "other.sh").replace(workspace / "run.sh"),
        "symlink": relink,
        "folder": lambda: (workspace / "sub").rename(workspace / "was"),
    }


@pytest.mark.parametrize("what", ["file", "program", "symlink", "folder"])
async def test_what_changed_between_asking_and_running_is_refused(what: str, bench: Bench) -> None:
    workspace = bench.workspace
    (workspace / "sub").mkdir()
    for name in ("run.sh", "other.sh"):
        (workspace / name).write_text("#!/bin/sh\necho fine > done\n")
        (workspace / name).chmod(0o755)
    (workspace / "fine").write_text("fine")
    (workspace / "link").symlink_to("fine")
    command = {"symlink": "cp link copy", "folder": "touch done"}.get(what, "./run.sh")
    more = {"workdir": "sub"} if what == "folder" else {}
    change = _changes(bench)[what]

    def between() -> None:
        change()
        if what == "folder":
            (workspace / "sub").symlink_to("was")

    text, is_error = await decided(bench, command, "allow-once", between, **more)
    assert is_error
    assert "changed after it was approved" in text
    assert not any((workspace / name).exists() for name in ("canary", "done", "copy", "was/done"))
    assert (bench.rows[-1].answer, bench.rows[-1].rule) == ("deny", "exec.plan-changed")


@pytest.mark.parametrize(
    ("command", "folder", "name"),
    [("ls", "missing", "missing"), ("ls", "file", "file"), ("cd missing && ls", "sub", "sub/missing")],
)
async def test_a_folder_that_is_not_there_is_named_and_not_taken_for_the_program(
    command: str, folder: str, name: str, bench: Bench
) -> None:
    (bench.workspace / "sub").mkdir()
    (bench.workspace / "file").write_text("")
    text, is_error = await call(bench, command, workdir=folder)
    assert is_error
    assert f"There is no folder {name!r}" in text


async def test_what_changes_between_the_judgement_and_the_start_is_refused_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = bench.workspace / "run.sh"
    script.write_text("#!/bin/sh\ntouch done\n")
    script.chmod(0o755)
    bench.exec = ExecConfig(security="full", ask="off")
    start = Bare.start

    async def late(self: Bare, job: Any, walls: Any) -> Any:
        script.write_text("#!/bin/sh\ntouch canary\n")
        return await start(self, job, walls)

    monkeypatch.setattr(Bare, "start", late)
    text, _ = await call(bench, "./run.sh")
    assert "changed after it was judged" in text
    assert names(bench.workspace) == ["run.sh"]


async def test_rules_that_became_stricter_meanwhile_hold(bench: Bench) -> None:
    def stricter() -> None:
        bench.exec = ExecConfig(security="deny")

    text, is_error = await decided(bench, "touch canary", "allow-once", stricter)
    assert is_error
    assert "exec.denied" in text
    assert names(bench.workspace) == []


async def test_an_approval_holds_for_the_walls_that_the_person_was_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap_module, "PROGRAM", "no-such-bwrap")

    def walls() -> None:
        bench.sandbox = SandboxConfig()

    text, is_error = await decided(bench, "touch canary", "allow-once", walls)
    assert is_error
    assert "exec.unlisted" in text
    assert names(bench.workspace) == []


async def test_a_command_whose_end_fails_is_over_all_the_same(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    end = Carried.end

    async def failing(self: Carried) -> int:
        await end(self)
        raise Unavailable("Docker does not answer")

    monkeypatch.setattr(Carried, "end", failing)
    assert (await call(bench, "ls"))[1] is False
    assert len(bench.jobs) == 0


async def test_a_variable_that_hijacks_is_denied_without_asking(bench: Bench) -> None:
    text, is_error = await call(bench, "ls", env={"LD_PRELOAD": "/tmp/x.so"})
    assert is_error
    assert "LD_PRELOAD" in text
    assert bench.asked == []


async def test_a_call_that_is_cancelled_while_people_are_asked_withdraws_the_question(bench: Bench) -> None:
    tasks = TaskSet("test")
    asking = tasks.spawn(call(bench, "touch canary"), "ask")
    await until(lambda: bool(bench.asked))
    asking.cancel()
    await asyncio.wait([asking])
    ended = await bench.approvals.get(LOCAL_OPERATOR, bench.asked[0].id)
    assert (ended.status, ended.reason) == ("cancelled", "run-aborted")
    assert names(bench.workspace) == []


async def test_a_call_that_is_cancelled_while_it_runs_ends_everything_within_a_second(bench: Bench) -> None:
    bench.exec = ExecConfig(security="full", ask="off")
    tasks = TaskSet("test")
    running = tasks.spawn(
        call(bench, "setsid -f sleep 710 </dev/null >/dev/null 2>&1; echo $$ > pid; sleep 711"), "run"
    )
    await until(lambda: (bench.workspace / "pid").exists() and bool((bench.workspace / "pid").read_text()))
    family = [each.pid for each in psutil.Process().children(recursive=True) if "71" in " ".join(each.cmdline()[1:2])]
    began = asyncio.get_running_loop().time()
    running.cancel()
    await asyncio.wait([running])
    assert asyncio.get_running_loop().time() - began < 1
    assert not any(map(alive, family))
    assert len(bench.jobs) == 0


async def test_a_command_goes_on_in_the_background_and_process_tells_the_rest(bench: Bench) -> None:
    bench.exec = ExecConfig(security="full", ask="off", background_ms=50)
    text, _ = await call(bench, "echo begun; read line; echo got $line; exit 4", stdin=True)
    assert "[it still runs" in text
    name = text.rstrip("]").rpartition(" ")[2]
    job = bench.jobs.get(bench.context(), name)
    await until(lambda: job.total > 0)
    text += (await process(bench, "poll", sessionId=name))[0]
    assert text.count("begun\n") == 1
    assert text.endswith(f"{name}: running: echo begun; read line; echo got $line; exit 4")
    assert await process(bench, "write", sessionId=name, data="hello\n") == ("Written.", False)
    await job.done.wait()
    assert await process(bench, "poll", sessionId=name) == ("got hello\n[exit status 4]", False)
    assert (await process(bench, "log", sessionId=name))[0].startswith("begun\ngot hello\n")
    assert await process(bench, "clear") == ("1 forgotten.", False)


async def test_a_command_of_another_session_or_person_is_not_there(bench: Bench) -> None:
    bench.exec = ExecConfig(security="full", ask="off")
    text, _ = await call(bench, "sleep 712", background=True)
    name = text.rstrip("]").rpartition(" ")[2]
    other = LOCAL_OPERATOR.__class__(**{**_fields(LOCAL_OPERATOR), "owner": OwnerId("somebody")})
    for context in (bench.context("agent:main:other"), bench.context(principal=other)):
        text, is_error = await bench.box.call("process", json.dumps({"action": "kill", "sessionId": name}), context)
        assert is_error
        assert "There is no command" in text
        assert await bench.box.call("process", '{"action": "list"}', context) == ("No commands.", False)
    assert await process(bench, "kill", sessionId=name) == (f"{name}: it was killed: sleep 712", False)


def _fields(principal: Any) -> dict[str, Any]:
    return {name: getattr(principal, name) for name in principal.__struct_fields__}


async def test_a_stopped_run_takes_its_background_commands_along(bench: Bench) -> None:
    bench.exec = ExecConfig(security="full", ask="off")
    await call(bench, "sleep 713", background=True)
    bench.jobs.run_stopped(RunId("another"))
    assert len(bench.jobs) == 1
    bench.jobs.run_stopped(RunId("run-1"))
    await until(lambda: len(bench.jobs) == 0)
    assert "its run was stopped" in (await process(bench, "list"))[0]


async def test_time_and_output_are_bounded(bench: Bench) -> None:
    bench.exec = ExecConfig(security="full", ask="off")
    text, _ = await call(bench, "echo begun; sleep 714", timeout=1)
    assert text == "begun\n[it was ended: it ran for longer than 1 seconds]"
    text, _ = await call(bench, "yes | head -c 100000")
    assert len(text) < 40_000
    assert "bytes are left out]" in text
    text, _ = await call(bench, "yes")
    assert "it wrote more than 64 MiB" in text


async def test_a_session_has_a_bounded_number_of_commands(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw.tools.builtin.command.jobs.MAX_OF_SESSION", 2)
    bench.exec = ExecConfig(security="full", ask="off")
    for _ in range(2):
        assert not (await call(bench, "sleep 715", background=True))[1]
    assert "Too many commands" in (await call(bench, "ls"))[0]


async def test_input_that_is_not_known_yet_is_asked_about(bench: Bench) -> None:
    bench.present = False
    text, is_error = await call(bench, "cat", stdin=True)
    assert is_error
    assert "exec.input" in text


async def test_where_there_are_no_walls_everything_is_asked_about(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap_module, "PROGRAM", "no-such-bwrap")
    bench.sandbox = SandboxConfig()
    bench.exec = ExecConfig(security="full", allowlist=("ls",))
    assert await decided(bench, "ls", "allow-once") == ("(no output)", False)
    assert bench.asked[0].offered == ("allow-once", "deny")
    assert "no-such-bwrap is not installed" in bench.asked[0].request["warningText"]
    bench.sandbox = SandboxConfig(backend="bubblewrap")
    text, is_error = await call(bench, "touch canary")
    assert is_error
    assert "cannot be shut in" in text
    bench.exec = ExecConfig(ask="off", safe_bins=("*",))
    bench.sandbox = SandboxConfig()
    assert "exec.no-walls" in (await call(bench, "ls"))[0]
    assert names(bench.workspace) == []


async def test_walls_hide_the_state_from_approved_commands(bench: Bench) -> None:
    bench.sandbox = SandboxConfig()
    if problem := await bench.sandboxes.bubblewrap.problem():
        pytest.skip(f"no walls here: {problem}")
    (bench.state / "token").write_text("s3cret")
    text, _ = await decided(bench, f"cat {bench.state}/token; echo x > {bench.state}/y; echo $?", "allow-once")
    assert "s3cret" not in text
    assert not (bench.state / "y").exists()
    assert bench.rows[-1].facts["sandbox"] == "bubblewrap"


async def test_the_main_session_is_without_walls_only_where_the_operator_says_so(bench: Bench) -> None:
    main = await bench.sandboxes.choose(SandboxConfig(mode="non-main"), main=True)
    other = await bench.sandboxes.choose(SandboxConfig(mode="non-main"), main=False)
    assert (main.sandbox.backend, main.no_walls) == ("none", "")
    assert other.sandbox.backend == "bubblewrap" or other.no_walls
    docker = await bench.sandboxes.choose(SandboxConfig(backend="docker"), main=False)
    assert docker.sandbox.backend == "docker"


async def test_the_tools_are_named_as_models_know_them(bench: Bench) -> None:
    assert set(bench.tools) == {"exec", "process"}
    assert bench.tools["exec"].safety == "dangerous"
    assert set(bench.tools["exec"].spec.parameters["properties"]) >= {"command", "workdir", "env", "timeout", "yieldMs"}
